//! What is measured.

pub(crate) mod asleep;
pub(crate) mod attach;
pub(crate) mod compete;
pub(crate) mod dequeue;
pub(crate) mod fan_out;
pub(crate) mod hand_off;
pub(crate) mod latency;
pub(crate) mod round_trip;
pub(crate) mod sizes;
pub(crate) mod stream;
pub(crate) mod warm;
