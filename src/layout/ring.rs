//! Where the slots lie.

#![allow(unsafe_code)]

#[cfg(not(slipring_loom))]
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::slot::{Slot, SlotHeader};
use super::{Geometry, PAYLOAD_OFFSET};
use crate::sync::Payload;

/// Slots to a step of [`Ring::each_slot`].
const STEP: u64 = 8;

/// The slots of a segment, in four words: what loops that store to slots copy, since the compiler must assume that such
/// a store changes what is borrowed. Larger copies do not stay in registers.
///
/// Invariant: `mask + 1` slots of `stride` bytes lie from `slots` on, in a mapped segment that was initialised, and stay
/// mapped while this value lives (invariant V).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    slots: *mut u8,
    /// The number of slots less one.
    mask: u64,
    stride: usize,
    payload_size: usize,
}

// SAFETY: as for a view, of which this is a part.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    /// Of the segment at `base`, for which invariant V holds, or will when it is used.
    pub(super) fn of(base: NonNull<u8>, geo: &Geometry) -> Ring {
        let slots = base.as_ptr().wrapping_add(geo.slots);
        Ring { slots, mask: geo.capacity - 1, stride: geo.stride, payload_size: geo.payload_size }
    }

    /// Where the slot of a sequence begins.
    #[inline(always)]
    pub(super) fn at(&self, seq: u64) -> *mut u8 {
        self.slots.wrapping_add((seq & self.mask) as usize * self.stride)
    }

    /// The slot of a sequence: any number is masked into the ring.
    #[inline(always)]
    pub(crate) fn slot(&self, seq: u64) -> Slot<'_> {
        // SAFETY: a slot begins there.
        unsafe { slot_at(self.at(seq), self.payload_size) }
    }

    /// How many slots lie one after the other from that of `seq` on.
    #[inline(always)]
    fn in_row(&self, seq: u64) -> u64 {
        self.mask + 1 - (seq & self.mask)
    }

    /// Calls `each` with the slots of `from..to` in their order, which are no more than there are.
    // Almost always they lie in one row. The others are left to a function, so that these have the registers.
    #[inline(always)]
    pub(crate) fn each_slot(&self, from: u64, to: u64, mut each: impl FnMut(u64, Slot<'_>)) {
        debug_assert!(from <= to && to - from <= self.mask + 1);
        let end = to.min(from + self.in_row(from));
        self.each_in_row(from, end, &mut each);
        if end < to {
            each_of_second_row(*self, end, to, each);
        }
    }

    /// The same of slots that lie one after the other: without a multiplication for each, and some at a step.
    #[inline(always)]
    fn each_in_row(&self, from: u64, to: u64, each: &mut impl FnMut(u64, Slot<'_>)) {
        let (mut seq, mut at) = (from, self.at(from));
        for _ in 0..(to - from) / STEP {
            for i in 0..STEP {
                // SAFETY: so many slots lie in the row.
                each(seq + i, unsafe { slot_at(at, self.payload_size) });
                at = at.wrapping_add(self.stride);
            }
            seq += STEP;
        }
        let rest = (to - from) % STEP;
        if rest > 0 {
            // Found anew: kept up to here, their address costs the steps more.
            (to - rest..to).for_each(|seq| each(seq, self.slot(seq)));
        }
    }

    /// The slots of `from..to`.
    #[cfg(not(slipring_loom))]
    #[inline(always)]
    pub(crate) fn slots(&self, from: u64, to: u64) -> Slots<'_> {
        let at = std::ptr::null_mut();
        Slots { ring: *self, at, seq: from, row_end: from, end: to, ring_lives: PhantomData }
    }

    /// The slot of `from`, and those of `from..to` that follow it, up to the end of the ring.
    #[cfg(not(slipring_loom))]
    #[inline(always)]
    pub(crate) fn row(&self, from: u64, to: u64) -> Row<'_> {
        debug_assert!(from < to);
        let end = to.min(from + self.in_row(from));
        let (stride, size) = (self.stride, self.payload_size);
        Row { at: self.at(from), stride, size, seq: from, end, ring_lives: PhantomData }
    }
}

/// The slots that lie at the beginning of the ring, after others at its end.
#[cold]
#[inline(never)]
fn each_of_second_row(ring: Ring, from: u64, to: u64, mut each: impl FnMut(u64, Slot<'_>)) {
    ring.each_in_row(from, to, &mut each);
}

/// # Safety
/// `at` is where one of the slots begins, and they stay mapped for the lifetime.
#[inline(always)]
unsafe fn slot_at<'v>(at: *mut u8, size: usize) -> Slot<'v> {
    // SAFETY: by the caller's promise; a slot begins with its header.
    let header = unsafe { &*at.cast::<SlotHeader>() };
    // SAFETY: the payload area lies after the header, inside the slot.
    let area = unsafe { at.add(PAYLOAD_OFFSET) };
    // SAFETY: the geometry keeps payload_size bytes, rounded up to words, after the header, at an offset that is a
    // multiple of 16 from a multiple of 64.
    let payload = unsafe { Payload::new(area, size) };
    Slot { stamp: &header.stamp, meta: &header.meta, payload }
}

/// Slots of consecutive sequences.
///
/// Invariant: from `at` on, the slots of `seq..row_end` lie in the ring.
#[cfg(not(slipring_loom))]
pub(crate) struct Slots<'v> {
    ring: Ring,
    at: *mut u8,
    seq: u64,
    row_end: u64,
    end: u64,
    ring_lives: PhantomData<&'v Ring>,
}

#[cfg(not(slipring_loom))]
impl<'v> Iterator for Slots<'v> {
    type Item = Slot<'v>;

    #[inline(always)]
    fn next(&mut self) -> Option<Slot<'v>> {
        if self.seq == self.row_end {
            if self.seq >= self.end {
                return None;
            }
            let row = self.ring.row(self.seq, self.end);
            (self.at, self.row_end) = (row.at, row.end);
        }
        // SAFETY: a slot does not lie at address 0; without this, each message has a check of that.
        unsafe { std::hint::assert_unchecked(!self.at.is_null()) };
        // SAFETY: by the type's invariant.
        let slot = unsafe { slot_at(self.at, self.ring.payload_size) };
        self.seq += 1;
        self.at = self.at.wrapping_add(self.ring.stride);
        Some(slot)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.saturating_sub(self.seq) as usize;
        (left, Some(left))
    }
}

/// Slots that lie one after the other, from one that it is at. It has copies of what it needs of the ring, for the
/// reason that [`Ring`] tells.
///
/// Invariant: from `at` on, the slot of `seq` and those up to `end` lie in the ring, and do not wrap.
#[cfg(not(slipring_loom))]
pub(crate) struct Row<'v> {
    at: *mut u8,
    stride: usize,
    size: usize,
    seq: u64,
    end: u64,
    ring_lives: PhantomData<&'v Ring>,
}

#[cfg(not(slipring_loom))]
impl<'v> Row<'v> {
    /// The slot that it is at.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot<'v> {
        // SAFETY: by the type's invariant.
        unsafe { slot_at(self.at, self.size) }
    }

    /// Goes to the next slot. Returns `false`, and stays, at the last one.
    #[inline(always)]
    pub(crate) fn advance(&mut self) -> bool {
        if self.seq + 1 >= self.end {
            return false;
        }
        self.seq += 1;
        self.at = self.at.wrapping_add(self.stride);
        true
    }
}
