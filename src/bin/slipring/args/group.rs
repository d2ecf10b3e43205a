//! Groups.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use slipring::{Group, Retention, Start};

use super::values::start;
use super::{EXIT_CODES, FIGURES, interval};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List a queue's groups: where they stand and which processes read for them
    #[command(alias = "list", after_help = format!("{FIGURES}\n\n{EXIT_CODES}"))]
    Ls(GroupListArgs),
    /// Make a group: every message waits for it from then on
    Add(GroupAddArgs),
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

/// When a new group gives a message up, and where it goes then.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Deliveries of a message, 0 to 254, after which it becomes a dead letter if it was never acked;
    /// 0 = no limit [default: 5 for a shared group, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=254))]
    pub(crate) max_attempts: Option<u8>,
    /// Queue for the dead letters; made when the first one comes [default: the queue's name and ".dead"]
    #[arg(long, value_name = "QUEUE")]
    pub(crate) dead_letters: Option<String>,
}

impl PolicyArgs {
    pub(crate) fn apply(&self, mut group: Group) -> Group {
        if let Some(attempts) = self.max_attempts {
            group = match attempts {
                0 => group.unlimited_attempts(),
                attempts => group.max_attempts(attempts),
            };
        }
        match &self.dead_letters {
            Some(queue) => group.dead_letters_to(queue),
            None => group,
        }
    }

    /// The options that were given.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let attempts = self.max_attempts.map(|_| "--max-attempts");
        let letters = self.dead_letters.as_ref().map(|_| "--dead-letters");
        attempts.into_iter().chain(letters).collect()
    }
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
