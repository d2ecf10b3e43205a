//! Many processes send to one queue, each in its turn.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::TempName;
use slipring::{ControlError, OpenOptions, ProducerError, Queue};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn queue(name: &TempName) -> Queue {
    Queue::builder(name).capacity(64).group("g").create().unwrap()
}

#[test]
fn a_wait_for_the_role_ends_at_its_time_and_says_how_to_wait() {
    let name = TempName::new("turn-late");
    let queue = queue(&name);
    let held = queue.producer().unwrap();
    let waits: [&dyn Fn() -> ProducerError; 2] =
        [&|| queue.producer_timeout(SOON).map(drop).unwrap_err(), &|| {
            queue.producer_deadline(Instant::now() + SOON).map(drop).unwrap_err()
        }];
    let me = std::process::id();
    for wait in waits {
        let since = Instant::now();
        let fault = wait();
        assert!(since.elapsed() >= SOON);
        assert!(matches!(fault, ProducerError::Taken { pid, .. } if pid == Some(me)), "{fault}");
        let text = fault.to_string();
        assert!(
            text.contains("one producer at a time") && text.contains("producer_timeout"),
            "{text}"
        );
        assert!(!text.contains("stop"), "{text}");
    }
    // A call without time tries once.
    let past = Instant::now();
    assert!(queue.producer_deadline(past).is_err());
    drop(held);
    queue.producer_deadline(past).unwrap();
    queue.producer_timeout(Duration::ZERO).unwrap();
    queue.producer_timeout(Duration::MAX).unwrap();
}

#[test]
fn every_waiter_gets_its_turn() {
    const SENDERS: u64 = 40;
    let name = TempName::new("turns");
    let queue = queue(&name);
    let held = queue.producer().unwrap();
    thread::scope(|scope| {
        for number in 0..SENDERS {
            let queue = &queue;
            scope.spawn(move || {
                let mut producer = queue.producer_timeout(LONG).unwrap();
                producer.try_send(&number.to_le_bytes()[..]).unwrap();
            });
        }
        thread::sleep(SOON);
        drop(held);
    });
    let mut consumer = queue.consumer("g").unwrap();
    let mut seen: Vec<u64> = (0..SENDERS)
        .map(|_| {
            let message = consumer.try_recv().unwrap();
            let number = u64::from_le_bytes(message[..].try_into().unwrap());
            message.ack().unwrap();
            number
        })
        .collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..SENDERS));
}

#[test]
fn a_waiter_keeps_no_process_from_joining() {
    let name = TempName::new("turn-polite");
    let queue = queue(&name);
    let held = queue.producer().unwrap();
    // It would fail at once if a waiter held the control lease for long.
    let short = OpenOptions::new().control_timeout(Duration::from_millis(100));
    let other: Queue = short.open(&name).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| queue.producer_timeout(LONG).map(drop).unwrap());
        }
        let since = Instant::now();
        while since.elapsed() < SOON * 10 {
            other.add_group("late").unwrap();
            drop(other.consumer("late").unwrap());
            other.force_remove_group("late").unwrap();
        }
        drop(held);
    });
}

#[test]
fn a_wait_for_the_role_ends_with_the_queue() {
    let name = TempName::new("turn-rm");
    let queue = queue(&name);
    let _producer = queue.producer().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| queue.producer_timeout(LONG).map(drop));
        thread::sleep(SOON);
        std::fs::remove_file(name.path()).unwrap();
        let fault = waits.join().unwrap().unwrap_err();
        assert!(matches!(fault, ProducerError::Control(ControlError::Removed { .. })), "{fault}");
    });
}
