//! What sources cost: the rotation of a ring, in one thread, without them and with them.
//!
//! Each round sends and receives as many messages as the ring has slots in each queue, one after the other, and begins with
//! another queue. Printed are medians, over all rounds, of a queue's time in that of the queue without sources.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::iter::repeat_n;
use std::time::{Duration, Instant};

use slipring::{Consumer, Producer, Queue};

const CAPACITY: usize = 4096;
const BATCH: usize = 32;
const ROUNDS: usize = 401;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    Plain,
    FromStream,
}

/// Both ends of a queue, which goes away with them.
struct Ends {
    name: String,
    producer: Producer,
    consumer: Consumer,
    sends: Sends,
    position: u64,
}

impl Ends {
    fn new(what: &str, payload: usize, sources: Option<usize>, sends: Sends) -> Ends {
        let name = format!("bench-sources-{what}-{}", std::process::id());
        let mut builder =
            Queue::builder(&name).capacity(CAPACITY as u64).payload_size(payload).group("bench");
        if let Some(streams) = sources {
            builder = builder.sources(streams);
        }
        let queue = builder.create().unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer("bench").unwrap());
        Ends { name, producer, consumer, sends, position: 0 }
    }

    /// As many messages as the ring has slots, `batch` at a time.
    fn rotate(&mut self, message: &[u8], batch: usize) -> Duration {
        let begin = Instant::now();
        match self.sends {
            Sends::Plain => self.send(message, batch),
            Sends::FromStream => self.send_from(message, batch),
        }
        for _ in 0..CAPACITY / batch {
            if batch == 1 {
                let message = self.consumer.try_recv().unwrap();
                black_box(&*message);
                message.ack().unwrap();
            } else {
                let messages = self.consumer.try_recv_batch(batch).unwrap();
                for message in &messages {
                    black_box(&*message);
                }
                messages.ack().unwrap();
            }
        }
        begin.elapsed()
    }

    #[inline(never)]
    fn send(&mut self, message: &[u8], batch: usize) {
        for _ in 0..CAPACITY / batch {
            if batch == 1 {
                self.producer.try_send(message).unwrap();
            } else {
                let mut messages = repeat_n(message, batch);
                assert_eq!(self.producer.try_send_batch(&mut messages).unwrap(), batch);
            }
        }
    }

    #[inline(never)]
    fn send_from(&mut self, message: &[u8], batch: usize) {
        let mut stream = self.producer.stream("bench").unwrap();
        for _ in 0..CAPACITY / batch {
            let first = self.position + 1;
            self.position += batch as u64;
            if batch == 1 {
                let _ = stream.try_send(first, message).unwrap();
            } else {
                let mut messages = (first..).zip(repeat_n(message, batch));
                assert_eq!(stream.try_send_batch(&mut messages).unwrap().published, batch);
            }
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.name);
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn main() {
    println!(
        "| bytes | at a time | without sources | with, sent plainly | with, sent from a stream |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for payload in [32, 48] {
        let message = vec![7; payload];
        let mut all = [
            Ends::new("without", payload, None, Sends::Plain),
            Ends::new("plain", payload, Some(1), Sends::Plain),
            Ends::new("stream", payload, Some(1), Sends::FromStream),
        ];
        for batch in [1, BATCH] {
            let (mut ratios, mut nanos) = ([vec![], vec![], vec![]], vec![]);
            for round in 0..ROUNDS {
                let mut times = [0.0; 3];
                for turn in 0..3 {
                    let which = (round + turn) % 3;
                    times[which] = all[which].rotate(&message, batch).as_nanos() as f64;
                }
                nanos.push(times[0] / CAPACITY as f64);
                ratios.iter_mut().zip(times).for_each(|(all, time)| all.push(time / times[0]));
            }
            let [_, plain, stream] = ratios.map(median);
            let nanos = median(nanos);
            println!(
                "| {payload} | {batch} | {nanos:.1} ns a message | {plain:.2} | {stream:.2} |"
            );
        }
    }
}
