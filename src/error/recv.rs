use std::sync::Arc;

use thiserror::Error;

use super::{DeadLetterError, SystemError};

/// Nothing could be received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing came within the time given.
    #[error("no message came from queue {queue:?} within the time given")]
    Timeout {
        /// The queue.
        queue: Arc<str>,
    },
    /// The program ended the wait; see [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    #[error(
        "the wait for a message of queue {queue:?} was interrupted: nothing was received; receive again to go on"
    )]
    Interrupted {
        /// The queue.
        queue: Arc<str>,
    },
    /// The producer has closed the queue, and all its messages are worked off. A new producer opens it
    /// again; receive again then, with the same handle.
    #[error("queue {queue:?} is closed, and all its messages are worked off")]
    Closed {
        /// The queue.
        queue: Arc<str>,
    },
    /// There is no producer any more, and it has not closed the queue. Only for who asked to be told; see
    /// [`Consumer::notice_producer_gone`](crate::Consumer::notice_producer_gone).
    #[error(
        "the producer of queue {queue:?} is gone, and has not closed the queue: start one that goes on"
    )]
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
    /// The segment says something that cannot be.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// A message that is to become a dead letter could not; it stays with this consumer and comes again.
    #[error(transparent)]
    DeadLetter(#[from] Box<DeadLetterError>),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Nothing could be received from any of several queues.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SelectError {
    /// Nothing came within the time given.
    #[error("no message came to any queue within the time given")]
    Timeout,
    /// The program ended the wait; see [`Select::set_interrupt`](crate::Select::set_interrupt).
    #[error(
        "the wait for a message of any queue was interrupted: nothing was received; receive again to go on"
    )]
    Interrupted,
    /// All queues are closed, and the messages of each are worked off. New producers open them again.
    #[error("all queues are closed, and their messages are worked off")]
    Closed,
    /// One of the consumers cannot go on.
    #[error("consumer {index}: {source}")]
    Recv {
        /// Its index.
        index: usize,
        /// Why.
        r#source: RecvError,
    },
}

/// An ack, or a rejection, that does not lie inside its batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "sequence {asked} is not an unacked message of this batch of queue {queue:?} ({start} to {last})"
)]
pub struct AckError {
    pub(crate) queue: Arc<str>,
    pub(crate) asked: u64,
    pub(crate) start: u64,
    pub(crate) last: u64,
}
