//! What can be asked for on the command line.

mod dead;
mod exec;
mod values;
mod waiting;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use slipring::{Retention, Start};

pub(crate) use dead::*;
pub(crate) use exec::ExecArgs;
pub(crate) use values::{interval, rate, time, time_within};
use values::{octal, payload, start};
pub(crate) use waiting::{WaitArg, WakeArg};

pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, or the queue is closed, 1 failed, 2 wrong usage, 3 timed out \
(--timeout), 4 no such queue or group; after Ctrl-C or SIGTERM 130 or 143, as in a shell.";

const FIGURES: &str = "depth: messages that a group has not acked. span: slots from the oldest of them up to the tail; \
in a shared group it may be more, because one message that a consumer holds keeps the slots after it. The producer \
waits when the span of a group is the capacity. For a queue, both are those of its worst group.";

const WHOLE: &str = "Into a pipe that others write to as well, a message of up to 4096 bytes (as it is \
printed) goes out whole; what others write may come into the middle of a longer one.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a queue
    Create(CreateArgs),
    /// Send lines (or records) as messages; waits while another process sends
    #[command(after_help = EXIT_CODES)]
    Send(SendArgs),
    /// Receive messages for a group, and ack each once it is written out
    #[command(after_help = exec::help())]
    Recv(RecvArgs),
    /// Watch a queue without a trace; reports on stderr what it missed
    #[command(after_help = WHOLE)]
    Tail(TailArgs),
    /// List the queues of this machine
    #[command(after_help = FIGURES)]
    Ls(ListArgs),
    /// Show a queue's state
    #[command(after_help = FIGURES)]
    Inspect(InspectArgs),
    /// Show a queue's groups: where they stand and who reads for them
    #[command(after_help = format!("{FIGURES}\n\n{EXIT_CODES}"))]
    Groups(GroupsArgs),
    /// Make or remove a group
    #[command(subcommand)]
    Group(GroupCommand),
    /// List, show, purge or requeue dead letters: messages that a group could not work off
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Remove a queue that nobody uses, and whose groups have acked all messages
    Rm(RemoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the queue: 1 to 200 of A-Z a-z 0-9 . _ -
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// A group that every message waits for from the start; may be given repeatedly
    #[arg(id = "group", long = "group", value_name = "G")]
    pub(crate) groups: Vec<String>,
    /// The same, but each message goes to one of the group's consumers; may be given repeatedly
    #[arg(long = "shared", value_name = "G")]
    pub(crate) shared: Vec<String>,
    /// Sequence of the first message, 0 to 2^56 - 2: for a queue that goes on where another one ended
    #[arg(
        long,
        value_name = "SEQUENCE",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..(1 << 56) - 1)
    )]
    pub(crate) base: u64,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// What a new queue is like.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// Messages that fit, 1 to 16777216, rounded up to a power of two [default: 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) capacity: Option<u64>,
    /// Size of the longest message, 1 to 16777216 bytes, e.g. 4KiB [default: 112]
    #[arg(long, value_name = "SIZE", value_parser = payload)]
    pub(crate) payload: Option<u64>,
    /// Most consumers at a time, 1 to 255 [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=255))]
    pub(crate) consumers: Option<u64>,
    /// Most groups at a time, 1 to 63 [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=63))]
    pub(crate) groups: Option<u64>,
    /// Permissions, at least 600, whatever the umask; who takes part needs to read and write, who only looks
    /// to read [default: 600]
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    pub(crate) mode: Option<u32>,
    /// How those who wait are woken [default: membarrier, where the kernel has it]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) wake: Option<WakeArg>,
}

impl Shape {
    pub(crate) fn is_given(&self) -> bool {
        self.capacity.is_some()
            || self.payload.is_some()
            || self.consumers.is_some()
            || self.groups.is_some()
            || self.mode.is_some()
            || self.wake.is_some()
    }
}

/// Makes the queue if it is missing.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Make the queue if there is none; with --capacity, --payload, --consumers, --groups, --mode and --wake
    /// if they are given
    #[arg(long)]
    pub(crate) create: bool,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Name of the queue
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
    /// Messages per second, evenly paced, above 0 [default: as fast as it goes]
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// End after N messages [default: at the end of the input]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Close the queue at the end, if all was sent: whoever receives ends once all is worked off. The next
    /// sender opens it again
    #[arg(long)]
    pub(crate) close: bool,
    /// Most messages to publish at once, 1 to 65536; what there is goes out when the input pauses
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: u64,
    /// End with exit code 3 after waiting so many seconds at a time for another sender to be done, or for room,
    /// e.g. 0.5 [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// How to wait for room [default: sleep]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) wait: Option<WaitArg>,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    /// Print the totals at the end
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// How messages are printed: each with a newline, unless told otherwise.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormArgs {
    /// Print the bytes of the messages only, without newlines
    #[arg(long)]
    pub(crate) raw: bool,
    /// Print a JSON object per line: sequence, kind, and payload (text) or payload_base64 (else)
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecvArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Group to receive for; made if it does not exist, with --exec only if --create is given
    #[arg(long, value_name = "G")]
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
    /// End with exit code 3 after so many seconds without a message, e.g. 0.5 [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Where a new group starts: oldest, newest or a sequence number [default: oldest]
    #[arg(long, value_name = "WHERE", value_parser = start)]
    pub(crate) from: Option<Start>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    /// Only look: print what waits for the group, leave it there, and end. Needs a group that exists;
    /// with --timeout it waits that long for more
    #[arg(long)]
    pub(crate) no_ack: bool,
    /// Stay where the queue is closed, and wait for the next sender
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
pub(crate) struct TailArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Where to start: oldest, newest (the next message) or a sequence number
    #[arg(long, value_name = "WHERE", default_value = "newest", value_parser = start)]
    pub(crate) from: Start,
    /// End after N messages [default: when the queue is closed]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// End with exit code 3 after so many seconds without a message, e.g. 0.5 [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Stay where the queue is closed, and wait for the next sender
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

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print a JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GroupsArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Print JSON; with --watch an array per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print them again and again, so many seconds apart, 0.01 to 86400, and since when each member holds
    /// what it holds
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1", value_parser = interval)]
    pub(crate) watch: Option<Duration>,
    /// With --watch: end after N times [default: never]
    #[arg(long, value_name = "N", requires = "watch")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group: every message waits for it from then on
    Add(GroupAddArgs),
    /// Remove a group that nobody reads for, and that has acked all messages
    Rm(GroupRmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GroupAddArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Name of the group: 1 to 64 of A-Z a-z 0-9 . _ -
    pub(crate) group: String,
    /// Where it starts: oldest, newest (the next message) or a sequence number
    #[arg(long, value_name = "WHERE", default_value = "oldest", value_parser = start)]
    pub(crate) from: Start,
    /// Let each message go to one of its consumers, of which there may be many
    #[arg(long)]
    pub(crate) shared: bool,
    /// What becomes of it when nobody reads for it
    #[arg(long, value_enum, default_value_t = RetentionArg::Hold)]
    pub(crate) retention: RetentionArg,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RetentionArg {
    /// It keeps its place, and the queue fills until somebody reads on
    Hold,
    /// It goes with its last consumer
    Release,
}

impl From<RetentionArg> for Retention {
    fn from(arg: RetentionArg) -> Retention {
        match arg {
            RetentionArg::Hold => Retention::Hold,
            RetentionArg::Release => Retention::Release,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct GroupRmArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Name of the group
    pub(crate) group: String,
    /// Also if it has not acked all messages: it never gets them
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name of the queue
    pub(crate) name: String,
    /// Also if processes use it, which find it gone, or if a group has not acked all messages, which are lost
    #[arg(long)]
    pub(crate) force: bool,
}
