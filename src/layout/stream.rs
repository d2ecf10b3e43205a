//! The table of streams, in a queue whose messages can say where they came from.

use crate::sync::{AtomicU64, Unmodelled};

/// Most streams of a queue: a meta word has 7 bits for the number of one, and 0 is no stream.
pub(crate) const MAX_STREAMS: usize = 127;

/// One stream. The producer alone stores its words.
#[repr(C)]
#[cfg_attr(not(slipring_loom), repr(align(64)))]
pub(crate) struct StreamRecord {
    /// The low half first.
    pub(crate) id: [AtomicU64; 2],
    /// Position of the stream's last message below the tail; 0 before its first.
    pub(crate) last: AtomicU64,
    /// Position of its first message here; for people.
    pub(crate) start: Unmodelled,
    /// Even: free, odd: in use. Each change adds 1.
    pub(crate) state: AtomicU64,
    /// What it is called, for people: up to 24 bytes of UTF-8, the rest 0.
    pub(crate) label: [Unmodelled; 3],
}

/// What a slot has after its payload area, in a queue with streams.
#[repr(C)]
pub(crate) struct SourceWords {
    /// Position of the message in its stream. Means something while the meta word names a stream.
    pub(crate) position: AtomicU64,
    /// Reserved: the time of publication.
    time: Unmodelled,
}

impl StreamRecord {
    pub(crate) fn new() -> StreamRecord {
        let zero = || AtomicU64::new(0);
        StreamRecord {
            id: [zero(), zero()],
            last: zero(),
            start: Unmodelled::new(0),
            state: zero(),
            label: std::array::from_fn(|_| Unmodelled::new(0)),
        }
    }
}

impl SourceWords {
    pub(crate) fn new() -> SourceWords {
        SourceWords { position: AtomicU64::new(0), time: Unmodelled::new(0) }
    }
}

#[cfg(not(slipring_loom))]
const _: () = {
    assert!(size_of::<StreamRecord>() == 64);
    assert!(size_of::<SourceWords>() == 16 && align_of::<SourceWords>() == 8);
};
