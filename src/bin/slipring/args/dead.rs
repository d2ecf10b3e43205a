//! Arguments about dead letters.

use clap::Args;
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
            group = group.max_attempts(attempts);
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
