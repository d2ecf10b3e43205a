//! What a new group is like besides its name: when it gives a message up, and what it has in flight.

use std::time::Duration;

use clap::Args;
use slipring::Group;

use super::values::ack_timeout;

/// The ack timeout of a group with places in flight unless it is told another.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Deliveries of a message, 0 to 254, after which it becomes a dead letter if it was never acked;
    /// 0 = no limit [default: 5 for a shared group, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=254))]
    pub(crate) max_attempts: Option<u8>,
    /// Queue for the dead letters; made when the first one comes [default: the queue's name and ".dead"]
    #[arg(long, value_name = "QUEUE")]
    pub(crate) dead_letters: Option<String>,
    /// Messages of a shared group that consumers may work on at once, beside the ring, 1 to 65536; each takes the
    /// payload size and 32 bytes more. 0 = none: a message keeps its slot until it is acked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=65536))]
    pub(crate) in_flight: Option<u32>,
    /// With messages in flight: time that a consumer has for one before another may take it, at least 1 s;
    /// 0 = for ever [default: 30 s]
    #[arg(long, value_name = "TIME", value_parser = ack_timeout)]
    pub(crate) ack_timeout: Option<Duration>,
}

impl PolicyArgs {
    /// An exclusive group with what was asked for.
    pub(crate) fn exclusive(&self, name: &str) -> Group {
        self.apply(Group::named(name))
    }

    /// A shared group with what was asked for.
    pub(crate) fn shared(&self, name: &str) -> Group {
        let group = self.apply(Group::named(name).shared());
        let places = self.in_flight.unwrap_or(0);
        if places == 0 {
            return group;
        }
        let group = group.in_flight(places);
        match self.ack_timeout.unwrap_or(ACK_TIMEOUT) {
            Duration::ZERO => group,
            timeout => group.ack_timeout(timeout),
        }
    }

    fn apply(&self, mut group: Group) -> Group {
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
        attempts.into_iter().chain(letters).chain(self.given_in_flight()).collect()
    }

    /// Those that only a shared group takes.
    fn given_in_flight(&self) -> Vec<&'static str> {
        let places = self.in_flight.map(|_| "--in-flight");
        let timeout = self.ack_timeout.map(|_| "--ack-timeout");
        places.into_iter().chain(timeout).collect()
    }

    /// What is wrong with these options for a group that is shared or not, if anything is.
    pub(crate) fn check(&self, shared: bool, option: &str) -> Result<(), String> {
        let given = self.given_in_flight();
        if !shared && !given.is_empty() {
            let given = given.join(" and ");
            return Err(format!(
                "{given}: only a shared group has messages in flight; add {option}"
            ));
        }
        if self.ack_timeout.is_some() && self.in_flight.unwrap_or(0) == 0 {
            return Err("--ack-timeout needs --in-flight N with N above 0".to_owned());
        }
        Ok(())
    }
}
