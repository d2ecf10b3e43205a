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
    /// With `--watch`: for how long it has been seen with the same oldest message; null if it holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unchanged_ms: Option<Option<u64>>,
}
