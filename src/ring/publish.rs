//! The producer's side.
//!
//! Two parties matter beside it. A consumer may hold the slot's last message: it is safe because the
//! producer stays below `verified`, which a scan of all heads has allowed (I2). A group may be joining
//! right now: either its fence comes first, and the scan behind ours sees its head; or ours comes first,
//! and it sees the limit we announced and starts above what we may overwrite (P5).

use super::gate::gate;
use crate::layout::{Meta, Slot, View};
use crate::seq::SEQ_NONE;
use crate::sync::{Ordering, fence};

/// What the producer keeps for itself.
// Lines of its own: handles of two threads may lie side by side.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Publisher {
    /// Next sequence to publish; the shared word follows it.
    tail: u64,
    /// It publishes below this: `tail <= verified <= limit`.
    verified: u64,
    /// Own copy of the shared limit word.
    limit: u64,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// This group has not acked `seq` yet.
    Full { group: u8, seq: u64 },
    /// Sequence numbers are used up.
    Exhausted,
}

impl Publisher {
    /// Takes over where the last producer stopped, by whatever cause. The producer lease is held.
    pub(crate) fn take_over(view: &View) -> Publisher {
        let words = view.control();
        // Acquire, though the lease has ordered it already. pair P3.
        let mut tail = words.tail.load(Ordering::Acquire);
        for _ in 0..view.geo().capacity {
            // Acquire. pair P1: a published message stays; its producer died before the tail followed.
            if view.slot(tail).stamp.load(Ordering::Acquire) != tail + 1 {
                break;
            }
            tail += 1;
        }
        // Release. pair P3: carries the stamps that were just seen.
        words.tail.store(tail, Ordering::Release);
        // Relaxed: only producers store it, and the lease has ordered them. The word stays as it is: a
        // lower one would let a group join at a slot that the dead producer had begun to overwrite.
        let limit = words.limit.load(Ordering::Relaxed);
        // Nothing is verified: the dead producer may have announced without looking again.
        Publisher { tail, verified: tail, limit }
    }

    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.tail
    }

    /// Messages that fit without looking at the groups again.
    #[inline]
    pub(crate) fn known_room(&self) -> u64 {
        self.verified - self.tail
    }

    /// Makes sure that `n` messages fit; `n` is at most the capacity.
    #[inline]
    pub(crate) fn room(&mut self, view: &View, n: u64) -> Result<(), NoRoom> {
        if self.tail + n <= self.verified { Ok(()) } else { self.find_room(view, n) }
    }

    #[cold]
    fn find_room(&mut self, view: &View, n: u64) -> Result<(), NoRoom> {
        let capacity = view.geo().capacity;
        if self.tail + n >= SEQ_NONE {
            return Err(NoRoom::Exhausted);
        }
        // A quarter of the ring at a time, so that a group that joins at the oldest message finds at
        // least three quarters of it.
        let reach = self.tail + n.max(capacity / 4).max(1);
        let mut lowest = gate(view, self.tail);
        let want = reach.min(lowest.seq.saturating_add(capacity));
        if want > self.verified {
            let announced = want.max(self.limit);
            if announced != self.limit {
                // Relaxed: the fence below orders it. pair P5.
                view.control().limit.store(announced, Ordering::Relaxed);
            }
            // SeqCst fence. pair P5: limit above, scan below; a joiner has head and state above its
            // fence and the limit below. One of the two sees the other.
            fence(Ordering::SeqCst);
            lowest = gate(view, self.tail);
            let allowed = want.min(lowest.seq.saturating_add(capacity));
            self.verified = self.verified.max(allowed);
            self.limit = self.limit.max(self.verified);
            if self.limit < announced {
                // Relaxed: lowering what was only announced; nothing was written under it.
                view.control().limit.store(self.limit, Ordering::Relaxed);
            }
        }
        match lowest.group {
            Some(group) if self.tail + n > self.verified => {
                Err(NoRoom::Full { group, seq: lowest.seq })
            }
            _ => Ok(()),
        }
    }

    /// Writes message `offset` behind the tail; room for it was found. Not visible yet.
    #[inline]
    pub(crate) fn fill(&self, view: &View, offset: u64, meta: Meta, bytes: &[u8]) {
        let slot = self.open(view, offset);
        // Relaxed: published by the stamp. pair P1.
        slot.meta.store(meta.pack(), Ordering::Relaxed);
        slot.payload.store(bytes);
    }

    /// Takes the slot `offset` behind the tail back from the message that was there.
    #[inline]
    pub(crate) fn open<'v>(&self, view: &'v View, offset: u64) -> Slot<'v> {
        debug_assert!(self.tail + offset < self.verified, "I2");
        let slot = view.slot(self.tail + offset);
        // Release: a consumer that finds 0 here also sees the heads that let us write (it must be able
        // to tell an empty queue from an old look at a full one).
        slot.stamp.store(0, Ordering::Release);
        // Release fence. pair P4: no byte of the new message may be seen before the 0, or an observer
        // would take a mixture for the old message.
        fence(Ordering::Release);
        slot
    }

    /// Makes the message `offset` behind the tail visible. Stamps go up in order: a takeover walks them
    /// until the first that is missing.
    #[inline]
    pub(crate) fn stamp(&self, view: &View, offset: u64) {
        let seq = self.tail + offset;
        // Release. pair P1: this is the publication; payload and meta are stored before it.
        view.slot(seq).stamp.store(seq + 1, Ordering::Release);
    }

    /// Moves the tail past `n` stamped messages.
    #[inline]
    pub(crate) fn advance(&mut self, view: &View, n: u64) {
        self.tail += n;
        // Release. pair P3: whoever counts by the tail may read all payloads below it.
        view.control().tail.store(self.tail, Ordering::Release);
    }
}
