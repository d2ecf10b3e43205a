//! Runs the rows in turn, A B C ... A B C ..., in short slices, so that a drift of the machine hits all alike.

use indicatif::{ProgressBar, ProgressStyle};

use crate::message::BATCH;
use crate::pair::Steps;
use crate::rows::{Row, Work};
use crate::stats::{Quantiles, Summary};
use crate::transport::NotRun;

/// How long a slice is meant to be: long enough to tell the steps from the noise of the clock, short enough
/// that a round sees one state of the machine.
const SLICE_NS: f64 = 6e6;
/// Of the first slice, which only finds out how fast the row is, and of all in a smoke run.
const FEW: u64 = 10 * BATCH as u64;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) runs: usize,
    pub(crate) rounds: usize,
    /// One slice of each, as short as can be: to see that it works.
    pub(crate) smoke: bool,
}

/// A row with what was measured.
pub(crate) struct Measured {
    pub(crate) row: Row,
    /// Nanoseconds per step: for each run, for each round. Or why there are none.
    pub(crate) outcome: Result<Vec<Vec<f64>>, NotRun>,
    /// Of the next slice.
    steps: u64,
}

impl Measured {
    pub(crate) fn new(row: Row) -> Measured {
        Measured { row, outcome: Ok(Vec::new()), steps: FEW }
    }

    fn slice(&mut self) -> Option<f64> {
        match (self.row.slice)(Steps::new(self.steps)) {
            Ok(ns) => Some(ns),
            Err(reason) => {
                self.outcome = Err(reason);
                None
            }
        }
    }

    /// Finds out how many steps make a slice.
    fn calibrate(&mut self) {
        while let Some(ns) = self.slice() {
            if ns * self.steps as f64 >= SLICE_NS / 4.0 {
                return self.aim(ns);
            }
            self.steps *= 4;
        }
    }

    /// Keeps the slices as long as they should be, also when the machine is slower than it was.
    fn aim(&mut self, ns: f64) {
        let steps = (SLICE_NS / ns) as u64;
        let steps = steps.clamp(self.steps / 2, self.steps * 2);
        self.steps = steps.next_multiple_of(BATCH as u64);
    }

    pub(crate) fn ran(&self) -> bool {
        self.outcome.is_ok()
    }

    /// Nanoseconds per step.
    pub(crate) fn ns(&self) -> Option<Summary> {
        let runs = self.outcome.as_ref().ok()?;
        Summary::of(runs.iter().filter_map(|run| Quantiles::of(run.clone())).collect())
    }
}

/// Measures all rows; in a smoke run each once.
pub(crate) fn measure(rows: Vec<Row>, extent: Extent) -> Vec<Measured> {
    let mut rows: Vec<Measured> = rows.into_iter().map(Measured::new).collect();
    let slices = if extent.smoke { 1 } else { 1 + extent.runs * extent.rounds } * rows.len();
    let bar = ProgressBar::new(slices as u64);
    let style = "{bar:40} {percent:>3} % {elapsed} (about {eta} left) {wide_msg}";
    bar.set_style(ProgressStyle::with_template(style).expect("a good template"));
    for row in &mut rows {
        bar.set_message(row.row.name);
        if extent.smoke {
            if let Some(ns) = row.slice() {
                row.outcome = Ok(vec![vec![ns]]);
            }
        } else {
            row.calibrate();
        }
        bar.inc(1);
    }
    for run in 0..if extent.smoke { 0 } else { extent.runs } {
        bar.set_message(format!("run {} of {}", run + 1, extent.runs));
        one_run(&mut rows, extent.rounds, &bar);
    }
    bar.finish_and_clear();
    rows
}

fn one_run(rows: &mut [Measured], rounds: usize, bar: &ProgressBar) {
    for row in rows.iter_mut() {
        if let Ok(runs) = &mut row.outcome {
            runs.push(Vec::with_capacity(rounds));
        }
    }
    for _ in 0..rounds {
        for row in rows.iter_mut() {
            bar.inc(1);
            if !row.ran() {
                continue;
            }
            let Some(ns) = row.slice() else { continue };
            row.aim(ns);
            let run = row.outcome.as_mut().ok().and_then(|runs| runs.last_mut());
            run.expect("a run was begun above").push(ns);
        }
    }
}

/// A figure made of two rows, round by round.
pub(crate) fn by_round(
    a: &Measured,
    b: &Measured,
    figure: impl Fn(f64, f64) -> f64,
) -> Option<Summary> {
    let (a, b) = (a.outcome.as_ref().ok()?, b.outcome.as_ref().ok()?);
    let run = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        Quantiles::of(a.iter().zip(b).map(|(&a, &b)| figure(a, b)).collect())
    };
    Summary::of(a.iter().zip(b).filter_map(run).collect())
}

/// The row that those of this work are measured by: its first.
pub(crate) fn unit(rows: &[Measured], work: Work) -> Option<&Measured> {
    rows.iter().find(|other| other.row.work == work)
}
