//! Reading without a trace: an observer stores nothing, holds nobody up, and counts what it missed.

use crate::layout::{Meta, View};
use crate::seq::SEQ_NONE;
use crate::sync::{Ordering, fence};

/// How often one call looks for a message that is not overwritten under its hands.
const TRIES: u32 = 24;

/// Where an observer is.
#[derive(Debug)]
pub(crate) struct Watcher {
    next: u64,
}

/// What one look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A whole message; `missed` sequences before it were overwritten, or skipped to outrun the producer,
    /// since the last one.
    Message { seq: u64, meta: Meta, missed: u64 },
    /// Nothing new; `missed` sequences were overwritten or skipped.
    Nothing { missed: u64 },
}

enum Look {
    Whole(Meta),
    NotYet,
    Lapped,
}

impl Watcher {
    /// At `next`, or at the number that no message ever has: sums of sequences do not overflow.
    pub(crate) fn at(next: u64) -> Watcher {
        Watcher { next: next.min(SEQ_NONE) }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Copies the next whole message to the front of `out`, which is as long as the payload size.
    pub(crate) fn read(&mut self, view: &View, out: &mut [u8]) -> Seen {
        let from = self.next;
        for attempt in 0..TRIES {
            match look(view, self.next, out) {
                Look::Whole(meta) => {
                    let (seq, missed) = (self.next, self.next - from);
                    self.next += 1;
                    return Seen::Message { seq, meta, missed };
                }
                Look::NotYet => break,
                Look::Lapped => self.skip(view, attempt),
            }
        }
        Seen::Nothing { missed: self.next - from }
    }

    /// Goes to the oldest message that may still be there. Each further skip of one call goes twice as
    /// far, so that a fast producer is outrun within the tries.
    fn skip(&mut self, view: &View, attempt: u32) {
        let tail = tail(view);
        let oldest = tail.saturating_sub(view.geo().capacity);
        let further = (self.next + (1 << attempt)).min(tail);
        self.next = self.next.max(oldest).max(further);
    }
}

/// The tail, or the last sequence if the word is none: nothing here may depend on others' honesty.
pub(crate) fn tail(view: &View) -> u64 {
    // Acquire. pair P3: the slots below the tail carry at least the messages it counts.
    view.control().tail.load(Ordering::Acquire).min(SEQ_NONE)
}

fn look(view: &View, seq: u64, out: &mut [u8]) -> Look {
    let slot = view.slot(seq);
    // Acquire. pair P1: the payload below is at least that of this stamp.
    let mut stamp = slot.stamp.load(Ordering::Acquire);
    if stamp <= seq {
        // A tail above the sequence means that it was published.
        if tail(view) <= seq {
            return Look::NotYet;
        }
        // Relaxed: the tail carries stamp and payload. It may have been published just after the first
        // look, and be whole; no older stamp can be seen now, so anything else is of a newer message.
        stamp = slot.stamp.load(Ordering::Relaxed);
    }
    if stamp != seq + 1 {
        return Look::Lapped;
    }
    // Relaxed, as the payload's words: the second look at the stamp tells whether they belong together.
    let meta = Meta::unpack(slot.meta.load(Ordering::Relaxed));
    let fit = meta.len.min(out.len());
    slot.payload.load(&mut out[..fit]);
    // Acquire fence. pair P4: if any word above was of a newer message, the load below sees its 0 or
    // its stamp.
    fence(Ordering::Acquire);
    if slot.stamp.load(Ordering::Relaxed) != seq + 1 {
        return Look::Lapped;
    }
    Look::Whole(meta)
}
