//! What makes figures unreliable, as far as it can be detected.

use serde::Serialize;

use super::interference::{Interference, is_oversubscribed};
use super::machine::Machine;
use super::outcome::Runs;
use super::placement::{Pins, Placement};
use crate::table::count;

/// The share of its time that the host may take from a virtual machine before there is a warning.
const STEAL: f64 = 0.005;

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
    Preemption,
    SharedProcessor,
    PlacementChanged,
    Oversubscribed,
}

fn warning(kind: Kind, text: impl Into<String>) -> Warning {
    Warning { kind, text: text.into() }
}

/// Warnings that concern every benchmark on this machine.
pub(crate) fn of_machine(machine: &Machine) -> Vec<Warning> {
    let Machine { load, nice, .. } = machine;
    let mut list = Vec::new();
    if machine.build == "debug" {
        list.push(warning(
            Kind::DebugBuild,
            "this is a debug build, which is slow: build with --release",
        ));
    }
    let processors = machine.usable.len().max(1);
    if *load > processors as f64 {
        let count = count(processors as u64, "processor", "processors");
        let text = format!(
            "the load average was {load} on {count} before the start: other programs use them; run again when it is \
             lower"
        );
        list.push(warning(Kind::Load, text));
    }
    if *nice > 0 {
        let text = format!("the program runs at nice level {nice}: other programs go first");
        list.push(warning(Kind::Nice, text));
    }
    list
}

/// Warnings that concern one benchmark.
pub(crate) fn of_runs(
    placement: &Placement,
    interference: &Interference,
    runs: &[Runs],
    pins: &Pins,
) -> Vec<Warning> {
    let mut list = Vec::new();
    if let Some(cpu) = placement.only_processor() {
        let why =
            "each waits while the other one runs, so the figures are not those of two processors";
        list.push(warning(
            Kind::SharedProcessor,
            format!("both ends ran on processor {cpu}: {why}"),
        ));
    } else if !placement.pinned && !placement.producer.is_disjoint(&placement.consumer) {
        let text =
            "the ends were not both pinned and moved between processors: they may have shared one";
        list.push(warning(Kind::SharedProcessor, text));
    }
    if placement.changed()
        && let Some(trips) = &placement.round_trip
    {
        let text = format!(
            "the distance between the ends changed from run to run ({:.0} to {:.0} ns a round trip): run again for \
             figures of one placement",
            trips.min, trips.max
        );
        list.push(warning(Kind::PlacementChanged, text));
    }
    let Interference { steal, preemptions, preempted_runs, runs: all_runs } = interference;
    if *preempted_runs > 0 {
        let text = format!(
            "other programs preempted an end in {preempted_runs} of {all_runs} runs, up to {preemptions:.0} times a \
             second: stop them, or --pin processors that they do not use"
        );
        list.push(warning(Kind::Preemption, text));
    }
    if *steal >= STEAL {
        let share = steal * 100.0;
        let text = format!("the host took {share:.1} % of the processors' time (steal)");
        list.push(warning(Kind::Steal, text));
    }
    let oversubscribed = runs.iter().filter(|runs| is_oversubscribed(runs, pins));
    let labels: Vec<&str> = oversubscribed.map(|runs| &*runs.label).collect();
    if !labels.is_empty() {
        let processors = count(pins.usable.len() as u64, "processor", "processors");
        let text = format!(
            "more processes than processors ({processors}), so that they take turns: {}",
            labels.join(", ")
        );
        list.push(warning(Kind::Oversubscribed, text));
    }
    list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use slipring::WakeMode;

    use super::super::findings::Findings;
    use super::super::outcome::Outcome;
    use super::*;

    /// A run of a second with so many preemptions of the producer.
    fn run(preemptions: u64, consumers: usize) -> Runs {
        let findings = |preemptions: u64, cpu: usize| Findings {
            end: 1_000_000_000,
            preemptions,
            processors: vec![cpu, cpu],
            ..Findings::default()
        };
        let outcome = Outcome {
            producer: findings(preemptions, 0),
            consumers: (0..consumers).map(|_| findings(0, 1)).collect(),
            wake: WakeMode::None,
        };
        Runs { label: format!("{consumers} consumers"), outcomes: vec![outcome] }
    }

    fn kinds(list: &[usize], trips: Vec<f64>, steal: f64, runs: &[Runs]) -> Vec<Kind> {
        let pins = Pins { list: list.to_vec(), usable: vec![0, 1] };
        let outcomes = runs.iter().flat_map(|runs| &runs.outcomes);
        let placement = Placement::of(&pins, trips, outcomes);
        let interference = Interference::of(steal, runs, &pins);
        of_runs(&placement, &interference, runs, &pins).iter().map(|it| it.kind).collect()
    }

    #[test]
    fn a_quiet_machine_has_no_warnings() {
        assert!(kinds(&[0, 1], vec![150.0, 160.0], 0.001, &[run(3, 1), run(0, 1)]).is_empty());
    }

    #[test]
    fn each_interference_has_a_warning() {
        let trips = || vec![150.0];
        assert_eq!(kinds(&[0, 1], trips(), 0.0, &[run(500, 1)]), [Kind::Preemption]);
        assert_eq!(kinds(&[0, 1], trips(), 0.02, &[run(0, 1)]), [Kind::Steal]);
        assert_eq!(kinds(&[0, 1], vec![60.0, 150.0], 0.0, &[run(0, 1)]), [Kind::PlacementChanged]);
        // With more processes than processors, the benchmark's own processes preempt each other.
        let oversubscribed = [run(500, 2), run(0, 1)];
        assert_eq!(kinds(&[0, 1], trips(), 0.0, &oversubscribed), [Kind::Oversubscribed]);
    }

    #[test]
    fn ends_on_one_processor_have_a_warning() {
        let placement = |producer: &[usize], consumer: &[usize], pinned| Placement {
            producer: BTreeSet::from_iter(producer.iter().copied()),
            consumer: BTreeSet::from_iter(consumer.iter().copied()),
            pinned,
            distance: None,
            round_trip: None,
        };
        let warned = |placement: Placement| {
            let pins = Pins { list: Vec::new(), usable: vec![0, 1] };
            let interference = Interference::of(0.0, &[], &pins);
            let list = of_runs(&placement, &interference, &[], &pins);
            list.iter().any(|it| it.kind == Kind::SharedProcessor)
        };
        assert!(warned(placement(&[1], &[1], true)) && warned(placement(&[0], &[0], false)));
        assert!(warned(placement(&[0, 1], &[1], false)));
        assert!(!warned(placement(&[0], &[1], false)) && !warned(placement(&[0], &[1], true)));
    }

    #[test]
    fn load_has_a_warning_above_the_number_of_processors() {
        let kinds = |load, nice| {
            let mut machine = Machine::read();
            (machine.load, machine.nice, machine.usable) = (load, nice, vec![0, 1]);
            let kinds = of_machine(&machine).into_iter().map(|warning| warning.kind);
            kinds.filter(|kind| *kind != Kind::DebugBuild).collect::<Vec<_>>()
        };
        assert!(kinds(2.0, 0).is_empty() && kinds(0.0, -5).is_empty());
        assert_eq!(kinds(2.1, 0), [Kind::Load]);
        assert_eq!(kinds(0.0, 5), [Kind::Nice]);
    }
}
