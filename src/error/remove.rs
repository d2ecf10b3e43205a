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
    #[error("there is no queue {name:?}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Processes use it.
    #[error("queue {name:?} is in use by processes {pids}: stop them, or remove it by force")]
    Busy {
        /// The name.
        name: String,
        /// Holders of roles.
        pids: Pids,
    },
    /// It could not be opened, so who uses it cannot be told.
    #[error("who uses {name:?} cannot be told ({source}): remove it by force if it is yours")]
    Unreadable {
        /// The name.
        name: String,
        /// Why it could not be opened.
        source: OpenError,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}
