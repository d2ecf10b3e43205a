use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{
    AckError, JoinError, NameError, OpenError, OpenOrCreateError, RecvError, SendError, SystemError,
};

/// A dead letter could not be put where it belongs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuryError {
    /// The dead-letter queue's name is not one. A queue whose name is near the limit needs one of its own
    /// (`Group::dead_letters_to`).
    #[error(transparent)]
    Name(#[from] NameError),
    /// The dead-letter queue could neither be opened nor made.
    #[error(transparent)]
    Open(#[from] OpenOrCreateError),
    /// Its producer's role, or its group `dead`, could not be had.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// It could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
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
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
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
    "message {sequence} of queue {queue:?} cannot be put into the dead-letter queue {target:?}: {source}. It stays \
     where it is, and comes again"
)]
pub struct DeadLetterError {
    /// The queue.
    pub queue: Arc<str>,
    /// The message.
    pub sequence: u64,
    /// Where it was to go.
    pub target: String,
    /// Why it could not.
    pub r#source: BuryError,
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

/// Not all of the letters that were asked for could be thrown away or sent again.
#[derive(Debug, Error)]
#[error("{done} dead letters went, the next one did not: {source}")]
pub struct LettersError {
    /// Letters that went, from the oldest on.
    pub done: u64,
    /// Why the next one did not.
    pub r#source: RequeueError,
}

/// Why dead letters could not be looked at, thrown away or sent again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequeueError {
    /// A queue could not be opened.
    #[error("{source}")]
    Open {
        /// The queue.
        queue: Arc<str>,
        /// Why.
        r#source: OpenError,
    },
    /// A role, or a group, could not be had.
    #[error("{source}")]
    Join {
        /// The queue.
        queue: Arc<str>,
        /// Why.
        r#source: JoinError,
    },
    /// The letter could not be sent to the queue of those that come again.
    #[error("{source}")]
    Send {
        /// The queue.
        queue: Arc<str>,
        /// Why.
        r#source: Box<BuryError>,
    },
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
    /// The dead-letter queue could not be read.
    #[error(transparent)]
    Recv(#[from] RecvError),
}
