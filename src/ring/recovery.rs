//! What becomes of the messages that a member of a shared group held when it died, or gives back.

use std::io;

use super::claim::Corrupt;
use super::notify;
use super::records::{records_of, take_idle_record};
use super::shared::SharedMember;
use crate::layout::{View, lease_byte};
use crate::packed::{Head, Start, State};
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sync::{Ordering, mutant, order, step};

/// Looks for orphans in which a member leaves a range alone that it gave back itself.
const SHUN_CHECKS: u32 = 3;

impl SharedMember {
    /// The record's lease is held. If it is not idle (its last owner died with a range), what it holds
    /// is worked off first.
    pub(crate) fn enter(view: &View, group: u8, record: u8) -> Result<SharedMember, Corrupt> {
        let mut this = SharedMember::new(view, group, record);
        this.holds = mutant!(
            this.resolve_orphan(view, record)?,
            "enter-trusts-the-record",
            Self::start(view, record).1.state != State::Idle
        );
        Ok(this)
    }

    /// Looks for a member that died with a range, and adopts its record. Returns whether there is
    /// something to hand out now.
    #[cold]
    pub(crate) fn adopt(&mut self, view: &View, leases: &impl Leases) -> Result<bool, Fault> {
        if self.adopted.is_some() {
            return Ok(true);
        }
        for record in records_of(view, self.group) {
            let idle = Self::start(view, record).1.state == State::Idle;
            if idle || record == self.record {
                continue;
            }
            let byte = lease_byte::consumer(record);
            if self.shuns(record)
                || !mutant!(
                    try_take(leases, byte).map_err(Fault::System)?,
                    "adopt-without-lease",
                    true
                )
            {
                continue;
            }
            let resolved = self.resolve_orphan(view, record);
            match mutant!(resolved, "adopter-trusts-its-first-read", resolved.and(Ok(true))) {
                Ok(true) => {
                    self.adopted = Some(record);
                    return Ok(true);
                }
                Ok(false) => give_back(leases, byte),
                Err(corrupt) => {
                    give_back(leases, byte);
                    return Err(Fault::Corrupt(corrupt));
                }
            }
        }
        Ok(false)
    }

    /// Decides what a record whose owner died says: everything is read again, under its lease. Returns
    /// whether it holds a range of this group.
    fn resolve_orphan(&self, view: &View, record: u8) -> Result<bool, Corrupt> {
        let words = &view.record(record).claim;
        // Acquire. pair claim. Before the start: a head that does not name the record proves that a
        // PENDING read after it never succeeded, or has been helped.
        let head =
            Head::unpack(self.words(view).head.load(order!(Acquire, "recovery-head-relaxed")));
        let (word, start) = Self::start(view, record);
        // Relaxed: carried by the start word.
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
                // AcqRel: Acquire and Release, as a helper, which may be at it, too. Relaxed on failure: it
                // was faster.
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
                // Release. pair start. Nobody helps a PENDING whose exchange never happened.
                let release = order!(Release, "recovery-withdraw-relaxed");
                step!(words.start.store(idle.pack(), release), "recovery-leaves-pending");
                step!(notify::room(view), "recovery-wakes-nobody");
                Ok(false)
            }
            State::Evicted => Err(Corrupt("a consumer record is in a state of a newer version")),
        }
    }

    /// Makes the range in `record`, one of this member's two, an orphan while the member lives; the control
    /// lease is held. If it is its own, it goes on with another record, taken before the old one is let
    /// go: to everybody else the old one looks like that of a member that died after its claim. `false`:
    /// all records are in use.
    #[cold]
    pub(crate) fn release(
        &mut self,
        view: &View,
        leases: &impl Leases,
        pid: u32,
        record: u8,
    ) -> io::Result<bool> {
        if self.adopted == Some(record) {
            step!(self.adopted = None, "released-stays-adopted");
        } else if let Some(spare) = take_idle_record(view, leases, self.group, pid)? {
            (self.record, self.offsets.1) = (spare, view.record_offset(spare));
            self.holds = false;
            // The old record keeps what was counted in it.
            step!((self.acked, self.redelivered) = (0, 0), "released-counts-twice");
        } else {
            return Ok(false);
        }
        step!(give_back(leases, lease_byte::consumer(record)), "release-keeps-the-lease");
        // Dropping a lease wakes nobody.
        step!(notify::group(view, self.group), "release-wakes-nobody");
        // For the others to take; this may be the only member, so not for ever.
        self.shunned = Some((record, SHUN_CHECKS));
        Ok(true)
    }

    fn shuns(&mut self, record: u8) -> bool {
        match &mut self.shunned {
            Some((shunned, looks)) if *shunned == record && *looks > 0 => {
                step!(*looks -= 1, "shuns-for-ever");
                true
            }
            _ => false,
        }
    }
}

/// Whether a member of `group` holds something, or is about to. Nobody does in a group with one consumer.
#[cfg(not(slipring_loom))]
pub(crate) fn any_held(view: &View, group: u8) -> bool {
    records_of(view, group).any(|record| SharedMember::start(view, record).1.state != State::Idle)
}

/// Looking for orphans failed.
#[derive(Debug)]
pub(crate) enum Fault {
    Corrupt(Corrupt),
    System(io::Error),
}
