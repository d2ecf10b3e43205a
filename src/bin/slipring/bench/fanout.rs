//! What further exclusive groups cost.

use serde_json::json;

use super::report::{Axis, Plot, Report, Scale, Series};
use super::stage::{Plan, Stage};
use super::{Conditions, RATE, counted, over_time, throughput_over_time};
use crate::args::{BatchArgs, FanoutArgs};
use crate::failure::Failure;
use crate::table::{Table, grouped};

const GROUPS: [u64; 5] = [1, 2, 4, 8, 16];

pub(crate) fn run(args: &FanoutArgs) -> Result<Report, Failure> {
    let BatchArgs { batch, waiting, common } = &args.batches;
    let time = common.seconds(1);
    let counts = common.list(&args.groups, &GROUPS);
    let stage = Stage::new(common, time, counts.len())?;
    let mut table = Table::new(&[
        "GROUPS",
        "MESSAGES",
        "PUBLISH RATE/s",
        "SLOWEST READER/s",
        "FASTEST READER/s",
        "DELIVERIES/s",
    ]);
    let names = ["P, publish rate", "C, slowest reader", "C, fastest reader"];
    let mut curves = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let (mut results, mut lines, mut conditions) = (Vec::new(), Vec::new(), None);
    for &count in &counts {
        let plan = Plan { consumers: count, ..Plan::new(*batch, *waiting) };
        let outcome = stage.measure(&counted(count, "group"), &plan)?;
        let publish = outcome.producer.rate();
        let readers: Vec<f64> = outcome.consumers.iter().map(|said| said.rate()).collect();
        let slowest = readers.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = readers.iter().copied().fold(0.0, f64::max);
        let mut row = vec![count.to_string(), grouped(outcome.producer.number("messages"))];
        let rates = [publish, slowest, fastest, readers.iter().sum()];
        row.extend(rates.map(|rate| grouped(rate as u64)));
        table.row(row);
        for (curve, rate) in curves.iter_mut().zip(rates) {
            curve.points.push((count as f64, rate));
        }
        let samples = over_time(&outcome);
        results.push(json!({
            "groups": count,
            "sent": outcome.producer.number("messages"),
            "received": outcome.received(),
            "publish_rate": publish,
            "reader_rates": readers,
            "samples": samples,
        }));
        lines.push((counted(count, "group"), samples));
        conditions = Some(Conditions::of(common, time, waiting.wait, &outcome));
    }
    stage.finish();
    let conditions = conditions.unwrap_or_default();
    let mut settings = conditions.settings();
    settings["batch"] = json!(batch);
    let curve = Plot {
        title: "Fan-out curve".to_owned(),
        x: Axis { name: "exclusive groups, each with a reader process", scale: Scale::at(&counts) },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: curves.into(),
        note: "Every group gets every message. Readers beyond the number of processors take turns."
            .to_owned(),
    };
    Ok(Report {
        bench: "fanout",
        summary: format!(
            "one producer, a reader process for each exclusive group, batches of {batch}; {conditions}"
        ),
        settings,
        table,
        results,
        plots: vec![curve, throughput_over_time(lines)],
    })
}
