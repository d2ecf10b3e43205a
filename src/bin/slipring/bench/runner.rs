//! Makes the runs of a benchmark: each has a queue of its own, and processes that send and receive through it.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use slipring::{Group, Queue, WakeMode};

use super::args::{BenchArgs, BenchWaitArgs};
use super::findings::Findings;
use super::interference::{Interference, Ticks};
use super::outcome::{Outcome, Runs};
use super::placement::{self, Pins, Placement};
use super::role::{Role, Task};
use super::warnings::{self, Warning};
use crate::args::{WaitArg, WakeArg};
use crate::children::Children;
use crate::failure::Failure;
use crate::stop::Stop;
use crate::temporary::Temporary;

/// What to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) label: String,
    pub(crate) producer: Task,
    pub(crate) consumer: Task,
    /// The number of consumers: each has an exclusive group of its own, or all are members of one shared group.
    pub(crate) consumers: u64,
    pub(crate) shared: bool,
    pub(crate) batch: u64,
    pub(crate) wait: WaitArg,
    pub(crate) wake: Option<WakeArg>,
    pub(crate) rate: f64,
    pub(crate) pause: Duration,
}

impl Plan {
    /// A producer that sends as fast as it can, and one consumer.
    pub(crate) fn new(label: String, batch: u64, waiting: BenchWaitArgs) -> Plan {
        Plan {
            label,
            producer: Task::Stream,
            consumer: Task::Consume,
            consumers: 1,
            shared: false,
            batch,
            wait: waiting.wait,
            wake: waiting.wake,
            rate: 1.0,
            pause: Duration::ZERO,
        }
    }

    fn groups(&self) -> Vec<String> {
        let count = if self.shared { 1 } else { self.consumers };
        (1..=count).map(|i| format!("g{i}")).collect()
    }
}

/// The runs of a benchmark, and under which conditions they were made.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Of each plan.
    pub(crate) runs: Vec<Runs>,
    pub(crate) pins: Vec<usize>,
    pub(crate) conditions: Conditions,
}

#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    pub(crate) placement: Placement,
    pub(crate) interference: Interference,
    pub(crate) warnings: Vec<Warning>,
}

/// Makes all runs of all plans, one run of each plan in turn: so a change on the machine affects all plans alike.
pub(crate) fn measure(
    common: &BenchArgs,
    time: Duration,
    plans: &[Plan],
) -> Result<Measured, Failure> {
    let processes = plans.iter().map(|plan| plan.consumers as usize + 1).max().unwrap_or(0);
    let pins = Pins::choose(&common.pin, processes)?;
    plans.iter().try_for_each(|plan| check_batch(plan, common.ring()))?;
    let runner = Runner::new(common, time, &pins.list, plans.len())?;
    let before = Ticks::now(pins.used());
    let mut trips = Vec::new();
    let mut runs: Vec<Runs> =
        plans.iter().map(|plan| Runs { label: plan.label.clone(), ..Runs::default() }).collect();
    for round in 1..=common.runs() {
        if let Some((producer, consumer)) = pins.ends().filter(|(one, other)| one != other) {
            trips.extend(placement::round_trip(producer, consumer)?);
        }
        for (plan, runs) in plans.iter().zip(&mut runs) {
            let label = &plan.label;
            runner.bar.set_message(format!("{label}, run {round} of {}", common.runs()));
            runs.outcomes.push(runner.run(plan)?);
        }
    }
    let steal = Ticks::now(pins.used()).steal_since(before);
    runner.bar.finish_and_clear();
    let placement = Placement::of(&pins, trips, runs.iter().flat_map(|runs| &runs.outcomes));
    let interference = Interference::of(steal, &runs, &pins);
    let warnings = warnings::of_runs(&placement, &interference, &runs, &pins);
    let conditions = Conditions { placement, interference, warnings };
    Ok(Measured { runs, pins: pins.list, conditions })
}

fn check_batch(plan: &Plan, capacity: u64) -> Result<(), Failure> {
    let batch = plan.batch;
    if batch <= capacity {
        return Ok(());
    }
    let text =
        format!("a batch of {batch} messages does not fit in a queue with capacity {capacity}");
    Err(Failure::usage(format!("{text}\n  choose a larger --capacity, or a smaller --batch")))
}

/// What all runs have in common.
struct Runner<'a> {
    common: &'a BenchArgs,
    time: Duration,
    pins: &'a [usize],
    stop: Stop,
    /// Drawn on a terminal only.
    bar: ProgressBar,
}

impl<'a> Runner<'a> {
    /// For so many measurements, whose runs take `time` each.
    fn new(
        common: &'a BenchArgs,
        time: Duration,
        pins: &'a [usize],
        measurements: usize,
    ) -> Result<Runner<'a>, Failure> {
        let stop = Stop::on_signals()?;
        let runs = measurements as u64 * common.runs();
        let bar = ProgressBar::new(runs * time.as_millis() as u64);
        let template = "{prefix}{msg:<26} {bar:30} {percent:>3} %  {elapsed}, {eta} left";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !common.part.is_empty() {
            bar.set_prefix(format!("{}: ", common.part));
        }
        Ok(Runner { common, time, pins, stop, bar })
    }

    fn run(&self, plan: &Plan) -> Result<Outcome, Failure> {
        let name = Temporary::name("bench");
        let mut builder = Queue::builder(name.as_str())
            .capacity(self.common.capacity)
            .payload_size(self.common.payload as usize)
            .prefault(true);
        if let Some(wake) = plan.wake {
            builder = builder.wake_mode(wake.into());
        }
        for group in plan.groups() {
            let group = Group::named(group);
            builder = builder.group(if plan.shared { group.shared() } else { group });
        }
        let wake = builder.create()?.wake_mode();
        let mut consumers = self.run_processes(name.as_str(), plan)?;
        let producer = consumers.pop().unwrap_or_default();
        let outcome = Outcome { producer, consumers, wake };
        outcome.check(plan.shared)?;
        Ok(outcome)
    }

    /// Starts all processes, and waits for their findings. The producer starts last.
    fn run_processes(&self, name: &str, plan: &Plan) -> Result<Vec<Findings>, Failure> {
        let mut children = Children::default();
        let groups = plan.groups();
        for (number, group) in (1..=plan.consumers as usize).zip(groups.iter().cycle()) {
            let role = self.role(plan.consumer, name, group, plan, number);
            children.start(&format!("consumer {number}"), "bench-role", &role)?;
        }
        children.wait_until_ready(&self.stop)?;
        let role = self.role(plan.producer, name, "", plan, 0);
        children.start("producer", "bench-role", &role)?;
        let (begin, before) = (Instant::now(), self.bar.position());
        let findings = children.findings(&self.stop, |_| {
            let passed = begin.elapsed().min(self.time);
            self.bar.set_position(before + passed.as_millis() as u64);
        });
        self.bar.set_position(before + self.time.as_millis() as u64);
        findings
    }

    /// What the process with this place in the list of pins does.
    fn role(&self, task: Task, queue: &str, group: &str, plan: &Plan, place: usize) -> Role {
        Role {
            task,
            queue: queue.to_owned(),
            group: group.to_owned(),
            shared: plan.shared,
            batch: plan.batch as usize,
            payload: self.common.payload as usize,
            wait: plan.wait,
            time: self.time.as_nanos() as u64,
            rate: plan.rate,
            pause: plan.pause.as_nanos() as u64,
            pin: self.pins.get(place).copied(),
        }
    }
}

/// The name of a wake mode on the command line.
pub(crate) fn wake_word(mode: WakeMode) -> &'static str {
    match mode {
        WakeMode::Membarrier => "membarrier",
        WakeMode::Fence => "fence",
        WakeMode::None => "none",
        _ => "unknown",
    }
}
