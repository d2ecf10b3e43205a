//! One message, lent out in place until it is acked.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;

use super::Batch;
use crate::error::{AckError, RecvError, RejectError};
use crate::info::{MessageInfo, message_accessors};
use crate::membership::Membership;
use crate::message::Content;

/// One received message, not acked yet. Dereferences to its content. Dropped without an ack, it comes
/// again.
#[must_use = "a message that is dropped without an ack comes again"]
pub struct Received<'c, M: Content + ?Sized = [u8]> {
    /// Of one message. What is known of that is read from its slot when it is asked for: most do not ask.
    batch: Batch<'c, M>,
}

impl<'c, M: Content + ?Sized> Received<'c, M> {
    /// Of a batch of one, as it came from the consumer.
    #[inline]
    pub(crate) fn new(batch: Batch<'c, M>) -> Self {
        Received { batch }
    }

    /// What is known of it beside its content.
    pub fn info(&self) -> MessageInfo {
        let Membership { attachment, retry_view, .. } = &*self.batch.membership;
        let (info, _) = self.batch.facts(&attachment.view, *retry_view, self.batch.claim.start);
        info.with(info.kind(), self.batch.requeued())
    }

    message_accessors!(
        view => view.info().sequence(), view.info().kind(), view.info().attempts(), view.batch.requeued()
    );

    /// The content, for as long as it is not acked.
    #[inline]
    pub fn content(&self) -> &M {
        self
    }

    /// Acks it: it is done, its slot may be reused.
    ///
    /// # Errors
    /// Today none: see [`AckError`].
    #[inline]
    pub fn ack(mut self) -> Result<(), AckError> {
        // Of one message, which is not acked yet: `reject` and `fail` have consumed it.
        let Batch { membership, claim, .. } = &mut self.batch;
        let Membership { reader, attachment, .. } = &mut **membership;
        let to = claim.end;
        reader.ack(&attachment.view, &attachment.leases, claim, to);
        Ok(())
    }

    /// Copies it, and acks it then.
    pub(crate) fn move_into(self, out: &mut M::Owned) -> Result<MessageInfo, RecvError> {
        self.batch.copy_first(out);
        let info = self.info();
        self.ack()?;
        Ok(info)
    }

    /// Gives it up: it becomes a dead letter; see [`Batch::reject`].
    ///
    /// # Errors
    /// If it could not be sent to the dead-letter queue. It comes again then.
    pub fn reject(mut self) -> Result<(), RejectError> {
        self.batch.reject(self.sequence())
    }

    /// Takes back the count of this delivery: nobody has tried the work on it; see [`Batch::uncount`]. It is still lent,
    /// and may be acked or rejected; dropped without, it comes again with as many attempts as now. Call it when the
    /// program is told to stop, before what ends it by force.
    pub fn uncount(&mut self) {
        self.batch.uncount();
    }

    /// Says that the work on it failed. It comes again to this consumer, as if it were dropped; but after
    /// the last attempt that its group allows it becomes a dead letter now, not at the next receive.
    /// Returns whether it did.
    ///
    /// # Errors
    /// If it could not be sent to the dead-letter queue. The next receive tries that again.
    pub fn fail(self) -> Result<bool, RejectError> {
        // As the next receive would count: 255 and a limit of 255 go on for ever.
        let next = self.attempts().saturating_add(1);
        let worn_out = u32::from(next) > self.batch.policy.limit;
        if worn_out {
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
