//! Where messages come from: the table of streams.
//!
//! A message of a stream has a position in it. The producer stores both in the slot, before the stamp, so one store
//! publishes them with the message; `last` of the stream follows, and then the tail:
//!
//! ```text
//! position, meta with the stream's number, payload; stamp; last; tail
//! ```
//!
//! So `last` covers every message below the tail. A producer that dies on the way leaves its messages at or above the
//! tail. The next one walks them anyway ([`super::publish::published_end`]), stores the position of each to its
//! stream's `last`, and moves the tail then. Taken twice, that changes nothing, and it depends on no older slot: a
//! message without a source says so in the very meta word that would name one.

use super::claim::Corrupt;
use super::extents;
use crate::layout::{Meta, Slot, StreamRecord, View};
use crate::packed::{CellState, CellWord};
use crate::sync::{AtomicU64, Ordering, fence, mutant, order, step};

/// A stream's id: 128 bits, the low half first.
pub(crate) type Id = [u64; 2];

/// A stream's name for people: 24 bytes, as words.
pub(crate) type Label = [u64; 3];

/// How often a reader looks at an entry that changes hands meanwhile.
const TRIES: u32 = 64;

/// Whether an entry with this state is in use. Each change adds 1, so no state comes again.
fn is_used(state: u64) -> bool {
    state & 1 == 1
}

/// Number of a stream of this queue, from 1 on. Meta words have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(u8);

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) id: Id,
    pub(crate) label: Label,
    pub(crate) position: u64,
}

impl Number {
    /// `None` if the table has no such stream: the word may be garbled.
    fn of(view: &View, number: u8) -> Option<Number> {
        (number > 0 && usize::from(number) <= view.streams().len()).then_some(Number(number))
    }

    #[inline]
    fn record(self, view: &View) -> &StreamRecord {
        &view.streams()[usize::from(self.0) - 1]
    }

    #[cfg(not(slipring_loom))]
    #[inline]
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    #[cfg(not(slipring_loom))]
    pub(crate) fn get(self) -> u8 {
        self.0
    }
}

fn id_of(record: &StreamRecord) -> Id {
    // Relaxed: carried by the state, or by the stamp of a message that names the stream.
    record.id.each_ref().map(|half| half.load(Ordering::Relaxed))
}

/// Numbers of the streams that are in use.
pub(crate) fn in_use(view: &View) -> impl Iterator<Item = Number> {
    let used = |record: &StreamRecord| {
        // Acquire. pair stream: the id.
        is_used(record.state.load(order!(Acquire, "stream-state-relaxed")))
    };
    (1..).zip(view.streams()).filter(move |(_, record)| used(record)).map(|(n, _)| Number(n))
}

/// The stream with this id.
pub(crate) fn find(view: &View, id: Id) -> Option<Number> {
    in_use(view).find(|number| id_of(number.record(view)) == id)
}

pub(crate) fn id(view: &View, number: Number) -> Id {
    id_of(number.record(view))
}

/// The stream's name, for people.
pub(crate) fn label(view: &View, number: Number) -> Label {
    // Relaxed: carried by the state, or by the stamp of a message that names the stream.
    number.record(view).label.each_ref().map(|word| word.load(Ordering::Relaxed))
}

/// Position of the stream's last message below the tail; 0 before its first.
pub(crate) fn last(view: &View, number: Number) -> u64 {
    // Acquire. pair last: the messages up to it. The producer's own, or those of one before it, came with the lease.
    number.record(view).last.load(order!(Acquire, "last-read-relaxed"))
}

/// Id, label, start and last of a stream, all of one; `None` if it is given up, or always changes hands.
pub(crate) fn look_up(view: &View, number: Number) -> Option<(Id, Label, u64, u64)> {
    let record = number.record(view);
    for _ in 0..TRIES {
        // Acquire. pair stream: the words below are at least those of this state.
        let state = record.state.load(order!(Acquire, "looked-up-state-relaxed"));
        if !is_used(state) {
            return None;
        }
        let found =
            (id(view, number), label(view, number), start(view, number), last(view, number));
        // Acquire fence. pair stream-reused: if any word above is of another stream, the load below finds another
        // state.
        step!(fence(Ordering::Acquire), "looked-up-without-fence");
        // Relaxed: by that fence.
        let after = record.state.load(Ordering::Relaxed);
        if mutant!(after == state, "looked-up-once", true) {
            return Some(found);
        }
    }
    None
}

/// Position of the stream's first message.
pub(crate) fn start(view: &View, number: Number) -> u64 {
    // Relaxed: for people.
    number.record(view).start.load(Ordering::Relaxed)
}

/// Takes a free entry of the table for the stream; `None` if all are in use. Only the producer calls it.
pub(crate) fn open(view: &View, id: Id, label: Label) -> Option<Number> {
    let free = (1..).zip(view.streams());
    // Relaxed: only producers store it, and the lease has ordered them.
    let mut free = free.filter(|(_, record)| !is_used(record.state.load(Ordering::Relaxed)));
    // A garbled state may say free although the queue has messages of the entry: they would get another stream's id.
    let (number, record) = free.find(|(number, _)| !is_in_queue(view, Number(*number)))?;
    // Relaxed: as above.
    let state = record.state.load(Ordering::Relaxed);
    // Release fence. pair stream-reused: what sees a word below sees that the entry was free. pair overwrite: an
    // observer that sees one for a message of the stream before it finds that message's slot or cell changed.
    step!(fence(Ordering::Release), "stream-reused-without-fence");
    // A producer that died here, or in `close`, has left a free entry, and what it stored is stored again.
    // Relaxed, all: carried by the state.
    record.last.store(0, Ordering::Relaxed);
    record.start.store(0, Ordering::Relaxed);
    let publish = || {
        // Release. pair stream: id and last.
        record.state.store(state.wrapping_add(1), order!(Release, "stream-opened-relaxed"));
    };
    let name = || {
        for (half, value) in record.id.iter().zip(id) {
            half.store(value, Ordering::Relaxed);
        }
        for (word, value) in record.label.iter().zip(label) {
            word.store(value, Ordering::Relaxed);
        }
    };
    mutant!(
        {
            name();
            publish();
        },
        "stream-opened-before-its-id",
        {
            publish();
            name();
        }
    );
    Some(Number(number))
}

/// Whether a slot of the ring, or a place for a message in flight, still has a message of the stream. Only the producer asks, so
/// that no slot is written meanwhile.
pub(crate) fn is_in_queue(view: &View, number: Number) -> bool {
    let capacity = view.geo().capacity;
    let mut in_ring = false;
    view.ring().each_slot(0, capacity, |_, slot| in_ring |= slot.meta.stream() == number.0);
    // After the slots: a slot is written again only once the ring is acked, and a member fills the cell before it acks.
    let in_flight = || in_flight(view).any(|stream| stream == number.0);
    mutant!(in_ring, "stream-never-in-the-ring", false)
        || mutant!(in_flight(), "stream-never-in-flight", false)
}

/// The numbers of the streams of messages in flight.
fn in_flight(view: &View) -> impl Iterator<Item = u8> {
    let used = extents::cells(view).filter(|cell| {
        // Relaxed: the slot was written since, so the ring was acked before, and the cell was filled before that. pair room.
        // A reader that sees the entry's next id sees that the cell's word has changed. pair stream-reused.
        let word = cell.word.load(Ordering::Relaxed);
        matches!(CellWord::unpack(word).state, CellState::Held | CellState::Delayed)
    });
    used.map(|cell| cell.meta.stream())
}

/// How many messages of each stream the ring has, by number, and how many are in flight; for people.
#[cfg(not(slipring_loom))]
pub(crate) fn count_messages(view: &View) -> (Vec<u64>, Vec<u64>) {
    let none = || vec![0; view.geo().streams + 1];
    let (mut ring, mut flight) = (none(), none());
    let count = |counts: &mut Vec<u64>, number: u8| {
        if let Some(count) = counts.get_mut(usize::from(number)) {
            *count += 1;
        }
    };
    view.ring().each_slot(0, view.geo().capacity, |_, slot| count(&mut ring, slot.meta.stream()));
    in_flight(view).for_each(|number| count(&mut flight, number));
    (ring, flight)
}

/// Frees the entry of a stream of which neither a slot nor a cell has a message. Only the producer calls it.
pub(crate) fn close(view: &View, number: Number) {
    let record = number.record(view);
    // Relaxed: only producers store it, and the lease has ordered them.
    let state = record.state.load(Ordering::Relaxed);
    let free = || {
        // Release: nothing that was stored to the stream is stored after it.
        record.state.store(state.wrapping_add(1), Ordering::Release);
    };
    mutant!(free(), "stream-reset-before-it-is-free", {
        record.last.store(0, Ordering::Relaxed);
        free();
    });
}

/// Stores where the message in `slot` comes from, before its stamp.
#[inline]
pub(crate) fn mark(
    view: &View,
    seq: u64,
    slot: &Slot<'_>,
    meta: Meta,
    number: Number,
    position: u64,
) {
    slot.meta.store_from(meta, number.0);
    if let Some(word) = view.position(seq) {
        // Relaxed: published by the stamp. pair payload.
        step!(word.store(position, Ordering::Relaxed), "position-not-stored");
    }
}

/// Where the message `seq` comes from, whose stamp the caller has seen.
#[inline]
pub(crate) fn origin(view: &View, seq: u64, slot: &Slot<'_>) -> Option<Origin> {
    let number = slot.meta.stream();
    if number == 0 {
        return None;
    }
    // Relaxed, as the meta word. pair payload.
    let position = view.position(seq)?.load(Ordering::Relaxed);
    origin_of(view, number, position)
}

/// What a number of a stream and a position in it stand for; `None` if the table has no such stream.
pub(crate) fn origin_of(view: &View, number: u8, position: u64) -> Option<Origin> {
    let number = Number::of(view, number)?;
    Some(Origin { id: id(view, number), label: label(view, number), position })
}

/// Notes that the stream's messages are published up to `position`, of which the run from `seq` on is new; after their
/// stamps, before the tail.
#[inline]
pub(crate) fn note(view: &View, number: Number, seq: u64, position: u64) {
    let record = number.record(view);
    // Relaxed: for people, and the producer alone stores it.
    if record.start.load(Ordering::Relaxed) == 0 {
        begin(view, record, seq);
    }
    note_last(&record.last, position);
}

/// Stores the position of the stream's first message, which is `seq`.
#[cold]
fn begin(view: &View, record: &StreamRecord, seq: u64) {
    // Relaxed, both: the producer alone stores them.
    let first = view.position(seq).map_or(0, |word| word.load(Ordering::Relaxed));
    record.start.store(first, Ordering::Relaxed);
}

/// Notes that everything of the stream up to `position` is done, without a message.
pub(crate) fn pass(view: &View, number: Number, position: u64) {
    let record = number.record(view);
    // Relaxed, both: as in `note`.
    if record.start.load(Ordering::Relaxed) == 0 {
        record.start.store(position, Ordering::Relaxed);
    }
    note_last(&record.last, position);
}

#[inline]
fn note_last(last: &AtomicU64, position: u64) {
    // Release. pair last: the messages up to it.
    step!(last.store(position, order!(Release, "last-stored-relaxed")), "last-not-stored");
}

/// Enters the messages of `tail..end` in the table: the last producer may have died before it did. A new producer calls
/// it before it moves the tail to `end`.
pub(crate) fn take_over(view: &View, tail: u64, end: u64) -> Result<(), Corrupt> {
    if view.streams().is_empty() {
        return Ok(());
    }
    // Of each run of a stream, the first message and the last position: `last` may say that already, and must not fall.
    let mut pending: Option<(Number, u64, u64)> = None;
    for seq in tail..end {
        let number = view.slot(seq).meta.stream();
        if number == 0 {
            continue;
        }
        let Some(number) = Number::of(view, number) else {
            return Err(Corrupt("a message comes from a stream that the queue does not have"));
        };
        // Relaxed: the walk has seen its stamp. pair payload.
        let position = view.position(seq).map_or(0, |word| word.load(Ordering::Relaxed));
        let first = match pending {
            Some((other, first, _)) if other == number => first,
            Some((other, first, position)) => {
                note(view, other, first, position);
                seq
            }
            None => seq,
        };
        pending = Some((number, first, position));
    }
    if let Some((number, first, position)) = pending {
        note(view, number, first, position);
    }
    Ok(())
}
