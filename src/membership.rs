//! A consumer's membership in one group of one queue.

use std::sync::Arc;
use std::time::Duration;

use crate::attach::{Attachment, Mapped};
use crate::error::{ControlError, JoinError, RecvError, SystemError};
use crate::group::{self, Group, Mode};
use crate::layout::{Identity, Meta, lease_byte};
use crate::ring::ack_set::AckSet;
use crate::ring::cells::Table;
use crate::ring::claim::{Claim, Corrupt, Fault};
use crate::ring::close::{closed_at, has_ended, has_retries, producer_gone};
use crate::ring::exclusive::ExclusiveConsumer;
use crate::ring::figures;
use crate::ring::groups;
use crate::ring::notify;
use crate::ring::observe::tail;
use crate::ring::reader::Reader;
use crate::ring::records::{self, Purpose};
use crate::ring::recovery::any_held;
use crate::ring::shared::{Claimed, SharedMember};
use crate::segment::QueueName;
use crate::sys::holder;

/// Claims in a row that other members may win before the head counts as damaged.
const CONTENDED_MAX: u32 = 1 << 16;
/// Longest time that a dropped consumer waits to leave its group. If it fails, the others find it gone by its lease, as
/// after a death.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);

/// A consumer's place in its group: everything that it receives through. Dropping it leaves the group.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) reader: Reader,
    pub(crate) attachment: Attachment,
    pub(crate) acked: AckSet,
    /// How messages of this ring are shown.
    pub(crate) retry_view: RetryView,
    /// How long leaving and releasing wait for other control operations.
    pub(crate) control_timeout: Duration,
    /// Whether it lends one message at a time.
    pub(crate) one_at_a_time: bool,
    pub(crate) left: bool,
    purpose: Purpose,
}

/// How a message is shown that comes again through a queue of retries: with its first sequence, and without the
/// envelope after its payload. All 0 for a message that is shown as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryView {
    /// Added to a sequence, wrapping.
    pub(crate) shift: u64,
    /// Bytes cut off the end.
    pub(crate) trailer: usize,
}

impl RetryView {
    #[inline]
    pub(crate) fn sequence(self, seq: u64) -> u64 {
        seq.wrapping_add(self.shift)
    }

    /// Whether the message is a dead letter that was sent again.
    #[inline]
    pub(crate) fn requeued(self) -> bool {
        self.trailer != 0
    }

    #[inline]
    pub(crate) fn len(self, meta: Meta) -> usize {
        meta.len.saturating_sub(self.trailer)
    }
}

/// What a consumer learns of its group when it joins.
#[derive(Debug)]
pub(crate) struct Joined {
    /// The group did not exist before.
    pub(crate) made: bool,
    /// A consumer has joined it before.
    pub(crate) resumed: bool,
    /// Deliveries after which a message is a dead letter, if there is a limit.
    pub(crate) max_attempts: Option<u8>,
    /// Queue of the group's dead letters, if the group names one.
    pub(crate) target: Option<QueueName>,
}

impl Membership {
    pub(crate) fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
    ) -> Result<(Membership, Joined), JoinError> {
        group.check(mapped.name.shared())?;
        let attachment = Attachment::new(mapped)?;
        let guard = attachment.control(timeout)?;
        let system = attachment.system("take a consumer's lease");
        let (view, leases) = (&attachment.view, &attachment.leases);
        let for_workers = || {
            let (queue, group) = (attachment.queue().clone(), group.name.clone());
            Err(JoinError::InFlight { queue, group, has: true })
        };
        if group.in_flight.is_some() && group::find(view, &group.name).is_none() {
            // Before it is made.
            return for_workers();
        }
        let (index, existed) = group::find_or_make(&attachment, group)?;
        if Table::of(view, index).is_ok_and(|table| table.is_some()) {
            return for_workers();
        }
        let (made, resumed) = (!existed, groups::was_joined(view, index));
        if group.mode == Mode::Exclusive
            && let Some(record) = records::live_member(view, leases, index).map_err(system)?
        {
            let pid = group::pid_of(view, record);
            let (queue, group) = (attachment.queue().clone(), group.name.clone());
            let own = holder::is_own(pid, attachment.mapped.id(), lease_byte::consumer(record));
            return Err(JoinError::Taken { queue, group, pid, own });
        }
        let (identity, target) = Identity::load_with_target(view.group(index)).unzip();
        let max_attempts = identity.as_ref().and_then(group::limit_of);
        let corrupt =
            |Corrupt(what)| JoinError::Corrupt { queue: attachment.queue().clone(), what };
        let target = target.as_ref().map_or(Ok(None), group::target_name).map_err(corrupt)?;
        let pid = std::process::id();
        let taken = records::take_record(view, leases, index, pid, group.purpose());
        if made && !matches!(taken, Ok(Some(_))) {
            // Leave no half-made group.
            groups::remove_group(view, leases, index).map_err(system)?;
        }
        let Some(record) = taken.map_err(system)? else {
            let (max, live) = group::consumers(&attachment)?;
            return Err(JoinError::TooManyConsumers {
                queue: attachment.queue().clone(),
                max,
                live,
            });
        };
        drop(guard);
        let mut reader = match group.mode {
            Mode::Exclusive => Reader::Exclusive(ExclusiveConsumer::resume(view, index, record)),
            Mode::Shared => {
                Reader::Shared(SharedMember::enter(view, index, record).map_err(corrupt)?)
            }
        };
        if let Some(limit) = max_attempts {
            reader.set_limit(limit);
        }
        let (acked, retry_view) = (AckSet::default(), RetryView::default());
        let (one_at_a_time, left, control_timeout) = (false, false, timeout);
        let membership = Membership {
            reader,
            attachment,
            acked,
            retry_view,
            control_timeout,
            one_at_a_time,
            left,
            purpose: group.purpose(),
        };
        Ok((membership, Joined { made, resumed, max_attempts, target }))
    }

    /// Claims up to `max` messages. A claim that other members won every time starts over: each of them made progress.
    #[inline]
    pub(crate) fn take(&mut self, max: usize) -> Result<Option<Claim>, RecvError> {
        match self.reader.claim(&self.attachment.view, max.max(1) as u64) {
            Ok(Claimed::Range(claim)) => Ok(Some(claim)),
            Ok(Claimed::Empty) => Ok(None),
            Ok(Claimed::Contended) => self.take_again(max),
            Err(Corrupt(what)) => Err(self.corrupt(what)),
        }
    }

    #[cold]
    fn take_again(&mut self, max: usize) -> Result<Option<Claim>, RecvError> {
        for _ in 0..CONTENDED_MAX {
            std::hint::spin_loop();
            match self.reader.claim(&self.attachment.view, max.max(1) as u64) {
                Ok(Claimed::Range(claim)) => return Ok(Some(claim)),
                Ok(Claimed::Empty) => return Ok(None),
                Ok(Claimed::Contended) => {}
                Err(Corrupt(what)) => return Err(self.corrupt(what)),
            }
        }
        Err(self.corrupt("a group's head never stands still"))
    }

    #[cold]
    fn corrupt(&self, what: &'static str) -> RecvError {
        RecvError::Corrupt { queue: self.attachment.queue().clone(), what }
    }

    /// Adopts what a dead member of the group held. Returns whether there is something to claim.
    #[cold]
    pub(crate) fn adopt(&mut self) -> Result<bool, RecvError> {
        let found = self.reader.adopt(&self.attachment.view, &self.attachment.leases);
        let found = found.map_err(|fault| match fault {
            Fault::Corrupt(Corrupt(what)) => self.corrupt(what),
            Fault::System(source) => {
                self.attachment.system("find out which consumers are dead")(source).into()
            }
        })?;
        if let Some(record) = self.reader.adopted() {
            // People look for the process that holds the range now.
            figures::set_consumer_pid(&self.attachment.view, record);
        }
        Ok(found)
    }

    /// The group's head. In a forked child, where the segment is not mapped, 0 for a shared group.
    pub(crate) fn position(&self) -> u64 {
        if self.attachment.leases.forked() && matches!(self.reader, Reader::Shared(_)) {
            return 0;
        }
        self.reader.head(&self.attachment.view)
    }

    /// Messages from the group's head to the tail.
    pub(crate) fn depth(&self) -> u64 {
        if self.attachment.leases.forked() {
            return 0;
        }
        tail(&self.attachment.view).saturating_sub(self.position())
    }

    /// Whether it holds messages that come again.
    pub(crate) fn holds(&self) -> bool {
        self.reader.holds()
    }

    /// Whether another member holds something. If so, the producer is woken for any room: the room that it waits for
    /// may depend on that member.
    pub(crate) fn others_hold(&self) -> bool {
        let held = any_held(&self.attachment.view, self.reader.group());
        if held {
            notify::any_room(&self.attachment.view);
        }
        held
    }

    /// Whether the last producer is gone, without closing the queue, and has no successor yet.
    pub(crate) fn producer_gone(&self) -> Result<bool, SystemError> {
        producer_gone(&self.attachment.view, || {
            self.attachment.leases.is_held(lease_byte::PRODUCER)
        })
        .map_err(self.attachment.system("find out whether there is a producer"))
    }

    /// Whether the queue is closed, even if the group has not acked everything yet.
    pub(crate) fn is_closed(&self) -> bool {
        closed_at(&self.attachment.view).is_some()
    }

    /// Whether the queue has lost its name.
    pub(crate) fn removed(&self) -> Result<bool, SystemError> {
        self.attachment.leases.removed().map_err(self.attachment.system("check the queue's file"))
    }

    /// Whether nothing will come any more. `are_drained` says so of letters that were sent again.
    pub(crate) fn has_ended(&self, are_drained: impl FnOnce() -> bool) -> bool {
        has_ended(&self.attachment.view, self.reader.group(), are_drained)
    }

    /// Whether dead letters of the group were ever sent again, into a queue of their own.
    pub(crate) fn has_retries(&self) -> bool {
        has_retries(&self.attachment.view, self.reader.group())
    }

    /// Takes back that the last claim was counted as a delivery that came again.
    pub(crate) fn uncount_redelivery(&self) {
        figures::uncount_redelivery(&self.attachment.view, self.reader.record());
    }

    pub(crate) fn count_dead_letter(&self) {
        figures::count_dead_letter(&self.attachment.view, self.reader.record());
    }

    pub(crate) fn leave_within(&self, timeout: Duration) -> Result<(), ControlError> {
        let (view, leases) = (&self.attachment.view, &self.attachment.leases);
        let _control = self.attachment.control(timeout)?;
        let (group, held) = (self.reader.group(), (self.reader.record(), self.reader.adopted()));
        let left = groups::leave_group(view, leases, group, held, self.purpose);
        Ok(left.map_err(self.attachment.system("remove the group"))?)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if !self.left {
            // On failure the record stays as after a death: closing the descriptor releases the lease.
            let _ = self.leave_within(LEAVE_WITHIN);
        }
    }
}
