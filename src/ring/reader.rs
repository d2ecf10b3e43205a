//! One consumer, of either kind of group.

use std::io;

use super::claim::{Claim, Corrupt};
use super::exclusive::ExclusiveConsumer;
use super::recovery::Fault;
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

    /// The consumer record whose lease makes this reader alive in the eyes of others.
    pub(crate) fn record(&self) -> u8 {
        match self {
            Reader::Exclusive(member) => member.record,
            Reader::Shared(member) => member.record,
        }
    }

    /// Deliveries after which a message is not counted any more.
    pub(crate) fn set_limit(&mut self, limit: u8) {
        match self {
            Reader::Exclusive(member) => member.limit = limit,
            Reader::Shared(member) => member.limit = limit,
        }
    }

    /// The record of a dead member whose range this reader works off.
    pub(crate) fn adopted(&self) -> Option<u8> {
        match self {
            Reader::Exclusive(_) => None,
            Reader::Shared(member) => mutant!(member.adopted, "adopted-is-not-known", None),
        }
    }

    /// Whether it holds something that was delivered and not acked.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Reader::Exclusive(member) => member.holds(),
            Reader::Shared(member) => member.holds(),
        }
    }

    /// The group's head: the next sequence to be acked, or to be claimed in a shared group.
    pub(crate) fn head(&self, view: &View) -> u64 {
        match self {
            Reader::Exclusive(member) => member.head(),
            // Relaxed: a figure.
            Reader::Shared(member) => {
                Head::unpack(view.group(member.group).head.load(Ordering::Relaxed)).seq
            }
        }
    }

    /// Waits a moment for a run of messages, in a stream; see [`super::available`].
    #[inline(always)]
    pub(crate) fn linger(&mut self, view: &View, max: u64) {
        match self {
            Reader::Exclusive(member) => member.linger(view, max),
            Reader::Shared(member) => member.linger(view, max),
        }
    }

    /// Whether it ever does.
    pub(crate) fn set_lingering(&mut self, on: bool) {
        match self {
            Reader::Exclusive(member) => member.set_lingering(on),
            Reader::Shared(member) => member.set_lingering(on),
        }
    }

    /// Takes up to `max` messages, at least 1, on the shortest way; `None` says nothing.
    #[inline(always)]
    pub(crate) fn claim_fast(&mut self, view: &View, max: u64) -> Option<Claim> {
        match self {
            Reader::Exclusive(member) => member.claim_fast(view, max),
            Reader::Shared(member) => member.claim_fast(view, max),
        }
    }

    /// Takes up to `max` messages, at least 1.
    #[inline]
    pub(crate) fn claim(&mut self, view: &View, max: u64) -> Result<Claimed, Corrupt> {
        match self {
            Reader::Exclusive(member) => {
                Ok(member.claim(view, max)?.map_or(Claimed::Empty, Claimed::Range))
            }
            Reader::Shared(member) => member.claim(view, max),
        }
    }

    /// Adds up to `max` of the messages behind `claim` to it; `None`: other members take those.
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

    /// The delivery of the first message of `claim`, its `attempts`-th, is not to count.
    #[cold]
    pub(crate) fn uncount(&self, view: &View, claim: &Claim, attempts: u8) {
        match self {
            Reader::Exclusive(member) => member.uncount(view, attempts),
            Reader::Shared(member) => member.uncount(view, claim, attempts),
        }
    }

    /// Gives what this reader holds in `record` back to its group; the control lease is held. `false`: there is no
    /// record to go on with, and nothing has changed.
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

    /// Looks for what dead members of the group left behind; there is something to claim if `true`. Who
    /// holds something already leaves it to the others: it would wait behind that.
    pub(crate) fn adopt(&mut self, view: &View, leases: &impl Leases) -> Result<bool, Fault> {
        match self {
            Reader::Exclusive(_) => Ok(false),
            Reader::Shared(member) if member.holds() => Ok(true),
            Reader::Shared(member) => member.adopt(view, leases),
        }
    }
}
