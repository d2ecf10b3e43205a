//! What further exclusive groups cost.

use super::args::{BatchArgs, FanoutArgs};
use super::outcome::Outcome;
use super::report::{
    Axis, Fanout, Figures, Plot, RATE, RATES_NOTE, Report, Results, Scale, Series, Settings,
    throughput_over_time,
};
use super::runner::{self, Plan};
use crate::failure::Failure;
use crate::table::{count, grouped};

const GROUPS: [u64; 5] = [1, 2, 4, 8, 16];

pub(crate) fn run(args: &FanoutArgs) -> Result<Report, Failure> {
    let BatchArgs { batch, waiting, common } = &args.batches;
    let time = common.stream_time();
    let counts = common.list(&args.groups, &GROUPS);
    let label = |groups| count(groups, "group", "groups");
    let plan =
        |&groups: &u64| Plan { consumers: groups, ..Plan::new(label(groups), *batch, *waiting) };
    let measured = runner::measure(common, time, &counts.iter().map(plan).collect::<Vec<_>>())?;
    let mut series = [
        "publish rate P",
        "P, min of the runs",
        "P, max of the runs",
        "C of the slowest consumer",
        "C of the fastest consumer",
    ]
    .map(Series::new);
    let (mut rows, mut results, mut over_time) = (Vec::new(), Vec::new(), Vec::new());
    for (&groups, runs) in counts.iter().zip(&measured.runs) {
        let publish = runs.spread(|run| run.producer.rate());
        let slowest = runs.spread(|run| consumer_rates(run).fold(f64::INFINITY, f64::min));
        let fastest = runs.spread(|run| consumer_rates(run).fold(0.0, f64::max));
        let delivery = runs.spread(|run| consumer_rates(run).sum());
        let sent = runs.total(|run| run.sent());
        let rates = [publish.median, publish.min, publish.max, slowest.median, fastest.median];
        let mut row = vec![groups.to_string(), grouped(sent)];
        row.extend(rates.iter().chain([&delivery.median]).map(|rate| grouped(*rate as u64)));
        rows.push(row);
        for (series, rate) in series.iter_mut().zip(rates) {
            series.points.push((groups as f64, rate));
        }
        let median_run = runs.median_run()?;
        over_time.push((label(groups), median_run.over_time()));
        results.push(Fanout {
            groups,
            sent,
            received: runs.total(|run| run.received()),
            publish_rate: publish,
            slowest_consumer: slowest,
            fastest_consumer: fastest,
            delivery_rate: delivery,
            consumer_rates: consumer_rates(median_run).collect(),
            samples: median_run.over_time(),
        });
    }
    let curve = Plot {
        title: "Fan-out curve",
        x: Axis {
            name: "exclusive groups, each with a consumer process",
            scale: Scale::log_at(&counts),
        },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: series.into(),
        note: "Every group receives every message. With more processes than processors, consumers take turns. Medians \
               of the runs; min and max of P."
            .to_owned(),
    };
    let settings =
        Settings { batch: Some(*batch), ..Settings::new(common, time, waiting.wait, &measured) };
    Ok(Report {
        bench: "fanout",
        summary: format!(
            "one producer, one consumer process for each exclusive group, batches of {batch}; {}",
            settings.text()
        ),
        settings,
        conditions: measured.conditions,
        figures: Figures {
            headings: vec![
                "GROUPS",
                "MESSAGES",
                "PUBLISH RATE/s",
                "MIN",
                "MAX",
                "SLOWEST CONSUMER/s",
                "FASTEST CONSUMER/s",
                "DELIVERIES/s",
            ],
            rows,
        },
        notes: vec![RATES_NOTE.to_owned()],
        results: Results::Fanout(results),
        plots: vec![curve, throughput_over_time(over_time)],
    })
}

/// Messages per second of each consumer.
fn consumer_rates(run: &Outcome) -> impl Iterator<Item = f64> {
    run.consumers.iter().map(|consumer| consumer.rate())
}
