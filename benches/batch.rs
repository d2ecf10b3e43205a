//! Taking a batch from a ready ring: claim up to n, read each payload, ack. One core, no waiting.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slipring::{Consumer, Group, Producer, Queue};

const PAYLOAD: usize = 48;
const CAPACITY: usize = 4096;

/// A queue that goes away with this value.
struct Temp(String);

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = slipring::remove(&self.0, true);
    }
}

fn refill(producer: &mut Producer) {
    let payloads: Vec<[u8; PAYLOAD]> = (0..CAPACITY).map(|i| [i as u8; PAYLOAD]).collect();
    assert_eq!(producer.send_batch(&payloads).unwrap(), CAPACITY);
}

/// One batch of `n`; the sum of the payloads' first words.
#[inline(never)]
fn dequeue(consumer: &mut Consumer, n: usize) -> u64 {
    let batch = consumer.try_batch(n).unwrap().expect("the ring is ready");
    let mut sum = 0u64;
    for message in &batch {
        let (words, _) = message.as_chunks::<8>();
        for word in words {
            sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    batch.ack();
    sum
}

/// What is timed must be what is meant: whole batches, in order, with their contents.
fn check(producer: &mut Producer, consumer: &mut Consumer, n: usize) {
    refill(producer);
    for first in (0..CAPACITY).step_by(n) {
        let batch = consumer.try_batch(n).unwrap().expect("the ring is ready");
        assert_eq!(batch.len(), n);
        for (i, message) in (first..).zip(&batch) {
            assert_eq!(*message, [i as u8; PAYLOAD]);
        }
        batch.ack();
    }
    assert!(consumer.try_batch(n).unwrap().is_none());
}

/// Refills whenever the ring is empty, off the clock.
fn timed(producer: &mut Producer, consumer: &mut Consumer, n: usize, batches: u64) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = batches;
    while left > 0 {
        refill(producer);
        let ready = CAPACITY / n;
        let run = left.min(ready as u64);
        let start = Instant::now();
        for _ in 0..run {
            black_box(dequeue(consumer, n));
        }
        time += start.elapsed();
        for _ in run..ready as u64 {
            dequeue(consumer, n);
        }
        left -= run;
    }
    time
}

fn dequeue_batches(criterion: &mut Criterion) {
    dequeue_from(criterion, "dequeue", &Group::named("bench"));
    dequeue_from(criterion, "dequeue shared", &Group::named("bench").shared());
}

fn dequeue_from(criterion: &mut Criterion, name: &str, of: &Group) {
    let temp = Temp(format!("bench-batch-{}", std::process::id()));
    let builder = Queue::builder(&temp.0).capacity(CAPACITY as u64).payload_size(PAYLOAD);
    let queue = builder.prefault(true).group(of).create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer(of).unwrap());
    let mut group = criterion.benchmark_group(name);
    for n in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
        check(&mut producer, &mut consumer, n);
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::from_parameter(n), |bencher| {
            bencher.iter_custom(|batches| timed(&mut producer, &mut consumer, n, batches));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = dequeue_batches
}
criterion_main!(benches);
