//! Taking a batch from a ready ring: claim up to n, read each payload, ack. One core, no waiting.
//!
//! Batch sizes with one payload, payloads with one batch size.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{BATCHES, Ends, PAYLOAD, PAYLOADS, criterion, kinds, sum, taking, throughput};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use slipring::{Consumer, RecvError};

/// One batch of `n`; the sum of its words.
#[inline(never)]
fn dequeue(consumer: &mut Consumer, n: usize) -> u64 {
    let batch = consumer.try_recv_batch(n).unwrap();
    let mut total = 0u64;
    for message in &batch {
        total = total.wrapping_add(sum(&message));
    }
    batch.ack().unwrap();
    total
}

/// What is timed must be what is meant: whole batches, in order, with their contents.
fn check(ends: &mut Ends, n: usize) {
    ends.fill();
    for expected in ends.messages.chunks(n) {
        let batch = ends.consumer.try_recv_batch(n).unwrap();
        assert_eq!(batch.len(), n);
        for (message, expected) in batch.iter().zip(expected) {
            assert_eq!(*message, expected[..]);
        }
        batch.ack().unwrap();
    }
    assert!(matches!(ends.consumer.try_recv_batch(n), Err(RecvError::Empty)));
}

fn by_batch(criterion: &mut Criterion) {
    for (kind, of) in kinds() {
        let mut ends = Ends::new(PAYLOAD, &of);
        let mut group = criterion.benchmark_group(format!("dequeue, {kind}, by batch"));
        for n in BATCHES {
            check(&mut ends, n);
            group.throughput(throughput(n, PAYLOAD));
            group.bench_function(BenchmarkId::from_parameter(n), |bencher| {
                bencher.iter_custom(|batches| taking(&mut ends, n, batches, |it| dequeue(it, n)));
            });
        }
    }
}

fn by_payload(criterion: &mut Criterion) {
    const N: usize = 32;
    for (kind, of) in kinds() {
        let mut group = criterion.benchmark_group(format!("dequeue {N}, {kind}, by payload"));
        for payload in PAYLOADS {
            let mut ends = Ends::new(payload, &of);
            check(&mut ends, N);
            group.throughput(throughput(N, payload));
            group.bench_function(BenchmarkId::from_parameter(payload), |bencher| {
                bencher.iter_custom(|batches| taking(&mut ends, N, batches, |it| dequeue(it, N)));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = by_batch, by_payload
}
criterion_main!(benches);
