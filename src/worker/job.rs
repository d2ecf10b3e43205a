//! One message that a worker has.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::copies::Copied;
use super::flight::Flight;
use crate::dead_letter::letter::{DeadLetter, Reason};
use crate::error::{DeadLetterError, JobError};
use crate::info::{MessageInfo, message_accessors};
use crate::message::Content;
use crate::packed::AT_ONCE;
use crate::ring::cells::{Evicted, Token};
use crate::source::Source;

/// For how long a message is kept that is being made a dead letter.
const LETTER_WITHIN: Duration = Duration::from_secs(60);
/// Time until another try, if a letter could not be sent.
const LETTER_AGAIN: Duration = Duration::from_secs(1);

/// A message that a [`Worker`](super::Worker) has received: its own copy, for any thread to work on and ack. Dereferences
/// to its content. Dropped without an ack, it is given back and comes again at once.
///
/// If it is not done within the [ack timeout](crate::Group::ack_timeout) of its group, any member may take it, its own
/// worker included. Then every call here fails with [`JobError::Evicted`], and changes nothing. The work may have been done
/// twice: sequence and [`attempts`](Job::attempts) together tell deliveries of a message apart, for an effect outside of the
/// queue that is to be made by the latest one alone; but not after [`Job::uncount`], whose delivery has no number of its own, nor
/// of a dead letter that is sent again twice ([`Job::requeued`]).
#[must_use = "a job that is dropped without an ack is redelivered"]
pub struct Job<M: Content + ?Sized = [u8]> {
    copied: Arc<Copied<M>>,
    /// Of its token; 0 once it is acked or given back. A job of two words is moved in registers.
    word: u64,
}

impl<M: Content + ?Sized> Job<M> {
    #[inline]
    pub(super) fn new(copied: Arc<Copied<M>>, token: Token) -> Job<M> {
        Job { copied, word: token.word }
    }

    #[inline]
    fn flight(&self) -> &Flight {
        &self.copied.flight
    }

    /// What is known of it besides its content.
    pub fn info(&self) -> MessageInfo {
        self.copied.info
    }

    message_accessors!(
        job => job.info().sequence(), job.info().kind(), job.info().attempts(), job.info().requeued()
    );

    /// Where it comes from; `None` if its sender did not say, and for a dead letter that was sent again. See [`Source`].
    pub fn source(&self) -> Option<Source> {
        self.copied.source
    }

    /// Whether it comes again because it was given back with a delay ([`Job::retry_after`], or an operator). Otherwise a
    /// redelivered message comes from a member that gave it back for now, died, or was not done in time.
    pub fn was_delayed(&self) -> bool {
        self.copied.delayed
    }

    /// The content.
    #[inline]
    pub fn content(&self) -> &M {
        M::from_owned(self.copied.content.borrow())
    }

    /// Name of the queue.
    pub fn queue_name(&self) -> &str {
        self.flight().queue()
    }

    #[inline]
    fn token(&self) -> Result<Token, JobError> {
        if self.flight().forked() {
            return Err(self.in_child());
        }
        if self.word == 0 || !self.is_last() {
            return Err(self.evicted(Evicted));
        }
        Ok(self.token_of(self.word))
    }

    /// Whether its worker has received no other message into the cell since. Else this one was taken from it.
    #[inline]
    fn is_last(&self) -> bool {
        self.flight().receipts().is_last(self.copied.cell, self.copied.number)
    }

    #[inline]
    fn token_of(&self, word: u64) -> Token {
        Token { cell: self.copied.cell, word }
    }

    #[cold]
    fn let_go(&self, token: Token) {
        if !self.flight().forked() && self.is_last() {
            // Evicted: there is nothing to be given back.
            let _ = self.flight().give_back(token, AT_ONCE, token.attempts());
        }
    }

    #[cold]
    fn in_child(&self) -> JobError {
        JobError::Forked { queue: self.flight().queue().clone(), sequence: self.sequence() }
    }

    #[cold]
    fn evicted(&self, Evicted: Evicted) -> JobError {
        let (queue, group) = (self.flight().queue().clone(), self.flight().group().to_owned());
        JobError::Evicted { queue, group, sequence: self.sequence() }
    }

    /// Acks the message: it is done, and does not come again.
    ///
    /// # Errors
    /// [`JobError::Evicted`] if it was taken from this job; [`JobError::Forked`] in a forked child.
    #[inline]
    pub fn ack(mut self) -> Result<(), JobError> {
        let token = self.token()?;
        self.word = 0;
        self.flight().ack(token).map_err(|evicted| self.evicted(evicted))
    }

    /// Asks for more time: the message is this job's for `time` from now on at least. In a group without an ack timeout it
    /// is this job's anyway. A time of more than 417 days counts as 417 days.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn extend(&mut self, time: Duration) -> Result<(), JobError> {
        let token = self.token()?;
        let extended = self.flight().extend(token, time);
        self.word = extended.map_or(0, |token| token.word);
        extended.map(|_| ()).map_err(|evicted| self.evicted(evicted))
    }

    /// As [`Job::extend`], but takes no time away.
    fn extend_at_least(&mut self, time: Duration) -> Result<(), JobError> {
        self.extend(self.time_left().unwrap_or_default().max(time))
    }

    /// Whether the message is this job's still: a look at one word, for long work that is worth stopping. It may be taken a
    /// moment later. False in a forked child.
    pub fn is_mine(&self) -> bool {
        self.token().is_ok_and(|token| self.flight().is_mine(token))
    }

    /// How long the message is this job's for, if it is not extended: until then no other member may take it, unless an
    /// operator [evicts](crate::Queue::evict) it. Zero if its time is over. `None` in a group without an ack timeout, and
    /// in a forked child. A figure of this moment, exact to some milliseconds.
    pub fn time_left(&self) -> Option<Duration> {
        self.token().ok().and_then(|token| self.flight().time_left(token))
    }

    /// Gives the message back, for any member to take at once. This delivery counts as an attempt, unless
    /// [`Job::uncount`] was called. The same as dropping it, but says whether the message was still this job's.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn give_back(self) -> Result<(), JobError> {
        self.retry_after(Duration::ZERO)
    }

    /// Gives the message back, for any member to take after `delay`, or at once if that is zero. A longer one takes up to 25 ms
    /// more: dues are told in steps of 4 ms, by a clock that may lag by 10 ms. Until then the message keeps its place in
    /// flight, and no member. This delivery counts as an attempt, unless [`Job::uncount`] was called: after the last one that
    /// the group allows, the message becomes a dead letter when it is taken the next time. [`Job::fail`] makes it one at once.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn retry_after(mut self, delay: Duration) -> Result<(), JobError> {
        let token = self.token()?;
        self.word = 0;
        let due = if delay.is_zero() { AT_ONCE } else { self.flight().due_after(delay) };
        let given = self.flight().give_back(token, due, token.attempts());
        given.map_err(|evicted| self.evicted(evicted))
    }

    /// Takes back the count of this delivery, because no attempt was made: the program is told to stop, for example, or a
    /// service that the work needs is down. The message stays this job's, and may be acked or rejected; given back or
    /// dropped, or after the death of this process, it comes again with as many attempts as now. A program that is told to
    /// stop calls it first, before it is killed. Called again, it does nothing. 255 attempts stand for any higher number,
    /// and are not changed.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn uncount(&mut self) -> Result<(), JobError> {
        let (token, before) = (self.token()?, self.attempts_before());
        let counted = self.flight().set_attempts(token, before);
        self.word = counted.map_or(0, |token| token.word);
        counted.map(|_| ()).map_err(|evicted| self.evicted(evicted))
    }

    /// Attempts without this one. 255 stands for 255 or more, so one less would be wrong.
    fn attempts_before(&self) -> u8 {
        match self.attempts() {
            u8::MAX => u8::MAX,
            attempts => attempts.saturating_sub(1),
        }
    }

    /// Makes the message a dead letter: sends it to the group's dead-letter queue (see
    /// [`Group::dead_letters_to`](crate::Group::dead_letters_to)), or hands it to the handler of
    /// [`Worker::on_dead_letter`](super::Worker::on_dead_letter), and then acks it. Waits a few seconds at most for its turn
    /// to send there; jobs of one worker send one after another. If this process dies between the two steps, or the message
    /// is taken from this job, a second letter may be made of it.
    ///
    /// # Errors
    /// [`JobError::Evicted`] if it was taken from this job: before, then there is no letter; or between the two steps, then
    /// there is one, and the message comes again. [`JobError::DeadLetter`] if the letter cannot be sent: the message is
    /// given back, and comes again after a second without a count of this attempt. [`JobError::Forked`] in a forked child.
    pub fn reject(mut self) -> Result<(), JobError> {
        let (attempts, before) = (self.attempts(), self.attempts_before());
        self.dead_letter(Reason::Rejected, attempts, before)
    }

    /// As [`Job::reject`], but nobody has worked on the message this time, so that the letter leaves this attempt out. For an
    /// operator, who takes it by [`Worker::take`](super::Worker::take).
    ///
    /// # Errors
    /// As for [`Job::reject`].
    pub fn reject_untried(mut self) -> Result<(), JobError> {
        self.uncount()?;
        let before = self.attempts_before();
        self.dead_letter(Reason::Rejected, before, before)
    }

    /// Reports that the work on the message failed, so that it comes again at once; but after the last attempt that its
    /// group allows it becomes a dead letter at once. Returns whether it did.
    ///
    /// # Errors
    /// As for [`Job::reject`]; but a message whose letter cannot be sent is not worked on again: the receive that takes it
    /// a second later tries to send the letter.
    pub fn fail(self) -> Result<bool, JobError> {
        self.fail_after(Duration::ZERO)
    }

    /// As [`Job::fail`], but the message comes again after `delay`, as for [`Job::retry_after`]. A dead letter has no delay.
    ///
    /// # Errors
    /// As for [`Job::fail`].
    pub fn fail_after(mut self, delay: Duration) -> Result<bool, JobError> {
        let (limit, next) = (self.flight().limit(), self.attempts().saturating_add(1));
        if u32::from(next) <= limit {
            return self.retry_after(delay).map(|()| false);
        }
        let attempts = self.attempts();
        self.dead_letter(Reason::MaxAttempts, attempts, attempts).map(|()| true)
    }

    /// Makes a dead letter of a message that was taken once too often. If it is taken from this job meanwhile, the message
    /// comes once more.
    #[cold]
    pub(super) fn exhaust(mut self) -> Result<(), Box<DeadLetterError>> {
        // Without this attempt, which the message does not get.
        let limit = self.flight().limit() as u8;
        match self.dead_letter(Reason::MaxAttempts, limit, limit) {
            Err(JobError::DeadLetter(fault)) => Err(fault),
            Ok(()) | Err(JobError::Evicted { .. } | JobError::Forked { .. }) => Ok(()),
        }
    }

    /// The letter first, then the ack. If the letter cannot be sent, the message comes again, after `again` attempts.
    #[cold]
    fn dead_letter(&mut self, reason: Reason, attempts: u8, again: u8) -> Result<(), JobError> {
        // Other letters of this worker may take their time.
        self.extend_at_least(LETTER_WITHIN)?;
        let copied = Arc::clone(&self.copied);
        let flight = &copied.flight;
        let mut policy = flight.policy();
        // From here on it is no other member's, for long enough; unless it was taken meanwhile.
        self.extend_at_least(LETTER_WITHIN)?;
        let (queue, group) = (policy.queue.clone(), policy.group.clone());
        let token = self.token()?;
        let acked = flight.ack_after(token, || {
            policy.send_letter(&DeadLetter {
                queue: &queue,
                group: &group,
                sequence: self.sequence(),
                attempts,
                time: SystemTime::now(),
                reason,
                kind: self.kind(),
                payload: self.content().to_payload(),
            })?;
            flight.count_dead_letter();
            drop(policy);
            Ok::<_, Box<DeadLetterError>>(())
        });
        // A panic of the handler gives the message back.
        self.word = 0;
        match acked {
            Ok(acked) => acked.map_err(|evicted| self.evicted(evicted)),
            Err(fault) => {
                let due = self.flight().due_after(LETTER_AGAIN);
                // Evicted: it comes again anyway.
                let _ = self.flight().give_back(token, due, again);
                Err(fault.into())
            }
        }
    }
}

impl<M: Content + ?Sized> Drop for Job<M> {
    #[inline]
    fn drop(&mut self) {
        if self.word != 0 {
            self.let_go(self.token_of(self.word));
        }
    }
}

impl<M: Content + ?Sized> Deref for Job<M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.content()
    }
}

impl<M: Content + ?Sized> fmt::Debug for Job<M> {
    /// Without the content, which may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("info", &self.info()).finish_non_exhaustive()
    }
}
