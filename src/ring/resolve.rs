//! What the record of a dead member says: see the table in `recovery`.

use super::claim::Corrupt;
use super::notify;
use super::shared::SharedMember;
use crate::layout::View;
use crate::packed::{Head, Start, State};
use crate::sync::{Ordering, mutant, order, step};

impl SharedMember {
    /// Judges the record of a dead member, whose lease is held: all of it is read again. Returns whether it holds a
    /// range of this group.
    pub(super) fn resolve_orphan(&self, view: &View, record: u8) -> Result<bool, Corrupt> {
        let words = &view.record(record).claim;
        // Acquire. pair claim. Before the start: a PENDING read after a head that does not name the record never
        // succeeded, because the HELD of a helper would have come with that head.
        let head =
            Head::unpack(self.words(view).head.load(order!(Acquire, "recovery-head-relaxed")));
        let (word, start) = Self::start(view, record);
        // Relaxed: the start word carries it.
        let end = words.end.load(Ordering::Relaxed);
        if mutant!(start.group != self.group, "recovery-ignores-the-group", false) {
            return Ok(false);
        }
        match start.state {
            State::Idle => Ok(false),
            State::Held => self.check_range(view, start, end).map(|()| true),
            State::Pending
                if mutant!(
                    head == (Head { seq: end, claimer: record }),
                    "recovery-pending-is-held",
                    true,
                    "recovery-pending-is-none",
                    false
                ) =>
            {
                let held = Start { state: State::Held, ..start };
                // AcqRel. pair start: as a helper's exchange, which may come at the same time. Relaxed on failure:
                // the helper was faster.
                let _ = words.start.compare_exchange(
                    word,
                    held.pack(),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                self.check_range(view, start, end).map(|()| true)
            }
            State::Pending => {
                let idle = Start::idle(start.seq, self.group);
                // Release. pair start. No helper touches a PENDING whose exchange never happened.
                let release = order!(Release, "recovery-withdraw-relaxed");
                step!(words.start.store(idle.pack(), release), "recovery-leaves-pending");
                step!(notify::room(view), "recovery-wakes-nobody");
                Ok(false)
            }
            State::Evicted => Err(Corrupt("a consumer record is in a state of a newer version")),
        }
    }
}
