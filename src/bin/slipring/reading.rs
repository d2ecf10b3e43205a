//! What the commands that read messages have in common: which group they join, and what they say of its start and end.

use std::time::Duration;

use slipring::{Consumer, ErrorCode, Group, Queue, Reason, Snapshot};

use crate::args::RecvArgs;
use crate::failure::{Failure, note};

/// The group to receive for, as it is to be if it does not exist yet.
pub(crate) fn group(args: &RecvArgs) -> Group {
    let group = Group::named(&args.group).start(args.from.unwrap_or_default());
    args.policy.apply(if args.shared { group.shared() } else { group })
}

/// Attempts that a message has in the group, which exists by now, if there is a limit.
pub(crate) fn max_attempts(queue: &Queue, args: &RecvArgs) -> Result<Option<u8>, Failure> {
    let groups = queue.snapshot()?.groups;
    let group = groups.iter().find(|group| group.name == args.group);
    Ok(group.and_then(|group| group.max_attempts))
}

pub(crate) fn wait_as_asked(consumer: &mut Consumer, args: &RecvArgs) {
    consumer.set_follow(args.follow);
    if let Some(wait) = args.wait {
        consumer.set_wait_strategy(wait.into());
    }
}

/// Says where the reading begins, where that may surprise.
pub(crate) fn explain_start(args: &RecvArgs, consumer: &Consumer) {
    let (name, group, position) = (&args.name, &args.group, consumer.position());
    if consumer.made_group() {
        note(&format!(
            "note: made group {group:?}, which starts at message {position}; messages wait for it \
             from now on (slipring group rm {name} {group} ends that)"
        ));
    } else if let Some(rule) = for_new_groups(args) {
        let goes_on = if consumer.resumed() { "resumes" } else { "starts" };
        note(&format!("note: group {group:?} exists and {goes_on} at message {position}: {rule}"));
    }
}

/// What to say of flags that a group which exists has no use for.
pub(crate) fn for_new_groups(args: &RecvArgs) -> Option<String> {
    let from = args.from.map(|_| "--from");
    let flags: Vec<&str> = from.into_iter().chain(args.policy.given()).collect();
    match &flags[..] {
        [] => None,
        [flag] => Some(format!("{flag} is for new groups")),
        flags => Some(format!("{} are for new groups", flags.join(" and "))),
    }
}

/// What to say of a message that a receive gave up on the way.
pub(crate) fn buried(sequence: u64, attempts: u8, reason: Reason) -> String {
    let why = match reason {
        Reason::MaxAttempts => {
            let times = if attempts == 1 { "time" } else { "times" };
            format!("it was delivered {attempts} {times} and never acked")
        }
        reason => reason.to_string(),
    };
    format!("note: message {sequence}: {why}; given up: it is a dead letter now")
}

/// Whoever starts too late, or too early, is told why it ends.
pub(crate) fn explain_closed(look: &Snapshot) {
    if look.closed_at.is_some() {
        note(&format!(
            "note: queue {:?} is closed: this ends with its last message; --follow waits for the next sender",
            look.name
        ));
    }
}

/// The queue is closed: done, unless more was asked for.
pub(crate) fn at_the_end(name: &str, got: u64, count: Option<u64>) -> Result<(), Failure> {
    match count {
        Some(count) if got < count => {
            let text = format!("queue {name:?} was closed after {got} of {count} messages");
            Err(Failure::failed(text).hint("--follow waits for the next sender"))
        }
        _ => Ok(()),
    }
}

/// What to say when the time is up.
pub(crate) fn none_came(timeout: Option<Duration>) -> Failure {
    let seconds = timeout.unwrap_or_default().as_secs_f64();
    Failure::timeout(ErrorCode::RecvTimeout, format!("no message came within {seconds} s"))
}

/// The sum at the end, if anything was missed.
pub(crate) fn report_missed(missed: u64) {
    if missed > 0 {
        note(&format!(
            "missed {missed} messages in all: they were overwritten before they were read"
        ));
    }
}
