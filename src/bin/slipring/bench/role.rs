//! What one process of a benchmark does, as its parent tells it.

use serde::{Deserialize, Serialize};

use crate::args::WaitArg;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) task: Task,
    pub(crate) queue: String,
    /// Of a consumer.
    pub(crate) group: String,
    pub(crate) shared: bool,
    /// Messages to publish or to receive at once.
    pub(crate) batch: usize,
    /// Bytes of a message.
    pub(crate) payload: usize,
    pub(crate) wait: WaitArg,
    /// How long to send, in nanoseconds.
    pub(crate) time: u64,
    /// Messages per second of a paced producer.
    pub(crate) rate: f64,
    /// Nanoseconds between two messages that wake a consumer, at least.
    pub(crate) pause: u64,
    /// The processor to run on.
    pub(crate) pin: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Sends as fast as it can.
    Stream,
    /// Sends on a schedule.
    Paced,
    /// Sends when the consumers sleep.
    Wake,
    Consume,
    /// Consumes, and goes to sleep at once when there is no message.
    Sleep,
}
