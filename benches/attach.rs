//! How long it takes to open a queue of 64 MiB and take a role in it. To give the role back is off the clock.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use common::{GROUP, PAYLOAD, Temp, criterion};
use criterion::{Criterion, criterion_group, criterion_main};
use slipring::{Queue, Start};

/// Slots of 64 bytes.
const CAPACITY: u64 = 1 << 20;

/// Opens the queue and does something with it; then what came of that goes away.
fn time<T>(name: &str, attach: impl Fn(Queue) -> T, times: u64) -> Duration {
    let once = || {
        let start = Instant::now();
        let handle = attach(Queue::open(name).unwrap());
        let time = start.elapsed();
        drop(handle);
        time
    };
    (0..times).map(|_| once()).sum()
}

fn attach(criterion: &mut Criterion) {
    let temp = Temp::new();
    let name = temp.name();
    let builder = Queue::builder(name).capacity(CAPACITY).payload_size(PAYLOAD);
    builder.group(GROUP).create().unwrap();
    // Each role works.
    let producer = |queue: Queue| queue.producer().unwrap();
    let consumer = |queue: Queue| queue.consumer(GROUP).unwrap();
    let observer = |queue: Queue| queue.observer(Start::Oldest).unwrap();
    let open = || Queue::open(name).unwrap();
    producer(open()).send(b"here").unwrap();
    consumer(open()).recv().unwrap().ack().unwrap();
    observer(open()).try_recv().unwrap();

    let mut group = criterion.benchmark_group("attach to 64 MiB");
    group.bench_function("producer", |it| it.iter_custom(|times| time(name, producer, times)));
    group.bench_function("consumer", |it| it.iter_custom(|times| time(name, consumer, times)));
    group.bench_function("observer", |it| it.iter_custom(|times| time(name, observer, times)));
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = attach
}
criterion_main!(benches);
