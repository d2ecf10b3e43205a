//! Distributions of times, and their form in JSON.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The longest time that a histogram can tell from longer ones, in nanoseconds.
pub(crate) const LONGEST: u64 = 60_000_000_000;

/// An empty histogram of nanoseconds with three significant digits.
pub(crate) fn empty() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, LONGEST, 3)
        .map_err(|fault| Failure::failed(format!("cannot make a histogram: {fault}")))
}

/// The values of a histogram with the count of each: what one process reports to another.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Buckets(Vec<(u64, u64)>);

impl From<&Histogram<u64>> for Buckets {
    fn from(histogram: &Histogram<u64>) -> Buckets {
        let recorded = histogram.iter_recorded();
        Buckets(recorded.map(|it| (it.value_iterated_to(), it.count_at_value())).collect())
    }
}

impl Buckets {
    pub(crate) fn add_to(&self, histogram: &mut Histogram<u64>) {
        for (value, count) in &self.0 {
            histogram.saturating_record_n(*value, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_its_way_through_json() {
        let mut histogram = empty().unwrap();
        for value in [1, 40, 40, 1_234_567, LONGEST * 2] {
            histogram.saturating_record(value);
        }
        let json = serde_json::to_string(&Buckets::from(&histogram)).unwrap();
        let buckets: Buckets = serde_json::from_str(&json).unwrap();
        let mut again = empty().unwrap();
        buckets.add_to(&mut again);
        assert_eq!(again, histogram);
    }
}
