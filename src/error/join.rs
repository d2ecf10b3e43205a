use thiserror::Error;

use super::holder::{Holder, Pids};
use super::{ControlError, NameError, SystemError};

/// A role (producer, consumer) could not be taken, or a group not be made or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Somebody else is the producer.
    #[error(
        "{} is the queue's producer, and a queue has one producer at a time: wait until it is done, for example with \
         Queue::producer_timeout",
        Holder(*pid)
    )]
    ProducerTaken {
        /// The holder; 0 if not known.
        pid: u32,
    },
    /// The group's one place is taken.
    #[error("{} is the consumer of group {group:?}: use another group, or stop it first", Holder(*pid))]
    ConsumerTaken {
        /// The group.
        group: String,
        /// The holder; 0 if not known.
        pid: u32,
    },
    /// The group still has members.
    #[error("group {group:?} has live members (processes {pids}): stop them first")]
    GroupBusy {
        /// The group.
        group: String,
        /// Its live members.
        pids: Pids,
    },
    /// The group was made by a newer version, in a mode that this one does not know.
    #[error("group {group:?} is of a kind that this program does not know: use a newer slipring")]
    UnknownMode {
        /// The group.
        group: String,
    },
    /// The group is of the other mode.
    #[error("group {group:?} is {found}, not {asked}: join it as what it is, or use another group")]
    WrongMode {
        /// The group.
        group: String,
        /// What it is.
        found: crate::layout::Mode,
        /// What was asked for.
        asked: crate::layout::Mode,
    },
    /// Its dead letters would come back to it.
    #[error(
        "dead letters of group {group:?} cannot go to {queue:?}, where they would come from: name another queue"
    )]
    DeadLetterLoop {
        /// The group.
        group: String,
        /// The queue it named.
        queue: String,
    },
    /// The segment says something that cannot be.
    #[error("the queue is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// What was seen.
        what: &'static str,
    },
    /// No such group.
    #[error("there is no group {group:?}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// A group of that name exists.
    #[error("group {group:?} exists already")]
    GroupExists {
        /// The group.
        group: String,
    },
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The group table is full.
    #[error("all {max} groups of the queue are in use: remove one, or create the queue with more")]
    TooManyGroups {
        /// Size of the table.
        max: usize,
    },
    /// The consumer table is full. Consumers that died with messages nobody of their group has taken over
    /// yet count for the table, but not as live.
    #[error(
        "the queue has records for {max} consumers and {live} live ones: stop one, or create the queue \
         with more"
    )]
    TooManyConsumers {
        /// Size of the table.
        max: usize,
        /// Consumers that live.
        live: usize,
    },
    /// A group cannot start at a message that is not published yet.
    #[error(
        "sequence {asked} is not published yet (the next will be {tail}): choose one at or below it"
    )]
    AheadOfTail {
        /// What was asked for.
        asked: u64,
        /// The next sequence to be published.
        tail: u64,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}
