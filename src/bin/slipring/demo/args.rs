//! Arguments of the demo.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args::time;

#[derive(Clone, Debug, Args, Serialize, Deserialize)]
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
