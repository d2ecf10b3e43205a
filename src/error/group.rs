use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::holder::Users;
use super::{AttachError, ControlError, NameError, Pids, SystemError};

/// A group cannot be made as asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Its name, or that of the queue for its dead letters, is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The limit of attempts is out of range.
    #[error(
        "group {group:?} of queue {queue:?} cannot give a message up after {asked} attempts: choose 1 to 254, or \
         Group::unlimited_attempts"
    )]
    MaxAttempts {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// What was asked for.
        asked: u8,
    },
    /// Places for messages in flight were asked for where there can be none, or an ack timeout without them.
    #[error(
        "group {group:?} of queue {queue:?} cannot have {asked} messages in flight: make it shared and choose 1 to 65536 \
         (Group::shared, Group::in_flight); only such a group has an ack timeout"
    )]
    InFlight {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// What was asked for; 0 for an ack timeout alone.
        asked: u32,
    },
    /// The ack timeout is too short.
    #[error(
        "group {group:?} of queue {queue:?} cannot have an ack timeout of {asked:?}: choose 1 s or more"
    )]
    AckTimeout {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// What was asked for.
        asked: Duration,
    },
    /// The queue has no such number of free places for messages in flight.
    #[error(
        "queue {queue:?} has no room for {wanted} messages in flight of group {group:?}: {free} places are free, {longest} of \
         them in a row; their number is set when the queue is created (Builder::spare_cells)"
    )]
    NoCells {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// What was asked for.
        wanted: u32,
        /// Places that no group has.
        free: u32,
        /// The longest run of these; a group needs its places in a row.
        longest: u32,
    },
    /// A group cannot start at a message that is not published yet.
    #[error(
        "group {group:?} cannot start at sequence {asked} of queue {queue:?}, which is not published yet: choose one up to \
         {tail}, the next to be published"
    )]
    AheadOfTail {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// What was asked for.
        asked: u64,
        /// The next sequence to be published.
        tail: u64,
    },
    /// Its dead letters would go to the queue that they come from.
    #[error(
        "dead letters of group {group:?} of queue {queue:?} cannot go to {target:?}, which they come from: name another \
         queue"
    )]
    DeadLetterLoop {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The dead-letter queue that it named.
        target: String,
    },
    /// The name of the queue for its dead letters, `<queue>.dead`, would be too long.
    #[error(
        "dead letters of group {group:?} of queue {queue:?} would go to queue {target:?}, whose name has {} bytes, and {max} are \
         allowed: name another queue for them (Group::dead_letters_to), or give this one a shorter name",
        target.len()
    )]
    DeadLetterName {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// The name that is too long.
        target: String,
        /// Most bytes of a name.
        max: usize,
    },
    /// The group table is full.
    #[error(
        "queue {queue:?} has no room for group {group:?}: all its {max} group records are in use; remove a group, or create \
         the queue with more records"
    )]
    TooMany {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// Size of the table.
        max: usize,
    },
}

/// Names of the groups that a queue has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GroupNames(pub(crate) Vec<String>);

impl GroupNames {
    /// The names, in the order of the groups' records.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for GroupNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "it has no groups" } else { "it has " })?;
        for (i, group) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{group:?}")?;
        }
        Ok(())
    }
}

/// A group could not be added.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddGroupError {
    /// A group of that name exists.
    #[error("group {group:?} of queue {queue:?} exists already: join it, or choose another name")]
    Exists {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// It cannot be made as asked for.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl From<AttachError> for AddGroupError {
    fn from(fault: AttachError) -> AddGroupError {
        AddGroupError::Control(fault.into())
    }
}

/// A group could not be removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveGroupError {
    /// There is no such group.
    #[error(
        "queue {queue:?} has no group {group:?}: check its name; Queue::snapshot lists the groups"
    )]
    NotFound {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The group still has members.
    #[error("group {group:?} of queue {queue:?} has live members in {}", Users(pids))]
    Busy {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// Its live members.
        pids: Pids,
    },
    /// The group has not acked all messages, and a removal would lose the others.
    #[error(
        "group {group:?} of queue {queue:?} has not acked {messages} messages: receive them, or remove the group by \
         force"
    )]
    Unacked {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
        /// How many.
        messages: u64,
    },
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AttachError> for RemoveGroupError {
    fn from(fault: AttachError) -> RemoveGroupError {
        RemoveGroupError::Control(fault.into())
    }
}
