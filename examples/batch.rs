//! Many messages at a time, in both directions, and what a partial ack means. `cargo run --example batch`

use std::error::Error;
use std::process::ExitCode;

use slipring::{Queue, RecvError};

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
    let cleanup = Cleanup(format!("batch-{}", std::process::id()));
    let name = &cleanup.0;
    let queue = Queue::builder(name).capacity(64).payload_size(48).group("work").create()?;
    let mut producer = queue.producer()?;

    // One call for many messages: the tail, which others watch, moves once.
    assert_eq!(producer.send_batch(["job 0", "job 1", "job 2"])?, 3);

    // Or write into the slots themselves, without a copy. Nothing is visible before `publish`.
    let mut slots = producer.reserve(2)?;
    for (i, text) in ["job 3", "job 4"].into_iter().enumerate() {
        let area = slots.bytes_mut(i).ok_or("two slots were reserved")?;
        area[..text.len()].copy_from_slice(text.as_bytes());
        assert!(slots.set_len(i, text.len()));
    }
    assert_eq!(slots.publish(), 3);

    // A batch takes what is there, up to the number asked for: it does not wait for more.
    let mut consumer = queue.consumer("work")?;
    let mut batch = consumer.recv_batch(32)?;
    assert_eq!(batch.len(), 5);
    for message in &batch {
        println!("{}: {}", message.sequence(), str::from_utf8(&message)?);
    }

    // Acks go in order: this says that 0, 1 and 2 are done. Their slots are free from now on.
    batch.ack_through(2)?;
    println!("acked up to 2, dropping the batch with {} left", batch.len());
    drop(batch);

    // What was not acked comes again: in batches, as this group has no limit of attempts. Where it has one
    // (`Group::max_attempts`), one message at a time, so that each is counted.
    let again = consumer.recv_batch(32)?;
    assert_eq!(again.len(), 2);
    for message in &again {
        println!("{} again, attempt {}", message.sequence(), message.attempts());
        assert!(message.redelivered() && message.attempts() == 2);
    }
    again.ack()?;
    assert!(matches!(consumer.try_recv_batch(32), Err(RecvError::Empty)));
    Ok(())
}
