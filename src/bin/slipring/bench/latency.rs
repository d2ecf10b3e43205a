//! How long a message takes from one process to another, at a given rate.

use super::args::LatencyArgs;
use super::delays::{HEADINGS, HEADINGS_NOTE};
use super::report::{
    Axis, Figures, Latency, Plot, Report, Results, Scale, Settings, delay_percentiles,
    throughput_over_time,
};
use super::role::Task;
use super::runner::{self, Plan};
use crate::failure::Failure;
use crate::table::grouped;

/// The most messages to receive at once. A consumer that keeps up receives one at a time.
const BATCH: u64 = 32;

pub(crate) fn run(args: &LatencyArgs) -> Result<Report, Failure> {
    let (common, time) = (&args.common, args.common.latency_time());
    let plan = Plan {
        producer: Task::Paced,
        rate: args.rate,
        ..Plan::new("latency".to_owned(), BATCH.min(common.ring()), args.waiting)
    };
    let measured = runner::measure(common, time, &[plan])?;
    let runs = measured.runs.first().ok_or_else(|| Failure::failed("there was no run"))?;
    let from_due = runs.consumer_delays(|consumer| &consumer.from_due)?;
    let from_sent = runs.consumer_delays(|consumer| &consumer.from_sent)?;
    let rows = [("since it was due", &from_due), ("since it was sent", &from_sent)];
    let figures = Figures {
        headings: [&["DELAY"], &HEADINGS[..]].concat(),
        rows: rows.map(|(name, delays)| [vec![name.to_owned()], delays.cells()].concat()).into(),
    };
    let rate = runs.spread(|run| run.producer.rate());
    let samples = runs.median_run()?.over_time();
    let plot = Plot {
        title: "Latency percentiles",
        x: Axis::percentiles(),
        y: Axis { name: "delay D (log scale)", scale: Scale::Times },
        series: rows.map(|(name, delays)| delay_percentiles(name, &delays.all)).into(),
        note: "D, one way, of all runs. Where the lines part, the producer was late, or waited for room.".to_owned(),
    };
    let settings = Settings {
        rate: Some(args.rate),
        ..Settings::new(common, time, args.waiting.wait, &measured)
    };
    let publish_rate = rate.text(|rate| grouped(rate as u64));
    let result = Latency {
        sent: runs.total(|run| run.sent()),
        received: runs.total(|run| run.received()),
        publish_rate: rate,
        from_due: from_due.distribution(),
        from_sent: from_sent.distribution(),
        samples: samples.clone(),
    };
    Ok(Report {
        bench: "latency",
        summary: format!(
            "one paced producer, one consumer of an exclusive group; {}",
            settings.text()
        ),
        settings,
        conditions: measured.conditions,
        figures,
        notes: vec![
            format!("Publish rate P: {publish_rate} messages/s; target: {}.", args.rate),
            HEADINGS_NOTE.to_owned(),
        ],
        results: Results::Latency(vec![result]),
        plots: vec![plot, throughput_over_time([("service rate C".to_owned(), samples)])],
    })
}
