use thiserror::Error;

use super::{DeadLetterError, SystemError};

/// Nothing could be received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing came within the time given.
    #[error("no message came within the time given")]
    Timeout,
    /// The producer has closed the queue, and all its messages are worked off. A new producer opens it
    /// again; receive again then, with the same handle.
    #[error("the queue is closed, and all its messages are worked off")]
    Closed,
    /// There is no producer any more, and it has not closed the queue. Only for who asked to be told; see
    /// [`Consumer::notice_producer_gone`](crate::Consumer::notice_producer_gone).
    #[error("the queue's producer is gone, and has not closed the queue: start one that goes on")]
    ProducerGone,
    /// The queue has lost its name.
    #[error(
        "the queue has been removed: no producer can join it any more; open it again by its name"
    )]
    Removed,
    /// The handle was made before a fork.
    #[error("this handle belongs to the process that forked this one: open the queue again here")]
    Forked,
    /// The segment says something that cannot be.
    #[error("the queue is damaged ({what}): remove it and create it again")]
    Corrupt {
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
    /// All queues are closed, and the messages of each are worked off. New producers open them again.
    #[error("all queues are closed, and their messages are worked off")]
    Closed,
    /// One of the consumers cannot go on.
    #[error("consumer {index}: {source}")]
    Recv {
        /// Its index.
        index: usize,
        /// Why.
        source: RecvError,
    },
}

/// An ack, or a rejection, that does not lie inside its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("sequence {asked} is not an unacked message of this batch ({start} to {last})")]
pub struct AckError {
    pub(crate) asked: u64,
    pub(crate) start: u64,
    pub(crate) last: u64,
}
