//! `slipring bench`: this program again as producer and consumers, over real queues. The process that was
//! called only starts them, listens to them and cleans up.

mod fanout;
mod group;
mod latency;
mod message;
mod meter;
mod produce;
mod read;
mod report;
pub(crate) mod role;
mod stage;
mod throughput;
mod wake;

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::args::{BenchArgs, BenchCommand, WaitArg};
use crate::failure::Failure;
use report::{Axis, Machine, Plot, Scale, Series};
use stage::{Outcome, wake_word, word};

/// Names of axes.
const PERCENTILE: &str = "percentile of the messages, %";
const RATE: &str = "messages per second";

pub(crate) fn run(command: &BenchCommand) -> Result<(), Failure> {
    let machine = Machine::look();
    let common = match command {
        BenchCommand::Latency(args) => &args.common,
        BenchCommand::Throughput(args) => &args.common,
        BenchCommand::Fanout(args) => &args.batches.common,
        BenchCommand::Group(args) => &args.batches.common,
        BenchCommand::Wake(args) => &args.common,
    };
    if let Some(path) = &common.html {
        report::check_writable(path)?;
    }
    let report = match command {
        BenchCommand::Latency(args) => latency::run(args)?,
        BenchCommand::Throughput(args) => throughput::run(args)?,
        BenchCommand::Fanout(args) => fanout::run(args)?,
        BenchCommand::Group(args) => group::run(args)?,
        BenchCommand::Wake(args) => wake::run(args)?,
    };
    report.publish(&machine, common)
}

/// What the first consumer got per second, sample by sample.
fn over_time(outcome: &Outcome) -> Vec<(f64, f64)> {
    let begin = outcome.producer.number("begin");
    outcome.consumers.first().map_or_else(Vec::new, |said| said.over_time(begin))
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
        note: "C, the service rate of one consumer, between two samples.".to_owned(),
    }
}

/// What all measurements of a benchmark have in common.
#[derive(Debug, Default)]
struct Conditions {
    seconds: f64,
    payload: u64,
    capacity: u64,
    wait: String,
    wake: &'static str,
    pin: Vec<usize>,
}

impl Conditions {
    fn of(common: &BenchArgs, time: Duration, wait: WaitArg, outcome: &Outcome) -> Conditions {
        Conditions {
            seconds: time.as_secs_f64(),
            payload: common.payload,
            capacity: common.ring(),
            wait: word(wait),
            wake: wake_word(outcome.wake),
            pin: common.pin.clone(),
        }
    }

    fn settings(&self) -> Value {
        json!({
            "seconds": self.seconds,
            "payload": self.payload,
            "capacity": self.capacity,
            "wait": self.wait,
            "wake": self.wake,
            "pin": self.pin,
        })
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { seconds, payload, capacity, wait, wake, .. } = self;
        write!(
            out,
            "{payload} bytes a message, a ring of {capacity}, {seconds} s each, wait {wait}, wake {wake}"
        )
    }
}
