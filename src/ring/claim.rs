//! What a claim is: a run of messages that a consumer took and has not acked yet.

#![allow(unsafe_code)]

#[cfg(not(slipring_loom))]
use crate::layout::{Slot, View};
use crate::packed::Attempts;
use crate::sync::{AtomicU64, Ordering, mutant, step};

/// The count of deliveries that stands for any number.
pub(crate) const NO_LIMIT: u8 = u8::MAX;

/// A run of messages `[start, end)` taken from a group, not yet acked.
///
/// Holding one is what makes reading those messages in place sound (invariant borrow).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where the record's range ends; `end` may lie below, where it comes again in parts.
    pub(crate) last: u64,
    /// What lies below was delivered before.
    pub(crate) again: u64,
    /// The consumer record that holds it: the member's own, or one that it adopted.
    pub(crate) record: u32,
    /// Times that the first message was delivered, this one included; saturates at 255. As wide as it is
    /// because copying a claim with padding in it costs more than all the rest.
    pub(crate) attempts: u32,
}

impl Claim {
    /// The slot of the message at `place` of this claim, and its payload area, in place.
    ///
    /// # Safety
    /// The message is not acked as long as `'v` lasts.
    #[cfg(not(slipring_loom))]
    #[inline(always)]
    pub(crate) unsafe fn payload<'v>(&self, view: &'v View, place: u64) -> (Slot<'v>, &'v [u8]) {
        debug_assert!(self.start <= place && place < self.end, "invariant borrow");
        let slot = view.slot(place);
        // SAFETY: published, or it would not be claimed; by the caller's word not acked, so that its slot stays as it is
        // (invariant borrow).
        let area = unsafe { slot.payload.bytes() };
        (slot, area)
    }
}

/// The segment says something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupt(pub(crate) &'static str);

pub(super) const OVERWRITTEN: Corrupt =
    Corrupt("a message was overwritten before its group acked it");
pub(super) const TOO_MANY: Corrupt = Corrupt("the tail is more than the capacity ahead of a group");

/// Stores in the attempts word of a claim that the delivery of its first message, its `attempts`-th, does not count.
/// A first delivery has no count of its own until here.
pub(super) fn uncount(word: &AtomicU64, seq: u64, attempts: u8) {
    // 255 may stand for more, and one less would not be the truth.
    if attempts < u8::MAX {
        let count = mutant!(attempts.saturating_sub(1), "uncounted-forgets-the-others", 0);
        let kept = Attempts { seq, count }.pack();
        // Relaxed: for this consumer, or for the one that gets its lease after it. pair lease.
        step!(word.store(kept, Ordering::Relaxed), "uncounted-not-kept");
    }
}
