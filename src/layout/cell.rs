//! Cells: places for messages that members of a shared group work on, beside the ring.

use super::slot::MetaWord;
use crate::sync::{AtomicU64, Payload, Unmodelled};

/// Front of every cell.
#[repr(C)]
pub(crate) struct CellHeader {
    /// See [`CellWord`](crate::packed::CellWord).
    pub(crate) word: AtomicU64,
    pub(crate) sequence: AtomicU64,
    /// As in a slot.
    pub(crate) meta: MetaWord,
    /// Tick at which the message was received first; for people.
    pub(crate) received: Unmodelled,
}

impl CellHeader {
    pub(crate) fn new() -> CellHeader {
        CellHeader {
            word: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            meta: MetaWord::new(),
            received: Unmodelled::new(0),
        }
    }
}

/// One cell. All but its word is stored while it is RESERVED, by its owner or by the holder of its owner's lease.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) word: &'a AtomicU64,
    pub(crate) sequence: &'a AtomicU64,
    pub(crate) meta: &'a MetaWord,
    pub(crate) received: &'a Unmodelled,
    /// In its stream, of a message that comes from one; only in a queue with streams.
    pub(crate) position: Option<&'a AtomicU64>,
    pub(crate) payload: Payload,
}

/// The cells of one group: a run of the queue's. Invariant: it has some, and they lie in the table of the view that made
/// this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    first: u32,
    count: u32,
}

impl Extent {
    /// `None` if there are no such cells, among `cells`. Anybody may have garbled the figures.
    pub(super) fn of(first: u32, count: u32, cells: usize) -> Option<Extent> {
        let end = (first as usize).checked_add(count as usize)?;
        (count > 0 && end <= cells).then_some(Extent { first, count })
    }

    pub(crate) fn first(self) -> u32 {
        self.first
    }

    pub(crate) fn len(self) -> u32 {
        self.count
    }

    /// Index of the queue's cell that is number `i` of these; a number that is too high is the last one.
    pub(super) fn index(self, i: u32) -> usize {
        self.first as usize + i.min(self.count - 1) as usize
    }
}

#[cfg(not(slipring_loom))]
const _: () = assert!(size_of::<CellHeader>() == 32);
