//! `slipring dead`

mod letters;
mod ls;
mod show;

use slipring::{DeadLetters, RequeueError, Snapshot};

use crate::args::{DeadCommand, DeadSomeArgs};
use crate::dead_letters::{open, work_failed};
use crate::failure::Failure;
use crate::output::print;

pub(super) fn run(command: &DeadCommand) -> Result<(), Failure> {
    match command {
        DeadCommand::Ls(args) => ls::run(args),
        DeadCommand::Show(args) => show::run(args),
        DeadCommand::Purge(args) => {
            some(args, "purged", |letters, count| letters.purge(count).map_err(RequeueError::from))
        }
        DeadCommand::Requeue(args) => some(args, "requeued", DeadLetters::requeue),
    }
}

/// Fails if a queue is not for letters. Else it would lose its messages, and the group that is made for letters would keep
/// later ones.
fn check(snapshot: &Snapshot) -> Result<(), Failure> {
    if snapshot.is_for_letters() {
        return Ok(());
    }
    let name = &snapshot.name;
    Err(Failure::failed(format!(
        "queue {name:?} is not a queue of dead letters: it was not made for them, and has no group \"dead\""
    ))
    .hint(format!("slipring info {name}  (says what is in it)")))
}

/// Does `work` with the letters that wait now. A letter that comes meanwhile is left out: a message that fails again
/// would go round in circles.
fn some(
    args: &DeadSomeArgs,
    did: &str,
    work: fn(&DeadLetters, u64) -> Result<u64, RequeueError>,
) -> Result<(), Failure> {
    let outcome = match open(&args.of, DeadLetters::open)? {
        None => Ok(0),
        Some(dead) => {
            let (observer, end) = dead.observe()?;
            let waiting = end.saturating_sub(observer.position());
            match args.count.unwrap_or(u64::MAX).min(waiting) {
                // With nothing to do it must not become a consumer of the queue.
                0 => Ok(0),
                count => {
                    check(&dead.queue().snapshot()?)?;
                    work(&dead, count)
                }
            }
        }
    };
    let done = outcome.as_ref().map_or_else(RequeueError::done, |done| *done);
    let letters = if done == 1 { "letter" } else { "letters" };
    let printed = print(&format!("{did} {done} dead {letters}\n"));
    outcome.map_err(|fault| work_failed(&args.of, fault.reason()))?;
    printed
}
