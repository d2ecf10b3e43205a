//! One handle that receives from several queues.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{TempName, words};
use slipring::{Group, Producer, Queue, RecvError, Select, SelectError};

/// So many queues, a producer for each, and one `Select` for all.
fn bench(what: &str, queues: usize) -> (Vec<TempName>, Vec<Producer>, Select) {
    let names: Vec<_> = (0..queues).map(|_| TempName::new(what)).collect();
    let mut select = Select::new();
    let mut producers = Vec::new();
    for (index, name) in names.iter().enumerate() {
        // Exclusive and shared groups alike.
        let group = Group::named("all");
        let group = if index % 2 == 0 { group } else { group.shared() };
        let queue = Queue::builder(name).capacity(16).group(&group).create().unwrap();
        producers.push(queue.producer().unwrap());
        assert_eq!(select.add(queue.consumer(group).unwrap()), index);
    }
    (names, producers, select)
}

#[test]
fn a_full_queue_keeps_no_other_waiting() {
    let (_names, mut producers, mut select) = bench("fair", 3);
    producers[1].send_batch(["busy"; 16]).unwrap();
    producers[0].send("a").unwrap();
    producers[2].send("b").unwrap();
    let mut order = Vec::new();
    while let Ok(message) = select.try_recv() {
        order.push(message.index());
        message.ack().unwrap();
    }
    assert_eq!(order[..4], [0, 1, 2, 1]);
    assert_eq!(order.len(), 18);
}

#[test]
fn several_producers_fan_in_and_each_ones_order_stays() {
    const EACH: u64 = 5_000;
    let (_names, producers, mut select) = bench("fan-in", 4);
    thread::scope(|scope| {
        for mut producer in producers {
            scope.spawn(move || {
                for i in 0..EACH {
                    producer.send(&i.to_le_bytes()).unwrap();
                }
            });
        }
        let mut next = [0u64; 4];
        while next.iter().sum::<u64>() < 4 * EACH {
            let batch = select.recv_batch(7).unwrap();
            for message in batch.iter() {
                let number = u64::from_le_bytes((*message).try_into().unwrap());
                assert_eq!(number, next[batch.index()]);
                next[batch.index()] += 1;
            }
            batch.ack().unwrap();
        }
        assert_eq!(next, [EACH; 4]);
    });
}

#[test]
fn a_wait_ends_at_its_timeout_and_not_before() {
    let (_names, mut producers, mut select) = bench("timeout", 2);
    let timeout = Duration::from_millis(30);
    let since = Instant::now();
    assert!(matches!(select.recv_timeout(timeout), Err(SelectError::Timeout)));
    assert!(since.elapsed() >= timeout);
    let deadline = Instant::now() + timeout;
    assert!(matches!(select.recv_deadline(deadline), Err(SelectError::Timeout)));
    assert!(Instant::now() >= deadline);
    assert!(matches!(select.try_recv(), Err(SelectError::Empty)));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(10));
            producers[1].send("late").unwrap();
        });
        let message = select.recv().unwrap();
        assert_eq!((message.index(), &**message), (1, &b"late"[..]));
        message.ack().unwrap();
    });
}

/// Bit 0: some consumer sleeps.
const DATA: u64 = words::DATA;

#[test]
fn a_wait_sleeps_at_every_queue_and_each_producer_wakes_it() {
    let (names, mut producers, mut select) = bench("asleep", 3);
    let files: Vec<_> = names.iter().map(|name| words::open(&name.path())).collect();
    let asleep = |file| words::get32(file, DATA) & 1 == 1;
    for round in 0..6 {
        let turn = round % 3;
        let receiver = thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let message = select.recv().unwrap();
                let index = message.index();
                message.ack().unwrap();
                index
            });
            while !files.iter().all(asleep) {
                thread::yield_now();
            }
            producers[turn].send("x").unwrap();
            waits.join().unwrap()
        });
        assert_eq!(receiver, turn);
    }
}

#[test]
fn one_that_cannot_go_on_is_named_and_the_others_go_on() {
    let (names, mut producers, mut select) = bench("named", 3);
    slipring::force_remove(&names[1]).unwrap();
    producers[2].send("x").unwrap();
    let mut seen = Vec::new();
    let fault = loop {
        match select.recv_timeout(Duration::from_secs(60)) {
            Ok(message) => {
                seen.push(message.index());
                message.ack().unwrap();
            }
            Err(fault) => break fault,
        }
    };
    let removed = |reason: &RecvError| matches!(reason, RecvError::Removed { .. });
    assert!(matches!(&fault, SelectError::Recv { index: 1, reason } if removed(reason)), "{fault}");
    assert_eq!(seen, [2]);
    assert!(select.remove(1).is_some() && select.remove(7).is_none());
    producers[2].send("y").unwrap();
    let message = select.recv().unwrap();
    assert_eq!(message.index(), 1, "it has moved up");
    message.ack().unwrap();
    assert_eq!(select.consumers().len(), 2);
}

#[test]
fn a_closed_queue_keeps_no_other_from_waiting_and_all_are_the_end() {
    let (names, mut producers, mut select) = bench("closed", 3);
    producers[0].send("last").unwrap();
    let mut open = producers.split_off(2);
    producers.into_iter().for_each(|producer| producer.close().unwrap());
    let message = select.recv().unwrap();
    assert_eq!((message.index(), &**message), (0, &b"last"[..]));
    message.ack().unwrap();
    // Two have ended: it waits for the third.
    assert!(matches!(select.try_recv(), Err(SelectError::Empty)));
    let timeout = Duration::from_millis(20);
    assert!(matches!(select.recv_timeout(timeout), Err(SelectError::Timeout)));
    open[0].send("more").unwrap();
    assert_eq!(select.recv().unwrap().index(), 2);
    // Not acked, so the queue has not ended.
    let message = select.recv().unwrap();
    assert_eq!((message.index(), message.attempts()), (2, 2));
    message.ack().unwrap();
    open.pop().unwrap().close().unwrap();
    assert!(matches!(select.recv(), Err(SelectError::Closed)));
    assert!(matches!(select.try_recv(), Err(SelectError::Closed)));
    // A new producer opens its queue again.
    let queue = Queue::open(&names[1]).unwrap();
    queue.producer().unwrap().send("again").unwrap();
    let message = select.recv().unwrap();
    assert_eq!(message.index(), 1);
    message.ack().unwrap();
    assert!(matches!(select.try_recv(), Err(SelectError::Empty)));
}

#[test]
fn an_unacked_message_is_redelivered_from_the_same_queue() {
    let (_names, mut producers, mut select) = bench("again", 2);
    producers[1].send("x").unwrap();
    drop(select.recv().unwrap());
    let message = select.recv().unwrap();
    assert_eq!((message.index(), message.attempts()), (1, 2));
    message.into_inner().reject().unwrap();
    let _dead = TempName::exactly(format!("{}.dead", &*_names[1]));
}
