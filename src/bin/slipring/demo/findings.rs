//! What a process of the demo reports to the process that started it.

use serde::{Deserialize, Serialize};

/// A producer reports `messages` only.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Findings {
    /// Messages sent or received, without the one that ends the demo.
    pub(crate) messages: u64,
    /// Messages that the observer did not see before they were overwritten.
    pub(crate) missed: u64,
    pub(crate) out_of_order: u64,
    pub(crate) redelivered: u64,
    pub(crate) damaged: u64,
    /// Messages and bytes per second in the full-speed phase.
    pub(crate) rate: f64,
    pub(crate) bytes_rate: f64,
    /// Of the paced phase, if there were messages in it.
    pub(crate) latency: Option<Latency>,
}

/// Nanoseconds from the time a message was due until it was received.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) max: u64,
}
