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

/// A consumer that waits without holding up its thread; made by [`Consumer::into_async`]. `Send`, not `Sync`.
///
/// Bound to no runtime. One thread of the process, `slipring-wait`, sleeps for all its futures: it is started by
/// the first that has to wait, and woken by other processes as a blocked consumer would be. Only where nobody can
/// be woken does it look by the clock, every millisecond: for a queue whose wake mode is
/// [`None`](crate::WakeMode::None); and for all of them on a kernel without futex_waitv(2) (before Linux 5.16), or
/// with more than 127 queues at a time.
///
/// What holds for receives of a [`Consumer`] holds here: a member of a shared group asks the kernel now and then
/// whether others live, and a message that is given up may take a few seconds to become a dead letter, in which the
/// thread that polls is held up. So is one that drops the consumer, for 100 ms at most. A receive that finds
/// a message does not yield to other tasks.
///
/// A message wakes one sleeper of a group. A future that was woken, and is neither polled nor dropped, keeps it from other
/// members that sleep, for 100 ms at most.
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
    /// The same consumer, with waits that are futures.
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

    /// The consumer, to be asked about its place, or to receive what is there without waiting.
    pub fn get_ref(&self) -> &Consumer<M> {
        &self.0
    }

    /// The same, to be changed. Its receives that wait hold up the thread.
    pub fn get_mut(&mut self) -> &mut Consumer<M> {
        &mut self.0
    }

    /// The same consumer, with waits that block.
    pub fn into_sync(self) -> Consumer<M> {
        self.0
    }
}

/// Up to `max` messages, which the consumer then can lend.
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
