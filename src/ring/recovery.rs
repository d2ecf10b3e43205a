//! Recovery in a shared group: a live member adopts the range of a dead one. And release: a live member gives a
//! range back, which looks to the others as if it had died.
//!
//! A dead member's lease is free. The adopter takes it, and judges the record by what it says then:
//!
//! | start | head | meaning | result |
//! | --- | --- | --- | --- |
//! | IDLE | any | the member held nothing | the lease is given back |
//! | HELD | any | it held the range | adopted |
//! | PENDING | names the record, at the end of its range | it died after the exchange | HELD, adopted |
//! | PENDING | any other | it died before the exchange, or the exchange failed | IDLE; the producer is notified |
//!
//! A PENDING read after a head that does not name the record never succeeded: before a member moves the head on, it
//! makes the PENDING of the claim that the head names HELD (`shared`, step 1). So the head is read first (pair claim).

use std::io;

use super::claim::{Corrupt, Fault};
use super::notify;
use super::records::{records_of, take_idle_record};
use super::shared::SharedMember;
use crate::layout::{View, lease_byte};
use crate::packed::State;
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sync::{mutant, step};

/// Searches for orphans in which a member ignores a range that it gave back.
const SHUN_CHECKS: u32 = 3;

impl SharedMember {
    /// Makes a member with `record`, whose lease is held. If the record's last owner died with a range, the member
    /// holds that range first.
    pub(crate) fn enter(view: &View, group: u8, record: u8) -> Result<SharedMember, Corrupt> {
        let mut this = SharedMember::new(view, group, record);
        this.holds = mutant!(
            this.resolve_orphan(view, record)?,
            "enter-trusts-the-record",
            Self::start(view, record).1.state != State::Idle
        );
        Ok(this)
    }

    /// Searches for a member that died with a range, and adopts its record. Returns whether there is a range to
    /// claim.
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

    /// Gives `record`, one of this member's two, to the group as an orphan; the control lease is held. For its own
    /// record it first takes another one. Others cannot tell the released record from that of a member that died
    /// after its claim. Returns `false` if all records are in use.
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
            (self.record, self.places.1) = (spare, view.record_place(spare));
            self.holds = false;
        } else {
            return Ok(false);
        }
        step!(give_back(leases, lease_byte::consumer(record)), "release-keeps-the-lease");
        // A lease that is given back wakes nobody.
        step!(notify::group(view, self.group), "release-wakes-nobody");
        // Other members are to take it. This may be the only member, so it ignores the range for a while only.
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

/// Whether a member of `group` holds a range, or is about to. In an exclusive group, none does.
#[cfg(not(slipring_loom))]
pub(crate) fn any_held(view: &View, group: u8) -> bool {
    records_of(view, group).any(|record| SharedMember::start(view, record).1.state != State::Idle)
}
