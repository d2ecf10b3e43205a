//! Observing: an observer stores nothing, holds nobody up, and counts what it missed.

use super::cells::{InHand, Table, sequence_of};
use super::publish::published_end;
use super::sources::{self, Origin};
use crate::layout::{Meta, View};
use crate::packed::{CellState, CellWord, SEQ_NONE, Tick};
use crate::sync::{Ordering, fence, mutant, order, step};

/// Slots that one call tries, when messages are overwritten while it copies them.
const TRIES: u32 = 1024;

/// How often the producer may overwrite the slot that the observer goes to, before the observer skips messages that it
/// might still have read.
const RACES: u32 = 16;

/// How often one call tries the newest message. It is gone only if its slot is the next to be written.
const LATEST_TRIES: u32 = 16;

/// Where an observer is.
#[derive(Debug)]
pub(crate) struct ObserverCursor {
    next: u64,
    /// Of the message that was read last; always `None` in a queue without sources.
    origin: Option<Origin>,
}

/// What one read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A whole message. `missed` sequences before it, since the last message, were overwritten, or skipped to outrun
    /// the producer.
    Message { seq: u64, meta: Meta, missed: u64 },
    /// Nothing new; `missed` sequences were overwritten or skipped.
    Nothing { missed: u64 },
}

enum SlotRead {
    Whole(Meta),
    NotYet,
    Lapped,
}

impl ObserverCursor {
    /// At `next`, or at the number that no message ever has: sums of sequences do not overflow.
    pub(crate) fn at(next: u64) -> ObserverCursor {
        ObserverCursor { next: next.min(SEQ_NONE), origin: None }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Notes that a message from there was read elsewhere; the cursor stays where it is.
    #[cfg(not(slipring_loom))]
    pub(crate) fn set_origin(&mut self, origin: Option<Origin>) {
        self.origin = origin;
    }

    /// Where the message that was read last comes from.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.origin
    }

    /// Copies the next whole message to the front of `out`, which is as long as the payload size.
    #[inline]
    pub(crate) fn read(&mut self, view: &View, out: &mut [u8]) -> Seen {
        match read_slot(view, self.next, out, &mut self.origin) {
            SlotRead::Whole(meta) => {
                let seq = self.next;
                self.next += 1;
                Seen::Message { seq, meta, missed: 0 }
            }
            SlotRead::NotYet => Seen::Nothing { missed: 0 },
            SlotRead::Lapped => self.read_later(view, out),
        }
    }

    /// The same, after the message at `next` was found gone.
    #[cold]
    fn read_later(&mut self, view: &View, out: &mut [u8]) -> Seen {
        let from = self.next;
        let mut race = Race::default();
        for _ in 1..TRIES {
            self.skip(view, &mut race);
            match read_slot(view, self.next, out, &mut self.origin) {
                SlotRead::Whole(meta) => {
                    let seq = self.next;
                    let missed = mutant!(
                        seq - from,
                        "observer-counts-one-less",
                        (seq - from).saturating_sub(1)
                    );
                    self.next += 1;
                    return Seen::Message { seq, meta, missed };
                }
                SlotRead::NotYet => return Seen::Nothing { missed: self.next - from },
                SlotRead::Lapped => {}
            }
        }
        self.skip(view, &mut race);
        Seen::Nothing { missed: self.next - from }
    }

    /// Copies the newest message, unless this cursor is past it already. Messages in between are passed over, and not
    /// counted as missed.
    pub(crate) fn read_latest(&mut self, view: &View, out: &mut [u8]) -> Seen {
        let mut gone = self.next;
        for _ in 0..LATEST_TRIES {
            // A tail that is no sequence becomes the number that no message has.
            let end = published_end(view).unwrap_or(SEQ_NONE);
            if end <= self.next {
                break;
            }
            match read_slot(view, end - 1, out, &mut self.origin) {
                SlotRead::Whole(meta) => {
                    self.next = end;
                    return Seen::Message { seq: end - 1, meta, missed: 0 };
                }
                SlotRead::NotYet => {}
                SlotRead::Lapped => gone = end,
            }
        }
        // Slots are reclaimed in order: below a message that is gone, nothing is left. If no message comes after it,
        // the queue may end here.
        self.next = self.next.max(gone);
        Seen::Nothing { missed: 0 }
    }

    /// The message at `next` is gone: goes to the next one, or to the oldest that the ring can hold. If the producer
    /// stands still, this skips only what cannot be read, however many slots it has reclaimed. If the producer goes on,
    /// it may overwrite each slot just before the observer reads it: steps double until the producer is outrun.
    #[cold]
    fn skip(&mut self, view: &View, race: &mut Race) {
        let tail = tail(view);
        if race.tail.replace(tail).is_some_and(|before| before != tail) {
            race.lost += 1;
        }
        let capacity = view.geo().capacity;
        let slots = mutant!(capacity, "observer-skips-the-oldest", capacity - 1);
        let oldest = tail.saturating_sub(slots);
        let step = 1 << race.lost.saturating_sub(RACES).min(24);
        // A tail that lags, or is garbled, never leads back.
        let behind = (self.next + step).min(tail).max(self.next + 1);
        self.next = oldest.max(behind).min(SEQ_NONE);
    }
}

/// What one call has seen of the producer.
#[derive(Default)]
struct Race {
    /// The tail when a message was found gone.
    tail: Option<u64>,
    /// How often the tail had moved when the next message was found gone.
    lost: u32,
}

/// The tail, or the last sequence if the word is not a sequence: an observer must not rely on other processes.
pub(crate) fn tail(view: &View) -> u64 {
    // Acquire. pair tail: the slots below the tail have at least the messages that it counts.
    view.control().tail.load(order!(Acquire, "observer-tail-relaxed")).min(SEQ_NONE)
}

#[inline]
fn read_slot(view: &View, seq: u64, out: &mut [u8], origin: &mut Option<Origin>) -> SlotRead {
    let slot = view.slot(seq);
    // Acquire. pair payload: the payload below is at least that of this stamp.
    let mut stamp = slot.stamp.load(order!(Acquire, "observer-stamp-relaxed"));
    if stamp <= seq {
        // A tail above the sequence means that the message was published.
        if tail(view) <= seq {
            return SlotRead::NotYet;
        }
        // Relaxed: the tail carries stamp and payload. The message may have been published just after the first read,
        // and be whole. No older stamp can be read now: any other is of a newer message.
        stamp = mutant!(slot.stamp.load(Ordering::Relaxed), "observer-without-second-read", 0);
    }
    if stamp != seq + 1 {
        return SlotRead::Lapped;
    }
    // The last read of the stamp tells whether this and the payload's words belong together.
    let (meta, stream) = slot.meta.load_with_stream();
    *origin = if stream == 0 { None } else { origin_of(view, seq, stream) };
    let fit = meta.len.min(out.len());
    slot.payload.load(&mut out[..fit]);
    // Acquire fence. pair overwrite: if any word above was of a newer message, the load below reads its 0 or its stamp.
    step!(fence(Ordering::Acquire), "observer-without-fence");
    if mutant!(slot.stamp.load(Ordering::Relaxed) != seq + 1, "observer-without-check", false) {
        return SlotRead::Lapped;
    }
    SlotRead::Whole(meta)
}

// Out of line, so that messages without a source do not pay for it.
#[cold]
#[inline(never)]
fn origin_of(view: &View, seq: u64, stream: u8) -> Option<Origin> {
    // Relaxed. pair overwrite: the last read of the stamp tells whether it is this message's.
    let position = view.position(seq)?.load(Ordering::Relaxed);
    // No entry of the table changes hands while the ring has a message of its stream, and a stamp never comes again. So
    // if the entry has, the last read of the stamp tells (pair overwrite, in `sources::open`).
    sources::origin_of(view, stream, position)
}

/// How often a message is copied that changes hands while one looks at it.
const LOOKS: u32 = 16;

/// A copy of the message in cell `i` of a group; `None` if there is none, or others were faster each time.
#[cold]
pub(crate) fn look_at_cell(view: &View, table: &Table, i: u32) -> Option<InHand> {
    (0..LOOKS).find_map(|_| {
        // Acquire. pair cell: what was stored while the cell was reserved.
        let word = table.cell(view, i).word.load(Ordering::Acquire);
        let used = match CellWord::unpack(word).state {
            CellState::Held | CellState::Delayed => true,
            CellState::Empty | CellState::Reserved => false,
        };
        used.then(|| table.copy(view, i, word)).flatten()
    })
}

/// A message in a cell, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InCell {
    pub(crate) cell: u32,
    pub(crate) seq: u64,
    pub(crate) requeued: bool,
    pub(crate) received: Tick,
    pub(crate) word: CellWord,
}

/// The message in cell `i` of a group; `None` if there is none, or others were faster each time.
pub(crate) fn in_cell(view: &View, table: &Table, i: u32) -> Option<InCell> {
    let cell = table.cell(view, i);
    for _ in 0..LOOKS {
        // Acquire. pair cell: what was stored with the message, and its owner's start.
        let packed = cell.word.load(order!(Acquire, "cell-read-relaxed"));
        let word = CellWord::unpack(packed);
        if !matches!(word.state, CellState::Held | CellState::Delayed) {
            return None;
        }
        // Relaxed: carried by the cell's word; whether they belong together is checked below.
        let (seq, requeued) = sequence_of(cell.sequence.load(Ordering::Relaxed));
        // Relaxed: for people.
        let received = cell.received.load(Ordering::Relaxed);
        // Acquire fence. pair cell-refill: if a word above is of a later message, the cell's word below has changed.
        step!(fence(Ordering::Acquire), "cell-shown-without-fence");
        // Relaxed: the fence orders it.
        let still = cell.word.load(Ordering::Relaxed) == packed;
        if mutant!(still, "cell-shown-unchecked", true) {
            return Some(InCell { cell: i, seq, requeued, received, word });
        }
    }
    None
}

/// The messages in the cells of a group.
#[cfg(not(slipring_loom))]
pub(crate) fn in_cells(view: &View, table: &Table) -> impl Iterator<Item = InCell> {
    (0..table.len()).filter_map(|i| in_cell(view, table, i))
}
