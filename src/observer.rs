//! The handle that observes without leaving a trace.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach::Mapped;
use crate::dead_letter::letter::DeadLetter;
use crate::error::{OpenError, RecvError, SystemError};
use crate::group::{Start, find};
use crate::info::{InFlightMessage, MessageInfo, message_accessors};
use crate::layout::View;
use crate::message::{Content, OneThread};
use crate::ring::cells::Table;
use crate::ring::claim::Corrupt;
use crate::ring::close::is_over;
use crate::ring::observe::{ObserverCursor, Seen, look_at_cell, tail};
use crate::ring::publish::published_end;
use crate::segment::LeaseFile;
use crate::source::Source;
use crate::wait::{self, Check, Deadline, TimedPark, Waited};
use crate::wait::{Interrupt, WaitState, WaitStrategy};

/// One fast check in this many, of an idle queue, also asks the kernel whether the queue still has its name.
const FULL_CHECK_EVERY: u32 = 4096;

/// Observes a queue from a read-only mapping. It belongs to no group, delays nobody and leaves no trace; messages that
/// are overwritten before it reads them count as missed. It polls, because no process knows of it, to wake it.
/// `Send`, not `Sync`.
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<slipring::Observer>();
/// ```
pub struct Observer<M: Content + ?Sized = [u8]> {
    cursor: ObserverCursor,
    view: View,
    file: LeaseFile,
    /// Whole payload areas, aligned like those of the segment.
    buffer: Box<[u128]>,
    /// Messages missed before the next one.
    gap: u64,
    missed: u64,
    idle_checks: u32,
    follows: bool,
    wait_state: WaitState,
    mapped: Arc<Mapped>,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Observer<M> {
    pub(crate) fn new(
        mapped: Arc<Mapped>,
        file: LeaseFile,
        start: Start,
        interrupt: Interrupt,
    ) -> Result<Self, OpenError> {
        let view = *mapped.view();
        let geo = *view.geo();
        let tail = tail(&view);
        let oldest = tail.saturating_sub(geo.capacity).max(geo.base);
        let next = match start {
            Start::Oldest => oldest,
            // The tail word alone may be too low: a producer that died may have published more.
            Start::Newest => published_end(&view).unwrap_or(tail),
            Start::Sequence(seq) => seq.max(geo.base),
        };
        let buffer = vec![0; geo.payload_size.div_ceil(size_of::<u128>())].into_boxed_slice();
        let cursor = ObserverCursor::at(next);
        Ok(Observer {
            cursor,
            view,
            file,
            buffer,
            gap: 0,
            missed: 0,
            idle_checks: 0,
            follows: false,
            wait_state: WaitState::here(interrupt),
            mapped,
            marker: PhantomData,
        })
    }

    /// Whether a receive from a closed queue waits for the producer that opens it again, instead of failing with
    /// [`RecvError::Closed`]. Off by default.
    pub fn set_follow(&mut self, on: bool) {
        self.follows = on;
    }

    /// Sets how to wait for messages. Nobody wakes an observer: one that sleeps polls once in a millisecond.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Sets a function that waits of this observer call; if it returns `true`, the wait ends with `Interrupted`. It
    /// replaces the one that the observer has from its [`Queue`](crate::Queue). See
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// Name of the queue that it observes.
    pub fn queue_name(&self) -> &str {
        self.mapped.name.as_str()
    }

    /// The next sequence that it reads.
    pub fn position(&self) -> u64 {
        self.cursor.next()
    }

    /// Goes on at `sequence`, forwards or back, but not before the queue's first sequence. Messages that this skips do
    /// not count as missed; messages from there on that were overwritten do.
    ///
    /// ```
    /// # use slipring::{Queue, Start};
    /// # let name = format!("doc-seek-{}", std::process::id());
    /// let queue = Queue::builder(&name).create()?;
    /// queue.producer()?.send_batch(["0", "1", "2", "3"])?;
    /// let mut observer = queue.observer(Start::Oldest)?;
    /// observer.seek(2);
    /// assert_eq!(&*observer.recv()?, b"2");
    /// observer.seek(1);
    /// assert_eq!((observer.recv()?.sequence(), observer.missed()), (1, 0));
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seek(&mut self, sequence: u64) {
        self.cursor = ObserverCursor::at(sequence.max(self.view.geo().base));
        self.gap = 0;
    }

    /// Messages that this observer missed since it began: those that were overwritten before it read them, and those
    /// that it skipped because the producer was overwriting them one after the other. What [`Observer::latest`] skips
    /// does not count.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Bytes of a payload area of the queue.
    pub fn payload_size(&self) -> usize {
        self.view.geo().payload_size
    }

    /// Copies the next message, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none now; this error is cheap, so a program may poll. [`RecvError::Closed`]
    /// once the queue is closed and its last message was read; [`RecvError::Removed`] once the queue has lost its name
    /// and its last message was read.
    pub fn try_recv(&mut self) -> Result<Observation<'_, M>, RecvError> {
        match self.poll(ObserverCursor::read, Check::Fast)? {
            Some(seen) => Ok(self.observation(seen)),
            None => Err(RecvError::Empty),
        }
    }

    /// Copies the next message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Observer::try_recv`], but never [`RecvError::Empty`]; [`RecvError::Interrupted`] if the function of
    /// [`Observer::set_interrupt`] returned `true`.
    pub fn recv(&mut self) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read, Deadline::NEVER)
    }

    /// Copies the next message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Observer::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read, Deadline::after(timeout))
    }

    /// Copies the next message, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Observer::recv_timeout`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read, Deadline::at(deadline))
    }

    /// Copies the newest message, unless this observer has read it before. It skips all messages before it: for readers
    /// that want the present state, like a display of telemetry. What it skips does not count as
    /// [missed](Observer::missed). Never blocks.
    ///
    /// An observer that begins at [`Start::Newest`] reads only messages that are published later. Begin at
    /// [`Start::Oldest`] to read the newest message that is there already.
    ///
    /// ```
    /// # use slipring::{Queue, RecvError, Start};
    /// # let name = format!("doc-latest-{}", std::process::id());
    /// let queue = Queue::builder(&name).create()?;
    /// let mut producer = queue.producer()?;
    /// let mut observer = queue.observer(Start::Oldest)?;
    /// for level in ["1", "2", "3"] {
    ///     producer.send(level)?;
    /// }
    /// assert_eq!(&*observer.try_latest()?, b"3");
    /// assert!(matches!(observer.try_latest(), Err(RecvError::Empty)));
    /// assert_eq!(observer.missed(), 0);
    /// # drop(producer);
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Observer::try_recv`].
    pub fn try_latest(&mut self) -> Result<Observation<'_, M>, RecvError> {
        match self.poll(ObserverCursor::read_latest, Check::Fast)? {
            Some(seen) => Ok(self.observation(seen)),
            None => Err(RecvError::Empty),
        }
    }

    /// Copies the newest message, waiting for one that this observer has not read as long as it takes.
    ///
    /// # Errors
    /// As for [`Observer::recv`].
    pub fn latest(&mut self) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read_latest, Deadline::NEVER)
    }

    /// Copies the newest message, waiting at most `timeout` for one that this observer has not read.
    ///
    /// # Errors
    /// As for [`Observer::recv_timeout`].
    pub fn latest_timeout(&mut self, timeout: Duration) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read_latest, Deadline::after(timeout))
    }

    /// Copies the newest message, waiting until `deadline` at most for one that this observer has not read.
    ///
    /// # Errors
    /// As for [`Observer::recv_timeout`].
    pub fn latest_deadline(&mut self, deadline: Instant) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read_latest, Deadline::at(deadline))
    }

    /// Copies a message in flight of a group from its place there, where it is whole although the ring may have overwritten
    /// it; the message is one of a [snapshot](crate::Snapshot). `None` if it is not in flight any more. Nobody notices: it
    /// stays with its member, and no attempt is counted. This observer's position stays, too. Never blocks.
    ///
    /// ```
    /// # let name = format!("doc-look-{}", std::process::id());
    /// use slipring::{Group, Queue, Start};
    ///
    /// let jobs = Group::named("work").shared().in_flight(8);
    /// let queue = Queue::builder(&name).capacity(2).group(&jobs).create()?;
    /// queue.producer()?.send("resize 7.png")?;
    /// let job = queue.worker(&jobs)?.recv()?;
    ///
    /// let mut observer = queue.observer(Start::Newest)?;
    /// let groups = queue.snapshot()?.groups;
    /// for message in groups[0].in_flight.iter().flat_map(|in_flight| &in_flight.messages) {
    ///     if let Some(seen) = observer.in_flight("work", message)? {
    ///         println!("{}: {:?}", seen.sequence(), seen.content());
    ///         # assert_eq!(&*seen, b"resize 7.png");
    ///     }
    /// }
    /// # job.ack()?;
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RecvError::Forked`] in a forked child; [`RecvError::Corrupt`].
    pub fn in_flight(
        &mut self,
        group: &str,
        message: &InFlightMessage,
    ) -> Result<Option<Observation<'_, M>>, RecvError> {
        if self.file.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        let Some(index) = find(&self.view, group) else { return Ok(None) };
        let table = Table::of(&self.view, index);
        let corrupt = |Corrupt(what)| RecvError::Corrupt { queue: self.queue(), what };
        let table = table.map_err(corrupt)?.filter(|table| message.cell < table.len());
        let Some(found) = table.and_then(|table| look_at_cell(&self.view, &table, message.cell))
        else {
            return Ok(None);
        };
        let is_it = (found.seq, found.requeued) == (message.sequence, message.requeued);
        // Another group may have its places by now.
        if !is_it || find(&self.view, group) != Some(index) {
            return Ok(None);
        }
        let area = zerocopy::IntoBytes::as_mut_bytes(&mut *self.buffer);
        for (to, byte) in area.iter_mut().zip(&found.payload) {
            *to = *byte;
        }
        self.cursor.set_origin(found.origin);
        let info = MessageInfo::new(found.seq, found.kind, found.attempts);
        let info = info.with(found.kind, found.requeued);
        Ok(Some(self.observation(Copied { info, len: found.payload.len(), gap: 0 })))
    }

    fn wait(&mut self, read: Read, deadline: Deadline) -> Result<Observation<'_, M>, RecvError> {
        let mut wait_state = self.wait_state.clone();
        let seen = wait::until(deadline, &mut wait_state, TimedPark::new(), |check| {
            self.poll(read, check)
        })?;
        self.wait_state = wait_state;
        match seen {
            Waited::Found(seen) => Ok(self.observation(seen)),
            Waited::TimedOut => Err(RecvError::Timeout { queue: self.queue() }),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }

    fn poll(&mut self, read: Read, check: Check) -> Result<Option<Copied>, RecvError> {
        if self.file.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        let size = self.view.geo().payload_size;
        let out = &mut zerocopy::IntoBytes::as_mut_bytes(&mut *self.buffer)[..size];
        let missed = match read(&mut self.cursor, &self.view, out) {
            Seen::Message { seq, meta, missed } => {
                self.missed += missed;
                let gap = std::mem::take(&mut self.gap) + missed;
                // No attempt: only consumers get deliveries.
                let info = MessageInfo::new(seq, meta.kind, 0);
                return Ok(Some(Copied { info, len: meta.len, gap }));
            }
            Seen::Nothing { missed } => missed,
        };
        self.missed += missed;
        self.gap += missed;
        if !self.follows && is_over(&self.view, self.cursor.next()) {
            return Err(RecvError::Closed { queue: self.queue() });
        }
        self.idle_checks = self.idle_checks.wrapping_add(1);
        if check == Check::Full || self.idle_checks.is_multiple_of(FULL_CHECK_EVERY) {
            let doing = "check the queue's file";
            let failed = |e| SystemError::new(self.mapped.name.shared(), doing, e);
            if self.file.removed().map_err(failed)? {
                return Err(RecvError::Removed { queue: self.queue() });
            }
        }
        Ok(None)
    }

    /// The queue's name, for an error.
    #[cold]
    fn queue(&self) -> Arc<str> {
        self.mapped.name.shared().clone()
    }

    fn observation(&self, copied: Copied) -> Observation<'_, M> {
        let area = zerocopy::IntoBytes::as_bytes(&*self.buffer);
        let content = M::from_payload(&area[..self.view.geo().payload_size], || copied.len);
        Observation { info: copied.info, gap: copied.gap, cursor: &self.cursor, content }
    }
}

impl<M: Content + ?Sized> fmt::Debug for Observer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer")
            .field("queue", &self.mapped.name.as_str())
            .field("position", &self.position())
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

/// Which message to read: the next, or the newest.
type Read = fn(&mut ObserverCursor, &View, &mut [u8]) -> Seen;

#[derive(Clone, Copy)]
struct Copied {
    info: MessageInfo,
    len: usize,
    gap: u64,
}

/// A copy of one message. Dereferences to its content.
pub struct Observation<'o, M: Content + ?Sized = [u8]> {
    info: MessageInfo,
    gap: u64,
    /// Knows where the message comes from; read only if the caller asks.
    cursor: &'o ObserverCursor,
    content: &'o M,
}

impl<'o, M: Content + ?Sized> Observation<'o, M> {
    message_accessors!();

    /// Where it comes from; `None` if its sender did not say, and for a dead letter that was sent again. The stream and
    /// the position are a key, by which effects outside of queues can be made idempotent: see [`Source`].
    pub fn source(&self) -> Option<Source> {
        self.cursor.origin().map(Source::from)
    }

    /// How many messages were missed between the one read before and this one, without those that [`Observer::latest`]
    /// skipped.
    pub fn missed(&self) -> u64 {
        self.gap
    }

    /// The content, until the observer reads on.
    pub fn content(&self) -> &'o M {
        self.content
    }
}

impl<'o> Observation<'o> {
    /// The dead letter that it is, if it is a message of a dead-letter queue.
    pub fn dead_letter(&self) -> Option<DeadLetter<'o>> {
        DeadLetter::parse(self.kind(), self.content)
    }
}

impl<M: Content + ?Sized> Deref for Observation<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.content
    }
}

impl<M: Content + ?Sized> fmt::Debug for Observation<'_, M> {
    /// Without the content, which may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation")
            .field("info", &self.info)
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}
