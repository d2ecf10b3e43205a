use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{
    AckError, AddGroupError, AttachError, ControlError, JoinError, OpenError, OpenOrCreateError,
    ProducerError, RecvError, SendError,
};

/// A dead letter could not be sent, or handled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeadLetterSendError {
    /// The dead-letter queue could neither be opened nor created. If its default name is too long, the group needs to
    /// name another queue (`Group::dead_letters_to`).
    #[error(transparent)]
    Open(#[from] OpenOrCreateError),
    /// The group that keeps the letters there could not be made.
    #[error(transparent)]
    Group(#[from] AddGroupError),
    /// The producer's role of the dead-letter queue could not be taken.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The letter could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The queue of that name is used for other messages.
    #[error(
        "queue {queue:?} carries {carries}, not dead letters: name another queue for them, or add group {group:?} to it \
         to allow them there"
    )]
    NotForLetters {
        /// The queue.
        queue: Arc<str>,
        /// What it carries.
        carries: String,
        /// The group that keeps letters there.
        group: String,
    },
    /// The program's own handler returned an error.
    #[error("the dead-letter handler failed: {}", Whole(&**.0))]
    Refused(Box<dyn std::error::Error + Send + Sync>),
}

/// A foreign error and all its sources.
pub(super) struct Whole<'a>(pub(super) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut sources = std::iter::successors(self.0.source(), |fault| (*fault).source());
        sources.try_for_each(|source| write!(f, ": {source}"))
    }
}

/// A message could not be made a dead letter. It is not lost: it stays with its consumer, and is redelivered.
#[derive(Debug, Error)]
#[error(
    "message {sequence} of queue {queue:?} cannot be sent to the dead-letter queue {target:?}: {reason}. The message \
     stays, and is redelivered"
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

    /// Name of the dead-letter queue.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Why it could not be sent.
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

/// A purge failed before its end.
#[derive(Debug, Error)]
#[error("purged {done} dead letters, then failed: {reason}")]
pub struct PurgeError {
    pub(crate) done: u64,
    pub(crate) reason: PurgeReason,
}

impl PurgeError {
    /// Letters before the failure, from the oldest on.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Why the next one failed.
    pub fn reason(&self) -> &PurgeReason {
        &self.reason
    }
}

/// Why a purge failed.
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

/// A requeue failed before its end.
#[derive(Debug, Error)]
#[error("requeued {done} dead letters, then failed: {reason}")]
pub struct RequeueError {
    pub(crate) done: u64,
    pub(crate) reason: RequeueReason,
}

impl RequeueError {
    /// Letters before the failure, from the oldest on.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Why the next one failed.
    pub fn reason(&self) -> &RequeueReason {
        &self.reason
    }
}

impl From<PurgeError> for RequeueError {
    fn from(PurgeError { done, reason }: PurgeError) -> RequeueError {
        RequeueError { done, reason: reason.into() }
    }
}

/// Why a requeue failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequeueReason {
    /// The group that keeps them could not be joined.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The dead-letter queue could not be read.
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// The dead-letter queue has a message that is not a dead letter.
    #[error(
        "message {sequence} of the dead-letter queue {queue:?} is not a dead letter: purge it to go on"
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
        "queue {queue:?} has no group {group:?}, which the letter is for: add that group and requeue again, or purge the \
         letter"
    )]
    NoSuchGroup {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The group that gave the message up is removed with its last member ([`Retention::Release`](crate::Retention)), and
    /// that has left or died: the letter would be lost with the group.
    #[error(
        "group {group:?} of queue {queue:?} has lost its last consumer, and is removed for that, with the letters that it \
         gets: start a consumer of it and requeue again, or purge the letter"
    )]
    GroupAbandoned {
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
    /// All places for messages in flight of the group are in use, and none became free in time.
    #[error(
        "group {group:?} of queue {queue:?} has no place for the letter: all its {cells} places for messages in flight are in use, by \
         members, by messages that wait for their next delivery, or by some that wait for room in their dead-letter queue"
    )]
    Full {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// Places of the group.
        cells: u32,
    },
    /// The letter comes from a former queue of that name, whose messages had another length.
    #[error(
        "the letter of message {sequence} has {len} bytes, but messages of queue {queue:?} have {size}: purge the letter to go on"
    )]
    WrongLength {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// The message.
        sequence: u64,
        /// Bytes of the letter's payload.
        len: usize,
        /// Bytes of a message of the queue: exactly, in a typed queue; else at most.
        size: usize,
    },
    /// The segment of the queue that the message was sent to contradicts itself.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue that the message was sent to.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// The control lease of the queue that the message was sent to could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The queue of retries has a smaller payload size than the queue that the letters come from.
    #[error(
        "queue {queue:?} takes messages of up to {size} bytes, but letters may have {need}: remove it when it is empty, \
         and requeue again, which creates it anew"
    )]
    TooSmall {
        /// The queue.
        queue: Arc<str>,
        /// Its payload size.
        size: usize,
        /// Payload size of the queue that the letters come from.
        need: usize,
    },
    /// The letter could not be sent to the queue of retries.
    #[error("{reason}")]
    Send {
        /// The queue of retries.
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
