//! Sequence numbers and the words that are packed around them. Arithmetic only, no atomics.
//!
//! ```text
//! head      sequence 56 | last claimer 8          (255 = nobody)
//! start     sequence 56 | group 6 | state 2       (group 63 = none)
//! attempts  sequence 56 | count 8
//! cell      generation 10 | due 36 | attempts 8 | owner 8 | state 2
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

/// What a cell is in use for. All zero is an empty cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellState {
    /// For nothing: any member may reserve it.
    Empty,
    /// Its owner copies a message into it.
    Reserved,
    /// Its owner works on the message.
    Held,
    /// The message waits for any member.
    Delayed,
}

/// A point in time, as cells have it: units of 2^22 nanoseconds (4.19 ms) of the host's CLOCK_MONOTONIC.
pub(crate) type Tick = u64;

/// A message with a due from here on is never taken from its owner. What is added to it tells it from those before.
pub(crate) const NEVER: Tick = 1 << 35;
/// The highest due that a cell's word has room for.
const DUES: Tick = (1 << 36) - 1;
/// Earlier than any other: the due of a message that waits for nothing.
pub(crate) const AT_ONCE: Tick = 0;
/// The due of a message whose delay an operator ended: past by every clock, and told from what a dead member had.
pub(crate) const DELAY_ENDED: Tick = 1;
const TICK: u32 = 22;

/// The tick in which a time in nanoseconds lies.
#[cfg(not(slipring_loom))]
pub(crate) fn tick_of(nanoseconds: u64) -> Tick {
    nanoseconds >> TICK
}

/// The longest time until a due: 417 days. A longer one counts as this one, so that the dues of different ticks differ.
pub(crate) const LONGEST: Tick = 1 << 33;

/// The due of what may be taken after `time`, from `now` on.
pub(crate) fn due_after(now: Tick, time: Tick) -> Tick {
    let due = now.saturating_add(time.min(LONGEST));
    // On a host that is up for three years: the last dues that are not never, still another one each tick.
    if due < NEVER { due } else { NEVER - 1 - (now & 0xffff) }
}

/// By how many nanoseconds the clock may lag that ticks are counted by.
const CLOCK_LAG: u64 = 10_000_000;

/// Ticks from what the clock says on, in which at least so many nanoseconds pass: the clock may lag, and its tick is not new.
pub(crate) const fn ticks(nanoseconds: u64) -> Tick {
    nanoseconds.div_ceil(1 << TICK) + CLOCK_LAG.div_ceil(1 << TICK) + 1
}

/// The nanoseconds at which a tick begins.
pub(crate) fn nanoseconds_of(tick: Tick) -> u64 {
    tick << TICK
}

/// A cell's control word: the one word of a cell that others than its filler store, by exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellWord {
    pub(crate) state: CellState,
    /// The consumer record of the member that has it; [`NOBODY`] for a delayed one.
    pub(crate) owner: u8,
    /// Deliveries so far, this one included; saturates.
    pub(crate) attempts: u8,
    /// From when on the cell may be taken: a held one from its owner, a delayed one by anybody.
    pub(crate) due: Tick,
    /// Raised at each fill, take, give-back and ack, so that an old token fits no later message of the cell; or only after 511 of
    /// them, and at the same due, which has the time of the receive in it. A worker's jobs know that without the word.
    pub(crate) generation: u16,
}

impl CellWord {
    #[inline]
    pub(crate) fn unpack(word: u64) -> CellWord {
        let state = match word & 3 {
            0 => CellState::Empty,
            1 => CellState::Reserved,
            2 => CellState::Held,
            _ => CellState::Delayed,
        };
        CellWord {
            state,
            owner: (word >> 2) as u8,
            attempts: (word >> 10) as u8,
            due: word >> 18 & DUES,
            generation: (word >> 54) as u16,
        }
    }

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        let generation = u64::from(self.generation) << 54;
        let due = self.due.min(DUES) << 18;
        let owner = u64::from(self.attempts) << 10 | u64::from(self.owner) << 2;
        generation | due | owner | self.state as u64
    }

    /// An empty cell's.
    pub(crate) fn empty(generation: u16) -> CellWord {
        CellWord { state: CellState::Empty, owner: 0, attempts: 0, due: 0, generation }
    }

    /// The next generation: the word has 10 bits of it, and the others are lost.
    pub(crate) fn next_generation(self) -> u16 {
        self.generation.wrapping_add(1) & GENERATIONS
    }
}

/// The highest generation of a cell.
const GENERATIONS: u16 = (1 << 10) - 1;

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

    proptest! {
        #[test]
        fn cell_words_survive_packing(
            state in 0u8..4, owner in any::<u8>(), attempts in any::<u8>(), due in 0..=DUES, generation in 0..=GENERATIONS,
        ) {
            let state = [CellState::Empty, CellState::Reserved, CellState::Held, CellState::Delayed][usize::from(state)];
            let word = CellWord { state, owner, attempts, due, generation };
            prop_assert_eq!(CellWord::unpack(word.pack()), word);
            let next = CellWord { generation: word.next_generation(), ..word };
            prop_assert_eq!(CellWord::unpack(next.pack()), next);
            prop_assert_ne!(next.pack(), word.pack());
        }

        #[test]
        fn any_cell_word_is_one(word in any::<u64>()) {
            prop_assert_eq!(CellWord::unpack(word).pack(), word);
        }
    }

    #[test]
    fn a_cell_is_empty_if_all_is_zero_and_a_due_too_far_is_never() {
        assert_eq!(CellWord::unpack(0), CellWord::empty(0));
        let far = CellWord { due: u64::MAX, ..CellWord::empty(GENERATIONS) };
        assert_eq!(CellWord::unpack(far.pack()), CellWord { due: DUES, ..far });
        assert_eq!(CellWord::empty(GENERATIONS).next_generation(), 0);
    }

    #[test]
    fn ticks_are_rounded_so_that_no_time_is_cut_short() {
        // The clock says `from`, and may be a lag later by now.
        for from in [0, 1, (1 << TICK) - 1, 1 << TICK] {
            for time in [0, 1, 1 << TICK, (1 << TICK) + 1] {
                let due = nanoseconds_of(tick_of(from) + ticks(time));
                assert!(due >= from + CLOCK_LAG + time, "{time} ns from {from}: {due}");
            }
        }
        assert_eq!((tick_of((1 << 22) - 1), tick_of(1 << 22)), (0, 1));
        assert_eq!(nanoseconds_of(tick_of(10 << 22)), 10 << 22);
        let years = ticks(4 * 365 * 24 * 3600 * 1_000_000_000);
        assert!(years < NEVER);
    }

    #[test]
    fn dues_of_different_ticks_differ_however_long_the_time() {
        assert_eq!(due_after(5, 7), 12);
        for now in [0, 1000, LONGEST, 3 * LONGEST - 2, 3 * LONGEST, NEVER - (1 << 20)] {
            for time in [LONGEST, LONGEST + 1, NEVER - 1, u64::MAX] {
                let (due, next) = (due_after(now, time), due_after(now + 1, time));
                assert_ne!(due, next, "from {now}");
                assert!((now + 1..NEVER).contains(&due), "from {now}: {due}");
            }
        }
    }

    #[test]
    fn a_fresh_attempts_word_counts_no_message() {
        assert_eq!(Attempts::unpack(Attempts::NONE).seq, SEQ_NONE);
    }
}
