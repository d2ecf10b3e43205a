//! A feed handler that may be killed at any time: it asks the queue how far it came, and goes on there.
//! `cargo run --example feed` shows it with a handler that dies again and again.
//!
//! `feed QUEUE < LINES` is the handler alone: it sends each line of its input once, however often it is started.

use std::error::Error;
use std::io::BufRead;
use std::process::{Command, ExitCode, Stdio};

use slipring::{Queue, RecvError};

const LINES: u64 = 20_000;
/// Lines that a handler sends before it dies, in the demonstration.
const LIFE: u64 = 3_000;

/// Prints an error's text. A `Result` from `main` itself would print its Debug form.
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let outcome = match &args[..] {
        [_] => show(),
        [_, queue] => feed(queue, std::io::stdin().lock(), u64::MAX),
        [_, queue, role] if role == "short-lived" => feed(queue, std::io::stdin().lock(), LIFE),
        _ => Err("usage: feed [QUEUE]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends what `lines` has beyond the last line in the queue, and closes the queue. Dies after `life` lines.
fn feed(queue: &str, lines: impl BufRead, life: u64) -> Result<(), Box<dyn Error>> {
    let queue = Queue::builder(queue).payload_size(48).sources(4).group("work").open_or_create()?;
    let mut producer = queue.producer()?;
    let mut stream = producer.stream("lines")?;
    // A line's number is its position. A handler of a feed would take the feed's own sequence number, and ask the feed
    // for what follows this one.
    let done = stream.last_position().unwrap_or(0);
    for (position, line) in (1..).zip(lines.lines()).skip(done as usize) {
        let _ = stream.send(position, &line?)?;
        if position - done == life {
            std::process::abort();
        }
    }
    Ok(producer.close()?)
}

/// A queue outlives its processes; this removes it on every way out.
struct Cleanup(String);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

fn show() -> Result<(), Box<dyn Error>> {
    let name = Cleanup(format!("feed-{}", std::process::id()));
    let queue = Queue::builder(&name.0).payload_size(48).sources(4).group("work").create()?;
    let reader = std::thread::spawn({
        let mut consumer = queue.consumer("work")?;
        move || -> Result<u64, RecvError> {
            let mut next = 1;
            loop {
                match consumer.recv() {
                    Ok(message) => {
                        assert_eq!(*message, *next.to_string().as_bytes());
                        message.ack()?;
                        next += 1;
                    }
                    Err(RecvError::Closed { .. }) => return Ok(next - 1),
                    Err(fault) => return Err(fault),
                }
            }
        }
    });
    let text: String = (1..=LINES).map(|n| format!("{n}\n")).collect();
    let mut handlers = 0;
    loop {
        let mut handler = Command::new(std::env::current_exe()?)
            .args([&*name.0, "short-lived"])
            .stdin(Stdio::piped())
            .spawn()?;
        handlers += 1;
        if let Some(mut input) = handler.stdin.take() {
            // A handler that dies does not read all of it.
            let _ = std::io::Write::write_all(&mut input, text.as_bytes());
        }
        if handler.wait()?.success() {
            break;
        }
    }
    let count = reader.join().map_err(|_| "the reader failed")??;
    assert_eq!(count, LINES);
    println!(
        "{handlers} handlers, all but one of which died, sent {count} lines: each once, in order"
    );
    Ok(())
}
