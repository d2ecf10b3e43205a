//! Each wait strategy, on either side: it notices events, and ends at its time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{TempName, there};
use slipring::{
    Group, OpenOptions, Queue, RecvError, Select, SelectError, SendError, Start, WaitStrategy,
    WakeMode,
};

const SOON: Duration = Duration::from_millis(20);

fn strategies() -> impl Iterator<Item = WaitStrategy> {
    let all = [
        WaitStrategy::spin(),
        WaitStrategy::spin_then_yield(),
        WaitStrategy::spin_then_sleep(),
        // Sleeps at once.
        WaitStrategy::spin_then_sleep().spins(0).yields(Duration::ZERO),
    ];
    all.into_iter()
}

/// A queue for two messages in each wake mode, with a group in each mode.
fn queues(what: &str) -> impl Iterator<Item = (TempName, Queue, Group)> {
    let modes = [WakeMode::Membarrier, WakeMode::Fence, WakeMode::None];
    let groups = [Group::named("all"), Group::named("all").shared()];
    let cases = modes.into_iter().flat_map(move |mode| groups.clone().map(|group| (mode, group)));
    cases.map(move |(mode, group)| {
        let name = TempName::new(what);
        let queue = Queue::builder(&name).capacity(2).wake_mode(mode).group(&group);
        let queue = queue.create().unwrap();
        (name, queue, group)
    })
}

#[test]
fn messages_and_room_are_seen_however_one_waits() {
    const COUNT: u64 = 200;
    for (_name, queue, group) in queues("strategies") {
        for strategy in strategies() {
            let (mut producer, mut consumer) =
                (queue.producer().unwrap(), queue.consumer(&group).unwrap());
            producer.set_wait_strategy(strategy);
            consumer.set_wait_strategy(strategy);
            thread::scope(|scope| {
                scope.spawn(move || {
                    for i in 0..COUNT {
                        producer.send(&i.to_le_bytes()).unwrap();
                    }
                });
                for i in 0..COUNT {
                    let message = consumer.recv().unwrap();
                    assert_eq!(*message, i.to_le_bytes());
                    message.ack().unwrap();
                }
            });
        }
    }
}

#[test]
fn waits_end_at_their_time_and_not_before() {
    for (name, queue, group) in queues("timeouts") {
        let (mut producer, mut consumer) =
            (queue.producer().unwrap(), queue.consumer(&group).unwrap());
        let mut observer = OpenOptions::new().observe(&name, Start::Newest).unwrap();
        for strategy in strategies() {
            producer.set_wait_strategy(strategy);
            consumer.set_wait_strategy(strategy);
            observer.set_wait_strategy(strategy);
            let since = Instant::now();
            assert!(matches!(consumer.recv_timeout(SOON), Err(RecvError::Timeout { .. })));
            assert!(since.elapsed() >= SOON);
            let since = Instant::now();
            assert!(matches!(observer.recv_timeout(SOON), Err(RecvError::Timeout { .. })));
            assert!(since.elapsed() >= SOON);
            producer.send_batch(["a", "b"]).unwrap();
            let since = Instant::now();
            assert!(matches!(producer.send_timeout("c", SOON), Err(SendError::Timeout(_))));
            assert!(since.elapsed() >= SOON);
            consumer.recv_batch(2).unwrap().ack().unwrap();
            while there(observer.try_recv()).is_some() {}
        }
        let mut select = Select::new();
        select.add(consumer);
        for strategy in strategies() {
            select.set_wait_strategy(strategy);
            let since = Instant::now();
            assert!(matches!(select.recv_timeout(SOON), Err(SelectError::Timeout)));
            assert!(since.elapsed() >= SOON);
        }
    }
}

/// With every strategy, a wait without end finds what only the kernel knows.
#[test]
fn a_queue_that_is_removed_ends_every_wait() {
    for strategy in strategies() {
        let name = TempName::new("removed");
        let queue: Queue = Queue::builder(&name).capacity(2).group("all").create().unwrap();
        let mut consumer = queue.consumer("all").unwrap();
        consumer.set_wait_strategy(strategy);
        thread::scope(|scope| {
            let waits = scope.spawn(move || consumer.recv().map(drop));
            thread::sleep(Duration::from_millis(2));
            slipring::force_remove(&name).unwrap();
            assert!(matches!(waits.join().unwrap(), Err(RecvError::Removed { .. })));
        });
    }
}
