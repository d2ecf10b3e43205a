//! How a consumer comes by its messages: on the shortest way, or wherever else one may be.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::Consumer;
use crate::attach::Attachment;
#[cfg(feature = "async")]
use crate::attach::Mapped;
use crate::batch::Batch;
use crate::error::RecvError;
use crate::layout::View;
use crate::message::Content;
use crate::ring::claim::Claim;
use crate::ring::park::{Waiter, WaiterKind};
use crate::ring::reader::Reader;
use crate::wait::{self, Check, Deadline, FutexPark, MAX_SLEEP, MAX_SLEEP_WHILE_HELD, Waited};

/// Quick looks at an empty queue ask the system once in so many times whether it still has its name.
const FULL_CHECK_EVERY: u32 = 4096;

/// Quick looks of one that waits, at the next message only, between two that look everywhere.
const QUICK: u32 = 8;

impl<M: Content + ?Sized> Consumer<M> {
    /// Claims on the shortest way. `None` also if a slower look is due, or finds out what is wrong.
    #[inline(always)]
    pub(super) fn claim_at_once(&mut self, max: usize) -> Option<Claim> {
        self.claim_by::<false>(max)
    }

    /// The same in a call that may wait: in a stream, it lingers for a run of messages.
    #[inline(always)]
    pub(super) fn claim_soon(&mut self, max: usize) -> Option<Claim> {
        self.claim_by::<true>(max)
    }

    #[inline(always)]
    fn claim_by<const LINGER: bool>(&mut self, max: usize) -> Option<Claim> {
        if self.maintenance.is_due() || self.main.attachment.leases.forked() {
            return None;
        }
        let (view, max) = (&self.main.attachment.view, max.max(1) as u64);
        if LINGER {
            self.main.reader.linger(view, max);
        }
        let claim = self.main.reader.claim_fast(view, max)?;
        self.empty_looks = 0;
        // A first delivery, which no limit forbids.
        Some(claim)
    }

    /// Makes any other claim that can be made now, and leaves it in `found`. Returns whether there is one; else `failure`
    /// says why.
    #[inline(never)]
    pub(super) fn find_now(&mut self, max: usize) -> bool {
        self.find(max, Check::Fast).unwrap_or_else(|fault| {
            self.failed = Some(fault);
            false
        })
    }

    /// Why `find_now` found nothing. An error that is made among the claims makes each of them longer.
    #[cold]
    #[inline(never)]
    pub(super) fn failure(&mut self) -> RecvError {
        self.failed.take().unwrap_or(RecvError::Empty)
    }

    /// Waits for one message as long as it takes, and leaves its claim in `found`.
    pub(crate) fn find_one(&mut self) -> Result<(), RecvError> {
        self.wait(1, || Deadline::NEVER)
    }

    /// Makes any other claim, and leaves it in `found`. Returns whether there is one.
    pub(crate) fn find(&mut self, max: usize, check: Check) -> Result<bool, RecvError> {
        let found = self.search(max, check)?;
        Ok(self.keep(found))
    }

    /// The same, waiting.
    #[inline(never)]
    pub(super) fn wait(
        &mut self,
        max: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<(), RecvError> {
        let (view, longest) = (self.view(), Cell::new(MAX_SLEEP_WHILE_HELD));
        let park = FutexPark::new([Waiter::new(&view, self.word())], || longest.get());
        let mut wait_state = self.wait_state.clone();
        let mut quick = 0;
        let found = wait::until(deadline(), &mut wait_state, park, |check| {
            // Most looks are for the next message alone.
            if check == Check::Fast && quick < QUICK {
                quick += 1;
                let found = self.claim_soon(max);
                return Ok(found.map(|claim| Found { claim, retried: false }));
            }
            quick = 0;
            let found = self.search(max, check);
            if check == Check::Full {
                longest.set(self.longest_sleep());
            }
            found
        })?;
        self.wait_state = wait_state;
        match found {
            Waited::Found(found) => {
                self.found = Some(found);
                Ok(())
            }
            Waited::TimedOut => Err(timed_out(&self.main.attachment)),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }

    pub(crate) fn view(&self) -> View {
        self.main.attachment.view
    }

    /// Where it sleeps. Asks nothing of the segment, which is out of reach in a forked child.
    pub(crate) fn word(&self) -> WaiterKind {
        let reader = &self.main.reader;
        WaiterKind::Consumer { group: reader.group(), shared: matches!(reader, Reader::Shared(_)) }
    }

    /// How long it may sleep after a look: what another member holds comes by its death, which wakes nobody.
    pub(crate) fn longest_sleep(&self) -> Duration {
        let held = self.main.others_hold() || self.retries.others_hold();
        // The last ack of a closed queue wakes nobody either.
        if held || (self.main.is_closed() && !self.follows) {
            MAX_SLEEP_WHILE_HELD
        } else {
            MAX_SLEEP
        }
    }

    #[cfg(feature = "async")]
    pub(crate) fn mapped(&self) -> &Arc<Mapped> {
        &self.main.attachment.mapped
    }

    /// Lends again what was lent last and given up by [`Batch::into_claim`]; not in a forked child.
    pub(crate) fn lend_again(&mut self, claim: Claim) -> Option<Batch<'_, M>> {
        if self.main.attachment.leases.forked() {
            return None;
        }
        self.found = Some(Found { claim, retried: self.retried });
        self.lend().ok()
    }

    /// The queue's name, for an error.
    #[cold]
    pub(super) fn queue(&self) -> Arc<str> {
        self.main.attachment.queue().clone()
    }

    fn keep(&mut self, found: Option<Found>) -> bool {
        let any = found.is_some();
        self.found = found;
        any
    }

    /// Lends what `found` holds; there is something in it wherever this is called.
    #[inline(always)]
    pub(crate) fn lend(&mut self) -> Result<Batch<'_, M>, RecvError> {
        let Some(Found { claim, retried }) = self.found.take() else {
            return Err(RecvError::Empty);
        };
        self.retried = retried;
        let membership = if retried {
            match self.retries.membership() {
                Some(membership) => membership,
                None => return Err(RecvError::Empty),
            }
        } else {
            &mut self.main
        };
        Ok(Batch::new(membership, &mut self.policy, claim))
    }

    /// Looks wherever a message may be, and gives up those that were delivered too often.
    fn search(&mut self, max: usize, check: Check) -> Result<Option<Found>, RecvError> {
        if self.main.attachment.leases.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        // Before the look, which then finds what it sent last.
        let gone = self.notices_gone && check == Check::Full && self.main.producer_gone()?;
        if self.maintenance.is_due()
            && self.maintenance.begin()
            && let Some(found) = self.look_around()?
        {
            return Ok(Some(found));
        }
        loop {
            let claim = match self.main.take(max)? {
                None if self.orphans(check)? => self.main.take(max)?,
                claim => claim,
            };
            if claim.is_some() {
                self.empty_looks = 0;
            }
            match claim {
                Some(claim) if claim.attempts <= self.policy.limit => {
                    return Ok(Some(Found { claim, retried: false }));
                }
                Some(claim) => {
                    Batch::<M>::new(&mut self.main, &mut self.policy, claim).exhaust()?;
                }
                None => {
                    let found = self.search_elsewhere(check)?;
                    let end = found.is_none() && gone;
                    return if end {
                        Err(RecvError::ProducerGone { queue: self.queue() })
                    } else {
                        Ok(found)
                    };
                }
            }
        }
    }

    /// Nothing in the queue: looks for what dead members left behind, at the first such look and then once
    /// in a while.
    fn orphans(&mut self, check: Check) -> Result<bool, RecvError> {
        let first = self.empty_looks == 0;
        self.empty_looks = self.empty_looks.wrapping_add(1);
        Ok((first || self.asks(check)) && self.main.adopt()?)
    }

    fn asks(&self, check: Check) -> bool {
        check == Check::Full || self.empty_looks.is_multiple_of(FULL_CHECK_EVERY)
    }

    fn search_elsewhere(&mut self, check: Check) -> Result<Option<Found>, RecvError> {
        let asks = self.asks(check);
        let found = self.search_retries(asks)?;
        if found.is_some() {
            return Ok(found);
        }
        let are_drained = || self.retries.are_drained(&self.main, &self.policy);
        if !self.follows && self.main.has_ended(are_drained) {
            return Err(RecvError::Closed { queue: self.queue() });
        }
        if asks && self.main.removed()? {
            return Err(RecvError::Removed { queue: self.queue() });
        }
        Ok(None)
    }

    fn search_retries(&mut self, thorough: bool) -> Result<Option<Found>, RecvError> {
        if !self.main.has_retries() {
            return Ok(None);
        }
        let claim = self.retries.take(&self.main, &mut self.policy, thorough)?;
        Ok(claim.map(|claim| Found { claim, retried: true }))
    }

    /// A busy consumer, too, looks for what dead members left behind, and for messages that come again.
    fn look_around(&mut self) -> Result<Option<Found>, RecvError> {
        if self.main.adopt()? {
            // The next claim hands it out; where there was one there may be more.
            self.maintenance.again();
        }
        // In turn with the queue, whose messages would wait for all retries if each receive made a round.
        if std::mem::take(&mut self.retried) { Ok(None) } else { self.search_retries(true) }
    }
}

#[cold]
fn timed_out(attachment: &Attachment) -> RecvError {
    RecvError::Timeout { queue: attachment.queue().clone() }
}

/// A claim, and where it was made.
#[derive(Debug)]
pub(super) struct Found {
    claim: Claim,
    retried: bool,
}
