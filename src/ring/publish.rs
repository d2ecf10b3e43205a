//! The producer: room, slots, stamps and the tail.
//!
//! Two parties matter to it. A consumer may hold the slot's last message; that is safe, because the producer stays
//! below `verified`, which a scan of all heads has allowed (invariant room-first). A group may be joining: if its fence
//! comes first, the scan after the producer's fence sees its head; if the producer's fence comes first, the group sees
//! the announced limit, and starts above what may be overwritten (pair join).

#![allow(unsafe_code)]

use super::claim::Corrupt;
use super::gate::{Gate, gate};
use super::notify;
use super::sources::{self, Number};
use crate::layout::{Meta, Ring, Slot, View};
use crate::packed::SEQ_NONE;
use crate::sync::{Ordering, WordExt, fence, mutant, order, step};

/// Scans, while groups come and go, before the producer reports a full queue.
const SCANS_MAX: u32 = 8;

/// Slots that are reclaimed from old messages at a time, as far as there is room. In a small ring fewer, because
/// observers lose what was there.
const RECLAIM_AHEAD: u64 = 16;
const RECLAIM_PART: u64 = if cfg!(slipring_loom) { 1 } else { 64 };

/// Payloads from this size on may be copied past the caches: glibc does so for no smaller ones
/// (x86_non_temporal_threshold).
const STREAMED: usize = 16 << 10;

/// The producer's own state. A cache line of its own: handles of two threads may lie side by side.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Publisher {
    /// Next sequence to publish; the shared word follows it.
    tail: u64,
    /// It publishes below this: `tail <= verified <= limit`.
    verified: u64,
    /// Own copy of the shared limit word.
    limit: u64,
    /// Slots below are reclaimed from their old messages: `reclaimed <= verified`.
    reclaimed: u64,
    /// How many slots are reclaimed at a time, as far as there is room.
    ahead: u64,
}

/// The end of the published messages. Usually that is the tail. A producer that died after a stamp and before its tail
/// left messages above it; the next producer continues after them.
pub(crate) fn published_end(view: &View) -> Result<u64, Corrupt> {
    // Acquire. pair tail: the stamps below. In a takeover the lease has brought them; other callers have no lease.
    let mut end = view.control().tail.load(Ordering::Acquire);
    if end > SEQ_NONE {
        return Err(Corrupt("the tail is not a sequence"));
    }
    for _ in 0..view.geo().capacity {
        // Acquire. pair payload: a published message stays, although its producer died before the tail followed.
        if end == SEQ_NONE
            || mutant!(
                view.slot(end).stamp.load(Ordering::Acquire) != end + 1,
                "takeover-without-walk",
                true
            )
        {
            break;
        }
        end += 1;
    }
    Ok(end)
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// This group has not acked `seq` yet. Without a group: groups came and went during every scan.
    Full { group: Option<u8>, seq: u64 },
    /// Sequence numbers are used up.
    Exhausted,
}

impl Publisher {
    /// Continues where the last producer stopped, however it ended. The producer lease is held.
    pub(crate) fn take_over(view: &View) -> Result<Publisher, Corrupt> {
        let words = view.control();
        let tail = published_end(view)?;
        // Acquire, although Relaxed would do: only producers store it, and the lease has ordered them.
        let known = mutant!(
            words.tail.load(Ordering::Acquire),
            "takeover-table-below-the-tail",
            words.tail.load(Ordering::Acquire).saturating_sub(1)
        );
        let move_tail = || {
            // Release. pair tail: carries the stamps that were just seen.
            words.tail.store(tail, order!(Release, "takeover-tail-relaxed"));
        };
        mutant!(
            {
                // Before the tail: what lies below it is in the table of streams.
                sources::take_over(view, known, tail)?;
                move_tail();
            },
            "takeover-tail-before-the-table",
            {
                move_tail();
                sources::take_over(view, known, tail)?;
            }
        );
        // Relaxed: only producers store it, and the lease has ordered them. The word stays: a lower one would let a
        // group join at a slot that the dead producer had begun to overwrite.
        let limit =
            mutant!(words.limit.load_own(Ordering::Relaxed), "takeover-lowers-the-limit", {
                words.limit.store(tail, Ordering::Relaxed);
                tail
            });
        mutant!(
            notify::rearm_after_takeover(view),
            "takeover-wakes-nobody",
            (),
            "takeover-asks-first",
            notify::one_per_group(view, words)
        );
        // Nothing is verified: the dead producer may have announced a limit without scanning again.
        let verified = mutant!(tail, "takeover-trusts-the-limit", limit);
        let reclaimed = mutant!(tail, "takeover-trusts-the-zeros", limit);
        let ahead = (view.geo().capacity / RECLAIM_PART).clamp(1, RECLAIM_AHEAD);
        Ok(Publisher { tail, verified, limit, reclaimed, ahead })
    }

    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// Messages that fit without a new scan.
    #[inline]
    pub(crate) fn known_room(&self) -> u64 {
        self.verified - self.tail
    }

    /// Makes sure that `n` messages fit; `n` is at most the capacity.
    #[inline]
    pub(crate) fn room(&mut self, view: &View, n: u64) -> Result<(), NoRoom> {
        let fits = mutant!(
            self.tail + n <= self.verified,
            "room-off-by-one",
            self.tail + n <= self.verified + 1,
            "room-is-any-room",
            self.tail != self.verified
        );
        if fits { Ok(()) } else { self.find_room(view, n) }
    }

    /// The gate that is worth a wake-up to a producer that asks for `n`. What it publishes then, up to a quarter of the
    /// ring, costs one system call instead of one for each ack.
    pub(crate) fn threshold(&self, view: &View, n: u64) -> u64 {
        let capacity = view.geo().capacity;
        // Never above the tail, which the gate reaches when everything is acked. Not below 0, as long as the queue is
        // full.
        let tail = mutant!(self.tail, "threshold-one-too-high", self.tail + 1);
        (tail + n.max(capacity / 4)).saturating_sub(capacity)
    }

    #[cold]
    fn find_room(&mut self, view: &View, n: u64) -> Result<(), NoRoom> {
        let slots = view.geo().capacity;
        let capacity = mutant!(slots, "gate-counts-one-more", slots + 1);
        if self.tail + n > SEQ_NONE {
            return Err(NoRoom::Exhausted);
        }
        let mut lowest =
            mutant!(gate(view, self.tail), "no-first-scan", Gate { seq: self.tail, group: None });
        for _ in 0..SCANS_MAX {
            // The queue is full: announcing more than can be used would make "oldest" younger for nothing.
            if lowest.seq + capacity < self.tail + n {
                break;
            }
            lowest = self.announce(view, n, lowest);
            if self.tail + n <= self.verified {
                return Ok(());
            }
            // Else the gate has moved since the announcement: announce again.
        }
        let full = Err(NoRoom::Full { group: lowest.group, seq: lowest.seq });
        mutant!(full, "room-by-a-group-that-is-gone", Ok(()))
    }

    /// Announces how far the producer would like to go, given the gate `seen`, scans again, and goes as far as that
    /// allows. Returns the gate of the second scan.
    fn announce(&mut self, view: &View, n: u64, seen: Gate) -> Gate {
        let slots = view.geo().capacity;
        let capacity = mutant!(slots, "gate-counts-one-more", slots + 1);
        // A quarter of the ring at a time, so that a group that joins at the oldest message finds at least three
        // quarters of it, as long as no reservation is larger than a quarter.
        let reach = self.tail + n.max(capacity / 4).max(1);
        let reach = mutant!(reach.min(SEQ_NONE), "room-beyond-the-last-sequence", reach);
        let want = reach.min(seen.seq + capacity);
        if want <= self.verified {
            return seen;
        }
        let announced = mutant!(want.max(self.limit), "announced-below-the-limit", want);
        if announced != self.limit {
            // Relaxed: the fence below orders it. pair join.
            step!(view.control().limit.store(announced, Ordering::Relaxed), "limit-not-announced");
        }
        // SeqCst fence. pair join: limit above, scan below; a joiner has head and state above its fence and the limit
        // below. One of the two sees the other.
        step!(fence(Ordering::SeqCst), "no-producer-fence");
        let lowest = mutant!(gate(view, self.tail), "no-second-scan", seen);
        let verified = want.min(lowest.seq + capacity);
        // Never lower: room that a late PENDING of a failing claim takes back may be in use already.
        self.verified = mutant!(self.verified.max(verified), "verified-falls", verified);
        self.limit =
            mutant!(self.limit.max(self.verified), "limit-falls-to-verified", self.verified);
        if self.limit < announced {
            // Relaxed: lowers what was only announced; nothing was written under it.
            view.control().limit.store(self.limit, Ordering::Relaxed);
        }
        lowest
    }

    /// Writes message `offset` above the tail, for which room was found. It is not visible yet. `fixed`: the compiler
    /// knows its length.
    ///
    /// # Safety The message fits a slot.
    #[inline(always)]
    pub(crate) unsafe fn fill<'v>(
        &mut self,
        view: &'v View,
        offset: u64,
        meta: Meta,
        bytes: &[u8],
        fixed: bool,
    ) -> Slot<'v> {
        let slot = self.reclaim(view, offset);
        // SAFETY: this is the producer (invariant one-producer), and the slot is reclaimed; by the caller's promise the
        // message fits.
        unsafe { fill(&slot, meta, bytes, fixed) };
        slot
    }

    /// Reclaims the slot `offset` above the tail from its old message.
    #[inline(always)]
    pub(crate) fn reclaim<'v>(&mut self, view: &'v View, offset: u64) -> Slot<'v> {
        let seq = self.tail + offset;
        debug_assert!(seq < self.verified, "invariant room-first");
        if seq >= self.reclaimed {
            self.reclaim_ahead(view, offset + 1);
        }
        view.slot(seq)
    }

    /// Reclaims the next `n` slots, for which room was found.
    #[inline]
    pub(crate) fn reclaim_next(&mut self, view: &View, n: u64) {
        let (from, to) = (self.reclaimed.max(self.tail), self.tail + n);
        debug_assert!(to <= self.verified, "invariant room-first");
        if from < to {
            self.reclaim_through(view, from, to);
        }
    }

    /// Reclaims slots for the next `n` messages, as far as there is room, and some more; returns where the reclaimed
    /// slots end. Several at a time: each slot's cache line is in the reader's cache, and the processor fetches several
    /// at once only if few stores lie between.
    #[inline(never)]
    pub(crate) fn reclaim_ahead(&mut self, view: &View, n: u64) -> u64 {
        let (from, end) = (self.reclaimed.max(self.tail), self.tail + n);
        if from < end {
            let to = end.max(from + self.ahead);
            let to = mutant!(self.verified.min(to), "reclaims-beyond-the-room", to);
            self.reclaim_through(view, from, to);
        }
        self.reclaimed
    }

    /// Reclaims the slots of `from..to`, for which room was found.
    pub(crate) fn reclaim_through(&mut self, view: &View, from: u64, to: u64) {
        view.ring().each_slot(from, to, |_, slot| {
            // Release: a reader that finds 0 here also sees the heads that allowed the write. Members of a shared group
            // need that to tell an empty queue from an old view of a full one. docs/ordering.md, note 2.
            step!(slot.stamp.store(0, order!(Release, "zero-relaxed")), "stamp-not-zeroed");
        });
        self.reclaimed = mutant!(to, "reclaimed-is-all-the-room", self.verified);
        // Release fence. pair overwrite: no byte of the new message may be seen before the 0, or an observer would take
        // a mixture for the old message.
        step!(fence(Ordering::Release), "zero-without-fence");
        if view.geo().payload_size >= STREAMED {
            // SeqCst fence: for the processor. On x86, copies of this size may use stores that no other store orders
            // (MOVNT), and a release fence is no instruction there.
            fence(Ordering::SeqCst);
        }
    }

    /// Calls `each` with the first `n` slots above the tail, in the order in which they must be stamped: a takeover
    /// walks them until the first missing stamp.
    #[inline(always)]
    pub(crate) fn each_behind(&self, ring: &Ring, n: u64, each: impl FnMut(u64, Slot<'_>)) {
        let (from, to) = (self.tail, self.tail + n);
        mutant!(ring.each_slot(from, to, each), "stamps-in-reverse", {
            let mut each = each;
            (from..to).rev().for_each(|seq| each(seq, ring.slot(seq)));
        });
    }

    /// Moves the tail past `n` stamped messages, and notifies consumers.
    #[inline(always)]
    pub(crate) fn advance(&mut self, view: &View, n: u64) {
        self.advance_to(view, self.tail + n);
    }

    /// Makes `n` messages of a stream visible that are marked with their positions; `position` is the last one's.
    pub(crate) fn publish_from(&mut self, view: &View, n: u64, number: Number, position: u64) {
        let stamp_all =
            |this: &Self| this.each_behind(view.ring(), n, |seq, slot| stamp(&slot, seq));
        mutant!(
            {
                // Before the table, or a death here would leave positions there that no message has.
                stamp_all(self);
                self.advance_from(view, n, number, position);
            },
            "table-before-the-stamps",
            {
                sources::note(view, number, self.tail, position);
                stamp_all(self);
                self.advance(view, n);
            }
        );
    }

    /// Moves the tail past `n` stamped messages of a stream; `position` is the last one's.
    #[inline]
    pub(crate) fn advance_from(&mut self, view: &View, n: u64, number: Number, position: u64) {
        let first = self.tail;
        let note = || sources::note(view, number, first, position);
        mutant!(
            {
                // Before the tail, which covers it.
                note();
                self.advance(view, n);
            },
            "tail-before-the-table",
            {
                self.advance(view, n);
                note();
            }
        );
    }

    /// The same, up to, not including, message `tail`.
    #[inline(always)]
    pub(crate) fn advance_to(&mut self, view: &View, tail: u64) {
        self.tail = tail;
        // Release. pair tail: a reader of the tail may read all payloads below it.
        let words = view.control();
        words.tail.store(tail, order!(Release, "tail-store-relaxed"));
        step!(notify::one_per_group(view, words), "publication-wakes-nobody");
    }
}

/// Writes a message into a slot. `fixed`: the compiler knows its length.
///
/// # Safety The caller is the producer and has reclaimed the slot (`reclaim`, `reclaim_through`); the message fits.
#[inline(always)]
pub(crate) unsafe fn fill(slot: &Slot<'_>, meta: Meta, bytes: &[u8], fixed: bool) {
    slot.meta.store(meta);
    // SAFETY: by the caller's promise.
    unsafe { slot.payload.store(bytes, fixed) };
}

/// Makes the message in `slot` visible.
#[inline(always)]
pub(crate) fn stamp(slot: &Slot<'_>, seq: u64) {
    // Release. pair payload: this is the publication; payload and meta are stored before it.
    slot.stamp.store(seq + 1, order!(Release, "stamp-store-relaxed"));
}
