//! The smallest round: make a queue, send, receive, ack. `cargo run --example quickstart`

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
    let cleanup = Cleanup(format!("quickstart-{}", std::process::id()));
    let name = &cleanup.0;
    // The group is declared first: messages wait for it even before its consumer comes.
    let queue = Queue::builder(name).capacity(1024).payload_size(48).group("audit").create()?;
    let mut producer = queue.producer()?;
    let sequence = producer.send("hello")?;

    // Usually in another process, after Queue::open(name).
    let mut consumer = queue.consumer("audit")?;
    let message = consumer.recv()?;
    println!("message {}: {}", message.sequence(), str::from_utf8(&message)?);
    assert_eq!((message.sequence(), &*message), (sequence, &b"hello"[..]));
    // Until here it was this consumer's to lose: without the ack it would come again.
    message.ack()?;
    assert!(matches!(consumer.try_recv(), Err(RecvError::Empty)));
    Ok(())
}
