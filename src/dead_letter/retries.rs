//! Dead letters that were sent again to a group: they come through a queue of their own, which the
//! group's members read beside their queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::letter::{DeadLetter, retry_queue};
use super::policy::Burial;
use crate::attach::Mapped;
use crate::batch::Batch;
use crate::error::{JoinError, OpenError, RecvError};
use crate::group::{Group, Retention, Start, find};
use crate::membership::{Guise, Intake, Joined};
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
    intake: Option<Intake>,
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
            intake: None,
            failed: None,
            nothing: false,
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.intake.as_ref().is_some_and(Intake::holds)
    }

    pub(crate) fn others_hold(&self) -> bool {
        self.intake.as_ref().is_some_and(Intake::others_hold)
    }

    pub(crate) fn intake(&mut self) -> Option<&mut Intake> {
        self.intake.as_mut()
    }

    /// Whether the group has acked all retries that there are now, as far as they can be seen. What was seen when they
    /// were looked at last says nothing: their queue may be a new one.
    pub(crate) fn are_drained(&mut self, main: &Intake, burial: &Burial) -> bool {
        if let Some(intake) = &self.intake {
            if !is_drained(&intake.at.view, intake.reader.group()) {
                return false;
            }
            // A name that cannot be looked at is looked for below.
            if intake.removed().is_ok_and(|removed| !removed) {
                return true;
            }
            (self.intake, self.nothing) = (None, true);
        }
        if self.nothing {
            self.intake = self.join(main, burial);
        }
        self.intake.is_none() && self.nothing
    }

    /// Takes a message, alone, if there is one. `thorough`: also asks the system what dead members left
    /// behind. A queue that cannot be read is left alone for a while.
    #[cold]
    pub(crate) fn take(
        &mut self,
        main: &Intake,
        burial: &mut Burial,
        thorough: bool,
    ) -> Result<Option<Claim>, RecvError> {
        if self.intake.is_none() && self.failed.is_none_or(|at| at.elapsed() >= AGAIN_AFTER) {
            self.intake = self.join(main, burial);
            self.failed = self.intake.is_none().then(Instant::now);
        }
        let Some(intake) = &mut self.intake else { return Ok(None) };
        let exactly = self.typed.then(|| main.at.view.geo().payload_size);
        match next(intake, burial, thorough, exactly) {
            Ok(claim) => Ok(claim),
            Err(fault @ RecvError::DeadLetter(_)) => Err(fault),
            // The group's own queue is not to stand still for it.
            Err(_) => {
                self.intake = None;
                self.failed = Some(Instant::now());
                Ok(None)
            }
        }
    }

    fn join(&mut self, main: &Intake, burial: &Burial) -> Option<Intake> {
        let name = QueueName::new(&retry_queue(&burial.queue, &burial.group)).ok()?;
        let opened = open_shared(&name, &self.trust);
        self.nothing = matches!(opened, Err(OpenError::NotFound { .. }));
        let opened = opened.ok()?;
        opened.prepare_to_wake(&name).ok()?;
        let mapped = Arc::new(Mapped::new(name, opened).ok()?.0);
        let fits =
            !self.typed || mapped.view().geo().payload_size >= main.at.view.geo().payload_size;
        let joined = fits.then(|| self.join_group(&mapped)).and_then(Result::ok);
        let Some((mut intake, _)) = joined else {
            let group = find(mapped.view(), &self.group.name);
            self.nothing = group.is_some_and(|group| is_drained(mapped.view(), group));
            return None;
        };
        // The rule is that of the queue the messages come from.
        intake.reader.set_limit(u8::try_from(burial.limit).unwrap_or(NO_LIMIT));
        intake.alone = true;
        intake.control_timeout = self.control_timeout;
        Some(intake)
    }

    fn join_group(&self, mapped: &Arc<Mapped>) -> Result<(Intake, Joined), JoinError> {
        match Intake::join(mapped, &self.group, JOIN_WITHIN) {
            // The group had another mode when its letters were sent again.
            Err(JoinError::WrongMode { found, .. }) => {
                Intake::join(mapped, &self.group.clone().mode(found), JOIN_WITHIN)
            }
            joined => joined,
        }
    }
}

/// `exactly`: bytes that a message must have.
fn next(
    intake: &mut Intake,
    burial: &mut Burial,
    thorough: bool,
    exactly: Option<usize>,
) -> Result<Option<Claim>, RecvError> {
    for _ in 0..SKIP_MAX {
        let claim = match intake.take(1)? {
            None if thorough && intake.adopt()? => intake.take(1)?,
            claim => claim,
        };
        let Some(claim) = claim else {
            return match thorough && intake.removed()? {
                true => Err(RecvError::Removed { queue: intake.at.queue().clone() }),
                false => Ok(None),
            };
        };
        let attempts = claim.attempts;
        intake.guise = Guise::default();
        let batch = Batch::<[u8]>::new(intake, burial, claim);
        let Some(message) = batch.first() else { continue };
        let mut guise = Guise::default();
        let mut len = message.len();
        // What is no letter, somebody has sent by hand.
        if let Some(letter) = DeadLetter::parse(message.kind(), message.content()) {
            // A name with dots in it can stand for more than one queue and group.
            if !batch.is_for(&letter) {
                batch.ack()?;
                continue;
            }
            let shift = letter.sequence.wrapping_sub(message.sequence());
            guise = Guise { shift, trailer: DeadLetter::ENVELOPE };
            len = letter.payload.len();
        }
        let claim = batch.into_claim();
        intake.guise = guise;
        if attempts > burial.limit {
            Batch::<[u8]>::new(intake, burial, claim).bury_worn_out()?;
        } else if exactly.is_some_and(|exactly| len != exactly) {
            Batch::<[u8]>::new(intake, burial, claim).bury_unread()?;
        } else {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}
