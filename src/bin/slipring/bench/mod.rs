//! `slipring bench`: this program again as producer and consumers, over real queues. The process that was
//! called only starts them, listens to them and cleans up.

mod args;
mod delays;
mod fanout;
mod group;
mod latency;
mod machine;
mod meter;
mod outcome;
mod placement;
mod report;
mod runner;
mod spread;
mod throughput;
mod wake;
mod warnings;
mod worker;

use std::io::IsTerminal;
use std::time::Duration;

use crate::args::WaitArg;
use crate::failure::{Failure, note};
use crate::streams::Stream;
use args::BenchArgs;
pub(crate) use args::{BenchCommand, BenchRoleArgs, MEANING};
use machine::Machine;
use report::{Axis, Plot, Report, Scale, Series, Settings};
use runner::{Found, wake_word, word};

/// Names of axes.
const PERCENTILE: &str = "percentile of the messages, %";
const RATE: &str = "messages per second";

/// The line below tables of rates.
const RATES_NOTE: &str =
    "Rates and shares are the medians of all runs; LEAST and MOST are of the rate before them.";

/// One process of a benchmark, told apart by the hidden command.
pub(crate) fn run_role(args: &BenchRoleArgs) -> Result<(), Failure> {
    Stream::Output.check()?;
    worker::run(args)
}

pub(crate) fn run(command: &BenchCommand) -> Result<(), Failure> {
    Stream::Output.check()?;
    let machine = Machine::look();
    let common = command.common();
    if let Some(path) = &common.html {
        report::check_writable(path)?;
    }
    report::publish(&mut measure(command)?, &machine, common)
}

fn measure(command: &BenchCommand) -> Result<Vec<Report>, Failure> {
    let report = match command {
        BenchCommand::All(args) => {
            let mut reports = Vec::new();
            for command in args.each() {
                // On a terminal a bar says so.
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

/// 1 as "1 group", 2 as "2 groups".
fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Lines with their names.
fn throughput_over_time(lines: impl IntoIterator<Item = (String, Vec<(f64, f64)>)>) -> Plot {
    Plot {
        title: "Throughput over time".to_owned(),
        x: Axis { name: "time since the first message, s", scale: Scale::Linear },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: lines.into_iter().map(|(name, points)| Series { name, points }).collect(),
        note: "C, the service rate of one consumer, between two samples, in the run with the median service rate."
            .to_owned(),
    }
}

/// What all benchmarks have to say about theirs.
fn settings(common: &BenchArgs, time: Duration, wait: WaitArg, found: &Found) -> Settings {
    Settings {
        seconds: time.as_secs_f64(),
        runs: common.runs(),
        payload: common.payload,
        capacity: common.ring(),
        wait: word(wait),
        pin: found.pins.clone(),
        wake: Some(wake_word(found.wake())),
        ..Settings::default()
    }
}

/// The settings in words.
fn conditions(settings: &Settings) -> String {
    let Settings { seconds, runs, payload, capacity, wait, wake, .. } = settings;
    let wake = wake.map_or(String::new(), |wake| format!(", wake {wake}"));
    let runs = counted(*runs, "run");
    format!(
        "{payload} bytes a message, a ring of {capacity}, {runs} of {seconds} s each, wait {wait}{wake}"
    )
}
