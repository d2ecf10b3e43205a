//! Quantiles of a run, and what five runs say together.

use serde::Serialize;

/// Of the slices of one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p10: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
}

impl Quantiles {
    /// `None` if there are no figures.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Quantiles> {
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let at = |percent: usize| figures[last * percent / 100];
        Some(Quantiles { p10: at(10), p50: at(50), p90: at(90) })
    }
}

/// Of several runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    /// The median of the runs' medians, and likewise of their other quantiles.
    pub(crate) of_runs: Quantiles,
    /// The lowest and the highest of the runs' medians.
    pub(crate) spread: [f64; 2],
    pub(crate) runs: Vec<Quantiles>,
}

impl Summary {
    /// `None` if there are no runs.
    pub(crate) fn of(runs: Vec<Quantiles>) -> Option<Summary> {
        let median = |quantile: fn(&Quantiles) -> f64| {
            Quantiles::of(runs.iter().map(quantile).collect()).map(|of_runs| of_runs.p50)
        };
        let of_runs = Quantiles {
            p10: median(|run| run.p10)?,
            p50: median(|run| run.p50)?,
            p90: median(|run| run.p90)?,
        };
        let medians = || runs.iter().map(|run| run.p50);
        let spread = [medians().fold(f64::MAX, f64::min), medians().fold(f64::MIN, f64::max)];
        Some(Summary { of_runs, spread, runs })
    }
}

#[cfg(test)]
mod tests {
    use super::{Quantiles, Summary};

    fn run(figures: impl IntoIterator<Item = u32>) -> Quantiles {
        Quantiles::of(figures.into_iter().map(f64::from).collect()).unwrap()
    }

    #[test]
    fn quantiles_are_figures_that_were_measured() {
        let Quantiles { p10, p50, p90 } = run((0..=100).rev());
        assert_eq!([p10, p50, p90], [10.0, 50.0, 90.0]);
        assert!(Quantiles::of(Vec::new()).is_none());
    }

    #[test]
    fn a_summary_is_the_median_of_the_runs_and_their_spread() {
        let runs = [5, 1, 9].map(|at| run([at, at, at])).to_vec();
        let summary = Summary::of(runs).unwrap();
        assert_eq!(summary.of_runs.p50, 5.0);
        assert_eq!(summary.spread, [1.0, 9.0]);
        assert!(Summary::of(Vec::new()).is_none());
    }
}
