use serde::Serialize;

use super::{Error, Payload, Time};

/// A dead letter.
#[derive(Debug, Serialize)]
pub(crate) struct Letter<'a> {
    /// Its sequence in the queue of dead letters.
    pub(crate) letter: u64,
    pub(crate) queue: &'a str,
    pub(crate) group: &'a str,
    pub(crate) sequence: u64,
    pub(crate) attempts: u8,
    pub(crate) reason: String,
    pub(crate) time: Time,
    pub(crate) kind: u32,
    #[serde(flatten)]
    pub(crate) payload: Payload<'a>,
}

/// Something else in a queue of dead letters.
#[derive(Debug, Serialize)]
pub(crate) struct NoLetter<'a> {
    pub(crate) letter: u64,
    pub(crate) error: Error<'a>,
}
