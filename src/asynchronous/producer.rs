//! A producer whose waits are futures.

use std::sync::Arc;
use std::time::Duration;

use super::waiting::{Awaited, wait};
use crate::attach::Mapped;
use crate::error::{Full, SendBatchError, SendError};
use crate::message::{Content, Outgoing};
use crate::producer::Producer;
use crate::reservation::Reservation;
use crate::ring::park::WaiterKind;
use crate::wait::{Check, MAX_SLEEP};

/// A producer that waits for room without blocking its thread; made by [`Producer::into_async`]. `Send`, not `Sync`.
/// [`AsyncConsumer`](crate::AsyncConsumer) says how its futures are woken.
///
/// A send that finds room does not yield to other tasks.
///
/// ```
/// # let name = format!("doc-async-producer-{}", std::process::id());
/// # futures::executor::block_on(async {
/// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
/// let mut producer = queue.producer()?.into_async();
/// producer.send("hello").await?;
/// producer.send_batch(["one", "two"]).await?;
/// producer.into_sync().close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # slipring::force_remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncProducer<M: Content + ?Sized = [u8]>(Producer<M>);

impl<M: Content + ?Sized> Producer<M> {
    /// Turns it into a producer whose waits are futures.
    pub fn into_async(self) -> AsyncProducer<M> {
        AsyncProducer(self)
    }
}

impl<M: Content + ?Sized> AsyncProducer<M> {
    /// Sends one message, waiting for room as long as it takes; returns its sequence.
    ///
    /// Cancel-safe: a future that is dropped before it is ready has sent nothing.
    ///
    /// # Errors
    /// As for [`Producer::send`]; [`SendError::System`] also if the thread that sleeps for all futures cannot be
    /// started.
    pub async fn send<'m>(&mut self, message: impl Into<Outgoing<'m, M>>) -> Result<u64, SendError>
    where
        M: 'm,
    {
        let message = message.into();
        self.0.fitting(message.content)?;
        wait(Room::of(&mut self.0, 1)).await?;
        self.0.try_send(message)
    }

    /// Sends all messages, waiting for room as often as necessary; returns how many.
    ///
    /// Not cancel-safe: a future that is dropped has sent the first part of them, and may have taken one message more
    /// from the iterator.
    ///
    /// # Errors
    /// [`SendBatchError`] says how many were sent before the one that failed.
    pub async fn send_batch<'m>(
        &mut self,
        messages: impl IntoIterator<Item: Into<Outgoing<'m, M>>>,
    ) -> Result<usize, SendBatchError>
    where
        M: 'm,
    {
        let mut messages = messages.into_iter().fuse().peekable();
        let mut sent = 0;
        while messages.peek().is_some() {
            let failed = |reason| SendBatchError { sent, reason };
            wait(Room::of(&mut self.0, 1)).await.map_err(failed)?;
            let more = self.0.try_send_batch(&mut messages);
            sent += more.map_err(|fault| fault.after(sent))?;
        }
        Ok(sent)
    }

    /// Takes `n` slots to write in place, waiting for room as long as it takes. Cancel-safe.
    ///
    /// # Errors
    /// [`SendError::TooMany`] if the ring has fewer slots; else as for [`AsyncProducer::send`].
    pub async fn reserve(&mut self, n: usize) -> Result<Reservation<'_, M>, SendError> {
        let slots = self.0.slots(n)?;
        wait(Room::of(&mut self.0, slots)).await?;
        self.0.try_reserve(n)
    }

    /// The producer: to ask for its next sequence and the like.
    pub fn get_ref(&self) -> &Producer<M> {
        &self.0
    }

    /// The producer: to set it up, or to send without waiting. Its sends that wait block the thread.
    pub fn get_mut(&mut self) -> &mut Producer<M> {
        &mut self.0
    }

    /// Turns it back into a producer whose waits block.
    pub fn into_sync(self) -> Producer<M> {
        self.0
    }
}

/// A wait for room for `slots` messages.
#[derive(Debug)]
pub(super) struct Room<'p, M: Content + ?Sized> {
    producer: &'p mut Producer<M>,
    slots: u64,
    /// Why the last poll found no room.
    pub(super) last_full: Option<Full>,
}

impl<'p, M: Content + ?Sized> Room<'p, M> {
    pub(super) fn of(producer: &'p mut Producer<M>, slots: u64) -> Self {
        Room { producer, slots, last_full: None }
    }
}

impl<M: Content + ?Sized> Awaited for Room<'_, M> {
    type Found = ();
    type Error = SendError;

    fn poll(&mut self, check: Check) -> Result<Option<()>, SendError> {
        match self.producer.room(self.slots, check) {
            Ok(()) => Ok(Some(())),
            Err(SendError::Full(full)) => {
                self.last_full = Some(full);
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn waiter_kind(&self) -> WaiterKind {
        let Producer { publisher, attachment, .. } = &*self.producer;
        WaiterKind::Producer { threshold: publisher.threshold(&attachment.view, self.slots) }
    }

    fn queue(&self) -> &Arc<Mapped> {
        &self.producer.attachment.mapped
    }

    fn longest(&self) -> Duration {
        MAX_SLEEP
    }
}
