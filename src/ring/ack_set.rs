//! Messages of a claim that were acked out of order: the consumer keeps them to itself, and publishes the prefix
//! without gaps.

use crate::sync::{mutant, step};

/// The acked sequences of one claim. It keeps its memory between claims.
#[derive(Debug, Default)]
pub(crate) struct AckSet {
    first: u64,
    words: Vec<u64>,
}

impl AckSet {
    /// Empties it, for a claim from `first` on.
    #[inline]
    pub(crate) fn begin(&mut self, first: u64) {
        mutant!(
            self.first = first,
            "ack-set-keeps-its-first",
            if !self.words.is_empty() {
                self.first = first;
            }
        );
        if !self.words.is_empty() {
            step!(self.words.clear(), "ack-set-outlives-its-claim");
        }
    }

    /// The claim's first sequence, or a later one below which everything is acked.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Forgets, in whole words, what lies below `start`, where everything is acked: a claim may grow for ever. Returns
    /// whether it forgot anything.
    pub(crate) fn pass(&mut self, start: u64) -> bool {
        let words = (start - self.first) / 64;
        let gone =
            mutant!((words as usize).min(self.words.len()), "ack-set-keeps-what-it-passed", 0);
        self.words.drain(..gone);
        self.first += mutant!(words * 64, "ack-set-keeps-what-it-passed", 0);
        words > 0
    }

    /// Whether `seq`, which is not below `first`, is acked.
    pub(crate) fn contains(&self, seq: u64) -> bool {
        let n = seq - self.first;
        self.words.get((n / 64) as usize).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Adds `seq`, and returns the first of `start..end` that is not acked.
    pub(crate) fn add(&mut self, seq: u64, start: u64, end: u64) -> u64 {
        let n = seq - self.first;
        let at = (n / 64) as usize;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        self.words[at] |= 1 << (n % 64);
        self.gap(start, end)
    }

    /// The first of `start..end` that is not acked; `end` if all are.
    #[inline]
    pub(crate) fn gap(&self, start: u64, end: u64) -> u64 {
        if self.words.is_empty() {
            return start;
        }
        mutant!(
            (start..end).find(|&seq| !self.contains(seq)).unwrap_or(end),
            "ack-set-one-less",
            (start..end).find(|&seq| !self.contains(seq)).unwrap_or(end).max(start + 1) - 1,
            "ack-set-one-more",
            (start..end).find(|&seq| !self.contains(seq)).map_or(end, |seq| seq + 1),
            "ack-set-past-a-gap",
            (start..end).rfind(|&seq| self.contains(seq)).map_or(start, |seq| seq + 1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::AckSet;

    #[test]
    fn the_prefix_ends_at_the_first_gap() {
        let mut acks = AckSet::default();
        acks.begin(1000);
        assert_eq!(acks.add(1001, 1000, 1200), 1000);
        assert_eq!(acks.add(1199, 1000, 1200), 1000);
        assert_eq!(acks.add(1000, 1000, 1200), 1002);
        assert!(acks.contains(1199) && !acks.contains(1100));
        for seq in 1002..1198 {
            acks.add(seq, 1002, 1200);
        }
        assert_eq!(acks.add(1198, 1198, 1200), 1200);
        acks.begin(1200);
        assert!(!acks.contains(1200));
    }

    #[test]
    fn what_is_passed_is_forgotten_and_nothing_else() {
        let end = if cfg!(miri) { 1_400 } else { 11_000 };
        let mut acks = AckSet::default();
        acks.begin(1000);
        for seq in 1000..end {
            // Two of three, and the third when it is passed.
            if seq % 3 != 0 {
                acks.add(seq, seq, seq + 1);
            }
            let start = seq.saturating_sub(200).max(1000);
            acks.pass(start);
            assert!(
                acks.words.len() <= 5
                    && (start - 63..=start).contains(&acks.first().max(start - 63))
            );
            for kept in start..=seq {
                assert_eq!(acks.contains(kept), kept % 3 != 0, "{kept} of {start}..={seq}");
            }
        }
        // Past all of them.
        assert!(acks.pass(20_000));
        assert!(!acks.contains(20_000) && acks.words.is_empty());
        assert_eq!(acks.add(20_001, 20_000, 20_002), 20_000);
    }

    #[test]
    fn memory_is_that_of_a_claim_however_high_its_sequences() {
        let mut acks = AckSet::default();
        acks.begin(1 << 20);
        acks.add((1 << 20) + 3, 1 << 20, (1 << 20) + 9);
        assert_eq!(acks.words.len(), 1);
    }
}
