//! One message, borrowed in place until it is acked.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;

use super::Batch;
use crate::dead_letter::policy::DeadLetterPolicy;
use crate::error::{AckError, RecvError, RejectError};
use crate::info::{MessageInfo, message_accessors};
use crate::membership::Membership;
use crate::message::Content;
use crate::ring::claim::Claim;
use crate::source::Source;

/// One received message. Dereferences to its content. Dropped without an ack, it is redelivered.
#[must_use = "a message that is dropped without an ack is redelivered"]
pub struct Received<'c, M: Content + ?Sized = [u8]> {
    /// Of one message. Its facts are read from its slot only if a caller asks for them.
    batch: Batch<'c, M>,
}

impl<'c, M: Content + ?Sized> Received<'c, M> {
    /// Takes a batch of one.
    #[inline]
    pub(crate) fn new(batch: Batch<'c, M>) -> Self {
        Received { batch }
    }

    /// Of a claim of one message. The ack of the whole claim does not need the set of acks, so this does not begin it.
    #[inline]
    pub(crate) fn claimed(
        membership: &'c mut Membership,
        policy: &'c mut DeadLetterPolicy,
        claim: Claim,
    ) -> Self {
        Received { batch: Batch::unbegun(membership, policy, claim) }
    }

    /// The batch, with its set of acks begun.
    fn begun(&mut self) -> &mut Batch<'c, M> {
        let Batch { membership, claim, .. } = &mut self.batch;
        membership.acked.begin(claim.start);
        &mut self.batch
    }

    /// What is known of it besides its content.
    pub fn info(&self) -> MessageInfo {
        let Membership { attachment, retry_view, .. } = &*self.batch.membership;
        let Claim { start, attempts, .. } = self.batch.claim;
        let kind = attachment.view.slot(start).meta.load().kind;
        let info = MessageInfo::new(retry_view.sequence(start), kind, attempts as u8);
        info.with(kind, retry_view.requeued())
    }

    message_accessors!(
        view => view.info().sequence(), view.info().kind(), view.info().attempts(), view.batch.requeued()
    );

    /// Where it comes from; `None` if its sender did not say, and for a dead letter that was sent again. The stream and
    /// the position are a key, by which effects outside of queues can be made idempotent: see [`Source`].
    pub fn source(&self) -> Option<Source> {
        if self.batch.requeued() {
            return None;
        }
        let view = &self.batch.membership.attachment.view;
        let place = self.batch.claim.start;
        Source::of(view, place, &view.slot(place))
    }

    /// The content, for as long as it is not acked.
    #[inline]
    pub fn content(&self) -> &M {
        self
    }

    /// Acks the message: it is done, and its slot may be reused.
    ///
    /// # Errors
    /// Today none: see [`AckError`].
    #[inline]
    pub fn ack(mut self) -> Result<(), AckError> {
        // The batch has one message, and that is not acked: `reject` and `fail` consume it.
        let Batch { membership, claim, .. } = &mut self.batch;
        let Membership { reader, attachment, .. } = &mut **membership;
        let to = claim.start + 1;
        reader.ack(&attachment.view, &attachment.leases, claim, to);
        Ok(())
    }

    /// Copies the message, then acks it.
    pub(crate) fn move_into(self, out: &mut M::Owned) -> Result<MessageInfo, RecvError> {
        self.batch.copy_first(out);
        let info = self.info();
        self.ack()?;
        Ok(info)
    }

    /// Makes the message a dead letter; see [`Batch::reject`].
    ///
    /// # Errors
    /// If the letter cannot be sent. The message is redelivered then.
    pub fn reject(mut self) -> Result<(), RejectError> {
        let sequence = self.sequence();
        self.begun().reject(sequence)
    }

    /// Takes back the count of this delivery, because no attempt was made; see [`Batch::uncount`]. The message stays
    /// borrowed, and may be acked or rejected; dropped without either, it comes again with as many attempts as now. A
    /// program that is told to stop calls it first, before it is killed.
    pub fn uncount(&mut self) {
        self.begun().uncount();
    }

    /// Reports that the work on the message failed. It is redelivered to this consumer, as if it were dropped; but
    /// after the last attempt that its group allows it becomes a dead letter at once. Returns whether it did.
    ///
    /// # Errors
    /// If the letter cannot be sent. The next receive tries again.
    pub fn fail(mut self) -> Result<bool, RejectError> {
        // Counts as the next receive would: 255 stands for more, so a limit of 255 is never exceeded.
        let next = self.attempts().saturating_add(1);
        let worn_out = u32::from(next) > self.batch.policy.limit;
        if worn_out {
            self.begun();
            self.batch.exhaust()?;
        }
        Ok(worn_out)
    }
}

impl<M: Content + ?Sized> Deref for Received<'_, M> {
    type Target = M;

    #[inline]
    fn deref(&self) -> &M {
        let Membership { attachment, retry_view, .. } = &*self.batch.membership;
        let claim = &self.batch.claim;
        // SAFETY: an ack consumes the batch, which holds exactly this message.
        let (slot, area) = unsafe { claim.payload(&attachment.view, claim.start) };
        M::from_payload(area, || retry_view.len(slot.meta.load()))
    }
}

impl<M: Content + ?Sized> fmt::Debug for Received<'_, M> {
    /// Without the content, which may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("info", &self.info()).finish_non_exhaustive()
    }
}
