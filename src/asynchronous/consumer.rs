//! A consumer whose waits are futures.

use std::sync::Arc;
use std::time::Duration;

use super::waiting::{Awaited, wait};
use crate::attach::Mapped;
use crate::batch::{Batch, Received};
use crate::consumer::{Consumer, Found};
use crate::error::RecvError;
use crate::info::MessageInfo;
use crate::message::Content;
use crate::ring::park::WaiterKind;
use crate::wait::Check;

/// A consumer that waits without blocking its thread; made by [`Consumer::into_async`]. `Send`, not `Sync`.
///
/// It needs no particular runtime. One thread of the process, `slipring-wait`, sleeps for all futures. The first future
/// that has to wait starts it, and other processes wake it as they wake a blocked consumer. Where nobody can wake it,
/// it polls every millisecond: for a queue whose wake mode is [`None`](crate::WakeMode::None); and for all queues on a
/// kernel without futex_waitv(2) (before Linux 5.16), or with more than 127 queues at a time.
///
/// The polling thread blocks in three cases, as a thread does in a [`Consumer`]'s receive: a member of a shared group
/// asks the kernel now and then whether other members live; a message that becomes a dead letter may take a few
/// seconds; and dropping the consumer takes up to 100 ms. A receive that finds a message does not yield to other tasks.
///
/// A message wakes one sleeper of a group. A future that was woken and is neither polled nor dropped keeps the message
/// from other members that sleep, for 100 ms at most.
///
/// ```
/// # let name = format!("doc-async-consumer-{}", std::process::id());
/// use slipring::Queue;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let queue = Queue::builder(&name).capacity(8).group("work").create()?;
/// let mut consumer = queue.consumer("work")?.into_async();
/// let mut producer = queue.producer()?.into_async();
/// producer.send("hello").await?;
/// let message = consumer.recv().await?;
/// assert_eq!(&*message, b"hello");
/// message.ack()?;
/// # drop((consumer, producer));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncConsumer<M: Content + ?Sized = [u8]>(pub(super) Consumer<M>);

impl<M: Content + ?Sized> Consumer<M> {
    /// Turns it into a consumer whose waits are futures.
    pub fn into_async(self) -> AsyncConsumer<M> {
        AsyncConsumer(self)
    }
}

impl<M: Content + ?Sized> AsyncConsumer<M> {
    /// Receives one message, waiting for it as long as it takes.
    ///
    /// Cancel-safe: a future that is dropped has received nothing, so nothing is lost, and no attempt is counted.
    ///
    /// # Errors
    /// As for [`Consumer::recv`]; [`RecvError::System`] also if the thread that sleeps for all futures cannot be
    /// started.
    pub async fn recv(&mut self) -> Result<Received<'_, M>, RecvError> {
        Ok(Received::new(self.recv_batch(1).await?))
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes.
    ///
    /// Cancel-safe, as [`AsyncConsumer::recv`] is.
    ///
    /// # Errors
    /// As for [`AsyncConsumer::recv`].
    pub async fn recv_batch(&mut self, max: usize) -> Result<Batch<'_, M>, RecvError> {
        let found = wait(NextBatch { consumer: &mut self.0, max }).await?;
        self.0.lend(found)
    }

    /// Receives one message into `out`, waiting for it as long as it takes, and acks it; see [`Consumer::recv_into`].
    ///
    /// Cancel-safe, as [`AsyncConsumer::recv`] is.
    ///
    /// # Errors
    /// As for [`AsyncConsumer::recv`]; [`RecvError::Ack`] as for [`Consumer::recv_into`].
    pub async fn recv_into(&mut self, out: &mut M::Owned) -> Result<MessageInfo, RecvError> {
        self.recv().await?.move_into(out)
    }

    /// The consumer: to ask for its position and the like.
    pub fn get_ref(&self) -> &Consumer<M> {
        &self.0
    }

    /// The consumer: to set it up, or to receive without waiting. Its receives that wait block the thread.
    pub fn get_mut(&mut self) -> &mut Consumer<M> {
        &mut self.0
    }

    /// Turns it back into a consumer whose waits block.
    pub fn into_sync(self) -> Consumer<M> {
        self.0
    }
}

/// A wait for up to `max` messages.
#[derive(Debug)]
pub(super) struct NextBatch<'c, M: Content + ?Sized> {
    pub(super) consumer: &'c mut Consumer<M>,
    pub(super) max: usize,
}

impl<M: Content + ?Sized> Awaited for NextBatch<'_, M> {
    type Found = Found;
    type Error = RecvError;

    fn poll(&mut self, check: Check) -> Result<Option<Found>, RecvError> {
        self.consumer.search(self.max, check)
    }

    fn waiter_kind(&self) -> WaiterKind {
        self.consumer.waiter_kind()
    }

    fn queue(&self) -> &Arc<Mapped> {
        self.consumer.mapped()
    }

    fn longest(&self) -> Duration {
        self.consumer.longest_sleep()
    }
}
