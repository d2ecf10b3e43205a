//! What the producer pays: one by one and in batches, by payload, and when the queue is full. One core, nobody
//! reads meanwhile. `fan_out.rs` has it by number of groups.
//!
//! Batch sizes with one payload, payloads with two batch sizes. Shared groups with these two only: the producer
//! looks at the groups once in a quarter of the ring, and pays the same for both kinds in between.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{BATCHES, CAPACITY, Ends, PAYLOAD, PAYLOADS, criterion, drain, kinds, throughput};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use slipring::{Producer, SendError};

const HALF: usize = CAPACITY / 2;
/// Different messages that are sent in turn: so few that they stay in the nearest cache.
const HOT: usize = 4;

/// One batch, or without that detour one message.
#[inline(never)]
fn publish(producer: &mut Producer, batch: &[&[u8]]) {
    if let [message] = batch {
        producer.try_send(*message).unwrap();
    } else {
        let sent = producer.try_send_batch(&mut batch.iter().copied());
        assert_eq!(sent.unwrap(), batch.len());
    }
}

/// Half a ring at once on the clock; off it the messages are taken, which must be as they were sent, and acked.
fn timed(ends: &mut Ends, n: usize, batches: u64) -> Duration {
    let Ends { producer, consumer, messages, .. } = ends;
    let batch: Vec<&[u8]> = (0..n).map(|i| &messages[i % HOT][..]).collect();
    let (mut time, mut left) = (Duration::ZERO, batches as usize);
    while left > 0 {
        let run = left.min(HALF / n);
        let start = Instant::now();
        for _ in 0..run {
            publish(producer, black_box(&batch));
        }
        time += start.elapsed();
        drain(consumer, run * n, |i| batch[i % n]);
        left -= run;
    }
    time
}

fn by_batch(criterion: &mut Criterion) {
    for (kind, of) in kinds() {
        let mut ends = Ends::new(PAYLOAD, &of);
        let mut group = criterion.benchmark_group(format!("publish, {kind}, by batch"));
        let sizes = if kind == "shared" { &[1, 32][..] } else { &BATCHES };
        for &n in sizes {
            group.throughput(throughput(n, PAYLOAD));
            group.bench_function(BenchmarkId::from_parameter(n), |bencher| {
                bencher.iter_custom(|batches| timed(&mut ends, n, batches));
            });
        }
    }
}

fn by_payload(criterion: &mut Criterion) {
    let [(_, exclusive), _] = kinds();
    for n in [1, 32] {
        let mut group = criterion.benchmark_group(format!("publish {n}, by payload"));
        for payload in PAYLOADS {
            let mut ends = Ends::new(payload, &exclusive);
            group.throughput(throughput(n, payload));
            group.bench_function(BenchmarkId::from_parameter(payload), |bencher| {
                bencher.iter_custom(|batches| timed(&mut ends, n, batches));
            });
        }
    }
}

/// The answer that there is no room, each time with a new look at all groups.
fn full(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("try_send, queue full");
    for (kind, of) in kinds() {
        let mut ends = Ends::new(PAYLOAD, &of);
        ends.fill();
        let Ends { mut producer, mut consumer, messages, .. } = ends;
        let mut full = || producer.try_send(black_box(&messages[0][..]));
        assert!(matches!(full(), Err(SendError::Full(_))));
        group.bench_function(kind, |bencher| bencher.iter(&mut full));
        drain(&mut consumer, CAPACITY, |i| &messages[i]);
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = by_batch, by_payload, full
}
criterion_main!(benches);
