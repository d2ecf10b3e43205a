use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// The operating system refused a call.
#[derive(Debug, Error)]
#[error("{}cannot {doing}: {reason}", About(queue.as_deref()))]
pub struct SystemError {
    queue: Option<Arc<str>>,
    doing: &'static str,
    reason: io::Error,
}

impl SystemError {
    #[cold]
    pub(crate) fn new(
        queue: &Arc<str>,
        doing: &'static str,
        reason: impl Into<io::Error>,
    ) -> SystemError {
        SystemError { queue: Some(Arc::clone(queue)), doing, reason: reason.into() }
    }

    /// An error about no single queue.
    #[cold]
    pub(crate) fn of_no_queue(doing: &'static str, reason: impl Into<io::Error>) -> SystemError {
        SystemError { queue: None, doing, reason: reason.into() }
    }

    /// Name of the queue, if the call was for one.
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// The error of the call.
    pub fn io_error(&self) -> &io::Error {
        &self.reason
    }
}

/// The start of a text about a queue.
struct About<'a>(Option<&'a str>);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |queue| write!(f, "queue {queue:?}: "))
    }
}
