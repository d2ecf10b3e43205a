//! Messages per second from one process to another, for several batch sizes.

use super::args::ThroughputArgs;
use super::report::{
    Axis, Figures, Plot, RATE, RATES_NOTE, Report, Results, Scale, Series, Settings, Throughput,
    throughput_over_time,
};
use super::runner::{self, Plan};
use crate::failure::Failure;
use crate::table::{bytes, grouped};

const BATCHES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

pub(crate) fn run(args: &ThroughputArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.stream_time());
    let fitting: Vec<u64> = BATCHES.into_iter().filter(|batch| *batch <= common.ring()).collect();
    let batches = common.list(&args.batch, &fitting);
    let label = |batch| format!("batches of {batch}");
    let plan = |&batch: &u64| Plan::new(label(batch), batch, args.waiting);
    let measured = runner::measure(common, time, &batches.iter().map(plan).collect::<Vec<_>>())?;
    let mut series =
        ["publish rate P", "service rate C", "C, min of the runs", "C, max of the runs"]
            .map(Series::new);
    let (mut rows, mut results, mut over_time) = (Vec::new(), Vec::new(), Vec::new());
    for (&batch, runs) in batches.iter().zip(&measured.runs) {
        let publish = runs.spread(|run| run.producer.rate());
        let service = runs.spread(|run| run.service_rate());
        let sent = runs.total(|run| run.sent());
        let rates = [publish.median, service.median, service.min, service.max];
        let mut row = vec![batch.to_string(), grouped(sent)];
        row.extend(rates.map(|rate| grouped(rate as u64)));
        row.push(bytes(service.median * common.payload as f64));
        rows.push(row);
        for (series, rate) in series.iter_mut().zip(rates) {
            series.points.push((batch as f64, rate));
        }
        let samples = runs.median_run()?.over_time();
        over_time.push((service.median, label(batch), samples.clone()));
        results.push(Throughput {
            batch,
            sent,
            received: runs.total(|run| run.received()),
            bytes_rate: runs.spread(|run| run.service_rate() * common.payload as f64),
            publish_rate: publish,
            service_rate: service,
            samples,
        });
    }
    let curve = Plot {
        title: "Batch curve",
        x: Axis { name: "messages in a batch", scale: Scale::log_at(&batches) },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: series.into(),
        note: "A batch is published, received and acked as one. Medians of the runs; min and max of C.".to_owned(),
    };
    let mut over_time = throughput_over_time(first_fastest_last(over_time));
    if batches.len() > 3 {
        over_time.note += " Batch sizes: the smallest, the fastest and the largest.";
    }
    let settings = Settings::new(common, time, args.waiting.wait, &measured);
    Ok(Report {
        bench: "throughput",
        summary: format!(
            "one producer, one consumer of an exclusive group, both in batches; {}",
            settings.text()
        ),
        settings,
        conditions: measured.conditions,
        figures: Figures {
            headings: vec![
                "BATCH",
                "MESSAGES",
                "PUBLISH RATE/s",
                "SERVICE RATE/s",
                "MIN",
                "MAX",
                "BYTES/s",
            ],
            rows,
        },
        notes: vec![RATES_NOTE.to_owned()],
        results: Results::Throughput(results),
        plots: vec![curve, over_time],
    })
}

type Points = Vec<(f64, f64)>;

fn first_fastest_last(lines: Vec<(f64, String, Points)>) -> impl Iterator<Item = (String, Points)> {
    let fastest = lines.iter().map(|(rate, ..)| *rate).fold(0.0, f64::max);
    let last = lines.len().saturating_sub(1);
    let chosen = lines.into_iter().enumerate();
    let chosen = chosen.filter(move |(i, (rate, ..))| *i == 0 || *i == last || *rate >= fastest);
    chosen.map(|(_, (_, name, points))| (name, points))
}
