//! Where a worker's messages come from: the ring, and the places of messages that are due again.

use std::sync::Arc;
use std::time::Duration;

use super::job::Job;
use super::jobs::Jobs;
use super::{ASKED_MAX, CONTENDED_MAX, Worker};
#[cfg(feature = "async")]
use crate::attach::Mapped;
use crate::dead_letter::policy::LETTERS_PER_LOOK;
use crate::error::RecvError;
use crate::layout::lease_byte;
use crate::message::Content;
use crate::packed::{NEVER, Tick, nanoseconds_of};
use crate::ring::cells::{FULL_LOOK, InHand};
use crate::ring::claim::{Corrupt, Fault};
use crate::ring::close;
use crate::ring::in_flight::Received;
use crate::ring::notify;
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
    #[inline]
    pub(crate) fn search<J>(&mut self, max: usize, check: Check) -> Result<Option<J>, RecvError>
    where
        J: Jobs<M>,
    {
        let mut jobs = J::default();
        Ok(self.search_for(max, check, &mut jobs)?.then_some(jobs))
    }

    /// The same; adds what it finds to `jobs`, and returns whether there was something.
    #[inline]
    pub(super) fn search_for<J>(
        &mut self,
        max: usize,
        check: Check,
        jobs: &mut J,
    ) -> Result<bool, RecvError>
    where
        J: Jobs<M>,
    {
        if self.flight.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        // Asked before the search, so that the search finds what that producer sent last.
        let producer_gone = self.notices_gone && check == Check::Full && self.producer_gone()?;
        self.full = false;
        let full = check == Check::Full
            || self.empty_checks.wrapping_add(1).is_multiple_of(FULL_CHECK_EVERY);
        let mut now = self.flight.clock().now();
        if full || self.settled != now {
            self.settle(now)?;
            now = self.flight.clock().now();
        }
        self.letters_left = false;
        if self.find(max, now, jobs)? {
            self.empty_checks = 0;
            return Ok(true);
        }
        self.found_nothing(full, producer_gone).map(|()| false)
    }

    /// Why there is nothing: an error if nothing will come any more.
    #[cold]
    fn found_nothing(&mut self, full: bool, producer_gone: bool) -> Result<(), RecvError> {
        self.empty_checks = self.empty_checks.wrapping_add(1);
        let (view, group) = (self.flight.view(), self.flight.table().group);
        // Its dead letters come back into its places, and not through a queue of their own.
        if !self.follows && close::has_ended(view, group, || true) {
            return Err(RecvError::Closed { queue: self.queue() });
        }
        // More is there: after so many letters, or for a place that a job of this worker has. Jobs of others may never end.
        let more = self.letters_left || self.full && self.jobs() > 0;
        if full {
            if !more {
                self.check_removed()?;
            }
            self.copies.clear();
            // If no copy is left, each job has let go of its cell before, which this call sees.
            // An operator, or one that puts letters, has said that it is none of those that receive.
            if let Some(flight) = Arc::get_mut(&mut self.flight).filter(|it| it.receives()) {
                // Others then sleep longer.
                self.member.renounce(flight.view());
            }
        }
        if producer_gone && !more {
            return Err(RecvError::ProducerGone { queue: self.queue() });
        }
        Ok(())
    }

    fn find<J>(&mut self, max: usize, mut now: Tick, jobs: &mut J) -> Result<bool, RecvError>
    where
        J: Jobs<M>,
    {
        self.flight.check_clock()?;
        let again = std::mem::take(&mut self.came_again);
        for due in [!again, again] {
            let found = match due {
                true => self.take_due(max, &mut now, jobs)?,
                false => self.receive(max, now, jobs)?,
            };
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Receives from the ring. Returns whether there was something.
    fn receive<J>(&mut self, max: usize, now: Tick, jobs: &mut J) -> Result<bool, RecvError>
    where
        J: Jobs<M>,
    {
        let Worker { flight, member, copies, .. } = self;
        let view = flight.view();
        for _ in 0..CONTENDED_MAX {
            let received = member.receive(view, max.max(1) as u64, now, |message| {
                jobs.push(Job::new(copies.copy(flight, message), message.token));
            });
            match received.map_err(|Corrupt(what)| flight.corrupt(what))? {
                Received::Contended => std::hint::spin_loop(),
                Received::NoCell => {
                    self.full = true;
                    return Ok(false);
                }
                Received::Some => return Ok(true),
                Received::Empty => return Ok(false),
            }
        }
        Err(flight.corrupt("a group's head never stands still"))
    }

    /// Takes messages that are due again: where attempts have a limit, one, so that the one that ends its members is the only
    /// one whose attempts count. One that has had its last attempt becomes a dead letter. Returns whether there was something.
    fn take_due<J>(&mut self, max: usize, now: &mut Tick, jobs: &mut J) -> Result<bool, RecvError>
    where
        J: Jobs<M>,
    {
        let limit = self.flight.limit();
        let max = if limit == u32::MAX { max.max(1) } else { 1 };
        // The next look goes on where this one stops: after a take, the hint says that more is due.
        for _ in 0..LETTERS_PER_LOOK {
            let mut taken = Vec::new();
            self.member.take_due(self.flight.view(), *now, max, &mut taken);
            let Some(last) = taken.pop_if(|message| u32::from(message.attempts) > limit) else {
                return Ok(self.hand_out(taken, jobs));
            };
            self.job(&last).exhaust()?;
            // A letter may take its time.
            *now = self.flight.clock().now();
        }
        self.letters_left = true;
        Ok(false)
    }

    fn hand_out<J>(&mut self, taken: Vec<InHand>, jobs: &mut J) -> bool
    where
        J: Jobs<M>,
    {
        for message in &taken {
            if message.attempts > 1 {
                self.flight.count_redelivery();
            }
            jobs.push(self.job(message));
            self.came_again = true;
        }
        !taken.is_empty()
    }

    pub(super) fn job(&mut self, message: &InHand) -> Job<M> {
        let lent = message.with(&*message.payload);
        Job::new(self.copies.copy(&self.flight, &lent), message.token)
    }

    /// Settles dead members.
    #[cold]
    pub(super) fn settle(&mut self, now: Tick) -> Result<(), RecvError> {
        self.settled = now;
        // All now and then, so that a call which does not wait, after others that were long ago, finds what the dead have left.
        let most = match now.saturating_sub(self.asked_all) >= FULL_LOOK {
            true => u32::MAX,
            false => ASKED_MAX,
        };
        if most > ASKED_MAX {
            self.asked_all = now;
        }
        let attachment = self.flight.attachment();
        let settled = self.member.settle_dead(&attachment.view, &attachment.leases, most);
        settled.map(|_| ()).map_err(|fault| match fault {
            Fault::Corrupt(Corrupt(what)) => self.flight.corrupt(what),
            Fault::System(source) => {
                attachment.system("find out which consumers are dead")(source).into()
            }
        })
    }

    fn producer_gone(&self) -> Result<bool, RecvError> {
        let attachment = self.flight.attachment();
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
        if self.full {
            notify::any_room(view);
        }
        let others = records::records_of(view, table.group)
            .any(|record| settle::may_have_left(view, record));
        let closing = !self.follows && close::closed_at(view).is_some();
        let bound = if others || closing { MAX_SLEEP_WHILE_HELD } else { MAX_SLEEP };
        let next = table.look_due(view);
        let wait = next.saturating_sub(self.flight.clock().now()).min(NEVER);
        // What it leaves to others is due for them.
        let least =
            if self.member.skipped { MAX_SLEEP_WHILE_HELD } else { Duration::from_millis(1) };
        bound.min(Duration::from_nanos(nanoseconds_of(wait)).max(least))
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
