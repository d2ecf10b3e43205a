//! Sending the messages of a slice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::thread;
use std::time::Duration;

use common::TempName;
use slipring::{Consumer, Outgoing, Producer, Queue, SendError};

slipring::message! {
    struct Tick {
        id: u64,
        rest: [u64; 5],
    }
}

fn tick(id: u64) -> Tick {
    Tick { id, rest: [!id; 5] }
}

fn typed(name: &TempName, capacity: u64) -> (Producer<Tick>, Consumer<Tick>) {
    let queue = Queue::builder(name).capacity(capacity).message::<Tick>().group("g");
    let queue = queue.create().unwrap();
    (queue.producer().unwrap(), queue.consumer("g").unwrap())
}

fn bytes(name: &TempName, capacity: u64, size: usize) -> (Producer, Consumer) {
    let queue = Queue::builder(name).capacity(capacity).payload_size(size).group("g");
    let queue = queue.create().unwrap();
    (queue.producer().unwrap(), queue.consumer("g").unwrap())
}

/// As many as there is room for, from the first on; the next call sends the rest.
#[test]
fn a_slice_is_sent_as_far_as_there_is_room() {
    let name = TempName::new("slice-room");
    let (mut producer, mut consumer) = typed(&name, 64);
    let ticks: Vec<Tick> = (0..1000).map(tick).collect();
    let (mut sent, mut received) = (0, 0);
    while received < ticks.len() as u64 {
        match producer.try_send_slice(&ticks[sent..]) {
            Ok(n) => sent += n,
            Err(fault) => {
                assert!(
                    fault.sent() == 0 && matches!(fault.reason(), SendError::Full(_)),
                    "{fault}"
                );
            }
        }
        assert_eq!(sent as u64, producer.sequence());
        // An odd number, so that runs begin everywhere in the ring.
        while let Ok(batch) = consumer.try_recv_batch(37) {
            for message in &batch {
                assert_eq!((message.id, message.rest), (received, [!received; 5]));
                received += 1;
            }
            batch.ack().unwrap();
            if received % 3 == 0 {
                break;
            }
        }
    }
    assert!(matches!(producer.try_send_slice(&ticks[..0]), Ok(0)));
}

/// Messages of different lengths, and more bytes than one run takes.
#[test]
fn a_slice_of_bytes_keeps_its_lengths() {
    let name = TempName::new("slice-bytes");
    let (mut producer, mut consumer) = bytes(&name, 256, 300);
    let messages: Vec<Vec<u8>> = (0..200).map(|n| vec![n as u8; n * 3 / 2]).collect();
    assert_eq!(producer.send_slice(&messages).unwrap(), 200);
    let batch = consumer.recv_batch(200).unwrap();
    assert!(batch.iter().map(|m| m.to_vec()).eq(messages.iter().cloned()));
    batch.ack().unwrap();
}

/// A message that is too long ends the call; those before it are sent.
#[test]
fn a_message_that_does_not_fit_is_told_with_those_before_it() {
    let name = TempName::new("slice-fit");
    let (mut producer, mut consumer) = bytes(&name, 256, 8);
    let mut messages = vec![vec![1; 8]; 100];
    messages[77].push(1);
    let fault = producer.send_slice(&messages).unwrap_err();
    assert_eq!(fault.sent(), 77);
    assert!(matches!(fault.reason(), SendError::TooLong { len: 9, max: 8, .. }), "{fault}");
    assert_eq!(consumer.try_recv_batch(100).unwrap().len(), 77);
}

/// A call that waits sends what it can, and says how many these were when its time is up.
#[test]
fn a_slice_waits_for_room_at_most_its_time() {
    let name = TempName::new("slice-wait");
    let (mut producer, mut consumer) = typed(&name, 16);
    let ticks: Vec<Tick> = (0..40).map(tick).collect();
    let fault = producer.send_slice_timeout(&ticks, Duration::from_millis(5)).unwrap_err();
    assert_eq!(fault.sent(), 16);
    assert!(matches!(fault.reason(), SendError::Timeout(_)), "{fault}");
    thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0..40 {
                let message = consumer.recv().unwrap();
                assert_eq!(message.id, id);
                message.ack().unwrap();
            }
        });
        assert_eq!(producer.send_slice(&ticks[16..]).unwrap(), 24);
    });
}

/// A slice may have the same elements as `send` takes one by one: owned or borrowed, with kinds or without.
#[test]
fn a_slice_may_be_of_anything_that_can_be_sent() {
    let name = TempName::new("slice-forms");
    let (mut producer, mut consumer) = bytes(&name, 64, 16);
    let (text, vec, boxed) = (String::from("ab"), b"ab".to_vec(), Box::<[u8]>::from(*b"ab"));
    let mut sent = 0;
    sent += producer.send_slice(&["ab", "ab"]).unwrap();
    sent += producer.send_slice(&[&b"ab"[..], b"ab"]).unwrap();
    sent += producer.send_slice(&[b"ab"]).unwrap();
    sent += producer.send_slice(&[*b"ab"]).unwrap();
    sent += producer.send_slice(std::slice::from_ref(&text)).unwrap();
    sent += producer.send_slice(&[&text]).unwrap();
    sent += producer.send_slice(&[&vec]).unwrap();
    sent += producer.send_slice(std::slice::from_ref(&boxed)).unwrap();
    sent += producer.send_slice_timeout(&[Outgoing::from(&vec)], Duration::from_secs(60)).unwrap();
    sent += producer.send_batch([&text, &text]).unwrap();
    producer.send(&text).unwrap();
    producer.send(&boxed).unwrap();
    let plain = consumer.recv_batch(64).unwrap();
    assert_eq!(plain.len(), sent + 2);
    assert!(plain.iter().all(|message| (message.kind(), &*message) == (0, &b"ab"[..])));
    plain.ack().unwrap();

    sent = producer.send_slice(&[(7, "ab")]).unwrap();
    sent += producer.send_slice(&[(7, &b"ab"[..])]).unwrap();
    sent += producer.send_slice(&[(7, vec.clone())]).unwrap();
    sent += producer.send_slice(&[(7, text.clone())]).unwrap();
    sent += producer.send_slice(&[(7, *b"ab")]).unwrap();
    sent += producer.send_slice(&[(7, b"ab")]).unwrap();
    sent += producer.try_send_slice(&[Outgoing::from((7, "ab"))]).unwrap();
    producer.send((7, b"ab")).unwrap();
    producer.send((7, &vec)).unwrap();
    producer.send((7, &text)).unwrap();
    let marked = consumer.recv_batch(64).unwrap();
    assert_eq!(marked.len(), sent + 3);
    assert!(marked.iter().all(|message| (message.kind(), &*message) == (7, &b"ab"[..])));
}

#[test]
fn a_slice_of_typed_messages_may_have_kinds() {
    let name = TempName::new("slice-typed-kinds");
    let (mut producer, mut consumer) = typed(&name, 16);
    let (one, two) = (tick(1), tick(2));
    producer.send_slice(&[(5, one), (6, two)]).unwrap();
    producer.send_slice(&[(5, &one), (6, &two)]).unwrap();
    producer.send_slice(&[&one, &two]).unwrap();
    let batch = consumer.recv_batch(16).unwrap();
    let seen: Vec<_> = batch.iter().map(|message| (message.kind(), message.id)).collect();
    assert_eq!(seen, [(5, 1), (6, 2), (5, 1), (6, 2), (0, 1), (0, 2)]);
}

/// An empty slice needs no room.
#[test]
fn nothing_can_be_sent_into_a_full_queue() {
    let name = TempName::new("slice-nothing");
    let (mut producer, _consumer) = bytes(&name, 2, 8);
    producer.send_slice(&["a", "b"]).unwrap();
    assert!(matches!(producer.try_send("c"), Err(SendError::Full(_))));
    let none: [&str; 0] = [];
    assert_eq!(producer.try_send_slice(&none).unwrap(), 0);
    assert_eq!(producer.try_send_batch(&mut none.into_iter()).unwrap(), 0);
    assert_eq!(producer.send_slice(&none).unwrap(), 0);
    assert_eq!(producer.send_batch(none).unwrap(), 0);
    assert!(producer.try_reserve(0).is_ok());
    // The error says how many were sent; the rest stays in the iterator.
    let mut one = ["c"].into_iter();
    let fault = producer.try_send_batch(&mut one).unwrap_err();
    assert!(matches!(fault.reason(), SendError::Full(_)), "{fault}");
    assert_eq!(one.next(), Some("c"));
}

/// Copies are made in different ways by length.
#[test]
fn messages_of_every_length_arrive_whole_however_they_are_sent() {
    let name = TempName::new("every-length");
    let (mut producer, mut consumer) = bytes(&name, 4, 200);
    let content: Vec<u8> = (0..200).map(|i| i as u8 ^ 0x5a).collect();
    for len in 0..=content.len() {
        let message = &content[content.len() - len..];
        producer.try_send(message).unwrap();
        producer.try_send_batch(&mut [message].into_iter()).unwrap();
        producer.try_send_slice(&[message]).unwrap();
        // What lay in the slots before was one longer, or one shorter.
        let rest = &content[..len.min(7)];
        producer.try_send(rest).unwrap();
        for expected in [message, message, message, rest] {
            let received = consumer.try_recv().unwrap();
            assert_eq!(&*received, expected, "{len}");
            received.ack().unwrap();
        }
    }
}

/// In turn, so that each begins everywhere in the ring, with slots that another has reclaimed.
#[test]
fn all_ways_of_sending_take_turns() {
    let name = TempName::new("turns-of-sending");
    for capacity in [1, 2, 16, 128] {
        let (mut producer, mut consumer) = typed(&name, capacity);
        let queue = Queue::open(&name).unwrap();
        let room = capacity as usize;
        let (mut next, mut received) = (0, 0);
        for round in 0..400_usize {
            let n = (round % 37).min(room);
            let ticks: Vec<Tick> = (next..next + n as u64).map(tick).collect();
            match round % 5 {
                0 => {
                    for tick in &ticks {
                        producer.try_send(tick).unwrap();
                    }
                }
                1 => assert_eq!(producer.try_send_batch(&mut ticks.iter()).unwrap(), n),
                // One that does not know how many it has.
                2 => assert_eq!(
                    producer.try_send_batch(&mut ticks.iter().filter(|_| true)).unwrap(),
                    n
                ),
                3 => assert_eq!(producer.try_send_slice(&ticks).unwrap(), n),
                _ => {
                    // The last slot is given back.
                    let more = (n + 1).min(room);
                    let mut slots = producer.try_reserve(more).unwrap();
                    let all = slots.iter_mut();
                    assert_eq!(all.len(), more);
                    all.zip(&ticks).for_each(|(message, tick)| *message = *tick);
                    assert_eq!(slots.iter_mut().count(), more);
                    slots.publish_first(n);
                }
            }
            next += n as u64;
            assert_eq!(producer.sequence(), next);
            while let Ok(message) = consumer.try_recv() {
                assert_eq!((message.id, message.rest), (received, [!received; 5]));
                message.ack().unwrap();
                received += 1;
            }
            assert_eq!(received, next, "round {round}");
        }
        drop((producer, consumer));
        let counted = queue.snapshot().unwrap().producer.payload_bytes;
        assert_eq!(counted, next * size_of::<Tick>() as u64);
        slipring::remove(&name).unwrap();
    }
}

/// Slots are reclaimed by what an iterator says of itself. What it says may be wrong.
#[test]
fn an_iterator_that_says_too_much_or_too_little_loses_nothing() {
    struct Says<I>(I, usize);
    impl<I: Iterator> Iterator for Says<I> {
        type Item = I::Item;
        fn next(&mut self) -> Option<I::Item> {
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.1, None)
        }
    }
    let name = TempName::new("says");
    let (mut producer, mut consumer) = typed(&name, 64);
    let mut received = 0;
    for hint in [0, 1, 5, 40, usize::MAX] {
        for n in [0, 1, 3, 33, 64] {
            let ticks: Vec<Tick> = (received..received + n).map(tick).collect();
            let sent = producer.try_send_batch(&mut Says(ticks.iter(), hint)).unwrap();
            assert_eq!(sent, ticks.len());
            // Where a reclaimed slot was left, the next message lies.
            producer.try_send(&tick(received + n)).unwrap_or_else(|fault| {
                assert!(n == 64 && matches!(fault, SendError::Full(_)), "{fault}");
                0
            });
            while let Ok(message) = consumer.try_recv() {
                assert_eq!((message.id, message.rest), (received, [!received; 5]));
                message.ack().unwrap();
                received += 1;
            }
        }
    }
}
