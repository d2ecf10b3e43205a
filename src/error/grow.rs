use std::sync::Arc;

use thiserror::Error;

/// A batch could not take more messages; it is unchanged. See [`Batch::grow`](crate::Batch::grow).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GrowError {
    /// In a shared group other members may have the messages that follow.
    #[error(
        "a batch of group {group:?} of queue {queue:?} cannot grow, because other members may have what follows: ack it, \
         and receive the next one"
    )]
    Shared {
        /// The queue.
        queue: Arc<str>,
        /// The group.
        group: String,
    },
    /// The handle was made before a fork.
    #[error(
        "this handle of queue {queue:?} belongs to the process that forked this one: open the queue again here"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
    },
    /// The segment contradicts itself.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
}
