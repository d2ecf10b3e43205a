//! A stream of messages.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::stream::{FusedStream, Stream};

use super::consumer::{AsyncConsumer, NextBatch};
use super::waiting::Waiting;
use crate::batch::Received;
use crate::error::{AckError, RecvError};
use crate::message::Content;
use crate::messages::{AutoAck, OwnedMessage};

/// The messages of an [`AsyncConsumer`], one by one, as copies.
///
/// Asking for the next message acks the one before, so each is acked once its work is done. A stream may be dropped at
/// any point without losing a message: the last one that it gave out comes again, unless [`AsyncMessages::ack`] acked
/// it.
///
/// The stream ends when the queue is closed and the group has acked everything ([`RecvError::Closed`]), and after any
/// other error, which it gives out first. To go on after such an error, make another stream of the same consumer.
///
/// ```
/// # let name = format!("doc-messages-{}", std::process::id());
/// use futures::StreamExt;
/// use slipring::Queue;
///
/// # futures::executor::block_on(async {
/// let queue = Queue::builder(&name).capacity(8).group("work").create()?;
/// let mut consumer = queue.consumer("work")?.into_async();
/// let mut producer = queue.producer()?;
/// producer.send_batch(["one", "two"])?;
/// producer.close()?;
/// let mut messages = consumer.messages();
/// while let Some(message) = messages.next().await {
///     let message = message?; // the one before is acked now
///     println!("{}: {:?}", message.sequence(), &*message);
/// }
/// # drop(consumer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct AsyncMessages<'c, M: Content + ?Sized = [u8]> {
    all: AutoAck<'c, M>,
    waiting: Waiting,
}

impl<M: Content + ?Sized> AsyncConsumer<M> {
    /// The messages from here on, as a stream of copies. Asking for the next message acks the one before.
    pub fn messages(&mut self) -> AsyncMessages<'_, M> {
        AsyncMessages { all: AutoAck::new(&mut self.0), waiting: Waiting::default() }
    }
}

impl<M: Content + ?Sized> AsyncMessages<'_, M> {
    /// Acks the message that was given out last, without asking for another. Does nothing if it is acked already.
    ///
    /// # Errors
    /// [`AckReason::Forked`](crate::AckReason::Forked) in a child process made by fork(2): the message belongs to the
    /// parent's consumer.
    pub fn ack(&mut self) -> Result<(), AckError> {
        self.all.ack()
    }

    /// The message that was given out last, in place, unless it is acked: for acking or rejecting it. Dropped without
    /// either, it comes again.
    pub fn unacked(&mut self) -> Option<Received<'_, M>> {
        self.all.unacked()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Result<Poll<OwnedMessage<M>>, RecvError> {
        self.all.ack()?;
        let next = &mut NextBatch { consumer: &mut *self.all.consumer, max: 1 };
        match self.waiting.poll(next, || cx.waker().clone())? {
            Some(found) => self.all.copy(found).map(Poll::Ready),
            None => Ok(Poll::Pending),
        }
    }
}

impl<M: Content + ?Sized> Stream for AsyncMessages<'_, M> {
    type Item = Result<OwnedMessage<M>, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.all.ended {
            return Poll::Ready(None);
        }
        match self.poll(cx) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(message)) => Poll::Ready(self.all.give(Ok(message))),
            Err(fault) => Poll::Ready(self.all.give(Err(fault))),
        }
    }
}

impl<M: Content + ?Sized> FusedStream for AsyncMessages<'_, M> {
    fn is_terminated(&self) -> bool {
        self.all.ended
    }
}
