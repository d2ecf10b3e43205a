//! Runs of cells, and which of them no group has. The caller holds the control lease, or wants a figure alone.

use crate::layout::{Cell, Extent, GroupState, InFlight, View};
use crate::packed::CellWord;
use crate::sync::{Ordering, WordExt, mutant, step};

/// The first run of `count` cells that no group has.
pub(crate) fn find(view: &View, count: u32) -> Option<Extent> {
    let mut taken: Vec<(u32, u32)> = mutant!(in_use(view).collect(), "extents-overlap", vec![]);
    taken.sort_unstable();
    let mut first = 0u32;
    for (start, end) in taken {
        if start.saturating_sub(first) >= count {
            break;
        }
        first = first.max(end);
    }
    view.extent(first, count)
}

/// Cells that no group has, and the longest run of them.
#[cfg(not(slipring_loom))]
pub(crate) fn free(view: &View) -> (u32, u32) {
    let mut taken: Vec<(u32, u32)> = in_use(view).collect();
    taken.sort_unstable();
    let all = view.geo().cells as u32;
    let (mut first, mut free, mut longest) = (0, 0, 0);
    for (start, end) in taken.into_iter().chain([(all, all)]) {
        // An extent that lies outside of the table is garbage.
        let gap = start.min(all).saturating_sub(first);
        (free, longest, first) = (free + gap, longest.max(gap), first.max(end));
    }
    (free, longest)
}

/// The cells that groups have.
pub(super) fn cells(view: &View) -> impl Iterator<Item = Cell<'_>> {
    let extents = in_use(view).filter_map(|(first, end)| view.extent(first, end - first));
    extents.flat_map(move |extent| (0..extent.len()).map(move |i| view.cell(extent, i)))
}

/// The runs of cells that groups have, as first and end.
fn in_use(view: &View) -> impl Iterator<Item = (u32, u32)> {
    let groups = view.groups().iter();
    let made = groups.filter(|group| {
        // Acquire. pair group-made: the extent.
        GroupState::unpack(group.identity.state.load(Ordering::Acquire)) != GroupState::Free
    });
    let extents = made.map(InFlight::load).filter(|words| words.cells > 0);
    extents.map(|words| (words.first_cell, words.first_cell.saturating_add(words.cells)))
}

/// Empties the cells of a group that is being made: those of a group that was removed may have messages. The group's state
/// is FREE.
pub(crate) fn empty(view: &View, extent: Extent) {
    for i in 0..extent.len() {
        let word = view.cell(extent, i).word;
        // Relaxed: the former group's members are gone.
        let found = CellWord::unpack(word.load(Ordering::Relaxed));
        let empty = CellWord::empty(found.next_generation()).pack();
        // Release. pair cell-empty.
        step!(word.store_beside_exchange(empty, Ordering::Release), "old-messages-stay");
    }
}
