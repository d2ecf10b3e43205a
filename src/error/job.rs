use std::sync::Arc;

use thiserror::Error;

use super::{AttachError, ControlError, DeadLetterError, GroupError};

/// A message could not be acked, extended, given back or rejected. Nothing has changed then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// It is not this job's any more: its time was over and another member took it, or an operator took it back.
    #[error(
        "message {sequence} of group {group:?} of queue {queue:?} was taken back, because its time was over or by an operator: \
         what was done for it may be done again"
    )]
    Evicted {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The message.
        sequence: u64,
    },
    /// The job was received before a fork.
    #[error(
        "message {sequence} of queue {queue:?} belongs to the process that forked this one: ack it there"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
        /// The message.
        sequence: u64,
    },
    /// The letter could not be sent. The message is given back, and comes again.
    #[error(transparent)]
    DeadLetter(#[from] Box<DeadLetterError>),
}

/// Messages in flight could not be taken back, or their delays not be ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvictError {
    /// There is no such group.
    #[error("queue {queue:?} has no group {group:?}: check its name")]
    NotFound {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// Its messages stay in the ring while members work on them.
    #[error(
        "group {group:?} of queue {queue:?} has no places for messages in flight, so none can be taken back, and none \
         waits for another try: end the process that holds them"
    )]
    NotInFlight {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The segment contradicts itself.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<AttachError> for EvictError {
    fn from(fault: AttachError) -> EvictError {
        EvictError::Control(fault.into())
    }
}

/// The ack timeout of a group could not be changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AckTimeoutError {
    /// There is no such group.
    #[error("queue {queue:?} has no group {group:?}: check its name")]
    NotFound {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// Its messages stay in the ring while members work on them.
    #[error(
        "group {group:?} of queue {queue:?} has no places for messages in flight, so it cannot have an ack timeout: use a group \
         that was made with some (Group::in_flight)"
    )]
    NotInFlight {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// It is too short ([`GroupError::AckTimeout`]).
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<AttachError> for AckTimeoutError {
    fn from(fault: AttachError) -> AckTimeoutError {
        AckTimeoutError::Control(fault.into())
    }
}
