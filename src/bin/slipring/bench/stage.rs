//! One measurement: a queue of its own, and processes that send and receive through it.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use slipring::{Group, Queue, WakeMode};

use super::{meter, role};
use crate::args::{BenchArgs, BenchRole, BenchWaitArgs, WaitArg, WakeArg};
use crate::crew::{Crew, Word};
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

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) producer: Said,
    pub(crate) consumers: Vec<Said>,
    /// The mode that the queue has, which may be another than was asked for.
    pub(crate) wake: WakeMode,
}

/// What one process said.
#[derive(Debug)]
pub(crate) struct Said(Value);

impl Said {
    pub(crate) fn number(&self, what: &str) -> u64 {
        self.0.get(what).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Messages per second, from its first to its last.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.number("messages"), self.number("begin"), self.number("end"))
    }

    pub(crate) fn histogram(&self, what: &str) -> Result<Histogram<u64>, Failure> {
        meter::told(self.0.get(what).unwrap_or(&Value::Null))
    }

    /// Seconds since `begin`, and messages per second up to then.
    pub(crate) fn over_time(&self, begin: u64) -> Vec<(f64, f64)> {
        meter::rates(self.0.get("samples").unwrap_or(&Value::Null), begin)
    }
}

impl Outcome {
    /// The only consumer.
    pub(crate) fn consumer(&self) -> Result<&Said, Failure> {
        self.consumers.first().ok_or_else(|| Failure::failed("there was no consumer"))
    }

    /// What all consumers saw.
    pub(crate) fn histogram(&self, what: &str) -> Result<Histogram<u64>, Failure> {
        let mut all = meter::histogram()?;
        for said in &self.consumers {
            // It has the same bounds.
            let _ = all.add(said.histogram(what)?);
        }
        Ok(all)
    }

    /// Messages that all consumers got.
    pub(crate) fn received(&self) -> u64 {
        self.consumers.iter().map(|said| said.number("messages")).sum()
    }

    /// Messages per second that all consumers of a shared group took together.
    pub(crate) fn service_rate(&self) -> f64 {
        let of = |what| self.consumers.iter().map(move |said| said.number(what));
        let (begin, end) = (of("begin").min().unwrap_or(0), of("end").max().unwrap_or(0));
        per_second(self.received(), begin, end)
    }

    /// Fails unless each group got every message once.
    fn check(&self, shared: bool) -> Result<(), Failure> {
        let totals = |of: &[Said]| {
            let marks = of.iter().map(|said| said.number("marks"));
            let messages: u64 = of.iter().map(|said| said.number("messages")).sum();
            (messages, marks.fold(0, u64::wrapping_add))
        };
        let sent = totals(std::slice::from_ref(&self.producer));
        let groups = if shared { self.consumers.len() } else { 1 };
        for group in self.consumers.chunks(groups.max(1)) {
            let got = totals(group);
            if got != sent {
                let text = format!("{} messages were sent, and {} came", sent.0, got.0);
                let hint = "or others than were sent; nothing that was measured is worth anything";
                return Err(Failure::Failed(text).hint(hint));
            }
        }
        Ok(())
    }
}

fn per_second(messages: u64, begin: u64, end: u64) -> f64 {
    messages as f64 * 1e9 / end.saturating_sub(begin).max(1) as f64
}

/// Where measurements are made.
pub(crate) struct Stage<'a> {
    common: &'a BenchArgs,
    time: Duration,
    stop: Stop,
    bar: ProgressBar,
}

impl<'a> Stage<'a> {
    /// For so many measurements of `time` each. Fails on what the arguments cannot mean here.
    pub(crate) fn new(
        common: &'a BenchArgs,
        time: Duration,
        measurements: usize,
    ) -> Result<Stage<'a>, Failure> {
        let here = role::processors()?;
        if let Some(cpu) = common.pin.iter().find(|cpu| !here.contains(cpu)) {
            let text = format!("--pin: there is no processor {cpu} that this process may run on");
            let list: Vec<String> = here.iter().map(usize::to_string).collect();
            return Err(Failure::Usage(format!("{text}\n  choose from {}", list.join(","))));
        }
        let stop = Stop::on_signals()?;
        // Drawn on a terminal only.
        let bar = ProgressBar::new(measurements as u64 * time.as_millis() as u64);
        let style = ProgressStyle::with_template("{msg:>16} {bar:40} {percent:>3} %  {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(Stage { common, time, stop, bar })
    }

    pub(crate) fn measure(&self, label: &str, plan: &Plan) -> Result<Outcome, Failure> {
        if plan.batch > self.common.ring() {
            let (batch, capacity) = (plan.batch, self.common.ring());
            let text = format!("a batch of {batch} does not fit in a ring of {capacity}");
            return Err(Failure::Usage(format!("{text}\n  make --capacity larger")));
        }
        self.bar.set_message(label.to_owned());
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
        args.extend(self.common.pin.get(place).map(|cpu| format!("--pin={cpu}")));
        args
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_group_must_get_what_was_sent_and_nothing_else() {
        let said =
            |messages: u64, marks: u64| Said(json!({ "messages": messages, "marks": marks }));
        let whole = |shared, consumers: &[(u64, u64)]| {
            let consumers = consumers.iter().map(|(messages, marks)| said(*messages, *marks));
            let consumers = consumers.collect();
            let outcome = Outcome { producer: said(3, 60), consumers, wake: WakeMode::None };
            outcome.check(shared).is_ok()
        };
        assert!(whole(false, &[(3, 60), (3, 60)]) && whole(true, &[(1, 10), (2, 50), (0, 0)]));
        assert!(!whole(false, &[(3, 60), (2, 50)]) && !whole(true, &[(1, 10), (1, 20)]));
        // As many, but not the same.
        assert!(!whole(false, &[(3, 61)]) && !whole(true, &[(1, 10), (2, 40)]));
    }
}
