//! The handle that receives for a group.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach::{Attachment, Mapped};
use crate::batch::{Batch, MessageInfo, Received};
use crate::burial::Burial;
use crate::error::{JoinError, RecvError};
use crate::group::Group;
use crate::intake::Intake;
use crate::layout::View;
use crate::letter::{DeadLetter, Undertaker};
use crate::message::{Content, OneThread};
use crate::retries::Retries;
use crate::ring::claim::Claim;
use crate::ring::reader::Reader;
use crate::ring::wake::{Place, Word};
use crate::segment::Trust;
use crate::strategy::{Interrupt, Patience, WaitStrategy};
use crate::wait::{self, Bed, Deadline, LONG, Look, SHORT, Waited};

/// Quick looks at an empty queue ask the system once in so many times whether it still has its name.
const ASK_EVERY: u32 = 4096;

/// Quick looks of one that waits, at the next message only, between two that look everywhere.
const QUICK: u32 = 8;

/// A consumer of one group. `Send`, not `Sync`.
///
/// Receiving takes no lock, makes no system call and allocates nothing, as long as there are messages; but a
/// member of a shared group asks the kernel every 2 ms whether members that hold messages still live.
/// While messages come as fast as they are taken, any receive may wait until some dozens more of them are there, a few
/// microseconds at most: reader and writer then do not meet at each, and the stream is several times as fast.
/// A message stays in its slot until it is acked; a consumer that is killed before that leaves it to the
/// group's next one, or to another member.
///
/// A message that was delivered as often as its group allows becomes a dead letter instead of being delivered
/// once more (see [`Group::max_attempts`]). No receive is non-blocking then: it may wait a
/// few seconds for its turn at the dead-letter queue, and it fails with [`RecvError::DeadLetter`] if there is
/// no room; the message stays.
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
    made_group: bool,
    resumed: bool,
    notices_gone: bool,
    follows: bool,
    patience: Patience,
    empty_looks: u32,
    /// A claim that was not made on the shortest way. If it were returned, the others would go through memory,
    /// too, which costs more than all the rest.
    found: Option<Found>,
    /// The last claim that was found was one of the retries.
    retried: bool,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Consumer<M> {
    pub(crate) fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
        trust: &Trust,
        undertaker: Box<dyn Undertaker>,
        interrupt: Interrupt,
    ) -> Result<Self, JoinError> {
        let (main, joined) = Intake::join(mapped, group, timeout)?;
        let target = joined.target.as_ref().map(|name| name.as_str());
        let queue = mapped.name.shared();
        let burial = Burial::new(queue, &group.name, joined.max_attempts, target, undertaker);
        Ok(Consumer {
            main,
            retries: Box::new(Retries::new(group, trust, M::SCHEMA.is_some(), timeout)),
            burial: Box::new(burial),
            round: Round::new(),
            made_group: joined.made,
            resumed: joined.resumed,
            notices_gone: false,
            follows: false,
            patience: Patience::here(interrupt),
            empty_looks: 0,
            found: None,
            retried: false,
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

    /// Calls `tell` with each dead letter that this consumer makes, once it is in the dead-letter queue, or taken by
    /// the handler of [`Consumer::on_dead_letter`]: of what was rejected, of what had failed for the last time, and of
    /// what had its last attempt before, of which a receive tells nothing else. It is called from within those calls. If
    /// it panics, the message is not acked, and there will be a second letter of it.
    pub fn notice_dead_letters(&mut self, tell: impl FnMut(&DeadLetter<'_>) + Send + 'static) {
        self.burial.set_notice(Box::new(tell));
    }

    /// Whether a wait is to fail with [`RecvError::ProducerGone`] when nobody has the producer's role: the last
    /// one was dropped, or died, and did not close the queue. Off by default: consumers may outlive any
    /// number of producers.
    ///
    /// Only receives that wait tell it, and only when they are about to sleep: what can be received comes
    /// first. What another member of the group still works on does not count, though it comes again if that
    /// member dies. Once a producer is there again they wait as before. A queue that never had one waits for
    /// its first.
    pub fn set_notice_producer_gone(&mut self, on: bool) {
        self.notices_gone = on;
    }

    /// Whether to wait on where the queue is closed, for the producer that opens it again, instead of failing with
    /// [`RecvError::Closed`]. Off by default.
    pub fn set_follow(&mut self, on: bool) {
        self.follows = on;
    }

    /// Sets how to wait for messages.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.patience.set_strategy(strategy);
    }

    /// Sets what is asked in waits of this consumer, in the place of what it has from its [`Queue`](crate::Queue); see
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.patience.interrupt = Interrupt::new(interrupt);
    }

    /// Where this group's reading stands: the next sequence to be acked, or, in a shared group, to be
    /// taken by a member.
    pub fn position(&self) -> u64 {
        self.main.reader.head(&self.main.at.view)
    }

    /// Whether there was no such group, so that this consumer has made it.
    pub fn made_group(&self) -> bool {
        self.made_group
    }

    /// Whether somebody has read for the group before, so that this consumer goes on where it stopped. Not so for a group
    /// that was declared, and that nobody has joined yet.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Whether it holds messages that will come again to it, and to nobody else as long as it lives: of a
    /// batch that was dropped, or of a dead member whose part it has taken over.
    pub fn is_holding(&self) -> bool {
        self.main.holds() || self.retries.holds()
    }

    /// Looks whether the queue still has its name. One that was removed may go on for a while, by what its producer
    /// sends before it learns of it, and ends with [`RecvError::Closed`] if that closes it. One system call.
    ///
    /// # Errors
    /// [`RecvError::Removed`], also if there are messages left to be received.
    pub fn check_removed(&self) -> Result<(), RecvError> {
        if self.main.at.leases.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        match self.main.removed()? {
            true => Err(RecvError::Removed { queue: self.queue() }),
            false => Ok(()),
        }
    }

    /// Receives up to `max` messages (at least 1 is meant), if there are any. Never blocks.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is no message now; making and dropping it costs nothing, so a program may poll.
    /// [`RecvError::Closed`] once the queue is closed and the group has acked everything (see
    /// [`Producer::close`](crate::Producer::close));
    /// [`RecvError::Removed`] once the queue has no name any more and all its messages are read;
    /// [`RecvError::DeadLetter`] if a message that was delivered too often cannot be given up;
    /// [`RecvError::Corrupt`] if the queue's words contradict each other.
    #[inline(always)]
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        match self.claim_at_once(max) {
            Some(claim) => Ok(Batch::new(&mut self.main, &mut self.burial, claim)),
            None if self.find(max, Look::Quick)? => self.lend(),
            None => Err(RecvError::Empty),
        }
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As for [`Consumer::try_recv_batch`], but never [`RecvError::Empty`].
    pub fn recv_batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        self.batch_by(max, || Deadline::NEVER)
    }

    /// Receives up to `max` messages, waiting for the first at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::recv_batch`].
    pub fn recv_batch_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Batch<'_, M>, RecvError> {
        self.batch_by(max, || Deadline::after(timeout))
    }

    /// Receives up to `max` messages, waiting for the first until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Consumer::recv_batch_timeout`].
    pub fn recv_batch_deadline(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<Batch<'_, M>, RecvError> {
        self.batch_by(max, || Deadline::at(deadline))
    }

    /// Receives one message, if there is one. Never blocks.
    ///
    /// # Errors
    /// As for [`Consumer::try_recv_batch`].
    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.try_recv_batch(1)?))
    }

    /// Receives one message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Consumer::recv_batch`].
    pub fn recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.recv_batch(1)?))
    }

    /// Receives one message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::recv_batch`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.recv_batch_timeout(1, timeout)?))
    }

    /// Receives one message, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Consumer::recv_timeout`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.recv_batch_deadline(1, deadline)?))
    }

    /// Receives one message into `out`, waiting for it at most `timeout`, and acks it.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::recv_batch`]. `out` is untouched then.
    pub fn recv_copied(
        &mut self,
        out: &mut M::Owned,
        timeout: Duration,
    ) -> Result<MessageInfo, RecvError> {
        self.recv_timeout(timeout)?.copy_and_ack(out)
    }

    /// The same, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Consumer::recv_copied`].
    pub fn recv_copied_deadline(
        &mut self,
        out: &mut M::Owned,
        deadline: Instant,
    ) -> Result<MessageInfo, RecvError> {
        self.recv_deadline(deadline)?.copy_and_ack(out)
    }

    /// Leaves the group. What was not acked stays for its next consumer; a group that goes with its last
    /// member goes. Waits for other control operations, at most the control timeout of the queue that this consumer comes
    /// from ([`OpenOptions::control_timeout`](crate::OpenOptions::control_timeout)).
    ///
    /// # Errors
    /// If the control lease cannot be had in that time. The consumer is gone all the same, and is
    /// found so by its lease.
    pub fn leave(mut self) -> Result<(), JoinError> {
        self.main.left = true;
        self.main.leave_within(self.main.control_timeout)
    }

    #[inline(always)]
    fn batch_by(
        &mut self,
        max: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Batch<'_, M>, RecvError> {
        match self.claim_at_once(max) {
            Some(claim) => Ok(Batch::new(&mut self.main, &mut self.burial, claim)),
            None => {
                self.wait(max, deadline)?;
                self.lend()
            }
        }
    }

    /// Claims on the shortest way. `None` also if a slower look is due, or finds out what is wrong.
    #[inline(always)]
    fn claim_at_once(&mut self, max: usize) -> Option<Claim> {
        if self.round.is_due() || self.main.at.leases.forked() {
            return None;
        }
        let claim = self.main.reader.claim_at_once(&self.main.at.view, max.max(1) as u64)?;
        self.empty_looks = 0;
        (claim.attempts <= self.burial.limit).then_some(claim)
    }

    /// Makes any other claim, and leaves it in `found`. Returns whether there is one.
    #[inline(never)]
    pub(crate) fn find(&mut self, max: usize, look: Look) -> Result<bool, RecvError> {
        let found = self.search(max, look)?;
        Ok(self.keep(found))
    }

    /// The same, waiting.
    #[inline(never)]
    fn wait(&mut self, max: usize, deadline: impl Fn() -> Deadline) -> Result<(), RecvError> {
        let (view, longest) = (self.view(), Cell::new(SHORT));
        let bed = Bed::new([Place::new(&view, self.word())], || longest.get());
        let mut patience = self.patience.clone();
        let mut quick = 0;
        let found = wait::until(deadline(), &mut patience, bed, |look| {
            // Most looks are for the next message alone.
            if look == Look::Quick && quick < QUICK {
                quick += 1;
                let found = self.claim_at_once(max);
                return Ok(found.map(|claim| Found { claim, retried: false }));
            }
            quick = 0;
            let found = self.search(max, look);
            if look == Look::Thorough {
                longest.set(self.longest_sleep());
            }
            found
        })?;
        self.patience = patience;
        match found {
            Waited::Found(found) => {
                self.found = Some(found);
                Ok(())
            }
            Waited::TimedOut => Err(timed_out(&self.main.at)),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }

    pub(crate) fn view(&self) -> View {
        self.main.at.view
    }

    /// Where it sleeps. Asks nothing of the segment, which is out of reach in a forked child.
    pub(crate) fn word(&self) -> Word {
        let reader = &self.main.reader;
        Word::Data { group: reader.group(), shared: matches!(reader, Reader::Shared(_)) }
    }

    /// How long it may sleep after a look: what another member holds comes by its death, which wakes nobody.
    pub(crate) fn longest_sleep(&self) -> Duration {
        let held = self.main.others_hold() || self.retries.others_hold();
        // The last ack of a closed queue wakes nobody either.
        if held || (self.main.is_closed() && !self.follows) { SHORT } else { LONG }
    }

    #[cfg(feature = "async")]
    pub(crate) fn mapped(&self) -> &Arc<Mapped> {
        &self.main.at.mapped
    }

    /// Lends again what was lent last and given up by [`Batch::into_claim`]; not in a forked child.
    #[cfg(feature = "async")]
    pub(crate) fn lend_again(&mut self, claim: Claim) -> Option<Batch<'_, M>> {
        if self.main.at.leases.forked() {
            return None;
        }
        self.found = Some(Found { claim, retried: self.retried });
        self.lend().ok()
    }

    /// The queue's name, for an error.
    #[cold]
    fn queue(&self) -> Arc<str> {
        self.main.at.queue().clone()
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
        let intake = if retried {
            match self.retries.intake() {
                Some(intake) => intake,
                None => return Err(RecvError::Empty),
            }
        } else {
            &mut self.main
        };
        Ok(Batch::new(intake, &mut self.burial, claim))
    }

    /// Looks wherever a message may be, and gives up those that were delivered too often.
    fn search(&mut self, max: usize, look: Look) -> Result<Option<Found>, RecvError> {
        if self.main.at.leases.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        // Before the look, which then finds what it sent last.
        let gone = self.notices_gone && look == Look::Thorough && self.main.producer_gone()?;
        if self.round.is_due()
            && self.round.begin()
            && let Some(found) = self.look_around()?
        {
            return Ok(Some(found));
        }
        loop {
            let claim = match self.main.take(max)? {
                None if self.orphans(look)? => self.main.take(max)?,
                claim => claim,
            };
            if claim.is_some() {
                self.empty_looks = 0;
            }
            match claim {
                Some(claim) if claim.attempts <= self.burial.limit => {
                    return Ok(Some(Found { claim, retried: false }));
                }
                Some(claim) => {
                    Batch::<M>::new(&mut self.main, &mut self.burial, claim).bury_worn_out()?;
                }
                None => {
                    let found = self.search_elsewhere(look)?;
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
    fn orphans(&mut self, look: Look) -> Result<bool, RecvError> {
        let first = self.empty_looks == 0;
        self.empty_looks = self.empty_looks.wrapping_add(1);
        Ok((first || self.asks(look)) && self.main.adopt()?)
    }

    fn asks(&self, look: Look) -> bool {
        look == Look::Thorough || self.empty_looks.is_multiple_of(ASK_EVERY)
    }

    fn search_elsewhere(&mut self, look: Look) -> Result<Option<Found>, RecvError> {
        let asks = self.asks(look);
        let over = self.main.is_over();
        let found = self.search_retries(asks)?;
        if found.is_some() {
            return Ok(found);
        }
        if over && !self.follows && (!self.main.has_retries() || self.retries.are_drained()) {
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
        let claim = self.retries.take(&self.main, &mut self.burial, thorough)?;
        Ok(claim.map(|claim| Found { claim, retried: true }))
    }

    /// A busy consumer, too, looks for what dead members left behind, and for messages that come again.
    fn look_around(&mut self) -> Result<Option<Found>, RecvError> {
        if self.main.adopt()? {
            // The next claim hands it out; where there was one there may be more.
            self.round.again();
        }
        // In turn with the queue, whose messages would wait for all retries if each receive made a round.
        if std::mem::take(&mut self.retried) { Ok(None) } else { self.search_retries(true) }
    }
}

#[cold]
fn timed_out(at: &Attachment) -> RecvError {
    RecvError::Timeout { queue: at.queue().clone() }
}

/// A claim, and where it was made.
#[derive(Debug)]
struct Found {
    claim: Claim,
    retried: bool,
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
        Round { left: 0, stride: 1, read: now, last: Some(now) }
    }

    #[inline(always)]
    fn is_due(&mut self) -> bool {
        if self.left == 0 {
            return true;
        }
        self.left -= 1;
        false
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
        self.left = self.stride - 1;
        let due = self.last.is_none_or(|last| now - last >= ROUND_EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// The next claim makes a round, too.
    fn again(&mut self) {
        self.left = 0;
        self.last = None;
    }
}
