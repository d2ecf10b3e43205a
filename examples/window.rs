//! A stream with a clean end: sent in slices, worked on in a window that slides, watched by an observer, and ended by
//! Ctrl-C at any time. `cargo run --example window`

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use slipring::{Consumer, ErrorCode, Observer, Producer, Queue, RecvError, Start};

type Failure = Box<dyn Error + Send + Sync>;

/// Readings that are sent at once, and how often.
const SLICE: usize = 16;
const SLICES: usize = 200;
/// Most messages that are at work at a time.
const WINDOW: usize = 8;

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

fn run() -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let cleanup = Cleanup(format!("window-{}", std::process::id()));
    let shape = Queue::builder(&cleanup.0).capacity(64).payload_size(48).group("store");
    let mut queue = shape.create()?;
    // Every wait of the handles made below asks this, and ends with `Interrupted` if it says so.
    let asked = Arc::clone(&stop);
    queue.set_interrupt(move || asked.load(Ordering::Relaxed));

    let (producer, consumer) = (queue.producer()?, queue.consumer("store")?);
    let observer = queue.observer(Start::Newest)?;
    // What fails ends the others, too.
    let or_stop =
        |ended: Result<usize, Failure>| ended.inspect_err(|_| stop.store(true, Ordering::Relaxed));
    let panicked = |_| Failure::from("a thread panicked");
    thread::scope(|scope| {
        let sender = scope.spawn(|| or_stop(send(producer, &stop)));
        let watcher = scope.spawn(|| or_stop(watch(observer)));
        let stored = or_stop(store(consumer));
        let (sent, seen) = (sender.join().map_err(panicked)?, watcher.join().map_err(panicked)?);
        let (sent, seen, stored) = (sent?, seen?, stored?);
        println!("{sent} sent, {stored} stored; the observer looked at {seen} of them");
        assert!(stored == sent || stop.load(Ordering::Relaxed));
        Ok(())
    })
}

/// Sends readings, and closes the queue: the others end once all is worked off.
fn send(mut producer: Producer, stop: &AtomicBool) -> Result<usize, Failure> {
    let mut sent = 0;
    for n in 0..SLICES {
        // Asked here, too: where there is room, nothing waits.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let readings = (0..SLICE).map(|i| format!("reading {}", n * SLICE + i));
        let readings: Vec<String> = readings.collect();
        match producer.send_slice(&readings) {
            Ok(all) => sent += all,
            Err(error) if error.code() == ErrorCode::Interrupted => {
                sent += error.sent();
                break;
            }
            Err(error) => return Err(error.into()),
        }
        thread::sleep(Duration::from_millis(1));
    }
    producer.close()?;
    Ok(sent)
}

/// Shows the newest reading now and then. Nobody waits for an observer, and nobody knows of it.
fn watch(mut observer: Observer) -> Result<usize, Failure> {
    let mut seen = 0;
    loop {
        match observer.latest() {
            Ok(newest) if seen % 20 == 0 => println!("newest: {}", str::from_utf8(&newest)?),
            Ok(_) => {}
            // Errors of several types can be told apart alike.
            Err(error) => match error.code() {
                ErrorCode::Closed | ErrorCode::Interrupted => return Ok(seen),
                _ => return Err(error.into()),
            },
        }
        seen += 1;
    }
}

/// Works on as many messages as the window has places. Whatever is done is acked, in any order, and others take its
/// place as soon as the oldest are done.
fn store(mut consumer: Consumer) -> Result<usize, Failure> {
    let mut stored = 0;
    loop {
        let mut batch = match consumer.recv_batch(WINDOW) {
            Err(RecvError::Closed { .. } | RecvError::Interrupted { .. }) => return Ok(stored),
            batch => batch?,
        };
        while !batch.is_empty() {
            // What is done first here is the second of the window, then the first.
            let done = batch.pending().take(2).last().map(|message| message.sequence());
            batch.ack_one(done.ok_or("a batch that is not empty has a pending message")?)?;
            stored += 1;
            batch.grow(WINDOW - batch.len())?;
        }
    }
}
