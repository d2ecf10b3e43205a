//! Messages per second from one process to another.

use serde::Serialize;

use super::args::ThroughputArgs;
use super::report::{Axis, Plot, Report, Results, Scale, Series, bytes_per_second};
use super::runner::{self, Plan};
use super::spread::Spread;
use super::{RATE, RATES_NOTE, conditions, settings, throughput_over_time};
use crate::failure::Failure;
use crate::table::{Table, grouped};

type Name = String;
type Points = Vec<(f64, f64)>;

const BATCHES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

#[derive(Debug, Serialize)]
pub(crate) struct Found {
    batch: u64,
    sent: u64,
    received: u64,
    publish_rate: Spread,
    service_rate: Spread,
    bytes_rate: Spread,
    samples: Points,
}

pub(crate) fn run(args: &ThroughputArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.stream_time());
    let fitting: Vec<u64> = BATCHES.into_iter().filter(|batch| *batch <= common.ring()).collect();
    let batches = common.list(&args.batch, &fitting);
    let plans = batches.iter().map(|&batch| (counted_batch(batch), Plan::new(batch, args.waiting)));
    let found = runner::perform(common, time, plans.collect())?;
    let mut table = Table::new(&[
        "BATCH",
        "MESSAGES",
        "PUBLISH RATE/s",
        "SERVICE RATE/s",
        "LEAST",
        "MOST",
        "BYTES/s",
    ]);
    let names = ["P, publish rate", "C, service rate", "C, least of the runs", "C, most"];
    let mut curves = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let (mut results, mut lines) = (Vec::new(), Vec::new());
    for (&batch, runs) in batches.iter().zip(&found.runs) {
        let publish = runs.spread(|outcome| outcome.producer.rate());
        let service = runs.spread(|outcome| outcome.service_rate());
        let sent = runs.total(|outcome| outcome.sent());
        let rates = [publish.median, service.median, service.least, service.most];
        let mut row = vec![batch.to_string(), grouped(sent)];
        row.extend(rates.map(|rate| grouped(rate as u64)));
        row.push(bytes_per_second(service.median, common.payload));
        table.row(row);
        for (curve, rate) in curves.iter_mut().zip(rates) {
            curve.points.push((batch as f64, rate));
        }
        let samples = runs.middle()?.over_time();
        lines.push((service.median, counted_batch(batch), samples.clone()));
        results.push(Found {
            batch,
            sent,
            received: runs.total(|outcome| outcome.received()),
            bytes_rate: runs.spread(|outcome| outcome.service_rate() * common.payload as f64),
            publish_rate: publish,
            service_rate: service,
            samples,
        });
    }
    let curve = Plot {
        title: "Batch curve".to_owned(),
        x: Axis { name: "messages in a batch", scale: Scale::at(&batches) },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: curves.into(),
        note: "What a message costs less when it is published, taken and acked with others. Medians of the runs, and \
               the least and the most of C."
            .to_owned(),
    };
    let mut over_time = throughput_over_time(some_of(lines));
    if batches.len() > 3 {
        over_time.note += " Of the batch sizes the first, the fastest and the last.";
    }
    let settings = settings(common, time, args.waiting.wait, &found);
    Ok(Report {
        bench: "throughput",
        summary: format!(
            "one producer, one consumer of an exclusive group, batches published and taken; {}",
            conditions(&settings)
        ),
        settings,
        ends: found.ends,
        disturbance: found.disturbance,
        warnings: found.warnings,
        table,
        notes: vec![RATES_NOTE.to_owned()],
        results: Results::Throughput(results),
        plots: vec![curve, over_time],
    })
}

fn counted_batch(batch: u64) -> String {
    format!("batches of {batch}")
}

/// The first, the fastest and the last.
fn some_of(lines: Vec<(f64, Name, Points)>) -> impl Iterator<Item = (Name, Points)> {
    let fastest = lines.iter().map(|(rate, ..)| *rate).fold(0.0, f64::max);
    let last = lines.len().saturating_sub(1);
    let chosen = lines.into_iter().enumerate();
    let chosen = chosen.filter(move |(i, (rate, ..))| *i == 0 || *i == last || *rate >= fastest);
    chosen.map(|(_, (_, name, points))| (name, points))
}
