//! Closing: the producer says that no more messages come, and readers know when they have seen all of them.
//!
//! The state alone is not enough: a reader that finds nothing, and then a closed queue, may have missed what was sent
//! in between. So closing stores a sequence, and a reader compares.

use super::cells::Table;
use super::gate::{Gate, scan_records};
use super::notify;
use super::publish::published_end;
use crate::layout::View;
use crate::packed::Head;
use crate::sync::{Ordering, WordExt, fence, mutant, order, step};

/// The queue's state: more messages may come.
const OPEN: u64 = 0;
/// No message comes at or above the closing sequence, unless a new producer opens the queue again.
const CLOSED: u64 = 1;

/// Closes the queue at `seq`, below which everything is published. The producer lease is held. A producer that dies
/// before the state is stored has not closed it.
pub(crate) fn close(view: &View, seq: u64) {
    let identity = &view.control().producer.identity;
    let end = mutant!(seq, "close-one-early", seq.saturating_sub(1));
    // Relaxed: the state, stored after it, carries it.
    identity.closed_at.store(end, Ordering::Relaxed);
    // Release. pair closing: a reader that sees the queue closed knows the sequence.
    identity.state.store(CLOSED, order!(Release, "close-state-relaxed"));
    step!(notify::all_groups(view), "closing-wakes-nobody");
}

/// Opens the queue again, if it was closed. A new producer calls it before it publishes; it holds the producer lease.
pub(crate) fn reopen(view: &View) {
    let identity = &view.control().producer.identity;
    // Relaxed, both: only the holder of the lease stores here, and the state carries it.
    let epoch = identity.epoch.load_own(Ordering::Relaxed).wrapping_add(1);
    identity.epoch.store(epoch, Ordering::Relaxed);
    // Release. pair reopening: a reader that sees this state knows the epoch. The stamp or tail of the next message
    // carries it too (pairs payload and tail): a reader of that message finds the queue closed only if it was closed
    // again.
    step!(identity.state.store(OPEN, order!(Release, "reopen-relaxed")), "reopen-left-out");
}

/// Whether the last producer is gone without closing the queue, and no other has taken its place. `held` asks whether
/// the producer's lease is held.
pub(crate) fn producer_gone<E>(
    view: &View,
    held: impl FnOnce() -> Result<bool, E>,
) -> Result<bool, E> {
    let epoch = &view.control().producer.identity.epoch;
    // Relaxed: if it is an old one, the second read differs.
    let first = epoch.load(Ordering::Relaxed);
    if first == 0 || held()? {
        return Ok(false);
    }
    let before = mutant!(first, "gone-checks-before-the-epoch", epoch.load(Ordering::Relaxed));
    // Acquire fence. pair lease: as if the lease were taken, everything that its last holder did is seen below.
    step!(fence(Ordering::Acquire), "gone-without-fence");
    if closed_at(view).is_some() {
        return Ok(false);
    }
    // Relaxed: after the state (pair reopening). If a new producer has opened the queue, this is its epoch.
    Ok(mutant!(epoch.load(Ordering::Relaxed) == before, "gone-without-the-epoch", true))
}

/// The sequence at which the queue is closed, if it is.
pub(crate) fn closed_at(view: &View) -> Option<u64> {
    let identity = &view.control().producer.identity;
    // Acquire. pairs closing and reopening: the sequence of this closing, or of a later one.
    let closed = identity.state.load(order!(Acquire, "close-read-relaxed")) == CLOSED;
    // Relaxed: carried by the state. The sequence of a later closing, or of one whose producer died half-way, is the
    // same, or lies above everything that a reader has seen that still finds the older state.
    closed.then(|| identity.closed_at.load(Ordering::Relaxed))
}

/// Whether a reader that has seen everything below `next` has seen everything.
pub(crate) fn is_over(view: &View, next: u64) -> bool {
    closed_at(view).is_some_and(|end| mutant!(next >= end, "close-without-a-sequence", true))
}

/// The sequence at which the queue is closed, if it is and `group` has acked everything. What a live member holds is
/// not acked: the member may die, and another gets it then.
pub(crate) fn over_at(view: &View, group: u8) -> Option<u64> {
    // Before the state: a head that messages of a later producer have moved brings its reopening.
    let head = head(view, group);
    closed_at(view).filter(|&end| {
        let seen = mutant!(head, "over-head-after-the-state", self::head(view, group));
        mutant!(seen >= end, "close-without-a-sequence", true)
            && !mutant!(holds_below(view, group, end), "over-without-the-records", false)
            && !mutant!(cells_hold(view, group), "over-without-the-cells", false)
    })
}

/// Tells the members of `group` that there is a queue of letters that were sent again. The control lease is held.
pub(crate) fn announce_retries(view: &View, group: u8) {
    let retries = &view.group(group).identity.retries;
    // Release. pair retries: a member that sees it finds the queue. An end brings it by the state (pair closing).
    retries.store(1, order!(Release, "retries-announced-relaxed"));
}

/// Whether letters were sent again to `group`, into a queue of their own.
pub(crate) fn has_retries(view: &View, group: u8) -> bool {
    // Acquire. pair retries: the queue was made before.
    view.group(group).identity.retries.load(order!(Acquire, "retries-read-relaxed")) != 0
}

/// Whether a member of `group` gets no more messages: everything is acked, also the letters that were sent again before
/// the queue was closed. `are_drained` reads their queue.
pub(crate) fn has_ended(view: &View, group: u8, are_drained: impl FnOnce() -> bool) -> bool {
    // The end first: an older answer about letters does not cover those that came before the end.
    mutant!(
        over_at(view, group).is_some() && (!has_retries(view, group) || are_drained()),
        "ended-without-the-retries",
        over_at(view, group).is_some(),
        "retries-asked-first",
        {
            let none = !has_retries(view, group);
            over_at(view, group).is_some() && (none || are_drained())
        },
        "drained-asked-first",
        {
            let drained = are_drained();
            over_at(view, group).is_some() && (!has_retries(view, group) || drained)
        }
    )
}

/// Whether `group` has acked everything that is published.
pub(crate) fn is_drained(view: &View, group: u8) -> bool {
    published_end(view).is_ok_and(|end| {
        head(view, group) >= end
            && mutant!(!holds_below(view, group, end), "acked-without-the-records", true)
            && !mutant!(cells_hold(view, group), "over-without-the-cells", false)
    })
}

fn head(view: &View, group: u8) -> u64 {
    // Acquire. pair claim: the starts of everything that was claimed below it, in a shared group.
    Head::unpack(view.group(group).head.load(order!(Acquire, "over-head-relaxed"))).seq
}

/// Whether a message is in a cell of `group`, whose head and records were read before: a message goes from the ring to a
/// cell, and never back. Cells that lie outside of the table hold the end back, like a message.
// Out of line, as `holds_below`: a receive that finds nothing asks for the end, and the queue is open.
#[cold]
#[inline(never)]
fn cells_hold(view: &View, group: u8) -> bool {
    match Table::of(view, group) {
        Ok(None) => false,
        Ok(Some(table)) => table.any_in_use(view),
        Err(_) => true,
    }
}

/// Whether a record of `group` holds something below `seq`, which is at most a head that was read before. Records of
/// exclusive groups never do.
#[cold]
#[inline(never)]
fn holds_below(view: &View, group: u8, seq: u64) -> bool {
    scan_records(view, 1 << group, Gate { seq, group: None }).group.is_some()
}
