//! How far the producer may go.

use crate::layout::{GroupState, View};
use crate::seq::Head;
use crate::sync::Ordering;

/// The lowest sequence that some group has not acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) seq: u64,
    /// Whose it is; `None` without any group: then nothing holds the producer.
    pub(crate) group: Option<u8>,
}

/// Scans all groups. The producer scans once before its fence and once behind it, and goes no further
/// than either allows. So the fence would give the loads below the order that they ask for themselves.
/// `tail` is the gate of a queue without groups.
pub(crate) fn gate(view: &View, tail: u64) -> Gate {
    let mut gate = Gate { seq: u64::MAX, group: None };
    // Acquire. pair P8: a group below the mark was made before; read again in every scan, since the
    // scan behind the fence must see a group that was announced before it.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    for (index, group) in view.groups().iter().enumerate().take(mark as usize) {
        // Acquire. pair P6 (FREE: the last reads of the group are done) and P8 (else: its head is set).
        let state = GroupState::unpack(group.identity.state.load(Ordering::Acquire));
        if state == GroupState::Free {
            continue;
        }
        // Acquire. pair P2: reads that the group did below its head are done before we overwrite.
        let head = Head::unpack(group.head.load(Ordering::Acquire));
        if head.seq < gate.seq {
            gate = Gate { seq: head.seq, group: Some(index as u8) };
        }
    }
    if gate.group.is_none() { Gate { seq: tail, group: None } } else { gate }
}
