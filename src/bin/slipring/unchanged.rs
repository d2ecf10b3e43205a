//! For how long something has been seen unchanged.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Values that are sampled again and again, and since when each is the same. What happens between two samples is not
/// seen, so a time is a lower bound.
#[derive(Debug)]
pub(crate) struct Unchanged<K, V> {
    seen: HashMap<K, Seen<V>>,
}

#[derive(Debug)]
struct Seen<V> {
    value: V,
    first: Instant,
    last: Instant,
}

impl<K: Eq + Hash, V: PartialEq> Unchanged<K, V> {
    pub(crate) fn new() -> Unchanged<K, V> {
        Unchanged { seen: HashMap::new() }
    }

    /// Takes a sample of all keys. A key that is missing is forgotten.
    pub(crate) fn update(&mut self, now: Instant, found: impl IntoIterator<Item = (K, V)>) {
        let mut before = std::mem::take(&mut self.seen);
        for (key, value) in found {
            let same = before.remove(&key).filter(|seen| seen.value == value);
            let first = same.map_or(now, |seen| seen.first);
            self.seen.insert(key, Seen { value, first, last: now });
        }
    }

    /// From the first sample with the present value to the last one.
    pub(crate) fn unchanged(&self, key: &K) -> Option<Duration> {
        self.seen.get(key).map(|seen| seen.last.duration_since(seen.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_first_sample_with_the_same_value() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut samples = Unchanged::new();
        let seconds =
            |samples: &Unchanged<_, _>, key| samples.unchanged(&key).map(|time| time.as_secs());
        samples.update(at(0), [("a", 1), ("b", 1)]);
        assert_eq!((seconds(&samples, "a"), seconds(&samples, "c")), (Some(0), None));
        samples.update(at(2), [("a", 1), ("b", 2)]);
        assert_eq!((seconds(&samples, "a"), seconds(&samples, "b")), (Some(2), Some(0)));
        samples.update(at(5), [("b", 2)]);
        assert_eq!((seconds(&samples, "a"), seconds(&samples, "b")), (None, Some(3)));
        // It was missing in between.
        samples.update(at(6), [("a", 1), ("b", 1)]);
        assert_eq!((seconds(&samples, "a"), seconds(&samples, "b")), (Some(0), Some(0)));
    }
}
