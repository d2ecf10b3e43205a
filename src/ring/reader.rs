//! A consumer of either kind of group, for the handles above.

use std::io;

use super::claim::Fault;
use super::claim::{Claim, Corrupt};
use super::exclusive::ExclusiveConsumer;
use super::shared::{Claimed, SharedMember};
use crate::layout::View;
use crate::packed::Head;
use crate::sync::lease::Leases;
use crate::sync::{Ordering, mutant};

/// What a consumer handle reads with.
#[derive(Debug)]
pub(crate) enum Reader {
    Exclusive(ExclusiveConsumer),
    Shared(SharedMember),
}

impl Reader {
    pub(crate) fn group(&self) -> u8 {
        match self {
            Reader::Exclusive(member) => member.group,
            Reader::Shared(member) => member.group,
        }
    }

    /// The consumer record whose lease shows others that this consumer lives.
    pub(crate) fn record(&self) -> u8 {
        match self {
            Reader::Exclusive(member) => member.record,
            Reader::Shared(member) => member.record,
        }
    }

    /// Sets the number of deliveries after which a message is not counted any more.
    pub(crate) fn set_limit(&mut self, limit: u8) {
        match self {
            Reader::Exclusive(member) => member.limit = limit,
            Reader::Shared(member) => member.limit = limit,
        }
    }

    /// The record of a dead member whose range this consumer works off.
    pub(crate) fn adopted(&self) -> Option<u8> {
        match self {
            Reader::Exclusive(_) => None,
            Reader::Shared(member) => mutant!(member.adopted, "adopted-is-not-known", None),
        }
    }

    /// Whether it holds messages that were delivered and not acked.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Reader::Exclusive(member) => member.holds(),
            Reader::Shared(member) => member.holds(),
        }
    }

    /// The group's head: the next sequence to be acked; in a shared group, to be claimed.
    pub(crate) fn head(&self, view: &View) -> u64 {
        match self {
            Reader::Exclusive(member) => member.head(),
            // Relaxed: a figure for people.
            Reader::Shared(member) => {
                Head::unpack(view.group(member.group).head.load(Ordering::Relaxed)).seq
            }
        }
    }

    /// Waits for a run of messages, in a stream; see [`super::available`].
    #[inline(always)]
    pub(crate) fn linger(&mut self, view: &View, max: u64) {
        match self {
            Reader::Exclusive(member) => member.linger(view, max),
            Reader::Shared(member) => member.linger(view, max),
        }
    }

    /// Sets whether this consumer ever lingers.
    pub(crate) fn set_lingering(&mut self, on: bool) {
        match self {
            Reader::Exclusive(member) => member.set_lingering(on),
            Reader::Shared(member) => member.set_lingering(on),
        }
    }

    /// Claims up to `max` messages, at least 1, on the shortest path; `None` does not mean that there are none.
    #[inline(always)]
    pub(crate) fn claim_fast(&mut self, view: &View, max: u64) -> Option<Claim> {
        match self {
            Reader::Exclusive(member) => member.claim_fast(view, max),
            Reader::Shared(member) => member.claim_fast(view, max),
        }
    }

    /// Claims up to `max` messages, at least 1.
    #[inline]
    pub(crate) fn claim(&mut self, view: &View, max: u64) -> Result<Claimed, Corrupt> {
        match self {
            Reader::Exclusive(member) => {
                Ok(member.claim(view, max)?.map_or(Claimed::Empty, Claimed::Range))
            }
            Reader::Shared(member) => member.claim(view, max),
        }
    }

    /// Adds up to `max` of the messages after `claim` to it. `None`: in a shared group other members take those.
    pub(crate) fn grow(
        &mut self,
        view: &View,
        claim: &mut Claim,
        max: u64,
    ) -> Option<Result<u64, Corrupt>> {
        match self {
            Reader::Exclusive(member) => Some(member.grow(view, claim, max)),
            Reader::Shared(_) => None,
        }
    }

    /// Acks `claim` up to, not including, `to`.
    #[inline(always)]
    pub(crate) fn ack(&mut self, view: &View, leases: &impl Leases, claim: &mut Claim, to: u64) {
        match self {
            Reader::Exclusive(member) => member.ack(view, claim, to),
            Reader::Shared(member) => member.ack(view, leases, claim, to),
        }
    }

    /// Takes back the count of the `attempts`-th delivery of the first message of `claim`.
    #[cold]
    pub(crate) fn uncount(&self, view: &View, claim: &Claim, attempts: u8) {
        match self {
            Reader::Exclusive(member) => member.uncount(view, attempts),
            Reader::Shared(member) => member.uncount(view, claim, attempts),
        }
    }

    /// Gives the range that this consumer holds in `record` back to its group; the control lease is held. `false`: no
    /// record is free to go on with, and nothing has changed.
    pub(crate) fn release(
        &mut self,
        view: &View,
        leases: &impl Leases,
        pid: u32,
        record: u8,
    ) -> io::Result<bool> {
        match self {
            Reader::Exclusive(_) => Ok(true),
            Reader::Shared(member) => member.release(view, leases, pid, record),
        }
    }

    /// Searches for a range of a dead member. Returns whether there is a range to claim. A consumer that holds a range
    /// already leaves orphans to the others: they would have to wait for it.
    pub(crate) fn adopt(&mut self, view: &View, leases: &impl Leases) -> Result<bool, Fault> {
        match self {
            Reader::Exclusive(_) => Ok(false),
            Reader::Shared(member) if member.holds() => Ok(true),
            Reader::Shared(member) => member.adopt(view, leases),
        }
    }
}
