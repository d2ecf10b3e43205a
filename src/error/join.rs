use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::holder::{Holder, Pids};
use super::{ControlError, NameError, SystemError};
use crate::layout::Mode;

/// A role (producer, consumer) could not be taken, or a group not be made or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Somebody else is the producer.
    #[error(
        "queue {queue:?} has its producer, a process {}, and a queue has one producer at a time: wait until it is done, for \
         example with Queue::producer_timeout",
        Holder(*pid)
    )]
    ProducerTaken {
        /// The queue.
        queue: Arc<str>,
        /// The holder; 0 if not known.
        pid: u32,
    },
    /// The program ended the wait for the producer's role; see
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    #[error(
        "the wait for the producer's role of queue {queue:?} was interrupted: the role is still taken"
    )]
    Interrupted {
        /// The queue.
        queue: Arc<str>,
    },
    /// The group's one place is taken.
    #[error(
        "group {group:?} of queue {queue:?} has its one consumer, a process {}: use another group, or end that consumer first",
        Holder(*pid)
    )]
    ConsumerTaken {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The holder; 0 if not known.
        pid: u32,
    },
    /// The group still has members.
    #[error(
        "group {group:?} of queue {queue:?} has live members, recorded as processes {pids}: end them first"
    )]
    GroupBusy {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// Its live members.
        pids: Pids,
    },
    /// The group has not acked all messages. It would never get them.
    #[error(
        "group {group:?} of queue {queue:?} has not acked {messages} messages: receive them, or remove the group by \
         force"
    )]
    GroupUnacked {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// How many.
        messages: u64,
    },
    /// The group was made by a newer version, in a mode that this one does not know.
    #[error(
        "group {group:?} of queue {queue:?} is of a kind that this program does not know: use a newer slipring"
    )]
    UnknownMode {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The group is of the other mode.
    #[error("group {group:?} of queue {queue:?} is {found}, not {asked}: join it {}, or use another group", As(*found))]
    WrongMode {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// What it is.
        found: Mode,
        /// What was asked for.
        asked: Mode,
    },
    /// Its dead letters would come back to it.
    #[error(
        "dead letters of group {group:?} of queue {queue:?} cannot go to {target:?}, where they would come from: name \
         another queue"
    )]
    DeadLetterLoop {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The queue it named.
        target: String,
    },
    /// The segment says something that cannot be.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// No such group.
    #[error("there is no group {group:?} in queue {queue:?}")]
    NoSuchGroup {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// A group of that name exists.
    #[error("group {group:?} of queue {queue:?} exists already")]
    GroupExists {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The group table is full.
    #[error(
        "all {max} groups of queue {queue:?} are in use: remove one, or create the queue with more"
    )]
    TooManyGroups {
        /// The queue.
        queue: Arc<str>,
        /// Size of the table.
        max: usize,
    },
    /// The consumer table is full. Consumers that died with messages nobody of their group has taken over
    /// yet count for the table, but not as live.
    #[error(
        "queue {queue:?} has records for {max} consumers and {live} live ones: stop one, or create the queue \
         with more"
    )]
    TooManyConsumers {
        /// The queue.
        queue: Arc<str>,
        /// Size of the table.
        max: usize,
        /// Consumers that live.
        live: usize,
    },
    /// A group cannot start at a message that is not published yet.
    #[error(
        "sequence {asked} of queue {queue:?} is not published yet (the next will be {tail}): choose one at or below it"
    )]
    AheadOfTail {
        /// The queue.
        queue: Arc<str>,
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

/// How to join a group of a mode.
struct As(Mode);

impl fmt::Display for As {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Mode::Shared => "as a shared one (Group::shared)",
            Mode::Exclusive => "as an exclusive one (without Group::shared)",
        })
    }
}
