//! How long to wait after failures that follow each other.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Waits that double with each failure, each a random part of that time ("full jitter"): many bridges that lost one broker
/// do not come back all at once.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most, failures: 0 }
    }

    /// For connections.
    pub(crate) fn of_connection() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(30))
    }

    /// For messages that the broker does not take now.
    pub(crate) fn of_message() -> Backoff {
        Backoff::new(Duration::from_millis(10), Duration::from_secs(2))
    }

    /// After a failure: how long to wait now.
    pub(crate) fn next(&mut self) -> Duration {
        self.next_at(random())
    }

    fn next_at(&mut self, part: f64) -> Duration {
        let full = self.first.saturating_mul(1 << self.failures.min(20)).min(self.most);
        self.failures += 1;
        full.mul_f64(part)
    }

    /// Something was confirmed: the next failure is a first one again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A number from 0 up to 1.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_anew() {
        let mut backoff = Backoff::of_connection();
        let waits: Vec<u128> = (0..11).map(|_| backoff.next_at(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next_at(0.5).as_millis(), 50);
    }

    #[test]
    fn the_random_part_is_a_part() {
        let parts: Vec<f64> = (0..100).map(|_| random()).collect();
        assert!(parts.iter().all(|part| (0.0..1.0).contains(part)));
        assert!(parts.iter().any(|part| *part < 0.5) && parts.iter().any(|part| *part > 0.5));
    }
}
