//! The format of dead letters: messages that a group gave up, with a description of where they come from.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::DeadLetterSendError;
use crate::layout::GROUP_NAME_MAX;
use crate::layout::config::QUEUE_NAME_MAX;

/// Why a message became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It had its last attempt, and was never acked.
    MaxAttempts,
    /// A consumer rejected it.
    Rejected,
}

impl Reason {
    fn of(code: u8) -> Option<Reason> {
        match code {
            1 => Some(Reason::MaxAttempts),
            2 => Some(Reason::Rejected),
            _ => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Reason::MaxAttempts => 1,
            Reason::Rejected => 2,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::MaxAttempts => "max-attempts",
            Reason::Rejected => "rejected",
        })
    }
}

/// A message that a group gave up, and where it comes from.
///
/// In a dead-letter queue, a message's payload is the original payload, followed by an envelope of
/// [`DeadLetter::ENVELOPE`] bytes, whose layout is in docs/layout.md; its kind is the original kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter<'a> {
    /// Queue that the message was sent to.
    pub queue: &'a str,
    /// Group that gave it up.
    pub group: &'a str,
    /// Its sequence in that queue.
    pub sequence: u64,
    /// Attempts of that group; 255 means 255 or more.
    pub attempts: u8,
    /// When it became a dead letter.
    pub time: SystemTime,
    /// Why the group gave it up.
    pub reason: Reason,
    /// Its kind.
    pub kind: u32,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What follows the original payload, at any address.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Envelope {
    sequence: U64,
    /// Nanoseconds since 1970.
    time: U64,
    version: u8,
    reason: u8,
    attempts: u8,
    queue_len: u8,
    group_len: u8,
    spare: [u8; 3],
    queue: [u8; QUEUE_NAME_MAX],
    group: [u8; GROUP_NAME_MAX],
    magic: [u8; 8],
}

const MAGIC: [u8; 8] = *b"deadltr\0";
const VERSION: u8 = 1;

fn name<const N: usize>(bytes: &[u8; N], len: u8) -> Option<&str> {
    str::from_utf8(bytes.get(..usize::from(len))?).ok()
}

fn padded<const N: usize>(name: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    bytes
}

impl<'a> DeadLetter<'a> {
    /// Bytes that follow the original payload.
    pub const ENVELOPE: usize = size_of::<Envelope>();

    /// Reads a message of a dead-letter queue; `None` if it is not a dead letter.
    pub fn parse(kind: u32, message: &'a [u8]) -> Option<DeadLetter<'a>> {
        let at = message.len().checked_sub(DeadLetter::ENVELOPE)?;
        let (payload, envelope) = message.split_at(at);
        let envelope = Envelope::ref_from_bytes(envelope).ok()?;
        if envelope.magic != MAGIC || envelope.version != VERSION {
            return None;
        }
        Some(DeadLetter {
            queue: name(&envelope.queue, envelope.queue_len)?,
            group: name(&envelope.group, envelope.group_len)?,
            sequence: envelope.sequence.get(),
            attempts: envelope.attempts,
            time: UNIX_EPOCH + Duration::from_nanos(envelope.time.get()),
            reason: Reason::of(envelope.reason)?,
            kind,
            payload,
        })
    }

    /// Writes the letter as a message of a dead-letter queue, into `out`, whose contents it replaces.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let time = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let envelope = Envelope {
            sequence: U64::new(self.sequence),
            time: U64::new(time.as_nanos() as u64),
            version: VERSION,
            reason: self.reason.code(),
            attempts: self.attempts,
            queue_len: self.queue.len().min(QUEUE_NAME_MAX) as u8,
            group_len: self.group.len().min(GROUP_NAME_MAX) as u8,
            spare: [0; 3],
            queue: padded(self.queue),
            group: padded(self.group),
            magic: MAGIC,
        };
        out.clear();
        out.extend_from_slice(self.payload);
        out.extend_from_slice(envelope.as_bytes());
    }
}

/// A destination for dead letters. When `send_letter` returns without an error, the letter is stored or handled.
pub(crate) trait DeadLetterSink: Send + fmt::Debug {
    /// `target` is the queue that the group names.
    fn send_letter(
        &mut self,
        target: &str,
        letter: &DeadLetter<'_>,
    ) -> Result<(), DeadLetterSendError>;
}

/// Name of the dead-letter queue of `queue`, for groups that name no other.
pub(crate) fn default_target(queue: &str) -> String {
    format!("{queue}.dead")
}

/// Name of the queue of retries for `group` of `queue`.
pub(crate) fn retry_queue(queue: &str, group: &str) -> String {
    format!("{queue}.{group}.retry")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter<'static> {
        DeadLetter {
            queue: "ticks",
            group: "audit",
            sequence: 7,
            attempts: 5,
            time: UNIX_EPOCH + Duration::from_nanos(1_234_567_890),
            reason: Reason::Rejected,
            kind: 9,
            payload: b"payload",
        }
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        letter().write(&mut bytes);
        assert_eq!(bytes.len(), 7 + DeadLetter::ENVELOPE);
        assert_eq!(DeadLetter::parse(9, &bytes), Some(letter()));
        // At any place in memory.
        let mut shifted = vec![0];
        shifted.extend_from_slice(&bytes);
        assert_eq!(DeadLetter::parse(9, &shifted[1..]), Some(letter()));
    }

    #[test]
    fn other_bytes_are_no_letter() {
        let mut bytes = Vec::new();
        letter().write(&mut bytes);
        assert_eq!(DeadLetter::parse(0, &bytes[..DeadLetter::ENVELOPE - 1]), None);
        let at = bytes.len() - DeadLetter::ENVELOPE;
        // Version, reason, lengths of the names, and the mark at the end.
        for (offset, value) in [(16, 2), (17, 0), (19, 201), (20, 65), (295, 1)] {
            let mut garbled = bytes.clone();
            garbled[at + offset] = value;
            assert_eq!(DeadLetter::parse(0, &garbled), None, "{offset}");
        }
    }
}
