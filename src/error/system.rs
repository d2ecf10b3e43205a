use std::io;

use thiserror::Error;

/// The operating system refused something.
#[derive(Debug, Error)]
#[error("cannot {doing}: {source}")]
pub struct SystemError {
    pub(crate) doing: &'static str,
    pub(crate) source: io::Error,
}

impl SystemError {
    pub(crate) fn new(doing: &'static str, source: impl Into<io::Error>) -> SystemError {
        SystemError { doing, source: source.into() }
    }
}
