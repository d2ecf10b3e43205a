//! What further exclusive groups cost.

use serde::Serialize;

use super::args::{BatchArgs, FanoutArgs};
use super::outcome::Outcome;
use super::report::{Axis, Plot, Report, Results, Scale, Series};
use super::runner::{self, Plan};
use super::spread::Spread;
use super::{RATE, RATES_NOTE, conditions, counted, settings, throughput_over_time};
use crate::failure::Failure;
use crate::table::{Table, grouped};

const GROUPS: [u64; 5] = [1, 2, 4, 8, 16];

#[derive(Debug, Serialize)]
pub(crate) struct Found {
    groups: u64,
    sent: u64,
    received: u64,
    publish_rate: Spread,
    slowest_reader: Spread,
    fastest_reader: Spread,
    deliveries: Spread,
    /// Of the run in the middle.
    reader_rates: Vec<f64>,
    samples: Vec<(f64, f64)>,
}

pub(crate) fn run(args: &FanoutArgs) -> Result<Report, Failure> {
    let BatchArgs { batch, waiting, common } = &args.batches;
    let time = common.stream_time();
    let counts = common.list(&args.groups, &GROUPS);
    let plan = |&count: &u64| {
        (counted(count, "group"), Plan { consumers: count, ..Plan::new(*batch, *waiting) })
    };
    let found = runner::perform(common, time, counts.iter().map(plan).collect())?;
    let mut table = Table::new(&[
        "GROUPS",
        "MESSAGES",
        "PUBLISH RATE/s",
        "LEAST",
        "MOST",
        "SLOWEST READER/s",
        "FASTEST READER/s",
        "DELIVERIES/s",
    ]);
    let names = [
        "P, publish rate",
        "P, least of the runs",
        "P, most",
        "C, slowest reader",
        "C, fastest reader",
    ];
    let mut curves = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let (mut results, mut lines) = (Vec::new(), Vec::new());
    for (&count, runs) in counts.iter().zip(&found.runs) {
        let publish = runs.spread(|outcome| outcome.producer.rate());
        let slowest = runs.spread(|outcome| readers(outcome).fold(f64::INFINITY, f64::min));
        let fastest = runs.spread(|outcome| readers(outcome).fold(0.0, f64::max));
        let deliveries = runs.spread(|outcome| readers(outcome).sum());
        let sent = runs.total(|outcome| outcome.sent());
        let rates = [publish.median, publish.least, publish.most, slowest.median, fastest.median];
        let mut row = vec![count.to_string(), grouped(sent)];
        row.extend(rates.iter().chain([&deliveries.median]).map(|rate| grouped(*rate as u64)));
        table.row(row);
        for (curve, rate) in curves.iter_mut().zip(rates) {
            curve.points.push((count as f64, rate));
        }
        let middle = runs.middle()?;
        lines.push((counted(count, "group"), middle.over_time()));
        results.push(Found {
            groups: count,
            sent,
            received: runs.total(|outcome| outcome.received()),
            publish_rate: publish,
            slowest_reader: slowest,
            fastest_reader: fastest,
            deliveries,
            reader_rates: readers(middle).collect(),
            samples: middle.over_time(),
        });
    }
    let mut settings = settings(common, time, waiting.wait, &found);
    let summary = format!(
        "one producer, a reader process for each exclusive group, batches of {batch}; {}",
        conditions(&settings)
    );
    settings.batch = Some(*batch);
    let curve = Plot {
        title: "Fan-out curve".to_owned(),
        x: Axis { name: "exclusive groups, each with a reader process", scale: Scale::at(&counts) },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: curves.into(),
        note: "Every group gets every message. Readers beyond the number of processors take turns. Medians of the runs, \
               and the least and the most of P."
            .to_owned(),
    };
    Ok(Report {
        bench: "fanout",
        summary,
        settings,
        ends: found.ends,
        disturbance: found.disturbance,
        warnings: found.warnings,
        table,
        notes: vec![RATES_NOTE.to_owned()],
        results: Results::Fanout(results),
        plots: vec![curve, throughput_over_time(lines)],
    })
}

/// Messages per second of each reader.
fn readers(outcome: &Outcome) -> impl Iterator<Item = f64> {
    outcome.consumers.iter().map(|said| said.rate())
}
