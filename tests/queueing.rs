//! `Stats` against M/M/1 and M/D/1: a queue goes through the states of a run one by one, in the order in which a machine that
//! loses no time would. What depends on no clock must then be what the formulas say, within what a run of that length is off
//! by. `cargo bench --features cli --bench queueing` does the same in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;
#[path = "../benches/queueing/theory.rs"]
mod theory;

use std::time::Duration;

use common::TempName;
use slipring::{Monitor, OpenOptions, Queue};
use theory::{Case, Figures, Model, Plan};

/// In the order of time; at the same time, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Look,
    Ack,
    Send,
    Glance,
}

fn steps(plan: &Plan) -> Vec<Step> {
    let (begin, end) = (plan.looks[0], plan.looks[1]);
    let mut steps = vec![(begin, Step::Look)];
    steps.extend(plan.messages.iter().map(|message| (message.at, Step::Send)));
    steps.extend(plan.messages.iter().map(|message| (message.done, Step::Ack)));
    steps.extend(plan.glances.iter().map(|time| (*time, Step::Glance)));
    steps.retain(|(time, _)| *time <= end);
    steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    steps.into_iter().map(|(_, step)| step).chain([Step::Look]).collect()
}

/// What `Stats` says, without what depends on how long this took: Q = D x X, the share of it that waits, and P / C. Beside
/// each, by how much it is off at most: times are whole nanoseconds, and the faster messages go, the more one of them is.
fn measured(name: &str, plan: &Plan) -> [(f64, f64); 3] {
    let queue = Queue::builder(name).capacity(4096).payload_size(8).group("g").create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    let mut monitor = Monitor::open(name, &OpenOptions::new()).unwrap();
    let mut held = false;
    for step in steps(plan) {
        match step {
            Step::Send => _ = producer.send("").unwrap(),
            // It was delivered, and comes again to the same consumer.
            Step::Ack => consumer.recv().unwrap().ack().unwrap(),
            Step::Glance => monitor.glance(),
            Step::Look => _ = monitor.look().unwrap(),
        }
        held = match step {
            Step::Send | Step::Ack => consumer.try_recv().map(drop).is_ok(),
            _ => held,
        };
    }
    assert!(!held || monitor.snapshot().groups[0].unacked == 1);
    let stats = monitor.stats(Duration::ZERO);
    let group = &stats.groups[0];
    let rate = group.throughput.value().unwrap();
    let [delay, wait] = [group.delay, group.wait].map(|time| time.value().unwrap().as_secs_f64());
    let (rounding, nanosecond) = (1e-9, 1e-9 * rate);
    let utilisation = group.utilisation.value().unwrap();
    [(delay * rate, nanosecond), (wait * rate, nanosecond), (utilisation, rounding)]
}

/// The same figures of a run on a machine that loses no time, or of the formulas.
fn without_time(figures: &Figures) -> [f64; 3] {
    let wait = figures.wait / figures.delay * figures.waiting;
    [figures.waiting, wait, figures.utilisation]
}

#[test]
fn figures_are_those_of_queueing_theory() {
    for (model, rho) in [
        (Model::Exponential, 0.3),
        (Model::Exponential, 0.7),
        (Model::Constant, 0.5),
        (Model::Constant, 0.8),
    ] {
        let name = TempName::new("theory");
        let case = Case {
            model,
            rho,
            service: 1.0,
            warm_up: 200.0,
            window: 20_000.0,
            windows: 1,
            glances: 0.5,
            seed: 1,
        };
        let plan = case.plan();
        let ideal = plan.figures();
        let found = measured(&name, &plan);
        let (formula, deviation) = (case.formula(), case.deviation(100));
        for ((found, off), ideal) in found.into_iter().zip(without_time(&ideal)) {
            assert!((found - ideal).abs() < off, "{model:?} {rho}: {found}, not {ideal} ± {off}");
        }
        let [waiting, wait, utilisation] = without_time(&formula);
        let bounds = [deviation.waiting, deviation.waiting, deviation.utilisation];
        for (((found, _), expected), deviation) in
            found.into_iter().zip([waiting, wait, utilisation]).zip(bounds)
        {
            let off = (found - expected).abs();
            assert!(
                off < 4.0 * deviation,
                "{model:?} {rho}: {found}, not {expected} ± {deviation}"
            );
        }
    }
}
