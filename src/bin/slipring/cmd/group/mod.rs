//! `slipring group`

mod evict;
mod ls;
mod reject;
mod retry;

pub(super) use ls::run as list;

use slipring::{AckTimeoutError, EvictError, InFlightInfo, Mode, RemoveGroupError};

use crate::args::{GroupAddArgs, GroupCommand, GroupRemoveArgs, GroupSetArgs, places_in};
use crate::failure::Failure;
use crate::output::print;
use crate::queue::open_existing;
use crate::reading::NO_SPARE_CELLS;
use crate::table::count;

pub(crate) fn run(command: &GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::Ls(args) => ls::run(args),
        GroupCommand::Add(args) => add(args),
        GroupCommand::Set(args) => set(args),
        GroupCommand::Evict(args) => evict::run(args),
        GroupCommand::Retry(args) => retry::run(args),
        GroupCommand::Reject(args) => reject::run(args),
        GroupCommand::Rm(args) => remove(args),
    }
}

fn add(args: &GroupAddArgs) -> Result<(), Failure> {
    args.policy.check(args.shared, "--shared").map_err(Failure::usage)?;
    let queue = open_existing(&args.name)?;
    let group = match args.shared {
        true => args.policy.shared(&args.group, places_in(&queue.snapshot()?)),
        false => args.policy.exclusive(&args.group),
    };
    queue.add_group(group.start(args.from).retention(args.retention.into()))?;
    let snapshot = queue.snapshot()?;
    // Another process may have removed it already.
    let Some(made) = snapshot.groups.iter().find(|group| group.name == args.group) else {
        return Ok(());
    };
    let messages = count(made.depth, "message waits", "messages wait");
    let places = match &made.in_flight {
        Some(InFlightInfo { max, .. }) => {
            format!("{} in flight at most\n", count((*max).into(), "message", "messages"))
        }
        None if args.shared && args.policy.in_flight.is_none() => {
            format!("{NO_SPARE_CELLS}\n")
        }
        None => String::new(),
    };
    print(&format!(
        "group {:?} starts at message {}: {messages} for it\n{places}",
        args.group, made.head
    ))
}

fn set(args: &GroupSetArgs) -> Result<(), Failure> {
    let (name, group, timeout) = (&args.name, &args.group, args.ack_timeout);
    let timeout = (!timeout.is_zero()).then_some(timeout);
    let set = open_existing(name)?.set_ack_timeout(group, timeout);
    set.map_err(|fault| match fault {
        AckTimeoutError::NotFound { .. } | AckTimeoutError::NotInFlight { .. } => Failure::from(
            fault,
        )
        .hint(format!("slipring group ls {name}  (lists the groups and what they have in flight)")),
        fault => fault.into(),
    })
}

/// Sequences that are listed; of more, the number has to do.
const LISTED: usize = 16;

fn listed(sequences: &[u64]) -> String {
    let list: Vec<String> = sequences.iter().take(LISTED).map(u64::to_string).collect();
    let more = if sequences.len() > LISTED { ", .." } else { "" };
    format!("{}{more}", list.join(", "))
}

/// The error of an operator's command for messages in flight of the queue `name`.
fn messages_failed(name: &str, fault: EvictError) -> Failure {
    match fault {
        EvictError::NotFound { .. } | EvictError::NotInFlight { .. } => {
            Failure::from(fault).hint(format!(
                "slipring group ls {name}  (lists the groups and which consumer has which message)"
            ))
        }
        fault => fault.into(),
    }
}

fn remove(args: &GroupRemoveArgs) -> Result<(), Failure> {
    let queue = open_existing(&args.name)?;
    let (name, group) = (&args.name, &args.group);
    let removed = match args.force {
        true => queue.force_remove_group(group),
        false => queue.remove_group(group),
    };
    removed.map_err(|fault| match fault {
        RemoveGroupError::NotFound { .. } => Failure::from(fault)
            .hint(format!("slipring group ls {name}  (lists those that there are)")),
        RemoveGroupError::Unacked { .. } => {
            let snapshot = queue.snapshot().map(|snapshot| snapshot.groups).unwrap_or_default();
            let shared =
                snapshot.iter().any(|info| info.name == *group && info.mode == Some(Mode::Shared));
            let shared = if shared { " --shared" } else { "" };
            Failure::from(fault)
                .hint(format!(
                    "slipring recv {name} --group {group}{shared}  (prints and acks them)"
                ))
                .hint(format!("slipring group rm {name} {group} --force  (without them)"))
        }
        fault => fault.into(),
    })
}
