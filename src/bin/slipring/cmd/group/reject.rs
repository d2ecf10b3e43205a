//! `slipring group reject`

use std::thread;
use std::time::Duration;

use slipring::{Group, Job, JobError, JoinError, Worker};

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
    let joined = queue.worker(Group::named(group).shared().existing());
    let mut worker = joined.map_err(|fault| match fault {
        JoinError::NoSuchGroup { .. }
        | JoinError::InFlight { .. }
        | JoinError::WrongMode { .. } => Failure::from(fault).hint(format!(
            "slipring group ls {name}  (lists the groups and which consumer has which message)"
        )),
        fault => fault.into(),
    })?;
    let Some(job) = take(&mut worker, sequence)? else {
        let text = format!("group {group:?} does not have message {sequence} in flight");
        let failure = Failure::failed(text);
        return Err(failure
            .hint(format!("slipring group ls {name}  (says which consumer has which message)")));
    };
    job.reject().map_err(|fault| match fault {
        JobError::DeadLetter(fault) => dead_letters::receive_failed(name, fault.into()),
        fault => fault.into(),
    })?;
    print(&format!("message {sequence} of group {group:?} is a dead letter now\n"))
}

fn take(worker: &mut Worker, sequence: u64) -> Result<Option<Job>, Failure> {
    for _ in 1..LOOKS {
        if let Some(job) = worker.take(sequence)? {
            return Ok(Some(job));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(worker.take(sequence)?)
}
