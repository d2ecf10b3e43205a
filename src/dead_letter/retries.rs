//! Dead letters that were sent again to a group: they come through a queue of their own, which the
//! group's members read beside their queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::letter::{DeadLetter, retry_queue};
use super::policy::DeadLetterPolicy;
use crate::attach::Mapped;
use crate::batch::Batch;
use crate::error::{JoinError, OpenError, RecvError};
use crate::group::{Group, Retention, Start, find};
use crate::membership::{Joined, Membership, RetryView};
use crate::ring::claim::{Claim, NO_LIMIT};
use crate::ring::close::is_drained;
use crate::segment::{QueueName, Trust, open_shared};

/// A queue of retries that could not be joined is tried again after this long.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Joining it waits no longer than this for its control lease: who receives is not to wait for it.
const JOIN_WITHIN: Duration = Duration::from_millis(10);
/// Messages that are not for this consumer, skipped in one look.
const SKIP_MAX: u32 = 64;

/// The second place where a consumer looks.
#[derive(Debug)]
pub(crate) struct Retries {
    group: Group,
    trust: Trust,
    /// Messages are read in place as a type, so all of one must be there.
    typed: bool,
    /// That of the queue, for who holds a retry.
    control_timeout: Duration,
    membership: Option<Membership>,
    failed: Option<Instant>,
    /// When it could not be joined, there was nothing in it for the group either.
    nothing: bool,
}

impl Retries {
    pub(crate) fn new(group: &Group, trust: &Trust, typed: bool, timeout: Duration) -> Retries {
        let group = group.clone().start(Start::Oldest).made_if_missing();
        // It holds, whatever the group itself does: letters are not to go with their last reader.
        let group = group.retention(Retention::Hold);
        Retries {
            group,
            trust: trust.clone(),
            typed,
            control_timeout: timeout,
            membership: None,
            failed: None,
            nothing: false,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.membership.as_ref().is_some_and(Membership::holds)
    }

    pub(crate) fn others_hold(&self) -> bool {
        self.membership.as_ref().is_some_and(Membership::others_hold)
    }

    pub(crate) fn membership(&mut self) -> Option<&mut Membership> {
        self.membership.as_mut()
    }

    /// Whether the group has acked all retries that there are now, as far as they can be seen. What was seen when they
    /// were looked at last says nothing: their queue may be a new one.
    pub(crate) fn are_drained(&mut self, main: &Membership, policy: &DeadLetterPolicy) -> bool {
        if let Some(membership) = &self.membership {
            if !is_drained(&membership.attachment.view, membership.reader.group()) {
                return false;
            }
            // A name that cannot be looked at is looked for below.
            if membership.removed().is_ok_and(|removed| !removed) {
                return true;
            }
            (self.membership, self.nothing) = (None, true);
        }
        if self.nothing {
            self.membership = self.join(main, policy);
        }
        self.membership.is_none() && self.nothing
    }

    /// Takes a message, alone, if there is one. `thorough`: also asks the system what dead members left
    /// behind. A queue that cannot be read is left alone for a while.
    #[cold]
    pub(crate) fn take(
        &mut self,
        main: &Membership,
        policy: &mut DeadLetterPolicy,
        thorough: bool,
    ) -> Result<Option<Claim>, RecvError> {
        if self.membership.is_none() && self.failed.is_none_or(|at| at.elapsed() >= AGAIN_AFTER) {
            self.membership = self.join(main, policy);
            self.failed = self.membership.is_none().then(Instant::now);
        }
        let Some(membership) = &mut self.membership else { return Ok(None) };
        let exactly = self.typed.then(|| main.attachment.view.geo().payload_size);
        match next(membership, policy, thorough, exactly) {
            Ok(claim) => Ok(claim),
            Err(fault @ RecvError::DeadLetter(_)) => Err(fault),
            // The group's own queue must not stand still for it.
            Err(fault) => {
                self.membership = None;
                self.failed = Some(Instant::now());
                // Nothing is in a queue that was removed, unless there is a new one of its name: `are_drained` looks.
                self.nothing = matches!(fault, RecvError::Removed { .. });
                Ok(None)
            }
        }
    }

    fn join(&mut self, main: &Membership, policy: &DeadLetterPolicy) -> Option<Membership> {
        let name = QueueName::new(&retry_queue(&policy.queue, &policy.group)).ok()?;
        let opened = open_shared(&name, &self.trust);
        self.nothing = matches!(opened, Err(OpenError::NotFound { .. }));
        let opened = opened.ok()?;
        opened.prepare_to_wake(&name).ok()?;
        let mapped = Arc::new(Mapped::new(name, opened).ok()?.0);
        let fits = !self.typed
            || mapped.view().geo().payload_size >= main.attachment.view.geo().payload_size;
        let joined = fits.then(|| self.join_group(&mapped)).and_then(Result::ok);
        let Some((mut membership, _)) = joined else {
            let group = find(mapped.view(), &self.group.name);
            self.nothing = group.is_some_and(|group| is_drained(mapped.view(), group));
            return None;
        };
        // The rule is that of the queue the messages come from.
        membership.reader.set_limit(u8::try_from(policy.limit).unwrap_or(NO_LIMIT));
        membership.one_at_a_time = true;
        membership.control_timeout = self.control_timeout;
        Some(membership)
    }

    fn join_group(&self, mapped: &Arc<Mapped>) -> Result<(Membership, Joined), JoinError> {
        match Membership::join(mapped, &self.group, JOIN_WITHIN) {
            // The group had another mode when its letters were sent again.
            Err(JoinError::WrongMode { found, .. }) => {
                Membership::join(mapped, &self.group.clone().mode(found), JOIN_WITHIN)
            }
            joined => joined,
        }
    }
}

/// `exactly`: bytes that a message must have.
fn next(
    membership: &mut Membership,
    policy: &mut DeadLetterPolicy,
    thorough: bool,
    exactly: Option<usize>,
) -> Result<Option<Claim>, RecvError> {
    for _ in 0..SKIP_MAX {
        let claim = match membership.take(1)? {
            None if thorough && membership.adopt()? => membership.take(1)?,
            claim => claim,
        };
        let Some(claim) = claim else {
            return match thorough && membership.removed()? {
                true => Err(RecvError::Removed { queue: membership.attachment.queue().clone() }),
                false => Ok(None),
            };
        };
        let attempts = claim.attempts;
        membership.retry_view = RetryView::default();
        let batch = Batch::<[u8]>::new(membership, policy, claim);
        let Some(message) = batch.first() else { continue };
        let mut retry_view = RetryView::default();
        let mut len = message.len();
        // What is no letter, somebody has sent by hand.
        if let Some(letter) = DeadLetter::parse(message.kind(), message.content()) {
            // A name with dots in it can stand for more than one queue and group.
            if !batch.is_for(&letter) {
                batch.ack()?;
                continue;
            }
            let shift = letter.sequence.wrapping_sub(message.sequence());
            retry_view = RetryView { shift, trailer: DeadLetter::ENVELOPE };
            len = letter.payload.len();
        }
        let claim = batch.into_claim();
        membership.retry_view = retry_view;
        if attempts > policy.limit {
            Batch::<[u8]>::new(membership, policy, claim).exhaust()?;
        } else if exactly.is_some_and(|exactly| len != exactly) {
            Batch::<[u8]>::new(membership, policy, claim).reject_unreadable()?;
        } else {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}
