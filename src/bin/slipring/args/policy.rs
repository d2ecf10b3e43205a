//! What a new group is like besides its name: when it gives a message up, and what it has in flight.

use std::time::Duration;

use clap::Args;
use slipring::{Group, Snapshot};

use super::values::ack_timeout;

/// Most places in flight that a shared group gets unless it is told how many.
const PLACES: u64 = 256;
/// The ack timeout of a group with places in flight unless it is told another.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// What a place in flight has beside the message, and a slot; both are rounded up to this many bytes.
const PLACE_HEAD: u64 = 32;
const SLOT_HEAD: u64 = 16;
const SOURCE: u64 = 16;
const UNIT: u64 = 64;

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// Deliveries of a message, 0 to 254, after which it becomes a dead letter if it was never acked;
    /// 0 = no limit [default: 5 for a shared group, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=254))]
    pub(crate) max_attempts: Option<u8>,
    /// Queue for the dead letters; made when the first one comes [default: the queue's name and ".dead"]
    #[arg(long, value_name = "QUEUE")]
    pub(crate) dead_letters: Option<String>,
    /// Messages of a shared group that consumers may work on at once, beside the ring, 1 to 65536. Each takes the payload
    /// size and 32 bytes more, and up to a quarter of a microsecond for a small one. 0 = none: a message keeps its slot
    /// until it is acked [default: as many as the ring has slots, at most 256, and no more bytes than the ring; in a queue
    /// that exists at most its spare cells]
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

    /// A shared group with what was asked for. It has `places` in flight unless it was told how many.
    pub(crate) fn shared(&self, name: &str, places: u32) -> Group {
        let group = self.apply(Group::named(name).shared());
        let places = self.in_flight.unwrap_or(places);
        // Without places the library refuses an ack timeout.
        let group = if places > 0 { group.in_flight(places) } else { group };
        match self.ack_timeout.or((places > 0).then_some(ACK_TIMEOUT)) {
            None | Some(Duration::ZERO) => group,
            Some(timeout) => group.ack_timeout(timeout),
        }
    }

    /// The ack timeout of a group with places in flight that is made with this.
    pub(crate) fn new_timeout(&self) -> Option<Duration> {
        Some(self.ack_timeout.unwrap_or(ACK_TIMEOUT)).filter(|timeout| !timeout.is_zero())
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
        if self.ack_timeout.is_some() && self.in_flight == Some(0) {
            return Err("--ack-timeout needs --in-flight N with N above 0".to_owned());
        }
        Ok(())
    }
}

/// Places in flight that a shared group gets in a queue that exists unless it is told how many: at most as many as no group
/// has.
pub(crate) fn places_in(snapshot: &Snapshot) -> u32 {
    let (payload, sources) = (snapshot.payload_size as u64, snapshot.max_streams > 0);
    places(snapshot.capacity, payload, sources).min(snapshot.free_cells)
}

/// The same in a new queue: no more than the ring has slots, and no more bytes than the ring.
pub(super) fn places(capacity: u64, payload: u64, sources: bool) -> u32 {
    let capacity = capacity.next_power_of_two();
    let payload = if sources { payload + SOURCE } else { payload };
    let [slot, place] = [SLOT_HEAD, PLACE_HEAD].map(|head| (payload + head).next_multiple_of(UNIT));
    (capacity * slot / place).clamp(1, PLACES) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_flight_take_no_more_than_the_ring() {
        assert_eq!(places(4096, 112, false), 256);
        assert_eq!(places(64, 240, false), 51);
        assert_eq!((places(64, 32, false), places(64, 48, false)), (64, 32));
        assert_eq!(places(64, 32, true), places(64, 48, false));
        assert_eq!(places(1, 48, false), 1);
        for (capacity, payload) in [(3u64, 48), (16, 112), (256, 1 << 24), (1 << 24, 1 << 24)] {
            let most = capacity.next_power_of_two();
            assert!(u64::from(places(capacity, payload, false)) <= most, "{capacity} {payload}");
        }
    }
}
