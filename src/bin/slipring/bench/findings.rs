//! What a process of a benchmark reports to the process that started it.

use serde::{Deserialize, Serialize};

use super::meter::{Sample, rates};
use crate::histogram::Buckets;

/// Times are in nanoseconds of the monotonic clock. A process leaves out what it does not measure.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Findings {
    /// Messages sent or received.
    pub(crate) messages: u64,
    /// Sum of the messages' marks. It shows which messages they were.
    pub(crate) marks: u64,
    pub(crate) redelivered: u64,
    /// When the first message was sent or received, and when the last one was.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    /// How often the kernel gave the processor to something else (involuntary context switches).
    pub(crate) preemptions: u64,
    /// The processors on which the process was seen.
    pub(crate) processors: Vec<usize>,
    pub(crate) samples: Vec<Sample>,
    /// Delays of messages since the time they were due, and since they were sent.
    pub(crate) from_due: Buckets,
    pub(crate) from_sent: Buckets,
    /// Times of send calls, with all consumers asleep, and with one awake.
    pub(crate) asleep: Buckets,
    pub(crate) awake: Buckets,
}

impl Findings {
    /// Messages per second.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.messages, self.begin, self.end)
    }

    pub(crate) fn preemptions_per_second(&self) -> f64 {
        per_second(self.preemptions, self.begin, self.end)
    }

    /// Messages per second between samples, with the time of each in seconds since `begin`.
    pub(crate) fn over_time(&self, begin: u64) -> Vec<(f64, f64)> {
        rates(&self.samples, begin)
    }
}

/// How many of `count` in a second, for times in nanoseconds.
pub(crate) fn per_second(count: u64, begin: u64, end: u64) -> f64 {
    count as f64 * 1e9 / end.saturating_sub(begin).max(1) as f64
}
