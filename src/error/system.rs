use std::fmt;
use std::io;
use std::sync::Arc;

use thiserror::Error;

/// The operating system refused something.
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

    /// For what concerns no single queue.
    #[cold]
    pub(crate) fn of_no_queue(doing: &'static str, reason: impl Into<io::Error>) -> SystemError {
        SystemError { queue: None, doing, reason: reason.into() }
    }

    /// The queue it happened with, if it was one.
    pub fn queue(&self) -> Option<&str> {
        self.queue.as_deref()
    }

    /// What the system said.
    pub fn io_error(&self) -> &io::Error {
        &self.reason
    }
}

/// The beginning of a line about a queue.
struct About<'a>(Option<&'a str>);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |queue| write!(f, "queue {queue:?}: "))
    }
}
