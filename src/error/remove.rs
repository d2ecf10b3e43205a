use std::sync::Arc;

use thiserror::Error;

use super::{ControlError, NameError, OpenError, Pids, SystemError};

/// A queue could not be removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing has that name.
    #[error("there is no queue {queue:?}")]
    NotFound {
        /// The queue.
        queue: Arc<str>,
    },
    /// Processes use it.
    #[error("queue {queue:?} is in use by processes {pids}: stop them, or remove it by force")]
    Busy {
        /// The queue.
        queue: Arc<str>,
        /// Holders of roles.
        pids: Pids,
    },
    /// It could not be opened, so who uses it cannot be told.
    #[error("who uses {queue:?} cannot be told ({source}): remove it by force if it is yours")]
    Unreadable {
        /// The queue.
        queue: Arc<str>,
        /// Why it could not be opened.
        r#source: OpenError,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}
