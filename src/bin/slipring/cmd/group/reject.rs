//! `slipring group reject`

use std::thread;
use std::time::Duration;

use slipring::{
    Consumer, Group, Job, JobError, JoinError, Queue, RecvError, RejectError, Retention, Worker,
};

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
    match queue.worker(Group::named(group).shared().existing()) {
        Ok(worker) => in_flight(&queue, worker, args)?,
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

/// Leaves the group, which must not go with this member if it is the last.
fn leave<T>(queue: &Queue, group: &str, member: T) -> Result<(), Failure> {
    let groups = queue.snapshot()?.groups;
    let found = groups.iter().find(|found| found.name == group);
    if found.is_some_and(|found| found.retention == Retention::Release) {
        // As if it had died, which the end of this process shows.
        std::mem::forget(member);
    }
    Ok(())
}

/// Looks for the message some times, as long as `look` finds nothing.
fn look<T>(mut look: impl FnMut() -> Result<Option<T>, Failure>) -> Result<Option<T>, Failure> {
    for _ in 1..LOOKS {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        thread::sleep(LOOK_EVERY);
    }
    look()
}

/// In a group with messages in flight, any of them.
fn in_flight(queue: &Queue, mut worker: Worker, args: &GroupRejectArgs) -> Result<(), Failure> {
    let GroupRejectArgs { name, group, sequence } = args;
    let found = look(|| Ok(worker.take(*sequence)?))?;
    leave(queue, group, worker)?;
    let Some(job): Option<Job> = found else {
        let text = format!("group {group:?} does not have message {sequence} in flight");
        return Err(Failure::failed(text)
            .hint(format!("slipring group ls {name}  (says which consumer has which message)")));
    };
    job.reject_untried().map_err(|fault| match fault {
        JobError::DeadLetter(fault) => dead_letters::receive_failed(name, fault.into()),
        fault => fault.into(),
    })
}

/// In an exclusive group, the one that comes next: of its queue, or of the letters that were sent again to it.
fn in_order(queue: &Queue, args: &GroupRejectArgs) -> Result<(), Failure> {
    let GroupRejectArgs { name, group, sequence } = args;
    let joined = queue.consumer(Group::named(group).existing());
    let mut consumer = joined.map_err(|fault| not_joined(name, fault))?;
    let next = consumer.position();
    let found = look(|| reject_next(&mut consumer, name, *sequence, next));
    let passed = next..consumer.position();
    leave(queue, group, consumer)?;
    // A message that has had its last attempt is a dead letter as soon as it is asked for.
    if found?.is_some() || passed.contains(sequence) {
        return Ok(());
    }
    let text = format!(
        "the next message of group {group:?} is {next}, not {sequence}: an exclusive group gets its messages in order, and \
         only the next one can be rejected"
    );
    let hint = format!("slipring group ls {name}  (shows where the groups are)");
    Err(Failure::failed(text).hint(hint))
}

/// Rejects the message that comes, if it is this one; else leaves it as it was.
fn reject_next(
    consumer: &mut Consumer,
    name: &str,
    sequence: u64,
    next: u64,
) -> Result<Option<()>, Failure> {
    let mut message = match consumer.try_recv() {
        Err(RecvError::Empty | RecvError::Closed { .. }) => return Ok(None),
        received => received.map_err(|fault| dead_letters::receive_failed(name, fault))?,
    };
    // A letter of a former queue may have the same sequence.
    if message.sequence() != sequence || message.requeued() != (sequence != next) {
        message.uncount();
        return Ok(None);
    }
    match message.reject() {
        Ok(()) => Ok(Some(())),
        Err(RejectError::DeadLetter(fault)) => {
            Err(dead_letters::receive_failed(name, fault.into()))
        }
        Err(fault) => Err(fault.into()),
    }
}
