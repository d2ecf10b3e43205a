//! What we want to reach, and whether we did.

use serde::Serialize;

use crate::rotation::{Measured, by_round, unit};
use crate::rows::{Class, Work, names};
use crate::stats::Summary;

/// How a figure comes from the rows.
#[derive(Clone, Copy)]
enum Figure {
    /// The first row's time in times of the second.
    Ratio(&'static str, &'static str),
    /// How many per cent the first takes more than the second.
    Percent(&'static str, &'static str),
    /// What the first takes more than the second, in nanoseconds, by so many groups.
    PerGroup(&'static str, &'static str, f64),
    /// The row's time in microseconds.
    Microseconds(&'static str),
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtMost(limit) => value <= limit,
            Bound::AtLeast(limit) => value >= limit,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Bound::AtMost(limit) => format!("at most {limit}{unit}"),
            Bound::AtLeast(limit) => format!("at least {limit}{unit}"),
        }
    }
}

struct Target {
    name: &'static str,
    work: Work,
    figure: Figure,
    required: Bound,
    goal: Bound,
    /// Whether every peer in shared memory must be slower, too.
    ahead: bool,
}

/// A target, and what was measured.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub(crate) target: &'static str,
    pub(crate) required: String,
    pub(crate) goal: String,
    pub(crate) unit: &'static str,
    /// `None`: a row that it takes was not run.
    pub(crate) measured: Option<Summary>,
    pub(crate) verdict: String,
}

fn targets() -> Vec<Target> {
    use Bound::{AtLeast, AtMost};
    use Figure::{Microseconds, PerGroup, Percent, Ratio};
    let target = |name, work, figure, required, goal| Target {
        name,
        work,
        figure,
        required,
        goal,
        ahead: false,
    };
    let stream = |name, row, required, goal| {
        let figure = Ratio(row, names::RTRB_CHUNKS);
        target(name, Work::Stream, figure, AtMost(required), AtMost(goal))
    };
    let dequeue =
        |name, one, many| target(name, Work::Dequeue, Ratio(one, many), AtLeast(3.0), AtLeast(6.0));
    let attach =
        |name, row| target(name, Work::Attach, Microseconds(row), AtMost(1000.0), AtMost(200.0));
    vec![
        Target {
            ahead: true,
            ..target(
                "round trip, in those of a bare line",
                Work::RoundTrip,
                Ratio(names::OURS, names::LINE),
                AtMost(1.3),
                AtMost(1.1),
            )
        },
        target(
            "round trip between sleepers, two processes, in those of a bare futex",
            Work::Asleep,
            Ratio(names::OURS_ASLEEP, names::FUTEX),
            AtMost(1.3),
            AtMost(1.1),
        ),
        stream(
            "stream, batches of 32, shared group of one, in rtrb chunks of 32",
            names::OURS_BATCHES_SHARED,
            1.35,
            1.0,
        ),
        stream("stream, one by one, exclusive group, same unit", names::OURS_SINGLE, 1.7, 1.4),
        stream("stream, one by one, shared group, same unit", names::OURS_SINGLE_SHARED, 1.7, 1.4),
        target(
            "2 members drain a full ring, in rates of crossbeam-channel",
            Work::Compete,
            Ratio(names::CHANNEL, names::OURS_BATCHES_SHARED),
            AtLeast(5.0),
            AtLeast(10.0),
        ),
        target(
            "crash safety: stream in batches of 32, shared group, more than exclusive",
            Work::Stream,
            Percent(names::OURS_BATCHES_SHARED, names::OURS_BATCHES),
            AtMost(15.0),
            AtMost(5.0),
        ),
        target(
            "fan-out: publishing, per further exclusive group (2nd to 8th)",
            Work::FanOut,
            PerGroup(names::EIGHT_GROUPS, names::ONE_GROUP, 7.0),
            AtMost(3.0),
            AtMost(0.5),
        ),
        dequeue(
            "dequeue per message, batches of 1 against 32, exclusive group",
            names::EXCLUSIVE_1,
            names::EXCLUSIVE_32,
        ),
        dequeue(
            "dequeue per message, batches of 1 against 32, shared group",
            names::SHARED_1,
            names::SHARED_32,
        ),
        attach("attach to 64 MiB as consumer", names::ATTACH_CONSUMER),
        attach("attach to 64 MiB as producer", names::ATTACH_PRODUCER),
    ]
}

impl Figure {
    fn unit(self) -> &'static str {
        match self {
            Figure::Ratio(..) => "",
            Figure::Percent(..) => " %",
            Figure::PerGroup(..) => " ns",
            Figure::Microseconds(_) => " us",
        }
    }

    fn measured(self, work: Work, rows: &[Measured]) -> Option<Summary> {
        let row = |name| rows.iter().find(|it| it.row.work == work && it.row.name == name);
        match self {
            Figure::Ratio(a, b) => by_round(row(a)?, row(b)?, |a, b| a / b),
            Figure::Percent(a, b) => by_round(row(a)?, row(b)?, |a, b| (a / b - 1.0) * 100.0),
            Figure::PerGroup(many, one, more) => {
                by_round(row(many)?, row(one)?, |many, one| (many - one) / more)
            }
            Figure::Microseconds(a) => by_round(row(a)?, row(a)?, |ns, _| ns / 1e3),
        }
    }
}

/// Peers in shared memory that do the work at least as fast as `ours`.
fn not_behind(rows: &[Measured], work: Work, ours: f64) -> Vec<&'static str> {
    let Some(unit) = unit(rows, work) else { return Vec::new() };
    let peers = rows.iter().filter(|it| it.row.work == work && it.row.class == Class::Shared);
    let ratio = |peer| by_round(peer, unit, |peer, unit| peer / unit);
    let ahead = peers.filter(|peer| ratio(peer).is_some_and(|peer| peer.of_runs.p50 <= ours));
    ahead.map(|peer| peer.row.name).collect()
}

impl Target {
    fn judge(&self, rows: &[Measured]) -> Judged {
        let unit = self.figure.unit();
        let measured = self.figure.measured(self.work, rows);
        let verdict = match &measured {
            None => "not run".to_owned(),
            Some(measured) => self.verdict(measured.of_runs.p50, rows),
        };
        let peers = if self.ahead { "ahead of every shared-memory peer, and " } else { "" };
        let required = format!("{peers}{}", self.required.text(unit));
        let goal = self.goal.text(unit);
        Judged { target: self.name, required, goal, unit, measured, verdict }
    }

    fn verdict(&self, value: f64, rows: &[Measured]) -> String {
        let behind = if self.ahead { not_behind(rows, self.work, value) } else { Vec::new() };
        if !behind.is_empty() {
            format!("missed: behind {}", behind.join(", "))
        } else if !self.required.holds(value) {
            "missed".to_owned()
        } else if self.goal.holds(value) {
            "met, and the goal".to_owned()
        } else {
            "met".to_owned()
        }
    }
}

/// All targets, in the order of the table.
pub(crate) fn judge(rows: &[Measured]) -> Vec<Judged> {
    targets().iter().map(|target| target.judge(rows)).collect()
}
