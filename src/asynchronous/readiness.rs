//! A handle with a descriptor that says when to try again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::consumer::NextBatch;
use super::producer::Room;
use super::waiting::{Awaited, Waiting};
use crate::batch::{Batch, Received};
use crate::consumer::Consumer;
use crate::error::{RecvError, SendError};
use crate::message::{Content, Outgoing};
use crate::producer::Producer;
use crate::reservation::Reservation;

/// A consumer, worker or producer with a descriptor for epoll(7) and for what is built on it; made by
/// [`Consumer::with_readiness`], [`Worker::with_readiness`](crate::Worker::with_readiness) and [`Producer::with_readiness`].
///
/// It works like a non-blocking socket. Try first; if that fails with [`RecvError::Empty`] or [`SendError::Full`], wait
/// until the descriptor, an eventfd(2), is readable, and try again. The descriptor is readable from the start, and
/// until a try fails; so it serves level-triggered and edge-triggered waits alike. It also becomes readable at least
/// every 100 ms without a message or room, because some events, such as the death of a member of the group, are found
/// by trying only. A try that fails in another way does not say when to try again. A consumer whose descriptor became
/// readable must try soon: until it does, other members of its group may sleep although there is a message, for 100 ms
/// at most.
///
/// The descriptor stays the same as long as the handle lives. Only wait for it: reading or writing it confuses the
/// handle.
///
/// ```
/// # let name = format!("doc-readiness-{}", std::process::id());
/// use slipring::{Consumer, Queue, Readiness, RecvError};
/// use tokio::io::{Interest, unix::AsyncFd};
///
/// async fn receive(consumer: Consumer) -> Result<(), Box<dyn std::error::Error>> {
///     let consumer = consumer.with_readiness()?;
///     // SAFETY: it keeps its one descriptor for as long as it lives.
///     let mut consumer = unsafe { AsyncFd::register_with_interest(consumer, Interest::READABLE)? };
///     loop {
///         let mut ready = consumer.readable_mut().await?;
///         match ready.get_inner_mut().try_recv() {
///             Ok(message) => {
///                 println!("{:?}", &*message);
///                 message.ack()?;
///             }
///             Err(RecvError::Empty) => ready.clear_ready(),
///             Err(RecvError::Closed { .. }) => return Ok(()),
///             Err(fault) => return Err(fault.into()),
///         }
///     }
/// }
/// # let queue = Queue::builder(&name).capacity(8).group("work").create()?;
/// # let mut producer = queue.producer()?;
/// # producer.send("hello")?;
/// # producer.close()?;
/// # let consumer = queue.consumer("work")?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
/// # runtime.block_on(receive(consumer))?;
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Readiness<H> {
    // Dropped before the handle, which leaves its group: the message that it was woken for is then another member's.
    waiting: Waiting,
    handle: H,
    signal: Arc<Signal>,
}

impl<H> Readiness<H> {
    pub(super) fn new(handle: H) -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let signal = Arc::new(Signal(EventFd::from_value_and_flags(1, flags)?));
        Ok(Readiness { handle, waiting: Waiting::default(), signal })
    }

    /// Polls; if there is nothing, the descriptor says when to poll again.
    pub(super) fn poll<'h, A: Awaited>(
        &'h mut self,
        awaited: impl FnOnce(&'h mut H) -> A,
    ) -> Result<Option<A::Found>, A::Error> {
        let Readiness { waiting, handle, signal } = self;
        waiting.poll(&mut awaited(handle), || signal.clear())
    }

    /// The handle: to ask for its position and the like.
    pub fn get_ref(&self) -> &H {
        &self.handle
    }

    /// The handle: to set it up. A receive or send on it does not change the descriptor.
    pub fn get_mut(&mut self) -> &mut H {
        &mut self.handle
    }

    /// The handle alone.
    pub fn into_inner(self) -> H {
        self.handle
    }
}

impl<M: Content + ?Sized> Consumer<M> {
    /// Adds a descriptor to the consumer, readable when a receive is worth trying.
    ///
    /// # Errors
    /// If the process has no free descriptor.
    pub fn with_readiness(self) -> io::Result<Readiness<Consumer<M>>> {
        Readiness::new(self)
    }
}

impl<M: Content + ?Sized> Producer<M> {
    /// Adds a descriptor to the producer, readable when a send is worth trying.
    ///
    /// # Errors
    /// If the process has no free descriptor.
    pub fn with_readiness(self) -> io::Result<Readiness<Producer<M>>> {
        Readiness::new(self)
    }
}

impl<M: Content + ?Sized> Readiness<Consumer<M>> {
    /// Receives up to `max` messages, if there are any; else the descriptor says when to try again. It does not wait
    /// for messages, and blocks no more than two calls of [`Consumer::try_recv_batch`].
    ///
    /// # Errors
    /// As for [`Consumer::try_recv_batch`]; [`RecvError::System`] also if the reactor's thread cannot be started.
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        let next = &mut NextBatch { consumer: &mut self.handle, max };
        let found = self.waiting.poll(next, || self.signal.clear())?;
        self.handle.lend(found.ok_or(RecvError::Empty)?)
    }

    /// Receives one message, if there is one; else the descriptor says when to try again. It does not wait for
    /// messages, and blocks no more than two calls of [`Consumer::try_recv_batch`].
    ///
    /// # Errors
    /// As for [`Readiness::try_recv_batch`].
    pub fn try_recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.try_recv_batch(1)?))
    }
}

impl<M: Content + ?Sized> Readiness<Producer<M>> {
    /// Sends one message if there is room, and returns its sequence; else the descriptor says when to try again.
    /// Never blocks.
    ///
    /// # Errors
    /// As for [`Producer::try_send`]; [`SendError::System`] also if the reactor's thread cannot be started.
    pub fn try_send<'m>(&mut self, message: impl Into<Outgoing<'m, M>>) -> Result<u64, SendError>
    where
        M: 'm,
    {
        let message = message.into();
        self.handle.fitting(message.content)?;
        self.room(1)?;
        self.handle.try_send(message)
    }

    /// Takes `n` slots to write in place, if there is room for all of them; else the descriptor says when to try
    /// again. Never blocks.
    ///
    /// # Errors
    /// [`SendError::TooMany`] if the ring has fewer slots; else as for [`Readiness::try_send`].
    pub fn try_reserve(&mut self, n: usize) -> Result<Reservation<'_, M>, SendError> {
        let slots = self.handle.slots(n)?;
        self.room(slots)?;
        self.handle.try_reserve(n)
    }

    fn room(&mut self, slots: u64) -> Result<(), SendError> {
        let mut room = Room::of(&mut self.handle, slots);
        let found = self.waiting.poll(&mut room, || self.signal.clear())?;
        match room.last_full {
            Some(full) if found.is_none() => Err(SendError::Full(full)),
            _ => Ok(()),
        }
    }
}

impl<H> AsFd for Readiness<H> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal.0.as_fd()
    }
}

impl<H> AsRawFd for Readiness<H> {
    fn as_raw_fd(&self) -> RawFd {
        self.signal.0.as_fd().as_raw_fd()
    }
}

#[derive(Debug)]
struct Signal(EventFd);

impl Signal {
    /// Makes the descriptor unreadable, and returns the waker that makes it readable again. Called after the poll and
    /// before the registration, which notices every event after that poll: so no event is lost.
    fn clear(self: &Arc<Self>) -> Waker {
        // The read fails if the descriptor was not readable.
        let _ = self.0.read();
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The write fails only if the counter is full, at 2^64 - 2 unread writes.
        let _ = self.0.write(1);
    }
}
