//! Where a message comes from: a stream, and a position in it.

use std::fmt;

use crate::layout::{Slot, View};
use crate::ring::sources::{self, Id, Label, Number};

/// A stream of messages, by its id: what a producer reads from, such as a feed, a file, or another queue. Ids are 128
/// bits; usually they are made from a name ([`StreamId::named`], or `"name".into()`).
///
/// A stream has a label of up to 24 bytes, too, for people to read. Streams are the same if their ids are.
///
/// ```
/// use slipring::StreamId;
/// let feed = StreamId::named("feed");
/// assert_eq!(feed, "feed".into());
/// assert_eq!(feed.label(), "feed");
/// assert_eq!(feed.to_string(), "696a54d501757277b806e974eb8cb405");
/// assert_eq!(StreamId::new(feed.get()), feed);
/// ```
#[derive(Clone, Copy)]
pub struct StreamId {
    id: u128,
    label: Label,
}

/// FNV-1a, 128 bits (Fowler, Noll, Vo; draft-eastlake-fnv): the offset basis and the prime.
const FNV_START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

fn fnv1a(hash: u128, bytes: &[u8]) -> u128 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME))
}

impl StreamId {
    /// The stream with this id, without a label. Take random bits, or the hash of a name; two streams of one queue
    /// that have the same id are taken for one.
    pub fn new(id: u128) -> StreamId {
        StreamId { id, label: [0; 3] }
    }

    /// The stream with this name: its id is the FNV-1a hash (128 bits) of the name's bytes, its label the name, or as
    /// much of it as fits.
    pub fn named(name: &str) -> StreamId {
        StreamId::new(fnv1a(FNV_START, name.as_bytes())).with_label(name)
    }

    /// The stream of what a [`Stage`](crate::Stage) makes of the messages of a group. `instance` is that of the queue
    /// which the group belongs to. Its id is the FNV-1a hash (128 bits) of the instance's bytes and the group's name,
    /// its label `QUEUE/GROUP`, or as much of that as fits.
    pub(crate) fn of_group(instance: [u64; 2], queue: &str, group: &str) -> StreamId {
        let bytes = instance.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let id = fnv1a(fnv1a(FNV_START, &bytes), group.as_bytes());
        StreamId::new(id).with_label(&format!("{queue}/{group}"))
    }

    /// The same stream with another label, or as much of that as fits: for a program that gets the id and the label
    /// from another host.
    #[must_use]
    pub fn with_label(self, label: &str) -> StreamId {
        let mut end = label.len().min(size_of::<Label>());
        while !label.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; size_of::<Label>()];
        bytes[..end].copy_from_slice(&label.as_bytes()[..end]);
        let words = bytes
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        let mut label = [0; 3];
        label.iter_mut().zip(words).for_each(|(to, word)| *to = word);
        StreamId { label, ..self }
    }

    /// Its id.
    pub fn get(self) -> u128 {
        self.id
    }

    /// For people to read: what it is called; empty if that is not known.
    pub fn label(&self) -> String {
        let bytes: Vec<u8> = self.label.iter().flat_map(|word| word.to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    pub(crate) fn words(self) -> (Id, Label) {
        ([self.id as u64, (self.id >> 64) as u64], self.label)
    }

    pub(crate) fn from_words(([low, high], label): (Id, Label)) -> StreamId {
        StreamId { id: u128::from(high) << 64 | u128::from(low), label }
    }
}

impl PartialEq for StreamId {
    fn eq(&self, other: &StreamId) -> bool {
        self.id == other.id
    }
}

impl Eq for StreamId {}

impl std::hash::Hash for StreamId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl From<&str> for StreamId {
    fn from(name: &str) -> StreamId {
        StreamId::named(name)
    }
}

/// The id, as 32 hexadecimal digits.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self} {:?})", self.label())
    }
}

/// Where a message comes from. Together the two are a key: no two messages of a queue have the same, unless a stream
/// was [forgotten](crate::Producer::forget_stream) and began anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub(crate) stream: StreamId,
    pub(crate) position: u64,
}

impl Source {
    /// The stream.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The message's position in it, from 1 on, strictly rising.
    pub fn position(&self) -> u64 {
        self.position
    }
}

/// A stream that a queue knows; see [`Queue::streams`](crate::Queue::streams).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Number of its entry in the table, from 1 on.
    pub number: u8,
    /// The stream.
    pub stream: StreamId,
    /// Position of its first message in this queue, or the first that was passed; `None` before that.
    pub start: Option<u64>,
    /// Position of its last message in this queue, or the last that was passed; `None` before the first.
    pub last: Option<u64>,
    /// Messages of it that are in the ring, acked or not. It can be [forgotten](crate::Producer::forget_stream) once
    /// there are none, and none in flight.
    pub in_ring: u64,
    /// Messages of it that are in flight, in any group; some of them may be in the ring, too.
    pub in_flight: u64,
}

impl Source {
    /// The source of message `seq` in `slot`, which the caller keeps from being overwritten.
    pub(crate) fn of(view: &View, seq: u64, slot: &Slot<'_>) -> Option<Source> {
        sources::origin(view, seq, slot).map(Source::from)
    }
}

impl From<sources::Origin> for Source {
    fn from(origin: sources::Origin) -> Source {
        let stream = StreamId::from_words((origin.id, origin.label));
        Source { stream, position: origin.position }
    }
}

impl StreamInfo {
    /// Those of all streams in the table.
    pub(crate) fn all(view: &View) -> Vec<StreamInfo> {
        if view.geo().streams == 0 {
            return Vec::new();
        }
        let (ring, flight) = sources::count_messages(view);
        let count =
            |counts: &[u64], number: Number| counts.get(number.index() + 1).copied().unwrap_or(0);
        let some = |position: u64| (position > 0).then_some(position);
        let info = |number: Number| {
            // `None` if it is given up meanwhile.
            let (id, label, start, last) = sources::look_up(view, number)?;
            Some(StreamInfo {
                number: number.get(),
                stream: StreamId::from_words((id, label)),
                start: some(start),
                last: some(last),
                in_ring: count(&ring, number),
                in_flight: count(&flight, number),
            })
        };
        sources::in_use(view).filter_map(info).collect()
    }
}
