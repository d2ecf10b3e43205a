//! Distributions of times: only as far as the number of messages carries them.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::bench::meter;
use crate::bench::spread::Spread;
use crate::failure::Failure;
use crate::table::{grouped, nanoseconds};

/// Messages that lie beyond a quantile, at least: of fewer, the next run has others.
const BEYOND: f64 = 10.0;

/// Whether so many messages tell this quantile. The median is told of any number.
pub(crate) fn is_carried(quantile: f64, count: u64) -> bool {
    // What is left of 1 is not exact.
    count > 0 && (quantile <= 0.5 || (1.0 - quantile) * count as f64 >= BEYOND * (1.0 - 1e-9))
}

fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    is_carried(quantile, histogram.len()).then(|| histogram.value_at_quantile(quantile))
}

/// The delays of all runs together, and how far the runs differ.
#[derive(Debug)]
pub(crate) struct Delays {
    pub(crate) all: Histogram<u64>,
    runs: Vec<Histogram<u64>>,
}

/// Nanoseconds. A quantile that too few messages carry is null.
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
        let mut all = meter::histogram()?;
        for run in &runs {
            // It has the same bounds.
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

    /// Cells below [`TIMES`].
    pub(crate) fn cells(&self) -> Vec<String> {
        let Distribution { count, p50, p90, p99, p99_9, p99_99, max, runs, .. } =
            self.distribution();
        let time = |time: Option<u64>| time.map_or("-".to_owned(), nanoseconds);
        let spread = |spread: Option<Spread>| spread.map_or("-".to_owned(), |it| span(&it));
        let times = [p50, p90, p99, p99_9, p99_99, max].map(time);
        let spreads = [runs.p50, runs.p99].map(spread);
        std::iter::once(grouped(count)).chain(times).chain(spreads).collect()
    }
}

/// Nanoseconds, in the unit of the median.
fn span(spread: &Spread) -> String {
    let (unit, size, digits) = match spread.median {
        0.0..1e3 => ("ns", 1.0, 0),
        1e3..1e6 => ("µs", 1e3, 1),
        _ => ("ms", 1e6, 2),
    };
    let Spread { median, least, most, .. } = spread;
    let [median, least, most] = [median, least, most].map(|it| format!("{:.digits$}", it / size));
    format!("{median} {unit} ({least} to {most})")
}

/// The heading for [`Delays::cells`].
pub(crate) const TIMES: [&str; 9] =
    ["COUNT", "P50", "P90", "P99", "P99.9", "P99.99", "MAX", "P50 OF RUNS", "P99 OF RUNS"];

/// What is to be said below a table with [`TIMES`].
pub(crate) const TIMES_NOTE: &str = "Percentiles are of all runs together; those of runs are the median run's (least to \
most). - : fewer than 10 messages lie beyond it (p99 takes 1,000, p99.9 10,000, p99.99 100,000).";

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(runs: &[u64]) -> Delays {
        let run = |count: &u64| {
            let mut histogram = meter::histogram().unwrap();
            (1..=*count).for_each(|time| histogram.saturating_record(time));
            histogram
        };
        Delays::of(runs.iter().map(run).collect()).unwrap()
    }

    #[test]
    fn a_quantile_needs_ten_messages_beyond_it() {
        let known = |count| {
            let told = delays(&[count]).distribution();
            [told.p50, told.p90, told.p99, told.p99_9, told.p99_99, told.max].map(|it| it.is_some())
        };
        assert_eq!(known(0), [false; 6]);
        assert_eq!(known(12), [true, false, false, false, false, true]);
        assert_eq!(known(999), [true, true, false, false, false, true]);
        assert_eq!(known(1000), [true, true, true, false, false, true]);
        assert_eq!(known(99_999), [true, true, true, true, false, true]);
        assert_eq!(known(100_000), [true; 6]);
    }

    #[test]
    fn runs_together_carry_what_one_alone_does_not() {
        let told = delays(&[600, 800]).distribution();
        assert_eq!((told.count, told.p99.is_some(), &told.runs.p99), (1400, true, &None));
        let spread = told.runs.p50.unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (300.0, 350.0, 400.0));
        assert_eq!(delays(&[12]).cells()[1..5], ["6 ns", "-", "-", "-"]);
        assert_eq!(delays(&[600, 800]).cells()[7..], ["350 ns (300 to 400)", "-"]);
        assert_eq!(span(&Spread::of(vec![900.0, 1200.0, 2_000_000.0])), "1.2 µs (0.9 to 2000.0)");
    }
}
