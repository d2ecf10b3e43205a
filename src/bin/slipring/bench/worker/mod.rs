//! One process of a benchmark.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use serde_json::{Value, json};
use slipring::{OpenOptions, Queue};

mod message;
mod produce;
mod read;

use super::args::{BenchRole, BenchRoleArgs};
use crate::children;
use crate::failure::{Failure, io_failed, open_failed};
use crate::stop::Stop;

pub(crate) fn run(args: &BenchRoleArgs) -> Result<(), Failure> {
    // Before there are threads, so that all of them are.
    if let Some(cpu) = args.pin {
        pin(cpu)?;
    }
    let stop = Stop::on_signals()?;
    children::stop_with_parent(stop.clone());
    let opened = OpenOptions::new().prefault(true).open(&args.name);
    let mut queue: Queue = opened.map_err(|fault| open_failed(&args.name, fault))?;
    queue.set_interrupt(stop.asked());
    match args.role {
        BenchRole::Stream => produce::stream(&queue, args, &stop),
        BenchRole::Paced => produce::paced(&queue, args, &stop),
        BenchRole::Waker => produce::wake(&queue, args, &stop),
        BenchRole::Consumer | BenchRole::Sleeper => read::run(&queue, args, &stop),
    }
}

/// What befalls the calling thread from here on.
pub(crate) struct Watch {
    processor: Option<usize>,
    interruptions: i64,
}

impl Watch {
    pub(crate) fn begin() -> Watch {
        Watch { processor: sched_getcpu().ok(), interruptions: interruptions() }
    }

    /// How often the kernel gave its processor to something else, and where it was seen. Adds them to `result`.
    pub(crate) fn end(self, result: &mut Value) {
        let processors: Vec<usize> =
            [self.processor, sched_getcpu().ok()].into_iter().flatten().collect();
        if let Some(result) = result.as_object_mut() {
            let count = interruptions().saturating_sub(self.interruptions).max(0);
            result.insert("interruptions".to_owned(), json!(count));
            result.insert("processors".to_owned(), json!(processors));
        }
    }
}

/// Involuntary context switches of the calling thread so far.
fn interruptions() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.involuntary_context_switches())
}

/// Lets the calling thread run on this processor only.
pub(crate) fn pin(cpu: usize) -> Result<(), Failure> {
    let pin = || {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)
    };
    pin().map_err(|errno| io_failed(&format!("run on processor {cpu}"), &errno.into()))
}

/// The processors that this process may run on.
pub(crate) fn processors() -> Result<Vec<usize>, Failure> {
    let set = sched_getaffinity(Pid::from_raw(0))
        .map_err(|errno| io_failed("ask for the processors", &errno.into()))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}
