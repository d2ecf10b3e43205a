//! Messages per second from one process to another.

use serde_json::json;

use super::report::{Axis, Plot, Report, Scale, Series, bytes_per_second};
use super::stage::{Plan, Stage};
use super::{Conditions, RATE, throughput_over_time};
use crate::args::ThroughputArgs;
use crate::failure::Failure;
use crate::table::{Table, grouped};

type Name = String;
type Points = Vec<(f64, f64)>;

const BATCHES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

pub(crate) fn run(args: &ThroughputArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.seconds(1));
    let batches = common.list(&args.batch, &BATCHES);
    let stage = Stage::new(common, time, batches.len())?;
    let mut table =
        Table::new(&["BATCH", "MESSAGES", "PUBLISH RATE/s", "SERVICE RATE/s", "BYTES/s"]);
    let (mut results, mut curves, mut lines) = (Vec::new(), [Vec::new(), Vec::new()], Vec::new());
    let mut conditions = None;
    for &batch in &batches {
        let plan = Plan::new(batch, args.waiting);
        let outcome = stage.measure(&format!("batch {batch}"), &plan)?;
        let (publish, service) = (outcome.producer.rate(), outcome.service_rate());
        let messages = outcome.producer.number("messages");
        table.row(vec![
            batch.to_string(),
            grouped(messages),
            grouped(publish as u64),
            grouped(service as u64),
            bytes_per_second(service, common.payload),
        ]);
        let samples = super::over_time(&outcome);
        results.push(json!({
            "batch": batch,
            "sent": messages,
            "received": outcome.received(),
            "publish_rate": publish,
            "service_rate": service,
            "bytes_rate": service * common.payload as f64,
            "samples": samples,
        }));
        for (curve, rate) in curves.iter_mut().zip([publish, service]) {
            curve.push((batch as f64, rate));
        }
        lines.push((service, format!("batches of {batch}"), samples));
        conditions = Some(Conditions::of(common, time, args.waiting.wait, &outcome));
    }
    stage.finish();
    let names = ["P, publish rate", "C, service rate"];
    let curves = names.into_iter().zip(curves);
    let curve = Plot {
        title: "Batch curve".to_owned(),
        x: Axis { name: "messages in a batch", scale: Scale::at(&batches) },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: curves.map(|(name, points)| Series { name: name.to_owned(), points }).collect(),
        note: "What a message costs less when it is published, taken and acked with others."
            .to_owned(),
    };
    let conditions = conditions.unwrap_or_default();
    let mut over_time = throughput_over_time(some_of(lines));
    if batches.len() > 3 {
        over_time.note += " Of the batch sizes the first, the fastest and the last.";
    }
    Ok(Report {
        bench: "throughput",
        summary: format!(
            "one producer, one consumer of an exclusive group, batches published and taken; {conditions}"
        ),
        settings: conditions.settings(),
        table,
        results,
        plots: vec![curve, over_time],
    })
}

/// The first, the fastest and the last.
fn some_of(lines: Vec<(f64, Name, Points)>) -> impl Iterator<Item = (Name, Points)> {
    let fastest = lines.iter().map(|(rate, ..)| *rate).fold(0.0, f64::max);
    let last = lines.len().saturating_sub(1);
    let chosen = lines.into_iter().enumerate();
    let chosen = chosen.filter(move |(i, (rate, ..))| *i == 0 || *i == last || *rate >= fastest);
    chosen.map(|(_, (_, name, points))| (name, points))
}
