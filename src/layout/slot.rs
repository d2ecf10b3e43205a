use crate::sync::{AtomicU64, Ordering, Payload};

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
        SlotHeader { stamp: AtomicU64::new(0), meta: MetaWord(AtomicU64::new(0)) }
    }
}

/// One message's place.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) stamp: &'a AtomicU64,
    pub(crate) meta: &'a MetaWord,
    pub(crate) payload: Payload,
}

/// Length and kind of a message: length 25 bits, flags 7 bits (0 now), kind 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) len: usize,
    pub(crate) kind: u32,
}

impl Meta {
    const LEN: u64 = (1 << 25) - 1;

    #[inline]
    pub(crate) fn pack(self) -> u64 {
        (self.len as u64 & Meta::LEN) | u64::from(self.kind) << 32
    }

    #[inline]
    pub(crate) fn unpack(word: u64) -> Meta {
        Meta { len: (word & Meta::LEN) as usize, kind: (word >> 32) as u32 }
    }
}

/// A slot's [`Meta`]. The stamp publishes it, as it does the payload.
#[repr(transparent)]
pub(crate) struct MetaWord(AtomicU64);

impl MetaWord {
    #[inline(always)]
    pub(crate) fn load(&self) -> Meta {
        // Relaxed. pair payload: the stamp or tail that the reader saw carries it. An observer checks the stamp again.
        Meta::unpack(self.0.load(Ordering::Relaxed))
    }

    /// The producer alone stores it.
    #[inline(always)]
    pub(crate) fn store(&self, meta: Meta) {
        // Relaxed: published by the stamp. pair payload.
        self.0.store(meta.pack(), Ordering::Relaxed);
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
        assert_eq!(meta.pack() >> 25 & 127, 0, "flag bits stay 0");
    }
}
