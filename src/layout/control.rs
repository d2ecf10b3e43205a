use crate::sync::{AtomicU64, Line, Unmodelled, UnmodelledHalf, WaitWord};

/// The words of the queue as a whole. Each word that is polled has a cache line of its own.
#[repr(C)]
pub(crate) struct Control {
    /// Next sequence to be published. Written by the producer.
    pub(crate) tail: Line<AtomicU64>,
    /// No producer ever wrote at or above it. The producer's slow path writes it.
    pub(crate) limit: Line<AtomicU64>,
    /// Bit 0: consumers sleep, at the words of their groups. The producer reads it after each publication.
    pub(crate) data: Line<WaitWord>,
    pub(crate) room: Line<RoomWait>,
    pub(crate) marks: Line<Marks>,
    /// Pid of the holder of the control lease, for errors: a failed lock call does not tell it.
    pub(crate) holder: Line<Unmodelled>,
    pub(crate) producer: ProducerRecord,
}

/// Where the producer sleeps, and what room it waits for. A consumer that finds no sleeper reads only the first word.
#[repr(C)]
pub(crate) struct RoomWait {
    /// Bit 0: the producer sleeps. From bit 2 on: the generation, a count of wake-ups.
    pub(crate) word: WaitWord,
    /// Reserved. A field, so that no byte of the record is padding.
    gap: UnmodelledHalf,
    /// The gate that is worth a wake-up. The producer stores it before each sleep.
    pub(crate) threshold: AtomicU64,
}

/// Highest index ever used + 1. They never shrink, and are raised before the first use.
#[repr(C)]
pub(crate) struct Marks {
    pub(crate) groups: AtomicU64,
    pub(crate) records: AtomicU64,
}

/// The producer, for people to read and for the next producer; and whether more messages are to come.
#[repr(C)]
pub(crate) struct ProducerRecord {
    pub(crate) identity: Line<ProducerIdentity>,
    pub(crate) counters: Line<ProducerCounters>,
    /// Reserved: eight tails, each with its time.
    pub(crate) pace: Line<[Unmodelled; 16]>,
}

#[repr(C)]
pub(crate) struct ProducerIdentity {
    pub(crate) pid: Unmodelled,
    /// Raised by 1 at every takeover.
    pub(crate) epoch: AtomicU64,
    /// 0 open, 1 closed.
    pub(crate) state: AtomicU64,
    /// The sequence at which the queue was last closed. It means nothing while the state is open.
    pub(crate) closed_at: AtomicU64,
}

/// The producer's counts. Its slow path alone stores them, so they lag by up to a quarter of the ring.
#[repr(C)]
pub(crate) struct ProducerCounters {
    /// Payload bytes published.
    pub(crate) bytes: Unmodelled,
    /// Times the queue was found full.
    pub(crate) full: Unmodelled,
    /// Nanoseconds for which producers waited for room, up to the end of the last wait.
    pub(crate) blocked: Unmodelled,
    /// When the wait that it is in began, in nanoseconds of CLOCK_MONOTONIC; 0: it does not wait.
    pub(crate) blocked_since: Unmodelled,
}

fn zero() -> Unmodelled {
    Unmodelled::new(0)
}

impl Control {
    /// Bytes used of each line.
    #[cfg(not(slipring_loom))]
    pub(crate) const USED: [usize; 9] = [
        size_of::<u64>(),
        size_of::<u64>(),
        size_of::<u32>(),
        size_of::<RoomWait>(),
        size_of::<Marks>(),
        size_of::<u64>(),
        size_of::<ProducerIdentity>(),
        size_of::<ProducerCounters>(),
        128,
    ];

    /// All words 0, except the tail and the limit, which start at the queue's base sequence.
    pub(crate) fn new(base: u64) -> Control {
        Control {
            tail: Line(AtomicU64::new(base)),
            limit: Line(AtomicU64::new(base)),
            data: Line(WaitWord::new()),
            room: Line(RoomWait {
                word: WaitWord::new(),
                gap: UnmodelledHalf::new(0),
                threshold: AtomicU64::new(0),
            }),
            marks: Line(Marks { groups: AtomicU64::new(0), records: AtomicU64::new(0) }),
            holder: Line(zero()),
            producer: ProducerRecord {
                identity: Line(ProducerIdentity {
                    pid: zero(),
                    epoch: AtomicU64::new(0),
                    state: AtomicU64::new(0),
                    closed_at: AtomicU64::new(0),
                }),
                counters: Line(ProducerCounters {
                    bytes: zero(),
                    full: zero(),
                    blocked: zero(),
                    blocked_since: zero(),
                }),
                pace: Line(std::array::from_fn(|_| zero())),
            },
        }
    }
}

#[cfg(not(slipring_loom))]
const _: () = {
    assert!(size_of::<Control>() == 9 * 128);
    assert!(std::mem::offset_of!(Control, producer) == 6 * 128);
    assert!(size_of::<RoomWait>() == 16 && std::mem::offset_of!(RoomWait, threshold) == 8);
};
