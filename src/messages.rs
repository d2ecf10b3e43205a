//! Messages one by one, as copies.

use std::fmt;
use std::iter::FusedIterator;
use std::ops::Deref;

use crate::batch::{Batch, Received};
use crate::consumer::{Consumer, Found};
use crate::error::{AckError, AckReason, RecvError};
use crate::info::{MessageInfo, message_accessors};
use crate::message::Content;
use crate::source::Source;
use crate::wait::Deadline;

/// A copy of a message. Dereferences to its content, which no other process can change.
pub struct OwnedMessage<M: Content + ?Sized = [u8]> {
    content: M::Owned,
    info: MessageInfo,
    source: Option<Source>,
}

impl<M: Content + ?Sized> OwnedMessage<M> {
    /// Of the first message of a batch.
    fn copy(batch: &Batch<'_, M>) -> Option<Self> {
        let first = batch.first()?;
        let (info, source) = (first.info(), first.source());
        let mut content = M::room();
        batch.copy_first(&mut content);
        Some(OwnedMessage { content, info, source })
    }

    message_accessors!();

    /// Where it comes from; `None` if its sender did not say, and for a dead letter that was sent again. The stream and
    /// the position are a key, by which effects outside of queues can be made idempotent: see [`Source`].
    pub fn source(&self) -> Option<Source> {
        self.source
    }

    /// The content.
    pub fn content(&self) -> &M {
        M::from_owned(&self.content)
    }

    /// The content, by value.
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

/// What an iterator and a stream of messages share: each message is acked when the next one is asked for.
#[derive(Debug)]
pub(crate) struct AutoAck<'c, M: Content + ?Sized> {
    pub(crate) consumer: &'c mut Consumer<M>,
    /// The message that was given out last, if it is not acked.
    unacked: Option<Found>,
    /// It gives out no more.
    pub(crate) ended: bool,
}

impl<'c, M: Content + ?Sized> AutoAck<'c, M> {
    pub(crate) fn new(consumer: &'c mut Consumer<M>) -> Self {
        AutoAck { consumer, unacked: None, ended: false }
    }

    pub(crate) fn unacked(&mut self) -> Option<Received<'_, M>> {
        let found = self.unacked.take()?;
        self.consumer.lend_again(found).map(Received::new)
    }

    pub(crate) fn ack(&mut self) -> Result<(), AckError> {
        match self.unacked {
            Some(_) if self.consumer.is_forked() => {
                Err(AckError::new(AckReason::Forked { queue: self.consumer.queue() }))
            }
            _ => self.unacked().map_or(Ok(()), Received::ack),
        }
    }

    /// Copies the one message that was found.
    pub(crate) fn copy(&mut self, found: Found) -> Result<OwnedMessage<M>, RecvError> {
        let source = found.source;
        let batch = self.consumer.lend(found)?;
        // A batch is never empty when it is lent.
        let message = OwnedMessage::copy(&batch).ok_or(RecvError::Empty)?;
        self.unacked = Some(Found { claim: batch.into_claim(), source });
        Ok(message)
    }

    /// The item for a result. An error is the last item; the end of the queue is no item.
    pub(crate) fn give<T>(&mut self, came: Result<T, RecvError>) -> Option<Result<T, RecvError>> {
        self.ended = came.is_err();
        match came {
            Err(RecvError::Closed { .. }) => None,
            came => Some(came),
        }
    }
}

/// The messages of a [`Consumer`], one by one, as copies; made by [`Consumer::messages`].
///
/// Asking for the next message acks the one before, so each is acked once its work is done. An iterator may be dropped
/// at any point without losing a message: the last one that it gave out is redelivered, unless [`Messages::ack`] acked
/// it.
///
/// It waits for each message as long as it takes, as [`Consumer::recv`] does. It ends when the queue is closed and the
/// group has acked everything ([`RecvError::Closed`]), and after any other error, which it gives out first. To go on
/// after such an error, make another iterator of the same consumer.
///
/// ```
/// # let name = format!("doc-iterator-{}", std::process::id());
/// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
/// let mut producer = queue.producer()?;
/// producer.send_batch(["one", "two"])?;
/// producer.close()?;
///
/// let mut consumer = queue.consumer("work")?;
/// let mut all = Vec::new();
/// for message in consumer.messages() {
///     let message = message?; // the one before is acked now
///     all.push(message.into_content());
/// }
/// assert_eq!(all, [b"one", b"two"]);
/// # drop(consumer);
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an iterator does nothing unless it is asked for messages"]
pub struct Messages<'c, M: Content + ?Sized = [u8]>(AutoAck<'c, M>);

impl<M: Content + ?Sized> Consumer<M> {
    /// The messages from here on, as an iterator of copies that waits for each. Asking for the next message acks the
    /// one before.
    pub fn messages(&mut self) -> Messages<'_, M> {
        Messages(AutoAck::new(self))
    }
}

impl<M: Content + ?Sized> Messages<'_, M> {
    /// Acks the message that was given out last, without asking for another. Does nothing if it is acked already.
    ///
    /// # Errors
    /// [`AckReason::Forked`] in a child process made by fork(2): the message belongs to the
    /// parent's consumer.
    pub fn ack(&mut self) -> Result<(), AckError> {
        self.0.ack()
    }

    /// The message that was given out last, in place, unless it is acked: for acking or rejecting it. Dropped without
    /// either, it is redelivered.
    pub fn unacked(&mut self) -> Option<Received<'_, M>> {
        self.0.unacked()
    }
}

impl<M: Content + ?Sized> Iterator for Messages<'_, M> {
    type Item = Result<OwnedMessage<M>, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.ended {
            return None;
        }
        let Messages(all) = self;
        let mut next = || {
            all.ack()?;
            let found = all.consumer.wait_for_messages(1, || Deadline::NEVER)?;
            all.copy(found)
        };
        let came = next();
        all.give(came)
    }
}

impl<M: Content + ?Sized> FusedIterator for Messages<'_, M> {}
