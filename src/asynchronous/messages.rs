//! A stream of messages.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::stream::{FusedStream, Stream};

use super::consumer::{Arrival, AsyncConsumer};
use super::waiting::Waiting;
use crate::batch::{Batch, MessageInfo, Received};
use crate::consumer::Consumer;
use crate::error::{AckError, RecvError};
use crate::message::Content;
use crate::ring::claim::Claim;

/// The messages of an [`AsyncConsumer`], one by one, as copies.
///
/// Asking for the next message acks the one before, so each is acked once its work is done, and a stream that is
/// dropped, at whatever point, loses none: the message that it gave out last comes again, unless it was acked by
/// [`Messages::ack`].
///
/// The stream ends when the queue is closed and worked off ([`RecvError::Closed`]), and behind any other error, which
/// it gives out first. Where that was one to be tried again, take another stream of the same consumer.
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
pub struct Messages<'c, M: Content + ?Sized = [u8]> {
    consumer: &'c mut Consumer<M>,
    waiting: Waiting,
    /// The message that was given out last, if it is not acked.
    unacked: Option<Claim>,
    ended: bool,
}

impl<'c, M: Content + ?Sized> Messages<'c, M> {
    pub(super) fn new(consumer: &'c mut AsyncConsumer<M>) -> Self {
        let consumer = &mut consumer.0;
        Messages { consumer, waiting: Waiting::default(), unacked: None, ended: false }
    }

    /// Acks the message that was given out last, without asking for another; none if it is acked already.
    ///
    /// # Errors
    /// See [`AckError`]: this ack never fails today.
    pub fn ack(&mut self) -> Result<(), AckError> {
        self.unacked().map_or(Ok(()), Received::ack)
    }

    /// The message that was given out last, in place, unless it is acked: to be acked, or to be rejected. Dropped, it
    /// comes again.
    pub fn unacked(&mut self) -> Option<Received<'_, M>> {
        let claim = self.unacked.take()?;
        self.consumer.lend_again(claim).map(Received::new)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Result<Poll<OwnedMessage<M>>, RecvError> {
        self.ack()?;
        let arrival = &mut Arrival { consumer: &mut *self.consumer, max: 1 };
        if !self.waiting.look(arrival, || cx.waker().clone())? {
            return Ok(Poll::Pending);
        }
        let copied = OwnedMessage::copy(self.consumer.lend()?);
        let (message, claim) = copied.ok_or(RecvError::Empty)?;
        self.unacked = Some(claim);
        Ok(Poll::Ready(message))
    }
}

impl<M: Content + ?Sized> Stream for Messages<'_, M> {
    type Item = Result<OwnedMessage<M>, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.poll(cx) {
            Ok(polled) => polled.map(|message| Some(Ok(message))),
            Err(fault) => {
                self.ended = true;
                let closed = matches!(fault, RecvError::Closed { .. });
                Poll::Ready((!closed).then_some(Err(fault)))
            }
        }
    }
}

impl<M: Content + ?Sized> FusedStream for Messages<'_, M> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

/// A copy of a message. Dereferences to its content.
pub struct OwnedMessage<M: Content + ?Sized = [u8]> {
    content: M::Owned,
    info: MessageInfo,
    requeued: bool,
}

impl<M: Content + ?Sized> OwnedMessage<M> {
    /// Of a batch of one; and its claim, with which it can be lent again.
    fn copy(batch: Batch<'_, M>) -> Option<(Self, Claim)> {
        let message = batch.first()?;
        let copy = OwnedMessage {
            content: message.content().copied(),
            info: message.info(),
            requeued: batch.requeued(),
        };
        Some((copy, batch.into_claim()))
    }

    /// Its sequence, kind and attempts.
    pub fn info(&self) -> MessageInfo {
        self.info
    }

    /// Its number in the queue, from the queue's first message on.
    pub fn sequence(&self) -> u64 {
        self.info.sequence
    }

    /// What the sender marked it with; 0 if nothing.
    pub fn kind(&self) -> u32 {
        self.info.kind
    }

    /// Times that it was delivered to this group, this one included. Saturates at 255.
    pub fn attempts(&self) -> u8 {
        self.info.attempts
    }

    /// Whether it was delivered before.
    pub fn redelivered(&self) -> bool {
        self.info.attempts > 1
    }

    /// Whether it is a dead letter that was sent again; see [`Batch::requeued`].
    pub fn requeued(&self) -> bool {
        self.requeued
    }

    /// The content alone.
    pub fn into_content(self) -> M::Owned {
        self.content
    }
}

impl<M: Content + ?Sized> Deref for OwnedMessage<M> {
    type Target = M::Owned;

    fn deref(&self) -> &M::Owned {
        &self.content
    }
}

impl<M: Content + ?Sized> fmt::Debug for OwnedMessage<M> {
    /// Without the content, which may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedMessage").field("info", &self.info).finish_non_exhaustive()
    }
}
