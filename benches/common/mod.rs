//! A queue of one's own for each benchmark, its messages, and how long criterion takes over one.

// A benchmark that cannot go on should stop where it is; each uses some of this.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use slipring::{Consumer, Group, Producer, Queue};

/// Messages of one cache line with their header.
pub(crate) const PAYLOAD: usize = 48;
pub(crate) const PAYLOADS: [usize; 5] = [8, 48, 112, 1024, 4096];
pub(crate) const BATCHES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Rings have as many slots whatever a message's size: one of the largest does not fit in a small cache.
pub(crate) const CAPACITY: usize = 4096;
pub(crate) const GROUP: &str = "bench";

/// Two seconds for each benchmark: few samples, since there are many benchmarks.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
}

/// What `n` messages move.
pub(crate) fn throughput(n: usize, payload: usize) -> Throughput {
    Throughput::ElementsAndBytes { elements: n as u64, bytes: (n * payload) as u64 }
}

/// The kinds of group, by name.
pub(crate) fn kinds() -> [(&'static str, Group); 2] {
    [("exclusive", Group::named(GROUP)), ("shared", Group::named(GROUP).shared())]
}

/// The name of a queue that goes away with this value.
pub(crate) struct Temp(String);

impl Temp {
    pub(crate) fn new() -> Temp {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Temp(format!("bench-{}-{count}", std::process::id()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

/// Both ends of a queue, and what is sent through it.
pub(crate) struct Ends {
    pub(crate) producer: Producer,
    pub(crate) consumer: Consumer,
    /// A ring full of different messages.
    pub(crate) messages: Vec<Vec<u8>>,
    _temp: Temp,
}

impl Ends {
    pub(crate) fn new(payload: usize, of: &Group) -> Ends {
        let temp = Temp::new();
        let builder = Queue::builder(temp.name()).capacity(CAPACITY as u64).payload_size(payload);
        let queue = builder.prefault(true).group(of.clone()).create().unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer(of.clone()).unwrap());
        let messages = (0..CAPACITY).map(|i| message(i, payload)).collect();
        Ends { producer, consumer, messages, _temp: temp }
    }

    /// Fills the ring, which is empty.
    pub(crate) fn fill(&mut self) {
        assert_eq!(self.producer.send_batch(&self.messages).unwrap(), CAPACITY);
    }
}

/// Takes everything, which must be so many messages, each as `expected`.
pub(crate) fn drain<'m>(
    consumer: &mut Consumer,
    count: usize,
    expected: impl Fn(usize) -> &'m [u8],
) {
    let mut came = 0;
    while let Ok(batch) = consumer.try_recv_batch(256) {
        for delivery in &batch {
            assert_eq!(*delivery, *expected(came));
            came += 1;
        }
        batch.ack().unwrap();
    }
    assert_eq!(came, count);
}

/// The time of so many calls of `take`, each of which takes `n` messages of a ready ring. It is filled whenever it is
/// empty, off the clock.
#[inline]
pub(crate) fn taking(
    ends: &mut Ends,
    n: usize,
    calls: u64,
    take: impl Fn(&mut Consumer) -> u64,
) -> Duration {
    let (mut time, mut left) = (Duration::ZERO, calls as usize);
    while left > 0 {
        ends.fill();
        let ready = CAPACITY / n;
        let run = left.min(ready);
        let start = Instant::now();
        for _ in 0..run {
            black_box(take(&mut ends.consumer));
        }
        time += start.elapsed();
        for _ in run..ready {
            take(&mut ends.consumer);
        }
        left -= run;
    }
    time
}

/// Bytes that differ from message to message.
fn message(i: usize, payload: usize) -> Vec<u8> {
    let number = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number.to_le_bytes().into_iter().cycle().take(payload).collect()
}

/// Reads a payload whole.
#[inline]
pub(crate) fn sum(payload: &[u8]) -> u64 {
    let (words, _) = payload.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}
