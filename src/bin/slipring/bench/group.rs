//! What the members of a shared group get done together.

use serde::Serialize;

use super::args::{BatchArgs, GroupBenchArgs};
use super::outcome::Outcome;
use super::report::{Axis, Plot, Report, Results, Scale, Series};
use super::runner::{self, Plan};
use super::spread::Spread;
use super::{RATE, RATES_NOTE, conditions, counted, settings, throughput_over_time};
use crate::failure::Failure;
use crate::table::{Table, grouped};

const MEMBERS: [u64; 3] = [1, 2, 4];

#[derive(Debug, Serialize)]
pub(crate) struct Found {
    members: u64,
    sent: u64,
    received: u64,
    publish_rate: Spread,
    service_rate: Spread,
    /// Of the run in the middle.
    shares: Vec<f64>,
    smallest_share: Spread,
    largest_share: Spread,
    fairness: Spread,
    redelivered: u64,
    samples: Vec<(f64, f64)>,
}

pub(crate) fn run(args: &GroupBenchArgs) -> Result<Report, Failure> {
    let BatchArgs { batch, waiting, common } = &args.batches;
    let time = common.stream_time();
    let counts = common.list(&args.members, &MEMBERS);
    let plan = |&count: &u64| {
        let plan = Plan { consumers: count, shared: true, ..Plan::new(*batch, *waiting) };
        (counted(count, "member"), plan)
    };
    let found = runner::perform(common, time, counts.iter().map(plan).collect())?;
    let mut table = Table::new(&[
        "MEMBERS",
        "MESSAGES",
        "SERVICE RATE/s",
        "LEAST",
        "MOST",
        "SMALLEST SHARE",
        "LARGEST SHARE",
        "FAIRNESS",
        "REDELIVERED",
    ]);
    let names = ["C, of the group", "C, least of the runs", "C, most", "C, of the busiest member"];
    let mut curves = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let names = ["smallest share", "largest share", "equal shares"];
    let mut parts = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let (mut results, mut lines) = (Vec::new(), Vec::new());
    for (&count, runs) in counts.iter().zip(&found.runs) {
        let service = runs.spread(|outcome| outcome.service_rate());
        let smallest = runs.spread(|it| shares(it).into_iter().fold(1.0, f64::min));
        let largest = runs.spread(|it| shares(it).into_iter().fold(0.0, f64::max));
        let fairness = runs.spread(|outcome| fairness(&shares(outcome)));
        let redelivered =
            runs.total(|it| it.consumers.iter().map(|it| it.number("redelivered")).sum());
        let received = runs.total(|outcome| outcome.received());
        let mut row = vec![count.to_string(), grouped(received)];
        row.extend([&service.median, &service.least, &service.most].map(|it| grouped(*it as u64)));
        row.extend([&smallest, &largest].map(|share| format!("{:.1} %", share.median * 100.0)));
        row.extend([format!("{:.3}", fairness.median), grouped(redelivered)]);
        table.row(row);
        let (members, busiest) = (count as f64, service.median * largest.median);
        for (curve, rate) in
            curves.iter_mut().zip([service.median, service.least, service.most, busiest])
        {
            curve.points.push((members, rate));
        }
        for (part, share) in parts.iter_mut().zip([smallest.median, largest.median, 1.0 / members])
        {
            part.points.push((members, share * 100.0));
        }
        let middle = runs.middle()?;
        lines.push((format!("first of {}", counted(count, "member")), middle.over_time()));
        results.push(Found {
            members: count,
            sent: runs.total(|outcome| outcome.sent()),
            received,
            publish_rate: runs.spread(|outcome| outcome.producer.rate()),
            service_rate: service,
            shares: shares(middle),
            smallest_share: smallest,
            largest_share: largest,
            fairness,
            redelivered,
            samples: middle.over_time(),
        });
    }
    let mut settings = settings(common, time, waiting.wait, &found);
    let summary = format!(
        "one producer, the members of one shared group, batches of {batch}, acked; {}",
        conditions(&settings)
    );
    settings.batch = Some(*batch);
    let plot = |title: &str, unit, series, note: &str| Plot {
        title: title.to_owned(),
        x: Axis { name: "members of the shared group, processes", scale: Scale::at(&counts) },
        y: Axis { name: unit, scale: Scale::Linear },
        series,
        note: note.to_owned(),
    };
    let rates = "Each message goes to one member, which acks it. Medians of the runs, and the least and the most.";
    let fair = "Members do not take turns: each takes when it comes by.";
    Ok(Report {
        bench: "group",
        summary,
        settings,
        ends: found.ends,
        disturbance: found.disturbance,
        warnings: found.warnings,
        table,
        notes: vec![RATES_NOTE.to_owned()],
        results: Results::Group(results),
        plots: vec![
            plot("Rate of a shared group", RATE, curves.into(), rates),
            plot("Shares of the members", "share of the messages, %", parts.into(), fair),
            throughput_over_time(lines),
        ],
    })
}

/// What part of the messages each member got.
fn shares(outcome: &Outcome) -> Vec<f64> {
    let all = outcome.received().max(1) as f64;
    outcome.consumers.iter().map(|said| said.number("messages") as f64 / all).collect()
}

/// Jain's index: 1 if all have the same share, 1 / n if one of n has everything.
fn fairness(shares: &[f64]) -> f64 {
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let sum: f64 = shares.iter().sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fairness_is_one_for_equal_shares() {
        assert_eq!(fairness(&[0.25; 4]), 1.0);
        assert_eq!(fairness(&[1.0, 0.0, 0.0, 0.0]), 0.25);
    }
}
