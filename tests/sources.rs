//! Messages that say where they come from: each position of a stream is in the queue once, whoever sends it again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use common::TempName;
use slipring::{
    BatchSent, ForgetStreamError, Group, Queue, SendError, Sent, Start, StreamError, StreamId,
    StreamSendError,
};

fn queue(name: &TempName, streams: usize) -> Queue {
    let builder = Queue::builder(name).capacity(8).payload_size(48).sources(streams);
    builder.group("g").create().unwrap()
}

/// Stream and position of each message that the group has not acked.
fn received(queue: &Queue) -> Vec<Option<(StreamId, u64)>> {
    let mut consumer = queue.consumer("g").unwrap();
    let batch = consumer.try_recv_batch(64).unwrap();
    let sources = batch.iter().map(|message| message.source());
    let all = sources.map(|source| source.map(|s| (s.stream(), s.position()))).collect();
    batch.ack().unwrap();
    all
}

#[test]
fn a_sender_that_starts_again_goes_on_after_its_last_position() {
    let name = TempName::new("resume");
    let queue = queue(&name, 2);
    let feed = StreamId::named("feed");
    let mut producer = queue.producer().unwrap();
    let mut stream = producer.stream("feed").unwrap();
    assert_eq!(stream.last_position(), None);
    assert_eq!(stream.send(10, "a").unwrap(), Sent::Published(0));
    assert_eq!(stream.send(20, "b").unwrap(), Sent::Published(1));
    drop(producer);

    let mut producer = queue.producer().unwrap();
    assert_eq!(producer.last_position(feed), Some(20));
    let mut stream = producer.stream(feed).unwrap();
    // It sends again what it does not know to be there.
    assert_eq!(stream.send(10, "a").unwrap(), Sent::AlreadyThere);
    assert_eq!(stream.send(20, "b").unwrap(), Sent::AlreadyThere);
    assert_eq!(stream.send(30, "c").unwrap(), Sent::Published(2));
    assert_eq!(received(&queue), [Some((feed, 10)), Some((feed, 20)), Some((feed, 30))]);
}

#[test]
fn a_position_that_does_not_rise_is_an_error_and_sends_nothing() {
    let name = TempName::new("not-rising");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let _ = producer.send_from("feed", 5, "a").unwrap();
    for position in [5, 4, 0] {
        let fault = producer.stream("feed").unwrap().send(position, "b").unwrap_err();
        let StreamSendError::NotRising { last: 5, position: p, .. } = &fault else {
            panic!("{fault}")
        };
        assert_eq!(*p, position);
        assert_eq!(fault.code().name(), "not-rising");
    }
    let mut twice = [(6, "c"), (6, "d")].into_iter();
    let fault = producer.stream("feed").unwrap().try_send_batch(&mut twice).unwrap_err();
    assert!(matches!(fault, StreamSendError::NotRising { position: 6, last: 6, .. }), "{fault}");
    assert_eq!(received(&queue).len(), 2);
}

#[test]
fn batches_skip_what_is_there() {
    let name = TempName::new("batches");
    let queue = queue(&name, 1);
    let all = || (1..=6).map(|position| (position, "x"));
    let mut producer = queue.producer().unwrap();
    let sent = producer.stream("s").unwrap().send_batch(all().take(4)).unwrap();
    assert_eq!(sent, BatchSent { published: 4, already_there: 0 });
    drop(producer);
    let mut producer = queue.producer().unwrap();
    let sent = producer.stream("s").unwrap().send_batch(all()).unwrap();
    assert_eq!(sent, BatchSent { published: 2, already_there: 4 });
    let positions = received(&queue).into_iter().map(|source| source.unwrap().1);
    assert_eq!(positions.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_full_queue_takes_no_message_from_a_batch() {
    let name = TempName::new("full");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let mut messages = (1..=20).map(|position| (position, "x"));
    let mut stream = producer.stream("s").unwrap();
    assert_eq!(stream.try_send_batch(&mut messages).unwrap().published, 8);
    let fault = stream.try_send_batch(&mut messages).unwrap_err();
    assert!(matches!(fault, StreamSendError::Send(SendError::Full(_))), "{fault}");
    assert_eq!(received(&queue).len(), 8);
    assert_eq!(messages.next(), Some((9, "x")));
}

#[test]
fn other_ways_to_send_have_no_source_and_change_no_last_position() {
    let name = TempName::new("plain");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let _ = producer.stream("s").unwrap().send_batch((1..=8).map(|p| (p, "x"))).unwrap();
    assert_eq!(received(&queue).len(), 8);
    // In the very slots of the stream's messages.
    producer.send("plain").unwrap();
    producer.send_batch(["batch", "batch"]).unwrap();
    producer.send_slice(&["slice", "slice"]).unwrap();
    let mut slots = producer.reserve(2).unwrap();
    slots.set_len(0, 3);
    slots.publish();
    assert_eq!(received(&queue), [None; 7]);
    drop(producer);
    assert_eq!(queue.producer().unwrap().last_position("s"), Some(8));
}

#[test]
fn slots_written_in_place_have_positions_in_a_row() {
    let name = TempName::new("in-place");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let mut stream = producer.stream("s").unwrap();
    let mut slots = stream.reserve(7, 3).unwrap();
    for i in 0..3 {
        slots.bytes_mut(i).unwrap()[0] = i as u8;
        assert!(slots.set_len(i, 1));
    }
    slots.publish_first(2);
    assert_eq!(stream.last_position(), Some(8));
    let fault = stream.reserve(8, 1).unwrap_err();
    assert!(matches!(fault, StreamSendError::NotRising { last: 8, .. }), "{fault}");
    let _ = stream.send(9, "x").unwrap();
    let positions = received(&queue).into_iter().map(|source| source.unwrap().1);
    assert_eq!(positions.collect::<Vec<_>>(), [7, 8, 9]);
}

#[test]
fn observers_and_copies_see_the_source() {
    let name = TempName::new("observer");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let _ = producer.send_from("s", 3, "a").unwrap();
    producer.send("b").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let source = observer.try_recv().unwrap().source().unwrap();
    assert_eq!((source.stream(), source.position()), ("s".into(), 3));
    assert_eq!(source.stream().label(), "s");
    assert_eq!(observer.try_recv().unwrap().source(), None);
    let mut consumer = queue.consumer("g").unwrap();
    let mut messages = consumer.messages();
    assert_eq!(messages.next().unwrap().unwrap().source(), Some(source));
}

#[test]
fn a_stream_starts_at_its_first_position_however_that_comes() {
    let name = TempName::new("start");
    let queue = queue(&name, 3);
    let mut producer = queue.producer().unwrap();
    let _ = producer.stream("batch").unwrap().send_batch([(4, "a"), (7, "b")]).unwrap();
    let mut stream = producer.stream("reserved").unwrap();
    stream.reserve(5, 2).unwrap().publish();
    producer.stream("passed").unwrap().pass(6).unwrap();
    let _ = producer.send_from("passed", 8, "c").unwrap();
    let known = queue.streams().unwrap();
    let positions = |at: usize| (known[at].start.unwrap(), known[at].last.unwrap());
    assert_eq!([0, 1, 2].map(positions), [(4, 7), (5, 6), (6, 8)]);
}

#[test]
fn the_table_of_streams_is_full_at_its_size() {
    let name = TempName::new("full-table");
    let queue = queue(&name, 2);
    let mut producer = queue.producer().unwrap();
    for stream in ["a", "b"] {
        let _ = producer.send_from(stream, 1, "x").unwrap();
    }
    let fault = producer.stream("c").unwrap_err();
    assert!(matches!(&fault, StreamError::TooMany { streams, .. } if streams.len() == 2));
    assert!(fault.to_string().contains(r#""a", "b""#), "{fault}");
    let known = queue.streams().unwrap();
    assert_eq!(known.len(), 2);
    assert_eq!((known[1].stream, known[1].start, known[1].last), ("b".into(), Some(1), Some(1)));
    assert_eq!((known[1].number, known[1].in_ring), (2, 1));
    assert!(fault.to_string().contains(&format!("slipring streams forget {} STREAM", &*name)));
    assert_eq!(slipring::OpenOptions::new().streams(&name).unwrap(), known);
}

#[test]
fn a_stream_is_forgotten_only_once_the_ring_has_none_of_it() {
    let name = TempName::new("forget");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    assert!(!producer.forget_stream("a").unwrap());
    let _ = producer.send_from("a", 1, "x").unwrap();
    received(&queue);
    let fault = producer.forget_stream("a").unwrap_err();
    assert!(matches!(fault, ForgetStreamError::InRing { capacity: 8, .. }), "{fault}");
    producer.send_batch(["x"; 7]).unwrap();
    received(&queue);
    assert_eq!(queue.streams().unwrap()[0].in_ring, 1);
    producer.send("x").unwrap();
    assert_eq!(queue.streams().unwrap()[0].in_ring, 0);
    assert!(producer.forget_stream("a").unwrap());
    assert_eq!(producer.send_from("b", 1, "x").unwrap(), Sent::Published(9));
    assert_eq!(producer.last_position("a"), None);
}

#[test]
fn a_stream_is_not_forgotten_while_a_message_of_it_is_in_flight() {
    let name = TempName::new("in-flight");
    let group = Group::named("work").shared().in_flight(8);
    let queue = Queue::builder(&name).capacity(2).payload_size(32).sources(1).group(group);
    let queue = queue.create().unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut producer = queue.producer().unwrap();
    let _ = producer.send_from("a", 7, "x").unwrap();
    let job = worker.recv().unwrap();
    for _ in 0..2 {
        producer.send("y").unwrap();
        worker.recv().unwrap().ack().unwrap();
    }
    let known = &queue.streams().unwrap()[0];
    assert_eq!((known.in_ring, known.in_flight), (0, 1));
    let fault = producer.forget_stream("a").unwrap_err();
    assert!(fault.to_string().contains("or in flight"), "{fault}");
    job.give_back().unwrap();
    let again = worker.recv().unwrap();
    let source = again.source().unwrap();
    assert_eq!((source.stream(), source.position()), ("a".into(), 7));
    again.ack().unwrap();
    assert!(producer.forget_stream("a").unwrap());
}

#[test]
fn a_passed_position_counts_as_done() {
    let name = TempName::new("pass");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let mut stream = producer.stream("s").unwrap();
    let _ = stream.send(1, "x").unwrap();
    stream.pass(5).unwrap();
    assert!(stream.pass(5).is_err());
    drop(producer);
    let mut producer = queue.producer().unwrap();
    let mut stream = producer.stream("s").unwrap();
    assert_eq!(stream.send(5, "x").unwrap(), Sent::AlreadyThere);
    assert_eq!(stream.send(6, "x").unwrap(), Sent::Published(1));
}

#[test]
fn a_position_is_not_passed_for_long_in_a_removed_queue() {
    let name = TempName::new("pass-removed");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    slipring::force_remove(&name).unwrap();
    let mut stream = producer.stream("s").unwrap();
    let begun = std::time::Instant::now();
    let removed = (1..).find_map(|position| {
        assert!(begun.elapsed().as_secs() < 60, "{position} passed");
        stream.pass(position).err()
    });
    let fault = removed.unwrap();
    assert!(matches!(fault, StreamSendError::Send(SendError::Removed { .. })), "{fault}");
    assert!(matches!(stream.pass(u64::MAX), Err(StreamSendError::Send(SendError::Removed { .. }))));
}

#[test]
fn a_queue_without_sources_says_so() {
    let name = TempName::new("without");
    let queue = Queue::builder(&name).group("g").create().unwrap();
    let fault = queue.producer().unwrap().stream("s").unwrap_err();
    assert!(matches!(fault, StreamError::NoSources { .. }), "{fault}");
    queue.producer().unwrap().send("x").unwrap();
    assert_eq!(received(&queue), [None]);
    assert!(queue.streams().unwrap().is_empty());
}

#[test]
fn a_shape_that_cannot_be_is_refused() {
    let name = TempName::new("shape");
    let fault = Queue::builder(&name).sources(128).create().unwrap_err();
    assert!(fault.to_string().contains("1 to 127"), "{fault}");
}

#[test]
fn each_message_of_a_batch_is_there_while_its_iterator_waits() {
    let name = TempName::new("waits");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let (queue, mut stream) = (&queue, producer.stream("s").unwrap());
    let sent = stream.send_batch((1..=3).map(|position| {
        assert_eq!(queue.observer(Start::Oldest).unwrap().count_there(), position - 1);
        (position, "x")
    }));
    assert_eq!(sent.unwrap().published, 3);
}

trait CountThere {
    fn count_there(self) -> u64;
}

impl CountThere for slipring::Observer {
    fn count_there(mut self) -> u64 {
        (0..).take_while(|_| self.try_recv().is_ok()).count() as u64
    }
}

#[test]
fn a_panic_in_the_iterator_leaves_what_was_sent_before() {
    let name = TempName::new("panics");
    let queue = queue(&name, 1);
    let mut producer = queue.producer().unwrap();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let messages =
            (1..).map(|position| if position < 4 { (position, "x") } else { panic!("meant") });
        let _ = producer.stream("s").unwrap().send_batch(messages);
    }));
    assert!(result.is_err());
    let mut stream = producer.stream("s").unwrap();
    assert_eq!(stream.last_position(), Some(3));
    let _ = stream.send(4, "x").unwrap();
    let positions = received(&queue).into_iter().map(|source| source.unwrap().1);
    assert_eq!(positions.collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn what_is_there_already_waits_for_no_room() {
    let name = TempName::new("no-wait");
    let queue = queue(&name, 1);
    let all = || (1..=8).map(|position| (position, "x"));
    let _ = queue.producer().unwrap().stream("s").unwrap().send_batch(all()).unwrap();
    let mut producer = queue.producer().unwrap();
    let mut stream = producer.stream("s").unwrap();
    // The queue is full.
    let sent = stream.send_batch(all()).unwrap();
    assert_eq!(sent, BatchSent { published: 0, already_there: 8 });
    let mut none = all().take(0);
    assert_eq!(stream.try_send_batch(&mut none).unwrap(), BatchSent::default());
}
