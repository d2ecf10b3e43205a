//! How long it takes to wake a consumer, and what that costs the producer.

use super::args::{BenchWaitArgs, WakeBenchArgs, word};
use super::delays::{HEADINGS, HEADINGS_NOTE};
use super::report::{
    Axis, Figures, Plot, Report, Results, Scale, Settings, Wake, delay_percentiles,
};
use super::role::Task;
use super::runner::{self, Plan, wake_word};
use crate::args::{WaitArg, WakeArg};
use crate::failure::{Failure, note};
use crate::table::count;

const MODES: [WakeArg; 3] = [WakeArg::Membarrier, WakeArg::Fence, WakeArg::None];

pub(crate) fn run(args: &WakeBenchArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.wake_time());
    let modes = if args.modes.is_empty() { &MODES[..] } else { &args.modes };
    let plan = |&mode: &WakeArg| Plan {
        producer: Task::Wake,
        consumer: Task::Sleep,
        consumers: args.members,
        shared: args.members > 1,
        pause: args.pause,
        ..Plan::new(
            format!("wake {}", word(mode)),
            1,
            BenchWaitArgs { wait: WaitArg::Sleep, wake: Some(mode) },
        )
    };
    let measured = runner::measure(common, time, &modes.iter().map(plan).collect::<Vec<_>>())?;
    let (consumers, asleep_name, awake_name) = match args.members {
        1 => ("one consumer".to_owned(), "send, consumer asleep", "send, consumer awake"),
        members => (format!("a shared group of {members}"), "send, all asleep", "send, one awake"),
    };
    let (mut delays, mut costs) = (Vec::new(), Vec::new());
    let (mut rows, mut results) = (Vec::new(), Vec::new());
    for (&mode, runs) in modes.iter().zip(&measured.runs) {
        let name = wake_word(runs.median_run()?.wake);
        if name != word(mode) {
            note(&format!(
                "note: the kernel does not support {}; {name} was measured instead",
                word(mode)
            ));
        }
        let delay = runs.consumer_delays(|consumer| &consumer.from_sent)?;
        let asleep = runs.producer_delays(|producer| &producer.asleep)?;
        let awake = runs.producer_delays(|producer| &producer.awake)?;
        for (what, times) in
            [("publication to receipt", &delay), (asleep_name, &asleep), (awake_name, &awake)]
        {
            rows.push([vec![name.to_owned(), what.to_owned()], times.cells()].concat());
        }
        delays.push(delay_percentiles(name, &delay.all));
        costs.push(delay_percentiles(&format!("{name}, asleep"), &asleep.all));
        costs.push(delay_percentiles(&format!("{name}, awake"), &awake.all));
        results.push(Wake {
            wake: name,
            sent: runs.total(|run| run.sent()),
            received: runs.total(|run| run.received()),
            delay: delay.distribution(),
            send_asleep: asleep.distribution(),
            send_awake: awake.distribution(),
        });
    }
    let settings = Settings {
        members: Some(args.members),
        pause: Some(args.pause.as_secs_f64()),
        // Each result has its own.
        wake: None,
        ..Settings::new(common, time, WaitArg::Sleep, &measured)
    };
    let plot = |title, unit, series, note: &str| Plot {
        title,
        x: Axis::percentiles(),
        y: Axis { name: unit, scale: Scale::Times },
        series,
        note: note.to_owned(),
    };
    Ok(Report {
        bench: "wake",
        summary: format!(
            "one producer, {consumers}, asleep when a message comes; {} bytes a message, {} of {} s for each mode, \
             pauses of {} s or more",
            common.payload,
            count(common.runs(), "run", "runs"),
            time.as_secs_f64(),
            args.pause.as_secs_f64()
        ),
        settings,
        conditions: measured.conditions,
        figures: Figures { headings: [&["WAKE", "TIME"], &HEADINGS[..]].concat(), rows },
        notes: vec![HEADINGS_NOTE.to_owned()],
        results: Results::Wake(results),
        plots: vec![
            plot(
                "Wake-up delay",
                "publication to receipt, D (log scale)",
                delays,
                "In mode none the producer wakes no consumer: each polls once in a millisecond.",
            ),
            plot(
                "Cost of a send",
                "time of the call (log scale)",
                costs,
                "With all consumers asleep, and at once after it, with one awake. Both include one reading of the \
                 clock.",
            ),
        ],
    })
}
