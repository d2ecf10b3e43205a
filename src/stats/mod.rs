//! What a queue does, in figures: how much waits, comes and goes, how long it takes, what holds the ring.
//!
//! [`Monitor`] looks at a queue from a read-only mapping, and [`Stats`] is what its looks say. Each file has a part:
//! `samples` what is counted between looks, `ages` since when messages are there, `processes` whether processes run,
//! `rates` the arithmetic, `findings` what is wrong and what mends it, `in_flight` and `letters` the same of messages in flight
//! and of dead letters.

mod ages;
mod figure;
mod findings;
mod in_flight;
mod letters;
mod monitor;
mod processes;
mod rates;
mod samples;

pub use figure::{Figure, Unknown};
pub use findings::{Finding, FindingKind, Remedy, Severity};
pub use monitor::Monitor;
pub use processes::{ProcessInfo, ProcessState};
pub use rates::{ConsumerStats, GroupStats, Stats};
