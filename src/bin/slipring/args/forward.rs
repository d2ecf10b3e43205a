//! Sending messages on from queue to queue.

use std::time::Duration;

use clap::Args;

use super::values::command;
use super::{EXIT_CODES, WaitArg, time};

/// What stands below the help of `forward`.
pub(super) fn help() -> String {
    format!("{EXIT_CODES}\n\n{SCHEME}")
}

const SCHEME: &str = "\
Each message says in the other queue which message it comes from, so forward may be killed and started again at
any time: in the other queue every message is there once, and in order. That queue needs sources (slipring create
--sources); the group must be exclusive, without a limit of attempts.

The command of --exec has the message, without a newline, on its standard input, and the environment of
recv --exec. What it prints is the message that is sent on, without the newline at its end unless --raw is given.
A command that fails ends forward, and its message stays. A command runs again for its message if forward is
killed before the output is sent: only its output is there once. After Ctrl-C, SIGTERM or SIGHUP forward ends when the
running command has ended and its output is sent; a second signal, half a second later or more, ends it at
once.";

#[derive(Debug, Args)]
pub(crate) struct ForwardArgs {
    /// Name of the queue to read from
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Group to receive for. It must exist, and be exclusive
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: String,
    /// Name of the queue to send to
    #[arg(long, value_name = "QUEUE")]
    pub(crate) to: String,
    /// Run CMD with sh for each message, and send on what it prints; see below
    #[arg(long = "exec", value_name = "CMD", value_parser = command)]
    pub(crate) command: Option<String>,
    /// Send on what --exec prints as it is, with a newline at its end
    #[arg(long, requires = "command")]
    pub(crate) raw: bool,
    /// Most messages to take, send and ack at once, 1 to 32
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        conflicts_with = "command",
        value_parser = clap::value_parser!(u8).range(1..=32)
    )]
    pub(crate) batch: u8,
    /// End after N messages [default: when the queue is closed]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// End with exit code 3 after this time without a message, without room in the other queue, or while another
    /// process sends to it: seconds, or e.g. 500ms [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Stay when the queue is closed, and wait for the next sender
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Close the other queue when this one is closed and all its messages are sent on
    #[arg(long, conflicts_with = "follow")]
    pub(crate) close: bool,
    /// How to wait for messages and for room [default: sleep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) wait: Option<WaitArg>,
    /// Print notes and errors as JSON objects, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the totals at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
