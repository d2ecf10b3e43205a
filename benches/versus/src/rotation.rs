//! Runs the rows in turn, A B C ... A B C ..., in short slices, so that a drift of the machine affects all alike.
//!
//! Before and after the rows of each work with two ends, a bare round trip shows how far apart the ends are. If both
//! agree, all slices in between belong to that placement. If not, they are discarded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::message::BATCH;
use crate::pair::Steps;
use crate::placement::{self, Placement};
use crate::rows::{Class, Figures, Row, Work};
use crate::stats::Summary;
use crate::transport::NotRun;

/// Steps of the first slice, which only calibrates the row, and of every slice of a smoke run.
const FEW: u64 = 10 * BATCH as u64;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// No round begins after this time.
    pub(crate) time: Duration,
    /// The intended time of a slice: long enough for the precision of the clock, short enough that the machine hardly
    /// changes during a round.
    pub(crate) slice: Duration,
    /// Run one slice of each row, as short as possible, to check that it works.
    pub(crate) smoke: bool,
}

/// A slice that was not discarded.
struct Slice {
    round: usize,
    placement: Placement,
    figures: Vec<f64>,
}

/// A row and its slices.
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// In the order of the rounds, or why there are none.
    slices: Result<Vec<Slice>, NotRun>,
    /// Steps of the next slice.
    steps: u64,
}

/// How many rounds there were, and how much of them was discarded.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    /// Works during which the placement changed, out of all with two ends.
    pub(crate) moved: usize,
    pub(crate) placed: usize,
}

impl Measured {
    pub(crate) fn new(row: Row) -> Measured {
        Measured { row, slices: Ok(Vec::new()), steps: FEW }
    }

    fn slice(&mut self) -> Option<Figures> {
        match (self.row.slice)(Steps::new(self.steps)) {
            Ok(figures) => Some(figures),
            Err(reason) => {
                self.slices = Err(reason);
                None
            }
        }
    }

    /// Finds the number of steps that take the time of a slice.
    fn calibrate(&mut self, slice: Duration) {
        while let Some(figures) = self.slice() {
            if figures.ns_per_step * self.steps as f64 >= slice.as_nanos() as f64 / 4.0 {
                return self.aim(figures.ns_per_step, slice);
            }
            self.steps *= 4;
        }
    }

    /// Adapts the number of steps, so that slices keep their time when the machine gets faster or slower.
    fn aim(&mut self, ns_per_step: f64, slice: Duration) {
        let steps = (slice.as_nanos() as f64 / ns_per_step) as u64;
        let steps = steps.clamp(self.steps / 2, self.steps * 2);
        self.steps = steps.next_multiple_of(BATCH as u64);
    }

    pub(crate) fn ran(&self) -> bool {
        self.slices.is_ok()
    }

    /// Why there are no figures.
    pub(crate) fn not_run(&self) -> Option<&str> {
        self.slices.as_ref().err().map(|reason| &*reason.0)
    }

    fn slices(&self, placement: Placement) -> impl Iterator<Item = &Slice> {
        let all = self.slices.iter().flatten();
        all.filter(move |slice| slice.placement == placement)
    }

    /// The summary of a column, in nanoseconds.
    pub(crate) fn ns(&self, column: usize, placement: Placement) -> Option<Summary> {
        Summary::of(self.slices(placement).map(|slice| slice.figures[column]).collect())
    }

    /// All figures: the round and the columns of each slice.
    pub(crate) fn all(&self, placement: Placement) -> Vec<(usize, &[f64])> {
        self.slices(placement).map(|slice| (slice.round, &*slice.figures)).collect()
    }
}

/// Measures all rows; in a smoke run, each once.
pub(crate) fn measure(rows: Vec<Row>, extent: Extent) -> (Vec<Measured>, Rounds) {
    let mut rows: Vec<Measured> = rows.into_iter().map(Measured::new).collect();
    let mut rounds = Rounds::default();
    let start = Instant::now();
    let bar = ProgressBar::new(extent.time.as_millis() as u64);
    let style = "{bar:40} {percent:>3} % {elapsed} {wide_msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("a good template"));
    for row in &mut rows {
        bar.set_message(row.row.name);
        if extent.smoke {
            row.slice();
        } else {
            row.calibrate(extent.slice);
        }
    }
    while !extent.smoke && (start.elapsed() < extent.time || rounds.count == 0) {
        bar.set_position(start.elapsed().as_millis() as u64);
        bar.set_message(format!("round {}", rounds.count + 1));
        one_round(&mut rows, extent.slice, &mut rounds);
    }
    bar.finish_and_clear();
    (rows, rounds)
}

fn one_round(rows: &mut [Measured], slice: Duration, rounds: &mut Rounds) {
    let round = rounds.count;
    rounds.count += 1;
    let mut before = placement::probe();
    for work in rows.chunk_by_mut(|a, b| a.row.work == b.row.work) {
        let figures: Vec<_> = work.iter_mut().map(|row| timed(row, slice)).collect();
        let placement = if work[0].row.work.alone() {
            Some(Placement::Alone)
        } else {
            let after = placement::probe();
            rounds.placed += 1;
            rounds.moved += usize::from(before != after);
            let stayed = (before == after).then_some(after);
            before = after;
            stayed
        };
        let Some(placement) = placement else { continue };
        for (row, figures) in work.iter_mut().zip(figures) {
            if let (Ok(slices), Some(figures)) = (&mut row.slices, figures) {
                slices.push(Slice { round, placement, figures });
            }
        }
    }
}

fn timed(row: &mut Measured, slice: Duration) -> Option<Vec<f64>> {
    if !row.ran() {
        return None;
    }
    let figures = row.slice()?;
    row.aim(figures.ns_per_step, slice);
    Some(figures.columns)
}

/// A column of a row.
pub(crate) type Cell<'a> = (&'a Measured, usize);

/// Combines the figures of two rows, round by round.
pub(crate) fn by_round(
    (a, of_a): Cell,
    (b, of_b): Cell,
    placement: Placement,
    figure: impl Fn(f64, f64) -> f64,
) -> Option<Summary> {
    let of_b: BTreeMap<usize, f64> =
        b.slices(placement).map(|slice| (slice.round, slice.figures[of_b])).collect();
    let both = a
        .slices(placement)
        .filter_map(|slice| Some(figure(slice.figures[of_a], *of_b.get(&slice.round)?)));
    Summary::of(both.collect())
}

pub(crate) fn ratio(a: Cell, b: Cell, placement: Placement) -> Option<Summary> {
    by_round(a, b, placement, |a, b| a / b)
}

/// The row with the lowest median, of those in a class whose name begins with this. The lowest figure of each round
/// would be the luckiest one.
pub(crate) fn fastest<'a>(
    rows: &'a [Measured],
    work: Work,
    class: Class,
    name: &str,
    column: usize,
    placement: Placement,
) -> Option<&'a Measured> {
    let of_class = rows.iter().filter(|it| it.row.work == work && it.row.class == class);
    let of_class = of_class.filter(|it| it.row.name.starts_with(name));
    let measured = of_class.filter_map(|it| Some((it, it.ns(column, placement)?.p50)));
    measured.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(row, _)| row)
}

/// The row that the rows of this work are divided by: the fastest limit if the work has limits, or else its first row.
pub(crate) fn unit(rows: &[Measured], work: Work, placement: Placement) -> Option<&Measured> {
    if work.by_limit() {
        fastest(rows, work, Class::Limit, "", 0, placement)
    } else {
        rows.iter().find(|other| other.row.work == work)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Measured, Slice, by_round, fastest};
    use crate::placement::Placement;
    use crate::rows::{Class, Row, Work};
    use crate::transport::NotRun;

    /// A row with slices of one column.
    pub(crate) fn measured(
        class: Class,
        name: &'static str,
        slices: &[(usize, Placement, f64)],
    ) -> Measured {
        let slice = Box::new(|_| Err(NotRun::because("it is not run here")));
        let row = Row { work: Work::RoundTrip, name, class, slice };
        let slice = |&(round, placement, ns)| Slice { round, placement, figures: vec![ns] };
        Measured { row, slices: Ok(slices.iter().map(slice).collect()), steps: 1 }
    }

    #[test]
    fn a_ratio_is_made_of_slices_of_one_round_and_placement() {
        use Placement::{Far, Near};
        let a = measured(Class::Ours, "a", &[(0, Near, 6.0), (1, Near, 9.0), (2, Far, 50.0)]);
        let b = measured(Class::Limit, "b", &[(1, Near, 3.0), (2, Far, 10.0), (3, Near, 1.0)]);
        let near = by_round((&a, 0), (&b, 0), Near, |a, b| a / b).unwrap();
        assert_eq!((near.rounds, near.p50), (1, 3.0));
        let far = by_round((&a, 0), (&b, 0), Far, |a, b| a / b).unwrap();
        assert_eq!((far.rounds, far.p50), (1, 5.0));
        assert!(by_round((&a, 0), (&b, 0), Placement::Remote, |a, _| a).is_none());
    }

    #[test]
    fn the_limit_is_the_fastest_of_its_class_in_each_placement() {
        use Placement::{Far, Near};
        let rows = [
            measured(Class::Ours, "ours", &[(0, Near, 1.0), (0, Far, 1.0)]),
            measured(Class::Limit, "one line", &[(0, Near, 60.0), (0, Far, 120.0)]),
            measured(Class::Limit, "two lines", &[(0, Near, 70.0), (0, Far, 110.0)]),
        ];
        let limit = |placement| {
            fastest(&rows, Work::RoundTrip, Class::Limit, "", 0, placement).unwrap().row.name
        };
        assert_eq!([limit(Near), limit(Far)], ["one line", "two lines"]);
    }
}
