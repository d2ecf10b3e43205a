//! The book: what the processes of a run note in memory that they share, outside any queue: which calls have begun, and
//! which have returned. A call that has returned must have taken effect; a call that has not begun must not have.

#![allow(unsafe_code)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// Groups of the queues that are stepped through, by their names.
pub(crate) const GROUPS: [&str; 4] = ["store", "work", "temp", "new"];

/// Streams of the queues that are stepped through, by their names.
pub(crate) const STREAMS: [&str; 3] = ["lines", "old", "new"];

/// Sequences that a run may use.
pub(crate) const SEQUENCES: u64 = 64;

#[derive(Debug)]
pub(crate) struct Book {
    /// The sequence after the last message whose send has returned (`sent`), and has begun (`sending`).
    pub(crate) sent: AtomicU64,
    pub(crate) sending: AtomicU64,
    /// Whether the victim has begun, and has done, its operation.
    pub(crate) begun: AtomicU64,
    pub(crate) done: AtomicU64,
    /// A number whose meaning the closures of an operation agree on.
    pub(crate) note: AtomicU64,
    groups: [Account; GROUPS.len()],
    /// Where each message comes from, noted before it is sent: index of the stream in the low byte, and the position; 0 for
    /// a message without a source.
    sources: [AtomicU64; SEQUENCES as usize],
    streams: [StreamAccount; STREAMS.len()],
    /// Of the queue behind a stage: messages that its group has acked, and those whose ack has begun.
    pub(crate) out_acked: AtomicU64,
    pub(crate) out_acking: AtomicU64,
}

/// What a producer has said of a stream besides its messages.
#[derive(Debug)]
pub(crate) struct StreamAccount {
    /// The position that a call passes, and that one has passed.
    pub(crate) passing: AtomicU64,
    pub(crate) passed: AtomicU64,
    /// Whether a call that gives the stream up has begun, and has returned.
    pub(crate) forgetting: AtomicU64,
    pub(crate) forgotten: AtomicU64,
}

/// What a group has done: sets of sequences, a bit each.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) received: AtomicU64,
    pub(crate) acking: AtomicU64,
    pub(crate) acked: AtomicU64,
    /// Being rejected, so that a letter may be there; rejected, so that one must be.
    pub(crate) rejecting: AtomicU64,
    pub(crate) rejected: AtomicU64,
    /// The count of a delivery is being taken back, or has been.
    pub(crate) uncounting: AtomicU64,
    /// The messages that the next survivor must receive, by sequence: attempts of that delivery, 0 = no message.
    expected: [AtomicU64; SEQUENCES as usize],
}

impl Book {
    pub(crate) fn clear(&self) {
        let counts = [&self.sent, &self.sending, &self.begun, &self.done, &self.note];
        let outs = [&self.out_acked, &self.out_acking];
        counts.into_iter().chain(outs).chain(&self.sources).for_each(|word| word.store(0, SeqCst));
        for StreamAccount { passing, passed, forgetting, forgotten } in &self.streams {
            let words = [passing, passed, forgetting, forgotten];
            words.into_iter().for_each(|word| word.store(0, SeqCst));
        }
        for account in &self.groups {
            let Account { received, acking, acked, rejecting, rejected, uncounting, expected } =
                account;
            let bits = [received, acking, acked, rejecting, rejected, uncounting];
            for word in bits.into_iter().chain(expected) {
                word.store(0, SeqCst);
            }
        }
    }

    pub(crate) fn of(&self, group: &str) -> &Account {
        let at = GROUPS.iter().position(|name| *name == group);
        &self.groups[at.unwrap_or_else(|| panic!("no group {group:?} in the book"))]
    }

    pub(crate) fn stream(&self, name: &str) -> &StreamAccount {
        let at = STREAMS.iter().position(|stream| *stream == name);
        &self.streams[at.unwrap_or_else(|| panic!("no stream {name:?} in the book"))]
    }

    /// Notes where the message comes from that is about to be sent.
    pub(crate) fn note_source(&self, seq: u64, source: Option<(&str, u64)>) {
        let word = source.map_or(0, |(name, position)| {
            let at = STREAMS.iter().position(|stream| *stream == name);
            position << 8 | at.unwrap_or_else(|| panic!("no stream {name:?} in the book")) as u64
        });
        self.sources[seq as usize].store(word, SeqCst);
    }

    /// Where a message comes from.
    pub(crate) fn source(&self, seq: u64) -> Option<(&'static str, u64)> {
        let word = self.sources[seq as usize].load(SeqCst);
        (word > 0).then(|| (STREAMS[word as usize & 0xff], word >> 8))
    }
}

/// Plain counters, which may all be zero.
pub(crate) trait Zeroed {}

impl Zeroed for Book {}

/// Zeros, shared with all processes that are forked from now on. The mapping is never removed.
pub(crate) fn shared<T: Zeroed>() -> nix::Result<&'static T> {
    let size = NonZeroUsize::new(size_of::<T>()).ok_or(nix::Error::EINVAL)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping, at no address in particular.
    let at = unsafe { mmap_anonymous(None, size, access, MapFlags::MAP_SHARED) }?;
    // SAFETY: it is large enough, page-aligned, never unmapped, and all zeros, which is a value of the type.
    Ok(unsafe { at.cast::<T>().as_ref() })
}

impl Account {
    pub(crate) fn expect(&self, messages: &[(u64, u8)]) {
        self.expected.iter().for_each(|attempts| attempts.store(0, SeqCst));
        for (seq, attempts) in messages {
            self.expected[*seq as usize].store((*attempts).into(), SeqCst);
        }
    }

    pub(crate) fn expected(&self) -> Vec<(u64, u8)> {
        let all = (0..).zip(self.expected.each_ref().map(|attempts| attempts.load(SeqCst) as u8));
        all.filter(|(_, attempts)| *attempts != 0).collect()
    }
}

pub(crate) fn note(word: &AtomicU64, seq: u64) {
    word.fetch_or(1 << seq, SeqCst);
}

pub(crate) fn noted(word: &AtomicU64, seq: u64) -> bool {
    word.load(SeqCst) >> seq & 1 == 1
}

/// The message with sequence `seq`: its length, kind and bytes follow from that.
pub(crate) fn message(seq: u64) -> (u32, Vec<u8>) {
    let mut bytes = seq.to_le_bytes().to_vec();
    let mut word = seq;
    while bytes.len() < 17 + (seq % 20) as usize {
        // A step of SplitMix64.
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bytes.push((word.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8);
    }
    (seq as u32 * 7 + 1, bytes)
}

/// Checks that a message with sequence `seq` is the one that `message` makes.
pub(crate) fn check(seq: u64, kind: u32, bytes: &[u8]) -> Result<(), String> {
    if (kind, bytes) == (message(seq).0, &message(seq).1[..]) {
        return Ok(());
    }
    Err(format!("message {seq} is not whole: kind {kind}, bytes {bytes:?}"))
}
