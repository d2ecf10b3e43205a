//! Sending messages that say where they come from.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{ForgetStreamError, SendError, StreamError, StreamSendError};
use crate::layout::{Meta, View};
use crate::message::{Content, Outgoing};
use crate::producer::Producer;
use crate::producer::progress::Progress;
use crate::reservation::Reservation;
use crate::ring::notify;
use crate::ring::publish::stamp;
use crate::ring::sources::{self, Number};
use crate::source::StreamId;
use crate::wait::{Check, Deadline};

/// Most messages of a run that is published at once.
const RUN: usize = 32;

/// The outcome of sending one message of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message that is there already was not sent again"]
pub enum Sent {
    /// It is published now, with this sequence.
    Published(u64),
    /// It, or a later one of its stream, was in the queue when this producer took the role: nothing is to be done.
    AlreadyThere,
}

/// The outcome of sending messages of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "messages that are there already were not sent again"]
pub struct BatchSent {
    /// Messages that are published now.
    pub published: usize,
    /// Messages that were in the queue already.
    pub already_there: usize,
}

/// A producer, sending for one stream. See [`Producer::stream`].
pub struct StreamProducer<'p, M: Content + ?Sized = [u8]> {
    producer: &'p mut Producer<M>,
    stream: StreamId,
    number: Number,
}

impl<M: Content + ?Sized> Producer<M> {
    /// Sends messages that come from `stream`: each with its position there. The queue stores both with the message, in
    /// one step, and remembers the last position of each stream. So a program that is killed at any moment asks, once
    /// started again, for the [last position](StreamProducer::last_position), and goes on after it: nothing is lost,
    /// and nothing is sent twice. Needs a queue with [sources](crate::Builder::sources). Never blocks.
    ///
    /// Positions go on over all starts of the program: one that begins at 1 again each time sends nothing, since all of
    /// it is [there already](Sent::AlreadyThere).
    ///
    /// A stream that the queue does not know yet takes an entry of its table. It keeps the entry until
    /// [`Producer::forget_stream`].
    ///
    /// ```
    /// # let name = format!("doc-stream-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).sources(4).group("work").create()?;
    /// let lines = ["one", "two", "three"];
    /// # { let mut producer = queue.producer()?; let _ = producer.stream("lines")?.send(1, "one")?; }
    /// // At each start:
    /// let mut producer = queue.producer()?;
    /// let mut stream = producer.stream("lines")?;
    /// let done = stream.last_position().unwrap_or(0);
    /// for (position, line) in (1..).zip(lines).skip(done as usize) {
    ///     let _ = stream.send(position, line)?;
    /// }
    /// # assert_eq!((done, stream.last_position()), (1, Some(3)));
    /// # drop(producer);
    /// let mut consumer = queue.consumer("work")?;
    /// let message = consumer.recv()?;
    /// let source = message.source().expect("it has one");
    /// assert_eq!((source.stream(), source.position()), ("lines".into(), 1));
    /// # drop(message); drop(consumer);
    /// # slipring::force_remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StreamError::NoSources`], and [`StreamError::TooMany`] if the table is full.
    pub fn stream(
        &mut self,
        stream: impl Into<StreamId>,
    ) -> Result<StreamProducer<'_, M>, StreamError> {
        let stream = stream.into();
        if self.attachment.leases.forked() {
            return Err(StreamError::Forked { queue: self.queue() });
        }
        let view = &self.attachment.view;
        if view.geo().streams == 0 {
            return Err(StreamError::NoSources { queue: self.queue() });
        }
        let (id, label) = stream.words();
        let Some(number) = sources::find(view, id).or_else(|| sources::open(view, id, label))
        else {
            let streams = sources::in_use(view).map(|number| id_of(view, number)).collect();
            return Err(StreamError::TooMany { queue: self.queue(), streams });
        };
        let index = number.index();
        if self.progress.len() <= index {
            self.progress.resize(view.geo().streams, None);
        }
        let found = sources::last(view, number);
        // What this handle has sent since it took the role is in the table, too.
        self.progress[index].get_or_insert(Progress { found, sent: 0 });
        Ok(StreamProducer { producer: self, stream, number })
    }

    /// Sends one message of a stream, waiting for room as long as it takes: `stream(stream)?.send(position, message)`.
    ///
    /// # Errors
    /// As for [`Producer::stream`] and [`StreamProducer::send`]. The first becomes a
    /// [`SendFromError`](crate::SendFromError), too.
    pub fn send_from<'m>(
        &mut self,
        stream: impl Into<StreamId>,
        position: u64,
        message: impl Into<Outgoing<'m, M>>,
    ) -> Result<Sent, crate::error::SendFromError>
    where
        M: 'm,
    {
        Ok(self.stream(stream)?.send(position, message)?)
    }

    /// Position of the stream's last message in this queue, from whatever producer; `None` before the first, and for a
    /// stream that the queue does not know.
    pub fn last_position(&self, stream: impl Into<StreamId>) -> Option<u64> {
        if self.attachment.leases.forked() {
            return None;
        }
        let view = &self.attachment.view;
        let number = sources::find(view, stream.into().words().0)?;
        Some(sources::last(view, number)).filter(|last| *last > 0)
    }

    /// Gives up the entry of a stream, so that another stream may have it. The queue then no longer knows what is there
    /// of it. Returns whether there was one.
    ///
    /// # Errors
    /// [`ForgetStreamError::InRing`] as long as a slot of the ring has a message of it, acked or not, or one is in flight.
    pub fn forget_stream(
        &mut self,
        stream: impl Into<StreamId>,
    ) -> Result<bool, ForgetStreamError> {
        let stream = stream.into();
        if self.attachment.leases.forked() {
            return Err(ForgetStreamError::Forked { queue: self.queue() });
        }
        let view = &self.attachment.view;
        let Some(number) = sources::find(view, stream.words().0) else { return Ok(false) };
        if sources::is_in_queue(view, number) {
            let (queue, capacity) = (self.queue(), view.geo().capacity);
            return Err(ForgetStreamError::InRing { queue, stream, capacity });
        }
        sources::close(view, number);
        if let Some(progress) = self.progress.get_mut(number.index()) {
            *progress = None;
        }
        Ok(true)
    }
}

/// The stream with this number. Only the producer may ask: no entry changes hands meanwhile.
fn id_of(view: &View, number: Number) -> StreamId {
    StreamId::from_words((sources::id(view, number), sources::label(view, number)))
}

impl<M: Content + ?Sized> StreamProducer<'_, M> {
    /// The stream.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Position of the stream's last message in this queue, from whatever producer; `None` before the first.
    pub fn last_position(&self) -> Option<u64> {
        // In a forked child the segment is out of reach.
        if self.producer.attachment.leases.forked() {
            return None;
        }
        let last = sources::last(&self.producer.attachment.view, self.number);
        (last > 0).then_some(last)
    }

    #[inline]
    fn progress(&self) -> Progress {
        let progress = self.producer.progress.get(self.number.index());
        progress.copied().flatten().unwrap_or_default()
    }

    #[cold]
    fn not_rising(&self, position: u64, last: u64) -> StreamSendError {
        let (queue, stream) = (self.producer.queue(), self.stream);
        StreamSendError::NotRising { queue, stream, position, last }
    }

    /// Whether the message at `position` is to be sent, if the stream has come so far.
    #[inline]
    fn is_new(&self, position: u64, progress: Progress) -> Result<bool, StreamSendError> {
        progress.is_new(position).ok_or_else(|| self.not_rising(position, progress.last()))
    }

    /// Sends one message if there is room. Never blocks.
    ///
    /// # Errors
    /// [`StreamSendError::NotRising`] if this producer has sent that position, or a later one, itself; otherwise as for
    /// [`Producer::try_send`].
    pub fn try_send<'m>(
        &mut self,
        position: u64,
        message: impl Into<Outgoing<'m, M>>,
    ) -> Result<Sent, StreamSendError>
    where
        M: 'm,
    {
        self.send_by(position, message.into(), |producer| producer.room(1, Check::Fast))
    }

    /// Sends one message, waiting for room as long as it takes. A message that is there already waits for nothing.
    ///
    /// # Errors
    /// As for [`StreamProducer::try_send`] and [`Producer::send`].
    pub fn send<'m>(
        &mut self,
        position: u64,
        message: impl Into<Outgoing<'m, M>>,
    ) -> Result<Sent, StreamSendError>
    where
        M: 'm,
    {
        self.send_by(position, message.into(), |producer| {
            producer.wait_for_room(1, || Deadline::NEVER)
        })
    }

    /// Sends one message, waiting for room at most `timeout`.
    ///
    /// # Errors
    /// As for [`StreamProducer::try_send`] and [`Producer::send_timeout`].
    pub fn send_timeout<'m>(
        &mut self,
        position: u64,
        message: impl Into<Outgoing<'m, M>>,
        timeout: Duration,
    ) -> Result<Sent, StreamSendError>
    where
        M: 'm,
    {
        self.send_by(position, message.into(), |producer| {
            producer.wait_for_room(1, || Deadline::after(timeout))
        })
    }

    /// Sends one message, waiting for room until `deadline` at most.
    ///
    /// # Errors
    /// As for [`StreamProducer::send_timeout`].
    pub fn send_deadline<'m>(
        &mut self,
        position: u64,
        message: impl Into<Outgoing<'m, M>>,
        deadline: Instant,
    ) -> Result<Sent, StreamSendError>
    where
        M: 'm,
    {
        self.send_by(position, message.into(), |producer| {
            producer.wait_for_room(1, || Deadline::at(deadline))
        })
    }

    #[inline]
    fn send_by(
        &mut self,
        position: u64,
        message: Outgoing<'_, M>,
        room: impl FnOnce(&mut Producer<M>) -> Result<(), SendError>,
    ) -> Result<Sent, StreamSendError> {
        let bytes = self.producer.fitting(message.content)?;
        if !self.is_new(position, self.progress())? {
            return Ok(Sent::AlreadyThere);
        }
        room(self.producer)?;
        let sequence = self.producer.publisher.tail();
        self.put(0, message.kind, bytes, position);
        self.advance(1, position, bytes.len() as u64);
        Ok(Sent::Published(sequence))
    }

    /// Sends messages with their positions, waiting for room as often as it takes; skips those that are there already,
    /// for which it does not wait. Each message is visible as soon as it is sent, as in [`Producer::send_batch`].
    ///
    /// # Errors
    /// As for [`StreamProducer::send`]. What was sent before stays; [`StreamProducer::last_position`] says how far it
    /// came. The message that could not be sent, or one more, has been taken from the iterator: go on from the last
    /// position, and not with the same iterator.
    pub fn send_batch<'m, I, T>(&mut self, messages: I) -> Result<BatchSent, StreamSendError>
    where
        I: IntoIterator<Item = (u64, T)>,
        T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let mut messages = messages.into_iter().fuse().peekable();
        let mut total = BatchSent::default();
        while let Some((position, _)) = messages.peek() {
            if self.is_new(*position, self.progress())? {
                self.producer.wait_for_room(1, || Deadline::NEVER)?;
                self.send_run(&mut messages, &mut total)?;
            } else {
                total.already_there += 1;
                messages.next();
            }
        }
        Ok(total)
    }

    /// Sends messages with their positions until the iterator ends or the queue is full, whichever comes first; skips
    /// those that are there already. It takes no message from the iterator that it does not send or skip, but for one
    /// that cannot be sent. Never blocks.
    ///
    /// # Errors
    /// As for [`StreamProducer::try_send`]; [`SendError::Full`] if there was no room for even one, unless the
    /// iterator's `size_hint` says that it is at its end. What was sent before an error stays, as with
    /// [`StreamProducer::send_batch`].
    pub fn try_send_batch<'m, T>(
        &mut self,
        messages: &mut impl Iterator<Item = (u64, T)>,
    ) -> Result<BatchSent, StreamSendError>
    where
        T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let mut total = BatchSent::default();
        if messages.size_hint().1 == Some(0) {
            return Ok(total);
        }
        self.producer.room(1, Check::Fast)?;
        while self.send_run(messages, &mut total)? > 0 {
            match self.producer.room(1, Check::Fast) {
                Ok(()) => {}
                Err(SendError::Full(_) | SendError::Exhausted { .. }) => break,
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(total)
    }

    /// Sends the messages that are known to fit, at most a run, and stops after one that a consumer sleeps for. Returns
    /// how many messages it took from the iterator.
    fn send_run<'m, T>(
        &mut self,
        messages: &mut impl Iterator<Item = (u64, T)>,
        total: &mut BatchSent,
    ) -> Result<usize, StreamSendError>
    where
        T: Into<Outgoing<'m, M>>,
        M: 'm,
    {
        let progress = self.progress();
        let mut run = Run { stream: self, n: 0, bytes: 0, last: 0 };
        let mut taken = 0;
        while taken < RUN && run.stream.producer.has_room_at(run.n) {
            let Some((position, message)) = messages.next() else { break };
            let Outgoing { kind, content } = message.into();
            taken += 1;
            let bytes = run.stream.producer.fitting(content)?;
            if run.n > 0 && position <= run.last {
                return Err(run.stream.not_rising(position, run.last));
            }
            if !run.stream.is_new(position, progress)? {
                total.already_there += 1;
                continue;
            }
            run.push(kind, bytes, position);
            total.published += 1;
            if notify::consumer_waits(&run.stream.producer.attachment.view) {
                // The end of the run wakes it, and the next message may be long in coming.
                break;
            }
        }
        Ok(taken)
    }

    /// Takes `n` slots to write in place, for messages with the positions from `first` on, waiting for room as long as
    /// it takes.
    ///
    /// # Errors
    /// [`StreamSendError::NotRising`] also if `first` is there already; otherwise as for [`Producer::reserve`].
    pub fn reserve(&mut self, first: u64, n: usize) -> Result<Reservation<'_, M>, StreamSendError> {
        self.reserve_by(first, n, |producer, slots| {
            producer.wait_for_room(slots, || Deadline::NEVER)
        })
    }

    /// The same, if there is room. Never blocks.
    ///
    /// # Errors
    /// As for [`StreamProducer::reserve`] and [`Producer::try_reserve`].
    pub fn try_reserve(
        &mut self,
        first: u64,
        n: usize,
    ) -> Result<Reservation<'_, M>, StreamSendError> {
        self.reserve_by(first, n, |producer, slots| producer.room(slots, Check::Fast))
    }

    fn reserve_by(
        &mut self,
        first: u64,
        n: usize,
        room: impl FnOnce(&mut Producer<M>, u64) -> Result<(), SendError>,
    ) -> Result<Reservation<'_, M>, StreamSendError> {
        let last = self.progress().last();
        if first <= last || first.checked_add((n as u64).saturating_sub(1)).is_none() {
            return Err(self.not_rising(first, last));
        }
        let slots = self.producer.slots(n)?;
        room(self.producer, slots)?;
        Ok(Reservation::open(self.producer, slots).of_stream(self.number, first))
    }

    /// Says that everything of the stream up to `position` is done, without a message: the next one has a higher
    /// position. For positions that the stream leaves out.
    ///
    /// # Errors
    /// [`StreamSendError::NotRising`] if the position is not above the last one; [`SendError::Forked`];
    /// [`SendError::Removed`] as for [`Producer::try_send`].
    pub fn pass(&mut self, position: u64) -> Result<(), StreamSendError> {
        if self.producer.attachment.leases.forked() {
            return Err(SendError::Forked { queue: self.producer.queue() }.into());
        }
        self.producer.check_name_if_due()?;
        if !self.is_new(position, self.progress())? {
            return Err(self.not_rising(position, self.progress().last()));
        }
        sources::pass(&self.producer.attachment.view, self.number, position);
        self.producer.note_sent(self.number, position);
        Ok(())
    }

    /// Writes a message that has its room, and where it comes from, and stamps it: it is visible.
    #[allow(unsafe_code)]
    #[inline(always)]
    fn put(&mut self, offset: u64, kind: u32, bytes: &[u8], position: u64) {
        let Producer { publisher, attachment, .. } = &mut *self.producer;
        let (view, seq) = (&attachment.view, publisher.tail() + offset);
        let meta = Meta { len: bytes.len(), kind };
        // SAFETY: the caller has asked `fitting`.
        let slot = unsafe { publisher.fill(view, offset, meta, bytes, M::SCHEMA.is_some()) };
        sources::mark(view, seq, &slot, meta, self.number, position);
        stamp(&slot, seq);
    }

    /// Moves the tail past `n` messages that are stamped; `last` is the position of the last one.
    #[inline(always)]
    fn advance(&mut self, n: u64, last: u64, bytes: u64) {
        let Producer { publisher, attachment, .. } = &mut *self.producer;
        publisher.advance_from(&attachment.view, n, self.number, last);
        self.producer.count_bytes(bytes);
        self.producer.note_sent(self.number, last);
    }
}

impl<M: Content + ?Sized> Producer<M> {
    /// The messages of a stream up to `position` are published, or passed.
    #[inline]
    pub(crate) fn note_sent(&mut self, number: Number, position: u64) {
        if let Some(Some(progress)) = self.progress.get_mut(number.index()) {
            progress.sent = position;
        }
    }
}

/// Messages of a batch that are stamped, so visible already. Dropping it moves the tail past them, also when the
/// caller's iterator panics: their slots must not be written again.
struct Run<'r, 'p, M: Content + ?Sized> {
    stream: &'r mut StreamProducer<'p, M>,
    n: u64,
    bytes: u64,
    last: u64,
}

impl<M: Content + ?Sized> Run<'_, '_, M> {
    #[inline(always)]
    fn push(&mut self, kind: u32, bytes: &[u8], position: u64) {
        self.stream.put(self.n, kind, bytes, position);
        (self.n, self.last) = (self.n + 1, position);
        self.bytes += bytes.len() as u64;
    }
}

impl<M: Content + ?Sized> Drop for Run<'_, '_, M> {
    fn drop(&mut self) {
        if self.n > 0 {
            self.stream.advance(self.n, self.last, self.bytes);
        }
    }
}

impl<M: Content + ?Sized> fmt::Debug for StreamProducer<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamProducer")
            .field("queue", &self.producer.queue_name())
            .field("stream", &self.stream)
            .field("last_position", &self.last_position())
            .finish_non_exhaustive()
    }
}
