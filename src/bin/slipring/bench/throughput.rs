//! Messages per second from one process to another.

use serde_json::json;

use super::report::{Axis, Plot, Report, Scale, Series, bytes_per_second};
use super::stage::{Plan, Stage, wake_word, word};
use super::{RATE, over_time};
use crate::args::ThroughputArgs;
use crate::failure::Failure;
use crate::table::{Table, grouped};

const BATCHES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

pub(crate) fn run(args: &ThroughputArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.seconds(1));
    let batches = common.list(&args.batch, &BATCHES);
    let stage = Stage::new(common, time, batches.len())?;
    let mut table =
        Table::new(&["BATCH", "MESSAGES", "PUBLISH RATE/s", "SERVICE RATE/s", "BYTES/s"]);
    let (mut results, mut curves, mut lines) = (Vec::new(), [Vec::new(), Vec::new()], Vec::new());
    let mut wake = "";
    for &batch in &batches {
        let plan = Plan::new(batch, args.waiting.wait, args.waiting.wake);
        let outcome = stage.measure(&format!("batch {batch}"), &plan)?;
        let (publish, service) = (outcome.producer.rate(), outcome.service_rate());
        wake = wake_word(outcome.wake);
        let messages = outcome.producer.number("messages");
        table.row(vec![
            batch.to_string(),
            grouped(messages),
            grouped(publish as u64),
            grouped(service as u64),
            bytes_per_second(service, common.payload),
        ]);
        let samples = over_time(&outcome);
        results.push(json!({
            "batch": batch,
            "sent": messages,
            "received": outcome.consumers.iter().map(|it| it.number("messages")).sum::<u64>(),
            "publish_rate": publish,
            "service_rate": service,
            "bytes_rate": service * common.payload as f64,
            "samples": samples,
        }));
        for (curve, rate) in curves.iter_mut().zip([publish, service]) {
            curve.push((batch as f64, rate));
        }
        lines.push((service, Series { name: format!("batches of {batch}"), points: samples }));
    }
    stage.finish();
    let names = ["P, publish rate", "C, service rate"];
    let curves = names.into_iter().zip(curves);
    let curve = Plot {
        title: "Batch curve".to_owned(),
        x: Axis {
            name: "messages in a batch",
            scale: Scale::LogAt(batches.iter().map(|batch| *batch as f64).collect()),
        },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: curves.map(|(name, points)| Series { name: name.to_owned(), points }).collect(),
        note: "What a message costs less when it is published, taken and acked with others."
            .to_owned(),
    };
    let waiting = args.waiting.wait;
    Ok(Report {
        bench: "throughput",
        summary: format!(
            "one producer, one consumer of an exclusive group, batches published and taken; {} bytes a \
             message, {} s a line, wait {}, wake {wake}",
            common.payload,
            time.as_secs_f64(),
            word(waiting)
        ),
        settings: json!({
            "seconds": time.as_secs_f64(),
            "payload": common.payload,
            "capacity": common.capacity.next_power_of_two(),
            "wait": word(waiting),
            "wake": wake,
            "pin": common.pin,
        }),
        table,
        results,
        plots: vec![curve, super::throughput_over_time(some_of(lines))],
    })
}

/// The first, the fastest and the last.
fn some_of(lines: Vec<(f64, Series)>) -> Vec<Series> {
    let fastest = lines.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
    let last = lines.len().saturating_sub(1);
    let chosen = lines.into_iter().enumerate();
    let chosen = chosen.filter(|(i, (rate, _))| *i == 0 || *i == last || *rate >= fastest);
    chosen.map(|(_, (_, series))| series).collect()
}
