use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{
    AckError, AddGroupError, AttachError, ControlError, JoinError, OpenError, OpenOrCreateError,
    ProducerError, RecvError, SendError,
};

/// A dead letter could not be put where it belongs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeadLetterSendError {
    /// The dead-letter queue could neither be opened nor made. If its name is too long, the queue needs one of its
    /// own (`Group::dead_letters_to`).
    #[error(transparent)]
    Open(#[from] OpenOrCreateError),
    /// Its group `dead` could not be made.
    #[error(transparent)]
    Group(#[from] AddGroupError),
    /// Its producer's role could not be had.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// It could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// There is a queue of that name, but not for letters.
    #[error(
        "queue {queue:?} carries {carries}, not dead letters: name another queue for them; or, if they are \
         to go there, make its group {group:?}"
    )]
    NotForLetters {
        /// The queue.
        queue: Arc<str>,
        /// What it carries.
        carries: String,
        /// The group that keeps letters there.
        group: String,
    },
    /// The program's own handler did not take it.
    #[error("the handler for dead letters refused it: {}", Whole(&**.0))]
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

/// A foreign error and all its sources.
struct Whole<'a>(&'a (dyn std::error::Error + 'static));

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut sources = std::iter::successors(self.0.source(), |fault| (*fault).source());
        sources.try_for_each(|source| write!(f, ": {source}"))
    }
}

/// A message could not be made a dead letter. It is not lost: it stays with its consumer.
#[derive(Debug, Error)]
#[error(
    "message {sequence} of queue {queue:?} cannot be put into the dead-letter queue {target:?}: {reason}. It stays \
     where it is, and comes again"
)]
pub struct DeadLetterError {
    pub(crate) queue: Arc<str>,
    pub(crate) sequence: u64,
    pub(crate) target: String,
    pub(crate) reason: DeadLetterSendError,
}

impl DeadLetterError {
    /// Name of the queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Sequence of the message.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Name of the queue where it was to go.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Why it could not.
    pub fn reason(&self) -> &DeadLetterSendError {
        &self.reason
    }
}

/// A message could not be rejected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RejectError {
    /// It is not in the batch.
    #[error(transparent)]
    Ack(#[from] AckError),
    /// It could not be made a dead letter.
    #[error(transparent)]
    DeadLetter(#[from] Box<DeadLetterError>),
}

/// Not all of the letters that were asked for could be thrown away.
#[derive(Debug, Error)]
#[error("{done} dead letters went, the next one did not: {reason}")]
pub struct PurgeError {
    pub(crate) done: u64,
    pub(crate) reason: PurgeReason,
}

impl PurgeError {
    /// Letters that went, from the oldest on.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Why the next one did not.
    pub fn reason(&self) -> &PurgeReason {
        &self.reason
    }
}

/// Why dead letters could not be thrown away.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PurgeReason {
    /// The group that keeps them could not be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The dead-letter queue could not be read.
    #[error(transparent)]
    Recv(#[from] RecvError),
}

/// Not all of the letters that were asked for could be sent again.
#[derive(Debug, Error)]
#[error("{done} dead letters went, the next one did not: {reason}")]
pub struct RequeueError {
    pub(crate) done: u64,
    pub(crate) reason: RequeueReason,
}

impl RequeueError {
    /// Letters that went, from the oldest on.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Why the next one did not.
    pub fn reason(&self) -> &RequeueReason {
        &self.reason
    }
}

impl From<PurgeError> for RequeueError {
    fn from(PurgeError { done, reason }: PurgeError) -> RequeueError {
        RequeueError { done, reason: reason.into() }
    }
}

/// Why dead letters could not be sent again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequeueReason {
    /// The group that keeps them could not be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The dead-letter queue could not be read.
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// Something else was sent to the dead-letter queue.
    #[error(
        "message {sequence} of the dead-letter queue {queue:?} is no dead letter: purge it to go on"
    )]
    NotALetter {
        /// The dead-letter queue.
        queue: Arc<str>,
        /// Its sequence in the dead-letter queue.
        sequence: u64,
    },
    /// The queue that the message was sent to could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The group that gave the message up is gone.
    #[error(
        "queue {queue:?} has no group {group:?}, to which the letter is to go: add that group, or purge the letter"
    )]
    NoSuchGroup {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The group that gave the message up was made by a newer version, in a mode that this one does not know.
    #[error(
        "group {group:?} of queue {queue:?} is of a kind that this program does not know: use a newer slipring"
    )]
    UnknownMode {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The segment of the queue that the message was sent to says something that cannot be.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// The control lease of the queue that the message was sent to could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The queue for letters that come again is of another shape than the queue they come from.
    #[error(
        "queue {queue:?} takes messages of up to {size} bytes, and there may be some of {need}: remove \
         it when it is empty; it is made again"
    )]
    TooSmall {
        /// The queue.
        queue: Arc<str>,
        /// Its payload size.
        size: usize,
        /// That of the queue the letters come from.
        need: usize,
    },
    /// The letter could not be sent to the queue of those that come again.
    #[error("{reason}")]
    Send {
        /// The queue of those that come again.
        queue: Arc<str>,
        /// Why.
        reason: Box<DeadLetterSendError>,
    },
}

impl From<PurgeReason> for RequeueReason {
    fn from(reason: PurgeReason) -> RequeueReason {
        match reason {
            PurgeReason::Join(fault) => RequeueReason::Join(fault),
            PurgeReason::Recv(fault) => RequeueReason::Recv(fault),
        }
    }
}

impl From<AttachError> for RequeueReason {
    fn from(fault: AttachError) -> RequeueReason {
        RequeueReason::Control(fault.into())
    }
}
