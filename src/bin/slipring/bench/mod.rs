//! `slipring bench`: runs this program again as producer and consumers of real queues, and reports what they measured.
//!
//! Modules use those above them only: `args`, `role`; `spread`, `meter`, `findings`; `processors`; `worker` (the
//! processes); `delays`, `outcome`; `placement`, `interference`, `machine`, `warnings`; `runner`; `report`; then a
//! module for each benchmark.

mod args;
mod delays;
mod fanout;
mod findings;
mod group;
mod interference;
mod latency;
mod machine;
mod meter;
mod outcome;
mod placement;
mod processors;
mod report;
mod role;
mod runner;
mod spread;
mod throughput;
mod wake;
mod warnings;
mod worker;

use std::io::IsTerminal;

use crate::failure::{Failure, note};
use crate::streams::Stream;
pub(crate) use args::{BenchCommand, MEANING};
use machine::Machine;
use report::Report;
pub(crate) use role::Role;

pub(crate) fn run(command: &BenchCommand) -> Result<(), Failure> {
    Stream::Output.check()?;
    let machine = Machine::read();
    let common = command.common();
    if let Some(path) = &common.html {
        report::check_writable(path)?;
    }
    report::publish(&mut measure(command)?, &machine, common)
}

/// Runs one process of a benchmark.
pub(crate) fn run_role(role: &Role) -> Result<(), Failure> {
    Stream::Output.check()?;
    worker::run(role)
}

fn measure(command: &BenchCommand) -> Result<Vec<Report>, Failure> {
    let report = match command {
        BenchCommand::All(args) => {
            let mut reports = Vec::new();
            for command in args.each() {
                // On a terminal, the progress bar shows the part.
                if !std::io::stderr().is_terminal() {
                    note(&command.common().part);
                }
                reports.extend(measure(&command)?);
            }
            return Ok(reports);
        }
        BenchCommand::Latency(args) => latency::run(args)?,
        BenchCommand::Throughput(args) => throughput::run(args)?,
        BenchCommand::Fanout(args) => fanout::run(args)?,
        BenchCommand::Group(args) => group::run(args)?,
        BenchCommand::Wake(args) => wake::run(args)?,
    };
    Ok(vec![report])
}
