//! The stream.

use futures::executor::block_on;
use futures::stream::{FusedStream, StreamExt};
use slipring::{Group, Queue, RecvError, WakeMode, message};

use crate::common::{TempName, there};

message! {
    struct Reading {
        id: u64,
        value: f64,
    }
}

#[test]
fn a_close_ends_the_stream_when_all_is_acked() {
    let name = TempName::new("stream");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    producer.send((7, "one")).unwrap();
    producer.send("two").unwrap();
    producer.close().unwrap();
    let mut messages = consumer.messages();
    let mut next = || block_on(messages.next());
    let first = next().unwrap().unwrap();
    assert_eq!((first.kind(), first.sequence(), first.requeued()), (7, 0, false));
    assert_eq!(first.into_content(), b"one");
    assert_eq!(*next().unwrap().unwrap(), b"two");
    assert!(next().is_none() && next().is_none());
    assert!(messages.is_terminated());
    assert_eq!(consumer.get_ref().position(), 2);
}

#[test]
fn a_dropped_stream_leaves_its_last_message_unless_that_is_acked() {
    let name = TempName::new("stream-last");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    producer.send_batch(["a", "b", "c"]).unwrap();
    let mut messages = consumer.messages();
    block_on(messages.next()).unwrap().unwrap();
    block_on(messages.next()).unwrap().unwrap();
    let mut messages = consumer.messages();
    let again = block_on(messages.next()).unwrap().unwrap();
    assert_eq!((again.sequence(), again.attempts()), (1, 2));
    assert!(again.redelivered());
    messages.ack().unwrap();
    messages.ack().unwrap();
    let next = block_on(consumer.recv()).unwrap();
    assert_eq!((next.sequence(), next.attempts()), (2, 1));
}

#[test]
fn the_last_message_of_a_stream_can_be_rejected() {
    let name = TempName::new("stream-reject");
    let dead = TempName::exactly(format!("{}.dead", &*name));
    let group = || Group::named("g").shared();
    let queue: Queue = Queue::builder(&name).capacity(8).group(group()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer(group()).unwrap().into_async();
    producer.send_batch(["bad", "good"]).unwrap();
    let mut messages = consumer.messages();
    block_on(messages.next()).unwrap().unwrap();
    messages.unacked().unwrap().reject().unwrap();
    assert!(messages.unacked().is_none());
    let good = block_on(messages.next()).unwrap().unwrap();
    assert_eq!((good.sequence(), good.attempts()), (1, 1));
    let dead = Queue::open(&dead).unwrap();
    assert!(there(dead.consumer("dead").unwrap().try_recv()).is_some());
}

#[test]
fn an_error_ends_the_stream() {
    let name = TempName::new("stream-removed");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    slipring::force_remove(&name).unwrap();
    let mut messages = consumer.messages();
    assert!(matches!(block_on(messages.next()), Some(Err(RecvError::Removed { .. }))));
    assert!(block_on(messages.next()).is_none());
}

#[test]
fn a_stream_of_types() {
    let name = TempName::new("stream-typed");
    let queue = Queue::builder(&name).message::<Reading>().capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap().into_async();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    block_on(producer.send(&Reading { id: 3, value: 0.5 })).unwrap();
    let reading = block_on(consumer.messages().next()).unwrap().unwrap();
    assert_eq!((reading.id, reading.value), (3, 0.5));
}

#[test]
fn a_message_is_received_into_a_place_and_acked() {
    let name = TempName::new("async-into");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    producer.send((7, "one")).unwrap();
    let mut out = b"before".to_vec();
    let info = block_on(consumer.recv_into(&mut out)).unwrap();
    assert_eq!((info.sequence(), info.kind(), &out[..]), (0, 7, &b"one"[..]));
    assert_eq!(consumer.get_ref().position(), 1);
}

/// A look makes so many letters at most; the future then looks again at once, and sleeps beside none.
#[test]
fn a_message_after_many_letters_is_received() {
    const MESSAGES: usize = 500;
    for mode in [WakeMode::Membarrier, WakeMode::None] {
        for group in [Group::named("g"), Group::named("g").shared()] {
            let name = TempName::new("async-letters");
            let group = group.max_attempts(1);
            let queue = Queue::builder(&name).capacity(512).group(&group).wake_mode(mode);
            let queue = queue.create().unwrap();
            let mut producer = queue.producer().unwrap();
            producer.send_batch(vec!["bad"; MESSAGES]).unwrap();
            let mut consumer = queue.consumer(group).unwrap();
            let (told, hears) = std::sync::mpsc::channel();
            consumer.on_dead_letter(move |letter| told.send(letter.sequence));
            drop(consumer.recv_batch(MESSAGES).unwrap());
            producer.send("good").unwrap();
            let mut consumer = consumer.into_async();
            let good = block_on(consumer.recv()).unwrap();
            assert_eq!((good.sequence(), &good[..]), (MESSAGES as u64, &b"good"[..]));
            good.ack().unwrap();
            assert_eq!(hears.try_iter().count(), MESSAGES);
        }
    }
}
