//! Messages lent out in place, until they are acked.

#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::time::Duration;

use crate::attach::Attachment;
use crate::consumer::MessageInfo;
use crate::error::{AckError, JoinError, SystemError};
use crate::layout::Meta;
use crate::message::Content;
use crate::ring::claim::Claim;
use crate::ring::done::Done;
use crate::ring::reader::Reader;
use crate::sync::Ordering;

/// A run of messages, lent out where they lie. What is not acked when it is dropped comes again, one
/// message at a time, to the group's next receive.
///
/// ```
/// # let name = format!("doc-batch-{}", std::process::id());
/// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
/// # let mut producer = queue.producer()?;
/// # producer.send("one")?;
/// # producer.send("two")?;
/// # let mut consumer = queue.consumer("work")?;
/// let mut batch = consumer.batch(32)?;
/// while let Some(message) = batch.first() {
///     println!("{}: {:?}", message.sequence(), &*message);
///     batch.ack_first();
/// }
/// # drop(batch); drop((consumer, producer)); slipring::remove(&name, false)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a batch that is dropped without an ack comes again"]
pub struct Batch<'c, M: Content + ?Sized = [u8]> {
    at: &'c Attachment,
    reader: &'c mut Reader,
    /// What is not acked yet. Invariant: it came from `reader` and is its only claim, so by I3 the
    /// messages in it stay as they are.
    claim: Claim,
    first: u64,
    /// Messages acked out of order.
    done: &'c mut Done,
    marker: PhantomData<fn(&M)>,
}

impl<'c, M: Content + ?Sized> Batch<'c, M> {
    #[inline]
    pub(crate) fn new(
        at: &'c Attachment,
        reader: &'c mut Reader,
        done: &'c mut Done,
        claim: Claim,
    ) -> Self {
        let first = claim.start;
        done.begin(first);
        Batch { at, reader, claim, first, done, marker: PhantomData }
    }

    /// Messages that are not acked yet.
    #[inline]
    pub fn len(&self) -> usize {
        (self.claim.end - self.claim.start) as usize
    }

    /// Whether all are acked.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.claim.start == self.claim.end
    }

    /// The first message that is not acked yet.
    #[inline]
    pub fn first(&self) -> Option<Delivery<'_, M>> {
        self.get(0)
    }

    /// Message `index` of those that are not acked yet.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Delivery<'_, M>> {
        if index >= self.len() {
            return None;
        }
        let sequence = self.claim.start + index as u64;
        let slot = self.at.view.slot(sequence);
        // Relaxed: carried by the stamp or tail that the claim saw. pair P1.
        let meta = Meta::unpack(slot.meta.load(Ordering::Relaxed));
        // SAFETY: published, or it would not be in the claim; not acked, or it would not be in it any
        // more; an ack needs this batch exclusively, which ends the borrow (I3).
        let area = unsafe { slot.payload.bytes() };
        let attempts = if sequence == self.first { self.claim.attempts as u8 } else { 1 };
        let info = MessageInfo { sequence, kind: meta.kind, attempts };
        Some(Delivery { info, content: M::from_payload(area, meta.len) })
    }

    /// The messages that are not acked yet, in order.
    #[inline]
    pub fn iter(&self) -> Iter<'_, 'c, M> {
        Iter { batch: self, next: 0 }
    }

    /// Acks the first message; none if there is none left.
    #[inline]
    pub fn ack_first(&mut self) {
        let to = (self.claim.start + 1).min(self.claim.end);
        self.ack_to(to);
    }

    /// Acks all messages up to and including `sequence`.
    ///
    /// # Errors
    /// If `sequence` is not an unacked message of this batch. Nothing is acked then.
    pub fn ack_through(&mut self, sequence: u64) -> Result<(), AckError> {
        let Claim { start, end, .. } = self.claim;
        if !(start..end).contains(&sequence) {
            return Err(AckError { asked: sequence, start, last: end.saturating_sub(1) });
        }
        self.ack_to(sequence + 1);
        Ok(())
    }

    #[inline]
    fn ack_to(&mut self, to: u64) {
        // An ack that acks nothing must not touch the record: an adopted one is given back by its last.
        if to > self.claim.start {
            self.reader.ack(&self.at.view, &self.at.leases, &mut self.claim, to);
        }
    }

    /// Acks one message out of order. Its slot is free for reuse once all before it in this batch are
    /// acked, too; if the batch is dropped or its consumer dies before that, it comes again.
    ///
    /// # Errors
    /// If `sequence` is not an unacked message of this batch. Nothing is acked then.
    pub fn ack_one(&mut self, sequence: u64) -> Result<(), AckError> {
        let Claim { start, end, .. } = self.claim;
        if !(start..end).contains(&sequence) || self.done.contains(sequence) {
            return Err(AckError { asked: sequence, start, last: end.saturating_sub(1) });
        }
        let to = self.done.add(sequence, start, end);
        self.ack_to(to);
        Ok(())
    }

    /// Gives the messages that are not acked yet back to the group: another member gets them without
    /// waiting for this one's death. In an exclusive group they come again to this consumer.
    ///
    /// # Errors
    /// If there is no free consumer record to go on with, or the control lease cannot be had in time;
    /// the messages then stay with this member and come again.
    pub fn release(self, timeout: Duration) -> Result<(), JoinError> {
        if self.is_empty() {
            return Ok(());
        }
        let at = self.at;
        let _control = at.control(timeout)?;
        let pid = std::process::id();
        let released = self.reader.release(&at.view, &at.leases, pid, self.claim.record as u8);
        if released.map_err(|e| SystemError::new("take another consumer record", e))? {
            Ok(())
        } else {
            Err(JoinError::TooManyConsumers { max: at.view.records().len() })
        }
    }

    /// Acks all messages.
    #[inline]
    pub fn ack(mut self) {
        let to = self.claim.end;
        self.ack_to(to);
    }
}

impl<M: Content + ?Sized> fmt::Debug for Batch<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl<'b, 'c, M: Content + ?Sized> IntoIterator for &'b Batch<'c, M> {
    type Item = Delivery<'b, M>;
    type IntoIter = Iter<'b, 'c, M>;

    fn into_iter(self) -> Iter<'b, 'c, M> {
        self.iter()
    }
}

/// Iterates over the messages of a [`Batch`].
#[derive(Debug)]
pub struct Iter<'b, 'c, M: Content + ?Sized> {
    batch: &'b Batch<'c, M>,
    next: usize,
}

impl<'b, M: Content + ?Sized> Iterator for Iter<'b, '_, M> {
    type Item = Delivery<'b, M>;

    #[inline]
    fn next(&mut self) -> Option<Delivery<'b, M>> {
        let delivery = self.batch.get(self.next)?;
        self.next += 1;
        Some(delivery)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.len() - self.next;
        (left, Some(left))
    }
}

impl<M: Content + ?Sized> ExactSizeIterator for Iter<'_, '_, M> {}
impl<M: Content + ?Sized> std::iter::FusedIterator for Iter<'_, '_, M> {}

/// One message, in place. Dereferences to its content.
pub struct Delivery<'b, M: Content + ?Sized = [u8]> {
    info: MessageInfo,
    content: &'b M,
}

impl<'b, M: Content + ?Sized> Delivery<'b, M> {
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

    /// The content, for as long as the batch is borrowed.
    pub fn content(&self) -> &'b M {
        self.content
    }
}

impl<M: Content + ?Sized> Deref for Delivery<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.content
    }
}

impl<M: Content + ?Sized> fmt::Debug for Delivery<'_, M> {
    /// Without the content, which may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("info", &self.info).finish_non_exhaustive()
    }
}

/// One received message, not acked yet. Dereferences to its content. Dropped without an ack, it comes
/// again.
#[derive(Debug)]
#[must_use = "a message that is dropped without an ack comes again"]
pub struct Received<'c, M: Content + ?Sized = [u8]> {
    batch: Batch<'c, M>,
    info: MessageInfo,
    len: usize,
}

impl<'c, M: Content + ?Sized> Received<'c, M> {
    /// Of a batch of one, as it came from the consumer.
    #[inline]
    pub(crate) fn new(batch: Batch<'c, M>) -> Self {
        let Claim { start: sequence, attempts, .. } = batch.claim;
        // Relaxed: carried by the stamp or tail that the claim saw. pair P1.
        let meta = Meta::unpack(batch.at.view.slot(sequence).meta.load(Ordering::Relaxed));
        let info = MessageInfo { sequence, kind: meta.kind, attempts: attempts as u8 };
        Received { info, len: meta.len, batch }
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

    /// Acks it: it is done, its slot may be reused.
    #[inline]
    pub fn ack(self) {
        self.batch.ack();
    }
}

impl<M: Content + ?Sized> Deref for Received<'_, M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        let slot = self.batch.at.view.slot(self.info.sequence);
        // SAFETY: published and not acked: the batch holds exactly this message, and an ack consumes it
        // (I3).
        let area = unsafe { slot.payload.bytes() };
        M::from_payload(area, self.len)
    }
}
