use crate::packed::{Attempts, NO_GROUP, Start};
use crate::sync::{AtomicU64, Line, Ordering, Unmodelled};

/// One consumer, and the range it holds.
#[repr(C)]
pub(crate) struct ConsumerRecord {
    pub(crate) claim: Line<ClaimWords>,
    pub(crate) counters: Line<ConsumerCounters>,
}

#[repr(C)]
pub(crate) struct ClaimWords {
    /// See [`Start`].
    pub(crate) start: AtomicU64,
    /// End of the range; one past its last sequence. Used by members of shared groups.
    pub(crate) end: AtomicU64,
    /// See [`Attempts`].
    pub(crate) attempts: AtomicU64,
    /// For people to read; the lease says whether the consumer lives.
    pub(crate) pid: Unmodelled,
    /// Raised by 1 whenever the record is taken.
    pub(crate) epoch: Unmodelled,
    /// Tick at which its owner began the claim that it is copying into cells; for people.
    pub(crate) claimed_at: Unmodelled,
}

/// What the record's owner has done since it took the record. Relaxed, written at every ack.
#[repr(C)]
pub(crate) struct ConsumerCounters {
    pub(crate) acked: Unmodelled,
    pub(crate) redelivered: Unmodelled,
    pub(crate) dead_lettered: Unmodelled,
    /// [`HOLDS_CELLS`] while its owner may have cells; [`PUTS_LETTERS`] as long as its owner is one that only puts letters
    /// into cells, and receives nothing.
    pub(crate) holds: AtomicU64,
}

pub(crate) const HOLDS_CELLS: u64 = 1;
pub(crate) const PUTS_LETTERS: u64 = 2;

/// Adds to a counter of a record, for its owner: nobody else stores it.
#[inline(always)]
pub(crate) fn add_to(counter: &Unmodelled, messages: u64) {
    // Relaxed, both: a figure for inspectors. It wraps, since any process may have garbled it.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(messages), Ordering::Relaxed);
}

impl ConsumerRecord {
    /// Bytes used of each line.
    #[cfg(not(slipring_loom))]
    pub(crate) const USED: [usize; 2] = [size_of::<ClaimWords>(), size_of::<ConsumerCounters>()];

    pub(crate) fn new() -> ConsumerRecord {
        let zero = || Unmodelled::new(0);
        ConsumerRecord {
            claim: Line(ClaimWords {
                start: AtomicU64::new(Start::idle(0, NO_GROUP).pack()),
                end: AtomicU64::new(0),
                attempts: AtomicU64::new(Attempts::NONE),
                pid: zero(),
                epoch: zero(),
                claimed_at: zero(),
            }),
            counters: Line(ConsumerCounters {
                acked: zero(),
                redelivered: zero(),
                dead_lettered: zero(),
                holds: AtomicU64::new(0),
            }),
        }
    }
}

#[cfg(not(slipring_loom))]
const _: () = assert!(size_of::<ConsumerRecord>() == 2 * 128);
