//! How long a message takes, at a given rate.

use serde::Serialize;

use super::args::{BenchRole, LatencyArgs};
use super::delays::{Distribution, TIMES, TIMES_NOTE};
use super::report::{Axis, Plot, Report, Results, Scale, percentiles};
use super::runner::{self, Plan};
use super::spread::Spread;
use super::{PERCENTILE, conditions, settings, throughput_over_time};
use crate::failure::Failure;
use crate::table::{Table, grouped};

/// Most messages to take at once; a consumer that keeps up finds one.
const BATCH: u64 = 32;

#[derive(Debug, Serialize)]
pub(crate) struct Found {
    sent: u64,
    received: u64,
    publish_rate: Spread,
    from_due: Distribution,
    from_sent: Distribution,
    samples: Vec<(f64, f64)>,
}

pub(crate) fn run(args: &LatencyArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.latency_time());
    let plan = Plan {
        producer: BenchRole::Paced,
        rate: args.rate,
        ..Plan::new(BATCH.min(common.ring()), args.waiting)
    };
    let found = runner::perform(common, time, vec![("latency".to_owned(), plan)])?;
    let runs = found.runs.first().ok_or_else(|| Failure::failed("there was no run"))?;
    let delays = |what| runs.delays(|outcome| outcome.consumer()?.histogram(what));
    let (from_due, from_sent) = (delays("from_due")?, delays("from_sent")?);
    let mut table = Table::new(&[&["DELAY"], &TIMES[..]].concat());
    for (name, delays) in [("since it was due", &from_due), ("since it was sent", &from_sent)] {
        table.row([vec![name.to_owned()], delays.cells()].concat());
    }
    let rate = runs.spread(|outcome| outcome.producer.rate());
    let samples = runs.middle()?.over_time();
    let plot = Plot {
        title: "Latency percentiles".to_owned(),
        x: Axis { name: PERCENTILE, scale: Scale::Quantiles },
        y: Axis { name: "delay (log scale)", scale: Scale::Times },
        series: vec![
            percentiles("since it was due", &from_due.all),
            percentiles("since it was sent", &from_sent.all),
        ],
        note: "One way, of all runs. Where the lines part, the sender itself was late, or waited for room."
            .to_owned(),
    };
    let mut settings = settings(common, time, args.waiting.wait, &found);
    let summary = format!(
        "one producer, paced, one consumer of an exclusive group; {}",
        conditions(&settings)
    );
    settings.rate = Some(args.rate);
    let published = rate.text(|rate| grouped(rate as u64));
    let notes = vec![
        format!("Publish rate {published} messages/s, asked for {}.", args.rate),
        TIMES_NOTE.to_owned(),
    ];
    let result = Found {
        sent: runs.total(|outcome| outcome.sent()),
        received: runs.total(|outcome| outcome.received()),
        publish_rate: rate,
        from_due: from_due.distribution(),
        from_sent: from_sent.distribution(),
        samples: samples.clone(),
    };
    let over_time = throughput_over_time([("C, service rate".to_owned(), samples)]);
    Ok(Report {
        bench: "latency",
        summary,
        settings,
        ends: found.ends,
        disturbance: found.disturbance,
        warnings: found.warnings,
        table,
        notes,
        results: Results::Latency(vec![result]),
        plots: vec![plot, over_time],
    })
}
