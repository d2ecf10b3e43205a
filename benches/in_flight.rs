//! What messages in flight beside the ring cost their receiver: to receive, read and ack, in one thread, as a consumer of a
//! shared group without places for them and as a worker of one with 256.
//!
//! Each round fills the ring in each queue, off the clock, and empties it on the clock, one queue after the other; it begins with
//! another queue each time. Printed are medians over all rounds.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use slipring::{Consumer, Group, Producer, Queue, Worker};

const CAPACITY: usize = 1024;
const ROUNDS: usize = 401;

/// The receiving end of a queue.
enum Receiver {
    Consumer(Box<Consumer>),
    Worker(Box<Worker>),
}

/// Both ends of a queue, which goes away with them.
struct Ends {
    name: String,
    producer: Producer,
    receiver: Receiver,
}

impl Ends {
    fn new(what: &str, payload: usize, group: Group) -> Ends {
        let name = format!("bench-in-flight-{what}-{}", std::process::id());
        let builder = Queue::builder(&name).capacity(CAPACITY as u64).payload_size(payload);
        let queue = builder.prefault(true).group(&group).create().unwrap();
        let receiver = match what {
            "ring" => Receiver::Consumer(Box::new(queue.consumer(group).unwrap())),
            _ => Receiver::Worker(Box::new(queue.worker(group).unwrap())),
        };
        Ends { name, producer: queue.producer().unwrap(), receiver }
    }

    /// Empties the ring, `batch` messages at a time.
    fn empty(&mut self, batch: usize) -> Duration {
        let begin = Instant::now();
        for _ in 0..CAPACITY / batch {
            match &mut self.receiver {
                Receiver::Consumer(consumer) => {
                    let messages = consumer.try_recv_batch(batch).unwrap();
                    assert_eq!(messages.len(), batch);
                    messages.iter().for_each(|message| _ = black_box(sum(&message)));
                    messages.ack().unwrap();
                }
                Receiver::Worker(worker) => {
                    let jobs = worker.try_recv_batch(batch).unwrap();
                    assert_eq!(jobs.len(), batch);
                    for job in jobs {
                        black_box(sum(&job));
                        job.ack().unwrap();
                    }
                }
            }
        }
        begin.elapsed()
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.name);
    }
}

/// Reads a payload whole.
fn sum(payload: &[u8]) -> u64 {
    let (words, _) = payload.as_chunks::<8>();
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let shared = || Group::named("bench").shared();
    println!("| bytes | at a time | in the ring | in flight | in flight, with an ack timeout |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for payload in [48, 240, 4096] {
        let (message, timeout) = (vec![7; payload], Duration::from_secs(30));
        let mut all = [
            Ends::new("ring", payload, shared()),
            Ends::new("cells", payload, shared().in_flight(256)),
            Ends::new("timeout", payload, shared().in_flight(256).ack_timeout(timeout)),
        ];
        for batch in [1, 32] {
            let mut times = [vec![], vec![], vec![]];
            for round in 0..ROUNDS {
                for turn in 0..all.len() {
                    let which = (round + turn) % all.len();
                    let ends = &mut all[which];
                    assert_eq!(
                        ends.producer.send_batch(vec![&message; CAPACITY]).unwrap(),
                        CAPACITY
                    );
                    times[which].push(ends.empty(batch).as_nanos() as f64 / CAPACITY as f64);
                }
            }
            let [ring, cells, timeout] = times.map(median);
            println!("| {payload} | {batch} | {ring:.0} ns | {cells:.0} ns | {timeout:.0} ns |");
        }
    }
}
