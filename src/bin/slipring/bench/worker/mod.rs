//! One process of a benchmark: a producer or a consumer.

mod consume;
mod message;
mod produce;

use slipring::{OpenOptions, Queue};

use super::args::{BenchRole, BenchRoleArgs};
use super::findings::Findings;
use super::processors;
use crate::children::{self, Event};
use crate::failure::{Failure, open_failed};
use crate::stop::Stop;

pub(crate) fn run(args: &BenchRoleArgs) -> Result<(), Failure> {
    // Threads that start later inherit the processor.
    if let Some(cpu) = args.pin {
        processors::pin(cpu)?;
    }
    let stop = Stop::on_signals()?;
    children::stop_with_parent(stop.clone());
    let opened = OpenOptions::new().prefault(true).open(&args.name);
    let mut queue: Queue = opened.map_err(|fault| open_failed(&args.name, fault))?;
    queue.set_interrupt(stop.asked());
    let ready = || Event::<Findings>::Ready.report();
    let findings = match args.role {
        BenchRole::Stream => produce::stream(&queue, args, &stop, ready),
        BenchRole::Paced => produce::paced(&queue, args, &stop, ready),
        BenchRole::Waker => produce::wake(&queue, args, &stop, ready),
        BenchRole::Consumer | BenchRole::Sleeper => consume::run(&queue, args, &stop, ready),
    };
    Event::Done(findings?).report()
}
