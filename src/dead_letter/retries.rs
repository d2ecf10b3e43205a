//! Retries, that is dead letters that were sent again to a group. They come through a queue of their own, which the
//! group's members read in addition to their queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::letter::{DeadLetter, retry_queue};
use super::policy::{DeadLetterPolicy, LETTERS_PER_LOOK};
use crate::attach::Mapped;
use crate::batch::Batch;
use crate::error::{JoinError, OpenError, RecvError};
use crate::group::{Group, Retention, Start, find};
use crate::membership::{Joined, Membership, RetryView};
use crate::ring::claim::{Claim, NO_LIMIT};
use crate::ring::close::is_drained;
use crate::segment::{QueueName, Trust, open_shared};

/// Time until a queue of retries that could not be joined is tried again.
const REJOIN_AFTER: Duration = Duration::from_millis(100);
/// Longest wait for that queue's control lease. The receive that joins it must not wait longer.
const JOIN_WITHIN: Duration = Duration::from_millis(10);

/// A consumer's second source of messages.
#[derive(Debug)]
pub(crate) struct Retries {
    group: Group,
    trust: Trust,
    /// Messages are read in place as a type, so each must have its full length.
    typed: bool,
    /// The main queue's, for releasing a retry.
    control_timeout: Duration,
    membership: Option<Membership>,
    failed_at: Option<Instant>,
    /// The queue that could not be joined had nothing for the group, or did not exist.
    known_empty: bool,
    /// The last look stopped before it found something or the end.
    left: bool,
}

impl Retries {
    pub(crate) fn new(group: &Group, trust: &Trust, typed: bool, timeout: Duration) -> Retries {
        let group = group.clone().start(Start::Oldest).made_if_missing();
        // It holds its queue, even if the group itself does not: letters must not go with their last reader.
        let group = group.retention(Retention::Hold);
        Retries {
            group,
            trust: trust.clone(),
            typed,
            control_timeout: timeout,
            membership: None,
            failed_at: None,
            known_empty: false,
            left: false,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.membership.as_ref().is_some_and(Membership::holds)
    }

    pub(crate) fn others_hold(&self) -> bool {
        self.membership.as_ref().is_some_and(Membership::others_hold)
    }

    /// Whether the last look has skipped and given up as many messages as one look may, so that there is more.
    pub(crate) fn are_left(&self) -> bool {
        self.left
    }

    pub(crate) fn membership(&mut self) -> Option<&mut Membership> {
        self.membership.as_mut()
    }

    /// Whether the group has acked all retries that there are now, as far as that can be seen. The last result does not
    /// count: there may be a new queue of that name.
    pub(crate) fn are_drained(&mut self, main: &Membership, policy: &DeadLetterPolicy) -> bool {
        if let Some(membership) = &self.membership {
            if !is_drained(&membership.attachment.view, membership.reader.group()) {
                return false;
            }
            // If the kernel does not say, join again by name.
            if membership.removed().is_ok_and(|removed| !removed) {
                return true;
            }
            (self.membership, self.known_empty) = (None, true);
        }
        if self.known_empty {
            self.membership = self.join(main, policy);
        }
        self.membership.is_none() && self.known_empty
    }

    /// Takes one message, if there is one. With `full` it also asks the kernel: for what dead members held, and whether
    /// the queue was removed. A queue that cannot be read is left alone for a while.
    #[cold]
    pub(crate) fn take(
        &mut self,
        main: &Membership,
        policy: &mut DeadLetterPolicy,
        full: bool,
    ) -> Result<Option<Claim>, RecvError> {
        self.left = false;
        if self.membership.is_none() && self.failed_at.is_none_or(|at| at.elapsed() >= REJOIN_AFTER)
        {
            self.membership = self.join(main, policy);
            self.failed_at = self.membership.is_none().then(Instant::now);
        }
        let Some(membership) = &mut self.membership else { return Ok(None) };
        let exact_len = self.typed.then(|| main.attachment.view.geo().payload_size);
        match next(membership, policy, full, exact_len, &mut self.left) {
            Ok(claim) => Ok(claim),
            Err(fault @ RecvError::DeadLetter(_)) => Err(fault),
            // The group's own queue must go on all the same.
            Err(fault) => {
                self.membership = None;
                self.failed_at = Some(Instant::now());
                // A queue that was removed holds nothing. There may be a new one of its name, which `are_drained`
                // joins.
                self.known_empty = matches!(fault, RecvError::Removed { .. });
                Ok(None)
            }
        }
    }

    fn join(&mut self, main: &Membership, policy: &DeadLetterPolicy) -> Option<Membership> {
        let name = QueueName::new(&retry_queue(&policy.queue, &policy.group)).ok()?;
        let opened = open_shared(&name, &self.trust);
        self.known_empty = matches!(opened, Err(OpenError::NotFound { .. }));
        let opened = opened.ok()?;
        opened.prepare_to_wake(&name).ok()?;
        let mapped = Arc::new(Mapped::new(name, opened).ok()?.0);
        let fits = !self.typed
            || mapped.view().geo().payload_size >= main.attachment.view.geo().payload_size;
        let joined = fits.then(|| self.join_group(&mapped)).and_then(Result::ok);
        let Some((mut membership, _)) = joined else {
            let group = find(mapped.view(), &self.group.name);
            self.known_empty = group.is_some_and(|group| is_drained(mapped.view(), group));
            return None;
        };
        // The limit is that of the queue that the messages come from.
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

/// `exact_len`: the length that a message must have. Sets `left` if it stops after messages for others and such that have
/// had their last attempt.
fn next(
    membership: &mut Membership,
    policy: &mut DeadLetterPolicy,
    full: bool,
    exact_len: Option<usize>,
    left: &mut bool,
) -> Result<Option<Claim>, RecvError> {
    for _ in 0..LETTERS_PER_LOOK {
        let claim = match membership.take(1)? {
            None if full && membership.adopt()? => membership.take(1)?,
            claim => claim,
        };
        let Some(claim) = claim else {
            return match full && membership.removed()? {
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
        // A message that is not a dead letter was sent by hand.
        if let Some(letter) = DeadLetter::parse(message.kind(), message.content()) {
            // A queue name with dots can stand for more than one queue and group.
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
        } else if exact_len.is_some_and(|exact_len| len != exact_len) {
            Batch::<[u8]>::new(membership, policy, claim).reject_unreadable()?;
        } else {
            return Ok(Some(claim));
        }
    }
    *left = true;
    Ok(None)
}
