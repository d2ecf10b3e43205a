//! Sending many messages at once.

#![allow(unsafe_code)]

use std::time::{Duration, Instant};

use super::Producer;
use crate::error::{SendBatchError, SendError};
use crate::layout::{Meta, View};
use crate::message::{Content, Outgoing};
use crate::ring::notify;
use crate::ring::publish::{fill, stamp};
use crate::wait::{Check, Deadline};

/// Most messages, and bytes, of a run whose end alone moves the tail and looks for sleepers.
const RUN: usize = 32;
const RUN_BYTES: usize = 4096;

impl<M: Content + ?Sized> Producer<M> {
    /// Sends messages until the iterator ends or the queue is full, whichever comes first; returns how
    /// many. It takes no message from the iterator that it does not send, but for one that does not fit a slot. Never
    /// blocks.
    ///
    /// It borrows the iterator, where the calls that wait take anything that can be iterated over: what was not sent stays
    /// in the iterator, for the next call.
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
    /// [`SendError::Full`] if there was no room for even one, unless the iterator's `size_hint` says that it is at its end:
    /// nothing is sent then, which is no error. [`SendBatchError`] says how many were sent before the one that failed, or
    /// before the queue was found removed.
    pub fn try_send_batch<'m, I>(&mut self, messages: &mut I) -> Result<usize, SendBatchError>
    where
        I: Iterator,
        I::Item: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        if let Err(reason) = self.room(1, Check::Fast) {
            return none_sent(messages.size_hint(), reason);
        }
        let mut sent = 0;
        loop {
            match self.publish_run(messages) {
                Ok(0) => return Ok(sent),
                Ok(n) => sent += n,
                Err(fault) => return Err(fault.after(sent)),
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
    /// [`SendBatchError`] says how many were sent before the one that failed, or before the program ended the wait; then one
    /// message more may have been taken from the iterator.
    pub fn send_batch<'m, I>(&mut self, messages: I) -> Result<usize, SendBatchError>
    where
        I: IntoIterator,
        I::Item: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        self.send_batch_by(messages, Deadline::NEVER)
    }

    /// Sends all messages, waiting for room at most `timeout` altogether; returns how many.
    ///
    /// # Errors
    /// [`SendError::Timeout`] in a [`SendBatchError`], which says how many were sent before the time was up. One
    /// message more may have been taken from the iterator.
    pub fn send_batch_timeout<'m, I>(
        &mut self,
        messages: I,
        timeout: Duration,
    ) -> Result<usize, SendBatchError>
    where
        I: IntoIterator,
        I::Item: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        self.send_batch_by(messages, Deadline::after(timeout))
    }

    /// Sends all messages, waiting for room until `deadline` at most; returns how many.
    ///
    /// # Errors
    /// As for [`Producer::send_batch_timeout`].
    pub fn send_batch_deadline<'m, I>(
        &mut self,
        messages: I,
        deadline: Instant,
    ) -> Result<usize, SendBatchError>
    where
        I: IntoIterator,
        I::Item: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        self.send_batch_by(messages, Deadline::at(deadline))
    }

    /// Sends the messages of a slice until all are sent or the queue is full, whichever comes first; returns how many.
    /// Faster than [`Producer::try_send_batch`]: it moves the tail, and looks for consumers that sleep, once for
    /// up to 32 messages or 4 KiB. Never blocks.
    ///
    /// A slice of messages, or of anything else of which a reference becomes an [`Outgoing`]: of texts and byte
    /// strings, owned or borrowed; of pairs of a kind and a message; of `Outgoing`s.
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
    /// [`SendError::Full`] if there was no room for even one of them; of an empty slice nothing is sent, which is no error.
    /// Else as for [`Producer::try_send_batch`].
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

    fn send_batch_by<'m, I>(
        &mut self,
        messages: I,
        deadline: Deadline,
    ) -> Result<usize, SendBatchError>
    where
        I: IntoIterator,
        I::Item: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let mut messages = messages.into_iter().fuse().peekable();
        let mut sent = 0;
        // Looks before it waits: the last message may have taken the last slot.
        while messages.peek().is_some() {
            self.wait_for_room(1, || deadline).map_err(|reason| SendBatchError { sent, reason })?;
            match self.publish_run(&mut messages) {
                Ok(n) => sent += n,
                Err(fault) => return Err(fault.after(sent)),
            }
        }
        Ok(sent)
    }

    /// Sends what is known to fit, up to the first that somebody sleeps for, and moves the tail once.
    fn publish_run<'m, I>(&mut self, messages: &mut I) -> Result<usize, SendBatchError>
    where
        I: Iterator,
        I::Item: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let mut run = Run::new(self);
        // Copies: a store to the ring could change what a handle holds, for all that the compiler knows.
        let (view, lengths) = (run.producer.attachment.view, run.producer.lengths);
        let (bound, mut reclaimed) = (run.producer.bound, run.producer.publisher.reclaimed());
        loop {
            // No message is taken from the iterator that has no room, and no slot is taken back for none.
            if run.next >= bound {
                break;
            }
            let Some(message) = messages.next() else { break };
            if run.next >= reclaimed {
                reclaimed = Run::open(run.producer, run.next);
            }
            let Outgoing { kind, content } = message.into();
            let bytes = content.to_payload();
            if !lengths.take::<M>(bytes.len()) {
                let sent = run.sent();
                return Err(misfit(run.producer, sent, bytes.len()));
            }
            run.push(&view, kind, bytes);
            if notify::consumer_waits(&view) {
                // The end of the run wakes, and the next message may be long in coming.
                break;
            }
        }
        Ok(run.sent())
    }

    /// Sends the first of `messages`, as many as are worth moving the tail and looking for sleepers once. There is room
    /// for one at least.
    fn publish_slice<'m, T>(&mut self, messages: &'m [T]) -> Result<usize, SendBatchError>
    where
        &'m T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let room = self.bound.saturating_sub(self.publisher.tail());
        let most = room.min(messages.len().min(RUN) as u64) as usize;
        let n = self.run_of(&messages[..most])?;
        // No slot is taken back that is not written.
        self.publisher.reclaim_next(&self.attachment.view, n as u64);
        // Copies, as above.
        let (view, lengths) = (self.attachment.view, self.lengths);
        let mut run = Run::new(self);
        for message in &messages[..n] {
            let Outgoing { kind, content } = message.into();
            let bytes = content.to_payload();
            // Another conversion, which may say something else.
            if !lengths.take::<M>(bytes.len()) {
                let sent = run.sent();
                return Err(misfit(run.producer, sent, bytes.len()));
            }
            run.push(&view, kind, bytes);
        }
        Ok(run.sent())
    }

    /// How many of `messages` make a run: those that fit, up to so many bytes. An error if the first does not fit.
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

/// Messages of a batch that are stamped, so visible already. Dropping it moves the tail past them, also
/// when the caller's iterator panics: their slots must not be written again.
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

    /// Takes slots from `next` on back, for which there is room; returns where they end.
    #[inline(never)]
    fn open(producer: &mut Producer<M>, next: u64) -> u64 {
        let Producer { publisher, attachment, .. } = &mut *producer;
        publisher.reclaim_ahead(&attachment.view, next);
        publisher.reclaimed()
    }

    #[inline(always)]
    fn push(&mut self, view: &View, kind: u32, bytes: &[u8]) {
        let slot = view.slot(self.next);
        // SAFETY: the slot was taken back, and the message's length was looked at.
        unsafe { fill(&slot, Meta { len: bytes.len(), kind }, bytes) };
        stamp(&slot, self.next);
        self.next += 1;
        self.bytes += bytes.len() as u64;
    }

    #[inline(always)]
    fn sent(&self) -> usize {
        (self.next - self.producer.publisher.tail()) as usize
    }
}

/// What becomes of a call for which there is no room: one that has nothing to send needs none.
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
