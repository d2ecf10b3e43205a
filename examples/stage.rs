//! A stage between two queues that is killed over and over, and whose outputs are there once.
//! `cargo run --example stage`

use std::convert::Infallible;
use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use slipring::{Queue, RecvError, Stage};

const ORDERS: u64 = 50_000;
const KILLS: u32 = 20;

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
    if let [_, from, to] = &std::env::args().collect::<Vec<_>>()[..] {
        return stage(from, to);
    }
    let orders = Cleanup(format!("orders-{}", std::process::id()));
    let invoices = Cleanup(format!("invoices-{}", std::process::id()));
    let from =
        Queue::builder(&orders.0).capacity(1024).payload_size(48).group("invoice").create()?;
    let to = Queue::builder(&invoices.0).capacity(1024).payload_size(48).sources(4).group("post");
    let to = to.create()?;

    let mut producer = from.producer()?;
    let sender = std::thread::spawn(move || -> Result<(), slipring::SendError> {
        for order in 0..ORDERS {
            producer.send(&order.to_string())?;
        }
        producer.close()
    });
    let mut consumer = to.consumer("post")?;
    let reader = std::thread::spawn(move || -> Result<u64, RecvError> {
        let mut next = 0;
        loop {
            match consumer.recv() {
                Ok(message) => {
                    assert_eq!(*message, *format!("invoice of order {next}").as_bytes());
                    // What a consumer does with a message can be made once, too: this is the key.
                    assert!(message.source().is_some());
                    message.ack()?;
                    next += 1;
                }
                Err(RecvError::Closed { .. }) => return Ok(next),
                Err(fault) => return Err(fault),
            }
        }
    });

    let mut killed = 0;
    loop {
        let mut child =
            Command::new(std::env::current_exe()?).args([&orders.0, &invoices.0]).spawn()?;
        if killed < KILLS {
            std::thread::sleep(Duration::from_millis(5));
            child.kill()?;
        }
        let ended = child.wait()?.success();
        if ended && killed >= KILLS {
            break;
        }
        killed += 1;
    }
    sender.join().map_err(|_| "the sender failed")??;
    let count = reader.join().map_err(|_| "the reader failed")??;
    assert_eq!(count, ORDERS);
    println!("{killed} stages were killed, and {count} invoices are there: each once, in order");
    Ok(())
}

/// The stage: an invoice for each order. It closes the queue of invoices when the one of orders is closed.
fn stage(from: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let (from, to) = (Queue::open(from)?, Queue::open(to)?);
    let mut stage = Stage::new(from.consumer("invoice")?, to.producer()?)?;
    stage.run(|order, invoices| {
        let order = String::from_utf8_lossy(order);
        invoices.push(&format!("invoice of order {order}"));
        Ok::<(), Infallible>(())
    })?;
    let (_, producer) = stage.into_parts();
    Ok(producer.close()?)
}
