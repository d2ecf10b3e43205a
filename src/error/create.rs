use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{GeometryError, GroupError, NameError, OpenError, SystemError};

/// Free bytes of one kind of memory, if they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free(pub(crate) Option<u64>);

impl Free {
    /// Bytes, or `None` where the system does not tell or has no limit.
    pub fn bytes(self) -> Option<u64> {
        self.0
    }
}

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => write!(f, "no limit"),
        }
    }
}

/// A queue could not be created. Nothing of it is left.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The shape is not possible.
    #[error("queue {queue:?}: {reason}")]
    Geometry {
        /// The queue.
        queue: Arc<str>,
        /// What is out of range.
        reason: GeometryError,
    },
    /// A queue of that name exists.
    #[error("queue {queue:?} exists already: open it, or remove it first")]
    Exists {
        /// The queue.
        queue: Arc<str>,
    },
    /// A group cannot be made as it was declared.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A group is declared twice.
    #[error("group {group:?} of queue {queue:?} is declared twice: leave one out")]
    GroupTwice {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The schema's name is too long.
    #[error("schema name {name:?} of queue {queue:?} is longer than {max} bytes: shorten it")]
    SchemaName {
        /// The queue.
        queue: Arc<str>,
        /// The schema's name.
        name: String,
        /// Bytes that fit.
        max: usize,
    },
    /// The permissions would lock out the owner.
    #[error(
        "permissions {mode:03o} of queue {queue:?} do not let the owner read and write (0600): add them"
    )]
    Permissions {
        /// The queue.
        queue: Arc<str>,
        /// The bits asked for.
        mode: u32,
    },
    /// Not enough memory.
    #[error(
        "queue {queue:?} needs {need} bytes, but there are free: in /dev/shm {file_system}, on the machine {machine}, in \
         the control group {control_group}: lower the capacity or the payload size, or free memory"
    )]
    NoRoom {
        /// The queue.
        queue: Arc<str>,
        /// Bytes the queue takes.
        need: u64,
        /// Free in /dev/shm.
        file_system: Free,
        /// Available on the machine.
        machine: Free,
        /// Left to this process's control group.
        control_group: Free,
    },
    /// The process may not make a file of this size.
    #[error(
        "queue {queue:?} needs a file of {need} bytes, but RLIMIT_FSIZE allows this process {limit}: raise that \
         limit (ulimit -f), or lower the capacity or the payload size"
    )]
    FileSize {
        /// The queue.
        queue: Arc<str>,
        /// Bytes the queue takes.
        need: u64,
        /// Bytes that a file of this process may have.
        limit: u64,
    },
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// [`crate::Builder::open_or_create`] failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenOrCreateError {
    /// It exists and could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not exist and could not be created.
    #[error(transparent)]
    Create(#[from] CreateError),
}
