//! The operations whose instructions are counted, by callgrind through gungraun. Only what a function with
//! `#[library_benchmark]` does counts, not its setup, nor what becomes of the value that it returns.
//!
//! By type of message, `typed` or `bytes`; by kind of group, exclusive unless it says `shared`. In a queue without sources
//! unless it says `sources`, or sends from a stream.

// What is counted should be counted to the end, or stop where it is.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::iter::repeat_n;

use gungraun::{library_benchmark, library_benchmark_group, main};
use instructions::MESSAGES;
use slipring::zerocopy::IntoBytes;
use slipring::{
    Builder, Consumer, Content, Group, Observer, Producer, Queue, RecvError, SendError, Start,
};

slipring::message! {
    struct Msg {
        word: [u64; 6],
    }
}

static MSG: Msg = Msg { word: [7; 6] };
const CAPACITY: usize = 2 * MESSAGES;
const BATCH: usize = 32;

/// A queue that goes away with this value.
struct Temp(String);

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

/// Both ends of a queue.
struct Ends<M: Content + ?Sized + 'static> {
    producer: Producer<M>,
    consumer: Consumer<M>,
    observer: Observer<M>,
    message: &'static M,
    _temp: Temp,
}

impl<M: Content + ?Sized> Ends<M> {
    /// With one lap done, so that nothing is done for the first time.
    fn new(group: Group, message: &'static M) -> Ends<M> {
        Ends::of(|builder| builder, group, message)
    }

    fn of(
        shape: impl FnOnce(Builder<Msg>) -> Builder<Msg>,
        group: Group,
        message: &'static M,
    ) -> Ends<M> {
        let temp = Temp(format!("instructions-{}", std::process::id()));
        let builder = Queue::builder(&temp.0).capacity(CAPACITY as u64).message::<Msg>();
        shape(builder).group(group.clone()).create().unwrap();
        let queue = Queue::open_typed::<M>(&temp.0).unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer(group).unwrap());
        let observer = queue.observer(Start::Newest).unwrap();
        let ends = Ends { producer, consumer, observer, message, _temp: temp };
        let mut ends = ends.filled(CAPACITY);
        for _ in 0..CAPACITY {
            ends.consumer.try_recv().unwrap().ack().unwrap();
            ends.observer.try_recv().unwrap();
        }
        ends
    }

    /// With messages to be taken. A busy consumer looks around every 2 ms: here it has just done so.
    fn ready(self) -> Ends<M> {
        const BEFORE: usize = 512;
        let mut ends = self.filled(BEFORE + MESSAGES);
        for _ in 0..BEFORE {
            ends.consumer.try_recv().unwrap().ack().unwrap();
        }
        ends
    }

    fn filled(mut self, n: usize) -> Ends<M> {
        assert_eq!(self.producer.send_batch(repeat_n(self.message, n)).unwrap(), n);
        self
    }
}

fn typed() -> Ends<Msg> {
    Ends::new(Group::named("bench"), &MSG)
}

fn shared() -> Ends<Msg> {
    Ends::new(Group::named("bench").shared(), &MSG)
}

fn bytes() -> Ends<[u8]> {
    Ends::new(Group::named("bench"), MSG.as_bytes())
}

/// With a stream in the table.
fn with_sources<M: Content + ?Sized>(message: &'static M) -> Ends<M> {
    let mut ends = Ends::of(|builder| builder.sources(1), Group::named("bench"), message);
    assert_eq!(ends.producer.stream("bench").unwrap().last_position(), None);
    ends
}

fn typed_sources() -> Ends<Msg> {
    with_sources(&MSG)
}

fn bytes_sources() -> Ends<[u8]> {
    with_sources(MSG.as_bytes())
}

fn sources_ready() -> Ends<Msg> {
    typed_sources().ready()
}

fn typed_ready() -> Ends<Msg> {
    typed().ready()
}

fn shared_ready() -> Ends<Msg> {
    shared().ready()
}

fn bytes_ready() -> Ends<[u8]> {
    bytes().ready()
}

fn typed_full() -> Ends<Msg> {
    typed().filled(CAPACITY)
}

fn shared_full() -> Ends<Msg> {
    shared().filled(CAPACITY)
}

#[library_benchmark]
#[bench::typed(setup = typed)]
#[bench::shared(setup = shared)]
#[bench::bytes(setup = bytes)]
#[bench::sources(setup = typed_sources)]
fn send<M: Content + ?Sized>(mut ends: Ends<M>) -> Ends<M> {
    for _ in 0..MESSAGES {
        ends.producer.try_send(black_box(ends.message)).unwrap();
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_sources)]
#[bench::bytes(setup = bytes_sources)]
fn send_from<M: Content + ?Sized>(mut ends: Ends<M>) -> Ends<M> {
    let mut stream = ends.producer.stream("bench").unwrap();
    for position in 1..=MESSAGES as u64 {
        let _ = stream.try_send(position, black_box(ends.message)).unwrap();
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed)]
#[bench::bytes(setup = bytes)]
#[bench::sources(setup = typed_sources)]
fn send_batch<M: Content + ?Sized>(mut ends: Ends<M>) -> Ends<M> {
    let batch = [ends.message; BATCH];
    for _ in 0..MESSAGES / BATCH {
        let mut batch = black_box(&batch).iter().copied();
        assert_eq!(ends.producer.try_send_batch(&mut batch).unwrap(), BATCH);
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_sources)]
#[bench::bytes(setup = bytes_sources)]
fn send_batch_from<M: Content + ?Sized>(mut ends: Ends<M>) -> Ends<M> {
    let mut stream = ends.producer.stream("bench").unwrap();
    let batch = [ends.message; BATCH];
    for n in 0..MESSAGES / BATCH {
        let positions = 1 + (n * BATCH) as u64..;
        let mut batch = positions.zip(black_box(&batch).iter().copied());
        assert_eq!(stream.try_send_batch(&mut batch).unwrap().published, BATCH);
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_sources)]
fn reserve_publish_from(mut ends: Ends<Msg>) -> Ends<Msg> {
    let mut stream = ends.producer.stream("bench").unwrap();
    let source = ends.message;
    for batch in 0..MESSAGES / BATCH {
        let mut slots = stream.try_reserve(1 + (batch * BATCH) as u64, BATCH).unwrap();
        for message in slots.iter_mut() {
            *message = *black_box(source);
        }
        slots.publish();
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed)]
fn reserve_publish(mut ends: Ends<Msg>) -> Ends<Msg> {
    let source = ends.message;
    for _ in 0..MESSAGES / BATCH {
        let mut slots = ends.producer.try_reserve(BATCH).unwrap();
        for message in slots.iter_mut() {
            *message = *black_box(source);
        }
        slots.publish();
    }
    ends
}

// The answer that there is no room.
#[library_benchmark]
#[bench::typed(setup = typed_full)]
#[bench::shared(setup = shared_full)]
fn send_full(mut ends: Ends<Msg>) -> Ends<Msg> {
    for _ in 0..MESSAGES {
        let answer = ends.producer.try_send(black_box(ends.message));
        assert!(matches!(answer, Err(SendError::Full(_))));
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_ready)]
#[bench::shared(setup = shared_ready)]
#[bench::bytes(setup = bytes_ready)]
#[bench::sources(setup = sources_ready)]
fn recv_ack<M: Content + ?Sized>(mut ends: Ends<M>) -> Ends<M> {
    for _ in 0..MESSAGES {
        let message = ends.consumer.try_recv().unwrap();
        black_box(&*message);
        message.ack().unwrap();
    }
    ends
}

// The answer that nothing has come.
#[library_benchmark]
#[bench::typed(setup = typed)]
#[bench::shared(setup = shared)]
fn recv_empty(mut ends: Ends<Msg>) -> Ends<Msg> {
    for _ in 0..MESSAGES {
        assert!(matches!(ends.consumer.try_recv(), Err(RecvError::Empty)));
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_ready)]
#[bench::shared(setup = shared_ready)]
#[bench::bytes(setup = bytes_ready)]
fn batch_ack<M: Content + ?Sized>(mut ends: Ends<M>) -> Ends<M> {
    for _ in 0..MESSAGES / BATCH {
        let batch = ends.consumer.try_recv_batch(BATCH).unwrap();
        for message in &batch {
            black_box(&*message);
        }
        batch.ack().unwrap();
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_ready)]
#[bench::sources(setup = sources_ready)]
fn observe(mut ends: Ends<Msg>) -> Ends<Msg> {
    for _ in 0..MESSAGES {
        black_box(ends.observer.try_recv().unwrap());
    }
    ends
}

library_benchmark_group!(
    name = operations,
    benchmarks = [
        send,
        send_from,
        send_batch,
        send_batch_from,
        reserve_publish,
        reserve_publish_from,
        send_full,
        recv_ack,
        recv_empty,
        batch_ack,
        observe
    ]
);
main!(library_benchmark_groups = operations);
