//! `slipring group evict`

use std::time::Duration;

use slipring::{Evictions, GroupInfo, InFlightMessage, Queue};

use super::{listed, messages_failed};

use crate::args::GroupEvictArgs;
use crate::failure::Failure;
use crate::json::{self, Evicted};
use crate::output::print;
use crate::queue::open_existing;
use crate::table::count;

/// A consumer that has been taking messages from the ring for so long is stopped.
const TAKING: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &GroupEvictArgs) -> Result<(), Failure> {
    let (name, group) = (&args.name, &args.group);
    let queue = open_existing(name)?;
    let asked = |message: &InFlightMessage| {
        args.all
            || args.sequence == Some(message.sequence)
            || args.member.is_some() && args.member == message.record
    };
    let mut done =
        queue.evict(group, args.delay, asked).map_err(|fault| messages_failed(name, fault))?;
    if args.sequence.is_none() {
        done.taking.extend(reserving(&queue, args, &done.taking));
    }
    let Evictions { evicted, taking, .. } = &done;
    if args.json {
        print(&json::line(&Evicted { queue: name, group, evicted, taking }))?;
    } else {
        print(&to_text(args, &done))?;
    }
    let none = |text: String| {
        let hint = format!("slipring group ls {name}  (says which consumer has which message)");
        Err(Failure::failed(text).hint(hint))
    };
    match (taking.first(), args.sequence, args.member) {
        (Some(_), ..) => Err(still_taking(&queue, args, taking)),
        (None, Some(sequence), _) if evicted.is_empty() => {
            none(format!("no consumer of group {group:?} has message {sequence} in flight"))
        }
        (None, _, Some(member)) if evicted.is_empty() && !is_of_group(&queue, args, member) => {
            none(format!("group {group:?} has no consumer {member}"))
        }
        _ => Ok(()),
    }
}

/// Consumers that have been taking messages for long, and keep places for them.
fn reserving(queue: &Queue, args: &GroupEvictArgs, taking: &[u8]) -> Vec<u8> {
    let groups = queue.snapshot().map(|snapshot| snapshot.groups).unwrap_or_default();
    let Some(group) = groups.into_iter().find(|info| info.name == args.group) else {
        return Vec::new();
    };
    let GroupInfo { members, in_flight, .. } = group;
    let stopped = members.into_iter().filter(|member| {
        let asked = args.member.is_none_or(|record| record == member.record);
        let reserves = in_flight.as_ref().is_some_and(|it| it.reserved_by(member.record) > 0);
        asked && reserves && member.live && member.taking.is_some_and(|time| time >= TAKING)
    });
    stopped.map(|member| member.record).filter(|record| !taking.contains(record)).collect()
}

fn is_of_group(queue: &Queue, args: &GroupEvictArgs, record: u8) -> bool {
    let groups = queue.snapshot().map(|snapshot| snapshot.groups).unwrap_or_default();
    let mut of_group = groups.iter().filter(|info| info.name == args.group);
    of_group.any(|info| info.members.iter().any(|member| member.record == record))
}

fn to_text(args: &GroupEvictArgs, done: &Evictions) -> String {
    let Evictions { evicted, taking, .. } = done;
    let none = "took no message back";
    match (&evicted[..], args.member) {
        // The error says why.
        ([], _) if args.sequence.is_some() || !taking.is_empty() => format!("{none}\n"),
        ([], Some(record)) => format!("{none}: consumer {record} has none in flight\n"),
        ([], None) => format!("{none}: no consumer has one in flight\n"),
        (some, _) => {
            let what = count(some.len() as u64, "message", "messages");
            format!("took {what} back: {}\n", listed(some))
        }
    }
}

/// A member that is stopped between the ring and its places keeps what it is moving.
fn still_taking(queue: &Queue, args: &GroupEvictArgs, taking: &[u8]) -> Failure {
    let groups = queue.snapshot().map(|snapshot| snapshot.groups).unwrap_or_default();
    let members =
        groups.iter().filter(|info| info.name == args.group).flat_map(|info| &info.members);
    let them: Vec<_> = members.filter(|member| taking.contains(&member.record)).collect();
    let records: Vec<String> = taking.iter().map(u8::to_string).collect();
    let (consumers, have) = match &records[..] {
        [one] => (format!("consumer {one}"), "has"),
        some => (format!("consumers {}", some.join(", ")), "have"),
    };
    let text = format!(
        "{consumers} {have} been in the middle of taking messages from the ring for 0.1 s, as one does that is stopped, or takes \
         large ones: those messages and the places reserved for them come to others when it goes on or ends"
    );
    let pids = them.iter().filter_map(|member| queue.pid_here(member));
    let failure = Failure::failed(text);
    pids.fold(failure, |failure, pid| {
        failure.hint(format!("kill -CONT {pid}  (lets it go on)")).hint(format!("kill -KILL {pid}"))
    })
}
