//! A producer closes a queue; consumers receive the rest, and are told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::thread;
use std::time::Duration;

use common::{TempName, there, words};
use slipring::{
    Consumer, DeadLetters, Group, Observer, OpenOptions, Queue, RecvError, SendError, Start,
};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn work() -> Group {
    Group::named("work").shared()
}

/// The sequences that can be received now, each acked, and whether the end was reached.
fn drain(consumer: &mut Consumer) -> (Vec<u64>, bool) {
    let mut seen = Vec::new();
    loop {
        match consumer.try_recv() {
            Ok(message) => {
                seen.push(message.sequence());
                message.ack().unwrap();
            }
            Err(RecvError::Empty) => return (seen, false),
            Err(RecvError::Closed { .. }) => return (seen, true),
            Err(fault) => panic!("{fault}"),
        }
    }
}

fn watch(observer: &mut Observer) -> (u64, bool) {
    let mut seen = 0;
    loop {
        match observer.try_recv() {
            Ok(_) => seen += 1,
            Err(RecvError::Empty) => return (seen, false),
            Err(RecvError::Closed { .. }) => return (seen, true),
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[track_caller]
fn is_closed<T>(received: Result<T, RecvError>) {
    assert!(matches!(received, Err(RecvError::Closed { .. })), "it is not closed");
}

#[track_caller]
fn is_timeout<T>(received: Result<T, RecvError>) {
    assert!(matches!(received, Err(RecvError::Timeout { .. })), "it did not just wait");
}

#[track_caller]
fn is_gone<T>(received: Result<T, RecvError>) {
    assert!(matches!(received, Err(RecvError::ProducerGone { .. })), "the producer is there");
}

#[test]
fn everybody_reads_to_the_end_and_is_told_then() {
    let name = TempName::new("close");
    let queue = Queue::builder(&name).capacity(8).group("g").group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut watcher = queue.observer(Start::Oldest).unwrap();
    producer.send_batch(["0", "1", "2", "3"]).unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    assert_eq!(drain(&mut consumer), (vec![0, 1, 2, 3], false));
    producer.send("4").unwrap();
    producer.close().unwrap();
    assert_eq!(consumer.recv_batch(9).unwrap().len(), 1);
    // Not acked, so the queue has not ended.
    let batch = consumer.recv_batch(9).unwrap();
    assert_eq!(batch.first().unwrap().attempts(), 2);
    batch.ack().unwrap();
    is_closed(consumer.try_recv_batch(1));
    is_closed(consumer.recv_batch(1));
    is_closed(consumer.recv());
    is_closed(consumer.recv_timeout(LONG));
    is_closed(consumer.recv_into_timeout(&mut Vec::new(), LONG));
    assert_eq!(watch(&mut watcher), (5, true));
    is_closed(watcher.recv());
    // Consumers that come later.
    assert_eq!(drain(&mut queue.consumer(work()).unwrap()), (vec![0, 1, 2, 3, 4], true));
    assert_eq!(drain(&mut queue.consumer("late").unwrap()), (vec![0, 1, 2, 3, 4], true));
    let newest = Group::named("newest").start(Start::Newest);
    assert_eq!(drain(&mut queue.consumer(newest).unwrap()), (vec![], true));
    assert_eq!(watch(&mut queue.observer(Start::Oldest).unwrap()), (5, true));
    assert_eq!(watch(&mut queue.observer(Start::Newest).unwrap()), (0, true));
}

#[test]
fn only_closing_closes() {
    let name = TempName::new("drop");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut watcher = queue.observer(Start::Oldest).unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("0").unwrap();
    drop(producer);
    assert_eq!(drain(&mut consumer), (vec![0], false));
    assert_eq!(watch(&mut watcher), (1, false));
    is_timeout(consumer.recv_timeout(SHORT));
    assert_eq!(queue.snapshot().unwrap().closed_at, None);
    // As if a producer had died in between.
    words::set(&words::open(&name.path()), words::CLOSED_AT, 1);
    assert_eq!(drain(&mut consumer), (vec![], false));
    queue.producer().unwrap().close().unwrap();
    is_closed(consumer.try_recv());
}

#[test]
fn a_queue_in_which_nothing_was_ever_sent_can_be_closed() {
    let name = TempName::new("nothing");
    let queue = Queue::builder(&name).base_sequence(77).group("g").create().unwrap();
    queue.producer().unwrap().close().unwrap();
    assert_eq!(queue.snapshot().unwrap().closed_at, Some(77));
    is_closed(queue.consumer("g").unwrap().recv());
    is_closed(queue.observer(Start::Oldest).unwrap().recv());
}

#[test]
fn a_new_producer_opens_the_queue_again() {
    let name = TempName::new("reopen");
    let queue = Queue::builder(&name).capacity(4).group("g").group(work()).create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut watcher = queue.observer(Start::Oldest).unwrap();
    let mut slow = queue.consumer("slow").unwrap();
    for round in 0..3 {
        let mut producer = queue.producer().unwrap();
        assert_eq!(queue.snapshot().unwrap().closed_at, None);
        assert_eq!(drain(&mut consumer), (vec![], false));
        assert_eq!(drain(&mut member), (vec![], false));
        assert_eq!(watch(&mut watcher), (0, false));
        producer.send("x").unwrap();
        assert_eq!(drain(&mut consumer), (vec![round], false));
        producer.close().unwrap();
        assert_eq!(queue.snapshot().unwrap().closed_at, Some(round + 1));
        assert_eq!(drain(&mut consumer), (vec![], true));
        assert_eq!(drain(&mut member), (vec![round], true));
        assert_eq!(watch(&mut watcher), (1, true));
    }
    // It has read across two closings.
    assert_eq!(drain(&mut slow), (vec![0, 1, 2], true));
}

#[test]
fn a_member_is_not_told_while_another_has_work() {
    let name = TempName::new("members");
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1", "2"]).unwrap();
    producer.close().unwrap();
    let mut busy = queue.consumer(work()).unwrap();
    let mut idle = queue.consumer(work()).unwrap();
    let mut batch = busy.recv_batch(2).unwrap();
    assert_eq!(drain(&mut idle), (vec![2], false));
    batch.ack_one(1).unwrap();
    assert_eq!(drain(&mut idle), (vec![], false));
    is_timeout(idle.recv_timeout(SHORT));
    // It leaves, and the other gets its messages.
    drop(batch);
    drop(busy);
    assert_eq!(idle.recv_timeout(LONG).unwrap().sequence(), 0);
    let mut third = queue.consumer(work()).unwrap();
    assert!(there(third.try_recv()).is_none(), "the other one holds it again");
    assert_eq!(drain(&mut idle), (vec![0, 1], true));
    is_closed(third.recv());
}

#[test]
fn members_that_wait_are_told_with_the_last_ack() {
    let name = TempName::new("last-ack");
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let members: Vec<_> = (0..4).map(|_| queue.consumer(work()).unwrap()).collect();
    let acked = std::thread::scope(|scope| {
        let threads: Vec<_> = members
            .into_iter()
            .map(|mut member| {
                scope.spawn(move || {
                    let mut acked = 0;
                    loop {
                        match member.recv() {
                            Ok(message) => {
                                std::thread::sleep(Duration::from_millis(1));
                                message.ack().unwrap();
                                acked += 1;
                            }
                            Err(RecvError::Closed { .. }) => return acked,
                            Err(fault) => panic!("{fault}"),
                        }
                    }
                })
            })
            .collect();
        producer.send_batch(["x"; 100]).unwrap();
        producer.close().unwrap();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    assert_eq!(acked, 100);
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn one_group_does_not_wait_for_another() {
    let name = TempName::new("others");
    let other = Group::named("other").shared();
    let queue = Queue::builder(&name).capacity(8).group(work()).group(&other).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("0").unwrap();
    producer.close().unwrap();
    let mut slow = queue.consumer(&other).unwrap();
    let held = slow.recv().unwrap();
    assert_eq!(drain(&mut queue.consumer(work()).unwrap()), (vec![0], true));
    held.ack().unwrap();
    is_closed(slow.recv());
}

#[test]
fn what_comes_too_often_is_a_dead_letter_before_the_end() {
    let name = TempName::new("worn-out");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let group = || work().max_attempts(1);
    let queue = Queue::builder(&name).capacity(8).group(group()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("bad").unwrap();
    producer.close().unwrap();
    let mut member = queue.consumer(group()).unwrap();
    drop(member.recv().unwrap());
    is_closed(member.recv());
    assert_eq!(queue.snapshot().unwrap().groups[0].dead_lettered, 1);
}

#[test]
fn retries_come_before_the_end() {
    for group in [work(), Group::named("work")] {
        let name = TempName::new("retries");
        let dead = TempName::exactly(format!("{}.dead", &*name));
        let retries = TempName::exactly(format!("{}.work.retry", &*name));
        let queue = Queue::builder(&name).capacity(8).group(&group).create().unwrap();
        let mut producer = queue.producer().unwrap();
        producer.send_batch(["0", "1", "2"]).unwrap();
        producer.close().unwrap();
        let mut member = queue.consumer(&group).unwrap();
        member.recv().unwrap().reject().unwrap();
        member.recv().unwrap().reject().unwrap();
        let letters = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
        assert_eq!(letters.requeue(1).unwrap(), 1);
        let (mut seen, over) = drain(&mut member);
        // The retry takes turns with the queue, by the clock.
        seen.sort_unstable();
        assert_eq!((seen, over), (vec![0, 2], true));
        // The queue had ended, and has messages again.
        assert_eq!(letters.requeue(1).unwrap(), 1);
        let again = member.recv().unwrap();
        assert!(again.requeued() && again.sequence() == 1);
        if let Ok(mut other) = queue.consumer(&group) {
            assert!(there(other.try_recv()).is_none(), "a retry is at work");
        }
        again.ack().unwrap();
        is_closed(member.recv());
        // Without the queue of retries there are none.
        slipring::force_remove(&retries).unwrap();
        is_closed(member.recv());
        // Letters may come at any time, even after their queue was closed.
        Queue::open(&dead).unwrap().producer().unwrap().close().unwrap();
        assert_eq!(letters.purge(u64::MAX).unwrap(), 0);
        assert_eq!(letters.requeue(u64::MAX).unwrap(), 0);
    }
}

#[test]
fn retries_that_cannot_be_read_hold_the_end_back() {
    let name = TempName::new("unreadable");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let retries = TempName::exactly(format!("{}.work.retry", &*name));
    let queue = Queue::builder(&name).capacity(8).group("work").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("0").unwrap();
    producer.close().unwrap();
    let mut member = queue.consumer("work").unwrap();
    member.recv().unwrap().reject().unwrap();
    DeadLetters::of(&name, &OpenOptions::new()).unwrap().requeue(1).unwrap();
    // A program reads them by itself.
    let mut other = Queue::open(&retries).unwrap().consumer("work").unwrap();
    assert_eq!(drain(&mut member), (vec![], false));
    other.recv().unwrap().ack().unwrap();
    is_closed(member.recv_timeout(LONG));
}

#[test]
fn a_consumer_that_follows_waits_for_the_next_producer() {
    let name = TempName::new("follow");
    let queue = Queue::builder(&name).capacity(8).group("g").group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("last").unwrap();
    producer.close().unwrap();
    let mut consumers = [queue.consumer("g").unwrap(), queue.consumer(work()).unwrap()];
    let mut observer = OpenOptions::new().observe(&name, Start::Oldest).unwrap();
    observer.set_follow(true);
    assert_eq!(watch(&mut observer), (1, false));
    is_timeout(observer.recv_timeout(SHORT));
    for consumer in &mut consumers {
        consumer.set_follow(true);
        assert_eq!(drain(consumer), (vec![0], false));
        is_timeout(consumer.recv_timeout(SHORT));
    }
    thread::scope(|scope| {
        let waits = consumers.each_mut().map(|consumer| {
            scope.spawn(|| {
                let message = consumer.recv().unwrap();
                let sequence = message.sequence();
                message.ack().unwrap();
                sequence
            })
        });
        thread::sleep(SHORT);
        let mut producer = queue.producer().unwrap();
        producer.send("next").unwrap();
        assert_eq!(waits.map(|wait| wait.join().unwrap()), [1, 1]);
        producer.close().unwrap();
    });
    for consumer in &mut consumers {
        is_timeout(consumer.recv_timeout(SHORT));
        consumer.set_follow(false);
        is_closed(consumer.recv());
    }
    assert_eq!(watch(&mut observer), (1, false));
    observer.set_follow(false);
    is_closed(observer.recv());
}

#[test]
fn a_snapshot_says_where_it_was_closed() {
    let name = TempName::new("closed-at");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("0").unwrap();
    producer.close().unwrap();
    let look = queue.snapshot().unwrap();
    assert_eq!((look.closed_at, look.tail), (Some(1), 1));
    assert_eq!((look.producer.live, look.producer.pid), (false, None));
    assert!(queue.producer().unwrap().try_send("1").is_ok());
    assert_eq!(queue.snapshot().unwrap().closed_at, None);
}

#[test]
fn garbage_in_the_closing_sequence_loses_nothing() {
    let name = TempName::new("closed-garbage");
    let work = || work().unlimited_attempts();
    let queue = Queue::builder(&name).capacity(8).group("g").group(work()).create().unwrap();
    let file = words::open(&name.path());
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1"]).unwrap();
    for (state, at, over) in
        [(1, 0, true), (1, u64::MAX, false), (2, 0, false), (u64::MAX, 0, false), (1, 2, true)]
    {
        words::set(&file, words::STATE, state);
        words::set(&file, words::CLOSED_AT, at);
        let (seen, closed) = watch(&mut queue.observer(Start::Oldest).unwrap());
        assert_eq!((seen, closed), (2, over), "{state} {at}");
        for group in [Group::named("g"), work()] {
            let mut consumer = queue.consumer(group).unwrap();
            drop(consumer.recv().unwrap());
            assert!(there(consumer.try_recv_batch(9)).is_some());
        }
    }
    assert_eq!(drain(&mut queue.consumer("g").unwrap()), (vec![0, 1], true));
    assert_eq!(drain(&mut queue.consumer(work()).unwrap()), (vec![0, 1], true));
}

#[test]
fn a_producer_that_closes_gives_its_role_up() {
    let name = TempName::new("role");
    let queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("0").unwrap();
    // A full queue can be closed.
    assert!(matches!(producer.try_send("1"), Err(SendError::Full(_))));
    producer.close().unwrap();
    let mut next = queue.producer().unwrap();
    assert!(matches!(next.try_send("1"), Err(SendError::Full(_))));
    assert_eq!(next.sequence(), 1);
}

#[test]
fn a_consumer_may_ask_to_be_told_that_the_producer_is_gone() {
    let name = TempName::new("gone");
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    let mut asks = queue.consumer(work()).unwrap();
    let mut waits = queue.consumer(work()).unwrap();
    asks.set_notice_producer_gone(true);
    // There never was a producer: it may still come.
    is_timeout(asks.recv_timeout(SHORT));
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1"]).unwrap();
    asks.recv().unwrap().ack().unwrap();
    waits.recv().unwrap().ack().unwrap();
    is_timeout(asks.recv_timeout(SHORT));
    producer.send("2").unwrap();
    drop(producer);
    asks.recv().unwrap().ack().unwrap();
    is_gone(asks.recv());
    is_gone(asks.recv_timeout(LONG));
    is_gone(asks.recv_deadline(std::time::Instant::now() + LONG));
    // Only waits report it, and only to consumers that asked.
    assert!(there(asks.try_recv()).is_none());
    is_timeout(waits.recv_timeout(SHORT));
    // A producer that is back and closes: the other member's messages are still to come.
    let mut producer = queue.producer().unwrap();
    is_timeout(asks.recv_timeout(SHORT));
    producer.send("3").unwrap();
    producer.close().unwrap();
    let held = waits.recv().unwrap();
    is_timeout(asks.recv_timeout(SHORT));
    held.ack().unwrap();
    is_closed(asks.recv());
    drop(queue.producer().unwrap());
    is_gone(asks.recv());
    asks.set_notice_producer_gone(false);
    is_timeout(asks.recv_timeout(SHORT));
}
