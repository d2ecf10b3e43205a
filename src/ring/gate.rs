//! The gate: how far the producer may go.

use crate::layout::{GroupState, Mode, View};
use crate::packed::{Head, Start, State};
use crate::sync::{Ordering, mutant, order};

/// The lowest sequence that some group has not acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) seq: u64,
    /// The group that has it; `None` without any group: nothing holds the producer then.
    pub(crate) group: Option<u8>,
}

/// Scans all groups. The producer scans once before its fence and once after it, and goes no further than either
/// allows: docs/ordering.md, note 1, says what that makes up for. `tail` is the gate of a queue without groups.
///
/// A consumer that wakes the producer scans as well, after a fence of its own: see `notify`.
pub(crate) fn gate(view: &View, tail: u64) -> Gate {
    let mut gate = Gate { seq: u64::MAX, group: None };
    // Bits of the groups whose members hold ranges in their records.
    let mut shared = 0u64;
    // Acquire. pair group-made: a group below the mark was made before. Read in every scan: the scan after the fence
    // must see a group that was announced before the fence.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    for (index, group) in view.groups().iter().enumerate().take(mark as usize) {
        // Acquire. pairs group-freed and group-made. FREE: the last reads of the group are done. Else: its head is
        // set.
        let state =
            GroupState::unpack(group.identity.state.load(order!(Acquire, "gate-state-relaxed")));
        if mutant!(
            state == GroupState::Free,
            "gate-skips-joining",
            matches!(state, GroupState::Free | GroupState::Joining)
        ) {
            continue;
        }
        // Acquire. pairs head and claim: the group's reads below this head are done before the producer overwrites; in
        // a shared group, the start of each claim below it is seen when the records are read.
        let head = Head::unpack(group.head.load(order!(Acquire, "gate-head-relaxed")));
        // Relaxed: carried by the state.
        if Mode::of(group.identity.traits.load(Ordering::Relaxed)) != Some(Mode::Exclusive) {
            shared |= 1 << index;
        }
        if head.seq < gate.seq {
            gate = Gate { seq: head.seq, group: Some(index as u8) };
        }
    }
    if shared != 0 {
        // After all heads: a claim stores its start before it moves the head, so a scan that has seen the moved head
        // sees the start.
        gate = scan_records(view, shared, gate);
    }
    if gate.group.is_none() { Gate { seq: tail, group: None } } else { gate }
}

/// Lowers `gate` to what members of the `shared` groups hold. Their heads were read before.
pub(super) fn scan_records(view: &View, shared: u64, mut gate: Gate) -> Gate {
    // Acquire. pair record-used: after the heads, in every scan. A record whose claim moved a head that was read
    // above lies below the mark.
    let mark = view.control().marks.records.load(Ordering::Acquire);
    for record in view.records().iter().take(mark as usize) {
        // Acquire. pair start: reads that the member did below its start are done before the producer overwrites, or
        // before a caller says that the group has acked everything.
        let start = Start::unpack(record.claim.start.load(order!(Acquire, "gate-start-relaxed")));
        let busy =
            mutant!(start.state != State::Idle, "gate-skips-pending", start.state == State::Held);
        let holds = busy && shared >> start.group & 1 == 1;
        if holds && start.seq < gate.seq {
            gate = Gate { seq: start.seq, group: Some(start.group) };
        }
    }
    gate
}
