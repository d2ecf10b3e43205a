use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::holder::Users;
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
    /// Processes have roles in it.
    #[error("queue {queue:?} is in use by {}, or remove it by force", Users(pids))]
    Busy {
        /// The queue.
        queue: Arc<str>,
        /// Their pids.
        pids: Pids,
    },
    /// It holds messages that groups have not acked, and that a removal would lose.
    #[error(
        "queue {queue:?} holds messages that are not acked ({unacked}): let their groups receive them, or remove it \
         by force"
    )]
    Unacked {
        /// The queue.
        queue: Arc<str>,
        /// How many each group has not acked.
        unacked: Unacked,
    },
    /// It could not be opened, so whether it is in use is not known.
    #[error(
        "cannot tell whether queue {queue:?} is in use ({reason}): remove it by force if it is yours"
    )]
    Unreadable {
        /// The queue.
        queue: Arc<str>,
        /// Why it could not be opened.
        reason: OpenError,
    },
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Groups that have not acked all messages, and how many each has not.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Unacked(pub(crate) Vec<(String, u64)>);

impl Unacked {
    /// Name and messages of each group, in the order of their records. The name is empty if the group is being made.
    pub fn groups(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(group, messages)| (group.as_str(), *messages))
    }
}

impl fmt::Display for Unacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (group, messages)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{messages} of group {group:?}")?;
        }
        Ok(())
    }
}
