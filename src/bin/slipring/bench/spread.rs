//! One figure of several runs.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// In the order in which they were made.
    runs: Vec<f64>,
}

impl Spread {
    pub(crate) fn of(runs: Vec<f64>) -> Spread {
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |i: usize| sorted.get(i).copied().unwrap_or(0.0);
        let last = sorted.len().saturating_sub(1);
        // The two in the middle, which are the same one of an odd count.
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Spread { median, least: at(0), most: at(last), runs }
    }

    /// As people write it.
    pub(crate) fn text(&self, write: impl Fn(f64) -> String) -> String {
        format!("{} ({} to {})", write(self.median), write(self.least), write(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_of_what_was_sorted() {
        let odd = Spread::of(vec![9.0, 1.0, 2.0]);
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 9.0));
        assert_eq!(odd.runs, [9.0, 1.0, 2.0]);
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(Spread::of(vec![7.0]).text(|it| it.to_string()), "7 (7 to 7)");
    }
}
