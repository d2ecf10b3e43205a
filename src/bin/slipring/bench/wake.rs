//! How long it takes to wake a consumer, and what that costs the producer.

use serde_json::json;

use super::report::{Axis, Plot, Report, Scale, TIMES, distribution, percentiles, times};
use super::stage::{Plan, Stage, wake_word, word};
use super::{Conditions, PERCENTILE};
use crate::args::{BenchRole, BenchWaitArgs, WaitArg, WakeArg, WakeBenchArgs};
use crate::failure::{Failure, note};
use crate::table::Table;

pub(crate) fn run(args: &WakeBenchArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.seconds(1));
    let all = [WakeArg::Membarrier, WakeArg::Fence, WakeArg::None];
    let modes = if args.modes.is_empty() { all.to_vec() } else { args.modes.clone() };
    let stage = Stage::new(common, time, modes.len())?;
    let mut table = Table::new(&[&["WAKE", "TIME"], &TIMES[..]].concat());
    let (mut delays, mut costs, mut results) = (Vec::new(), Vec::new(), Vec::new());
    let (asleep_when, awake_when) = match args.members {
        1 => ("send, consumer asleep", "send, consumer awake"),
        _ => ("send, all asleep", "send, one awake"),
    };
    let mut conditions = None;
    for mode in modes {
        let waiting = BenchWaitArgs { wait: WaitArg::Sleep, wake: Some(mode) };
        let plan = Plan {
            producer: BenchRole::Waker,
            consumer: BenchRole::Sleeper,
            consumers: args.members,
            shared: args.members > 1,
            pause: args.pause,
            ..Plan::new(1, waiting)
        };
        let outcome = stage.measure(&format!("wake {}", word(mode)), &plan)?;
        let name = wake_word(outcome.wake);
        if name != word(mode) {
            note(&format!("note: the kernel has no {} for this; {name} was measured", word(mode)));
        }
        let delay = outcome.histogram("from_sent")?;
        let asleep = outcome.producer.histogram("asleep")?;
        let awake = outcome.producer.histogram("awake")?;
        let rows =
            [("publication to receipt", &delay), (asleep_when, &asleep), (awake_when, &awake)];
        for (what, histogram) in rows {
            table.row([vec![name.to_owned(), what.to_owned()], times(histogram)].concat());
        }
        delays.push(percentiles(name, &delay));
        costs.push(percentiles(&format!("{name}, asleep"), &asleep));
        costs.push(percentiles(&format!("{name}, awake"), &awake));
        results.push(json!({
            "wake": name,
            "sent": outcome.producer.number("messages"),
            "received": outcome.received(),
            "delay": distribution(&delay),
            "send_asleep": distribution(&asleep),
            "send_awake": distribution(&awake),
        }));
        conditions = Some(Conditions::of(common, time, WaitArg::Sleep, &outcome));
    }
    stage.finish();
    let conditions = conditions.unwrap_or_default();
    let mut settings = conditions.settings();
    settings["members"] = json!(args.members);
    settings["pause"] = json!(args.pause.as_secs_f64());
    // Each result has its own.
    if let Some(settings) = settings.as_object_mut() {
        settings.remove("wake");
    }
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
            "one producer, {} that sleeps when a message comes; {} bytes a message, {} s a mode, \
             pauses of {} s and more",
            match args.members {
                1 => "one consumer".to_owned(),
                members => format!("a shared group of {members}"),
            },
            common.payload,
            time.as_secs_f64(),
            args.pause.as_secs_f64()
        ),
        settings,
        table,
        results,
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
