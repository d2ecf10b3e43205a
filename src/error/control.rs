use std::sync::Arc;

use thiserror::Error;

use super::SystemError;
use super::holder::Holder;

/// A handle cannot reach its queue any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The queue has lost its name.
    #[error("queue {queue:?} has been removed: open it again by its name")]
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
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// The control lease, which serialises making, joining and leaving, could not be taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Another process holds it for longer than the timeout.
    #[error(
        "queue {queue:?} has been in the middle of a control operation for over {waited_ms} ms, by a process {}: if \
         that is stopped, continue it (SIGCONT) or kill it, then try again",
        Holder(*pid)
    )]
    Timeout {
        /// The queue.
        queue: Arc<str>,
        /// The pid that its holder recorded, in its own pid namespace, if that is known.
        pid: Option<u32>,
        /// How long this call waited, in milliseconds.
        waited_ms: u64,
    },
    /// The queue has lost its name.
    #[error("queue {queue:?} has been removed: open it again by its name")]
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
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AttachError> for ControlError {
    fn from(fault: AttachError) -> ControlError {
        match fault {
            AttachError::Removed { queue } => ControlError::Removed { queue },
            AttachError::Forked { queue } => ControlError::Forked { queue },
            AttachError::System(fault) => ControlError::System(fault),
        }
    }
}
