//! Dead letters that are sent again to a group with messages in flight: they go straight into its places.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use common::child::{Child, role, tell};
use common::{Rng, TempName, there};
use slipring::{
    DeadLetter, DeadLetters, ErrorCode, Group, JoinError, OpenOptions, Queue, RecvError,
    RequeueReason, Retention, Start, Worker, message,
};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);

fn work(places: u32) -> Group {
    Group::named("work").shared().in_flight(places)
}

fn queue(name: &str, group: Group) -> Queue {
    Queue::builder(name).capacity(16).payload_size(32).group(group).create().unwrap()
}

/// The queue of the dead letters, to be removed with the test.
fn dead(name: &str) -> TempName {
    TempName::exactly(format!("{name}.dead"))
}

/// Makes letters of `count` messages.
fn reject(queue: &Queue, worker: &mut Worker, count: u64) {
    for number in 0..count {
        let _ = queue.producer().unwrap().send((7, number.to_string().as_bytes())).unwrap();
        worker.recv_timeout(LONG).unwrap().reject().unwrap();
    }
}

fn letters(name: &str, control_timeout: Duration) -> DeadLetters {
    DeadLetters::of(name, &OpenOptions::new().control_timeout(control_timeout)).unwrap()
}

#[test]
fn a_letter_that_is_sent_again_comes_with_its_first_sequence_and_fresh_attempts() {
    let name = TempName::new("requeue");
    let _dead = dead(&name);
    let queue = queue(&name, work(4).max_attempts(2));
    queue.add_group(Group::named("other").start(slipring::Start::Newest)).unwrap();
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 3);
    let before = queue.snapshot().unwrap();
    assert_eq!(letters(&name, LONG).requeue(2).unwrap(), 2);
    assert!(!TempName::exactly(format!("{}.work.retry", &*name)).path().exists());
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!(group.depth, 2, "they wait for the group");
    assert_eq!(group.members.len(), 1, "who sent them has left it");
    let messages = &group.in_flight.as_ref().unwrap().messages;
    assert!(messages.iter().all(|m| m.requeued && m.attempts == 0 && m.record.is_none()));
    let mut jobs: Vec<_> = (0..2).map(|_| worker.recv_timeout(LONG).unwrap()).collect();
    jobs.sort_by_key(slipring::Job::sequence);
    for (number, job) in jobs.iter().enumerate() {
        assert_eq!((job.sequence(), job.kind(), job.attempts()), (number as u64, 7, 1));
        assert!(job.requeued() && !job.redelivered() && job.source().is_none());
        assert_eq!(&**job, number.to_string().as_bytes());
    }
    let second = jobs.pop().unwrap();
    jobs.pop().unwrap().ack().unwrap();
    // Its attempts have the limit again, and it can be a letter again, of the same sequence.
    assert!(!second.fail().unwrap());
    let second = worker.recv_timeout(LONG).unwrap();
    assert_eq!((second.attempts(), second.requeued()), (2, true));
    assert!(second.fail().unwrap());
    let mut dead = Queue::open(&format!("{}.dead", &*name)).unwrap().consumer("dead").unwrap();
    let mut sequences = Vec::new();
    while let Some(received) = there(dead.try_recv()) {
        sequences.push(slipring::DeadLetter::parse(received.kind(), &received).unwrap().sequence);
        received.ack().unwrap();
    }
    assert_eq!(sequences, [2, 1]);
    let after = queue.snapshot().unwrap();
    assert_eq!(after.groups[0].depth, 0);
    assert_eq!(before.groups[1].depth, after.groups[1].depth, "no other group gets them");
}

#[test]
fn a_letter_waits_for_a_free_place_and_says_so_if_there_is_none() {
    let name = TempName::new("requeue-full");
    let _dead = dead(&name);
    let queue = queue(&name, work(2));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 2);
    let _ = queue.producer().unwrap().send_batch(["a", "b"]).unwrap();
    let mut held = worker.recv_batch(2).unwrap();
    let fault = letters(&name, Duration::from_millis(30)).requeue(9).unwrap_err();
    assert_eq!((fault.done(), fault.code()), (0, ErrorCode::InFlightFull));
    assert!(matches!(fault.reason(), RequeueReason::Full { cells: 2, .. }), "{fault}");
    assert_eq!(queue.snapshot().unwrap().groups[0].members.len(), 1);
    let done = std::thread::scope(|scope| {
        let requeues = scope.spawn(|| letters(&name, LONG).requeue(9).unwrap());
        // One letter for each place that becomes free.
        held.pop().unwrap().ack().unwrap();
        let first = worker.recv_timeout(LONG).unwrap();
        assert!(first.requeued());
        held.pop().unwrap().ack().unwrap();
        assert!(worker.recv_timeout(LONG).unwrap().requeued());
        requeues.join().unwrap()
    });
    assert_eq!(done, 2);
}

#[test]
fn a_letter_that_is_sent_again_comes_before_the_end_of_a_closed_queue() {
    let name = TempName::new("requeue-closed");
    let _dead = dead(&name);
    let queue = queue(&name, work(2));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 1);
    queue.producer().unwrap().close().unwrap();
    assert!(matches!(worker.recv(), Err(RecvError::Closed { .. })));
    assert_eq!(letters(&name, LONG).requeue(1).unwrap(), 1);
    assert!(slipring::remove(&name).is_err(), "a message is not acked");
    let job = worker.recv_timeout(LONG).unwrap();
    let mut other = queue.worker("work").unwrap();
    assert!(there(other.try_recv()).is_none(), "not over while a member has it");
    job.ack().unwrap();
    assert!(matches!(other.recv(), Err(RecvError::Closed { .. })));
}

#[test]
fn a_letter_without_a_free_consumer_record_stays() {
    let name = TempName::new("requeue-records");
    let _dead = dead(&name);
    let shape = Queue::builder(&name).capacity(8).max_consumers(1).group(work(2));
    let queue = shape.create().unwrap();
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 1);
    let fault = letters(&name, LONG).requeue(1).unwrap_err();
    let reason = fault.reason();
    let RequeueReason::Join(JoinError::TooManyConsumers { .. }) = reason else { panic!("{fault}") };
    drop(worker);
    assert_eq!(letters(&name, LONG).requeue(1).unwrap(), 1);
    assert!(queue.worker("work").unwrap().recv_timeout(LONG).unwrap().requeued());
}

/// A group that goes with its last member.
fn brief(places: u32) -> Group {
    work(places).retention(Retention::Release)
}

#[test]
fn a_group_without_members_yet_keeps_the_letters_that_are_sent_to_it() {
    let name = TempName::new("requeue-unjoined");
    let _dead = dead(&name);
    let queue = queue(&name, work(2));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 1);
    drop(worker);
    queue.remove_group("work").unwrap();
    queue.add_group(brief(2).start(Start::Newest)).unwrap();
    assert_eq!(letters(&name, LONG).requeue(9).unwrap(), 1);
    // A full producer looks for groups that have lost their members.
    let mut producer = queue.producer().unwrap();
    let _ = producer.send_batch([b"more"; 16]).unwrap();
    assert!(
        producer.send_timeout("more", Duration::from_millis(50)).is_err(),
        "the group holds it"
    );
    drop(producer);
    assert_eq!(queue.snapshot().unwrap().groups.len(), 1);
    let mut worker = queue.worker("work").unwrap();
    assert!(!worker.resumed());
    let job = worker.recv_timeout(LONG).unwrap();
    assert!(job.requeued());
    job.ack().unwrap();
    drop(worker);
    assert!(queue.snapshot().unwrap().groups.is_empty(), "it goes with its first member");
}

#[test]
fn letters_are_not_lost_if_the_last_member_leaves_while_they_are_sent() {
    let name = TempName::new("requeue-going");
    let _dead = dead(&name);
    let queue = queue(&name, brief(1));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 3);
    let fault = std::thread::scope(|scope| {
        let requeues = scope.spawn(|| letters(&name, Duration::from_millis(300)).requeue(9));
        let job = worker.recv_timeout(LONG).unwrap();
        drop(worker);
        // The requeue waits for its place, and gets it just before or just after the last member is gone.
        job.ack().unwrap();
        requeues.join().unwrap().unwrap_err()
    });
    let reason = fault.reason();
    assert!(matches!(reason, RequeueReason::GroupAbandoned { .. }), "{fault}");
    let mut worker = queue.worker(Group::named("work").existing()).unwrap();
    let mut places = 0;
    while let Some(job) = there(worker.try_recv()) {
        assert!(job.requeued());
        job.ack().unwrap();
        places += 1;
    }
    let sent = fault.done();
    assert_eq!(
        1 + places,
        sent,
        "the worker has taken one of those that were sent, and the others have stayed"
    );
    assert_eq!(letters(&name, LONG).purge(9).unwrap() + sent, 3);
}

#[test]
fn two_requeues_at_once_do_not_keep_a_group_without_consumers() {
    let name = TempName::new("requeue-two");
    let (_dead, other) = (dead(&name), TempName::exactly(format!("{}.other", &*name)));
    let mut queue = queue(&name, brief(1));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 2);
    // One of the letters is moved to another queue, so that two can be sent again at once.
    let shape = Queue::builder(&other).payload_size(32 + DeadLetter::ENVELOPE).group("dead");
    let elsewhere = shape.create().unwrap();
    let mut moves = letters(&name, LONG).queue().consumer("dead").unwrap();
    let letter = moves.recv_timeout(LONG).unwrap();
    let _ = elsewhere.producer().unwrap().send((letter.kind(), &letter[..])).unwrap();
    letter.ack().unwrap();
    drop(moves);
    let _ = queue.producer().unwrap().send("in the only place").unwrap();
    let job = worker.recv_timeout(LONG).unwrap();
    let (waits, told) = channel();
    let (go, gone) = channel::<()>();
    let gone = Mutex::new(gone);
    queue.set_interrupt(move || {
        waits.send(()).is_ok() && gone.lock().unwrap().recv_timeout(LONG).is_err()
    });
    std::thread::scope(|scope| {
        let first = scope.spawn(|| queue.dead_letters().unwrap().requeue(1).unwrap_err());
        // It is a member of the group now, and stands still while it waits for the place.
        told.recv_timeout(LONG).unwrap();
        job.ack().unwrap();
        drop(worker);
        let second = DeadLetters::open(&other, &OpenOptions::new()).unwrap();
        let fault = second.requeue(1).unwrap_err();
        assert!(matches!(fault.reason(), RequeueReason::GroupAbandoned { .. }), "{fault}");
        assert_eq!((fault.done(), fault.code()), (0, ErrorCode::GroupAbandoned));
        drop(go);
        let fault = first.join().unwrap();
        assert!(matches!(fault.reason(), RequeueReason::Recv(RecvError::Interrupted { .. })));
    });
    // Both letters have stayed, and neither is in the group as well.
    let mut worker = Queue::open(&name).unwrap().worker("work").unwrap();
    assert!(there(worker.try_recv()).is_none());
    let second = DeadLetters::open(&other, &OpenOptions::new()).unwrap();
    assert_eq!((letters(&name, LONG).requeue(9).unwrap(), second.purge(9).unwrap()), (1, 1));
    assert!(worker.recv_timeout(LONG).unwrap().requeued());
}

#[test]
fn a_group_whose_last_member_died_gets_no_letters() {
    let name = TempName::new("requeue-died");
    let _dead = dead(&name);
    let queue = queue(&name, brief(2));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 1);
    let mut child = Child::start(&format!("work {}", &*name));
    child.expect("joined");
    drop(worker);
    child.kill();
    let fault = letters(&name, LONG).requeue(9).unwrap_err();
    assert!(matches!(fault.reason(), RequeueReason::GroupAbandoned { .. }), "{fault}");
    // A member that comes in time goes on with the group, and gets the letter.
    let mut worker = queue.worker("work").unwrap();
    assert_eq!(letters(&name, LONG).requeue(9).unwrap(), 1);
    assert!(worker.recv_timeout(LONG).unwrap().requeued());
}

message! {
    /// A message of a queue that is made again with another type.
    struct Short {
        number: u64,
    }
}

/// An operator receives nothing, also once it has looked whether there is something.
#[test]
fn an_operator_that_has_looked_keeps_no_group() {
    for looks in [false, true] {
        let name = TempName::new("operator");
        let _dead = dead(&name);
        let queue = queue(&name, brief(4));
        let mut worker = queue.worker("work").unwrap();
        reject(&queue, &mut worker, 1);
        let mut operator = queue.worker(Group::named("work").as_operator()).unwrap();
        if looks {
            let waited = operator.recv_timeout(Duration::from_millis(50));
            assert!(matches!(waited, Err(RecvError::Timeout { .. })), "{waited:?}");
        }
        drop(worker);
        let fault = letters(&name, LONG).requeue(1).unwrap_err();
        assert!(
            matches!(fault.reason(), RequeueReason::GroupAbandoned { .. }),
            "looked: {looks}, {fault}"
        );
    }
}

#[test]
fn a_letter_of_a_former_queue_is_refused_if_it_does_not_fit() {
    let name = TempName::new("requeue-length");
    let _dead = dead(&name);
    let first = queue(&name, work(2));
    let mut worker = first.worker("work").unwrap();
    reject(&first, &mut worker, 1);
    drop(worker);
    slipring::remove(&name).unwrap();
    let shape = Queue::builder(&name).capacity(8).message::<Short>().group(work(2));
    let _second = shape.create().unwrap();
    let fault = letters(&name, LONG).requeue(1).unwrap_err();
    assert!(
        matches!(fault.reason(), RequeueReason::WrongLength { sequence: 0, len: 1, size: 8, .. }),
        "{fault}"
    );
    assert_eq!(letters(&name, LONG).purge(1).unwrap(), 1, "the letter has stayed");
}

#[test]
fn letters_go_where_their_group_reads_them() {
    // The group is made anew without places: its consumers read a queue of retries.
    let name = TempName::new("requeue-kinds");
    let (_dead, retry) = (dead(&name), TempName::exactly(format!("{}.work.retry", &*name)));
    let queue = queue(&name, work(2));
    let mut worker = queue.worker("work").unwrap();
    reject(&queue, &mut worker, 1);
    drop(worker);
    queue.remove_group("work").unwrap();
    queue.add_group(Group::named("work").shared().start(slipring::Start::Newest)).unwrap();
    assert_eq!(letters(&name, LONG).requeue(1).unwrap(), 1);
    assert!(retry.path().exists());
    let mut consumer = queue.consumer(Group::named("work").shared()).unwrap();
    let received = consumer.recv_timeout(LONG).unwrap();
    assert!(received.requeued() && received.sequence() == 0);
    received.ack().unwrap();
}

/// The roles that this binary plays as a child.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    if role[0] == "work" {
        let _worker = Queue::open(&role[1]).unwrap().worker("work").unwrap();
        tell("joined");
        std::thread::sleep(LONG);
        return;
    }
    tell("begins");
    let done = letters(&role[1], LONG).requeue(u64::MAX).unwrap();
    tell(done);
}

#[test]
fn a_requeue_that_is_killed_loses_no_letter_and_sends_at_most_one_twice() {
    let name = TempName::new("requeue-killed");
    let _dead = dead(&name);
    let shape = Queue::builder(&name).capacity(1024).payload_size(32).group(work(512));
    let queue = shape.create().unwrap();
    let mut worker = queue.worker("work").unwrap();
    const LETTERS: u64 = 500;
    let numbers: Vec<String> = (0..LETTERS).map(|number| number.to_string()).collect();
    let _ = queue.producer().unwrap().send_batch(&numbers).unwrap();
    for job in worker.recv_batch(LETTERS as usize).unwrap() {
        job.reject().unwrap();
    }
    let (mut rng, mut kills) = (Rng::new(), 0u64);
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut receive = |worker: &mut Worker| {
        while let Some(job) = there(worker.try_recv()) {
            *seen.entry(job.sequence()).or_default() += 1;
            assert!(job.requeued() && job.attempts() == 1);
            job.ack().unwrap();
        }
    };
    loop {
        let mut child = Child::start(&format!("requeue {}", &*name));
        child.expect("begins");
        // At some point in the middle, the last time at its end.
        if kills < 12 {
            std::thread::sleep(Duration::from_micros(rng.below(3000)));
            child.kill();
            kills += 1;
            receive(&mut worker);
            continue;
        }
        let _ = child.line();
        receive(&mut worker);
        break;
    }
    assert_eq!(seen.len() as u64, LETTERS, "none is lost");
    let again: u64 = seen.values().map(|times| times - 1).sum();
    println!("{kills} kills, {again} letters sent twice");
    assert!(again <= kills && seen.values().all(|times| *times <= 1 + kills));
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.in_flight.as_ref().unwrap().messages.len()), (0, 0));
}
