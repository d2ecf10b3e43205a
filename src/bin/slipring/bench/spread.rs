//! One figure of several runs.

use serde::Serialize;

/// The median of an even count is the mean of the two values in the middle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The figure of each run, in the order of the runs.
    runs: Vec<f64>,
}

impl Spread {
    pub(crate) fn of(runs: Vec<f64>) -> Spread {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Spread { median, min: at(0), max: at(last), runs }
    }

    /// As text: "median (min to max)".
    pub(crate) fn text(&self, write: impl Fn(f64) -> String) -> String {
        format!("{} ({} to {})", write(self.median), write(self.min), write(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_of_the_sorted_values() {
        let odd = Spread::of(vec![9.0, 1.0, 2.0]);
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 2.0, 9.0));
        assert_eq!(odd.runs, [9.0, 1.0, 2.0]);
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(Spread::of(vec![7.0]).text(|it| it.to_string()), "7 (7 to 7)");
    }
}
