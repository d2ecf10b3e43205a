//! A queue that loses its name while it is used: by `rm`, or to a new queue.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::iter::{repeat, repeat_n};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use common::{TempName, there};
use slipring::{
    Consumer, DeadLetters, OpenOptions, Producer, Queue, RecvError, SendBatchError, SendError,
};

/// Messages that may be sent after the removal.
const WITHIN: u64 = 256;
const ROOM: u64 = 4096;
const SOON: Duration = Duration::from_millis(5);

/// A queue with more room than any test needs.
fn roomy(name: &TempName) -> (Producer, Consumer) {
    let queue = Queue::builder(name).capacity(ROOM).payload_size(8).group("g").create().unwrap();
    (queue.producer().unwrap(), queue.consumer("g").unwrap())
}

/// As `rm` does it, without telling any handle; long enough ago that the next check of the name is due.
fn rm(name: &TempName) {
    fs::remove_file(name.path()).unwrap();
    thread::sleep(Duration::from_millis(30));
}

#[track_caller]
fn lost(fault: Option<SendError>) -> Range<u64> {
    match fault {
        Some(SendError::Removed { unconfirmed, .. }) => unconfirmed.sequences(),
        other => panic!("{other:?}"),
    }
}

type Send = fn(&mut Producer) -> Option<SendError>;

fn of_batch(sent: Result<usize, SendBatchError>) -> Option<SendError> {
    sent.err().map(SendBatchError::into_reason)
}

/// Every way to send a few messages.
const WAYS: [Send; 8] = [
    |producer| producer.try_send("x").err(),
    |producer| producer.send("x").err(),
    |producer| producer.send_timeout("x", SOON).err(),
    |producer| of_batch(producer.send_batch(["x"; 7])),
    |producer| of_batch(producer.try_send_batch(&mut ["x"; 100].into_iter())),
    |producer| producer.reserve(1).map(|slots| slots.publish()).err(),
    |producer| producer.try_reserve(200).map(|slots| slots.publish_first(3)).err(),
    |producer| producer.reserve(1000).map(|slots| slots.publish_first(1)).err(),
];

#[test]
fn a_producer_that_has_room_learns_within_256_messages_and_says_which() {
    for (way, send) in WAYS.into_iter().enumerate() {
        for before in [0, 1, 100, 256, 300] {
            let name = TempName::new("rm-room");
            let (mut producer, _consumer) = roomy(&name);
            for _ in 0..before {
                producer.send("before").unwrap();
            }
            rm(&name);
            let fault = (0..=WITHIN).find_map(|_| send(&mut producer));
            let lost = lost(fault);
            let tail = producer.sequence();
            assert!(tail - before <= WITHIN, "way {way}: {} were sent", tail - before);
            assert!(
                lost.start <= before && lost.end == tail,
                "way {way}: {lost:?}, not {before}..{tail}"
            );
        }
    }
}

#[test]
fn a_large_batch_learns_inside() {
    let name = TempName::new("rm-batch");
    let (mut producer, _consumer) = roomy(&name);
    let mut taken = 0;
    let messages = repeat_n("x", ROOM as usize).inspect(|_| {
        taken += 1;
        if taken == 1000 {
            rm(&name);
        }
    });
    let fault = producer.send_batch(messages).unwrap_err();
    let sent = fault.sent();
    assert!((1000..=1000 + WITHIN as usize).contains(&sent), "{sent}");
    assert_eq!(lost(Some(fault.into_reason())).end, sent as u64);
    // A send that does not wait reports the removal rather than that the queue is full.
    let name = TempName::new("rm-try-batch");
    let (mut producer, _consumer) = roomy(&name);
    producer.send("x").unwrap();
    rm(&name);
    let mut messages = repeat("x");
    let fault = producer.try_send_batch(&mut messages).unwrap_err();
    let sent = fault.sent();
    assert!(sent as u64 <= WITHIN, "{sent}");
    assert_eq!(lost(Some(fault.into_reason())), 0..sent as u64 + 1);
}

#[test]
fn a_large_reservation_checks_the_name_before_and_after() {
    let name = TempName::new("rm-reserve");
    let (mut producer, _consumer) = roomy(&name);
    producer.reserve(1000).unwrap().publish();
    let slots = producer.reserve(1000).unwrap();
    rm(&name);
    slots.publish();
    assert_eq!(lost(producer.try_send("x").err()), 1000..2000);
}

#[test]
fn a_close_says_what_went_into_a_removed_queue() {
    for (before, after) in [(0, 0), (3, 0), (3, 4), (0, 1)] {
        let name = TempName::new("rm-close");
        let (mut producer, mut consumer) = roomy(&name);
        producer.send_batch(repeat_n("x", before)).unwrap();
        producer.check_removed().unwrap();
        rm(&name);
        producer.send_batch(repeat_n("x", after)).unwrap();
        let fault = producer.close().unwrap_err();
        let text = fault.to_string();
        let says = match after {
            0 => "no message was sent since".to_owned(),
            1 => "message 0 was sent since".to_owned(),
            _ => format!("messages 3 to {} were sent since", before + after - 1),
        };
        assert!(text.contains("removed") && text.contains(&says), "{text}");
        assert_eq!(lost(Some(fault)), before as u64..(before + after) as u64);
        // Attached consumers have lost nothing, and find the end.
        for _ in 0..before + after {
            consumer.recv().unwrap().ack().unwrap();
        }
        assert!(matches!(consumer.recv(), Err(RecvError::Closed { .. })));
        assert!(matches!(consumer.check_removed(), Err(RecvError::Removed { .. })));
    }
}

#[test]
fn a_new_queue_of_that_name_is_another_one() {
    let name = TempName::new("rm-new");
    let (mut producer, mut consumer) = roomy(&name);
    producer.send("old").unwrap();
    slipring::force_remove(&name).unwrap();
    let (new_producer, mut new_consumer) = roomy(&name);
    assert_eq!(lost(producer.check_removed().err()), 0..1);
    assert_eq!(lost(producer.try_send("never").err()), 0..1);
    assert!(matches!(consumer.check_removed(), Err(RecvError::Removed { .. })));
    consumer.recv().unwrap().ack().unwrap();
    assert!(matches!(consumer.recv(), Err(RecvError::Removed { .. })));
    assert!(there(new_consumer.try_recv()).is_none());
    new_consumer.check_removed().unwrap();
    new_producer.close().unwrap();
}

#[test]
fn what_is_lost_once_stays_so() {
    let name = TempName::new("rm-stays");
    let (mut producer, _consumer) = roomy(&name);
    producer.send_batch(["x"; 100]).unwrap();
    rm(&name);
    // The check is due for the 200 messages, and would not be for one.
    for _ in 0..3 {
        assert_eq!(lost(producer.try_reserve(200).err()), 0..100);
        assert_eq!(lost(producer.try_send("x").err()), 0..100);
    }
}

#[test]
fn a_wait_for_room_ends_with_it() {
    let name = TempName::new("rm-full");
    let queue = Queue::builder(&name).capacity(2).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["x"; 2]).unwrap();
    assert!(matches!(producer.send_timeout("x", SOON), Err(SendError::Timeout(_))));
    rm(&name);
    assert_eq!(lost(producer.send_timeout("x", SOON).err()), 2..2);
    assert_eq!(lost(producer.send("x").err()), 2..2);
    // Polling does not go on for ever either.
    let fault = (0..1000).find_map(|_| match producer.try_send("x") {
        Err(SendError::Full(_)) => None,
        other => other.err(),
    });
    assert_eq!(lost(fault), 2..2);
}

#[test]
fn a_renamed_queue_is_not_removed() {
    let name = TempName::new("renamed");
    let other = TempName::new("renamed-to");
    let (mut producer, consumer) = roomy(&name);
    fs::rename(name.path(), other.path()).unwrap();
    for _ in 0..1000 {
        producer.send("x").unwrap();
    }
    producer.check_removed().unwrap();
    consumer.check_removed().unwrap();
    producer.close().unwrap();
    assert_eq!(Queue::open(&other).unwrap().snapshot().unwrap().tail, 1000);
}

/// A queue with so many dead letters.
fn fill_with_letters(name: &TempName, letters: usize) {
    let queue = Queue::builder(name).capacity(1024).group("g").create().unwrap();
    queue.producer().unwrap().send_batch(repeat_n("x", letters)).unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut batch = consumer.recv_batch(letters).unwrap();
    while let Some(sequence) = batch.first().map(|message| message.sequence()) {
        batch.reject(sequence).unwrap();
    }
}

#[test]
fn letters_are_not_silently_lost_with_a_removed_queue() {
    for victim in ["", ".dead", ".g.retry"] {
        const LETTERS: u64 = 500;
        let name = TempName::new("rm-letters");
        let [dead, retry] =
            [".dead", ".g.retry"].map(|end| TempName::exactly(format!("{}{end}", &*name)));
        fill_with_letters(&name, LETTERS as usize);
        let letters = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
        let gone = TempName::exactly(format!("{}{victim}", &*name));
        let fault = thread::scope(|scope| {
            let requeues = scope.spawn(|| letters.requeue(LETTERS));
            while Queue::open(&retry).is_ok_and(|queue| queue.snapshot().unwrap().tail == 0)
                || !retry.path().exists()
            {
                thread::yield_now();
            }
            rm(&gone);
            requeues.join().unwrap().unwrap_err()
        });
        assert!(fault.done() < LETTERS || victim == ".dead", "{victim:?}: {fault}");
        assert!(fault.to_string().contains("removed"), "{victim:?}: {fault}");
        drop((dead, retry));
    }
}

#[test]
fn a_letter_goes_to_the_queue_that_has_the_name() {
    let name = TempName::new("rm-letters");
    let dead = TempName::exactly(format!("{}.dead", &*name));
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1"]).unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    for sequence in [0, 1] {
        consumer.recv_batch(1).unwrap().reject(sequence).unwrap();
        let letters = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
        assert_eq!(letters.queue().snapshot().unwrap().tail, 1);
        rm(&dead);
    }
}
