//! What a command has done so far.

use std::time::Instant;

use crate::failure::{Failure, note};
use crate::table::{bytes, grouped};

/// Counts messages, and says so at the end.
#[derive(Debug)]
pub(crate) struct Totals {
    did: &'static str,
    since: Instant,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Totals {
    /// `did` is what was done with the messages, e.g. "sent".
    pub(crate) fn new(did: &'static str) -> Totals {
        Totals { did, since: Instant::now(), messages: 0, bytes: 0 }
    }

    /// Says the totals if asked to, or if a signal ended it; hands the outcome on.
    pub(crate) fn close(&self, outcome: Result<(), Failure>, verbose: bool) -> Result<(), Failure> {
        if verbose || matches!(outcome, Err(Failure::Stopped(_))) {
            let seconds = self.since.elapsed().as_secs_f64();
            let rate = self.messages as f64 / seconds.max(1e-9);
            note(&format!(
                "{} {} messages, {}, in {seconds:.1} s ({} messages/s)",
                self.did,
                grouped(self.messages),
                bytes(self.bytes as f64),
                grouped(rate as u64),
            ));
        }
        outcome
    }
}
