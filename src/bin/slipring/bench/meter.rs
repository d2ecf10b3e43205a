//! How many messages there were by when.

use slipring::monotonic_ns as now;

/// The most messages between two readings of the clock.
const STEP_MAX: u64 = 64;

/// A time in nanoseconds of the monotonic clock, and the messages up to then.
pub(crate) type Sample = (u64, u64);

/// Counts messages over time. It reads the clock seldom, and takes a sample now and then.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Nanoseconds between samples.
    interval: u64,
    /// The count at which the clock is read next, and the messages between readings.
    next_reading: u64,
    step: u64,
    last_reading: u64,
    next_sample: u64,
    samples: Vec<Sample>,
}

impl Meter {
    /// For a run of `time` nanoseconds: a sample every 100 ms; more often in a short run, less often in a long one.
    pub(crate) fn new(time: u64) -> Meter {
        let interval = (time / 20).clamp(2_000_000, 100_000_000).max(time / 1000);
        let (next_reading, last_reading, next_sample) = (0, 0, 0);
        Meter { interval, next_reading, step: 1, last_reading, next_sample, samples: Vec::new() }
    }

    /// Takes note of the count. Returns the time if the clock was read.
    #[inline]
    pub(crate) fn count(&mut self, count: u64) -> Option<u64> {
        if count < self.next_reading {
            return None;
        }
        let time = now();
        self.step = step(self.step, time.saturating_sub(self.last_reading), self.interval);
        self.next_reading = count + self.step;
        self.last_reading = time;
        if time >= self.next_sample {
            self.next_sample = time + self.interval;
            self.samples.push((time, count));
        }
        Some(time)
    }

    pub(crate) fn into_samples(self) -> Vec<Sample> {
        self.samples
    }
}

/// Messages until the next reading of the clock, after `before` of them took `time`. It grows while readings are much
/// more frequent than samples.
fn step(before: u64, time: u64, interval: u64) -> u64 {
    if time < interval / 16 { (before * 2).min(STEP_MAX) } else { 1 }
}

/// Messages per second between samples, with the time of the later one in seconds since `begin`.
pub(crate) fn rates(samples: &[Sample], begin: u64) -> Vec<(f64, f64)> {
    let rate = |pair: &[Sample]| match *pair {
        [(from, before), (to, after)] => {
            let seconds = to.saturating_sub(from).max(1) as f64 / 1e9;
            let at = to.saturating_sub(begin) as f64 / 1e9;
            (at, after.saturating_sub(before) as f64 / seconds)
        }
        _ => (0.0, 0.0),
    };
    samples.windows(2).map(rate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_seldom_only_while_messages_come_fast() {
        let fast = (0..10).fold(1, |before, _| step(before, 10, 1000));
        assert_eq!((fast, step(1, 10, 1000), step(fast, 100, 1000)), (STEP_MAX, 2, 1));
    }

    #[test]
    fn rates_are_between_samples() {
        let samples = [(1_000_000_000, 0), (2_000_000_000, 50), (2_500_000_000, 50)];
        assert_eq!(rates(&samples, 1_000_000_000), [(1.0, 50.0), (1.5, 0.0)]);
    }
}
