//! Groups.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use slipring::{Retention, Start};

use super::values::{ack_timeout, start};
use super::{EXIT_CODES, FIGURES, PolicyArgs, interval, time};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List a queue's groups: where they stand and which processes read for them
    #[command(alias = "list", after_help = format!("{FIGURES}\n\n{EXIT_CODES}"))]
    Ls(GroupListArgs),
    /// Make a group: every message waits for it from then on
    Add(GroupAddArgs),
    /// Change a group
    Set(GroupSetArgs),
    /// Take messages in flight back from consumers that hang, for others to work on; their acks then fail
    #[command(after_help = EXIT_CODES)]
    Evict(GroupEvictArgs),
    /// End the delays of messages in flight that wait for another try: any consumer may take them at once
    #[command(after_help = EXIT_CODES)]
    Retry(GroupRetryArgs),
    /// Make a dead letter of one message: of any in flight, also of one that a consumer has, whose ack then fails; in an
    /// exclusive group without a consumer, of the next
    #[command(after_help = EXIT_CODES)]
    Reject(GroupRejectArgs),
    /// Remove a group that has no consumer, and that has acked all messages
    Rm(GroupRemoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GroupListArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Print a JSON object; with --watch one per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Repeat the list at this interval, 0.01 s to 24h, and show for how long each consumer has held what it holds
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1", value_parser = interval)]
    pub(crate) watch: Option<Duration>,
    /// With --watch: end after N lists [default: never]
    #[arg(long, value_name = "N", requires = "watch")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct GroupAddArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Name of the group: 1 to 64 of A-Z a-z 0-9 . _ -
    pub(crate) group: String,
    /// Where it starts: oldest, newest (the next message) or a sequence number
    #[arg(long, value_name = "WHERE", default_value = "oldest", value_parser = start)]
    pub(crate) from: Start,
    /// Let any number of consumers share its messages: each message goes to one of them
    #[arg(long)]
    pub(crate) shared: bool,
    /// What becomes of it when it has no consumer
    #[arg(long, value_enum, default_value_t = RetentionArg::Hold)]
    pub(crate) retention: RetentionArg,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RetentionArg {
    /// It keeps its place, and the queue fills until a consumer goes on
    Hold,
    /// It is removed with its last consumer
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
pub(crate) struct GroupSetArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Name of the group: a shared one with messages in flight
    pub(crate) group: String,
    /// Time that a consumer has for a message before another may take it, at least 1 s; 0 = for ever. Messages that are
    /// received from now on have it
    #[arg(long, value_name = "TIME", required = true, value_parser = ack_timeout)]
    pub(crate) ack_timeout: Duration,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["member", "sequence", "all"]))]
pub(crate) struct GroupEvictArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Name of the group: a shared one with messages in flight
    pub(crate) group: String,
    /// All messages of this consumer, by the number that `group ls` shows
    #[arg(long, value_name = "RECORD")]
    pub(crate) member: Option<u8>,
    /// The message of this sequence
    #[arg(long, value_name = "N")]
    pub(crate) sequence: Option<u64>,
    /// All messages that consumers have
    #[arg(long)]
    pub(crate) all: bool,
    /// Time until others may take them: seconds, or e.g. 500ms
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time)]
    pub(crate) delay: Duration,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["sequence", "all"]))]
pub(crate) struct GroupRetryArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Name of the group: a shared one with messages in flight
    pub(crate) group: String,
    /// The message of this sequence
    #[arg(long, value_name = "N")]
    pub(crate) sequence: Option<u64>,
    /// All messages that wait for another try
    #[arg(long)]
    pub(crate) all: bool,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GroupRejectArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Name of the group: a shared one with messages in flight, or an exclusive one that no consumer reads for now
    pub(crate) group: String,
    /// The message of this sequence
    #[arg(long, value_name = "N", required = true)]
    pub(crate) sequence: u64,
    /// Wait for the end of an exclusive group's consumer at most this time: seconds, or e.g. 500ms
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct GroupRemoveArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Name of the group
    pub(crate) group: String,
    /// Remove it even if it has not acked all messages: it never gets them
    #[arg(long)]
    pub(crate) force: bool,
}
