//! Messages in flight, seen by an observer: from the places where they are, whatever has become of the ring.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{TempName, message};
use slipring::{
    DeadLetters, Group, InFlightMessage, Observer, OpenOptions, Queue, RecvError, Start, StreamId,
};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);

fn work(places: u32) -> Group {
    Group::named("work").shared().in_flight(places)
}

/// The messages in flight of the group `work`, by sequence.
fn in_flight(queue: &Queue) -> Vec<InFlightMessage> {
    let group = queue.snapshot().unwrap().groups.remove(0);
    let mut messages = group.in_flight.unwrap().messages;
    messages.sort_by_key(|message| message.sequence);
    messages
}

#[test]
fn an_observer_sees_a_message_in_flight_after_the_ring_has_gone_round() {
    let name = TempName::new("look");
    let queue = Queue::builder(&name).capacity(2).payload_size(32).sources(2).group(work(4));
    let queue = queue.create().unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut producer = queue.producer().unwrap();
    let _ = producer.stream("lines").unwrap().try_send(40, (7, b"kept")).unwrap();
    let mut kept = worker.recv_timeout(LONG).unwrap();
    for _ in 0..5 {
        let _ = producer.send("other").unwrap();
        worker.recv_timeout(LONG).unwrap().ack().unwrap();
    }
    // From a read-only mapping, at another place in the queue.
    let mut observer: Observer = OpenOptions::new().observe(&name, Start::Sequence(5)).unwrap();
    let shown = in_flight(&queue).remove(0);
    let seen = observer.in_flight("work", &shown).unwrap().unwrap();
    assert_eq!((seen.sequence(), seen.kind(), seen.attempts()), (0, 7, 1));
    let source = seen.source().unwrap();
    assert_eq!((source.stream(), source.position()), (StreamId::named("lines"), 40));
    assert_eq!((&*seen, seen.requeued(), seen.missed()), (&b"kept"[..], false, 0));
    assert_eq!((observer.recv().unwrap().sequence(), observer.missed()), (5, 0));
    // It stays its member's, which goes on; the message is where it was.
    assert!(kept.is_mine());
    kept.extend(LONG).unwrap();
    assert_eq!(&*observer.in_flight("work", &shown).unwrap().unwrap(), b"kept");
    kept.give_back().unwrap();
    assert_eq!(observer.in_flight("work", &shown).unwrap().unwrap().attempts(), 1);
    assert!(observer.in_flight("other", &shown).unwrap().is_none());
    let again = worker.recv_timeout(LONG).unwrap();
    assert_eq!(again.attempts(), 2);
    again.ack().unwrap();
    assert!(observer.in_flight("work", &shown).unwrap().is_none());
    // Another message in its place, and a group that is gone.
    for _ in 0..4 {
        let _ = producer.send("later").unwrap();
        std::mem::forget(worker.recv_timeout(LONG).unwrap());
    }
    assert!(observer.in_flight("work", &shown).unwrap().is_none());
    let later = in_flight(&queue);
    queue.force_remove_group("work").unwrap_err();
    assert_eq!(&*observer.in_flight("work", &later[3]).unwrap().unwrap(), b"later");
}

#[test]
fn an_observer_sees_a_letter_that_was_sent_again_beside_a_message_of_its_sequence() {
    let name = TempName::new("look-letter");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let shape = Queue::builder(&name).capacity(2).payload_size(32).group(work(4));
    let first = shape.create().unwrap();
    let _ = first.producer().unwrap().send("former").unwrap();
    first.worker("work").unwrap().recv_timeout(LONG).unwrap().reject().unwrap();
    slipring::remove(&name).unwrap();
    let queue = shape.create().unwrap();
    assert_eq!(DeadLetters::of(&name, &OpenOptions::new()).unwrap().requeue(1).unwrap(), 1);
    let _ = queue.producer().unwrap().send("present").unwrap();
    let mut worker = queue.worker("work").unwrap();
    let _jobs = [worker.recv_timeout(LONG).unwrap(), worker.recv_timeout(LONG).unwrap()];
    let mut observer = queue.observer(Start::Newest).unwrap();
    let mut seen: Vec<_> = in_flight(&queue)
        .iter()
        .map(|shown| {
            let seen = observer.in_flight("work", shown).unwrap().unwrap();
            assert_eq!((seen.sequence(), seen.requeued()), (0, shown.requeued));
            (seen.requeued(), seen.to_vec())
        })
        .collect();
    seen.sort();
    assert_eq!(seen, [(false, b"present".to_vec()), (true, b"former".to_vec())]);
}

/// Places are filled, taken, extended and emptied all the time: what is seen is one message, whole.
#[test]
fn what_an_observer_sees_in_flight_is_whole() {
    const MAX: usize = 200;
    let name = TempName::new("look-torn");
    let shape = Queue::builder(&name).capacity(4).payload_size(MAX).group(work(2));
    let queue = shape.create().unwrap();
    let end = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = queue.producer().unwrap();
            while !end.load(Ordering::Relaxed) {
                let _ = producer.send(&message(producer.sequence(), MAX)).unwrap();
            }
            producer.close().unwrap();
        });
        scope.spawn(|| {
            let mut worker = queue.worker("work").unwrap();
            loop {
                match worker.recv() {
                    Ok(mut job) if job.redelivered() => {
                        job.extend(LONG).unwrap();
                        job.ack().unwrap();
                    }
                    Ok(job) => job.give_back().unwrap(),
                    Err(RecvError::Closed { .. }) => break,
                    Err(fault) => panic!("{fault}"),
                }
            }
        });
        let mut observer = queue.observer(Start::Newest).unwrap();
        let mut seen = 0u64;
        let mut look = || {
            for shown in in_flight(&queue) {
                let Some(found) = observer.in_flight("work", &shown).unwrap() else { continue };
                assert_eq!(found.sequence(), shown.sequence);
                assert_eq!(&*found, message(shown.sequence, MAX), "message {}", shown.sequence);
                seen += 1;
            }
            seen
        };
        while look() < 500 {}
        end.store(true, Ordering::Relaxed);
        seen
    });
    assert!(seen >= 500);
}
