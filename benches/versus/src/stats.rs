//! Quantiles of what the slices say.

use serde::Serialize;

/// Of all slices of a row in one placement, or of their ratios.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// How many slices.
    pub(crate) rounds: usize,
    pub(crate) p10: f64,
    pub(crate) p25: f64,
    pub(crate) p50: f64,
    pub(crate) p75: f64,
    pub(crate) p90: f64,
}

impl Summary {
    /// `None` if there are no figures.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Summary> {
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        let at = |percent: usize| figures[last * percent / 100];
        let [p10, p25, p50, p75, p90] = [10, 25, 50, 75, 90].map(at);
        Some(Summary { rounds: figures.len(), p10, p25, p50, p75, p90 })
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn quantiles_are_figures_that_were_measured() {
        let summary = Summary::of((0..=100).rev().map(f64::from).collect()).unwrap();
        let Summary { rounds, p10, p25, p50, p75, p90 } = summary;
        assert_eq!(rounds, 101);
        assert_eq!([p10, p25, p50, p75, p90], [10.0, 25.0, 50.0, 75.0, 90.0]);
        assert!(Summary::of(Vec::new()).is_none());
    }
}
