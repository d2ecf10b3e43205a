//! One process of a benchmark: a producer or a consumer.

mod consume;
mod message;
mod produce;

use slipring::{OpenOptions, Queue};

use super::findings::Findings;
use super::processors;
use super::role::{Role, Task};
use crate::children::{self, Event};
use crate::failure::{Failure, open_failed};
use crate::stop::Stop;

pub(crate) fn run(role: &Role) -> Result<(), Failure> {
    // Threads that start later inherit the processor.
    if let Some(cpu) = role.pin {
        processors::pin(cpu)?;
    }
    let stop = Stop::on_signals()?;
    children::stop_with_parent(stop.clone());
    let opened = OpenOptions::new().prefault(true).open(&role.queue);
    let mut queue: Queue = opened.map_err(|fault| open_failed(&role.queue, fault))?;
    queue.set_interrupt(stop.asked());
    let worker = Worker { queue: &queue, role, stop: &stop };
    let findings = match role.task {
        Task::Stream => worker.stream(),
        Task::Paced => worker.paced(),
        Task::Wake => worker.wake(),
        Task::Consume | Task::Sleep => worker.consume(),
    };
    Event::Done(findings?).report()
}

struct Worker<'a> {
    queue: &'a Queue,
    role: &'a Role,
    stop: &'a Stop,
}

impl Worker<'_> {
    /// Tells the parent that this process has joined the queue.
    fn ready(&self) -> Result<(), Failure> {
        Event::<Findings>::Ready.report()
    }
}
