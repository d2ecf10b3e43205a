//! What a dead member of a group with cells leaves: the rest of its receive is done for it, and what it had is given back.
//!
//! ```text
//! 1 its start                 judged as in `recovery`; a range that it holds is in the ring still
//! 2 each message of the range a cell of its has it, or one that it reserved is filled, under its name
//! 3 start = IDLE              its ring ack
//! 4 each of its messages      given back, for any member to take at once
//! 5 each cell it reserved     emptied
//! 6 holds = 0
//! ```
//!
//! All under its lease. A death in the middle leaves what the dead member's own death one step later would have left, and
//! the next who comes goes on. It needs no empty cell, since a member reserves before it claims; it keeps nothing, and it
//! delivers nothing: any member then takes what is due.
//!
//! The order matters. A message that is given back, or copied as nobody's, before step 3 would come from the ring again
//! after the next death. A cell that is emptied before step 2 is missing there.

#![allow(unsafe_code)]

use super::cells::Table;
use super::claim::Corrupt;
use super::shared::SharedMember;
use crate::layout::View;
use crate::packed::{AT_ONCE, CellState, CellWord, State};
use crate::sync::{Ordering, mutant, step};

/// Whether the member of `record`, if it is dead, may have left something.
pub(crate) fn may_have_left(view: &View, record: u8) -> bool {
    let words = view.record(record);
    // Relaxed: a hint. Who has the lease sees all that its last holder did. pair lease.
    SharedMember::start(view, record).1.state != State::Idle
        || words.counters.holds.load(Ordering::Relaxed) != 0
}

/// Settles whatever the last owner of `record` left in the group of its tag, if that has cells. The record's lease and
/// the control lease are held.
pub(crate) fn settle_former(view: &View, record: u8) -> Result<(), Corrupt> {
    let group = SharedMember::start(view, record).1.group;
    if let Some(table) = Table::of(view, group)?
        && may_have_left(view, record)
    {
        settle(view, &table, record)?;
        step!(table.wake_takers(view), "joiner-wakes-nobody");
    }
    Ok(())
}

/// Settles the dead member of `record`, whose lease is held. The caller then wakes the group: it may take what is due, and
/// cells are empty.
pub(crate) fn settle(view: &View, table: &Table, record: u8) -> Result<(), Corrupt> {
    let (_, start) = SharedMember::start(view, record);
    if mutant!(start.group != table.group, "settle-ignores-the-group", false) {
        return Ok(());
    }
    finish_receive(view, table, record)?;
    for (i, word, found) in table.owned(view, record) {
        match found.state {
            CellState::Held => table.let_go(view, i, word, found),
            _ => step!(
                table.unreserve(view, Table::reserved(i, found)),
                "settle-leaves-reservations"
            ),
        }
    }
    step!(table.announce_due(view, AT_ONCE), "settle-lowers-no-hint");
    // Relaxed: for the next holder of the lease. pair lease.
    view.record(record).counters.holds.store(0, Ordering::Relaxed);
    Ok(())
}

/// Steps 1 to 3.
pub(super) fn finish_receive(view: &View, table: &Table, record: u8) -> Result<(), Corrupt> {
    let mut dead = SharedMember::new(view, table.group, record);
    if !dead.resolve_orphan(view, record)? {
        return Ok(());
    }
    let (_, start) = SharedMember::start(view, record);
    // Relaxed: the start word carries it.
    let end = view.record(record).claim.end.load(Ordering::Relaxed);
    // Nobody moves these cells meanwhile: the start covers what is in them.
    let (mut filled, mut reserved) = (Vec::new(), Vec::new());
    for (i, _, found) in table.owned(view, record) {
        match found.state {
            // Relaxed: carried by the cell's word. pair cell.
            CellState::Held => filled.push(table.cell(view, i).sequence.load(Ordering::Relaxed)),
            _ => reserved.push(Table::reserved(i, found)),
        }
    }
    filled.sort_unstable();
    for seq in start.seq..end {
        if mutant!(filled.binary_search(&seq).is_ok(), "settle-copies-all", false) {
            continue;
        }
        // It reserved one for each message before it claimed.
        let Some(cell) = reserved.pop() else {
            return Err(Corrupt("a consumer record holds more messages than it has cells"));
        };
        // Never handed out: its next delivery is the first.
        let held = CellWord {
            state: CellState::Held,
            owner: record,
            attempts: mutant!(0, "settle-counts-what-it-copies", 1),
            due: AT_ONCE,
            generation: 0,
        };
        // SAFETY: of the range that the dead member claimed and did not ack; its lease is held.
        unsafe { table.fill(view, cell, seq, held, 0, |_| {}) };
    }
    dead.ack_ring(view, end);
    Ok(())
}
