use serde::Serialize;

use super::Time;
use super::stats::GroupRates;

/// What `group ls` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Groups<'a> {
    pub(crate) time: Time,
    pub(crate) queue: &'a str,
    pub(crate) groups: Vec<Group<'a>>,
}

/// A group.
#[derive(Debug, Serialize)]
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) mode: String,
    pub(crate) retention: &'a str,
    pub(crate) began: u64,
    pub(crate) head: u64,
    pub(crate) depth: u64,
    pub(crate) span: u64,
    pub(crate) ready: u64,
    pub(crate) unacked: u64,
    pub(crate) retries: Option<u64>,
    pub(crate) acked: u64,
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) max_attempts: Option<u8>,
    pub(crate) dead_letters: String,
    /// Null without places for messages in flight.
    pub(crate) in_flight: Option<InFlight>,
    pub(crate) consumers: usize,
    /// With `--watch`.
    #[serde(flatten)]
    pub(crate) rates: Option<GroupRates>,
    pub(crate) members: Vec<Member>,
}

/// A consumer of a group.
#[derive(Debug, Serialize)]
pub(crate) struct Member {
    pub(crate) record: u8,
    pub(crate) pid: Option<u32>,
    pub(crate) live: bool,
    pub(crate) state: &'static str,
    pub(crate) command: Option<String>,
    /// From the first message that it holds to the one after the last.
    pub(crate) claimed: Option<[u64; 2]>,
    pub(crate) attempts: u8,
    pub(crate) acked: u64,
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
    /// For how long it has been moving messages from the ring to places in flight; null if it does not.
    pub(crate) taking_ms: Option<u64>,
    /// With `--watch`: for how long it has been seen with the same oldest message; null if it holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unchanged_ms: Option<Option<u64>>,
}

/// A group's messages in flight.
#[derive(Debug, Serialize)]
pub(crate) struct InFlight {
    pub(crate) max: u32,
    /// Null: none.
    pub(crate) ack_timeout_ms: Option<u64>,
    pub(crate) messages: Vec<InFlightMessage>,
    /// Places that consumers have reserved for messages that they are taking from the ring.
    pub(crate) reserved: Vec<ReservedPlaces>,
}

/// Those of one consumer.
#[derive(Debug, Serialize)]
pub(crate) struct ReservedPlaces {
    pub(crate) record: u8,
    pub(crate) places: u32,
}

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct InFlightMessage {
    pub(crate) sequence: u64,
    /// Null if it waits for any consumer.
    pub(crate) record: Option<u8>,
    pub(crate) attempts: u8,
    pub(crate) received_ms: Option<u64>,
    /// Null if it has its first time.
    pub(crate) renewed_ms: Option<u64>,
    /// Null: never.
    pub(crate) due_ms: Option<u64>,
}

/// What `group retry` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Retried<'a> {
    pub(crate) queue: &'a str,
    pub(crate) group: &'a str,
    /// Sequences of the messages whose delay was ended.
    pub(crate) retried: &'a [u64],
}

/// What `group evict` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Evicted<'a> {
    pub(crate) queue: &'a str,
    pub(crate) group: &'a str,
    /// Sequences of the messages that were taken back.
    pub(crate) evicted: &'a [u64],
    /// Records of consumers that are in the middle of taking messages.
    pub(crate) taking: &'a [u8],
}
