//! Garbage in shared words, as a hostile or broken process may leave it: errors, and never a panic, a hang
//! or a read outside the segment. Debug builds check the arithmetic, too.

mod common;

use common::{TempName, words};
use slipring::{Queue, RecvError, Start};

#[test]
fn a_tail_that_cannot_be_never_lends_out_more_than_the_ring() {
    let name = TempName::new("far-tail");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    queue.producer().unwrap().send("x").unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    words::set(&words::open(&name.path()), 1024, 1 << 40);
    for _ in 0..3 {
        assert!(matches!(consumer.try_batch(99), Err(RecvError::Corrupt { .. })));
    }
    words::set(&words::open(&name.path()), 1024, 1);
    assert_eq!(consumer.try_batch(99).unwrap().unwrap().len(), 1);
}

#[test]
fn an_observer_may_ask_for_any_sequence() {
    let name = TempName::new("any-sequence");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    queue.producer().unwrap().try_send("x").unwrap();
    for seq in [u64::MAX, u64::MAX - 1, 1 << 56, (1 << 56) - 1, 1 << 40] {
        let mut observer = queue.observer(Start::Sequence(seq)).unwrap();
        for _ in 0..3 {
            assert!(observer.try_recv().unwrap().is_none());
        }
        assert_eq!(observer.missed(), 0);
    }
}

#[test]
fn an_observer_survives_any_tail() {
    for tail in [u64::MAX, u64::MAX - 4, 1 << 63, 1 << 56, (1 << 56) - 1] {
        let name = TempName::new("any-tail");
        let queue = Queue::builder(&name).capacity(4).create().unwrap();
        let mut before = queue.observer(Start::Oldest).unwrap();
        words::set(&words::open(&name.path()), 1024, tail);
        let mut after = queue.observer(Start::Newest).unwrap();
        for _ in 0..40 {
            assert!(before.try_recv().unwrap().is_none());
            assert!(after.try_recv().unwrap().is_none());
        }
    }
}

#[test]
fn sequence_numbers_are_used_up_not_reused() {
    const NONE: u64 = (1 << 56) - 1;
    for left in [0, 1, 2, 3, 5, 40] {
        let name = TempName::new("exhausted");
        let queue = Queue::builder(&name).capacity(16).create().unwrap();
        // As if that many messages had been sent.
        let file = words::open(&name.path());
        words::set(&file, 1024, NONE - 1 - left);
        words::set(&file, 1152, NONE - 1 - left);
        let mut producer = queue.producer().unwrap();
        let mut sent = 0;
        let fault = loop {
            match producer.try_send("x") {
                Ok(seq) => assert_eq!(seq, NONE - 1 - left + sent),
                Err(fault) => break fault,
            }
            sent += 1;
        };
        assert!(matches!(fault, slipring::SendError::Exhausted), "{fault}");
        assert_eq!(sent, left);
        let fault = producer.send_batch(["x"; 3]).unwrap_err();
        assert_eq!(fault.sent, 0);
    }
}

#[test]
fn a_producer_survives_any_words_it_takes_over() {
    // Tail, limit, payload bytes counted, times full.
    for at in [1024, 1152, 1920, 1928] {
        let name = TempName::new("take-over");
        let queue = Queue::builder(&name).capacity(2).group("g").create().unwrap();
        let file = words::open(&name.path());
        words::set(&file, at, u64::MAX);
        let mut producer = queue.producer().unwrap();
        for _ in 0..4 {
            let _ = producer.try_send("some bytes");
            let _ = producer.try_reserve(2).map(|reservation| reservation.publish());
        }
        let _ = queue.snapshot().unwrap();
    }
}
