//! The handle that watches without a trace.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach::Mapped;
use crate::dead_letter::letter::DeadLetter;
use crate::error::{OpenError, RecvError, SystemError};
use crate::group::Start;
use crate::info::{MessageInfo, message_accessors};
use crate::layout::View;
use crate::message::{Content, OneThread};
use crate::ring::close::is_over;
use crate::ring::observe::{ObserverCursor, Seen, tail};
use crate::ring::publish::published_end;
use crate::segment::LeaseFile;
use crate::wait::{self, Check, Deadline, TimedPark, Waited};
use crate::wait::{Interrupt, WaitState, WaitStrategy};

/// Quick looks at an idle queue ask the system once in so many times whether it still has its name.
const FULL_CHECK_EVERY: u32 = 4096;

/// Watches a queue through a mapping that cannot be written to. It belongs to no group, holds nobody up
/// and leaves no trace; what is overwritten before it looks is counted as missed. It polls: nobody can
/// wake a watcher that they do not know of. `Send`, not `Sync`.
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<slipring::Observer>();
/// ```
pub struct Observer<M: Content + ?Sized = [u8]> {
    watcher: ObserverCursor,
    view: View,
    file: LeaseFile,
    /// Whole payload areas, aligned like those of the segment.
    buffer: Box<[u128]>,
    /// Missed before the next message.
    gap: u64,
    missed: u64,
    idle_looks: u32,
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
            // Not the tail alone: a producer that died may have published more than it says.
            Start::Newest => published_end(&view).unwrap_or(tail),
            Start::Sequence(seq) => seq.max(geo.base),
        };
        let buffer = vec![0; geo.payload_size.div_ceil(size_of::<u128>())].into_boxed_slice();
        let watcher = ObserverCursor::at(next);
        Ok(Observer {
            watcher,
            view,
            file,
            buffer,
            gap: 0,
            missed: 0,
            idle_looks: 0,
            follows: false,
            wait_state: WaitState::here(interrupt),
            mapped,
            marker: PhantomData,
        })
    }

    /// Whether to wait on where the queue is closed, for the producer that opens it again, instead of failing with
    /// [`RecvError::Closed`]. Off by default.
    pub fn set_follow(&mut self, on: bool) {
        self.follows = on;
    }

    /// Sets how to wait for messages. Nobody wakes an observer: one that sleeps looks once in a millisecond.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Sets a function that waits of this observer call, in the place of the one that it has from its
    /// [`Queue`](crate::Queue); if it returns `true`, the wait ends with `Interrupted`. See
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// Name of the queue that it watches.
    pub fn queue_name(&self) -> &str {
        self.mapped.name.as_str()
    }

    /// The next sequence to look at.
    pub fn position(&self) -> u64 {
        self.watcher.next()
    }

    /// Goes on at `sequence`, forwards or back; at the queue's first sequence if that is higher. What is passed over is not
    /// missed; what is not there any more will be.
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
        self.watcher = ObserverCursor::at(sequence.max(self.view.geo().base));
        self.gap = 0;
    }

    /// Messages that this observer did not see since it began: overwritten before it looked, or left out because the
    /// producer overwrote one after the other just before it looked. What [`Observer::latest`] passes over is not
    /// among them.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Bytes of a payload area of the queue.
    pub fn payload_size(&self) -> usize {
        self.view.geo().payload_size
    }

    /// The next message, copied out, if there is one. Never blocks.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none now; making and dropping it costs nothing, so a program may poll.
    /// [`RecvError::Closed`] once the queue is closed and its last message was seen;
    /// [`RecvError::Removed`] once the queue has no name any more and its last message was seen.
    pub fn try_recv(&mut self) -> Result<Observation<'_, M>, RecvError> {
        match self.look(ObserverCursor::read, Check::Fast)? {
            Some(seen) => Ok(self.observation(seen)),
            None => Err(RecvError::Empty),
        }
    }

    /// The next message, copied out, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Observer::try_recv`], but never [`RecvError::Empty`]; [`RecvError::Interrupted`] if the program wanted
    /// that ([`Observer::set_interrupt`]).
    pub fn recv(&mut self) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read, Deadline::NEVER)
    }

    /// The next message, copied out, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Observer::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read, Deadline::after(timeout))
    }

    /// The next message, copied out, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Observer::recv_timeout`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read, Deadline::at(deadline))
    }

    /// The newest message, copied out, unless this observer has seen it. It passes over all before it, for readers that
    /// want the state as it is now, like a display of telemetry. What it passes over is not [missed](Observer::missed).
    /// Never blocks.
    ///
    /// An observer from [`Start::Newest`] on sees only what is published after it began. Begin with
    /// [`Start::Oldest`] to have the message that is the newest already.
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
        match self.look(ObserverCursor::read_latest, Check::Fast)? {
            Some(seen) => Ok(self.observation(seen)),
            None => Err(RecvError::Empty),
        }
    }

    /// The same, waiting for a message that this observer has not seen as long as it takes.
    ///
    /// # Errors
    /// As for [`Observer::recv`].
    pub fn latest(&mut self) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read_latest, Deadline::NEVER)
    }

    /// The same, waiting at most `timeout`.
    ///
    /// # Errors
    /// As for [`Observer::recv_timeout`].
    pub fn latest_timeout(&mut self, timeout: Duration) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read_latest, Deadline::after(timeout))
    }

    /// The same, waiting until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Observer::recv_timeout`].
    pub fn latest_deadline(&mut self, deadline: Instant) -> Result<Observation<'_, M>, RecvError> {
        self.wait(ObserverCursor::read_latest, Deadline::at(deadline))
    }

    fn wait(&mut self, read: Read, deadline: Deadline) -> Result<Observation<'_, M>, RecvError> {
        let mut wait_state = self.wait_state.clone();
        let seen =
            wait::until(deadline, &mut wait_state, TimedPark::new(), |look| self.look(read, look))?;
        self.wait_state = wait_state;
        match seen {
            Waited::Found(seen) => Ok(self.observation(seen)),
            Waited::TimedOut => Err(RecvError::Timeout { queue: self.queue() }),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }

    fn look(&mut self, read: Read, check: Check) -> Result<Option<Copied>, RecvError> {
        if self.file.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        let size = self.view.geo().payload_size;
        let out = &mut zerocopy::IntoBytes::as_mut_bytes(&mut *self.buffer)[..size];
        let missed = match read(&mut self.watcher, &self.view, out) {
            Seen::Message { seq, meta, missed } => {
                self.missed += missed;
                let gap = std::mem::take(&mut self.gap) + missed;
                // Not delivered: that is what consumers are for.
                let info = MessageInfo::new(seq, meta.kind, 0);
                return Ok(Some(Copied { info, len: meta.len, gap }));
            }
            Seen::Nothing { missed } => missed,
        };
        self.missed += missed;
        self.gap += missed;
        if !self.follows && is_over(&self.view, self.watcher.next()) {
            return Err(RecvError::Closed { queue: self.queue() });
        }
        self.idle_looks = self.idle_looks.wrapping_add(1);
        if check == Check::Full || self.idle_looks.is_multiple_of(FULL_CHECK_EVERY) {
            let doing = "look at the queue's file";
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
        Observation { info: copied.info, gap: copied.gap, content }
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

/// How to look: for the next message, or for the newest.
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
    content: &'o M,
}

impl<'o, M: Content + ?Sized> Observation<'o, M> {
    message_accessors!();

    /// How many messages were missed between the last one that was seen and this one; without those that
    /// [`Observer::latest`] passed over.
    pub fn missed(&self) -> u64 {
        self.gap
    }

    /// The content, until the observer looks again.
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
