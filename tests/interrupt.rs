//! Waits that the program ends, because of a signal or for a reason of its own.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::TempName;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use slipring::{
    Group, ProducerError, Queue, RecvError, Select, SelectError, SendError, Start, WaitStrategy,
    WakeMode,
};

/// A safety net: no wait here takes so long.
const LONG: Duration = Duration::from_secs(60);
const MODES: [WakeMode; 3] = [WakeMode::Membarrier, WakeMode::Fence, WakeMode::None];

fn strategies() -> [WaitStrategy; 4] {
    [
        WaitStrategy::spin(),
        WaitStrategy::spin_then_yield(),
        WaitStrategy::spin_then_sleep(),
        // Sleeps at once.
        WaitStrategy::spin_then_sleep().spins(0).yields(Duration::ZERO),
    ]
}

/// Set by the handler of the signal.
static SIGNALLED: AtomicBool = AtomicBool::new(false);
/// How often a wait has called the function.
static ASKED: AtomicU64 = AtomicU64::new(0);

fn is_signalled() -> bool {
    ASKED.fetch_add(1, Ordering::Relaxed);
    SIGNALLED.load(Ordering::Relaxed)
}

extern "C" fn handle(_: libc::c_int) {
    SIGNALLED.store(true, Ordering::Relaxed);
}

/// Runs `wait`, which must still be waiting when a signal comes to its thread.
fn signalled<T: Send + 'static>(wait: impl FnOnce() -> T + Send + 'static) -> T {
    SIGNALLED.store(false, Ordering::Relaxed);
    ASKED.store(0, Ordering::Relaxed);
    let waits = thread::spawn(wait);
    while ASKED.load(Ordering::Relaxed) < 2 {
        assert!(!waits.is_finished(), "it did not wait");
        thread::yield_now();
    }
    // SAFETY: the thread is not joined yet, so its number is its own.
    assert_eq!(unsafe { libc::pthread_kill(waits.as_pthread_t(), libc::SIGUSR1) }, 0);
    waits.join().unwrap()
}

/// All in one test, since there is one handler.
#[test]
fn a_signal_ends_every_wait_and_nothing_is_lost() {
    let action = SigAction::new(SigHandler::Handler(handle), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing but store an atomic.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    for mode in MODES {
        for strategy in strategies() {
            for group in [Group::named("all"), Group::named("all").shared()] {
                every_wait(mode, strategy, &group);
            }
        }
    }
}

fn every_wait(mode: WakeMode, strategy: WaitStrategy, group: &Group) {
    let name = TempName::new("signalled");
    let queue = Queue::builder(&name).capacity(4).wake_mode(mode).group(group);
    let mut queue = queue.create().unwrap();
    queue.set_interrupt(is_signalled);
    let mut consumer = queue.consumer(group).unwrap();
    consumer.set_wait_strategy(strategy);
    let mut consumer = signalled(move || {
        let fault = consumer.recv_timeout(LONG).map(drop).unwrap_err();
        assert!(matches!(fault, RecvError::Interrupted { .. }), "{fault:?}");
        consumer
    });
    let mut observer = queue.observer(Start::Oldest).unwrap();
    observer.set_wait_strategy(strategy);
    let mut observer = signalled(move || {
        let fault = observer.recv_timeout(LONG).map(drop).unwrap_err();
        assert!(matches!(fault, RecvError::Interrupted { .. }), "{fault:?}");
        observer
    });
    let mut producer = queue.producer().unwrap();
    producer.set_wait_strategy(strategy);
    let mut producer = signalled(move || {
        // The first four go.
        let messages: Vec<_> = (0..9u8).map(|n| [n]).collect();
        let fault = producer.send_batch_timeout(messages.iter(), LONG).unwrap_err();
        assert_eq!(fault.sent(), 4);
        assert!(matches!(fault.reason(), SendError::Interrupted { .. }), "{fault:?}");
        producer
    });
    let mut producer = signalled(move || {
        let fault = producer.send_timeout(&[4], LONG).unwrap_err();
        assert!(matches!(fault, SendError::Interrupted { .. }), "{fault:?}");
        assert_eq!(producer.sequence(), 4);
        let fault = producer.reserve_timeout(2, Duration::ZERO).map(drop).unwrap_err();
        assert!(matches!(fault, SendError::Interrupted { .. }), "{fault:?}");
        producer
    });
    let waiting = queue.clone();
    let fault = signalled(move || waiting.producer_timeout(LONG).map(drop).unwrap_err());
    assert!(matches!(fault, ProducerError::Interrupted { .. }), "{fault:?}");
    // All messages arrive, for the first time, and each interrupted call can be made again.
    let batch = consumer.recv_batch(9).unwrap();
    let seen: Vec<_> = batch.iter().map(|m| (m.sequence(), m[0], m.attempts())).collect();
    assert_eq!(seen, [(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 1)]);
    batch.ack().unwrap();
    assert_eq!(&*observer.recv().unwrap(), [0]);
    producer.send(&[4]).unwrap();
    let message = consumer.recv().unwrap();
    assert_eq!((message[0], message.attempts()), (4, 1));
    message.ack().unwrap();
    let mut select = Select::new();
    select.add(consumer);
    select.set_wait_strategy(strategy);
    // Its own function is called, and not those of its consumers.
    select.set_interrupt(is_signalled);
    let mut select = signalled(move || {
        let fault = select.recv_timeout(LONG).map(drop).unwrap_err();
        assert!(matches!(fault, SelectError::Interrupted), "{fault:?}");
        select
    });
    producer.send(&[5]).unwrap();
    assert_eq!(select.recv().unwrap()[0], 5);
}

#[test]
fn what_is_there_is_received_and_sent_whatever_the_answer() {
    let name = TempName::new("whatever");
    let mut queue = Queue::builder(&name).capacity(4).group("all").create().unwrap();
    queue.set_interrupt(|| true);
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("all").unwrap());
    let mut observer = queue.observer(Start::Oldest).unwrap();
    for n in 0..20 {
        assert_eq!(producer.send("x").unwrap(), n);
        assert_eq!(consumer.recv().unwrap().sequence(), n);
        consumer.recv().unwrap().ack().unwrap();
        assert_eq!(observer.recv().unwrap().sequence(), n);
    }
    let fault = consumer.recv().map(drop).unwrap_err();
    assert!(fault.to_string().contains("interrupted"), "{fault}");
}

#[test]
fn handles_ask_as_their_queue_did_when_they_were_made_unless_told_otherwise() {
    let name = TempName::new("inherited");
    let mut queue = Queue::builder(&name).capacity(2).group("all").group("new").create().unwrap();
    let mut before = queue.consumer("all").unwrap();
    queue.set_interrupt(|| true);
    let soon = Duration::from_millis(5);
    assert!(matches!(before.recv_timeout(soon), Err(RecvError::Timeout { .. })));
    let copy = queue.clone();
    drop(queue);
    let mut after = copy.consumer("new").unwrap();
    assert!(matches!(after.recv(), Err(RecvError::Interrupted { .. })));
    // Another wait strategy does not change that.
    after.set_wait_strategy(WaitStrategy::spin());
    assert!(matches!(after.recv(), Err(RecvError::Interrupted { .. })));
    after.set_interrupt(|| false);
    assert!(matches!(after.recv_timeout(soon), Err(RecvError::Timeout { .. })));
    let mut producer = copy.producer().unwrap();
    producer.send_batch(["0", "1"]).unwrap();
    assert!(matches!(producer.send("2"), Err(SendError::Interrupted { .. })));
    producer.set_interrupt(|| false);
    assert!(matches!(producer.send_timeout("2", soon), Err(SendError::Timeout(_))));
    let mut observer = copy.observer(Start::Newest).unwrap();
    assert!(matches!(observer.latest(), Err(RecvError::Interrupted { .. })));
    observer.set_interrupt(|| false);
    assert!(matches!(observer.latest_timeout(soon), Err(RecvError::Timeout { .. })));
}

/// Waits that are interrupted again and again, on both sides, in the middle of a stream.
#[test]
fn a_stream_whose_waits_are_interrupted_arrives_once_and_in_order() {
    const COUNT: u64 = 5000;
    for mode in MODES {
        for group in [Group::named("all"), Group::named("all").shared()] {
            let name = TempName::new("interrupted-stream");
            let queue = Queue::builder(&name).capacity(4).wake_mode(mode).group(&group);
            let mut queue = queue.create().unwrap();
            let (ended, asked) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
            // Every second call.
            queue.set_interrupt(move || asked.fetch_add(1, Ordering::Relaxed) % 2 == 0);
            let (mut producer, mut consumer) =
                (queue.producer().unwrap(), queue.consumer(&group).unwrap());
            // Called before each sleep, so at once.
            let asleep = WaitStrategy::spin_then_sleep().spins(0).yields(Duration::ZERO);
            producer.set_wait_strategy(asleep);
            consumer.set_wait_strategy(asleep);
            let count = ended.clone();
            let sends = thread::spawn(move || {
                for n in 0..COUNT {
                    while let Err(fault) = producer.send_timeout(&n.to_le_bytes(), LONG) {
                        assert!(matches!(fault, SendError::Interrupted { .. }), "{fault:?}");
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            for n in 0..COUNT {
                let message = loop {
                    match consumer.recv_timeout(LONG) {
                        Ok(message) => break (message.attempts(), message.to_vec(), message.ack()),
                        Err(RecvError::Interrupted { .. }) => ended.fetch_add(1, Ordering::Relaxed),
                        Err(fault) => panic!("{fault:?}"),
                    };
                };
                assert_eq!((message.0, message.1), (1, n.to_le_bytes().to_vec()));
            }
            sends.join().unwrap();
            assert!(ended.load(Ordering::Relaxed) > 0, "nothing was interrupted");
        }
    }
}
