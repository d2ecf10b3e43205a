//! Figures of queues.

use std::time::Duration;

use clap::Args;

use super::interval;

/// What the figures of `stats` and `top` mean.
pub(crate) const MEANING: &str = "PUB/s: messages that come, P. ACK/s: messages that are acked or given up, X. READY \
and UNACKED: messages that wait, Q. USED: slots in use, of the capacity; the producer waits at 100%. BLOCKED: share of \
the time in which the producer waited for room. CONS: consumers that run, of all: \
in 1/2, one is stopped or dead. UTIL: P/C, C being what the consumers \
could ack; ≥1 if they never catch up. DELAY: mean time from sending to the ack, by Little's law, if the group is steady. \
OLDEST: age of the oldest unacked message, at least. REDELIV/s: messages delivered again. DEAD: messages given up. \
\"-\" stands for what is not known; \"≥\" for this or more.";

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Queues, or groups as QUEUE/GROUP, each with its dead letters [default: all queues]
    #[arg(value_name = "QUEUE[/GROUP]")]
    pub(crate) names: Vec<String>,
    /// Time between two looks, 0.01 s to 24h; with it, repeats until it is stopped [default: once, over 1 s]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub(crate) interval: Option<Duration>,
    /// End after N intervals [default: 1, or without end with --interval]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Print a JSON object for each interval
    #[arg(long)]
    pub(crate) json: bool,
}
