//! The handle that receives for a group.

mod maintenance;
mod search;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach::Mapped;
use crate::batch::{Batch, Received};
use crate::dead_letter::letter::{DeadLetter, DeadLetterSink};
use crate::dead_letter::policy::DeadLetterPolicy;
use crate::dead_letter::retries::Retries;
use crate::error::{ControlError, JoinError, RecvError};
use crate::group::Group;
use crate::info::MessageInfo;
use crate::membership::Membership;
use crate::message::{Content, OneThread};
use crate::segment::Trust;
use crate::wait::Deadline;
use crate::wait::{Interrupt, WaitState, WaitStrategy};
use maintenance::Maintenance;
pub(crate) use search::Found;

/// A consumer of one group. `Send`, not `Sync`.
///
/// As long as there are messages, a receive takes no lock, makes no system call and allocates nothing; but a member of
/// a shared group asks the kernel every 2 ms whether the members that hold messages live. While messages come as fast
/// as they are taken, a receive that may wait lingers until some dozens of them are there; see
/// [`Consumer::set_lingering`].
///
/// A message stays in its slot until it is acked. If its consumer dies before that, the group's next consumer gets it,
/// or another member.
///
/// In a group with a limit of attempts (see [`Group::max_attempts`]), a message that has had its last attempt becomes a
/// dead letter instead of being delivered again. A receive that finds one may block for a few seconds, until it is this
/// process's turn at the dead-letter queue. If that queue has no room, the receive fails with
/// [`RecvError::DeadLetter`], and the message stays.
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<slipring::Consumer>();
/// ```
pub struct Consumer<M: Content + ?Sized = [u8]> {
    main: Membership,
    retries: Box<Retries>,
    policy: Box<DeadLetterPolicy>,
    maintenance: Maintenance,
    made_group: bool,
    resumed: bool,
    notices_gone: bool,
    follows: bool,
    wait_state: WaitState,
    /// Checks in a row that found the queue empty.
    empty_checks: u32,
    /// The last search found a letter that was sent again.
    retried: bool,
    /// The last search stopped because it had made as many letters as one search may.
    letters_left: bool,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Consumer<M> {
    pub(crate) fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
        trust: &Trust,
        sink: Box<dyn DeadLetterSink>,
        interrupt: Interrupt,
    ) -> Result<Self, JoinError> {
        let (main, joined) = Membership::join(mapped, group, timeout)?;
        let target = joined.target.as_ref().map(|name| name.as_str());
        let queue = mapped.name.shared();
        let policy = DeadLetterPolicy::new(queue, &group.name, joined.max_attempts, target, sink);
        Ok(Consumer {
            main,
            retries: Box::new(Retries::new(group, trust, M::SCHEMA.is_some(), timeout)),
            policy: Box::new(policy),
            maintenance: Maintenance::new(),
            made_group: joined.made,
            resumed: joined.resumed,
            notices_gone: false,
            follows: false,
            wait_state: WaitState::here(interrupt),
            empty_checks: 0,
            retried: false,
            letters_left: false,
            marker: PhantomData,
        })
    }

    /// Hands the dead letters of this consumer to `handler` instead of sending them to the dead-letter queue. A message
    /// is acked once the handler returns without an error; until then it stays with this consumer and is delivered
    /// again. Other consumers of the group are not affected.
    pub fn on_dead_letter<E>(
        &mut self,
        mut handler: impl FnMut(&DeadLetter<'_>) -> Result<(), E> + Send + 'static,
    ) where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.policy.set_handler(Box::new(move |letter| handler(letter).map_err(Into::into)));
    }

    /// Calls `tell` with each dead letter that this consumer makes, once the letter is in the dead-letter queue, or the
    /// handler of [`Consumer::on_dead_letter`] has taken it. Three calls make a letter, and each calls `tell` before it
    /// returns:
    ///
    /// - a rejection ([`Batch::reject`] and others of that name);
    /// - [`Received::fail`] after the last attempt that the group allows;
    /// - a receive that finds a message which has had its last attempt. Nothing else reports that letter.
    ///
    /// If `tell` panics, the message is not acked, and becomes a dead letter a second time.
    pub fn notice_dead_letters(&mut self, tell: impl FnMut(&DeadLetter<'_>) + Send + 'static) {
        self.policy.set_notice(Box::new(tell));
    }

    /// Whether a wait fails with [`RecvError::ProducerGone`] while the queue has no producer: the last one was dropped,
    /// or died, without closing the queue. Off by default: consumers may outlive any number of producers.
    ///
    /// Only receives that wait report it, and only before they sleep: they first deliver what there is. Messages that
    /// another member of the group holds do not count, though they are redelivered if that member dies. Once there is a
    /// producer again, receives wait as before. A queue that never had a producer waits for its first.
    pub fn set_notice_producer_gone(&mut self, on: bool) {
        self.notices_gone = on;
    }

    /// Whether a receive from a closed queue waits for the producer that opens it again, instead of failing with
    /// [`RecvError::Closed`]. Off by default.
    pub fn set_follow(&mut self, on: bool) {
        self.follows = on;
    }

    /// Sets how to wait for messages.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Whether a receive that may wait lingers in a stream: where messages come as fast as they are taken, it waits
    /// until some dozens of them are there, at most a few microseconds. Producer and consumer then do not contend for
    /// each slot, and the stream is up to several times as fast; in return a message may arrive later by that time. On
    /// by default; off, each message is received as soon as it is visible. Lingering ends at once where messages come
    /// more slowly than in a stream at full speed, and a `try_` call never lingers.
    pub fn set_lingering(&mut self, on: bool) {
        self.main.reader.set_lingering(on);
    }

    /// Sets a function that waits of this consumer call; if it returns `true`, the wait ends with `Interrupted`. It
    /// replaces the one that the consumer has from its [`Queue`](crate::Queue). See
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// Name of the queue that it receives from.
    pub fn queue_name(&self) -> &str {
        self.main.attachment.queue()
    }

    /// Name of the group that it receives for.
    pub fn group_name(&self) -> &str {
        &self.policy.group
    }

    /// The group's position: the next sequence to be acked, or, in a shared group, to be claimed by a member. In a
    /// child process made by fork(2), 0 for a shared group.
    pub fn position(&self) -> u64 {
        self.main.position()
    }

    /// Messages that wait for the group: published and not acked, or, in a shared group, not claimed by a member.
    /// Unlike [`GroupInfo::depth`](crate::GroupInfo::depth), it does not count what members of a shared group hold, nor
    /// dead letters that were sent again, which come through a queue of their own. A figure of this moment, without a
    /// system call. 0 in a child process made by fork(2).
    pub fn depth(&self) -> u64 {
        self.main.depth()
    }

    /// Whether the group did not exist, so that this consumer made it.
    pub fn made_group(&self) -> bool {
        self.made_group
    }

    /// Whether the group had a consumer before, so that this one continues from that one's position. False for a group
    /// that was declared and that no consumer has joined yet.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Whether it holds messages that will be redelivered to it, and to no other consumer as long as it lives: those of
    /// a batch that was dropped, or of a dead member whose range it adopted.
    pub fn is_holding(&self) -> bool {
        self.main.holds() || self.retries.holds()
    }

    /// Asks the kernel whether the queue still has its name. A queue that was removed may still get messages until its
    /// producer notices, and a receive fails with [`RecvError::Closed`] if the producer closes it. One system call.
    ///
    /// # Errors
    /// [`RecvError::Removed`], even if there are messages left to be received.
    pub fn check_removed(&self) -> Result<(), RecvError> {
        if self.is_forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        match self.main.removed()? {
            true => Err(RecvError::Removed { queue: self.queue() }),
            false => Ok(()),
        }
    }

    /// Receives up to `max` messages, if there are any. 0 counts as 1: a batch that a receive returns has a message.
    ///
    /// It does not wait for messages. In a group without a limit of attempts it never blocks. In a group with a limit,
    /// which a shared group has by default, it may block to send messages that have had their last attempt to the
    /// dead-letter queue: 64 of them at most in one call, each for the second or so that the role of that queue's producer
    /// may take. [`Consumer::on_dead_letter`] replaces that.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is no message now, or if it has sent 64 letters and found nothing else; this error is
    /// cheap, so a program may poll.
    /// [`RecvError::Closed`] once the queue is closed and the group has acked everything (see
    /// [`Producer::close`](crate::Producer::close)); [`RecvError::Removed`] once the queue has lost its name and all
    /// its messages are read; [`RecvError::DeadLetter`] if a message that has had its last attempt cannot be made a
    /// dead letter; [`RecvError::Corrupt`] if the words in the segment contradict each other.
    #[inline(always)]
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        match self.claim_next::<false>(max) {
            Some(claim) => Ok(Batch::new(&mut self.main, &mut self.policy, claim)),
            // Passing the result on would copy it, that of a claim above as well.
            None => match self.search_for_batch(max) {
                Ok(batch) => Ok(batch),
                Err(fault) => Err(fault),
            },
        }
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes. Of messages that have had their last
    /// attempt it sends 64 at most to the dead-letter queue before it asks the time, and the function of
    /// [`Consumer::set_interrupt`]; so do the other receives that wait.
    ///
    /// # Errors
    /// As for [`Consumer::try_recv_batch`], but never [`RecvError::Empty`]; [`RecvError::Interrupted`] if the function
    /// of [`Consumer::set_interrupt`] returned `true`.
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

    /// Receives one message, if there is one. It does not wait for messages, and blocks no more than
    /// [`Consumer::try_recv_batch`].
    ///
    /// # Errors
    /// As for [`Consumer::try_recv_batch`].
    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        match self.claim_next::<false>(1) {
            Some(claim) => Ok(Received::claimed(&mut self.main, &mut self.policy, claim)),
            None => Ok(Received::new(self.search_for_batch(1)?)),
        }
    }

    /// Receives one message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Consumer::recv_batch`].
    pub fn recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        self.receive_by(|| Deadline::NEVER)
    }

    /// Receives one message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::recv_batch`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Received<'_, M>, RecvError> {
        self.receive_by(|| Deadline::after(timeout))
    }

    /// Receives one message, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Consumer::recv_timeout`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Received<'_, M>, RecvError> {
        self.receive_by(|| Deadline::at(deadline))
    }

    /// Makes a dead letter of the next message of an exclusive group, if it is the one of this sequence; returns whether it
    /// was. It touches no other message, and counts no attempt: for an operator, who [joins](Group::as_operator) to get a
    /// message out of the way that fails again and again. Letters that were sent again to the group come in turn with its
    /// messages, and are not meant. False in a shared group. Waits a few seconds at most for its turn to send the letter.
    ///
    /// # Errors
    /// [`RecvError::DeadLetter`] if the letter cannot be sent: the message stays, and this delivery of it does not count;
    /// [`RecvError::Forked`]; [`RecvError::Corrupt`].
    #[cold]
    pub fn reject_next(&mut self, sequence: u64) -> Result<bool, RecvError> {
        if self.is_forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        if self.is_shared() || self.position() != sequence {
            return Ok(false);
        }
        let Some(claim) = self.main.take(1)? else { return Ok(false) };
        let came_again = claim.again > claim.start;
        if came_again && claim.attempts <= self.policy.limit {
            self.main.uncount_redelivery();
        }
        Batch::<M>::new(&mut self.main, &mut self.policy, claim).reject_untried()?;
        Ok(true)
    }

    /// Receives one message, if there is one, into `out`, and acks it. It does not wait for messages, and blocks no
    /// more than [`Consumer::try_recv_batch`]. No other process can change the copy in `out`, so this is the receive
    /// for messages of producers that are not trusted. A `Vec` keeps its memory: one that is used again does not
    /// allocate.
    ///
    /// ```
    /// # let name = format!("doc-into-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
    /// # let mut producer = queue.producer()?;
    /// # producer.send((7, "one"))?;
    /// # let mut consumer = queue.consumer("work")?;
    /// let mut message = Vec::new();
    /// let info = consumer.recv_into(&mut message)?;
    /// assert_eq!((info.kind(), &message[..]), (7, &b"one"[..]));
    /// # drop((consumer, producer));
    /// # slipring::remove(&name)?; // it is acked
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Consumer::try_recv`]; `out` is unchanged then. [`RecvError::Ack`] if the message is in `out` but could
    /// not be acked, so that it is redelivered.
    pub fn try_recv_into(&mut self, out: &mut M::Owned) -> Result<MessageInfo, RecvError> {
        self.try_recv()?.move_into(out)
    }

    /// Receives one message into `out`, waiting for it as long as it takes, and acks it.
    ///
    /// # Errors
    /// As for [`Consumer::try_recv_into`], but never [`RecvError::Empty`].
    pub fn recv_into(&mut self, out: &mut M::Owned) -> Result<MessageInfo, RecvError> {
        self.recv()?.move_into(out)
    }

    /// Receives one message into `out`, waiting for it at most `timeout`, and acks it.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Consumer::recv_into`].
    pub fn recv_into_timeout(
        &mut self,
        out: &mut M::Owned,
        timeout: Duration,
    ) -> Result<MessageInfo, RecvError> {
        self.recv_timeout(timeout)?.move_into(out)
    }

    /// Receives one message into `out`, waiting for it until `deadline` at most, and acks it.
    ///
    /// # Errors
    /// As for [`Consumer::recv_into_timeout`].
    pub fn recv_into_deadline(
        &mut self,
        out: &mut M::Owned,
        deadline: Instant,
    ) -> Result<MessageInfo, RecvError> {
        self.recv_deadline(deadline)?.move_into(out)
    }

    /// Leaves the group. The group's next consumer gets what was not acked. A group with
    /// [`Retention::Release`](crate::Retention::Release) is removed with its last member. Waits for other control
    /// operations, at most the control timeout of the queue that this consumer comes from
    /// ([`OpenOptions::control_timeout`](crate::OpenOptions::control_timeout)).
    ///
    /// # Errors
    /// If the control lease cannot be had in that time. The consumer is gone all the same: others notice that by its
    /// lease.
    pub fn leave(mut self) -> Result<(), ControlError> {
        self.main.left = true;
        self.main.leave_within(self.main.control_timeout)
    }

    #[inline(always)]
    fn batch_by(
        &mut self,
        max: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Batch<'_, M>, RecvError> {
        match self.claim_next::<true>(max) {
            Some(claim) => Ok(Batch::new(&mut self.main, &mut self.policy, claim)),
            None => self.wait_for_batch(max, deadline),
        }
    }

    #[inline(always)]
    fn receive_by(
        &mut self,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Received<'_, M>, RecvError> {
        match self.claim_next::<true>(1) {
            Some(claim) => Ok(Received::claimed(&mut self.main, &mut self.policy, claim)),
            None => Ok(Received::new(self.wait_for_batch(1, deadline)?)),
        }
    }
}

impl<M: Content + ?Sized> fmt::Debug for Consumer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("queue", &self.queue_name())
            .field("group", &self.group_name())
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
