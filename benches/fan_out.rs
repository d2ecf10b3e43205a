//! What each group costs the producer: half a ring is published on the clock, and acked by all groups off it. One
//! core; readers on other cores, which take lines away from the producer, are `slipring bench fanout`'s business.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{CAPACITY, PAYLOAD, Temp, criterion, throughput};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use slipring::{Consumer, Producer, Queue};

const GROUPS: [usize; 5] = [1, 2, 4, 8, 16];
const HALF: u64 = CAPACITY as u64 / 2;

struct FanOut {
    producer: Producer,
    consumers: Vec<Consumer>,
    _temp: Temp,
}

impl FanOut {
    fn new(groups: usize) -> FanOut {
        let temp = Temp::new();
        let names: Vec<String> = (0..groups).map(|group| format!("group-{group}")).collect();
        let builder = Queue::builder(temp.name()).capacity(CAPACITY as u64).payload_size(PAYLOAD);
        let builder = names.iter().fold(builder.prefault(true), |it, name| it.group(name.as_str()));
        let queue = builder.create().unwrap();
        let consumers = names.iter().map(|name| queue.consumer(name.as_str()).unwrap()).collect();
        FanOut { producer: queue.producer().unwrap(), consumers, _temp: temp }
    }

    fn publish(&mut self, count: u64) -> Duration {
        let message = [7; PAYLOAD];
        let start = Instant::now();
        for _ in 0..count {
            self.producer.try_send(black_box(&message)).unwrap();
        }
        start.elapsed()
    }

    /// Each group must get every message.
    fn ack(&mut self, count: u64) {
        for consumer in &mut self.consumers {
            let mut came = 0;
            while let Ok(batch) = consumer.try_recv_batch(256) {
                assert!(batch.iter().all(|message| *message == [7; PAYLOAD]));
                came += batch.len() as u64;
                batch.ack().unwrap();
            }
            assert_eq!(came, count);
        }
    }
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish, by number of groups");
    group.throughput(throughput(1, PAYLOAD));
    for groups in GROUPS {
        let mut fan_out = FanOut::new(groups);
        group.bench_function(BenchmarkId::from_parameter(groups), |bencher| {
            bencher.iter_custom(|messages| {
                let (mut time, mut left) = (Duration::ZERO, messages);
                while left > 0 {
                    let run = left.min(HALF);
                    time += fan_out.publish(run);
                    fan_out.ack(run);
                    left -= run;
                }
                time
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = fan_out
}
criterion_main!(benches);
