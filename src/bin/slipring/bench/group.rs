//! What the members of a shared group get done together.

use serde_json::json;

use super::report::{Axis, Plot, Report, Scale, Series};
use super::stage::{Outcome, Plan, Stage};
use super::{Conditions, RATE, counted, over_time, throughput_over_time};
use crate::args::{BatchArgs, GroupBenchArgs};
use crate::failure::Failure;
use crate::table::{Table, grouped};

const MEMBERS: [u64; 3] = [1, 2, 4];

pub(crate) fn run(args: &GroupBenchArgs) -> Result<Report, Failure> {
    let BatchArgs { batch, waiting, common } = &args.batches;
    let time = common.seconds(1);
    let counts = common.list(&args.members, &MEMBERS);
    let stage = Stage::new(common, time, counts.len())?;
    let mut table = Table::new(&[
        "MEMBERS",
        "MESSAGES",
        "SERVICE RATE/s",
        "SMALLEST SHARE",
        "LARGEST SHARE",
        "FAIRNESS",
        "REDELIVERED",
    ]);
    let names = ["C, of the group", "C, of the busiest member"];
    let mut curves = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let names = ["smallest share", "largest share", "equal shares"];
    let mut parts = names.map(|name| Series { name: name.to_owned(), points: Vec::new() });
    let (mut results, mut lines, mut conditions) = (Vec::new(), Vec::new(), None);
    for &count in &counts {
        let plan = Plan { consumers: count, shared: true, ..Plan::new(*batch, *waiting) };
        let outcome = stage.measure(&counted(count, "member"), &plan)?;
        let (shares, service) = (shares(&outcome), outcome.service_rate());
        let smallest = shares.iter().copied().fold(1.0, f64::min);
        let largest = shares.iter().copied().fold(0.0, f64::max);
        let redelivered: u64 = outcome.consumers.iter().map(|it| it.number("redelivered")).sum();
        table.row(vec![
            count.to_string(),
            grouped(outcome.received()),
            grouped(service as u64),
            format!("{:.1} %", smallest * 100.0),
            format!("{:.1} %", largest * 100.0),
            format!("{:.3}", fairness(&shares)),
            grouped(redelivered),
        ]);
        let members = count as f64;
        for (curve, rate) in curves.iter_mut().zip([service, service * largest]) {
            curve.points.push((members, rate));
        }
        for (part, share) in parts.iter_mut().zip([smallest, largest, 1.0 / members]) {
            part.points.push((members, share * 100.0));
        }
        let samples = over_time(&outcome);
        results.push(json!({
            "members": count,
            "sent": outcome.producer.number("messages"),
            "received": outcome.received(),
            "publish_rate": outcome.producer.rate(),
            "service_rate": service,
            "shares": shares,
            "fairness": fairness(&shares),
            "redelivered": redelivered,
            "samples": samples,
        }));
        lines.push((format!("first of {}", counted(count, "member")), samples));
        conditions = Some(Conditions::of(common, time, waiting.wait, &outcome));
    }
    stage.finish();
    let conditions = conditions.unwrap_or_default();
    let mut settings = conditions.settings();
    settings["batch"] = json!(batch);
    let plot = |title: &str, unit, series, note: &str| Plot {
        title: title.to_owned(),
        x: Axis { name: "members of the shared group, processes", scale: Scale::at(&counts) },
        y: Axis { name: unit, scale: Scale::Linear },
        series,
        note: note.to_owned(),
    };
    let rates = "Each message goes to one member, which acks it.";
    let fair = "Members do not take turns: each takes when it comes by.";
    Ok(Report {
        bench: "group",
        summary: format!(
            "one producer, the members of one shared group, batches of {batch}, acked; {conditions}"
        ),
        settings,
        table,
        results,
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
