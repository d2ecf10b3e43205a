use std::sync::Arc;

use thiserror::Error;

use super::letter::Whole;
use super::{AckError, RecvError, SendError, StreamError, StreamSendError};

/// A stage could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NewStageError {
    /// The group is shared.
    #[error(
        "group {group:?} of queue {queue:?} is shared: a stage needs an exclusive group, because it knows by the order of the messages which ones are done; add an exclusive group for it"
    )]
    Shared {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The group has a limit of attempts.
    #[error(
        "group {group:?} of queue {queue:?} gives a message up after {max_attempts} attempts, also where a part of its outputs is sent: a stage needs a group without a limit; add one for it"
    )]
    MaxAttempts {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// Its limit.
        max_attempts: u8,
    },
    /// It would send to the queue that it reads from.
    #[error("a stage cannot send to the queue that it reads from, {queue:?}: name another queue")]
    SameQueue {
        /// The queue.
        queue: Arc<str>,
    },
    /// The queue that it sends to cannot take its stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// A stage could not process a message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// Nothing was received.
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// The map returned an error. The message is not acked.
    #[error("message {sequence} of queue {queue:?}, for group {group:?}, cannot be mapped: {}", Whole(&**reason))]
    Map {
        /// The queue that it reads from.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The message.
        sequence: u64,
        /// What the map returned.
        reason: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part of the message's outputs was sent before, and the map gives no more than those now.
    #[error(
        "message {sequence} of queue {queue:?}, for group {group:?}, has {count} outputs now, but {there} of more are sent already: a map of several outputs must give the same again"
    )]
    FewerOutputs {
        /// The queue that it reads from.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The message.
        sequence: u64,
        /// Outputs that the map gives now.
        count: usize,
        /// Outputs that are there.
        there: usize,
    },
    /// The message has more outputs than a stage allows.
    #[error(
        "message {sequence} of queue {queue:?}, for group {group:?}, has {count} outputs, and may have 256: put several into one message"
    )]
    TooManyOutputs {
        /// The queue that it reads from.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The message.
        sequence: u64,
        /// Its outputs.
        count: usize,
    },
    /// A dead letter was sent again to the group when it was shared.
    #[error(
        "a dead letter was sent again to group {group:?} of queue {queue:?} when that was shared, and a stage cannot keep its order: read it with another consumer (slipring recv), or add another group for the stage"
    )]
    Requeued {
        /// The queue that it reads from.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The queue that it sends to no longer has the stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The outputs could not be sent.
    #[error(transparent)]
    Send(#[from] StreamSendError),
    /// The messages could not be acked. Their outputs are sent, and not sent again.
    #[error(transparent)]
    Ack(#[from] AckError),
}

impl From<SendError> for StageError {
    fn from(fault: SendError) -> StageError {
        StageError::Send(fault.into())
    }
}
