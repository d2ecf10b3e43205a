use std::sync::Arc;

use thiserror::Error;

use super::holder::Holder;
use super::{AttachError, ControlError, SystemError};

/// The producer's role could not be taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// Somebody else is the producer.
    #[error(
        "queue {queue:?} has its producer, a process {}, and a queue has one producer at a time: wait until it is done, for \
         example with Queue::producer_timeout",
        Holder(*pid)
    )]
    Taken {
        /// The queue.
        queue: Arc<str>,
        /// The holder, as that process calls itself, if that is known.
        pid: Option<u32>,
    },
    /// The program ended the wait for the role; see [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    #[error(
        "the wait for the producer's role of queue {queue:?} was interrupted: the role is still taken"
    )]
    Interrupted {
        /// The queue.
        queue: Arc<str>,
    },
    /// The segment says something that cannot be.
    #[error("queue {queue:?} is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// The queue.
        queue: Arc<str>,
        /// What was seen.
        what: &'static str,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AttachError> for ProducerError {
    fn from(fault: AttachError) -> ProducerError {
        ProducerError::Control(fault.into())
    }
}
