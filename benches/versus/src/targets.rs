//! What we want to reach, and whether we did.

mod list;

use serde::Serialize;

use crate::placement::Placement;
use crate::rotation::{Cell, Measured, by_round, fastest, ratio};
use crate::rows::{Class, Work};
use crate::stats::Summary;
use Figure::{Microseconds, PerGroup, Ratio};
use list::targets;

/// Rounds below which there is no verdict.
const FEW: usize = 12;

/// What a row's time is divided by.
#[derive(Clone, Copy)]
enum By {
    Row(&'static str),
    /// The fastest row of this class in the same placement, of those whose name begins with this.
    Fastest(Class, &'static str),
}

/// How a figure comes from the rows.
#[derive(Clone, Copy)]
enum Figure {
    Ratio(&'static str, By),
    /// What the first takes more than the second, in nanoseconds, by so many groups.
    PerGroup(&'static str, &'static str, f64),
    /// The row's time in microseconds.
    Microseconds(&'static str),
}

#[derive(Clone, Copy)]
struct AtMost(f64);

impl AtMost {
    fn holds(self, value: f64) -> bool {
        value <= self.0
    }
}

/// Where a target counts.
#[derive(Clone, Copy)]
enum Where {
    Only(Placement),
    /// A line for each.
    NearAndFar,
}

struct Target {
    name: &'static str,
    work: Work,
    place: Where,
    figure: Figure,
    /// Of [`Work::columns`].
    column: usize,
    required: Option<AtMost>,
    goal: Option<AtMost>,
}

/// What became of a target. In the order of the report: first what is lost, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Missed,
    /// A queue was faster than what is said to be the limit.
    LimitWrong,
    TooNoisy,
    TooFew,
    /// What is required is met; whether the goal is, the spread does not tell.
    MetGoalTooNoisy,
    GoalMissed,
    /// Nothing is required.
    Measured,
    Met,
    MetAndGoal,
    DidNotOccur,
    NotRun,
}

impl Verdict {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Verdict::Missed => "missed",
            Verdict::LimitWrong => "no verdict: ahead of the limit",
            Verdict::TooNoisy => "no verdict: too noisy",
            Verdict::TooFew => "no verdict: too few rounds",
            Verdict::MetGoalTooNoisy => "met; goal: too noisy",
            Verdict::GoalMissed => "short of the goal",
            Verdict::Measured => "measured",
            Verdict::Met => "met",
            Verdict::MetAndGoal => "met, and the goal",
            Verdict::DidNotOccur => "did not occur",
            Verdict::NotRun => "not run",
        }
    }

    /// What it means, and what to do.
    pub(crate) fn advice(self) -> Option<&'static str> {
        match self {
            Verdict::LimitWrong => Some(
                "the queue was faster than what was thought to be the limit, so that is none. Look for a faster bare one",
            ),
            Verdict::TooNoisy => Some(
                "the quartiles of the ratios lie on both sides of the figure. End what runs beside it, and run again",
            ),
            Verdict::TooFew => {
                Some("this placement hardly occurred. Run again, or longer (--minutes)")
            }
            _ => None,
        }
    }

    fn of(
        measured: &Summary,
        required: Option<AtMost>,
        goal: Option<AtMost>,
        by_limit: bool,
    ) -> Verdict {
        // `None`: the quartiles lie on both sides.
        let holds = |bound: AtMost| match [measured.p25, measured.p75].map(|it| bound.holds(it)) {
            [true, true] => Some(true),
            [false, false] => Some(false),
            _ => None,
        };
        if measured.rounds < FEW {
            return Verdict::TooFew;
        }
        if by_limit && measured.p50 < 1.0 {
            return Verdict::LimitWrong;
        }
        match (required.map(holds), goal.map(holds)) {
            (Some(Some(false)), _) => Verdict::Missed,
            (Some(None), _) | (None, Some(None)) => Verdict::TooNoisy,
            (_, Some(Some(true))) => Verdict::MetAndGoal,
            (Some(Some(true)), Some(None)) => Verdict::MetGoalTooNoisy,
            (Some(Some(true)), _) => Verdict::Met,
            (None, Some(Some(false))) => Verdict::GoalMissed,
            (None, None) => Verdict::Measured,
        }
    }
}

/// A target in one placement, and what was measured.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub(crate) target: &'static str,
    pub(crate) placement: Placement,
    pub(crate) required: Option<f64>,
    pub(crate) goal: Option<f64>,
    pub(crate) unit: &'static str,
    /// The row that the figure is a ratio to.
    pub(crate) by: Option<&'static str>,
    pub(crate) measured: Option<Summary>,
    pub(crate) verdict: Verdict,
    /// The verdict in words, and what to do where there is none.
    pub(crate) text: &'static str,
    pub(crate) advice: Option<&'static str>,
}

impl Target {
    fn row<'a>(&self, rows: &'a [Measured], name: &str) -> Option<Cell<'a>> {
        let row = rows.iter().find(|it| it.row.work == self.work && it.row.name == name)?;
        Some((row, self.column))
    }

    fn by<'a>(&self, rows: &'a [Measured], by: By, placement: Placement) -> Option<Cell<'a>> {
        match by {
            By::Row(name) => self.row(rows, name),
            By::Fastest(class, name) => {
                Some((fastest(rows, self.work, class, name, self.column, placement)?, self.column))
            }
        }
    }

    /// The figure, and what it is divided by.
    fn measured(
        &self,
        rows: &[Measured],
        placement: Placement,
    ) -> Option<(Summary, Option<&'static str>)> {
        let row = |name| self.row(rows, name);
        match self.figure {
            Ratio(name, by) => {
                let by = self.by(rows, by, placement)?;
                Some((ratio(row(name)?, by, placement)?, Some(by.0.row.name)))
            }
            PerGroup(many, one, more) => {
                let figure = |many, one| (many - one) / more;
                Some((by_round(row(many)?, row(one)?, placement, figure)?, None))
            }
            Microseconds(name) => {
                let row = row(name)?;
                Some((by_round(row, row, placement, |ns, _| ns / 1e3)?, None))
            }
        }
    }

    fn judge(&self, rows: &[Measured], placement: Placement) -> Judged {
        let by_limit = matches!(self.figure, Ratio(_, By::Fastest(Class::Limit, _)));
        let measured = self.measured(rows, placement);
        let mut of_work = rows.iter().filter(|it| it.row.work == self.work);
        let occurred = of_work.any(|it| it.ns(0, placement).is_some());
        let verdict = match &measured {
            Some((measured, _)) => Verdict::of(measured, self.required, self.goal, by_limit),
            None if !occurred && rows.iter().any(|it| it.row.work == self.work) => {
                Verdict::DidNotOccur
            }
            None => Verdict::NotRun,
        };
        Judged {
            target: self.name,
            placement,
            required: self.required.map(|it| it.0),
            goal: self.goal.map(|it| it.0),
            unit: match self.figure {
                Ratio(..) => "",
                PerGroup(..) => " ns",
                Microseconds(_) => " us",
            },
            by: measured.and_then(|(_, by)| by),
            measured: measured.map(|(measured, _)| measured),
            verdict,
            text: verdict.text(),
            advice: verdict.advice(),
        }
    }
}

/// All targets; what is lost comes first, and what is not known.
pub(crate) fn judge(rows: &[Measured]) -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::new();
    for target in targets() {
        let places = match target.place {
            Where::Only(placement) => vec![placement],
            Where::NearAndFar => vec![Placement::Near, Placement::Far],
        };
        judged.extend(places.into_iter().map(|placement| target.judge(rows, placement)));
    }
    judged.sort_by_key(|it| it.verdict);
    judged
}

/// A peer that does the same work faster than we do.
#[derive(Serialize)]
pub(crate) struct Lost {
    pub(crate) work: Work,
    pub(crate) column: &'static str,
    pub(crate) placement: Placement,
    pub(crate) ours: &'static str,
    pub(crate) peer: &'static str,
    /// Our time in times of the peer's.
    pub(crate) ratio: Summary,
}

/// Whoever is ahead of our row in its own work, as far as there are rounds enough; the farthest ahead first.
pub(crate) fn lost(rows: &[Measured]) -> Vec<Lost> {
    let mut lost = Vec::new();
    for work in Work::ALL {
        let of_work = || rows.iter().filter(move |it| it.row.work == work);
        let Some(ours) = of_work().find(|it| Some(it.row.name) == work.ours()) else { continue };
        let peers =
            || of_work().filter(|it| matches!(it.row.class, Class::Shared | Class::Threads));
        for (index, column) in work.columns().iter().enumerate() {
            for placement in Placement::ALL {
                for peer in peers() {
                    let Some(ratio) = ratio((ours, index), (peer, index), placement) else {
                        continue;
                    };
                    if ratio.p50 > 1.0 && ratio.rounds >= FEW {
                        let (ours, peer) = (ours.row.name, peer.row.name);
                        lost.push(Lost { work, column, placement, ours, peer, ratio });
                    }
                }
            }
        }
    }
    lost.sort_by(|a, b| b.ratio.p50.total_cmp(&a.ratio.p50));
    lost
}

#[cfg(test)]
mod tests {
    use super::{AtMost, FEW, Summary, Verdict, lost, targets};
    use crate::placement::Placement::Near;
    use crate::rotation::tests::measured;
    use crate::rows::{Class, all, names};

    fn verdict(quartiles: [f64; 3], bounds: [Option<f64>; 2], by_limit: bool) -> Verdict {
        let [p25, p50, p75] = quartiles;
        let summary = Summary { rounds: 40, p10: p25, p25, p50, p75, p90: p75 };
        let [required, goal] = bounds.map(|it| it.map(AtMost));
        Verdict::of(&summary, required, goal, by_limit)
    }

    const BOUNDS: [Option<f64>; 2] = [Some(1.6), Some(1.3)];

    #[test]
    fn quartiles_on_one_side_are_a_verdict() {
        assert_eq!(verdict([1.61, 1.7, 1.9], BOUNDS, true), Verdict::Missed);
        assert_eq!(verdict([1.4, 1.5, 1.6], BOUNDS, true), Verdict::Met);
        assert_eq!(verdict([1.1, 1.2, 1.3], BOUNDS, true), Verdict::MetAndGoal);
        assert_eq!(verdict([1.1, 1.2, 1.3], [None, None], true), Verdict::Measured);
        assert_eq!(verdict([1.1, 1.2, 1.3], [None, Some(1.0)], true), Verdict::GoalMissed);
    }

    #[test]
    fn quartiles_on_both_sides_are_none() {
        assert_eq!(verdict([1.5, 1.55, 1.7], BOUNDS, true), Verdict::TooNoisy);
        assert_eq!(verdict([1.2, 1.25, 1.35], BOUNDS, true), Verdict::MetGoalTooNoisy);
        assert_eq!(verdict([0.9, 1.0, 1.1], [None, Some(1.0)], false), Verdict::TooNoisy);
    }

    #[test]
    fn who_is_faster_than_the_limit_has_met_nothing() {
        assert_eq!(verdict([0.8, 0.9, 0.95], BOUNDS, true), Verdict::LimitWrong);
        assert_eq!(verdict([0.8, 0.9, 0.95], BOUNDS, false), Verdict::MetAndGoal);
    }

    #[test]
    fn a_few_rounds_are_no_verdict() {
        let summary = Summary { rounds: 3, p10: 1.0, p25: 1.0, p50: 1.0, p75: 1.0, p90: 1.0 };
        assert_eq!(Verdict::of(&summary, Some(AtMost(2.0)), None, false), Verdict::TooFew);
    }

    #[test]
    fn who_is_ahead_of_us_is_said() {
        let row = |class, name, ns| {
            measured(class, name, &std::array::from_fn::<_, FEW, _>(|round| (round, Near, ns)))
        };
        let rows = [
            row(Class::Limit, "bare", 1.0),
            row(Class::Ours, names::OURS, 4.0),
            row(Class::Shared, "faster", 2.0),
            measured(Class::Shared, "once", &[(0, Near, 2.0)]),
            row(Class::Kernel, "no rival", 2.0),
            row(Class::Threads, "slower", 5.0),
        ];
        let lost: Vec<_> = lost(&rows).iter().map(|it| (it.peer, it.ratio.p50)).collect();
        assert_eq!(lost, [("faster", 2.0)]);
    }

    /// A name that is written in two ways would be a figure that is never judged.
    #[test]
    fn each_target_has_its_rows() {
        let rows = all();
        let optional = |name: &str| name == names::RTE_RING && !cfg!(feature = "rte_ring");
        let there = |work, name: &str| {
            optional(name) || rows.iter().any(|row| row.work == work && row.name == name)
        };
        let begins = |work, class, name: &str| {
            let of_work = rows.iter().filter(|row| row.work == work && row.class == class);
            optional(name) || of_work.map(|row| row.name).any(|row| row.starts_with(name))
        };
        for target in targets() {
            if let super::Ratio(_, super::By::Fastest(class, name)) = target.figure {
                assert!(begins(target.work, class, name), "{}: {name}", target.name);
            }
            let names = match target.figure {
                super::Ratio(name, super::By::Row(by)) => vec![name, by],
                super::Ratio(name, _) | super::Microseconds(name) => vec![name],
                super::PerGroup(many, one, _) => vec![many, one],
            };
            for name in names {
                assert!(there(target.work, name), "{}: {name}", target.name);
            }
            assert!(target.column < target.work.columns().len(), "{}", target.name);
        }
    }
}
