//! `slipring group reject`

use std::thread;
use std::time::{Duration, Instant};

use slipring::{Group, Job, JobError, JoinError, Queue, RecvError, Worker};

use crate::args::GroupRejectArgs;
use crate::dead_letters;
use crate::failure::Failure;
use crate::output::print;
use crate::queue::open_existing;

/// How often it looks for the message, which may be on its way from one consumer to the next.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(crate) fn run(args: &GroupRejectArgs) -> Result<(), Failure> {
    let (name, group, sequence) = (&args.name, &args.group, args.sequence);
    let queue = open_existing(name)?;
    match queue.worker(Group::named(group).shared().as_operator()) {
        Ok(worker) => in_flight(worker, args)?,
        Err(JoinError::WrongMode { .. }) => in_order(&queue, args)?,
        Err(fault) => return Err(not_joined(name, fault)),
    }
    print(&format!("message {sequence} of group {group:?} is a dead letter now\n"))
}

fn not_joined(name: &str, fault: JoinError) -> Failure {
    match fault {
        JoinError::NoSuchGroup { .. } | JoinError::InFlight { .. } | JoinError::Taken { .. } => {
            Failure::from(fault).hint(format!(
                "slipring group ls {name}  (lists the groups and which consumer has which message)"
            ))
        }
        fault => fault.into(),
    }
}

/// In a group with messages in flight, any of them.
fn in_flight(mut worker: Worker, args: &GroupRejectArgs) -> Result<(), Failure> {
    let GroupRejectArgs { name, group, sequence, .. } = args;
    let Some(job) = take(&mut worker, *sequence)? else {
        let text = format!("group {group:?} does not have message {sequence} in flight");
        return Err(Failure::failed(text)
            .hint(format!("slipring group ls {name}  (says which consumer has which message)")));
    };
    job.reject_untried().map_err(|fault| match fault {
        JobError::DeadLetter(fault) => dead_letters::receive_failed(name, fault.into()),
        fault => fault.into(),
    })
}

fn take(worker: &mut Worker, sequence: u64) -> Result<Option<Job>, Failure> {
    for _ in 1..LOOKS {
        if let Some(job) = worker.take(sequence).map_err(not_taken)? {
            return Ok(Some(job));
        }
        thread::sleep(LOOK_EVERY);
    }
    worker.take(sequence).map_err(not_taken)
}

/// It has just joined, so the error is told as one of joining.
fn not_taken(fault: RecvError) -> Failure {
    match fault {
        RecvError::Clock { queue, group } => JoinError::Clock { queue, group }.into(),
        fault => fault.into(),
    }
}

/// In an exclusive group, the one that comes next.
fn in_order(queue: &Queue, args: &GroupRejectArgs) -> Result<(), Failure> {
    let GroupRejectArgs { name, group, sequence, .. } = args;
    let since = Instant::now();
    let mut consumer = loop {
        match queue.consumer(Group::named(group).as_operator()) {
            Ok(consumer) => break consumer,
            // Its command may still run.
            Err(JoinError::Taken { .. }) if since.elapsed() < args.timeout => {
                thread::sleep(LOOK_EVERY);
            }
            Err(fault) => return Err(not_joined(name, fault)),
        }
    };
    let next = consumer.position();
    let rejected = consumer.reject_next(*sequence);
    if rejected.map_err(|fault| dead_letters::receive_failed(name, fault))? {
        return Ok(());
    }
    let text = if next == *sequence {
        format!("group {group:?} has no message {sequence} yet")
    } else {
        format!(
            "the next message of group {group:?} is {next}, not {sequence}: an exclusive group gets its messages in order, \
             and only the next one can be rejected"
        )
    };
    let hint = format!("slipring group ls {name}  (shows where the groups are)");
    Err(Failure::failed(text).hint(hint))
}
