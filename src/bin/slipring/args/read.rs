//! Receiving, peeking and watching.

use std::time::Duration;

use clap::Args;
use slipring::Start;

use super::exec::ExecArgs;
use super::values::start;
use super::{OpenArgs, PolicyArgs, WaitArg, time};

/// How messages are printed: each with a newline, unless told otherwise.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormArgs {
    /// Print the bytes of the messages only, without newlines
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print a JSON object per line: sequence, kind, and payload (text) or payload_base64 (other bytes)
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecvArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Group to receive for. It must exist, unless --create makes it
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: String,
    /// Share the group's messages with other consumers: each goes to one of them, and what one did not
    /// ack before it died goes to another
    #[arg(long)]
    pub(crate) shared: bool,
    /// Most messages to take, write and ack at once, 1 to 65536; one where a message has a single attempt
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: u64,
    /// End after N messages [default: when the queue is closed]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// End with exit code 3 after this time without a message: seconds, or e.g. 500ms [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// With --create: where a new group starts, oldest, newest or a sequence number [default: oldest]
    #[arg(long, value_name = "WHERE", value_parser = start)]
    pub(crate) from: Option<Start>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Stay when the queue is closed, and wait for the next sender
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How to wait for messages [default: sleep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) wait: Option<WaitArg>,
    #[command(flatten)]
    pub(crate) exec: ExecArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    /// Print the totals at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PeekArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// The group
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: String,
    /// End after N messages [default: when all that waits is printed]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Print the message of this sequence only
    #[arg(long, value_name = "N", conflicts_with_all = ["count", "timeout"])]
    pub(crate) sequence: Option<u64>,
    /// Wait for more, and end with exit code 3 after this time without a message: seconds, or e.g. 500ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Print the totals at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Where to start: oldest, newest (the next message) or a sequence number
    #[arg(long, value_name = "WHERE", default_value = "newest", value_parser = start)]
    pub(crate) from: Start,
    /// End after N messages [default: when the queue is closed]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// End with exit code 3 after this time without a message: seconds, or e.g. 500ms [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Stay when the queue is closed, and wait for the next sender
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How to wait for messages [default: sleep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) wait: Option<WaitArg>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Print the totals at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
