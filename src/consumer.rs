//! The handle that receives for a group.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach::Mapped;
use crate::batch::{Batch, MessageInfo, Received};
use crate::burial::Burial;
use crate::error::{JoinError, RecvError};
use crate::group::Group;
use crate::intake::Intake;
use crate::letter::{DeadLetter, Undertaker};
use crate::message::{Content, OneThread};
use crate::retries::Retries;
use crate::ring::claim::Claim;
use crate::segment::Trust;
use crate::wait::{self, Deadline, Look};

/// Quick looks at an empty queue ask the system once in so many times whether it still has its name.
const ASK_EVERY: u32 = 4096;

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
    main: Intake,
    retries: Box<Retries>,
    burial: Box<Burial>,
    round: Round,
    resumed: bool,
    empty_looks: u32,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Consumer<M> {
    pub(crate) fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
        trust: &Trust,
        undertaker: Box<dyn Undertaker>,
    ) -> Result<Self, JoinError> {
        let (main, joined) = Intake::join(mapped, group, timeout)?;
        let target = joined.target.as_ref().map(|name| name.as_str());
        let queue = mapped.name.as_str();
        let burial = Burial::new(queue, &group.name, joined.max_attempts, target, undertaker);
        Ok(Consumer {
            main,
            retries: Box::new(Retries::new(group, trust)),
            burial: Box::new(burial),
            round: Round::new(),
            resumed: joined.resumed,
            empty_looks: 0,
            marker: PhantomData,
        })
    }

    /// Hands dead letters to `handler` instead of sending them to the dead-letter queue. A message is acked
    /// once the handler returns without an error; until then it stays with this consumer and comes
    /// again. Dead letters of other consumers are their affair.
    pub fn on_dead_letter<E>(
        &mut self,
        mut handler: impl FnMut(&DeadLetter<'_>) -> Result<(), E> + Send + 'static,
    ) where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.burial.set_handler(Box::new(move |letter| handler(letter).map_err(Into::into)));
    }

    /// Where this group's reading stands: the next sequence to be acked, or, in a shared group, to be
    /// taken by a member.
    pub fn position(&self) -> u64 {
        self.main.reader.head(&self.main.at.view)
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
        Ok(claim.map(|claim| self.lend(claim)))
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
        self.main.left = true;
        self.main.leave_within(timeout)
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
        Ok(self.lend(claim))
    }

    #[inline(always)]
    fn lend(&mut self, claim: Claim) -> Batch<'_, M> {
        if self.retries.lent {
            self.retries.lent = false;
            if let Some(intake) = self.retries.intake() {
                return Batch::new(intake, &mut self.burial, claim);
            }
        }
        Batch::new(&mut self.main, &mut self.burial, claim)
    }

    #[cold]
    fn wait_for_claim(&mut self, max: usize, deadline: Deadline) -> Result<Claim, RecvError> {
        wait::until(deadline, |look| self.claim(max, look))?.ok_or(RecvError::Timeout)
    }

    #[inline(always)]
    fn claim(&mut self, max: usize, look: Look) -> Result<Option<Claim>, RecvError> {
        if self.main.at.leases.forked() {
            return Err(RecvError::Forked);
        }
        if self.round.is_due()
            && let Some(claim) = self.look_around()?
        {
            return Ok(Some(claim));
        }
        match self.main.take(max)? {
            Some(claim) if claim.attempts <= self.burial.limit => Ok(Some(claim)),
            claim => self.claim_slowly(claim, max, look),
        }
    }

    /// There was nothing, or what there was has been delivered too often.
    #[cold]
    fn claim_slowly(
        &mut self,
        mut claim: Option<Claim>,
        max: usize,
        look: Look,
    ) -> Result<Option<Claim>, RecvError> {
        loop {
            match claim {
                Some(claim) if claim.attempts <= self.burial.limit => return Ok(Some(claim)),
                Some(claim) => {
                    Batch::<M>::new(&mut self.main, &mut self.burial, claim).bury_worn_out()?;
                }
                None if self.orphans(look)? => {
                    claim = self.main.take(max)?;
                    if claim.is_none() {
                        return Ok(None);
                    }
                    continue;
                }
                None => return self.claim_elsewhere(look),
            }
            claim = self.main.take(max)?;
        }
    }

    /// Nothing in the queue: looks for what dead members left behind, once in a while.
    fn orphans(&mut self, look: Look) -> Result<bool, RecvError> {
        let first = self.empty_looks == 0;
        self.empty_looks = self.empty_looks.wrapping_add(1);
        Ok((first || self.asks(look)) && self.main.adopt()?)
    }

    fn asks(&self, look: Look) -> bool {
        look == Look::Thorough || self.empty_looks.is_multiple_of(ASK_EVERY)
    }

    fn claim_elsewhere(&mut self, look: Look) -> Result<Option<Claim>, RecvError> {
        let asks = self.asks(look);
        if self.main.has_retries()
            && let Some(claim) = self.retries.take(&self.main, &mut self.burial, asks)?
        {
            return Ok(Some(claim));
        }
        if asks && self.main.removed()? {
            return Err(RecvError::Removed);
        }
        Ok(None)
    }

    /// A busy consumer, too, looks for what dead members left behind, and for messages that come again.
    #[cold]
    fn look_around(&mut self) -> Result<Option<Claim>, RecvError> {
        if !self.round.begin() {
            return Ok(None);
        }
        if self.main.adopt()? {
            // The next claim hands it out; where there was one there may be more.
            self.round.again();
        }
        if self.main.has_retries() {
            return self.retries.take(&self.main, &mut self.burial, true);
        }
        Ok(None)
    }
}

/// When a busy consumer looks around: by the clock, which is read only once in so many claims that they
/// take a fraction of the time between two rounds.
#[derive(Debug)]
struct Round {
    left: u32,
    stride: u32,
    read: Instant,
    last: Option<Instant>,
}

/// Time between two rounds. Consumers that claim less often make one at each claim.
const ROUND_EVERY: Duration = Duration::from_millis(2);
/// Most claims between two looks at the clock.
const STRIDE_MAX: u32 = 256;

impl Round {
    fn new() -> Round {
        let now = Instant::now();
        Round { left: 1, stride: 1, read: now, last: Some(now) }
    }

    #[inline(always)]
    fn is_due(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    /// Looks at the clock. Returns whether it is time.
    fn begin(&mut self) -> bool {
        let now = Instant::now();
        let took = now - self.read;
        self.read = now;
        if took < ROUND_EVERY / 8 {
            self.stride = (self.stride * 2).min(STRIDE_MAX);
        } else if took > ROUND_EVERY {
            self.stride = 1;
        }
        self.left = self.stride;
        let due = self.last.is_none_or(|last| now - last >= ROUND_EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// The next claim makes a round, too.
    fn again(&mut self) {
        self.left = 1;
        self.last = None;
    }
}
