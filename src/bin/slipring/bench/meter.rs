//! Counts over time, and distributions: taken in one process, told to another as JSON.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::failure::Failure;
use slipring::monotonic_ns as now;

/// Messages between two looks at the clock, at most.
const STEP_MAX: u64 = 64;
/// The longest time that a histogram has a place for.
pub(crate) const LONGEST: u64 = 60_000_000_000;

/// How many messages there were by when.
#[derive(Debug)]
pub(crate) struct Meter {
    every: u64,
    look_at: u64,
    looked: u64,
    step: u64,
    sample_at: u64,
    samples: Vec<(u64, u64)>,
}

impl Meter {
    /// Samples every 100 ms; more often in a short run, so that there are some, and less in a long one.
    pub(crate) fn new(time: u64) -> Meter {
        let every = (time / 20).clamp(2_000_000, 100_000_000).max(time / 1000);
        Meter { every, look_at: 0, looked: 0, step: 1, sample_at: 0, samples: Vec::new() }
    }

    /// The time, if it is time to look at the clock again.
    #[inline]
    pub(crate) fn look(&mut self, count: u64) -> Result<Option<u64>, Failure> {
        if count < self.look_at {
            return Ok(None);
        }
        let time = now();
        self.step = step(self.step, time.saturating_sub(self.looked), self.every);
        self.look_at = count + self.step;
        self.looked = time;
        if time >= self.sample_at {
            self.sample_at = time + self.every;
            self.samples.push((time, count));
        }
        Ok(Some(time))
    }

    pub(crate) fn value(&self) -> Value {
        json!(self.samples)
    }
}

/// How many messages until the next look, after so many that took so long: more of them only while they are far from
/// an interval between samples.
fn step(before: u64, took: u64, every: u64) -> u64 {
    if took < every / 16 { (before * 2).min(STEP_MAX) } else { 1 }
}

/// Samples that were told: seconds since `begin`, and messages per second up to then.
pub(crate) fn rates(samples: &Value, begin: u64) -> Vec<(f64, f64)> {
    let samples: Vec<(u64, u64)> = pairs(samples);
    let steps = samples.iter().zip(samples.iter().skip(1));
    let rate = |(&(from, before), &(to, after)): (&(u64, u64), &(u64, u64))| {
        let at = to.saturating_sub(begin) as f64 / 1e9;
        (at, after.saturating_sub(before) as f64 * 1e9 / to.saturating_sub(from).max(1) as f64)
    };
    steps.map(rate).collect()
}

/// An empty histogram of nanoseconds, good for three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new_with_bounds(1, LONGEST, 3)
        .map_err(|fault| Failure::Failed(format!("cannot make a histogram: {fault}")))
}

/// A histogram for [`told`].
pub(crate) fn tell(histogram: &Histogram<u64>) -> Value {
    let counts = histogram.iter_recorded();
    let pairs: Vec<_> = counts.map(|it| (it.value_iterated_to(), it.count_at_value())).collect();
    json!(pairs)
}

pub(crate) fn told(value: &Value) -> Result<Histogram<u64>, Failure> {
    let mut histogram = histogram()?;
    for (value, count) in pairs(value) {
        histogram.saturating_record_n(value, count);
    }
    Ok(histogram)
}

fn pairs(value: &Value) -> Vec<(u64, u64)> {
    let pair = |pair: &Value| Some((pair.get(0)?.as_u64()?, pair.get(1)?.as_u64()?));
    value.as_array().into_iter().flatten().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_survives_being_told() {
        let mut histogram = histogram().unwrap();
        for value in [1, 40, 40, 1_234_567, LONGEST * 2] {
            histogram.saturating_record(value);
        }
        let again = told(&tell(&histogram)).unwrap();
        assert_eq!(again, histogram);
    }

    #[test]
    fn the_clock_is_looked_at_seldom_only_while_messages_come_fast() {
        let fast = (0..10).fold(1, |before, _| step(before, 10, 1000));
        assert_eq!((fast, step(1, 10, 1000), step(fast, 100, 1000)), (STEP_MAX, 2, 1));
    }

    #[test]
    fn rates_are_between_samples() {
        let samples =
            json!([[1_000_000_000u64, 0], [2_000_000_000u64, 50], [2_500_000_000u64, 50]]);
        assert_eq!(rates(&samples, 1_000_000_000), [(1.0, 50.0), (1.5, 0.0)]);
    }
}
