//! Sending.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{payload, source};
use super::{OpenArgs, WaitArg, rate, time};

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// File to send, a message per line [default: standard input]
    pub(crate) file: Option<PathBuf>,
    /// Send records of --size bytes instead of lines
    #[arg(long)]
    pub(crate) raw: bool,
    /// Size of a record with --raw, e.g. 4KiB [default: the queue's payload size]
    #[arg(long, value_name = "SIZE", requires = "raw", value_parser = payload)]
    pub(crate) size: Option<u64>,
    /// Cut lines that are longer than the payload size instead of refusing them
    #[arg(long, conflicts_with = "raw")]
    pub(crate) truncate: bool,
    /// Mark the messages with this kind, 0 to 4294967295
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) kind: u32,
    /// Messages per second, evenly paced, above 0 [default: no limit]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// End after N messages, with --source counted from the first line on [default: at the end of the input]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Send each line once, however often this command is killed and started again with the same input. NAME is the
    /// input's name in the queue, which needs sources (create --sources); a line's number is its position. Lines up to
    /// the last one in the queue are passed over
    #[arg(long, value_name = "NAME:seq", value_parser = source)]
    pub(crate) source: Option<String>,
    /// Close the queue at the end of the input, if all was sent: receivers end once they have acked everything. The
    /// next sender opens the queue again
    #[arg(long)]
    pub(crate) close: bool,
    /// Most messages to publish at once, 1 to 65536; fewer go out when the input pauses
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: u64,
    /// Longest wait for the sender before this one to end, and, each time the queue is full, for room: then it ends
    /// with exit code 3. Seconds, or e.g. 500ms [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// How to wait for room [default: sleep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) wait: Option<WaitArg>,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    /// Print notes and errors as JSON objects, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the totals at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
