//! The runs of a benchmark: in each a queue of its own, and processes that send and receive through it.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use slipring::{Group, Queue, WakeMode};

use super::args::{BenchArgs, BenchRole, BenchWaitArgs};
use super::outcome::{Outcome, Runs, Said};
use super::placement::{self, Ends, Pins};
use super::warnings::{self, Disturbance, Ticks, Warning};
use crate::args::{WaitArg, WakeArg};
use crate::children::{Crew, Word};
use crate::failure::Failure;
use crate::stop::Stop;
use crate::temporary::Temporary;

/// What is to run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) producer: BenchRole,
    pub(crate) consumer: BenchRole,
    /// Exclusive groups with a consumer each; or one shared group of so many.
    pub(crate) consumers: u64,
    pub(crate) shared: bool,
    pub(crate) batch: u64,
    pub(crate) wait: WaitArg,
    pub(crate) wake: Option<WakeArg>,
    pub(crate) rate: f64,
    pub(crate) pause: Duration,
}

impl Plan {
    /// One producer at full speed, one consumer.
    pub(crate) fn new(batch: u64, waiting: BenchWaitArgs) -> Plan {
        Plan {
            producer: BenchRole::Stream,
            consumer: BenchRole::Consumer,
            consumers: 1,
            shared: false,
            batch,
            wait: waiting.wait,
            wake: waiting.wake,
            rate: 1.0,
            pause: Duration::ZERO,
        }
    }
}

/// What came of all runs of a benchmark.
#[derive(Debug)]
pub(crate) struct Found {
    /// Of each plan.
    pub(crate) runs: Vec<Runs>,
    pub(crate) pins: Vec<usize>,
    pub(crate) ends: Ends,
    pub(crate) disturbance: Disturbance,
    pub(crate) warnings: Vec<Warning>,
}

impl Found {
    /// The mode in which all queues were, as far as they were in one.
    pub(crate) fn wake(&self) -> WakeMode {
        let first = self.runs.first().and_then(|runs| runs.outcomes.first());
        first.map_or(WakeMode::None, |outcome| outcome.wake)
    }
}

/// Makes all runs of all plans, which have names. Runs of one plan do not follow each other, so that what changes on
/// the machine meanwhile befalls all plans alike.
pub(crate) fn perform(
    common: &BenchArgs,
    time: Duration,
    plans: Vec<(String, Plan)>,
) -> Result<Found, Failure> {
    let processes = plans.iter().map(|(_, plan)| plan.consumers as usize + 1).max().unwrap_or(0);
    let pins = Pins::choose(&common.pin, processes)?;
    let stage = Stage::new(common, time, &pins.list, plans.len())?;
    plans.iter().try_for_each(|(_, plan)| stage.check(plan))?;
    let before = Ticks::now(pins.used());
    let mut trips = Vec::new();
    let mut runs: Vec<Runs> =
        plans.iter().map(|(label, _)| Runs { label: label.clone(), ..Runs::default() }).collect();
    for round in 1..=common.runs() {
        if let Some((producer, consumer)) = pins.ends().filter(|(one, other)| one != other) {
            trips.extend(placement::round_trip(producer, consumer)?);
        }
        for ((label, plan), runs) in plans.iter().zip(&mut runs) {
            stage.show(label, round);
            runs.outcomes.push(stage.measure(plan)?);
        }
    }
    let stolen = Ticks::now(pins.used()).stolen_since(before);
    stage.bar.finish_and_clear();
    let ends = Ends::of(&pins, trips, &runs);
    let disturbance = Disturbance::of(stolen, &runs, &pins);
    let warnings = warnings::all(&ends, &disturbance, &runs, &pins);
    Ok(Found { runs, pins: pins.list, ends, disturbance, warnings })
}

/// Where measurements are made.
struct Stage<'a> {
    common: &'a BenchArgs,
    time: Duration,
    pins: &'a [usize],
    stop: Stop,
    bar: ProgressBar,
}

impl<'a> Stage<'a> {
    /// For all runs of so many measurements, `time` each.
    fn new(
        common: &'a BenchArgs,
        time: Duration,
        pins: &'a [usize],
        measurements: usize,
    ) -> Result<Stage<'a>, Failure> {
        let stop = Stop::on_signals()?;
        // Drawn on a terminal only.
        let runs = measurements as u64 * common.runs();
        let bar = ProgressBar::new(runs * time.as_millis() as u64);
        let template = "{prefix}{msg:<26} {bar:30} {percent:>3} %  {elapsed}, {eta} left";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !common.part.is_empty() {
            bar.set_prefix(format!("{}: ", common.part));
        }
        Ok(Stage { common, time, pins, stop, bar })
    }

    /// Fails on what the arguments cannot mean.
    fn check(&self, plan: &Plan) -> Result<(), Failure> {
        if plan.batch <= self.common.ring() {
            return Ok(());
        }
        let (batch, capacity) = (plan.batch, self.common.ring());
        let text = format!("a batch of {batch} does not fit in a ring of {capacity}");
        Err(Failure::Usage(format!("{text}\n  make --capacity larger")))
    }

    /// Says what is measured.
    fn show(&self, label: &str, round: u64) {
        self.bar.set_message(format!("{label}, run {round} of {}", self.common.runs()));
    }

    fn measure(&self, plan: &Plan) -> Result<Outcome, Failure> {
        let name = Temporary::name("bench");
        let mut builder = Queue::builder(name.as_str())
            .capacity(self.common.capacity)
            .payload_size(self.common.payload as usize)
            .prefault(true);
        if let Some(wake) = plan.wake {
            builder = builder.wake_mode(wake.into());
        }
        for group in groups(plan) {
            let group = Group::named(group);
            builder = builder.group(if plan.shared { group.shared() } else { group });
        }
        let wake = builder.create()?.wake_mode();
        let mut said = self.follow(name.as_str(), plan)?.into_iter();
        let producer = said.next_back().unwrap_or(Said(Value::Null));
        let outcome = Outcome { producer, consumers: said.collect(), wake };
        outcome.check(plan.shared)?;
        Ok(outcome)
    }

    /// Starts everybody, the producer last, and waits for what they say.
    fn follow(&self, name: &str, plan: &Plan) -> Result<Vec<Said>, Failure> {
        let mut crew = Crew::default();
        let groups = groups(plan);
        for (i, group) in (0..plan.consumers as usize).zip(groups.iter().cycle()) {
            let label = format!("consumer {}", i + 1);
            let mut args = self.role(plan.consumer, name, plan, i + 1);
            args.extend(["--group".to_owned(), group.clone()]);
            args.extend(plan.shared.then(|| "--shared".to_owned()));
            start(&mut crew, &label, &args)?;
        }
        let mut ready = 0;
        while ready < crew.len() {
            ready += usize::from(matches!(crew.listen(&self.stop)?, Some((_, Word::Ready))));
        }
        start(&mut crew, "producer", &self.role(plan.producer, name, plan, 0))?;
        let (begin, before) = (Instant::now(), self.bar.position());
        let mut results: Vec<Option<Said>> = Vec::new();
        results.resize_with(crew.len(), || None);
        while results.iter().any(Option::is_none) {
            if let Some((who, Word::Done(result))) = crew.listen(&self.stop)?
                && let Some(place) = results.get_mut(who)
            {
                *place = Some(Said(result));
            }
            let passed = begin.elapsed().min(self.time);
            self.bar.set_position(before + passed.as_millis() as u64);
        }
        self.bar.set_position(before + self.time.as_millis() as u64);
        Ok(results.into_iter().flatten().collect())
    }

    /// The arguments of a process.
    fn role(&self, role: BenchRole, name: &str, plan: &Plan, place: usize) -> Vec<String> {
        let wait = plan.wait;
        let role = role.to_possible_value();
        let mut args = vec![
            "bench-role".to_owned(),
            role.map_or(String::new(), |role| role.get_name().to_owned()),
            name.to_owned(),
            format!("--batch={}", plan.batch),
            format!("--payload={}", self.common.payload),
            format!("--wait={}", word(wait)),
            format!("--time={}", self.time.as_nanos()),
            format!("--rate={}", plan.rate),
            format!("--pause={}", plan.pause.as_nanos()),
        ];
        args.extend(self.pins.get(place).map(|cpu| format!("--pin={cpu}")));
        args
    }
}

fn start(crew: &mut Crew, label: &str, args: &[String]) -> Result<(), Failure> {
    crew.start(label, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn groups(plan: &Plan) -> Vec<String> {
    let count = if plan.shared { 1 } else { plan.consumers };
    (1..=count).map(|i| format!("g{i}")).collect()
}

/// How a value is called on the command line.
pub(crate) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

pub(crate) fn wake_word(mode: WakeMode) -> &'static str {
    match mode {
        WakeMode::Membarrier => "membarrier",
        WakeMode::Fence => "fence",
        WakeMode::None => "none",
        _ => "unknown",
    }
}
