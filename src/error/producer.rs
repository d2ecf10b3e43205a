use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::holder::Holder;
use super::{AttachError, ControlError, SystemError};

/// The producer's role could not be taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The queue has a producer.
    #[error(
        "queue {queue:?} has its producer, {}, and a queue has one producer at a time: {}",
        In(*pid, *own),
        if *own {
            "drop that one first, or, in another thread, wait for it with Queue::producer_timeout"
        } else {
            "wait until it is done, for example with Queue::producer_timeout"
        }
    )]
    Taken {
        /// The queue.
        queue: Arc<str>,
        /// The pid that the holder recorded, in its own pid namespace, if that is known.
        pid: Option<u32>,
        /// Whether the holder is this process, by another handle, as far as /proc tells.
        own: bool,
    },
    /// The program's interrupt function ended the wait for the role; see
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    #[error(
        "the wait for the producer's role of queue {queue:?} was interrupted: the role is still taken; call again to go on"
    )]
    Interrupted {
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
    /// The control lease could not be taken.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<AttachError> for ProducerError {
    fn from(fault: AttachError) -> ProducerError {
        ProducerError::Control(fault.into())
    }
}

/// The process that has the role.
struct In(Option<u32>, bool);

impl fmt::Display for In {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            In(_, true) => f.write_str("in this process"),
            In(pid, false) => write!(f, "a process {}", Holder(pid)),
        }
    }
}
