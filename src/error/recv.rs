use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::{DeadLetterError, SystemError};

/// Nothing could be received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// There is no message now, and the call was one that does not wait. Try again later.
    #[error("there is no message now")]
    Empty,
    /// Nothing came within the time given.
    #[error("no message came from queue {queue:?} within the time given")]
    Timeout {
        /// The queue.
        queue: Arc<str>,
    },
    /// The program's interrupt function ended the wait; see [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    #[error(
        "the wait for a message of queue {queue:?} was interrupted: nothing was received; receive again to go on"
    )]
    Interrupted {
        /// The queue.
        queue: Arc<str>,
    },
    /// The producer has closed the queue, and there are no messages left to receive. A new producer opens it again;
    /// receive again then, with the same handle.
    #[error(
        "queue {queue:?} is closed, and has no messages left to receive: end, or wait for a new producer"
    )]
    Closed {
        /// The queue.
        queue: Arc<str>,
    },
    /// The last producer is gone, without closing the queue. Only for consumers with
    /// [`Consumer::set_notice_producer_gone`](crate::Consumer::set_notice_producer_gone).
    #[error("the producer of queue {queue:?} is gone, without closing it: start a new producer")]
    ProducerGone {
        /// The queue.
        queue: Arc<str>,
    },
    /// The queue has lost its name.
    #[error(
        "queue {queue:?} has been removed: no producer can join it any more; open it again by its name"
    )]
    Removed {
        /// The queue.
        queue: Arc<str>,
    },
    /// The handle was made before a fork.
    #[error(
        "this handle of queue {queue:?} belongs to the process that forked this one: open the queue again here"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
    },
    /// The segment contradicts itself.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// The group has got an ack timeout since this worker joined it, and how this process's clock differs from the host's is
    /// not known. Only for workers.
    #[error(
        "group {group:?} of queue {queue:?} has an ack timeout now, and the clock of this process cannot be compared with that \
         of others: mount /proc, start the process in the time namespace of its children, and join again"
    )]
    Clock {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// A message that has had its last attempt could not be made a dead letter; it stays, and is redelivered.
    #[error(transparent)]
    DeadLetter(#[from] Box<DeadLetterError>),
    /// A message was received, but could not be acked; only from calls that ack by themselves. Today none of them fails
    /// so: see [`AckError`].
    #[error(transparent)]
    Ack(AckError),
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AckError> for RecvError {
    fn from(fault: AckError) -> RecvError {
        match fault.reason() {
            AckReason::Forked { queue } => RecvError::Forked { queue: queue.clone() },
            AckReason::NotInBatch { .. } => RecvError::Ack(fault),
        }
    }
}

/// Nothing could be received from any of several queues.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No queue has a message now, and the call was one that does not wait. Try again later.
    #[error("there is no message in any queue now")]
    Empty,
    /// Nothing came within the time given.
    #[error("no message came to any queue within the time given")]
    Timeout,
    /// The program's interrupt function ended the wait; see [`Select::set_interrupt`](crate::Select::set_interrupt).
    #[error(
        "the wait for a message of any queue was interrupted: nothing was received; receive again to go on"
    )]
    Interrupted,
    /// All queues are closed, and have no messages left to receive. New producers open them again.
    #[error(
        "all queues are closed, and have no messages left to receive: end, or wait for new producers"
    )]
    Closed,
    /// A consumer failed.
    #[error("consumer {index}: {reason}")]
    Recv {
        /// Its index.
        index: usize,
        /// Why.
        reason: RecvError,
    },
}

/// Messages could not be acked, or rejected. Nothing has changed then.
///
/// Every ack returns this, in every kind of group, so that a program need not ask which kind it works for. Today two
/// acks can fail: one by sequence ([`AckReason::NotInBatch`]), and that of an iterator or a stream in a forked process
/// ([`AckReason::Forked`]).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
// Boxed: the result of an ack is a pointer, null if the ack succeeded.
pub struct AckError(Box<AckReason>);

impl AckError {
    #[cold]
    pub(crate) fn new(reason: AckReason) -> AckError {
        AckError(Box::new(reason))
    }

    /// Name of the queue.
    pub fn queue(&self) -> &str {
        match &*self.0 {
            AckReason::NotInBatch { queue, .. } | AckReason::Forked { queue } => queue,
        }
    }

    /// Why they could not be acked.
    pub fn reason(&self) -> &AckReason {
        &self.0
    }
}

/// Why messages could not be acked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AckReason {
    /// The sequence is not that of an unacked message of the batch.
    #[error(
        "sequence {sequence} is not an unacked message of this batch of queue {queue:?} ({}): ack each message of the \
         batch once",
        Left(batch)
    )]
    NotInBatch {
        /// The queue.
        queue: Arc<str>,
        /// The sequence that was asked for.
        sequence: u64,
        /// The batch's messages, from the first that is not acked on; empty if all are acked. Some of them may have
        /// been acked out of order.
        batch: Range<u64>,
    },
    /// The handle was made before a fork.
    #[error(
        "this handle of queue {queue:?} and its message belong to the process that forked this one: ack the message there"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
    },
}

/// What is left of a batch.
struct Left<'a>(&'a Range<u64>);

impl fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = *self.0;
        match self.0.is_empty() {
            true => write!(f, "all of it is acked"),
            false => write!(f, "{start} to {}", end.wrapping_sub(1)),
        }
    }
}
