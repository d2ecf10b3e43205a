//! What spoils figures, as far as it can be seen.

use std::fs;

use serde::Serialize;

use super::outcome::Runs;
use super::placement::{Ends, Pins};

/// Interruptions of an end in a second that mean nothing: the kernel's own, and 10 by the process that listens. Another
/// program that wants the processor makes hundreds.
const INTERRUPTIONS: f64 = 50.0;
/// The share of its time that a virtual machine may be without its processors.
const STOLEN: f64 = 0.005;

#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Warning {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    DebugBuild,
    Load,
    Nice,
    Steal,
    Interruptions,
    OneProcessor,
    Placement,
    TakingTurns,
}

impl Warning {
    pub(crate) fn new(kind: Kind, text: String) -> Warning {
        Warning { kind, text }
    }
}

/// What the machine did besides.
#[derive(Debug, Serialize)]
pub(crate) struct Disturbance {
    /// The share of the time of the processors used that the host gave to others.
    pub(crate) stolen: f64,
    /// Involuntary context switches per second, of the end and the run that had most.
    pub(crate) interruptions: f64,
    /// Runs in which an end had more than is usual, and runs in all. Without those whose processes took turns.
    pub(crate) interrupted_runs: usize,
    pub(crate) runs: usize,
}

impl Disturbance {
    pub(crate) fn of(stolen: f64, runs: &[Runs], pins: &Pins) -> Disturbance {
        let alone = runs.iter().filter(|runs| !takes_turns(runs, pins));
        let most: Vec<f64> = alone
            .flat_map(|runs| &runs.outcomes)
            .map(|outcome| outcome.ends().map(|end| end.interruptions()).fold(0.0, f64::max))
            .collect();
        Disturbance {
            stolen,
            interruptions: most.iter().copied().fold(0.0, f64::max),
            interrupted_runs: most.iter().filter(|count| **count > INTERRUPTIONS).count(),
            runs: most.len(),
        }
    }
}

/// Whether there are more processes than processors.
fn takes_turns(runs: &Runs, pins: &Pins) -> bool {
    runs.outcomes.first().is_some_and(|it| it.consumers.len() + 1 > pins.usable.len())
}

/// What spoils the figures of one benchmark.
pub(crate) fn all(ends: &Ends, seen: &Disturbance, runs: &[Runs], pins: &Pins) -> Vec<Warning> {
    let mut list = Vec::new();
    let mut add = |kind, text| list.push(Warning::new(kind, text));
    if let Some(cpu) = ends.only_processor() {
        let why = "each waits while the other one runs, so this is not how fast two processors are";
        add(Kind::OneProcessor, format!("both ends ran on processor {cpu}: {why}"));
    } else if !ends.pinned && !ends.producer.is_disjoint(&ends.consumer) {
        let text =
            "the ends were not both pinned, and moved between processors: they may have shared one";
        add(Kind::OneProcessor, text.to_owned());
    }
    if ends.moved()
        && let Some(trips) = &ends.round_trip
    {
        let text = format!(
            "how far apart the ends are changed between runs, from {:.0} to {:.0} ns a round trip: run again for \
             figures of one placement",
            trips.least, trips.most
        );
        add(Kind::Placement, text);
    }
    if seen.interrupted_runs > 0 {
        let Disturbance { interruptions, interrupted_runs, runs, .. } = seen;
        let text = format!(
            "other programs took an end's processor in {interrupted_runs} of {runs} runs, up to {interruptions:.0} \
             times a second: stop them, or --pin processors that they do not use"
        );
        add(Kind::Interruptions, text);
    }
    if seen.stolen >= STOLEN {
        let share = seen.stolen * 100.0;
        let text = format!("the host took {share:.1} % of the processors' time for others (steal)");
        add(Kind::Steal, text);
    }
    let turns = runs.iter().filter(|runs| takes_turns(runs, pins));
    let turns: Vec<&str> = turns.map(|runs| &*runs.label).collect();
    if !turns.is_empty() && !ends.producer.is_empty() {
        let count = crate::table::count(pins.usable.len() as u64, "processor", "processors");
        let text =
            format!("more processes than the {count}, which take turns: {}", turns.join(", "));
        add(Kind::TakingTurns, text);
    }
    list
}

/// Time of processors up to now, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    stolen: u64,
    all: u64,
}

impl Ticks {
    pub(crate) fn now(processors: &[usize]) -> Ticks {
        Ticks::parse(&fs::read_to_string("/proc/stat").unwrap_or_default(), processors)
    }

    /// user, nice, system, idle, iowait, irq, softirq and steal of each processor: proc_stat(5).
    fn parse(text: &str, processors: &[usize]) -> Ticks {
        let mut ticks = Ticks::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let cpu = words.next().and_then(|word| word.strip_prefix("cpu")?.parse().ok());
            if cpu.is_some_and(|cpu| processors.contains(&cpu)) {
                let times: Vec<u64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
                ticks.all += times.iter().sum::<u64>();
                ticks.stolen += times.get(7).copied().unwrap_or(0);
            }
        }
        ticks
    }

    /// The share that was stolen since `before`.
    pub(crate) fn stolen_since(self, before: Ticks) -> f64 {
        let stolen = self.stolen.saturating_sub(before.stolen) as f64;
        stolen / self.all.saturating_sub(before.all).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use slipring::WakeMode;

    use super::super::outcome::{Outcome, Said};
    use super::*;

    /// A run of a second, in which the producer lost its processor so often.
    fn run(interruptions: u64, consumers: usize) -> Runs {
        let said = |count: u64, cpu: usize| {
            let end = 1_000_000_000u64;
            Said(
                json!({ "begin": 0, "end": end, "interruptions": count, "processors": [cpu, cpu] }),
            )
        };
        let outcome = Outcome {
            producer: said(interruptions, 0),
            consumers: (0..consumers).map(|_| said(0, 1)).collect(),
            wake: WakeMode::None,
        };
        Runs { label: format!("{consumers} readers"), outcomes: vec![outcome] }
    }

    fn kinds(list: &[usize], trips: Vec<f64>, stolen: f64, runs: &[Runs]) -> Vec<Kind> {
        let pins = Pins { list: list.to_vec(), usable: vec![0, 1] };
        let ends = Ends::of(&pins, trips, runs);
        let seen = Disturbance::of(stolen, runs, &pins);
        all(&ends, &seen, runs, &pins).iter().map(|warning| warning.kind).collect()
    }

    #[test]
    fn a_quiet_machine_has_no_warnings() {
        assert!(kinds(&[0, 1], vec![150.0, 160.0], 0.001, &[run(3, 1), run(0, 1)]).is_empty());
    }

    #[test]
    fn each_disturbance_is_named() {
        let trips = || vec![150.0];
        assert_eq!(kinds(&[0, 1], trips(), 0.0, &[run(500, 1)]), [Kind::Interruptions]);
        assert_eq!(kinds(&[0, 1], trips(), 0.02, &[run(0, 1)]), [Kind::Steal]);
        assert_eq!(kinds(&[0, 1], vec![60.0, 150.0], 0.0, &[run(0, 1)]), [Kind::Placement]);
        // Who takes turns is interrupted: that says nothing about other programs.
        assert_eq!(kinds(&[0, 1], trips(), 0.0, &[run(500, 2), run(0, 1)]), [Kind::TakingTurns]);
    }

    #[test]
    fn ends_on_one_processor_are_seen_where_they_ran() {
        let ends = |producer: &[usize], consumer: &[usize], pinned| Ends {
            producer: BTreeSet::from_iter(producer.iter().copied()),
            consumer: BTreeSet::from_iter(consumer.iter().copied()),
            pinned,
            placement: None,
            round_trip: None,
        };
        let warned = |ends: Ends| {
            let pins = Pins { list: Vec::new(), usable: vec![0, 1] };
            let seen = Disturbance::of(0.0, &[], &pins);
            all(&ends, &seen, &[], &pins).iter().any(|it| it.kind == Kind::OneProcessor)
        };
        assert!(warned(ends(&[1], &[1], true)) && warned(ends(&[0], &[0], false)));
        assert!(warned(ends(&[0, 1], &[1], false)));
        assert!(!warned(ends(&[0], &[1], false)) && !warned(ends(&[0], &[1], true)));
    }

    #[test]
    fn steal_is_the_eighth_time_of_a_processor() {
        let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 5 80 0 0 0 5 3 3\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        let ticks = Ticks::parse(text, &[0]);
        assert_eq!((ticks.stolen, ticks.all), (5, 100));
        assert_eq!(ticks.stolen_since(Ticks::default()), 0.05);
        assert_eq!(Ticks::default().stolen_since(ticks), 0.0);
    }
}
