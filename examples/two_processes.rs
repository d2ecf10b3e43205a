//! Two processes, one queue: the parent produces, the child consumes. `cargo run --example two_processes`
//!
//! Started without arguments it starts itself again as the child, and ends when both are done.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use slipring::{Queue, RecvError};

const MESSAGES: u64 = 10_000;
/// Nobody here waits for ever: the other side may have died.
const PATIENCE: Duration = Duration::from_secs(5);
/// Kinds tell messages apart without a look into them.
const NUMBER: u32 = 1;
const END: u32 = 2;

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
        && role == "consume"
    {
        return consume(name);
    }
    produce(&Cleanup(format!("two-processes-{}", std::process::id())).0)
}

fn produce(name: &str) -> Result<(), Box<dyn Error>> {
    // A ring much shorter than the stream: the producer waits for the consumer and nothing is lost.
    let queue = Queue::builder(name).capacity(256).payload_size(48).group("sums").create()?;
    let mut child = Command::new(std::env::current_exe()?).args(["consume", name]).spawn()?;
    // The name alone is what the child needs; no descriptor is inherited, no pipe is open.
    let sent = send_all(&queue);
    if sent.is_err() {
        // A consumer that still waits would outlive us.
        let _ = child.kill();
    }
    let status = child.wait()?;
    sent?;
    assert!(status.success(), "the consumer got what was sent");
    println!("producer {}: sent {MESSAGES} messages, all of them acked", std::process::id());
    Ok(())
}

fn send_all(queue: &Queue) -> Result<(), Box<dyn Error>> {
    let mut producer = queue.producer()?;
    for i in 0..MESSAGES {
        producer.send_timeout((NUMBER, &i.to_le_bytes()[..]), PATIENCE)?;
    }
    producer.send_timeout((END, &[][..]), PATIENCE)?;
    Ok(())
}

fn consume(name: &str) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(name)?;
    let mut consumer = queue.consumer("sums")?;
    let (mut count, mut sum) = (0, 0);
    loop {
        let message = match consumer.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(RecvError::Timeout { .. }) => return Err("the producer has fallen silent".into()),
            Err(fault) => return Err(fault.into()),
        };
        let end = message.kind() == END;
        if !end {
            sum += u64::from_le_bytes((*message).try_into()?);
            count += 1;
        }
        message.ack()?;
        if end {
            break;
        }
    }
    assert_eq!((count, sum), (MESSAGES, MESSAGES * (MESSAGES - 1) / 2));
    println!("consumer {}: {count} messages, their sum is {sum}", std::process::id());
    Ok(())
}
