//! What is seen without taking part: observers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::TempName;
use slipring::{Observer, Queue, RecvError, Start};

/// A queue without groups, of which so many messages were sent: each its sequence.
fn sent(name: &str, capacity: u64, messages: u64) -> (Queue, slipring::Producer) {
    let queue = Queue::builder(name).capacity(capacity).create().unwrap();
    let mut producer = queue.producer().unwrap();
    for n in 0..messages {
        producer.send(&n.to_le_bytes()).unwrap();
    }
    (queue, producer)
}

/// Sequences of all that can be seen now; each is the content, too.
fn see(observer: &mut Observer) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(message) = observer.try_recv().unwrap() {
        assert_eq!(*message, message.sequence().to_le_bytes());
        seen.push(message.sequence());
    }
    seen
}

#[test]
fn an_observer_loses_only_what_was_taken_back() {
    let name = TempName::new("taken-back");
    let (queue, mut producer) = sent(&name, 256, 256);
    for tail in 257..280 {
        producer.send(&(tail - 1u64).to_le_bytes()).unwrap();
        // A ring of this size is taken back 4 slots at a time, before they are written.
        let gone = tail.next_multiple_of(4) - 256;
        let mut observer = queue.observer(Start::Oldest).unwrap();
        assert_eq!(see(&mut observer), (gone..tail).collect::<Vec<_>>());
        assert_eq!(observer.missed(), gone - (tail - 256));
        let mut early = queue.observer(Start::Sequence(0)).unwrap();
        assert_eq!(see(&mut early), (gone..tail).collect::<Vec<_>>());
        assert_eq!(early.missed(), gone);
    }
}

#[test]
fn an_observer_gets_past_a_reservation_that_stands_still() {
    let name = TempName::new("reserved");
    let (queue, mut producer) = sent(&name, 4096, 4096);
    let reserved = producer.reserve(3000).unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let first = observer.recv_timeout(Duration::from_secs(60)).unwrap().sequence();
    // The last slots are taken back together with their neighbours.
    assert!((3000..3000 + 16).contains(&first), "{first}");
    assert_eq!(observer.missed(), first);
    assert_eq!(see(&mut observer), (first + 1..4096).collect::<Vec<_>>());
    assert_eq!(reserved.publish_first(0), 4096);
}

#[test]
fn the_latest_message_is_had_without_those_before_it() {
    let name = TempName::new("latest");
    let (queue, mut producer) = sent(&name, 8, 5);
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert_eq!(observer.try_recv().unwrap().unwrap().sequence(), 0);
    let newest = observer.try_latest().unwrap().unwrap();
    assert_eq!((newest.sequence(), newest.missed()), (4, 0));
    assert_eq!(*newest, 4u64.to_le_bytes());
    // What it has seen it does not see again, and what it passed over is not missed.
    assert!(observer.try_latest().unwrap().is_none());
    assert!(matches!(observer.latest_timeout(Duration::ZERO), Err(RecvError::Timeout)));
    assert_eq!((observer.position(), observer.missed()), (5, 0));
    for n in 5..100u64 {
        producer.send(&n.to_le_bytes()).unwrap();
    }
    let newest = observer.latest().unwrap();
    assert_eq!((newest.sequence(), newest.missed()), (99, 0));
    // From there it goes on like any other.
    producer.send(&100u64.to_le_bytes()).unwrap();
    assert_eq!((see(&mut observer), observer.missed()), (vec![100], 0));
    let mut late = queue.observer(Start::Newest).unwrap();
    assert!(late.try_latest().unwrap().is_none());
    producer.send(&101u64.to_le_bytes()).unwrap();
    assert_eq!(late.latest().unwrap().sequence(), 101);
    producer.close().unwrap();
    assert!(matches!(late.try_latest(), Err(RecvError::Closed)));
    assert_eq!(observer.try_latest().unwrap().unwrap().sequence(), 101);
    assert!(matches!(observer.latest(), Err(RecvError::Closed)));
}

#[test]
fn messages_that_the_tail_does_not_tell_of_are_seen() {
    let name = TempName::new("lagging");
    let (queue, producer) = sent(&name, 8, 20);
    drop(producer);
    // A producer died between a batch's stamps and its tail.
    let file = common::words::open(&name.path());
    common::words::set(&file, 1024, 17);
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert_eq!(see(&mut observer), (12..20).collect::<Vec<_>>());
    assert_eq!(observer.missed(), 3);
    assert!(queue.observer(Start::Newest).unwrap().try_recv().unwrap().is_none());
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert_eq!(observer.try_latest().unwrap().unwrap().sequence(), 19);
}
