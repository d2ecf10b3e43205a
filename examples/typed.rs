//! A queue of one type of message, and what happens to a program with another idea of it.
//! `cargo run --example typed`

use std::error::Error;
use std::process::ExitCode;

use slipring::{OpenError, Queue};

slipring::message! {
    /// Fixed size, no padding, no pointers: it is read where it lies, without parsing.
    struct Tick {
        instrument: u32,
        /// Padding would be a compile error; a spare field takes its place.
        spare: u32,
        price: i64,
        volume: u64,
    }
}

/// The same name and the same size, but from another version of the program.
mod older {
    slipring::message! {
        pub(crate) struct Tick {
            pub(crate) instrument: u64,
            pub(crate) price: i64,
            pub(crate) volume: u64,
        }
    }
}

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
    let cleanup = Cleanup(format!("typed-{}", std::process::id()));
    let name = &cleanup.0;
    let queue = Queue::builder(name).capacity(64).message::<Tick>().group("book").create()?;
    let mut producer = queue.producer()?;
    let tick = Tick { instrument: 7, spare: 0, price: 10_125, volume: 300 };
    producer.send(&tick)?;

    // The received message is a &Tick into the queue itself: nothing was copied.
    let mut consumer = queue.consumer("book")?;
    let message = consumer.recv()?;
    println!("instrument {} at {} x {}", message.instrument, message.price, message.volume);
    assert_eq!(*message, tick);
    message.ack()?;

    // Names, types and offsets of the fields are part of the queue: nobody misreads it by accident.
    match Queue::open_typed::<older::Tick>(name) {
        Err(fault @ OpenError::WrongSchema { .. }) => println!("the older program: {fault}"),
        Err(fault) => return Err(fault.into()),
        Ok(_) => return Err("the older program was let in".into()),
    }
    // Tools that only move bytes may open any queue.
    let bytes = Queue::open(name)?;
    assert_eq!(bytes.payload_size(), size_of::<Tick>());
    Ok(())
}
