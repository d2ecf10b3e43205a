use crate::sync::{AtomicU64, Ordering, Payload, mutant};

/// Front of every slot.
#[repr(C)]
pub(crate) struct SlotHeader {
    /// Sequence + 1 once published; 0 while being written or never written.
    pub(crate) stamp: AtomicU64,
    /// See [`Meta`].
    pub(crate) meta: MetaWord,
}

impl SlotHeader {
    pub(crate) fn new() -> SlotHeader {
        SlotHeader { stamp: AtomicU64::new(0), meta: MetaWord::new() }
    }
}

/// One message's place.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) stamp: &'a AtomicU64,
    pub(crate) meta: &'a MetaWord,
    pub(crate) payload: Payload,
}

/// Length and kind of a message: length 25 bits, kind from bit 32 on. The 7 bits between name the stream that the
/// message came from, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) len: usize,
    pub(crate) kind: u32,
}

impl Meta {
    const LEN: u64 = (1 << 25) - 1;

    /// Of a message of these bytes.
    #[cfg(not(slipring_loom))]
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8], kind: u32) -> Meta {
        Meta { len: bytes.len(), kind }
    }
    const STREAM: u32 = 25;

    /// No message is longer than [`PAYLOAD_MAX`](super::PAYLOAD_MAX), which fits.
    #[inline]
    pub(crate) fn pack(self) -> u64 {
        debug_assert!(self.len as u64 <= Meta::LEN);
        self.len as u64 | u64::from(self.kind) << 32
    }

    #[inline]
    pub(crate) fn unpack(word: u64) -> Meta {
        Meta { len: (word & Meta::LEN) as usize, kind: (word >> 32) as u32 }
    }

    #[inline]
    fn stream(word: u64) -> u8 {
        (word >> Meta::STREAM & 127) as u8
    }
}

/// A slot's [`Meta`]. The stamp publishes it, as it does the payload.
#[repr(transparent)]
pub(crate) struct MetaWord(AtomicU64);

impl MetaWord {
    pub(crate) fn new() -> MetaWord {
        MetaWord(AtomicU64::new(0))
    }

    /// Copies the word of another place, with the number of the stream.
    #[inline]
    pub(crate) fn copy_from(&self, other: &MetaWord) {
        // Relaxed, both: the one was published with its message, and the other will be. pairs payload and cell.
        self.0.store(other.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn load(&self) -> Meta {
        // Relaxed. pair payload: the stamp or tail that the reader saw carries it. An observer checks the stamp again.
        Meta::unpack(self.0.load(Ordering::Relaxed))
    }

    /// The same, with the number of the stream that the message comes from.
    #[inline(always)]
    pub(crate) fn load_with_stream(&self) -> (Meta, u8) {
        // Relaxed: as above.
        let word = self.0.load(Ordering::Relaxed);
        (Meta::unpack(word), Meta::stream(word))
    }

    /// The producer alone stores it. The message then comes from no stream.
    #[inline(always)]
    pub(crate) fn store(&self, meta: Meta) {
        // Relaxed: published by the stamp. pair payload.
        mutant!(
            self.0.store(meta.pack(), Ordering::Relaxed),
            "no-source-not-stored",
            self.store_from(meta, self.stream())
        );
    }

    /// Number of the stream that the message comes from; 0 for none.
    #[inline]
    pub(crate) fn stream(&self) -> u8 {
        self.load_with_stream().1
    }

    /// The same, of a message that comes from the stream with this number, at most 127.
    #[inline]
    pub(crate) fn store_from(&self, meta: Meta, stream: u8) {
        // Relaxed: published by the stamp. pair payload.
        self.0.store(meta.pack() | u64::from(stream) << Meta::STREAM, Ordering::Relaxed);
    }
}

#[cfg(not(slipring_loom))]
const _: () = assert!(size_of::<SlotHeader>() == super::PAYLOAD_ALIGN);

#[cfg(all(test, not(slipring_loom)))]
mod tests {
    use super::super::PAYLOAD_MAX;
    use super::*;

    #[test]
    fn a_meta_word_holds_the_longest_message_and_any_kind() {
        let meta = Meta { len: PAYLOAD_MAX, kind: u32::MAX };
        assert_eq!(Meta::unpack(meta.pack()), meta);
        assert_eq!(
            meta.pack() >> Meta::STREAM & 127,
            0,
            "a message comes from no stream by itself"
        );
    }
}
