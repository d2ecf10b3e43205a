use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use slipring::StreamInfo;

use super::Time;

/// What `streams ls` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Streams<'a> {
    pub(crate) time: Time,
    pub(crate) queue: &'a str,
    /// 0 without sources.
    pub(crate) max_streams: usize,
    pub(crate) streams: Vec<Stream>,
}

/// A stream of a queue.
#[derive(Debug, Serialize)]
pub(crate) struct Stream {
    pub(crate) number: u8,
    pub(crate) id: String,
    pub(crate) label: Option<String>,
    pub(crate) start: Option<u64>,
    pub(crate) last: Option<u64>,
    pub(crate) in_ring: u64,
    pub(crate) in_flight: u64,
}

impl From<&StreamInfo> for Stream {
    fn from(info: &StreamInfo) -> Stream {
        let &StreamInfo { number, stream, start, last, in_ring, in_flight, .. } = info;
        let (id, label) = (stream.to_string(), known(stream.label()));
        Stream { number, id, label, start, last, in_ring, in_flight }
    }
}

/// Where a message comes from: the members `stream` (its id), `label` and `position`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source(pub(crate) slipring::Source);

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stream = self.0.stream();
        let mut members = serializer.serialize_struct("Source", 3)?;
        members.serialize_field("stream", &stream.to_string())?;
        members.serialize_field("label", &known(stream.label()))?;
        members.serialize_field("position", &self.0.position())?;
        members.end()
    }
}

fn known(label: String) -> Option<String> {
    Some(label).filter(|label| !label.is_empty())
}
