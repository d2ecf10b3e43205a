//! Messages, borrowed in place until they are acked.

#![allow(unsafe_code)]

mod received;
mod tasks;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::SystemTime;

use crate::dead_letter::letter::{DeadLetter, Reason};
use crate::dead_letter::policy::DeadLetterPolicy;
use crate::error::{AckError, AckReason, DeadLetterError, GrowError, RejectError, ReleaseError};
use crate::group::consumers;
use crate::info::{MessageInfo, message_accessors};
use crate::layout::{MetaWord, View};
use crate::membership::{Membership, RetryView};
use crate::message::Content;
use crate::ring::claim::{Claim, Corrupt};
use crate::ring::reader::Reader;
use crate::source::{Source, StreamId};
use crate::sync::mutant;
pub use received::Received;
pub use tasks::{Task, Tasks};

/// Attempts of a redelivered message that is not the first of its batch: this many or more.
const AGAIN: u8 = 2;

/// A run of messages, borrowed from their slots. A batch that is dropped leaves the messages that were not acked to the
/// group, whose next receive delivers them again: one at a time where the group has a
/// [limit](crate::Group::max_attempts) of attempts, so that each is counted; else in batches. In such a batch,
/// [`attempts`](Delivery::attempts) counts the first message, and is 2, for "at least 2", for the others.
///
/// ```
/// # let name = format!("doc-batch-{}", std::process::id());
/// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
/// # let mut producer = queue.producer()?;
/// # producer.send("one")?;
/// # producer.send("two")?;
/// # let mut consumer = queue.consumer("work")?;
/// let mut batch = consumer.recv_batch(32)?;
/// while let Some(message) = batch.first() {
///     println!("{}: {:?}", message.sequence(), &*message);
///     batch.ack_first()?;
/// }
/// # drop(batch); drop((consumer, producer)); slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a batch that is dropped without an ack is redelivered"]
pub struct Batch<'c, M: Content + ?Sized = [u8]> {
    pub(crate) membership: &'c mut Membership,
    policy: &'c mut DeadLetterPolicy,
    /// What is not acked yet. Invariant: it came from `membership` and is its only claim, so by invariant borrow its
    /// messages stay as they are.
    pub(crate) claim: Claim,
    marker: PhantomData<fn(&M)>,
}

impl<'c, M: Content + ?Sized> Batch<'c, M> {
    #[inline]
    pub(crate) fn new(
        membership: &'c mut Membership,
        policy: &'c mut DeadLetterPolicy,
        claim: Claim,
    ) -> Self {
        membership.acked.begin(claim.start);
        Batch::unbegun(membership, policy, claim)
    }

    /// The same, but the set of acks is still that of an earlier claim.
    #[inline]
    fn unbegun(
        membership: &'c mut Membership,
        policy: &'c mut DeadLetterPolicy,
        claim: Claim,
    ) -> Self {
        Batch { membership, policy, claim, marker: PhantomData }
    }

    /// The claim, which can be lent again.
    pub(crate) fn into_claim(self) -> Claim {
        self.claim
    }

    /// Whether a letter comes from this batch's group.
    pub(crate) fn is_for(&self, letter: &DeadLetter<'_>) -> bool {
        letter.queue == &*self.policy.queue && letter.group == self.policy.group
    }

    /// The queue and the group that it comes from, for an error.
    #[cold]
    pub(crate) fn of(&self) -> (Arc<str>, String) {
        (self.policy.queue.clone(), self.policy.group.clone())
    }

    /// Which queue its messages are in: that of the consumer, or that of the letters that were sent again to its group.
    pub(crate) fn instance(&self) -> [u64; 2] {
        self.membership.attachment.mapped.config.instance
    }

    /// The group's stream in that queue; `None` if it is shared there, and has no order.
    #[cold]
    pub(crate) fn group_stream(&self) -> Option<StreamId> {
        let Membership { reader, attachment, .. } = &*self.membership;
        let ordered = matches!(reader, Reader::Exclusive(_));
        let (queue, group) = (attachment.queue(), &self.policy.group);
        ordered.then(|| StreamId::of_group(self.instance(), queue, group))
    }

    /// The messages with their sequences in the ring that they are in.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (u64, Delivery<'_, M>)> {
        (self.claim.start..).zip(self)
    }

    /// Whether this is a dead letter that was sent again. It comes alone, with its first sequence and kind, and its
    /// attempts count from 1 again.
    pub fn requeued(&self) -> bool {
        self.membership.retry_view.requeued()
    }

    /// Messages from the first that is not acked to the last of the batch.
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

    /// Message `index` of the batch, counted from the first that is not acked. The count includes later messages that
    /// were acked out of order ([`Batch::ack_one`]); [`Batch::pending`] leaves them out.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Delivery<'_, M>> {
        if index >= self.len() {
            return None;
        }
        let Membership { attachment, retry_view, .. } = &*self.membership;
        Some(self.deliver_from(&attachment.view, *retry_view, self.claim.start + index as u64))
    }

    /// The message at `place`, a sequence in the ring. `view` and `retry_view` are those of the membership; `place`
    /// lies in the claim and is not acked for as long as `'v` lasts.
    #[inline]
    fn deliver_from<'v>(
        &self,
        view: &'v View,
        retry_view: RetryView,
        place: u64,
    ) -> Delivery<'v, M> {
        // SAFETY: an ack needs this batch exclusively, or the one task that was given the message.
        let (slot, area) = unsafe { self.claim.payload(view, place) };
        let content = M::from_payload(area, || retry_view.len(slot.meta.load()));
        let info = self.info_of(retry_view, place, 0).with(0, retry_view.requeued());
        Delivery { info, meta: slot.meta, view, content }
    }

    /// Copies the first message word by word. Another process may write there at the same time; that makes the copy a
    /// mixture of bytes, and is no undefined behaviour.
    pub(crate) fn copy_first(&self, out: &mut M::Owned) {
        let Membership { attachment, retry_view, .. } = &*self.membership;
        let slot = attachment.view.slot(self.claim.start);
        let len = retry_view.len(slot.meta.load()).min(attachment.view.geo().payload_size);
        M::copy(out, len, |bytes| {
            slot.payload.load(bytes);
        });
    }

    #[inline]
    fn attempts_of(&self, place: u64) -> u8 {
        if place >= self.claim.again {
            return 1;
        }
        std::hint::cold_path();
        // Only those of the first message are counted.
        if place == self.membership.acked.first() { self.claim.attempts as u8 } else { AGAIN }
    }

    /// What is known of the message at `place`, except whether it was sent again, and its length.
    #[inline]
    pub(crate) fn facts(
        &self,
        view: &View,
        retry_view: RetryView,
        place: u64,
    ) -> (MessageInfo, usize) {
        let meta = view.slot(place).meta.load();
        (self.info_of(retry_view, place, meta.kind), retry_view.len(meta))
    }

    #[inline]
    fn info_of(&self, retry_view: RetryView, place: u64, kind: u32) -> MessageInfo {
        let (sequence, attempts) = (retry_view.sequence(place), self.attempts_of(place));
        MessageInfo::new(sequence, kind, attempts)
    }

    /// Takes up to `max` more messages, those that follow the last of this batch, if there are any; returns how many.
    /// Never blocks. With it a consumer keeps a window of messages in work and need not stop at the end of each batch.
    /// The window moves when the messages at its beginning are acked.
    ///
    /// ```
    /// # let name = format!("doc-grow-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).capacity(64).group("work").create()?;
    /// # let mut producer = queue.producer()?;
    /// # producer.send_batch(["a"; 20])?;
    /// # let mut consumer = queue.consumer("work")?;
    /// # producer.close()?;
    /// # let mut all = Vec::new();
    /// use slipring::RecvError;
    ///
    /// const WINDOW: usize = 8;
    /// loop {
    ///     // The window is empty: receive again.
    ///     let mut batch = match consumer.recv_batch(WINDOW) {
    ///         Err(RecvError::Closed { .. }) => break,
    ///         batch => batch?,
    ///     };
    ///     let mut started = 0;
    ///     while !batch.is_empty() {
    ///         while let Some(message) = batch.get(started) {
    ///             // Start the work on it: send it to another host, for example.
    /// #           all.push(message.sequence());
    ///             started += 1;
    ///         }
    ///         // One of them is done, in any order.
    /// #       let done = batch.pending().last().map_or(0, |message| message.sequence());
    ///         let before = batch.len();
    ///         batch.ack_one(done)?;
    ///         started -= before - batch.len();
    ///         batch.grow(WINDOW - batch.len())?;
    ///     }
    /// }
    /// # assert!(all.into_iter().eq(0..20));
    /// # drop(consumer); slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The batch then is as if the messages had come with it. As with a receive, fewer may come than there are; call it
    /// again for the others. The next receive reports whether the queue is closed, or was removed.
    ///
    /// Two kinds of messages come one at a time, so a batch with one of them does not grow, and no batch grows by one:
    /// redelivered messages in a group with a [limit](crate::Group::max_attempts) of attempts, and dead letters that
    /// were sent again. The latter come between batches, so a window that never runs empty keeps them waiting.
    ///
    /// # Errors
    /// [`GrowError::Shared`] in a shared group, where other members may have what follows. The batch is unchanged then.
    pub fn grow(&mut self, max: usize) -> Result<usize, GrowError> {
        let Membership { reader, attachment, acked, one_at_a_time, .. } = &mut *self.membership;
        let queue = || attachment.queue().clone();
        if attachment.leases.forked() {
            return Err(GrowError::Forked { queue: queue() });
        }
        let max = if *one_at_a_time { 0 } else { max as u64 };
        // The first message is acked by now, so its count no longer matters.
        if acked.pass(self.claim.start) {
            self.claim.attempts = u32::from(AGAIN);
        }
        match reader.grow(&attachment.view, &mut self.claim, max) {
            Some(Ok(more)) => Ok(more as usize),
            Some(Err(Corrupt(what))) => Err(GrowError::Corrupt { queue: queue(), what }),
            None => {
                let group = self.policy.group.clone();
                Err(GrowError::Shared { queue: queue(), group })
            }
        }
    }

    /// The messages that are not acked yet, for several threads to take and ack.
    pub fn tasks(&mut self) -> Tasks<'_, 'c, M> {
        Tasks::new(self)
    }

    /// The messages of the batch, in order, from the first that is not acked. Those that were acked out of order
    /// ([`Batch::ack_one`]) are among them; [`Batch::pending`] leaves them out.
    #[inline]
    pub fn iter(&self) -> Iter<'_, 'c, M> {
        Iter { batch: self, next: 0 }
    }

    /// The messages that are not acked yet, in order.
    pub fn pending(&self) -> impl Iterator<Item = Delivery<'_, M>> {
        let Membership { attachment, retry_view, acked, .. } = &*self.membership;
        let places = self.claim.start..self.claim.end;
        let pending = places.filter(|place| !acked.contains(*place));
        pending.map(|place| self.deliver_from(&attachment.view, *retry_view, place))
    }

    /// Acks the first message. Does nothing if all are acked.
    ///
    /// # Errors
    /// Today none: see [`AckError`].
    #[inline]
    pub fn ack_first(&mut self) -> Result<(), AckError> {
        let to = (self.claim.start + 1).min(self.claim.end);
        self.ack_to(to);
        Ok(())
    }

    /// Acks all messages up to and including `sequence`.
    ///
    /// # Errors
    /// [`AckReason::NotInBatch`] if `sequence` is not an unacked message of this batch. Nothing is acked then.
    pub fn ack_through(&mut self, sequence: u64) -> Result<(), AckError> {
        let to = self.place_of(sequence)? + 1;
        self.ack_to(to);
        Ok(())
    }

    /// The place of an unacked message in the ring.
    fn place_of(&self, sequence: u64) -> Result<u64, AckError> {
        let Claim { start, end, .. } = self.claim;
        let place = sequence.wrapping_sub(self.membership.retry_view.shift);
        if (start..end).contains(&place) && !self.membership.acked.contains(place) {
            return Ok(place);
        }
        Err(self.not_in_batch(sequence))
    }

    #[cold]
    fn not_in_batch(&self, sequence: u64) -> AckError {
        let retry_view = self.membership.retry_view;
        let batch = retry_view.sequence(self.claim.start)..retry_view.sequence(self.claim.end);
        let queue = self.membership.attachment.queue().clone();
        AckError::new(AckReason::NotInBatch { queue, sequence, batch })
    }

    #[inline]
    fn ack_to(&mut self, to: u64) {
        // An ack of nothing must not touch the record: the last ack of an adopted range has given it back.
        if to > self.claim.start {
            let Membership { reader, attachment, acked, .. } = &mut *self.membership;
            let to = mutant!(acked.gap(to, self.claim.end), "ack-ignores-the-ack-set", to);
            reader.ack(&attachment.view, &attachment.leases, &mut self.claim, to);
        }
    }

    /// Acks one message out of order. Its slot is free for reuse once all messages before it in this batch are acked,
    /// too. Until then it is part of the batch, and is redelivered if the batch is dropped or its consumer dies.
    ///
    /// # Errors
    /// [`AckReason::NotInBatch`] if `sequence` is not an unacked message of this batch. Nothing is acked then.
    pub fn ack_one(&mut self, sequence: u64) -> Result<(), AckError> {
        let place = self.place_of(sequence)?;
        self.ack_place(place);
        Ok(())
    }

    pub(crate) fn ack_place(&mut self, place: u64) {
        let to = self.membership.acked.add(place, self.claim.start, self.claim.end);
        self.ack_to(to);
    }

    /// Makes one message a dead letter: sends it to the group's dead-letter queue (see
    /// [`Group::dead_letters_to`](crate::Group::dead_letters_to)) and then acks it, as [`Batch::ack_one`] does: if
    /// messages before it are redelivered, so is it. Waits a few seconds at most for its turn to send there. If this
    /// process dies between the two steps, a second letter is made of it.
    ///
    /// # Errors
    /// If `sequence` is not an unacked message of this batch, or the letter cannot be sent. The message stays in the
    /// batch then.
    pub fn reject(&mut self, sequence: u64) -> Result<(), RejectError> {
        let place = self.place_of(sequence)?;
        Ok(self.dead_letter(place, Reason::Rejected)?)
    }

    /// Makes a dead letter of the only message, which nobody has worked on this time: its delivery does not count.
    #[cold]
    pub(crate) fn reject_untried(mut self) -> Result<(), Box<DeadLetterError>> {
        self.uncount();
        let before = match self.attempts_of(self.claim.start) {
            u8::MAX => u8::MAX,
            attempts => attempts.saturating_sub(1),
        };
        self.dead_letter_after(self.claim.start, Reason::Rejected, before)
    }

    /// Makes a dead letter of a message that has had its last attempt; it is alone in this batch.
    #[cold]
    pub(crate) fn exhaust(mut self) -> Result<(), Box<DeadLetterError>> {
        self.dead_letter(self.claim.start, Reason::MaxAttempts)
    }

    /// Makes a dead letter of a message that is not of the queue's type; it is alone in this batch.
    #[cold]
    pub(crate) fn reject_unreadable(mut self) -> Result<(), Box<DeadLetterError>> {
        self.dead_letter(self.claim.start, Reason::Rejected)
    }

    fn dead_letter(&mut self, place: u64, reason: Reason) -> Result<(), Box<DeadLetterError>> {
        let attempts = match reason {
            // Without this attempt, which the message does not get.
            Reason::MaxAttempts => self.policy.limit as u8,
            _ => self.attempts_of(place),
        };
        self.dead_letter_after(place, reason, attempts)
    }

    fn dead_letter_after(
        &mut self,
        place: u64,
        reason: Reason,
        attempts: u8,
    ) -> Result<(), Box<DeadLetterError>> {
        let Membership { attachment, retry_view, .. } = &*self.membership;
        let message = self.deliver_from(&attachment.view, *retry_view, place);
        let (queue, group) = (self.policy.queue.clone(), self.policy.group.clone());
        let sent = self.policy.send_letter(&DeadLetter {
            queue: &queue,
            group: &group,
            sequence: message.sequence(),
            attempts,
            time: SystemTime::now(),
            reason,
            kind: message.kind(),
            payload: message.content().to_payload(),
        });
        mutant!(sent?, "acked-without-a-letter", drop(sent));
        self.ack_place(place);
        self.membership.count_dead_letter();
        Ok(())
    }

    /// Takes back the count of this delivery, because no attempt was made: the program is told to stop, for example, or
    /// a service that the work needs is down. The batch stays borrowed. If it is then dropped or released without an
    /// ack, or this process dies, the first message comes again with as many attempts as now, any number of times. The
    /// other messages keep the count of this delivery: where attempts have a limit, they come again one by one, each
    /// with a count of its own. With a [limit](crate::Group::max_attempts) of 1 this delivery was their last, and they
    /// become dead letters untried; so receive single messages there, not batches.
    ///
    /// 255 attempts stand for any higher number, and are not changed.
    #[cold]
    pub fn uncount(&mut self) {
        if !self.is_empty() {
            let Membership { reader, attachment, .. } = &*self.membership;
            reader.uncount(&attachment.view, &self.claim, self.attempts_of(self.claim.start));
        }
    }

    /// Gives the messages that are not acked back to the group: another member gets them, without waiting for this
    /// one's death. They count as delivered, unless [`Batch::uncount`] was called. Messages that were acked after one
    /// that was not are redelivered, too. In an exclusive group this consumer gets them again. Waits for other control
    /// operations, at most the control timeout of the queue that the consumer comes from
    /// ([`OpenOptions::control_timeout`](crate::OpenOptions::control_timeout)).
    ///
    /// # Errors
    /// If all consumer records are in use, so that this member cannot take another one, or the control lease cannot be
    /// had in that time. The messages then stay with this member and are redelivered to it.
    pub fn release(self) -> Result<(), ReleaseError> {
        if self.is_empty() {
            return Ok(());
        }
        let Membership { reader, attachment, control_timeout, .. } = self.membership;
        let _control = attachment.control(*control_timeout)?;
        let pid = std::process::id();
        let released =
            reader.release(&attachment.view, &attachment.leases, pid, self.claim.record as u8);
        if released.map_err(attachment.system("take another consumer record"))? {
            Ok(())
        } else {
            let (max, live) = consumers(attachment)?;
            Err(ReleaseError::TooManyConsumers { queue: attachment.queue().clone(), max, live })
        }
    }

    /// Acks all messages.
    ///
    /// # Errors
    /// Today none: see [`AckError`].
    #[inline(always)]
    pub fn ack(mut self) -> Result<(), AckError> {
        let to = self.claim.end;
        // As in `ack_to`.
        if to > self.claim.start {
            let Membership { reader, attachment, .. } = &mut *self.membership;
            reader.ack(&attachment.view, &attachment.leases, &mut self.claim, to);
        }
        Ok(())
    }
}

impl<M: Content + ?Sized> fmt::Debug for Batch<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sequence = |place| self.membership.retry_view.sequence(place);
        f.debug_struct("Batch")
            .field("queue", &self.membership.attachment.queue())
            .field("group", &self.policy.group)
            .field("sequences", &(sequence(self.claim.start)..sequence(self.claim.end)))
            .finish_non_exhaustive()
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
#[must_use = "an iterator does nothing unless it is asked for messages"]
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
    /// Without the kind.
    info: MessageInfo,
    /// For the kind and the length, loaded only if a caller asks: the compiler does not remove an unused atomic load.
    meta: &'b MetaWord,
    view: &'b View,
    content: &'b M,
}

impl<'b, M: Content + ?Sized> Delivery<'b, M> {
    message_accessors!(view => view.meta.load().kind, view.info.requeued());

    /// Where it comes from; `None` if its sender did not say, and for a dead letter that was sent again. The stream and
    /// the position are a key, by which effects outside of queues can be made idempotent: see [`Source`].
    pub fn source(&self) -> Option<Source> {
        if self.info.requeued() {
            return None;
        }
        let sequence = self.info.sequence();
        Source::of(self.view, sequence, &self.view.slot(sequence))
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
        f.debug_struct("Delivery").field("info", &self.info()).finish_non_exhaustive()
    }
}
