//! Streams: what messages come from.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{EXIT_CODES, time};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct StreamsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<StreamsCommand>,
    /// `streams QUEUE` is short for `streams ls QUEUE`.
    #[command(flatten)]
    pub(crate) list: Option<StreamListArgs>,
}

impl StreamsArgs {
    /// Whether it is more than a look.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self.command, None | Some(StreamsCommand::Ls(_)))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum StreamsCommand {
    /// List a queue's streams, and how far each of them is
    #[command(alias = "list", after_help = EXIT_CODES)]
    Ls(StreamListArgs),
    /// Give the places of streams up, for other ones; a sender that still uses one of them begins anew
    #[command(after_help = EXIT_CODES)]
    Forget(StreamForgetArgs),
    /// Count everything of a stream up to a position as sent: its sender goes on after it
    #[command(after_help = EXIT_CODES)]
    Pass(StreamPassArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StreamListArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StreamForgetArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Streams, by name or id, as `streams ls` shows them. The ring must have no message of them
    #[arg(value_name = "STREAM", required = true)]
    pub(crate) streams: Vec<String>,
    #[command(flatten)]
    pub(crate) role: RoleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StreamPassArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// The stream, by name or id, as `streams ls` shows it
    #[arg(value_name = "STREAM")]
    pub(crate) stream: String,
    /// The position, above the stream's last one
    #[arg(value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) position: u64,
    #[command(flatten)]
    pub(crate) role: RoleArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    /// Longest wait for the queue's sender to end: then it ends with exit code 3. Seconds, or e.g. 500ms [default: no
    /// limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
}
