//! A work queue: tasks go to whichever worker is free, and the task of a worker that dies goes to another.
//! `cargo run --example work_queue`
//!
//! The second of RabbitMQ's tutorials, without a broker. Every dot of a task stands for a second of work, or
//! for SLIPRING_DOT_MS milliseconds. Started without arguments it sends the tasks, starts three workers,
//! kills one at work, and ends when all tasks are done.

use std::error::Error;
use std::ops::Range;
use std::process::{Child, Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use slipring::{Group, GroupInfo, Queue, RecvError};

const TASKS: [&str; 5] = ["hello", "hello.", "hello..", "hello...", "hello...."];
/// The longest task: its worker is the one that dies.
const LONGEST: u64 = TASKS.len() as u64 - 1;
/// Nobody here waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A group whose members share the work: each message goes to one of them.
fn workers() -> Group {
    Group::named("workers").shared()
}

fn dot() -> Duration {
    let given = std::env::var("SLIPRING_DOT_MS").ok().and_then(|ms| ms.parse().ok());
    Duration::from_millis(given.unwrap_or(1000))
}

/// A queue outlives its processes; this removes it on every way out, and so ends the workers, too.
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
    if let [_, role, name, number] = &std::env::args().collect::<Vec<_>>()[..]
        && role == "work"
    {
        return work(name, number);
    }
    let cleanup = Cleanup(format!("work-queue-{}", std::process::id()));
    let name = cleanup.0.as_str();
    let queue: Queue = Queue::builder(name).capacity(16).group(workers()).create()?;
    // Sent before there is a worker: they wait.
    queue.producer()?.send_batch(TASKS)?;
    let mut children = Vec::new();
    for number in ["1", "2", "3"] {
        let mut worker = Command::new(std::env::current_exe()?);
        children.push(worker.args(["work", name, number]).spawn()?);
    }
    kill_one_at_work(&queue, &mut children)?;

    let group = wait_for(&queue, |group| (group.depth == 0).then(|| group.clone()))?;
    assert_eq!((group.acked, group.dead_lettered), (TASKS.len() as u64, 0));
    println!("all {} tasks are done; {} came twice", group.acked, group.redelivered);
    drop(cleanup);
    for mut worker in children {
        assert!(worker.wait()?.success(), "a worker ends well when its queue is gone");
    }
    Ok(())
}

/// Waits until a worker has the longest task, lets it begin, and kills it.
fn kill_one_at_work(queue: &Queue, children: &mut Vec<Child>) -> Result<(), Box<dyn Error>> {
    let pid = wait_for(queue, |group| {
        let holds = |claimed: &Range<u64>| claimed.start == LONGEST;
        let worker = group.members.iter().find(|member| member.claimed.as_ref().is_some_and(holds));
        worker.and_then(|member| member.pid)
    })?;
    sleep(dot() * 3 / 2);
    let at = children.iter().position(|child| child.id() == pid).ok_or("not a worker of ours")?;
    children[at].kill()?; // SIGKILL: it cannot even say goodbye
    children.remove(at).wait()?;
    println!("killed worker {} at work", at + 1);
    Ok(())
}

/// Looks at the group, without a trace in the queue, until `found` has what it looks for.
fn wait_for<T>(
    queue: &Queue,
    found: impl Fn(&GroupInfo) -> Option<T>,
) -> Result<T, Box<dyn Error>> {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(found) = found(&queue.snapshot()?.groups[0]) {
            return Ok(found);
        }
        sleep(Duration::from_millis(1));
    }
    Err("a task is missing".into())
}

fn work(name: &str, number: &str) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(name)?;
    let mut worker = queue.consumer(workers())?;
    loop {
        // One at a time: a long task holds up no other.
        let task = match worker.recv_timeout(PATIENCE) {
            Ok(task) => task,
            // No task is left, and none can come.
            Err(RecvError::Removed { .. }) => return Ok(()),
            Err(fault) => return Err(fault.into()),
        };
        let text = str::from_utf8(&task)?.to_owned();
        println!("worker {number}: begins {text:?}, attempt {}", task.attempts());
        let dots = text.matches('.').count() as u32;
        sleep(dot() * dots);
        // Only now it is done: up to here, the death of this process gives it to another worker.
        task.ack()?;
        println!("worker {number}: done with {text:?}");
    }
}
