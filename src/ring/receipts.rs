//! What tells a worker's job from jobs of later messages in the same cell, when the cell's word does not: its generation has 10
//! bits, and its due may be one that an extension had before. In the worker's own memory, where only the worker stores.

use crate::sync::{Ordering, UnmodelledHalf};

/// How many messages a worker has received into each cell. They wrap.
#[derive(Debug)]
pub(crate) struct Receipts(Box<[UnmodelledHalf]>);

impl Receipts {
    pub(crate) fn new(cells: u32) -> Receipts {
        Receipts((0..cells).map(|_| UnmodelledHalf::new(0)).collect())
    }

    /// Counts a message that the worker, the caller, has received into `cell`. Returns its number.
    #[inline]
    pub(crate) fn count(&self, cell: u32) -> u32 {
        let Some(count) = self.0.get(cell as usize) else { return 0 };
        // Relaxed, both: the worker alone stores it. A job of an earlier message that reads it too early goes by the cell's word
        // alone.
        let number = count.load(Ordering::Relaxed).wrapping_add(1);
        count.store(number, Ordering::Relaxed);
        number
    }

    /// Whether message `number` is the last one in `cell`. Else it was taken from its job.
    #[inline]
    pub(crate) fn is_last(&self, cell: u32, number: u32) -> bool {
        // Relaxed: as above.
        self.0.get(cell as usize).is_some_and(|last| last.load(Ordering::Relaxed) == number)
    }
}
