//! The screen of `top`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::interval;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Queues, or groups as QUEUE/GROUP, each with its dead letters [default: all queues]
    #[arg(value_name = "QUEUE[/GROUP]")]
    pub(crate) names: Vec<String>,
    /// Time between two looks, 0.01 s to 24h
    #[arg(long, value_name = "TIME", default_value = "1", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Order of the rows
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t = Sort::Trouble)]
    pub(crate) sort: Sort,
    /// Show only groups whose QUEUE/GROUP contains this text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    /// Print the screen once, after one interval, and end; works without a terminal
    #[arg(long)]
    pub(crate) once: bool,
    /// Print a JSON object for each interval, as `stats` does; works without a terminal
    #[arg(long)]
    pub(crate) json: bool,
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// What is wrong first, then by name
    Trouble,
    /// By name
    Name,
    /// Slots in use, the fullest first
    Used,
    /// Messages sent a second, most first
    Pub,
    /// Messages acked a second, most first
    Ack,
    /// Messages that wait, most first
    Ready,
    /// Messages that consumers hold, most first
    Unacked,
    /// Age of the oldest message, the oldest first
    Age,
}

impl Sort {
    /// The next column, and the first after the last.
    pub(crate) fn next(self) -> Sort {
        let all = Sort::value_variants();
        let at = all.iter().position(|sort| *sort == self).map_or(0, |at| at + 1);
        all.get(at).copied().unwrap_or(Sort::Trouble)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Sort::Trouble => "trouble",
            Sort::Name => "name",
            Sort::Used => "used",
            Sort::Pub => "pub",
            Sort::Ack => "ack",
            Sort::Ready => "ready",
            Sort::Unacked => "unacked",
            Sort::Age => "age",
        }
    }
}
