//! Where a consumer's messages come from: the claim of the next ones, and the search of all other places.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::Consumer;
#[cfg(feature = "async")]
use crate::attach::Mapped;
use crate::batch::Batch;
use crate::dead_letter::policy::LETTERS_PER_LOOK;
use crate::error::RecvError;
use crate::layout::View;
use crate::message::Content;
use crate::ring::claim::Claim;
use crate::ring::park::{Waiter, WaiterKind};
use crate::ring::reader::Reader;
use crate::wait::{self, Check, Deadline, FutexPark, MAX_SLEEP, MAX_SLEEP_WHILE_HELD, Waited};

/// One fast check in this many, of an empty queue, also asks the kernel: for dead members, and whether the queue still
/// has its name.
const FULL_CHECK_EVERY: u32 = 4096;

/// Fast checks of a waiting consumer that only try to claim, between two that search everywhere.
const CLAIMS_PER_SEARCH: u32 = 8;

/// A claim, and where it was made.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) claim: Claim,
    pub(crate) source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The consumer's queue.
    Queue,
    /// The queue of dead letters that were sent again to its group.
    Retries,
}

impl<M: Content + ?Sized> Consumer<M> {
    /// Claims the next messages. `None` also where only a search can tell: maintenance is due, messages come again, or
    /// something is wrong. With `LINGER`, for calls that may wait, it waits for a run of messages in a stream.
    #[inline(always)]
    pub(super) fn claim_next<const LINGER: bool>(&mut self, max: usize) -> Option<Claim> {
        let due = self.maintenance.is_time_to_look() && self.maintenance.is_due();
        if due || self.main.attachment.leases.forked() {
            return None;
        }
        let (view, max) = (&self.main.attachment.view, max.max(1) as u64);
        if LINGER {
            self.main.reader.linger(view, max);
        }
        let claim = self.main.reader.claim_fast(view, max)?;
        self.empty_checks = 0;
        // A first delivery, which no limit forbids.
        Some(claim)
    }

    /// Searches once, for a call that does not wait, and lends what it finds. It returns the batch rather than the
    /// claim: with the claim, those of the hot path would go through memory, too.
    #[inline(never)]
    pub(super) fn search_for_batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        let found = self.search(max, Check::Fast)?.ok_or(RecvError::Empty)?;
        self.lend(found)
    }

    /// Searches until it finds something, and lends that.
    #[inline(never)]
    pub(super) fn wait_for_batch(
        &mut self,
        max: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Batch<'_, M>, RecvError> {
        let found = self.wait_for_messages(max, deadline)?;
        self.lend(found)
    }

    /// Searches until it finds something.
    pub(crate) fn wait_for_messages(
        &mut self,
        max: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Found, RecvError> {
        let (view, longest) = (self.view(), Cell::new(MAX_SLEEP_WHILE_HELD));
        let park = FutexPark::new([Waiter::new(&view, self.waiter_kind())], || longest.get());
        let mut wait_state = self.wait_state.clone();
        let mut claims = 0;
        let worked = Cell::new(false);
        let found = wait::until_beside_work(deadline(), &mut wait_state, park, &worked, |check| {
            if check == Check::Fast && claims < CLAIMS_PER_SEARCH {
                claims += 1;
                let claim = self.claim_next::<true>(max);
                return Ok(claim.map(|claim| Found { claim, source: Source::Queue }));
            }
            claims = 0;
            let found = self.search(max, check);
            worked.set(self.letters_left);
            if check == Check::Full && matches!(found, Ok(None)) {
                longest.set(self.longest_sleep());
            }
            found
        })?;
        self.wait_state = wait_state;
        match found {
            Waited::Found(found) => Ok(found),
            Waited::TimedOut => Err(RecvError::Timeout { queue: self.queue() }),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }

    /// Searches each place where a message may be: what a dead member held, the queue, and the retries. Makes dead
    /// letters of messages that have had their last attempt. `None` if there is nothing now, or it has made so many letters
    /// that the caller should ask for the time first ([`Consumer::letters_left`]); an error if nothing will come any more.
    pub(crate) fn search(&mut self, max: usize, check: Check) -> Result<Option<Found>, RecvError> {
        if self.is_forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        // Asked before the search, so that the search finds what that producer sent last.
        let producer_gone =
            self.notices_gone && check == Check::Full && self.main.producer_gone()?;
        if self.maintenance.is_time_to_look() && self.maintenance.is_due() {
            self.maintenance.begin();
            if let Some(found) = self.maintain()? {
                return Ok(Some(found));
            }
        }
        self.letters_left = false;
        let mut letters = 0;
        while let Some(claim) = self.claim_or_adopt(max, check)? {
            if claim.attempts <= self.policy.limit {
                self.retried = false;
                return Ok(Some(Found { claim, source: Source::Queue }));
            }
            Batch::<M>::new(&mut self.main, &mut self.policy, claim).exhaust()?;
            letters += 1;
            if letters == LETTERS_PER_LOOK {
                self.letters_left = true;
                return Ok(None);
            }
        }
        let full = self.is_full_check(check);
        if let Some(found) = self.take_retry(full)? {
            return Ok(Some(found));
        }
        if self.retries.are_left() {
            self.letters_left = true;
            return Ok(None);
        }
        let are_drained = || self.retries.are_drained(&self.main, &self.policy);
        if !self.follows && self.main.has_ended(are_drained) {
            return Err(RecvError::Closed { queue: self.queue() });
        }
        if full && self.main.removed()? {
            return Err(RecvError::Removed { queue: self.queue() });
        }
        if producer_gone {
            return Err(RecvError::ProducerGone { queue: self.queue() });
        }
        Ok(None)
    }

    /// Claims from the queue. If that is empty, adopts what a dead member held: at the first check that finds it empty,
    /// and at full checks.
    fn claim_or_adopt(&mut self, max: usize, check: Check) -> Result<Option<Claim>, RecvError> {
        let mut claim = self.main.take(max)?;
        if claim.is_none() {
            let first = self.empty_checks == 0;
            self.empty_checks = self.empty_checks.wrapping_add(1);
            if (first || self.is_full_check(check)) && self.main.adopt()? {
                claim = self.main.take(max)?;
            }
        }
        if claim.is_some() {
            self.empty_checks = 0;
        }
        Ok(claim)
    }

    fn is_full_check(&self, check: Check) -> bool {
        check == Check::Full || self.empty_checks.is_multiple_of(FULL_CHECK_EVERY)
    }

    /// The regular maintenance of a consumer that always finds messages: adopts what dead members held, and takes
    /// retries.
    fn maintain(&mut self) -> Result<Option<Found>, RecvError> {
        if self.main.adopt()? {
            // The next claim delivers it. There may be more dead members.
            self.maintenance.again();
        }
        // Not twice in a row: the queue's messages would wait for all retries if each receive did maintenance.
        if std::mem::take(&mut self.retried) { Ok(None) } else { self.take_retry(true) }
    }

    fn take_retry(&mut self, full: bool) -> Result<Option<Found>, RecvError> {
        if !self.main.has_retries() {
            return Ok(None);
        }
        let claim = self.retries.take(&self.main, &mut self.policy, full)?;
        self.retried = claim.is_some();
        Ok(claim.map(|claim| Found { claim, source: Source::Retries }))
    }

    /// Lends what was found.
    #[inline(always)]
    pub(crate) fn lend(&mut self, found: Found) -> Result<Batch<'_, M>, RecvError> {
        let membership = match found.source {
            Source::Queue => &mut self.main,
            // Always there: the claim was made through it, and nothing was searched since.
            Source::Retries => self.retries.membership().ok_or(RecvError::Empty)?,
        };
        Ok(Batch::new(membership, &mut self.policy, found.claim))
    }

    /// Lends a batch again that [`Batch::into_claim`] took back.
    pub(crate) fn lend_again(&mut self, found: Found) -> Option<Batch<'_, M>> {
        if self.is_forked() { None } else { self.lend(found).ok() }
    }

    pub(crate) fn view(&self) -> View {
        self.main.attachment.view
    }

    /// Whether the last search stopped because it had made as many letters as one search may, so that there is more.
    pub(crate) fn letters_left(&self) -> bool {
        self.letters_left
    }

    /// The word that it sleeps at. Reads nothing of the segment, which is not mapped in a forked child.
    pub(crate) fn waiter_kind(&self) -> WaiterKind {
        let reader = &self.main.reader;
        WaiterKind::Consumer { group: reader.group(), shared: matches!(reader, Reader::Shared(_)) }
    }

    /// Upper bound on the sleep after a search. The death of a member that holds messages wakes nobody, and neither
    /// does the last ack in a closed queue.
    pub(crate) fn longest_sleep(&self) -> Duration {
        if self.letters_left {
            return Duration::ZERO;
        }
        let held = self.main.others_hold() || self.retries.others_hold();
        let closing = self.main.is_closed() && !self.follows;
        if held || closing { MAX_SLEEP_WHILE_HELD } else { MAX_SLEEP }
    }

    #[cfg(feature = "async")]
    pub(crate) fn mapped(&self) -> &Arc<Mapped> {
        &self.main.attachment.mapped
    }

    /// Whether this is a child process made by fork(2), in which the handle is the parent's.
    pub(crate) fn is_forked(&self) -> bool {
        self.main.attachment.leases.forked()
    }

    /// Whether its group is shared.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.main.reader, Reader::Shared(_))
    }

    /// Deliveries after which a message of its group is a dead letter, if there is a limit.
    pub(crate) fn max_attempts(&self) -> Option<u8> {
        u8::try_from(self.policy.limit).ok()
    }

    /// Which queue it is: the random number that the queue got when it was created.
    pub(crate) fn instance(&self) -> [u64; 2] {
        self.main.attachment.mapped.config.instance
    }

    /// The queue's name, for an error.
    #[cold]
    pub(crate) fn queue(&self) -> Arc<str> {
        self.main.attachment.queue().clone()
    }
}
