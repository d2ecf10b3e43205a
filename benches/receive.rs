//! One message at a time, from a ready ring: take it, read its payload, ack it. One core, no waiting.
//! `dequeue.rs` takes batches.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Ends, PAYLOADS, criterion, kinds, sum, taking, throughput};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use slipring::{Consumer, RecvError};

#[inline(never)]
fn receive(consumer: &mut Consumer) -> u64 {
    let message = consumer.try_recv().unwrap();
    let sum = sum(&message);
    message.ack().unwrap();
    sum
}

/// All of a full ring, in order, with its contents.
fn check(ends: &mut Ends) {
    ends.fill();
    for expected in &ends.messages {
        let message = ends.consumer.try_recv().unwrap();
        assert_eq!(*message, expected[..]);
        message.ack().unwrap();
    }
    assert!(matches!(ends.consumer.try_recv(), Err(RecvError::Empty)));
}

fn by_payload(criterion: &mut Criterion) {
    for (kind, of) in kinds() {
        let mut group = criterion.benchmark_group(format!("receive, {kind}, by payload"));
        for payload in PAYLOADS {
            let mut ends = Ends::new(payload, &of);
            check(&mut ends);
            group.throughput(throughput(1, payload));
            group.bench_function(BenchmarkId::from_parameter(payload), |bencher| {
                bencher.iter_custom(|messages| taking(&mut ends, 1, messages, receive));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = by_payload
}
criterion_main!(benches);
