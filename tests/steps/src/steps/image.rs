//! The state of a segment, read from its bytes by docs/layout.md alone. It uses none of the library's code, so that a
//! fault of the library cannot hide itself from the judge.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::book::check;

const CONFIG: usize = 2048;
pub(crate) const TAIL: usize = 2048;
pub(crate) const GROUP_MARK: u64 = 2560;
pub(crate) const RECORD_MARK: u64 = 2568;
const STATE: usize = 2832;
const CLOSED_AT: usize = 2840;
const GROUP: usize = 768;
const RECORD: usize = 256;

const STREAM: usize = 64;
/// The feature bit of sources.
const SOURCES: u64 = 2;

pub(crate) const PRODUCER_LEASE: u64 = 512;
pub(crate) const CONTROL_LEASE: u64 = 513;

#[derive(Clone, Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    pub(crate) capacity: u64,
    pub(crate) max_consumers: usize,
    pub(crate) max_groups: usize,
    groups: usize,
    consumers: usize,
    slots: usize,
    stride: usize,
    streams_at: usize,
    streams: usize,
    /// Where a slot has the position of its message.
    position_in_slot: usize,
    /// The tail, which may lag behind the stamps.
    pub(crate) tail: u64,
    /// The sequence after the last published message, whether or not the tail counts it yet.
    pub(crate) end: u64,
    /// The closing sequence, if the queue is closed.
    pub(crate) closed_at: Option<u64>,
}

/// A group that is active.
#[derive(Clone, Debug)]
pub(crate) struct GroupImage {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) shared: bool,
    /// The group goes with its last member, and has had a member.
    pub(crate) goes: bool,
    /// The limit of deliveries of a message.
    pub(crate) limit: Option<u8>,
    pub(crate) head: u64,
    /// The record of the last claimer.
    claimer: u8,
    delivered: u64,
    attempts: u64,
}

/// A stream of the table that is in use.
#[derive(Clone, Debug)]
pub(crate) struct StreamImage {
    pub(crate) number: u8,
    pub(crate) id: u128,
    pub(crate) last: u64,
    pub(crate) start: u64,
    pub(crate) label: String,
}

/// A message that a group has not acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) seq: u64,
    /// The record that holds it, in a shared group.
    pub(crate) record: Option<u8>,
    /// The attempts that its next delivery must report.
    pub(crate) attempts: u8,
}

impl Image {
    /// Reads all of `file`. An unfinished segment is an error.
    pub(crate) fn of(file: &File) -> Result<Image, String> {
        let len = file.metadata().map_err(|e| e.to_string())?.len();
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0).map_err(|e| e.to_string())?;
        if bytes.len() < CONFIG || !bytes.starts_with(b"slipring") {
            return Err("a segment with a queue's name is not finished".to_owned());
        }
        let mut image = Image {
            bytes,
            capacity: 0,
            max_consumers: 0,
            max_groups: 0,
            groups: 0,
            consumers: 0,
            slots: 0,
            stride: 0,
            streams_at: 0,
            streams: 0,
            position_in_slot: 0,
            tail: 0,
            end: 0,
            closed_at: None,
        };
        image.capacity = image.word(32);
        image.stride = image.word(56) as usize;
        image.max_groups = image.word(64) as u32 as usize;
        image.max_consumers = (image.word(64) >> 32) as usize;
        [image.groups, image.consumers, image.slots] =
            [88, 96, 104].map(|at| image.word(at) as usize);
        if image.word(16) & SOURCES != 0 {
            [image.streams, image.streams_at] = [976, 984].map(|at| image.word(at) as usize);
            image.position_in_slot = (16 + image.word(40) as usize).next_multiple_of(8);
        }
        image.tail = image.word(TAIL);
        image.end = image.tail;
        while image.stamp(image.end) == image.end + 1 {
            image.end += 1;
        }
        image.closed_at = (image.word(STATE) == 1).then(|| image.word(CLOSED_AT));
        Ok(image)
    }

    fn word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_le_bytes(word)
    }

    pub(crate) fn slot_at(&self, seq: u64) -> usize {
        self.slots + (seq & (self.capacity - 1)) as usize * self.stride
    }

    pub(crate) fn record_at(&self, record: usize) -> usize {
        self.consumers + record * RECORD
    }

    pub(crate) fn group_at(&self, group: usize) -> usize {
        self.groups + group * GROUP
    }

    fn stamp(&self, seq: u64) -> u64 {
        self.word(self.slot_at(seq))
    }

    /// Whether the message is in its slot.
    pub(crate) fn holds(&self, seq: u64) -> bool {
        self.stamp(seq) == seq + 1
    }

    /// Whether the message is in its slot, whole.
    pub(crate) fn check(&self, seq: u64) -> Result<(), String> {
        if !self.holds(seq) {
            return Err(format!("message {seq} is not in its slot: stamp {}", self.stamp(seq)));
        }
        check(seq, (self.meta(seq) >> 32) as u32, self.payload(seq))
    }

    fn meta(&self, seq: u64) -> u64 {
        self.word(self.slot_at(seq) + 8)
    }

    pub(crate) fn payload(&self, seq: u64) -> &[u8] {
        let at = self.slot_at(seq);
        let (len, area) =
            (self.meta(seq) as usize & 0x1ff_ffff, &self.bytes[at + 16..at + self.stride]);
        area.get(..len).unwrap_or(area)
    }

    /// Number of the stream that the message in the slot of `seq` comes from, and its position.
    pub(crate) fn source(&self, seq: u64) -> Option<(u8, u64)> {
        let number = (self.meta(seq) >> 25) as u8 & 0x7f;
        (number > 0).then(|| (number, self.word(self.slot_at(seq) + self.position_in_slot)))
    }

    pub(crate) fn has_sources(&self) -> bool {
        self.streams > 0
    }

    /// Where the entry of a stream is.
    pub(crate) fn stream_at(&self, number: u8) -> usize {
        self.streams_at + (usize::from(number) - 1) * STREAM
    }

    /// The streams that are in use.
    pub(crate) fn streams(&self) -> Vec<StreamImage> {
        let numbers = 1..=self.streams as u8;
        let used = numbers.filter(|number| self.word(self.stream_at(*number) + 32) % 2 == 1);
        used.map(|number| {
            let at = self.stream_at(number);
            let label = &self.bytes[at + 40..at + STREAM];
            let label = String::from_utf8_lossy(label).trim_end_matches('\0').to_owned();
            let id = u128::from(self.word(at)) | u128::from(self.word(at + 8)) << 64;
            let [last, start] = [16, 24].map(|field| self.word(at + field));
            StreamImage { number, id, last, start, label }
        })
        .collect()
    }

    /// All active groups. A group that is only half made does not count: the next control operation frees it.
    pub(crate) fn groups(&self) -> Vec<GroupImage> {
        let active = (0..self.max_groups).filter(|index| self.word(self.group_at(*index)) == 2);
        active
            .map(|index| {
                let at = self.group_at(index);
                let traits = self.word(at + 16);
                let name = &self.bytes[at + 64..at + 64 + (traits >> 16 & 0xff) as usize];
                let head = self.word(at + 384);
                GroupImage {
                    index,
                    name: String::from_utf8_lossy(name).into_owned(),
                    shared: traits & 0xff == 1,
                    goes: traits >> 8 & 0xff == 1 && self.word(at + 24) & 1 == 1,
                    limit: Some((traits >> 24) as u8).filter(|limit| !matches!(limit, 0 | 255)),
                    head: head >> 8,
                    claimer: head as u8,
                    delivered: self.word(at + 512),
                    attempts: self.word(at + 520),
                }
            })
            .collect()
    }

    /// Start words of a group's records: (record, sequence, state).
    fn records(&self, group: usize) -> impl Iterator<Item = (u8, u64, u64)> {
        (0..self.max_consumers).filter_map(move |record| {
            let start = self.word(self.record_at(record));
            (start >> 2 & 0x3f == group as u64).then_some((record as u8, start >> 8, start & 3))
        })
    }

    /// The records that belong to a group.
    pub(crate) fn records_of(&self, group: &GroupImage) -> Vec<u8> {
        self.records(group.index).map(|(record, ..)| record).collect()
    }

    /// The messages that a group has yet to receive, in order of their sequences.
    pub(crate) fn owed(&self, group: &GroupImage) -> Vec<Owed> {
        // Without a count of its own, a message that was delivered was delivered once.
        let next = |attempts: u64, seq: u64| match attempts >> 8 == seq {
            true => (attempts as u8).saturating_add(1),
            false => 2,
        };
        let mut owed = Vec::new();
        for seq in group.head..self.end {
            let attempts = match group.shared || seq >= group.delivered {
                true => 1,
                false => next(group.attempts, seq),
            };
            owed.push(Owed { seq, record: None, attempts });
        }
        if group.shared {
            for (record, start, state) in self.records(group.index) {
                let at = self.record_at(record.into());
                let end = self.word(at + 8);
                let claimed =
                    state == 2 || state == 1 && (group.head, group.claimer) == (end, record);
                for seq in (start..end).take_while(|_| claimed) {
                    let attempts = next(self.word(at + 16), seq);
                    owed.push(Owed { seq, record: Some(record), attempts });
                }
            }
        }
        owed.sort_by_key(|owed| owed.seq);
        owed
    }

    /// The group's counts of messages acked and of messages delivered again, those of its records included.
    pub(crate) fn counted(&self, group: &GroupImage) -> [u64; 2] {
        let at = self.group_at(group.index);
        self.records_of(group).into_iter().fold(
            [self.word(at + 640), self.word(at + 648)],
            |[acked, again], record| {
                let at = self.record_at(record.into());
                [acked + self.word(at + 128), again + self.word(at + 136)]
            },
        )
    }

    /// Whether a record of the group has a PENDING whose claim did not succeed.
    pub(crate) fn is_pending(&self, group: &GroupImage) -> bool {
        let owed = self.owed(group);
        self.records(group.index).any(|(record, _, state)| {
            state == 1 && !owed.iter().any(|owed| owed.record == Some(record))
        })
    }

    /// How many messages fit before the first that a group still needs; `counts` chooses the groups.
    pub(crate) fn room(&self, counts: impl Fn(&GroupImage) -> bool) -> u64 {
        let groups = self.groups();
        let groups = groups.iter().filter(|group| counts(group));
        let gate = groups
            .map(|group| self.owed(group).first().map_or(self.end, |owed| owed.seq))
            .min()
            .unwrap_or(self.end);
        self.capacity - (self.end - gate)
    }
}
