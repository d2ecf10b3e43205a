//! How long a message takes, at a given rate.

use serde_json::json;

use super::report::{Axis, Plot, Report, Scale, TIMES, distribution, percentiles, times};
use super::stage::{Plan, Stage};
use super::{Conditions, PERCENTILE, over_time, throughput_over_time};
use crate::args::{BenchRole, LatencyArgs};
use crate::failure::Failure;
use crate::table::{Table, grouped};

/// Most messages to take at once; a consumer that keeps up finds one.
const BATCH: u64 = 32;

pub(crate) fn run(args: &LatencyArgs) -> Result<Report, Failure> {
    let time = args.common.seconds(5);
    let stage = Stage::new(&args.common, time, 1)?;
    let plan = Plan {
        producer: BenchRole::Paced,
        rate: args.rate,
        ..Plan::new(BATCH.min(args.common.ring()), args.waiting)
    };
    let outcome = stage.measure("latency", &plan)?;
    stage.finish();
    let consumer = outcome.consumer()?;
    let (from_due, from_sent) = (consumer.histogram("from_due")?, consumer.histogram("from_sent")?);
    let mut table = Table::new(&[&["DELAY"], &TIMES[..]].concat());
    for (name, delays) in [("since it was due", &from_due), ("since it was sent", &from_sent)] {
        table.row([vec![name.to_owned()], times(delays)].concat());
    }
    let rate = outcome.producer.rate();
    table.below(format!(
        "publish rate {} messages/s, asked for {}",
        grouped(rate as u64),
        args.rate
    ));
    let samples = over_time(&outcome);
    let delays = Plot {
        title: "Latency percentiles".to_owned(),
        x: Axis { name: PERCENTILE, scale: Scale::Quantiles },
        y: Axis { name: "delay (log scale)", scale: Scale::Times },
        series: vec![
            percentiles("since it was due", &from_due),
            percentiles("since it was sent", &from_sent),
        ],
        note: "One way. Where the lines part, the sender itself was late, or waited for room."
            .to_owned(),
    };
    let conditions = Conditions::of(&args.common, time, args.waiting.wait, &outcome);
    let mut settings = conditions.settings();
    settings["rate"] = json!(args.rate);
    let result = json!({
        "sent": outcome.producer.number("messages"),
        "received": consumer.number("messages"),
        "publish_rate": rate,
        "from_due": distribution(&from_due),
        "from_sent": distribution(&from_sent),
        "samples": samples,
    });
    let over_time = throughput_over_time([("C, service rate".to_owned(), samples)]);
    Ok(Report {
        bench: "latency",
        summary: format!("one producer, paced, one consumer of an exclusive group; {conditions}"),
        settings,
        table,
        results: vec![result],
        plots: vec![delays, over_time],
    })
}
