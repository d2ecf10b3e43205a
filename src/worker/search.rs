//! Where a worker's messages come from: the ring, and the places of messages that are due again.

#[cfg(feature = "async")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::flight::Core;
use super::job::Job;
use super::{CONTENDED_MAX, SETTLE_EVERY, Worker};
#[cfg(feature = "async")]
use crate::attach::Mapped;
use crate::dead_letter::policy::LETTERS_PER_LOOK;
use crate::error::RecvError;
use crate::layout::lease_byte;
use crate::message::Content;
use crate::packed::{NEVER, nanoseconds_of};
use crate::ring::claim::{Corrupt, Fault};
use crate::ring::close;
use crate::ring::in_flight::Received;
#[cfg(feature = "async")]
use crate::ring::park::WaiterKind;
use crate::ring::records;
use crate::ring::settle;
use crate::wait::{Check, MAX_SLEEP, MAX_SLEEP_WHILE_HELD};

/// One fast check in this many, of an empty queue, also asks the kernel whether the queue still has its name.
const FULL_CHECK_EVERY: u32 = 4096;

impl<M: Content + ?Sized> Worker<M> {
    /// Looks once for messages: those that are due again and those of the ring, in turn. Makes dead letters of messages
    /// that have had their last attempt. `None` if there is nothing now; an error if nothing will come any more.
    pub(crate) fn search(
        &mut self,
        max: usize,
        check: Check,
    ) -> Result<Option<Vec<Job<M>>>, RecvError> {
        if self.flight.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        // Asked before the search, so that the search finds what that producer sent last.
        let producer_gone = self.notices_gone && check == Check::Full && self.producer_gone()?;
        self.full = false;
        let full = check == Check::Full
            || self.empty_checks.wrapping_add(1).is_multiple_of(FULL_CHECK_EVERY);
        if full || self.settled.elapsed() >= SETTLE_EVERY {
            self.settle()?;
        }
        self.letters_left = false;
        let found = self.find(max)?;
        if found.is_some() {
            self.empty_checks = 0;
            return Ok(found);
        }
        self.empty_checks = self.empty_checks.wrapping_add(1);
        let (view, group) = (self.flight.view(), self.flight.table().group);
        // Its dead letters come back into its places, and not through a queue of their own.
        if !self.follows && close::has_ended(view, group, || true) {
            return Err(RecvError::Closed { queue: self.queue() });
        }
        if full {
            self.check_removed()?;
            if self.flight.jobs() == 0 {
                // Others then sleep longer.
                self.flight.core().member.renounce(view);
            }
        }
        if producer_gone {
            return Err(RecvError::ProducerGone { queue: self.queue() });
        }
        Ok(None)
    }

    fn find(&mut self, max: usize) -> Result<Option<Vec<Job<M>>>, RecvError> {
        let again = std::mem::take(&mut self.came_again);
        for due in [!again, false, again] {
            let jobs = if due { self.take_due(max)? } else { self.receive(max)? };
            if !jobs.is_empty() {
                return Ok(Some(jobs));
            }
        }
        Ok(None)
    }

    /// Receives from the ring.
    fn receive(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        let (view, mut messages) = (self.flight.view(), Vec::new());
        let now = self.flight.clock().now_or_later();
        let mut core = self.flight.receiver()?;
        for _ in 0..CONTENDED_MAX {
            let received = core.member.receive(view, max.max(1) as u64, now, &mut messages);
            match received.map_err(|Corrupt(what)| self.flight.corrupt(what))? {
                Received::Contended => std::hint::spin_loop(),
                Received::NoCell => {
                    self.full = true;
                    return Ok(Vec::new());
                }
                Received::Some | Received::Empty => {
                    let jobs = messages.into_iter().map(|message| Job::new(&self.flight, message));
                    return Ok(jobs.collect());
                }
            }
        }
        Err(self.flight.corrupt("a group's head never stands still"))
    }

    /// Takes messages that are due again: where attempts have a limit, one, so that the one that ends its members is the only
    /// one whose attempts count. One that has had its last attempt becomes a dead letter.
    fn take_due(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        let limit = self.flight.limit();
        let max = if limit == u32::MAX { max.max(1) } else { 1 };
        // The next look goes on where this one stops: after a take, the hint says that more is due.
        for _ in 0..LETTERS_PER_LOOK {
            let (now, mut taken) = (self.flight.clock().now(), Vec::new());
            self.flight.receiver()?.member.take_due(self.flight.view(), now, max, &mut taken);
            let jobs = taken.into_iter().map(|message| Job::new(&self.flight, message));
            let mut jobs: Vec<Job<M>> = jobs.collect();
            if jobs.is_empty() {
                return Ok(jobs);
            }
            if let Some(worn_out) = jobs.pop_if(|job| u32::from(job.attempts()) > limit) {
                worn_out.exhaust()?;
                continue;
            }
            self.came_again = true;
            for _ in jobs.iter().filter(|job| job.redelivered()) {
                self.flight.count_redelivery();
            }
            return Ok(jobs);
        }
        self.letters_left = true;
        Ok(Vec::new())
    }

    /// Settles dead members.
    #[cold]
    fn settle(&mut self) -> Result<(), RecvError> {
        self.settled = Instant::now();
        let mut core = self.flight.core();
        let Core { attachment, member, .. } = &mut *core;
        let settled = member.settle_dead(&attachment.view, &attachment.leases);
        settled.map(|_| ()).map_err(|fault| match fault {
            Fault::Corrupt(Corrupt(what)) => self.flight.corrupt(what),
            Fault::System(source) => {
                attachment.system("find out which consumers are dead")(source).into()
            }
        })
    }

    fn producer_gone(&self) -> Result<bool, RecvError> {
        let Core { attachment, .. } = &*self.flight.core();
        let held = || attachment.leases.is_held(lease_byte::PRODUCER);
        let gone = close::producer_gone(&attachment.view, held);
        Ok(gone.map_err(attachment.system("find out whether there is a producer"))?)
    }

    /// Upper bound on the sleep after a search that found nothing: a death and the last ack of a closed queue wake nobody,
    /// and neither does time.
    pub(crate) fn longest_sleep(&self) -> Duration {
        if self.letters_left {
            return Duration::ZERO;
        }
        let (view, table) = (self.flight.view(), self.flight.table());
        let others = records::records_of(view, table.group)
            .any(|record| settle::may_have_left(view, record));
        let closing = !self.follows && close::closed_at(view).is_some();
        let bound = if others || closing { MAX_SLEEP_WHILE_HELD } else { MAX_SLEEP };
        let next = table.look_due(view);
        let wait = next.saturating_sub(self.flight.clock().now()).min(NEVER);
        bound.min(Duration::from_nanos(nanoseconds_of(wait)).max(Duration::from_millis(1)))
    }

    /// The word that it sleeps at. What makes a message due at once wakes both.
    #[cfg(feature = "async")]
    pub(crate) fn waiter_kind(&self, for_a_cell: bool) -> WaiterKind {
        let group = self.flight.table().group;
        if for_a_cell {
            WaiterKind::Cell { group }
        } else {
            WaiterKind::Consumer { group, shared: true }
        }
    }

    #[cfg(feature = "async")]
    pub(crate) fn mapped(&self) -> &Arc<Mapped> {
        self.flight.mapped()
    }
}
