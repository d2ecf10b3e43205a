//! Arguments about dead letters.

use clap::{Args, Subcommand};
use slipring::Group;

/// What becomes of messages that a new group cannot work off.
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

    /// The flags that were given.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let attempts = self.max_attempts.map(|_| "--max-attempts");
        let letters = self.dead_letters.as_ref().map(|_| "--dead-letters");
        attempts.into_iter().chain(letters).collect()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List the letters that wait, from the oldest on, without a trace
    List(DeadListArgs),
    /// Print one letter's payload as it is; its facts go to stderr
    Show(DeadShowArgs),
    /// Throw letters away, from the oldest on
    Purge(DeadSomeArgs),
    /// Send letters again, from the oldest on: each to the group that gave it up, and to nobody else
    Requeue(DeadSomeArgs),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct LettersArgs {
    /// Queue that the messages were sent to
    pub(crate) queue: String,
    /// Queue that the letters are in, if not QUEUE.dead; letters in it that come from other queues count
    /// as well
    #[arg(long, value_name = "NAME")]
    pub(crate) letters: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeadListArgs {
    #[command(flatten)]
    pub(crate) of: LettersArgs,
    /// Print a JSON object per line, with payload (text) or payload_base64 (else)
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
    /// Sequence that the message had in QUEUE, as `dead list` shows it [default: that of the oldest letter]
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
