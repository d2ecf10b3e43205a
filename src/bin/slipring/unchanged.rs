//! For how long something has been seen unchanged.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Values that are looked at again and again, and since when each is the same. What happens between two
/// looks is not seen, so a time is the least that the value has stood.
#[derive(Debug)]
pub(crate) struct Steady<K, V> {
    seen: HashMap<K, Seen<V>>,
}

#[derive(Debug)]
struct Seen<V> {
    value: V,
    first: Instant,
    last: Instant,
}

impl<K: Eq + Hash, V: PartialEq> Steady<K, V> {
    pub(crate) fn new() -> Steady<K, V> {
        Steady { seen: HashMap::new() }
    }

    /// Takes in all that there is now. A key that is not there any more is forgotten.
    pub(crate) fn look(&mut self, now: Instant, found: impl IntoIterator<Item = (K, V)>) {
        let mut before = std::mem::take(&mut self.seen);
        for (key, value) in found {
            let same = before.remove(&key).filter(|seen| seen.value == value);
            let first = same.map_or(now, |seen| seen.first);
            self.seen.insert(key, Seen { value, first, last: now });
        }
    }

    /// From the first look that found what the last one found to the last one.
    pub(crate) fn unchanged(&self, key: &K) -> Option<Duration> {
        self.seen.get(key).map(|seen| seen.last.duration_since(seen.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_the_first_look_that_found_the_same() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut steady = Steady::new();
        let seconds =
            |steady: &Steady<_, _>, key| steady.unchanged(&key).map(|time| time.as_secs());
        steady.look(at(0), [("a", 1), ("b", 1)]);
        assert_eq!((seconds(&steady, "a"), seconds(&steady, "c")), (Some(0), None));
        steady.look(at(2), [("a", 1), ("b", 2)]);
        assert_eq!((seconds(&steady, "a"), seconds(&steady, "b")), (Some(2), Some(0)));
        steady.look(at(5), [("b", 2)]);
        assert_eq!((seconds(&steady, "a"), seconds(&steady, "b")), (None, Some(3)));
        // It was away: nobody knows for how long.
        steady.look(at(6), [("a", 1), ("b", 1)]);
        assert_eq!((seconds(&steady, "a"), seconds(&steady, "b")), (Some(0), Some(0)));
    }
}
