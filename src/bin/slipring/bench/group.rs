//! What the members of a shared group do together.

use super::args::{BatchArgs, GroupBenchArgs};
use super::outcome::Outcome;
use super::report::{
    Axis, Figures, Group, Plot, RATE, RATES_NOTE, Report, Results, Scale, Series, Settings,
    throughput_over_time,
};
use super::runner::{self, Plan};
use crate::failure::Failure;
use crate::table::{count, grouped};

const MEMBERS: [u64; 3] = [1, 2, 4];

pub(crate) fn run(args: &GroupBenchArgs) -> Result<Report, Failure> {
    let BatchArgs { batch, waiting, common } = &args.batches;
    let time = common.stream_time();
    let counts = common.list(&args.members, &MEMBERS);
    let label = |members| count(members, "member", "members");
    let plan = |&members: &u64| Plan {
        consumers: members,
        shared: true,
        ..Plan::new(label(members), *batch, *waiting)
    };
    let measured = runner::measure(common, time, &counts.iter().map(plan).collect::<Vec<_>>())?;
    let mut rate_series = [
        "service rate C of the group",
        "C, min of the runs",
        "C, max of the runs",
        "C of the busiest member",
    ]
    .map(Series::new);
    let mut share_series = ["smallest share", "largest share", "equal shares"].map(Series::new);
    let (mut rows, mut results, mut over_time) = (Vec::new(), Vec::new(), Vec::new());
    for (&members, runs) in counts.iter().zip(&measured.runs) {
        let service = runs.spread(|run| run.service_rate());
        let smallest = runs.spread(|run| shares(run).into_iter().fold(1.0, f64::min));
        let largest = runs.spread(|run| shares(run).into_iter().fold(0.0, f64::max));
        let fairness = runs.spread(|run| fairness(&shares(run)));
        let redelivered = runs.total(|run| run.consumers.iter().map(|it| it.redelivered).sum());
        let received = runs.total(|run| run.received());
        let mut row = vec![members.to_string(), grouped(received)];
        row.extend([&service.median, &service.min, &service.max].map(|it| grouped(*it as u64)));
        row.extend([&smallest, &largest].map(|share| format!("{:.1} %", share.median * 100.0)));
        row.extend([format!("{:.3}", fairness.median), grouped(redelivered)]);
        rows.push(row);
        let (x, busiest) = (members as f64, service.median * largest.median);
        let rates = [service.median, service.min, service.max, busiest];
        for (series, rate) in rate_series.iter_mut().zip(rates) {
            series.points.push((x, rate));
        }
        let parts = [smallest.median, largest.median, 1.0 / x];
        for (series, share) in share_series.iter_mut().zip(parts) {
            series.points.push((x, share * 100.0));
        }
        let median_run = runs.median_run()?;
        over_time.push((format!("first of {}", label(members)), median_run.over_time()));
        results.push(Group {
            members,
            sent: runs.total(|run| run.sent()),
            received,
            publish_rate: runs.spread(|run| run.producer.rate()),
            service_rate: service,
            shares: shares(median_run),
            smallest_share: smallest,
            largest_share: largest,
            fairness,
            redelivered,
            samples: median_run.over_time(),
        });
    }
    let plot = |title, unit, series, note: &str| Plot {
        title,
        x: Axis { name: "members of the shared group, processes", scale: Scale::log_at(&counts) },
        y: Axis { name: unit, scale: Scale::Linear },
        series,
        note: note.to_owned(),
    };
    let rates_note =
        "Each message goes to one member, which acks it. Medians of the runs; min and max of C.";
    let shares_note = "Members do not take turns: each claims messages when it has time.";
    let settings =
        Settings { batch: Some(*batch), ..Settings::new(common, time, waiting.wait, &measured) };
    Ok(Report {
        bench: "group",
        summary: format!(
            "one producer, the members of one shared group, batches of {batch}; {}",
            settings.text()
        ),
        settings,
        conditions: measured.conditions,
        figures: Figures {
            headings: vec![
                "MEMBERS",
                "MESSAGES",
                "SERVICE RATE/s",
                "MIN",
                "MAX",
                "SMALLEST SHARE",
                "LARGEST SHARE",
                "FAIRNESS",
                "REDELIVERED",
            ],
            rows,
        },
        notes: vec![RATES_NOTE.to_owned()],
        results: Results::Group(results),
        plots: vec![
            plot("Rate of a shared group", RATE, rate_series.into(), rates_note),
            plot(
                "Shares of the members",
                "share of the messages, %",
                share_series.into(),
                shares_note,
            ),
            throughput_over_time(over_time),
        ],
    })
}

/// Each member's share of the messages.
fn shares(run: &Outcome) -> Vec<f64> {
    let all = run.received().max(1) as f64;
    run.consumers.iter().map(|consumer| consumer.messages as f64 / all).collect()
}

/// Jain's fairness index: 1 if all shares are equal, 1/n if one of n members has everything.
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
