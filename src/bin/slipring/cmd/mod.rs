//! One file per command.

mod create;
mod dead;
mod exec;
mod forward;
mod group;
mod info;
mod ls;
mod peek;
mod recv;
mod rm;
mod send;
mod stats;
mod streams;
mod tail;

use crate::args::{Command, GroupCommand};
use crate::failure::Failure;
use crate::metrics;
use crate::streams::Stream;
use crate::top;

pub(crate) fn run(command: Command) -> Result<(), Failure> {
    check_streams(&command)?;
    match command {
        Command::Create(args) => create::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Recv(args) => recv::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Peek(args) => peek::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Groups(args) => group::list(&args),
        Command::Group(command) => group::run(&command),
        Command::Dead(command) => dead::run(&command),
        Command::Streams(args) => streams::run(args),
        Command::Rm(args) => rm::run(&args),
    }
}

/// Fails before anything is done if a stream is missing that the command, or what it runs, works with.
fn check_streams(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Group(GroupCommand::Ls(_)) => Stream::Output.check(),
        Command::Streams(args) if args.changes() => Ok(()),
        Command::Metrics(args) if !args.once => Ok(()),
        Command::Create(_) | Command::Forward(_) | Command::Group(_) | Command::Rm(_) => Ok(()),
        Command::Send(args) if args.file.is_some() => Ok(()),
        Command::Send(_) => Stream::Input.check(),
        _ => Stream::Output.check(),
    }
}
