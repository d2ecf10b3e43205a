//! Several producers, one reader: a queue for each producer, and one `Select` over all of them.
//! `cargo run --example fan_in`

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Command, ExitCode};

use slipring::{Queue, Select};

const PRODUCERS: usize = 3;
const EACH: u64 = 100_000;
/// Kind of a producer's last message.
const LAST: u32 = 1;

/// A queue outlives its processes; this removes it on every way out.
struct Cleanup(String);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

/// Prints an error's text. A `Result` from `main` itself would print its Debug form.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    if let [_, role, name] = &std::env::args().collect::<Vec<_>>()[..]
        && role == "produce"
    {
        return produce(name);
    }
    let name = |n| format!("fan-in-{}-{n}", std::process::id());
    let queues: Vec<Cleanup> = (0..PRODUCERS).map(|n| Cleanup(name(n))).collect();
    let mut select = Select::new();
    let mut children = Vec::new();
    for Cleanup(name) in &queues {
        // The reader's group is there before the first message: nothing is missed.
        let queue: Queue = Queue::builder(name).capacity(1024).payload_size(8).create()?;
        select.add(queue.consumer("reader")?);
        children.push(Command::new(std::env::current_exe()?).args(["produce", name]).spawn()?);
    }

    let mut counts = BTreeMap::new();
    let mut done = 0;
    while done < PRODUCERS {
        let batch = select.recv_batch(64)?;
        for message in batch.iter() {
            if message.kind() == LAST {
                done += 1;
            } else {
                // In the order of its producer.
                let count: &mut u64 = counts.entry(batch.index()).or_default();
                assert_eq!(*message, count.to_le_bytes());
                *count += 1;
            }
        }
        batch.ack()?;
    }
    for mut child in children {
        assert!(child.wait()?.success());
    }
    for (index, count) in &counts {
        println!("{}: {count} messages, in order", queues[*index].0);
    }
    assert!(counts.len() == PRODUCERS && counts.values().all(|count| *count == EACH));
    Ok(())
}

fn produce(name: &str) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(name)?;
    let mut producer = queue.producer()?;
    for i in 0..EACH {
        producer.send(&i.to_le_bytes())?;
    }
    producer.send((LAST, ""))?;
    Ok(())
}
