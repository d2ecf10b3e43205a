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
    /// The exclusive group has its one consumer.
    #[error("group {group:?} of queue {queue:?} has its one consumer, {}, or use another group", In(*pid, *own))]
    Taken {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The pid that the holder recorded, in its own pid namespace, if that is known.
        pid: Option<u32>,
        /// Whether the holder is this process, by another handle, as far as /proc tells.
        own: bool,
    },
    /// There is no such group, and [`Group::existing`](crate::Group::existing) forbids making it.
    #[error(
        "queue {queue:?} has no group {group:?} ({known}): check its name, or make it first (Queue::add_group)"
    )]
    NoSuchGroup {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The groups of the queue.
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
    /// The group has its messages in flight beside the ring, or has not, and was asked for the other kind of handle.
    #[error(
        "group {group:?} of queue {queue:?} {}", if *has { HAS_CELLS } else { HAS_NONE }
    )]
    InFlight {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// Whether the group has places for messages in flight.
        has: bool,
    },
    /// The group has an ack timeout, and the clock of this process cannot be compared with those of the others.
    #[error(
        "group {group:?} of queue {queue:?} has an ack timeout, and this process cannot tell how its clock differs from the \
         host's: mount /proc, and start it in the time namespace of its children (/proc/self/ns/time_for_children)"
    )]
    Clock {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The consumer table is full. A consumer that died with messages keeps its record until a member of its group has
    /// acked them.
    #[error(
        "queue {queue:?} has {max} consumer records, all in use ({live} by live consumers): stop a consumer, or create the \
         queue with more records"
    )]
    TooManyConsumers {
        /// The queue.
        queue: Arc<str>,
        /// Size of the table.
        max: usize,
        /// Live consumers.
        live: usize,
    },
    /// The segment contradicts itself.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// There is no such group, and it cannot be made as asked for.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AttachError> for JoinError {
    fn from(fault: AttachError) -> JoinError {
        JoinError::Control(fault.into())
    }
}

const HAS_CELLS: &str =
    "has its messages in flight beside the ring: receive from it with Queue::worker";
const HAS_NONE: &str = "has no places for messages in flight: receive from it with Queue::consumer, or make it with Group::in_flight";

/// The process that has a group's one consumer, and what to do about it.
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

/// Messages could not be given back to their group. They stay with this member, and are redelivered to it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The consumer table is full: this member needs a second record, since the messages keep its first.
    #[error(
        "queue {queue:?} has {max} consumer records, all in use ({live} by live consumers), and giving messages back takes \
         one more: stop a consumer, or create the queue with more records"
    )]
    TooManyConsumers {
        /// The queue.
        queue: Arc<str>,
        /// Size of the table.
        max: usize,
        /// Live consumers.
        live: usize,
    },
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}
