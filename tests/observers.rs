//! Observers and snapshots; what is checked before a queue or a group is removed; and the clock that processes share.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::child::{Child, role, tell};
use common::{TempName, there, words};
use slipring::{
    Group, GroupInfo, Observer, Queue, RecvError, RemoveError, RemoveGroupError, Start,
    monotonic_ns,
};

/// A queue without groups, to which so many messages were sent: each contains its sequence.
fn sent(name: &str, capacity: u64, messages: u64) -> (Queue, slipring::Producer) {
    let queue = Queue::builder(name).capacity(capacity).create().unwrap();
    let mut producer = queue.producer().unwrap();
    for n in 0..messages {
        producer.send(&n.to_le_bytes()).unwrap();
    }
    (queue, producer)
}

/// Sequences of all messages that can be read now; each is the content, too.
fn see(observer: &mut Observer) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(message) = there(observer.try_recv()) {
        assert_eq!(*message, message.sequence().to_le_bytes());
        seen.push(message.sequence());
    }
    seen
}

#[test]
fn an_observer_loses_only_what_was_reclaimed() {
    let name = TempName::new("taken-back");
    let (queue, mut producer) = sent(&name, 256, 256);
    for tail in 257..280 {
        producer.send(&(tail - 1u64).to_le_bytes()).unwrap();
        // In a ring of this size, 4 slots at a time are reclaimed before they are written.
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
fn an_observer_gets_past_an_idle_reservation() {
    let name = TempName::new("reserved");
    let (queue, mut producer) = sent(&name, 4096, 4096);
    let reserved = producer.reserve(3000).unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let first = observer.recv_timeout(Duration::from_secs(60)).unwrap().sequence();
    // The last slots are reclaimed together with their neighbours.
    assert!((3000..3000 + 16).contains(&first), "{first}");
    assert_eq!(observer.missed(), first);
    assert_eq!(see(&mut observer), (first + 1..4096).collect::<Vec<_>>());
    assert_eq!(reserved.publish_first(0), 4096);
}

#[test]
fn the_latest_message_is_read_without_those_before_it() {
    let name = TempName::new("latest");
    let (queue, mut producer) = sent(&name, 8, 5);
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert_eq!(observer.try_recv().unwrap().sequence(), 0);
    let newest = observer.try_latest().unwrap();
    assert_eq!((newest.sequence(), newest.missed()), (4, 0));
    assert_eq!(*newest, 4u64.to_le_bytes());
    // It does not read a message twice, and what it skipped does not count as missed.
    assert!(there(observer.try_latest()).is_none());
    assert!(matches!(observer.latest_timeout(Duration::ZERO), Err(RecvError::Timeout { .. })));
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
    assert!(there(late.try_latest()).is_none());
    producer.send(&101u64.to_le_bytes()).unwrap();
    assert_eq!(late.latest().unwrap().sequence(), 101);
    producer.close().unwrap();
    assert!(matches!(late.try_latest(), Err(RecvError::Closed { .. })));
    assert_eq!(observer.try_latest().unwrap().sequence(), 101);
    assert!(matches!(observer.latest(), Err(RecvError::Closed { .. })));
}

#[test]
fn a_closed_queue_has_ended_though_its_newest_message_was_reclaimed() {
    let name = TempName::new("latest-gone");
    let (queue, mut producer) = sent(&name, 8, 3);
    let mut observers = [Start::Oldest, Start::Sequence(0)].map(|at| queue.observer(at).unwrap());
    drop(producer.try_reserve(8).unwrap());
    for observer in &mut observers {
        assert!(there(observer.try_latest()).is_none(), "it is open");
        assert_eq!(observer.missed(), 0);
    }
    producer.close().unwrap();
    for observer in &mut observers {
        assert!(matches!(observer.try_latest(), Err(RecvError::Closed { .. })));
        assert!(matches!(observer.latest(), Err(RecvError::Closed { .. })));
    }
    let mut late = queue.observer(Start::Oldest).unwrap();
    assert!(matches!(late.try_latest(), Err(RecvError::Closed { .. })));
    // It reads what a later producer sends.
    queue.producer().unwrap().send(b"3").unwrap();
    assert_eq!(late.try_latest().unwrap().sequence(), 3);
}

#[test]
fn messages_above_the_tail_word_are_read() {
    let name = TempName::new("lagging");
    let (queue, producer) = sent(&name, 8, 20);
    drop(producer);
    // A producer died between a batch's stamps and its tail.
    let file = words::open(&name.path());
    words::set(&file, words::TAIL, 17);
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert_eq!(see(&mut observer), (12..20).collect::<Vec<_>>());
    assert_eq!(observer.missed(), 3);
    assert!(there(queue.observer(Start::Newest).unwrap().try_recv()).is_none());
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert_eq!(observer.try_latest().unwrap().sequence(), 19);
}

/// Not a test: what the processes that the tests start do.
#[test]
fn roles() {
    if role().is_some() {
        tell(monotonic_ns());
    }
}

#[test]
fn two_processes_read_the_same_clock() {
    let before = monotonic_ns();
    let other: u64 = Child::start("clock").line().unwrap().parse().unwrap();
    let after = monotonic_ns();
    assert!(0 < before && before <= other && other <= after, "{before} {other} {after}");
}

fn work() -> Group {
    Group::named("work").shared()
}

fn only_group(queue: &Queue) -> GroupInfo {
    queue.snapshot().unwrap().groups.remove(0)
}

/// The words of record 0, and of the head of group 0, as a member that died at some step of a claim left them.
fn leave_behind(
    queue: &Queue,
    name: &TempName,
    start: u64,
    state: u64,
    end: u64,
    head: u64,
    claimer: u8,
) {
    let file = words::open(&name.path());
    let record = words::GROUPS + words::GROUP * queue.snapshot().unwrap().max_groups as u64;
    words::set(&file, record + 8, end);
    words::set(&file, record + 16, u64::MAX);
    words::set(&file, record, start << 8 | state);
    words::set(&file, words::GROUPS + 384, head << 8 | u64::from(claimer));
}

#[test]
fn a_member_that_died_between_exchange_and_held_is_shown_with_its_claim() {
    const PENDING: u64 = 1;
    const HELD: u64 = 2;
    let name = TempName::new("pending");
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1", "2", "3", "4"]).unwrap();
    drop(queue.consumer(work()).unwrap());
    let figures = |group: &GroupInfo| {
        let member = &group.members[0];
        (member.claimed.clone(), member.attempts, group.depth, group.unacked, group.span)
    };
    for state in [PENDING, HELD] {
        leave_behind(&queue, &name, 0, state, 2, 2, 0);
        assert_eq!(figures(&only_group(&queue)), (Some(0..2), 1, 5, 2, 5));
    }
    // It died before the exchange, and other members claimed and acked the messages: it has nothing, but its word holds
    // the producer until a member checks it.
    leave_behind(&queue, &name, 0, PENDING, 2, 3, 1);
    assert_eq!(figures(&only_group(&queue)), (None, 0, 2, 0, 5));
    leave_behind(&queue, &name, 0, PENDING, 2, 0, 255);
    assert_eq!(figures(&only_group(&queue)), (None, 0, 5, 0, 5));
    // The snapshot stored nothing: recovery finds the same words.
    leave_behind(&queue, &name, 0, PENDING, 2, 2, 0);
    only_group(&queue);
    let mut heir = queue.consumer(work()).unwrap();
    let mut seen = Vec::new();
    while let Some(message) = there(heir.try_recv()) {
        seen.push((message.sequence(), message.attempts()));
        message.ack().unwrap();
    }
    seen.sort_unstable();
    assert_eq!(seen, [(0, 2), (1, 2), (2, 1), (3, 1), (4, 1)]);
}

#[test]
fn the_span_of_a_group_is_what_keeps_the_producer_waiting() {
    let name = TempName::new("span");
    let builder = Queue::builder(&name).capacity(8).group(work());
    let queue = builder.group(Group::named("audit")).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1", "2", "3", "4"]).unwrap();
    let (mut slow, mut quick) = (queue.consumer(work()).unwrap(), queue.consumer(work()).unwrap());
    let held = slow.recv().unwrap();
    quick.recv_batch(3).unwrap().ack().unwrap();
    let look = queue.snapshot().unwrap();
    let work = &look.groups[0];
    assert_eq!((work.depth, work.unacked, work.span), (2, 1, 5));
    assert_eq!((look.groups[1].depth, look.groups[1].span), (5, 5));
    queue.consumer("audit").unwrap().recv_batch(8).unwrap().ack().unwrap();
    let look = queue.snapshot().unwrap();
    assert_eq!((look.depth(), look.span()), (2, 5));
    while producer.try_send("x").is_ok() {}
    let look = queue.snapshot().unwrap();
    assert_eq!((look.depth(), look.span()), (5, look.capacity));
    held.ack().unwrap();
    assert_eq!(queue.snapshot().unwrap().span(), 4);
}

#[test]
fn attempts_of_an_exclusive_consumer_are_shown() {
    let name = TempName::new("exclusive");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1", "2"]).unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let attempts = || only_group(&queue).members[0].attempts;
    assert_eq!(attempts(), 0);
    for attempt in 1..4 {
        drop(consumer.recv().unwrap());
        assert_eq!(attempts(), attempt);
    }
    consumer.recv().unwrap().ack().unwrap();
    assert_eq!(attempts(), 0);
    drop(consumer.recv_batch(2).unwrap());
    assert_eq!(attempts(), 1);
}

#[test]
fn messages_that_a_group_has_not_acked_are_not_removed_with_it_or_the_queue() {
    let name = TempName::new("unacked");
    let queue = Queue::builder(&name).capacity(8).group(work()).group("g").create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1", "2"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    drop(member.recv_batch(2).unwrap());
    // The error names a live member first.
    assert!(matches!(slipring::remove(&name), Err(RemoveError::Busy { .. })));
    assert!(matches!(queue.force_remove_group("work"), Err(RemoveGroupError::Busy { .. })));
    drop(member);
    let Err(RemoveError::Unacked { unacked, .. }) = slipring::remove(&name) else {
        panic!("it was removed")
    };
    assert_eq!(unacked.groups().collect::<Vec<_>>(), [("work", 3), ("g", 3)]);
    let Err(RemoveGroupError::Unacked { messages, .. }) = queue.remove_group("g") else {
        panic!("it was removed")
    };
    assert_eq!(messages, 3);
    queue.force_remove_group("g").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    while let Some(message) = there(member.try_recv()) {
        message.ack().unwrap();
    }
    drop(member);
    slipring::remove(&name).unwrap();
    assert!(!name.path().exists());
}

#[test]
fn a_group_without_a_past_consumer_is_not_resumed() {
    let name = TempName::new("resumed");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    queue.add_group(work()).unwrap();
    for group in [Group::named("g"), work()] {
        for resumed in [false, true, true] {
            let consumer = queue.consumer(&group).unwrap();
            assert_eq!((consumer.resumed(), consumer.made_group()), (resumed, false));
        }
    }
    let consumer = queue.consumer("made").unwrap();
    assert_eq!((consumer.resumed(), consumer.made_group()), (false, true));
}
