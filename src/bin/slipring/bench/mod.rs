//! `slipring bench`: this program again as producer and consumers, over real queues. The process that was
//! called only starts them, listens to them and cleans up.

mod message;
mod meter;
mod produce;
mod read;
mod report;
pub(crate) mod role;
mod stage;
mod throughput;

use crate::args::BenchCommand;
use crate::failure::Failure;
use report::{Axis, Machine, Plot, Scale, Series};
use stage::Outcome;

/// Names of axes.
const RATE: &str = "messages per second";

pub(crate) fn run(command: &BenchCommand) -> Result<(), Failure> {
    let machine = Machine::look();
    let common = match command {
        BenchCommand::Latency(args) => &args.common,
        BenchCommand::Throughput(args) => &args.common,
        BenchCommand::Fanout(args) => &args.common,
        BenchCommand::Group(args) => &args.common,
        BenchCommand::Wake(args) => &args.common,
    };
    if let Some(path) = &common.html {
        report::check_writable(path)?;
    }
    let report = match command {
        BenchCommand::Throughput(args) => throughput::run(args)?,
        _ => return Ok(()),
    };
    report.publish(&machine, common)
}

/// What the first consumer got per second, sample by sample.
fn over_time(outcome: &Outcome) -> Vec<(f64, f64)> {
    let begin = outcome.producer.number("begin");
    outcome.consumers.first().map_or_else(Vec::new, |said| said.over_time(begin))
}

fn throughput_over_time(series: Vec<Series>) -> Plot {
    Plot {
        title: "Throughput over time".to_owned(),
        x: Axis { name: "time since the first message, s", scale: Scale::Linear },
        y: Axis { name: RATE, scale: Scale::Linear },
        series,
        note: "C, the service rate, between two samples.".to_owned(),
    }
}
