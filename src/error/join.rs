use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::holder::Holder;
use super::{AttachError, ControlError, GroupError, GroupNames, SystemError};
use crate::layout::Mode;

/// A consumer could not join a group.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The group's one place is taken.
    #[error("group {group:?} of queue {queue:?} has its one consumer, {}, or use another group", In(*pid, *own))]
    Taken {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The holder, as that process calls itself, if that is known.
        pid: Option<u32>,
        /// Whether the holder is this process, by another handle, as far as /proc tells.
        own: bool,
    },
    /// There is no such group, and it was not to be made ([`Group::existing`](crate::Group::existing)).
    #[error(
        "queue {queue:?} has no group {group:?} ({known}): check its name, or make it first (Queue::add_group)"
    )]
    NoSuchGroup {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The groups that there are.
        known: GroupNames,
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
    /// The segment says something that cannot be.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// There is no such group, and it cannot be made as it was asked for.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AttachError> for JoinError {
    fn from(fault: AttachError) -> JoinError {
        JoinError::Control(fault.into())
    }
}

/// Which process has a group's one consumer, and what to do about it.
struct In(Option<u32>, bool);

impl fmt::Display for In {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            In(_, true) => f.write_str("in this process: drop that consumer first"),
            In(pid, false) => write!(f, "a process {}: end that first", Holder(pid)),
        }
    }
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

/// Messages could not be given back to their group. They stay with this member, and come again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The consumer table is full: this member needs a second record to go on with.
    #[error(
        "queue {queue:?} has records for {max} consumers and {live} live ones, and giving messages back takes one more: \
         stop one, or create the queue with more"
    )]
    TooManyConsumers {
        /// The queue.
        queue: Arc<str>,
        /// Size of the table.
        max: usize,
        /// Consumers that live.
        live: usize,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}
