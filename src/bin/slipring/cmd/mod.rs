//! One file per command.

mod create;
mod dead;
mod exec;
mod group;
mod inspect;
mod ls;
mod peek;
mod recv;
mod rm;
mod send;
mod tail;

use slipring::{Builder, Queue, Snapshot};

use crate::args::{Command, OpenArgs, Shape};
use crate::failure::{Failure, note, open_failed};
use crate::group_table;
use crate::queue;
use crate::streams::Stream;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    check_streams(&command)?;
    match command {
        Command::Create(args) => create::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Groups(args) => group_table::run(&args),
        Command::Group(command) => group::run(&command),
        Command::Dead(command) => dead::run(&command),
        Command::Rm(args) => rm::run(&args),
    }
}

/// Fails before anything is done if a stream is missing that the command, or what it runs, works with.
fn check_streams(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Create(_) | Command::Group(_) | Command::Rm(_) => Ok(()),
        Command::Send(args) if args.file.is_some() => Ok(()),
        Command::Send(_) => Stream::Input.check(),
        _ => Stream::Output.check(),
    }
}

/// A queue of the shape that was asked for, not made yet.
fn builder(name: &str, shape: Shape) -> Builder {
    let mut builder = queue::builder(name);
    if let Some(capacity) = shape.capacity {
        builder = builder.capacity(capacity);
    }
    if let Some(payload) = shape.payload {
        builder = builder.payload_size(payload as usize);
    }
    if let Some(consumers) = shape.consumers {
        builder = builder.max_consumers(consumers as usize);
    }
    if let Some(groups) = shape.groups {
        builder = builder.max_groups(groups as usize);
    }
    if let Some(mode) = shape.mode {
        builder = builder.permissions(mode);
    }
    if let Some(mode) = shape.wake {
        builder = builder.wake_mode(mode.into());
    }
    builder
}

/// Opens a queue; makes it first if that was asked for.
fn open(name: &str, args: &OpenArgs) -> Result<Queue, Failure> {
    if args.create {
        let wanted = builder(name, args.shape);
        let queue = wanted.open_or_create()?;
        let differences = wanted.differences(&queue)?;
        if !differences.is_empty() {
            let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
            note(&format!(
                "note: queue {name:?} was there, and keeps its shape: {}",
                texts.join(", ")
            ));
        }
        return Ok(queue);
    }
    let opened = queue::options().open(name);
    if args.shape.is_given() {
        let text = "--capacity, --payload, --consumers, --groups, --mode and --wake are for a new queue: add \
                    --create, or leave them out";
        return Err(Failure::Usage(text.to_owned()));
    }
    let missing = matches!(opened, Err(slipring::OpenError::NotFound { .. }));
    opened.map_err(|fault| {
        let failure = open_failed(name, fault);
        if missing { failure.hint("or add --create to this command") } else { failure }
    })
}

/// Opens a queue that must exist.
fn open_existing(name: &str) -> Result<Queue, Failure> {
    queue::options().open(name).map_err(|fault| open_failed(name, fault))
}

pub(crate) fn snapshot(name: &str) -> Result<Snapshot, Failure> {
    queue::options().snapshot(name).map_err(|fault| open_failed(name, fault))
}

/// What a queue is for that the library has made for dead letters; `None` for any other.
fn purpose(look: &Snapshot) -> Option<String> {
    if look.schema_name != "dead letters" {
        return None;
    }
    // A name with dots can be taken apart in several ways, but the group has the same name in both queues.
    let retries = look.groups.iter().find_map(|group| {
        let queue = look.name.strip_suffix(&format!(".{}.retry", group.name))?;
        Some(format!("retry queue of group {:?} of queue {queue:?}", group.name))
    });
    let letters = || match look.name.strip_suffix(".dead") {
        Some(queue) => format!("dead letters of queue {queue:?}"),
        None => "dead letters".to_owned(),
    };
    Some(retries.unwrap_or_else(letters))
}
