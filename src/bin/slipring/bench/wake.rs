//! How long it takes to wake a consumer, and what that costs the producer.

use serde::Serialize;

use super::PERCENTILE;
use super::args::{BenchRole, BenchWaitArgs, WakeBenchArgs};
use super::delays::{Distribution, TIMES, TIMES_NOTE};
use super::report::{Axis, Plot, Report, Results, Scale, percentiles};
use super::runner::{self, Plan, wake_word, word};
use super::{counted, settings};
use crate::args::{WaitArg, WakeArg};
use crate::failure::{Failure, note};
use crate::table::Table;

#[derive(Debug, Serialize)]
pub(crate) struct Found {
    wake: &'static str,
    sent: u64,
    received: u64,
    delay: Distribution,
    send_asleep: Distribution,
    send_awake: Distribution,
}

pub(crate) fn run(args: &WakeBenchArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.wake_time());
    let all = [WakeArg::Membarrier, WakeArg::Fence, WakeArg::None];
    let modes = if args.modes.is_empty() { all.to_vec() } else { args.modes.clone() };
    let plan = |&mode: &WakeArg| {
        let waiting = BenchWaitArgs { wait: WaitArg::Sleep, wake: Some(mode) };
        let plan = Plan {
            producer: BenchRole::Waker,
            consumer: BenchRole::Sleeper,
            consumers: args.members,
            shared: args.members > 1,
            pause: args.pause,
            ..Plan::new(1, waiting)
        };
        (format!("wake {}", word(mode)), plan)
    };
    let found = runner::perform(common, time, modes.iter().map(plan).collect())?;
    let mut table = Table::new(&[&["WAKE", "TIME"], &TIMES[..]].concat());
    let (mut delays, mut costs, mut results) = (Vec::new(), Vec::new(), Vec::new());
    let (asleep_when, awake_when) = match args.members {
        1 => ("send, consumer asleep", "send, consumer awake"),
        _ => ("send, all asleep", "send, one awake"),
    };
    for (&mode, runs) in modes.iter().zip(&found.runs) {
        let name = wake_word(runs.middle()?.wake);
        if name != word(mode) {
            note(&format!("note: the kernel has no {} for this; {name} was measured", word(mode)));
        }
        let delay = runs.delays(|outcome| outcome.histogram("from_sent"))?;
        let asleep = runs.delays(|outcome| outcome.producer.histogram("asleep"))?;
        let awake = runs.delays(|outcome| outcome.producer.histogram("awake"))?;
        let rows =
            [("publication to receipt", &delay), (asleep_when, &asleep), (awake_when, &awake)];
        for (what, delays) in rows {
            table.row([vec![name.to_owned(), what.to_owned()], delays.cells()].concat());
        }
        delays.push(percentiles(name, &delay.all));
        costs.push(percentiles(&format!("{name}, asleep"), &asleep.all));
        costs.push(percentiles(&format!("{name}, awake"), &awake.all));
        results.push(Found {
            wake: name,
            sent: runs.total(|outcome| outcome.sent()),
            received: runs.total(|outcome| outcome.received()),
            delay: delay.distribution(),
            send_asleep: asleep.distribution(),
            send_awake: awake.distribution(),
        });
    }
    let mut settings = settings(common, time, WaitArg::Sleep, &found);
    settings.members = Some(args.members);
    settings.pause = Some(args.pause.as_secs_f64());
    // Each result has its own.
    settings.wake = None;
    let plot = |title: &str, unit, series, note: &str| Plot {
        title: title.to_owned(),
        x: Axis { name: PERCENTILE, scale: Scale::Quantiles },
        y: Axis { name: unit, scale: Scale::Times },
        series,
        note: note.to_owned(),
    };
    Ok(Report {
        bench: "wake",
        summary: format!(
            "one producer, {} that sleeps when a message comes; {} bytes a message, {} of {} s a mode, \
             pauses of {} s and more",
            match args.members {
                1 => "one consumer".to_owned(),
                members => format!("a shared group of {members}"),
            },
            common.payload,
            counted(common.runs(), "run"),
            time.as_secs_f64(),
            args.pause.as_secs_f64()
        ),
        settings,
        ends: found.ends,
        disturbance: found.disturbance,
        warnings: found.warnings,
        table,
        notes: vec![TIMES_NOTE.to_owned()],
        results: Results::Wake(results),
        plots: vec![
            plot(
                "Delay of waking",
                "publication to receipt (log scale)",
                delays,
                "In mode none nobody is woken: a consumer looks once in a millisecond.",
            ),
            plot(
                "Cost of a publication",
                "time of the call (log scale)",
                costs,
                "With all consumers asleep, and right after, when one is awake. Both with the time of reading \
                 the clock.",
            ),
        ],
    })
}
