//! Sending many messages at once.

#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use super::Producer;
use crate::error::{SendBatchError, SendError};
use crate::layout::{Meta, Slot};
use crate::message::{Content, Outgoing};
use crate::ring::notify;
use crate::ring::publish::{fill, stamp};
use crate::wait::{Check, Deadline};

/// Most messages, and bytes, of a run. The end of a run moves the tail and checks for sleepers, once.
const RUN: usize = 32;
const RUN_BYTES: usize = 4096;

impl<M: Content + ?Sized> Producer<M> {
    /// Sends messages until the iterator ends or the queue is full; returns how many. Never blocks.
    ///
    /// It borrows the iterator, unlike the calls that wait: messages that were not sent stay in it for the next call.
    /// Only a message that does not fit a slot is taken and not sent.
    ///
    /// ```
    /// # let name = format!("doc-try-batch-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).capacity(2).group("work").create()?;
    /// # let mut producer = queue.producer()?;
    /// let mut messages = ["one", "two", "three"].into_iter();
    /// assert_eq!(producer.try_send_batch(&mut messages)?, 2); // all that there is room for
    /// assert_eq!(messages.next(), Some("three"));
    /// # drop(producer);
    /// # slipring::force_remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room for even one message; but with an iterator whose `size_hint` says that
    /// it is at its end, it succeeds and sends nothing. [`SendBatchError`] says how many messages were sent before the
    /// failure, or before the removal of the queue was noticed.
    pub fn try_send_batch<'m>(
        &mut self,
        messages: &mut impl Iterator<Item: Into<Outgoing<'m, M>>>,
    ) -> Result<usize, SendBatchError>
    where
        M: 'm,
    {
        if let Err(reason) = self.room(1, Check::Fast) {
            return none_sent(messages.size_hint(), reason);
        }
        let first = self.publisher.tail();
        loop {
            let ended = self.publish_run(messages);
            let sent = (self.publisher.tail() - first) as usize;
            match ended {
                Ended::Iterator => return Ok(sent),
                Ended::Misfit(len) => return Err(misfit(self, sent, len)),
                Ended::Room => {}
            }
            match self.room(1, Check::Fast) {
                Ok(()) => {}
                Err(SendError::Full(_) | SendError::Exhausted { .. }) => return Ok(sent),
                Err(reason) => return Err(SendBatchError { sent, reason }),
            }
        }
    }

    /// Sends all messages, waiting for room as often as it takes; returns how many.
    ///
    /// # Errors
    /// [`SendBatchError`] says how many messages were sent before the failure, or before the program interrupted the
    /// wait. One message more may have been taken from the iterator.
    pub fn send_batch<'m>(
        &mut self,
        messages: impl IntoIterator<Item: Into<Outgoing<'m, M>>>,
    ) -> Result<usize, SendBatchError>
    where
        M: 'm,
    {
        self.send_batch_by(messages, Deadline::NEVER)
    }

    /// Sends all messages, waiting for room at most `timeout` altogether; returns how many.
    ///
    /// # Errors
    /// [`SendError::Timeout`] in a [`SendBatchError`], which says how many messages were sent before. One message more
    /// may have been taken from the iterator.
    pub fn send_batch_timeout<'m>(
        &mut self,
        messages: impl IntoIterator<Item: Into<Outgoing<'m, M>>>,
        timeout: Duration,
    ) -> Result<usize, SendBatchError>
    where
        M: 'm,
    {
        self.send_batch_by(messages, Deadline::after(timeout))
    }

    /// Sends all messages, waiting for room until `deadline` at most; returns how many.
    ///
    /// # Errors
    /// As for [`Producer::send_batch_timeout`].
    pub fn send_batch_deadline<'m>(
        &mut self,
        messages: impl IntoIterator<Item: Into<Outgoing<'m, M>>>,
        deadline: Instant,
    ) -> Result<usize, SendBatchError>
    where
        M: 'm,
    {
        self.send_batch_by(messages, Deadline::at(deadline))
    }

    /// Sends the messages of a slice until all are sent or the queue is full; returns how many. Never blocks. Faster
    /// than [`Producer::try_send_batch`]: it moves the tail, and checks for sleeping consumers, once for up to 32
    /// messages or 4 KiB.
    ///
    /// The slice may have messages, or any elements whose references become an [`Outgoing`]: texts and byte strings,
    /// owned or borrowed; pairs of a kind and a message; `Outgoing`s.
    ///
    /// ```
    /// # let name = format!("doc-slice-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
    /// # let mut producer = queue.producer()?;
    /// producer.send_slice(&["one", "two"])?;
    /// producer.send_slice(&[(7, "of kind 7"), (8, "of kind 8")])?;
    /// producer.send_slice(&vec![String::from("three"), String::from("four")])?;
    /// # drop(producer);
    /// # slipring::force_remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room for even one of them; an empty slice succeeds and sends nothing. Else as
    /// for [`Producer::try_send_batch`].
    pub fn try_send_slice<'m, T>(&mut self, messages: &'m [T]) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        if messages.is_empty() {
            return Ok(0);
        }
        self.room(1, Check::Fast).map_err(|reason| SendBatchError { sent: 0, reason })?;
        let mut sent = 0;
        while sent < messages.len() {
            match self.room(1, Check::Fast) {
                Ok(()) => {}
                Err(SendError::Full(_) | SendError::Exhausted { .. }) => break,
                Err(reason) => return Err(SendBatchError { sent, reason }),
            }
            sent += self.publish_slice(&messages[sent..]).map_err(|fault| fault.after(sent))?;
        }
        Ok(sent)
    }

    /// Sends the messages of a slice, waiting for room as often as it takes; returns how many. Faster than
    /// [`Producer::send_batch`]: see [`Producer::try_send_slice`].
    ///
    /// # Errors
    /// As for [`Producer::send_batch`].
    pub fn send_slice<'m, T>(&mut self, messages: &'m [T]) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        self.send_slice_by(messages, Deadline::NEVER)
    }

    /// Sends the messages of a slice, waiting for room at most `timeout` altogether; returns how many.
    ///
    /// # Errors
    /// As for [`Producer::send_batch_timeout`].
    pub fn send_slice_timeout<'m, T>(
        &mut self,
        messages: &'m [T],
        timeout: Duration,
    ) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        self.send_slice_by(messages, Deadline::after(timeout))
    }

    /// Sends the messages of a slice, waiting for room until `deadline` at most; returns how many.
    ///
    /// # Errors
    /// As for [`Producer::send_batch_timeout`].
    pub fn send_slice_deadline<'m, T>(
        &mut self,
        messages: &'m [T],
        deadline: Instant,
    ) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        self.send_slice_by(messages, Deadline::at(deadline))
    }

    fn send_slice_by<'m, T>(
        &mut self,
        messages: &'m [T],
        deadline: Deadline,
    ) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let mut sent = 0;
        while sent < messages.len() {
            self.wait_for_room(1, || deadline).map_err(|reason| SendBatchError { sent, reason })?;
            sent += self.publish_slice(&messages[sent..]).map_err(|fault| fault.after(sent))?;
        }
        Ok(sent)
    }

    fn send_batch_by<'m>(
        &mut self,
        messages: impl IntoIterator<Item: Into<Outgoing<'m, M>>>,
        deadline: Deadline,
    ) -> Result<usize, SendBatchError>
    where
        M: 'm,
    {
        let mut messages = messages.into_iter().fuse().peekable();
        let (first, mut sent) = (self.publisher.tail(), 0);
        // Peeks before it waits: the last message may have taken the last slot.
        while messages.peek().is_some() {
            self.wait_for_room(1, || deadline).map_err(|reason| SendBatchError { sent, reason })?;
            let ended = self.publish_run(&mut messages);
            sent = (self.publisher.tail() - first) as usize;
            if let Ended::Misfit(len) = ended {
                return Err(misfit(self, sent, len));
            }
        }
        Ok(sent)
    }

    /// Sends messages for which there is room, in runs.
    fn publish_run<'m>(
        &mut self,
        messages: &mut impl Iterator<Item: Into<Outgoing<'m, M>>>,
    ) -> Ended
    where
        M: 'm,
    {
        // Copies: the compiler must assume that a store to the ring changes the fields of a handle.
        let (view, lengths, bound) = (self.attachment.view, self.lengths, self.bound);
        let ring = *view.ring();
        while self.publisher.tail() < bound {
            // Not before there is room, and before slots are reclaimed for it.
            let Some(mut message) = messages.next() else { return Ended::Iterator };
            // As many as the iterator says, up to a run.
            let n = 1 + messages.size_hint().0.min(RUN - 1) as u64;
            let end = self.publisher.reclaim_ahead(&self.attachment.view, n).min(bound);
            let mut row = ring.row(self.publisher.tail(), end);
            let mut run = Run::new(self);
            loop {
                let Outgoing { kind, content } = message.into();
                let bytes = content.to_payload();
                if !lengths.take::<M>(bytes.len()) {
                    return Ended::Misfit(bytes.len());
                }
                run.push(&row.slot(), kind, bytes);
                // The end of the run wakes a consumer that waits: the next message may be long in coming.
                if notify::consumer_waits(&view) || !row.advance() {
                    break;
                }
                match messages.next() {
                    Some(next) => message = next,
                    None => return Ended::Iterator,
                }
            }
        }
        Ended::Room
    }

    /// Sends the first of `messages`, as many as make a run. There is room for at least one.
    fn publish_slice<'m, T>(&mut self, messages: &'m [T]) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let room = self.bound.saturating_sub(self.publisher.tail());
        let most = room.min(messages.len().min(RUN) as u64) as usize;
        let n = self.run_of(&messages[..most])?;
        // Reclaims only slots that are written.
        self.publisher.reclaim_next(&self.attachment.view, n as u64);
        // Copies, as above.
        let (ring, lengths) = (*self.attachment.view.ring(), self.lengths);
        let mut run = Run::new(self);
        let end = run.next + n as u64;
        let mut row = ring.row(run.next, end);
        for message in &messages[..n] {
            let Outgoing { kind, content } = message.into();
            let bytes = content.to_payload();
            // Converts the message a second time, which may give another length.
            if !lengths.take::<M>(bytes.len()) {
                let sent = run.sent();
                return Err(misfit(run.producer, sent, bytes.len()));
            }
            run.push(&row.slot(), kind, bytes);
            if !row.advance() && run.next < end {
                row = ring.row(run.next, end);
            }
        }
        Ok(run.sent())
    }

    /// How many of `messages` make a run: those that fit a slot, up to a number of bytes. An error if the first does
    /// not fit.
    #[inline(always)]
    fn run_of<'m, T>(&self, messages: &'m [T]) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        if M::SCHEMA.is_some() {
            let each = self.attachment.view.geo().payload_size.max(1);
            return Ok(messages.len().min(RUN_BYTES.div_ceil(each)));
        }
        let mut bytes = 0;
        for (n, message) in messages.iter().enumerate() {
            let len = message.into().content.to_payload().len();
            if !self.lengths.take::<M>(len) {
                return if n == 0 { Err(misfit(self, 0, len)) } else { Ok(n) };
            }
            bytes += len;
            if bytes >= RUN_BYTES {
                return Ok(n + 1);
            }
        }
        Ok(messages.len())
    }
}

/// Why no more messages are sent.
enum Ended {
    /// The iterator has no more messages.
    Iterator,
    /// There is no more room.
    Room,
    /// A message of this length does not fit.
    Misfit(usize),
}

/// Messages of a batch that are stamped, and so visible. Dropping it moves the tail past them, even if the caller's
/// iterator panics: their slots must not be written again.
struct Run<'p, M: Content + ?Sized> {
    producer: &'p mut Producer<M>,
    next: u64,
    bytes: u64,
}

impl<'p, M: Content + ?Sized> Run<'p, M> {
    #[inline(always)]
    fn new(producer: &'p mut Producer<M>) -> Run<'p, M> {
        let next = producer.publisher.tail();
        Run { producer, next, bytes: 0 }
    }

    /// Stamps the next message, in `slot`.
    #[inline(always)]
    fn push(&mut self, slot: &Slot<'_>, kind: u32, bytes: &[u8]) {
        // SAFETY: the slot was reclaimed, and the message's length was checked.
        unsafe { fill(slot, Meta::of(bytes, kind), bytes, M::SCHEMA.is_some()) };
        stamp(slot, self.next);
        self.next += 1;
        if M::SCHEMA.is_none() {
            self.bytes += bytes.len() as u64;
        }
    }

    #[inline(always)]
    fn sent(&self) -> usize {
        (self.next - self.producer.publisher.tail()) as usize
    }
}

/// The result of a call for which there is no room: success if it has nothing to send.
#[cold]
fn none_sent(
    (_, most): (usize, Option<usize>),
    reason: SendError,
) -> Result<usize, SendBatchError> {
    if most == Some(0) { Ok(0) } else { Err(SendBatchError { sent: 0, reason }) }
}

#[cold]
fn misfit<M: Content + ?Sized>(producer: &Producer<M>, sent: usize, len: usize) -> SendBatchError {
    SendBatchError { sent, reason: producer.misfit(len) }
}

impl<M: Content + ?Sized> Drop for Run<'_, M> {
    #[inline(always)]
    fn drop(&mut self) {
        let n = self.sent() as u64;
        if n > 0 {
            let Producer { publisher, attachment, .. } = &mut *self.producer;
            publisher.advance(&attachment.view, n);
            self.producer.count_bytes(self.bytes);
        }
    }
}
