//! Arguments of the demo, and of its processes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::args::time;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// File whose lines to send, over and over: at most 65536 lines, and 80 bytes of each [default: made-up telemetry]
    pub(crate) file: Option<PathBuf>,
    /// Messages of the full-speed phase [default: 20000000, but no more than 8 s of them]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Messages per second of the paced phase, 1 to 1000000
    #[arg(
        long,
        value_name = "PER_SECOND",
        default_value_t = 5000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub(crate) rate: u64,
    /// Seconds of the paced phase, 0 to 86400
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = time)]
    pub(crate) seconds: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Producer,
    Consumer,
    Observer,
}

#[derive(Debug, Args)]
pub(crate) struct DemoRoleArgs {
    #[arg(value_enum)]
    pub(crate) role: Role,
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) group: Option<String>,
    #[command(flatten)]
    pub(crate) load: DemoArgs,
}
