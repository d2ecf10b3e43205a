//! The handle that receives for a group.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::attach::{Attachment, Mapped};
use crate::batch::{Batch, Received};
use crate::error::{JoinError, RecvError, SystemError};
use crate::group::{self, Group, Mode};
use crate::message::{Content, OneThread};
use crate::ring::claim::{Claim, Corrupt, Member};
use crate::ring::compete::{Competitor, Fault, Took};
use crate::ring::control;
use crate::ring::done::Done;
use crate::ring::reader::Reader;
use crate::wait::{self, Deadline, Look};

/// Quick looks at an empty queue ask the system once in so many times whether it still has its name.
const ASK_EVERY: u32 = 4096;
/// A busy member of a shared group looks for what dead ones held once in so many claims.
const ADOPT_EVERY: u32 = 256;
/// Claims in a row that the others may beat before the head is taken for garbage.
const CONTENDED_MAX: u32 = 1 << 16;
/// A consumer that is dropped waits no longer than this for its turn to leave. If that was not enough it
/// is found gone by its lease, as if it had died.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);

/// A consumer of one group. `Send`, not `Sync`.
///
/// Receiving takes no lock, makes no system call and allocates nothing, as long as there are messages.
/// A message stays in its slot until it is acked; a consumer that is killed before that leaves it to the
/// group's next one.
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<slipring::Consumer>();
/// ```
#[derive(Debug)]
pub struct Consumer<M: Content + ?Sized = [u8]> {
    reader: Reader,
    at: Attachment,
    done: Done,
    resumed: bool,
    claims: u32,
    left: bool,
    empty_looks: u32,
    marker: OneThread<M>,
}

/// What [`Consumer::recv_copied`] tells about the message that it copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageInfo {
    /// Its sequence.
    pub sequence: u64,
    /// Its kind.
    pub kind: u32,
    /// Times that it was delivered, this one included. Saturates at 255.
    pub attempts: u8,
}

impl<M: Content + ?Sized> Consumer<M> {
    pub(crate) fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
    ) -> Result<Self, JoinError> {
        group.check()?;
        let at = Attachment::new(mapped)?;
        let guard = at.control(timeout)?;
        let system = |source| SystemError::new("take a consumer's lease", source);
        let (view, leases) = (&at.view, &at.leases);
        let (index, resumed) = group::find_or_make(view, group)?;
        if group.mode == Mode::Exclusive
            && let Some(record) = control::live_member(view, leases, index).map_err(system)?
        {
            let pid = group::pid_of(view, record);
            return Err(JoinError::ConsumerTaken { group: group.name.clone(), pid });
        }
        let pid = std::process::id();
        let taken = control::take_record(view, leases, index, pid).map_err(system)?;
        let Some(record) = taken else {
            if !resumed {
                // Nothing half-made stays behind.
                control::remove_group(view, leases, index).map_err(system)?;
            }
            return Err(JoinError::TooManyConsumers { max: view.records().len() });
        };
        drop(guard);
        let reader = match group.mode {
            Mode::Exclusive => Reader::Exclusive(Member::resume(view, index, record)),
            Mode::Shared => Reader::Shared(
                Competitor::enter(view, index, record)
                    .map_err(|Corrupt(what)| JoinError::Corrupt { what })?,
            ),
        };
        Ok(Consumer {
            reader,
            at,
            done: Done::default(),
            resumed,
            claims: 0,
            left: false,
            empty_looks: 0,
            marker: PhantomData,
        })
    }

    /// Where this group's reading stands: the next sequence to be acked, or, in a shared group, to be
    /// taken by a member.
    pub fn position(&self) -> u64 {
        self.reader.head(&self.at.view)
    }

    /// Whether the group existed before, so that this consumer goes on where it stopped.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Receives up to `max` messages (at least 1 is meant), if there are any. Never blocks.
    ///
    /// # Errors
    /// [`RecvError::Removed`] once the queue has no name any more and all its messages are read;
    /// [`RecvError::Corrupt`] if its words contradict each other.
    #[inline(always)]
    pub fn try_batch(&mut self, max: usize) -> Result<Option<Batch<'_, M>>, RecvError> {
        let claim = self.claim(max, Look::Quick)?;
        Ok(claim.map(|claim| Batch::new(&self.at, &mut self.reader, &mut self.done, claim)))
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As for [`Consumer::try_batch`].
    pub fn batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        self.batch_by(max, || Deadline::NEVER)
    }

    /// Receives up to `max` messages, waiting for the first at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::try_batch`].
    pub fn batch_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Batch<'_, M>, RecvError> {
        self.batch_by(max, || Deadline::after(timeout))
    }

    /// Receives one message, if there is one. Never blocks.
    ///
    /// # Errors
    /// As for [`Consumer::try_batch`].
    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<Option<Received<'_, M>>, RecvError> {
        Ok(self.try_batch(1)?.map(Received::new))
    }

    /// Receives one message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Consumer::try_batch`].
    pub fn recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.batch(1)?))
    }

    /// Receives one message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::try_batch`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.batch_timeout(1, timeout)?))
    }

    /// Receives one message into `out`, waiting for it at most `timeout`, and acks it.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::try_batch`]. `out` is untouched then.
    pub fn recv_copied(
        &mut self,
        out: &mut M::Owned,
        timeout: Duration,
    ) -> Result<MessageInfo, RecvError> {
        let message = self.recv_timeout(timeout)?;
        message.copy_to(out);
        let info = message.info();
        message.ack();
        Ok(info)
    }

    /// Leaves the group. What was not acked stays for its next consumer; a group that goes with its last
    /// member goes.
    ///
    /// # Errors
    /// If the control lease cannot be had within `timeout`. The consumer is gone all the same, and is
    /// found so by its lease.
    pub fn leave(mut self, timeout: Duration) -> Result<(), JoinError> {
        self.left = true;
        self.leave_within(timeout)
    }

    fn batch_by(
        &mut self,
        max: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Batch<'_, M>, RecvError> {
        let claim = match self.claim(max, Look::Quick)? {
            Some(claim) => claim,
            None => self.wait_for_claim(max, deadline())?,
        };
        Ok(Batch::new(&self.at, &mut self.reader, &mut self.done, claim))
    }

    #[cold]
    fn wait_for_claim(&mut self, max: usize, deadline: Deadline) -> Result<Claim, RecvError> {
        wait::until(deadline, |look| self.claim(max, look))?.ok_or(RecvError::Timeout)
    }

    #[inline(always)]
    fn claim(&mut self, max: usize, look: Look) -> Result<Option<Claim>, RecvError> {
        if self.at.leases.forked() {
            return Err(RecvError::Forked);
        }
        self.claims = self.claims.wrapping_add(1);
        if self.claims.is_multiple_of(ADOPT_EVERY) {
            self.adopt()?;
        }
        match self.take(max)? {
            None if self.nothing(look)? => self.take(max),
            taken => Ok(taken),
        }
    }

    /// A claim that the others beat every time starts over: each of them got something meanwhile.
    #[inline(always)]
    fn take(&mut self, max: usize) -> Result<Option<Claim>, RecvError> {
        for _ in 0..CONTENDED_MAX {
            match self.reader.claim(&self.at.view, max.max(1) as u64) {
                Ok(Took::Claim(claim)) => return Ok(Some(claim)),
                Ok(Took::Empty) => return Ok(None),
                Ok(Took::Contended) => std::hint::spin_loop(),
                Err(Corrupt(what)) => return Err(RecvError::Corrupt { what }),
            }
        }
        Err(RecvError::Corrupt { what: "a group's head never stands still" })
    }

    /// Asks the system what only it knows, once in a while. Returns whether there is something to claim
    /// after all. It makes no claim itself, so that those that the callers make stay in registers.
    #[cold]
    fn nothing(&mut self, look: Look) -> Result<bool, RecvError> {
        let first = self.empty_looks == 0;
        self.empty_looks = self.empty_looks.wrapping_add(1);
        let ask = look == Look::Thorough || self.empty_looks.is_multiple_of(ASK_EVERY);
        if (ask || first) && self.adopt()? {
            return Ok(true);
        }
        if ask {
            let removed = self.at.leases.removed();
            if removed.map_err(|e| SystemError::new("look at the queue's file", e))? {
                return Err(RecvError::Removed);
            }
        }
        Ok(false)
    }

    /// Takes over what a dead member of the group holds. Returns whether there is something to claim.
    #[cold]
    fn adopt(&mut self) -> Result<bool, RecvError> {
        self.reader.adopt(&self.at.view, &self.at.leases).map_err(|fault| match fault {
            Fault::Corrupt(Corrupt(what)) => RecvError::Corrupt { what },
            Fault::System(source) => {
                SystemError::new("look for what dead consumers held", source).into()
            }
        })
    }

    fn leave_within(&self, timeout: Duration) -> Result<(), JoinError> {
        let (view, leases) = (&self.at.view, &self.at.leases);
        let _control = self.at.control(timeout)?;
        control::leave(view, leases, self.reader.record());
        if control::goes_with_last_member(view, self.reader.group()) {
            let system = |source| SystemError::new("remove the group", source);
            control::remove_group(view, leases, self.reader.group()).map_err(system)?;
        }
        Ok(())
    }
}

impl<M: Content + ?Sized> Drop for Consumer<M> {
    fn drop(&mut self) {
        if !self.left {
            // A failure leaves the record as a death would: the lease goes with the descriptor.
            let _ = self.leave_within(LEAVE_WITHIN);
        }
    }
}
