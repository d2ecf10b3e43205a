//! One message that a worker has.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::flight::Flight;
use crate::error::JobError;
use crate::info::{MessageInfo, message_accessors};
use crate::message::Content;
use crate::packed::AT_ONCE;
use crate::ring::cells::{Evicted, InHand, Token};
use crate::source::Source;

/// A message that a [`Worker`](super::Worker) has received: its own copy, for any thread to work on and ack. Dereferences
/// to its content. Dropped without an ack, it is given back and comes again at once.
///
/// If it is not done within the [ack timeout](crate::Group::ack_timeout) of its group, another member may take it. Then
/// every call here fails with [`JobError::Evicted`], and changes nothing. The work may have been done twice:
/// sequence and [`attempts`](Job::attempts) together tell deliveries of a message apart, for an effect outside of the queue
/// that is to be made by the latest one alone.
#[must_use = "a job that is dropped without an ack is redelivered"]
pub struct Job<M: Content + ?Sized = [u8]> {
    flight: Arc<Flight>,
    info: MessageInfo,
    source: Option<Source>,
    content: M::Owned,
    /// `None` once it is acked or given back.
    token: Option<Token>,
}

impl<M: Content + ?Sized> Job<M> {
    pub(super) fn new(flight: &Arc<Flight>, message: InHand) -> Job<M> {
        let InHand { seq, kind, attempts, origin, token, payload } = message;
        let mut content = M::room();
        M::copy(&mut content, payload.len(), |to| {
            for (to, byte) in to.iter_mut().zip(&payload) {
                *to = *byte;
            }
        });
        flight.count_up();
        Job {
            flight: Arc::clone(flight),
            info: MessageInfo::new(seq, kind, attempts).with(kind, false),
            source: origin.map(Source::from),
            content,
            token: Some(token),
        }
    }

    message_accessors!();

    /// Where it comes from; `None` if its sender did not say. See [`Source`].
    pub fn source(&self) -> Option<Source> {
        self.source
    }

    /// The content.
    pub fn content(&self) -> &M {
        M::from_owned(&self.content)
    }

    /// Name of the queue.
    pub fn queue_name(&self) -> &str {
        self.flight.queue()
    }

    fn token(&self) -> Result<Token, JobError> {
        if self.flight.forked() {
            let (queue, sequence) = (self.flight.queue().clone(), self.sequence());
            return Err(JobError::Forked { queue, sequence });
        }
        self.token.ok_or_else(|| self.evicted(Evicted))
    }

    #[cold]
    fn evicted(&self, Evicted: Evicted) -> JobError {
        let (queue, group) = (self.flight.queue().clone(), self.flight.group().to_owned());
        JobError::Evicted { queue, group, sequence: self.sequence() }
    }

    /// Acks the message: it is done, and does not come again.
    ///
    /// # Errors
    /// [`JobError::Evicted`] if it was taken from this job; [`JobError::Forked`] in a forked child.
    pub fn ack(mut self) -> Result<(), JobError> {
        let token = self.token()?;
        self.token = None;
        self.flight.ack(token).map_err(|evicted| self.evicted(evicted))
    }

    /// Asks for more time: the message is this job's for `time` from now on at least. In a group without an ack timeout it
    /// is this job's anyway. Not more than nine years.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn extend(&mut self, time: Duration) -> Result<(), JobError> {
        let token = self.token()?;
        let extended = self.flight.extend(token, time);
        self.token = extended.ok();
        extended.map(|_| ()).map_err(|evicted| self.evicted(evicted))
    }

    /// Whether the message is this job's still: a look at one word, for long work that is worth stopping. It may be taken a
    /// moment later. False in a forked child.
    pub fn is_mine(&self) -> bool {
        self.token().is_ok_and(|token| self.flight.is_mine(token))
    }

    /// Gives the message back, for any member to take at once. This delivery counts as an attempt.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn give_back(self) -> Result<(), JobError> {
        self.retry_after(Duration::ZERO)
    }

    /// Gives the message back, for any member to take after `delay`, which is rounded up to 4 ms or so. Until then it keeps
    /// its place in flight, and no member. This delivery counts as an attempt: after the last one that the group allows, the
    /// message becomes a dead letter when it is taken the next time.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn retry_after(mut self, delay: Duration) -> Result<(), JobError> {
        let (token, attempts) = (self.token()?, self.attempts());
        self.token = None;
        let due = if delay.is_zero() { AT_ONCE } else { self.flight.due_after(delay) };
        self.flight.give_back(token, due, attempts).map_err(|evicted| self.evicted(evicted))
    }

    /// Gives the message back at once, and takes the count of this delivery back: no attempt was made. A program calls it
    /// when it is told to stop.
    ///
    /// # Errors
    /// As for [`Job::ack`].
    pub fn uncount(mut self) -> Result<(), JobError> {
        let (token, attempts) = (self.token()?, self.attempts());
        self.token = None;
        // 255 stands for 255 or more: one less would be wrong.
        let before = if attempts == u8::MAX { attempts } else { attempts.saturating_sub(1) };
        self.flight.give_back(token, AT_ONCE, before).map_err(|evicted| self.evicted(evicted))
    }
}

impl<M: Content + ?Sized> Drop for Job<M> {
    fn drop(&mut self) {
        if let Some(token) = self.token.filter(|_| !self.flight.forked()) {
            // Evicted: there is nothing to be given back.
            let _ = self.flight.give_back(token, AT_ONCE, self.attempts());
        }
        self.flight.count_down();
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
