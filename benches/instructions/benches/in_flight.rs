//! The same for messages in flight. A binary of its own, because more operations in one change what is inlined in the others.

// What is counted should be counted to the end, or stop where it is.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::iter::repeat_n;

use gungraun::{library_benchmark, library_benchmark_group, main};
use instructions::MESSAGES;
use slipring::zerocopy::IntoBytes;
use slipring::{Content, Group, Producer, Queue, Worker};

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

/// Both ends of a queue whose group has places for messages in flight.
struct InFlight<M: Content + ?Sized + 'static> {
    producer: Producer<M>,
    worker: Worker<M>,
    message: &'static M,
    _temp: Temp,
}

impl<M: Content + ?Sized> InFlight<M> {
    /// With messages to be taken, and memory for their copies.
    fn new(message: &'static M) -> InFlight<M> {
        let temp = Temp(format!("instructions-{}", std::process::id()));
        let group = Group::named("bench").shared().in_flight(256);
        let builder = Queue::builder(&temp.0).capacity(CAPACITY as u64).message::<Msg>();
        builder.group(group.clone()).create().unwrap();
        let queue = Queue::open_typed::<M>(&temp.0).unwrap();
        let (producer, worker) = (queue.producer().unwrap(), queue.worker(group).unwrap());
        let mut ends = InFlight { producer, worker, message, _temp: temp }.filled(CAPACITY);
        for _ in 0..CAPACITY / BATCH {
            ends.take_batch();
        }
        ends.filled(MESSAGES)
    }

    fn filled(mut self, n: usize) -> InFlight<M> {
        assert_eq!(self.producer.send_batch(repeat_n(self.message, n)).unwrap(), n);
        self
    }

    fn take_batch(&mut self) {
        for job in self.worker.try_recv_batch(BATCH).unwrap() {
            black_box(&*job);
            job.ack().unwrap();
        }
    }
}

fn typed_in_flight() -> InFlight<Msg> {
    InFlight::new(&MSG)
}

fn bytes_in_flight() -> InFlight<[u8]> {
    InFlight::new(MSG.as_bytes())
}

#[library_benchmark]
#[bench::typed(setup = typed_in_flight)]
#[bench::bytes(setup = bytes_in_flight)]
fn in_flight_recv_ack<M: Content + ?Sized>(mut ends: InFlight<M>) -> InFlight<M> {
    for _ in 0..MESSAGES {
        let job = ends.worker.try_recv().unwrap();
        black_box(&*job);
        job.ack().unwrap();
    }
    ends
}

#[library_benchmark]
#[bench::typed(setup = typed_in_flight)]
#[bench::bytes(setup = bytes_in_flight)]
fn in_flight_batch_ack<M: Content + ?Sized>(mut ends: InFlight<M>) -> InFlight<M> {
    for _ in 0..MESSAGES / BATCH {
        ends.take_batch();
    }
    ends
}

library_benchmark_group!(name = in_flight, benchmarks = [in_flight_recv_ack, in_flight_batch_ack]);
main!(library_benchmark_groups = in_flight);
