//! Dead letters.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List the letters that wait, from the oldest on; changes nothing
    #[command(alias = "list")]
    Ls(DeadListArgs),
    /// Print one letter's payload as it is; its facts go to stderr
    Show(DeadShowArgs),
    /// Throw letters away, from the oldest on
    Purge(DeadSomeArgs),
    /// Send letters again, from the oldest on: each to the group that gave it up, and to no other
    Requeue(DeadSomeArgs),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct LettersArgs {
    /// Queue that the messages were sent to
    pub(crate) queue: String,
    /// Queue that the letters are in, if not QUEUE.dead; letters in it that come from other queues count
    /// as well
    #[arg(long, value_name = "QUEUE")]
    pub(crate) dead_letters: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeadListArgs {
    #[command(flatten)]
    pub(crate) of: LettersArgs,
    /// Print a JSON object per line, with payload (text) or payload_base64 (other bytes)
    #[arg(long)]
    pub(crate) json: bool,
    /// Most letters to list [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct DeadShowArgs {
    #[command(flatten)]
    pub(crate) of: LettersArgs,
    /// Sequence that the message had in QUEUE, as `dead ls` shows it [default: that of the oldest letter]
    pub(crate) sequence: Option<u64>,
    /// Print a JSON object instead
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeadSomeArgs {
    #[command(flatten)]
    pub(crate) of: LettersArgs,
    /// Most letters to take [default: all that wait when it begins]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
}
