//! Many queues, one thread: a task for each queue, and a clock beside them.
//! `cargo run --features async --example async_tasks`

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use slipring::{AsyncConsumer, Queue, RecvError};
use tokio::task::JoinSet;

const QUEUES: usize = 8;
const EACH: u64 = 10_000;

/// A queue outlives its processes; this removes it on every way out.
struct Cleanup(String);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

/// Works until its queue is closed; returns how many messages there were.
async fn work(mut consumer: AsyncConsumer) -> Result<u64, RecvError> {
    let mut clock = tokio::time::interval(Duration::from_millis(1));
    let mut count = 0;
    loop {
        tokio::select! {
            // Dropped when the clock is faster, which loses nothing.
            message = consumer.recv() => match message {
                Ok(message) => {
                    assert_eq!(*message, u64::to_le_bytes(count));
                    count += 1;
                    message.ack()?;
                }
                Err(RecvError::Closed { .. }) => return Ok(count),
                Err(fault) => return Err(fault),
            },
            _ = clock.tick() => {}
        }
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

#[tokio::main(flavor = "current_thread")]
async fn run() -> Result<(), Box<dyn Error>> {
    if let [_, role, name] = &std::env::args().collect::<Vec<_>>()[..]
        && role == "produce"
    {
        return produce(name).await;
    }
    let name = |n| format!("async-tasks-{}-{n}", std::process::id());
    let queues: Vec<Cleanup> = (0..QUEUES).map(|n| Cleanup(name(n))).collect();
    let mut tasks = JoinSet::new();
    let mut children = Vec::new();
    for Cleanup(name) in &queues {
        let queue: Queue = Queue::builder(name).capacity(256).payload_size(8).create()?;
        tasks.spawn(work(queue.consumer("reader")?.into_async()));
        children.push(Command::new(std::env::current_exe()?).args(["produce", name]).spawn()?);
    }
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
        total += count??;
    }
    for mut child in children {
        assert!(child.wait()?.success());
    }
    println!("{total} messages of {QUEUES} queues, in one thread");
    assert_eq!(total, QUEUES as u64 * EACH);
    Ok(())
}

async fn produce(name: &str) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(name)?;
    let mut producer = queue.producer()?.into_async();
    for i in 0..EACH {
        producer.send(&i.to_le_bytes()).await?;
    }
    producer.into_sync().close()?;
    Ok(())
}
