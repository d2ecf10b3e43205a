//! Sequence numbers and the words that are packed around them. Arithmetic only, no atomics.
//!
//! ```text
//! head      sequence 56 | last claimer 8          (255 = nobody)
//! start     sequence 56 | group 6 | state 2       (group 63 = none)
//! attempts  sequence 56 | count 8
//! ```

/// All ones: reserved, so that no message ever carries it.
pub(crate) const SEQ_NONE: u64 = (1 << 56) - 1;
/// Last claimer of a head that nobody has claimed from.
pub(crate) const NOBODY: u8 = 255;
/// Group tag of a consumer record that belongs to no group.
pub(crate) const NO_GROUP: u8 = 63;

/// What a consumer record is doing with the range `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Holds nothing.
    Idle,
    /// Tries to move its group's head past the range.
    Pending,
    /// Owns the range.
    Held,
    /// Reserved: the range was taken away from a member that hangs.
    Evicted,
}

/// A group's head: the next sequence to be claimed, and the last claimer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) claimer: u8,
}

impl Head {
    #[inline]
    pub(crate) fn unpack(word: u64) -> Head {
        Head { seq: word >> 8, claimer: word as u8 }
    }

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        self.seq << 8 | u64::from(self.claimer)
    }
}

/// A consumer record's start word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) seq: u64,
    pub(crate) group: u8,
    pub(crate) state: State,
}

impl Start {
    #[inline]
    pub(crate) fn unpack(word: u64) -> Start {
        let state = match word & 3 {
            0 => State::Idle,
            1 => State::Pending,
            2 => State::Held,
            _ => State::Evicted,
        };
        Start { seq: word >> 8, group: (word >> 2 & 63) as u8, state }
    }

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        self.seq << 8 | u64::from(self.group & 63) << 2 | self.state as u64
    }

    /// The word of a record that holds nothing.
    pub(crate) fn idle(seq: u64, group: u8) -> Start {
        Start { seq, group, state: State::Idle }
    }
}

/// A group's tag, shifted to its place in a start word: a member that stores one at each message need not shift it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag(u64);

impl Tag {
    pub(crate) fn of(group: u8) -> Tag {
        Tag(Start::idle(0, group).pack())
    }

    /// The start word of a record of this group.
    #[inline(always)]
    pub(crate) fn start(self, seq: u64, state: State) -> u64 {
        seq << 8 | self.0 | state as u64
    }
}

/// How often the message `seq` was delivered; says nothing about any other message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) seq: u64,
    pub(crate) count: u8,
}

impl Attempts {
    /// The word of a record or group that counts nothing.
    pub(crate) const NONE: u64 = u64::MAX;

    #[inline]
    pub(crate) fn unpack(word: u64) -> Attempts {
        Attempts { seq: word >> 8, count: word as u8 }
    }

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        self.seq << 8 | u64::from(self.count)
    }
}

#[cfg(all(test, not(slipring_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_survive_packing(seq in 0..=SEQ_NONE, small in any::<u8>(), group in 0u8..64, state in 0u8..4) {
            let head = Head { seq, claimer: small };
            prop_assert_eq!(Head::unpack(head.pack()), head);
            let state = [State::Idle, State::Pending, State::Held, State::Evicted][usize::from(state)];
            let start = Start { seq, group, state };
            prop_assert_eq!(Start::unpack(start.pack()), start);
            prop_assert_eq!(Tag::of(group).start(seq, state), start.pack());
            let attempts = Attempts { seq, count: small };
            prop_assert_eq!(Attempts::unpack(attempts.pack()), attempts);
        }
    }

    #[test]
    fn a_fresh_attempts_word_counts_no_message() {
        assert_eq!(Attempts::unpack(Attempts::NONE).seq, SEQ_NONE);
    }
}
