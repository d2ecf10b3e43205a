//! What a claim is. Claims are made in `exclusive` and `shared`, for the two kinds of groups.

#![allow(unsafe_code)]

use std::io;

#[cfg(not(slipring_loom))]
use crate::layout::{Slot, View};
use crate::packed::Attempts;
use crate::sync::{AtomicU64, Ordering, mutant, step};

/// The limit of deliveries that stands for any number.
pub(crate) const NO_LIMIT: u8 = u8::MAX;

/// A run of messages `[start, end)` that was claimed from a group and is not acked yet.
///
/// A claim is what makes it sound to read those messages in place (invariant borrow).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where the record's range ends. `end` lies below if the range is delivered again in parts.
    pub(crate) last: u64,
    /// Messages below this sequence were delivered before.
    pub(crate) again: u64,
    /// The record that holds it, of a member of a shared group: its own, or one that it adopted.
    pub(crate) record: u32,
    /// How often the first message was delivered, including this time; saturates at 255. It has 32 bits because
    /// copying a claim with padding costs more than everything else.
    pub(crate) attempts: u32,
}

impl Claim {
    /// The slot of the message with sequence `place`, and its payload area, in place.
    ///
    /// # Safety The message is not acked as long as `'v` lasts.
    #[cfg(not(slipring_loom))]
    #[inline(always)]
    pub(crate) unsafe fn payload<'v>(&self, view: &'v View, place: u64) -> (Slot<'v>, &'v [u8]) {
        debug_assert!(self.start <= place && place < self.end, "invariant borrow");
        let slot = view.slot(place);
        // SAFETY: a claimed message is published. By the caller's promise it is not acked, so its slot does not
        // change (invariant borrow).
        let area = unsafe { slot.payload.bytes() };
        (slot, area)
    }
}

/// The segment holds values that the protocol never stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) &'static str);

/// Why a search for what dead members left has failed.
#[derive(Debug)]
pub(crate) enum Fault {
    Corrupt(Corrupt),
    System(io::Error),
}

pub(super) const OVERWRITTEN: Corrupt =
    Corrupt("a message was overwritten before its group acked it");
pub(super) const TOO_MANY: Corrupt = Corrupt("the tail is more than the capacity ahead of a group");

/// Takes back the count of the `attempts`-th delivery of message `seq`, the first of a claim. Until then, a first
/// delivery has no count in the word.
pub(super) fn uncount(word: &AtomicU64, seq: u64, attempts: u8) {
    // 255 stands for 255 or more: one less would be wrong.
    if attempts < u8::MAX {
        let count = mutant!(attempts.saturating_sub(1), "uncounted-forgets-the-others", 0);
        let kept = Attempts { seq, count }.pack();
        // Relaxed: for this consumer, or for the one that takes its lease later. pair lease.
        step!(word.store(kept, Ordering::Relaxed), "uncounted-not-kept");
    }
}
