use serde::Serialize;
use slipring::ProducerInfo;

use super::{Error, Group, Time};

/// What `ls` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Queues<'a> {
    pub(crate) time: Time,
    pub(crate) queues: Vec<Listed<'a>>,
}

/// A queue in the list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Listed<'a> {
    Queue(Summary<'a>),
    Refused(Refused<'a>),
}

/// One that could be opened.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    pub(crate) name: &'a str,
    pub(crate) capacity: u64,
    pub(crate) payload_size: usize,
    pub(crate) bytes: usize,
    pub(crate) depth: u64,
    pub(crate) span: u64,
    pub(crate) group_count: usize,
    pub(crate) producer: Producer,
}

/// One that could not.
#[derive(Debug, Serialize)]
pub(crate) struct Refused<'a> {
    pub(crate) name: &'a str,
    pub(crate) error: Error<'a>,
}

/// What `inspect` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Queue<'a> {
    pub(crate) time: Time,
    pub(crate) name: &'a str,
    pub(crate) layout_version: u32,
    pub(crate) capacity: u64,
    pub(crate) payload_size: usize,
    pub(crate) bytes: usize,
    pub(crate) schema: &'a str,
    pub(crate) schema_fields: Vec<&'a str>,
    pub(crate) schema_hash: String,
    pub(crate) fingerprint: String,
    pub(crate) purpose: Option<String>,
    pub(crate) created_at: Time,
    pub(crate) max_groups: usize,
    pub(crate) max_consumers: usize,
    /// 0 without sources.
    pub(crate) max_streams: usize,
    /// Places for messages in flight of all groups together, and the longest run of them that no group has.
    pub(crate) cells: u32,
    pub(crate) free_cells: u32,
    pub(crate) wake_mode: String,
    pub(crate) base: u64,
    pub(crate) tail: u64,
    pub(crate) depth: u64,
    pub(crate) span: u64,
    pub(crate) closed: bool,
    /// One past the last message, if it is closed.
    pub(crate) end: Option<u64>,
    pub(crate) producer: Producer,
    pub(crate) groups: Vec<Group<'a>>,
}

/// The process that has the producer's role, or had it last.
#[derive(Debug, Serialize)]
pub(crate) struct Producer {
    pub(crate) live: bool,
    pub(crate) pid: Option<u32>,
    /// How often the role was taken.
    pub(crate) epoch: u64,
    /// Bytes sent.
    pub(crate) payload_bytes: u64,
    /// How often there was no room.
    pub(crate) full: u64,
}

impl From<&ProducerInfo> for Producer {
    fn from(info: &ProducerInfo) -> Producer {
        let &ProducerInfo { live, pid, epoch, payload_bytes, full, .. } = info;
        Producer { live, pid, epoch, payload_bytes, full }
    }
}
