//! Distributions of times. A quantile is given only if there are enough messages for it.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::spread::Spread;
use crate::failure::Failure;
use crate::histogram;
use crate::table::{grouped, nanoseconds};

/// Messages that must lie beyond a quantile: with fewer, it differs from run to run.
const BEYOND: f64 = 10.0;

/// Whether there are enough messages for a quantile. For the median, one is enough.
pub(crate) fn is_supported(quantile: f64, count: u64) -> bool {
    // The difference from 1 is not exact.
    count > 0 && (quantile <= 0.5 || (1.0 - quantile) * count as f64 >= BEYOND * (1.0 - 1e-9))
}

fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    is_supported(quantile, histogram.len()).then(|| histogram.value_at_quantile(quantile))
}

/// The delays of all runs together, and of each run.
#[derive(Debug)]
pub(crate) struct Delays {
    pub(crate) all: Histogram<u64>,
    runs: Vec<Histogram<u64>>,
}

/// In nanoseconds. A quantile with too few messages is null.
#[derive(Debug, Serialize)]
pub(crate) struct Distribution {
    count: u64,
    mean: f64,
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    p99_99: Option<u64>,
    max: Option<u64>,
    /// Quantiles of each run.
    runs: RunQuantiles,
}

#[derive(Debug, Serialize)]
struct RunQuantiles {
    p50: Option<Spread>,
    p99: Option<Spread>,
}

impl Delays {
    pub(crate) fn of(runs: Vec<Histogram<u64>>) -> Result<Delays, Failure> {
        let mut all = histogram::empty()?;
        for run in &runs {
            // Cannot fail: both have the same bounds.
            let _ = all.add(run);
        }
        Ok(Delays { all, runs })
    }

    fn spread(&self, of: f64) -> Option<Spread> {
        let each = self.runs.iter().map(|run| quantile(run, of).map(|it| it as f64));
        each.collect::<Option<Vec<f64>>>().map(Spread::of)
    }

    pub(crate) fn distribution(&self) -> Distribution {
        let all = &self.all;
        Distribution {
            count: all.len(),
            mean: all.mean(),
            p50: quantile(all, 0.5),
            p90: quantile(all, 0.9),
            p99: quantile(all, 0.99),
            p99_9: quantile(all, 0.999),
            p99_99: quantile(all, 0.9999),
            max: (!all.is_empty()).then(|| all.max()),
            runs: RunQuantiles { p50: self.spread(0.5), p99: self.spread(0.99) },
        }
    }

    /// Cells below [`HEADINGS`].
    pub(crate) fn cells(&self) -> Vec<String> {
        let Distribution { count, p50, p90, p99, p99_9, p99_99, max, runs, .. } =
            self.distribution();
        let time = |time: Option<u64>| time.map_or("-".to_owned(), nanoseconds);
        let spread = |spread: Option<Spread>| {
            spread.map_or("-".to_owned(), |it| it.text(|time| nanoseconds(time.round() as u64)))
        };
        let times = [p50, p90, p99, p99_9, p99_99, max].map(time);
        let spreads = [runs.p50, runs.p99].map(spread);
        std::iter::once(grouped(count)).chain(times).chain(spreads).collect()
    }
}

/// The headings of [`Delays::cells`].
pub(crate) const HEADINGS: [&str; 9] =
    ["COUNT", "P50", "P90", "P99", "P99.9", "P99.99", "MAX", "P50 OF RUNS", "P99 OF RUNS"];

/// Explains a table with [`HEADINGS`].
pub(crate) const HEADINGS_NOTE: &str = "Percentiles are of all runs together. P50 and P99 OF RUNS: median of the runs \
(min to max). \"-\": fewer than 10 messages lie beyond the percentile (p99 takes 1,000 messages, p99.9 10,000, \
p99.99 100,000).";

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(runs: &[u64]) -> Delays {
        let run = |count: &u64| {
            let mut histogram = histogram::empty().unwrap();
            (1..=*count).for_each(|time| histogram.saturating_record(time));
            histogram
        };
        Delays::of(runs.iter().map(run).collect()).unwrap()
    }

    #[test]
    fn a_quantile_needs_ten_messages_beyond_it() {
        let known = |count| {
            let all = delays(&[count]).distribution();
            [all.p50, all.p90, all.p99, all.p99_9, all.p99_99, all.max].map(|it| it.is_some())
        };
        assert_eq!(known(0), [false; 6]);
        assert_eq!(known(12), [true, false, false, false, false, true]);
        assert_eq!(known(999), [true, true, false, false, false, true]);
        assert_eq!(known(1000), [true, true, true, false, false, true]);
        assert_eq!(known(99_999), [true, true, true, true, false, true]);
        assert_eq!(known(100_000), [true; 6]);
    }

    #[test]
    fn runs_together_support_a_quantile_that_one_run_does_not() {
        let all = delays(&[600, 800]).distribution();
        assert_eq!((all.count, all.p99.is_some(), &all.runs.p99), (1400, true, &None));
        let spread = all.runs.p50.unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (300.0, 350.0, 400.0));
        assert_eq!(delays(&[12]).cells()[1..5], ["6 ns", "-", "-", "-"]);
        assert_eq!(delays(&[600, 800]).cells()[7..], ["350 ns (300 ns to 400 ns)", "-"]);
    }
}
