//! What the commands that read messages have in common: which group they join, and what they say of its start and end.

use std::time::Duration;

use slipring::{Consumer, ErrorCode, Group, JoinError, Queue, Reason, Snapshot, Worker};

use crate::args::{RecvArgs, places_in};
use crate::failure::{Failure, note};
use crate::queue::open_with_room;

/// Why a shared group was made without places in flight that it was not told to do without.
pub(crate) const NO_SPARE_CELLS: &str =
    "no messages in flight: the queue has no spare cells (slipring create --spare-cells N)";

/// A member of a group: the handle depends on whether the group has places for messages in flight.
pub(crate) enum Member {
    Consumer(Box<Consumer>),
    Worker(Box<Worker>),
}

/// Joins the group, which must exist unless it is to be made: a group of a mistyped name would hold every message for
/// a consumer that never comes.
pub(crate) fn join(queue: &Queue, args: &RecvArgs) -> Result<Member, Failure> {
    if args.shared {
        match queue.worker(group(queue, args)?) {
            Ok(worker) => return Ok(Member::Worker(Box::new(worker))),
            Err(JoinError::InFlight { has: false, .. }) => {}
            Err(fault) => return Err(not_joined(args, fault)),
        }
    }
    Ok(Member::Consumer(Box::new(join_as_consumer(queue, args)?)))
}

/// The same, of a group that has no such places.
pub(crate) fn join_as_consumer(queue: &Queue, args: &RecvArgs) -> Result<Consumer, Failure> {
    queue.consumer(group(queue, args)?).map_err(|fault| not_joined(args, fault))
}

fn group(queue: &Queue, args: &RecvArgs) -> Result<Group, Failure> {
    let create = args.open.create;
    let group = match args.shared {
        true => {
            let places = if create { places_in(&queue.snapshot()?) } else { 0 };
            args.policy.shared(&args.group, places)
        }
        false => args.policy.exclusive(&args.group),
    };
    let group = group.start(args.from.unwrap_or_default());
    Ok(if create { group } else { group.existing() })
}

/// Opens the queue of a receiver; makes it first if that was asked for, with room for what its group has in flight.
pub(crate) fn open_to_receive(args: &RecvArgs) -> Result<Queue, Failure> {
    let places = match args.shared && args.open.create {
        true => args.policy.in_flight.unwrap_or(args.open.shape.places_in_flight()),
        false => 0,
    };
    open_with_room(&args.name, &args.open, places)
}

fn not_joined(args: &RecvArgs, fault: JoinError) -> Failure {
    match fault {
        JoinError::NoSuchGroup { group, known, .. } => {
            let (name, shared) = (&args.name, if args.shared { " --shared" } else { "" });
            no_such_group(name, &group, known.as_slice().iter().map(String::as_str))
                .hint(format!("slipring group add {name} {group}{shared}"))
                .hint("or add --create to this command")
        }
        fault => fault.into(),
    }
}

/// Fails if there are options for a new group where none is to be made, or that it cannot have.
pub(crate) fn check_options(args: &RecvArgs) -> Result<(), Failure> {
    args.policy.check(args.shared, "--shared").map_err(Failure::usage)?;
    match for_new_groups(args) {
        Some(rule) if !args.open.create => {
            Err(Failure::usage(format!("{rule}: add --create, or leave them out")))
        }
        _ => Ok(()),
    }
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

/// Says where the reading begins, if that may be unexpected, and whether a new group has fewer `places` for messages in
/// flight than such groups have: none.
pub(crate) fn explain_start(
    args: &RecvArgs,
    made: bool,
    resumed: bool,
    position: u64,
    places: bool,
) {
    let (name, group) = (&args.name, &args.group);
    if made {
        note(&format!(
            "note: made group {group:?}, which starts at message {position}; messages wait for it \
             from now on (slipring group rm {name} {group} ends that)"
        ));
        if args.shared && !places && args.policy.in_flight.is_none() {
            note(&format!("note: group {group:?} has {NO_SPARE_CELLS}"));
        }
    } else if let Some(rule) = for_new_groups(args) {
        let goes_on = if resumed { "resumes" } else { "starts" };
        note(&format!("note: group {group:?} exists and {goes_on} at message {position}: {rule}"));
    }
}

/// Which of the options that were given only a new group takes.
fn for_new_groups(args: &RecvArgs) -> Option<String> {
    let from = args.from.map(|_| "--from");
    let options: Vec<&str> = from.into_iter().chain(args.policy.given()).collect();
    (!options.is_empty()).then(|| format!("only a new group takes {}", options.join(" and ")))
}

/// The note about a message that a receive has made a dead letter.
pub(crate) fn dead_lettered(sequence: u64, attempts: u8, reason: Reason) -> String {
    let why = match reason {
        Reason::MaxAttempts => {
            let times = if attempts == 1 { "time" } else { "times" };
            format!("it was delivered {attempts} {times} and never acked")
        }
        reason => reason.to_string(),
    };
    format!("note: message {sequence}: {why}; given up: it is a dead letter now")
}

/// Says that the queue is closed, and so why this ends before it was expected to.
pub(crate) fn explain_closed(snapshot: &Snapshot) {
    if snapshot.closed_at.is_some() {
        note(&format!(
            "note: queue {:?} is closed: this ends with its last message; --follow waits for the next sender",
            snapshot.name
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

/// The error of a timeout.
pub(crate) fn none_came(timeout: Option<Duration>) -> Failure {
    let seconds = timeout.unwrap_or_default().as_secs_f64();
    Failure::timeout(ErrorCode::RecvTimeout, format!("no message came within {seconds} s"))
}

/// Reports the sum at the end, if anything was missed.
pub(crate) fn report_missed(missed: u64) {
    if missed > 0 {
        note(&format!(
            "missed {missed} messages in all: they were overwritten before they were read"
        ));
    }
}

/// The error of naming a group that is not there, with those that are.
pub(crate) fn no_such_group<'a>(
    queue: &str,
    group: &str,
    known: impl Iterator<Item = &'a str>,
) -> Failure {
    let known: Vec<&str> = known.collect();
    let there = match &known[..] {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    let text = format!("queue {queue:?} has no group {group:?}; {there}");
    Failure::coded(ErrorCode::NoSuchGroup, text)
}
