use crate::packed::{Attempts, Head, NOBODY};
use crate::sync::{
    AtomicU64, Line, Ordering, Unmodelled, WaitWord, WordExt, fence, mutant, order, step,
};

/// A group: a named position in the queue.
#[repr(C)]
pub(crate) struct GroupRecord {
    pub(crate) identity: Line<IdentityWords>,
    /// Part of the identity.
    pub(crate) target: Line<TargetWords>,
    /// See [`Head`].
    pub(crate) head: Line<AtomicU64>,
    pub(crate) delivery: Line<Delivery>,
    pub(crate) cold: Line<ColdWords>,
}

/// The words that are written when the group is made. They mean nothing while `state` is free.
#[repr(C)]
pub(crate) struct IdentityWords {
    /// See [`GroupState`].
    pub(crate) state: AtomicU64,
    /// Odd while the identity is being written.
    pub(crate) generation: AtomicU64,
    /// Bits 0..8 mode, 8..16 retention, 16..24 name length, 24..32 most attempts (0 = no limit).
    pub(crate) traits: AtomicU64,
    /// Bit 0: a consumer has joined the group since it was made.
    pub(crate) flags: AtomicU64,
    /// 1 once there is a queue of letters that were sent again: members receive from it, too, and end only after it.
    pub(crate) retries: AtomicU64,
    /// Nanoseconds after which a message can be taken from a member that lives; 0: never.
    pub(crate) ack_timeout: AtomicU64,
    /// Bits 0..32 the group's first cell, 32..64 how many it has; 0: the group has none.
    pub(crate) extent: AtomicU64,
    /// The sequence at which it started.
    pub(crate) began: AtomicU64,
    pub(crate) name: [AtomicU64; NAME_WORDS],
}

/// The queue for a group's dead letters. Written and read with the name.
#[repr(C)]
pub(crate) struct TargetWords {
    /// Length of the name; 0: the default queue.
    pub(crate) len: AtomicU64,
    pub(crate) name: [AtomicU64; TARGET_WORDS],
}

/// In the models, the length alone shows that it is another queue.
const TARGET_WORDS: usize = if cfg!(slipring_loom) { 0 } else { 31 };
const TARGET_MAX: usize = TARGET_WORDS * 8;

/// In the models, two words are enough to show half a name.
const NAME_WORDS: usize = if cfg!(slipring_loom) { 2 } else { 8 };
/// Longest group name, in bytes.
pub(crate) const GROUP_NAME_MAX: usize = NAME_WORDS * 8;

/// What the next consumer of an exclusive group needs to know.
#[repr(C)]
pub(crate) struct Delivery {
    /// Everything below this was handed to a consumer at least once.
    pub(crate) up_to: AtomicU64,
    /// See [`Attempts`]; about the message at the head.
    pub(crate) attempts: AtomicU64,
    /// Tick at which the group's cells are to be looked at next.
    pub(crate) next_due: AtomicU64,
    /// Reserved: where an orphaned range may be found.
    pub(crate) orphan: Unmodelled,
}

/// Words that no busy consumer writes: a producer that wakes reads the wait word of every group.
#[repr(C)]
pub(crate) struct ColdWords {
    pub(crate) totals: Totals,
    pub(crate) wait: GroupWait,
}

/// The counts of former consumers. A reader adds the counters of the records in use.
#[repr(C)]
pub(crate) struct Totals {
    pub(crate) acked: Unmodelled,
    pub(crate) redelivered: Unmodelled,
    pub(crate) dead_lettered: Unmodelled,
}

/// Where the group's consumers sleep.
#[repr(C)]
pub(crate) struct GroupWait {
    /// Bit 0: a consumer sleeps. Bit 1: the producer has left others asleep. Above: the generation, a count of
    /// wake-ups.
    pub(crate) word: WaitWord,
    /// Where members sleep until a cell is empty. Bit 0: one does. From bit 2 on: a count of wake-ups.
    pub(crate) cells: WaitWord,
}

/// Bit of a group's flags: a consumer has joined it since it was made.
pub(crate) const FLAG_JOINED: u64 = 1;

/// State of a group's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupState {
    Free,
    /// The holder of the control lease makes or removes it, or died while it did. Gates like an active group.
    Joining,
    Active,
    /// Reserved for eviction.
    Closed,
}

impl GroupState {
    /// Unknown values gate like a closed group, so that nothing is overwritten.
    pub(crate) fn unpack(word: u64) -> GroupState {
        match word {
            0 => GroupState::Free,
            1 => GroupState::Joining,
            2 => GroupState::Active,
            _ => GroupState::Closed,
        }
    }
}

/// How a group's messages are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
#[cfg_attr(slipring_loom, allow(unreachable_pub))]
pub enum Mode {
    /// One consumer, all of them, in order. The default.
    #[default]
    Exclusive = 0,
    /// Many consumers: each message goes to one of them.
    Shared = 1,
}

impl Mode {
    /// The mode of a traits word; `None` if a newer version wrote it.
    pub(crate) fn of(traits: u64) -> Option<Mode> {
        match traits as u8 {
            0 => Some(Mode::Exclusive),
            1 => Some(Mode::Shared),
            _ => None,
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Mode::Exclusive => "exclusive",
            Mode::Shared => "shared",
        })
    }
}

fn zero() -> Unmodelled {
    Unmodelled::new(0)
}

fn word() -> AtomicU64 {
    AtomicU64::new(0)
}

impl GroupRecord {
    /// Bytes used of each line.
    #[cfg(not(slipring_loom))]
    pub(crate) const USED: [usize; 6] =
        [128, 128, 128, size_of::<u64>(), size_of::<Delivery>(), size_of::<ColdWords>()];

    pub(crate) fn new() -> GroupRecord {
        GroupRecord {
            identity: Line(IdentityWords {
                state: word(),
                generation: word(),
                traits: word(),
                flags: word(),
                retries: word(),
                ack_timeout: word(),
                extent: word(),
                began: word(),
                name: std::array::from_fn(|_| word()),
            }),
            target: Line(TargetWords { len: word(), name: std::array::from_fn(|_| word()) }),
            head: Line(AtomicU64::new(Head { seq: 0, claimer: NOBODY }.pack())),
            delivery: Line(Delivery {
                up_to: word(),
                attempts: AtomicU64::new(Attempts::NONE),
                next_due: word(),
                orphan: zero(),
            }),
            cold: Line(ColdWords {
                totals: Totals { acked: zero(), redelivered: zero(), dead_lettered: zero() },
                wait: GroupWait { word: WaitWord::new(), cells: WaitWord::new() },
            }),
        }
    }
}

/// A group's identity as plain values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: [u8; GROUP_NAME_MAX],
    pub(crate) name_len: u8,
    pub(crate) mode: u8,
    pub(crate) retention: u8,
    /// Deliveries after which a message is a dead letter; 0 = no limit.
    pub(crate) max_attempts: u8,
    /// Stored in a queue with cells alone; elsewhere the words stay 0.
    pub(crate) in_flight: Option<InFlight>,
}

/// Where a group has its messages in flight, in a queue with cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// Nanoseconds; 0: none.
    pub(crate) ack_timeout: u64,
    pub(crate) first_cell: u32,
    /// 0: a group without cells.
    pub(crate) cells: u32,
}

impl InFlight {
    fn store(self, to: &IdentityWords) {
        // Relaxed, both: carried by the even generation, and by the group's state. pairs identity and group-made.
        to.ack_timeout.store(self.ack_timeout, Ordering::Relaxed);
        let extent = u64::from(self.first_cell) | u64::from(self.cells) << 32;
        to.extent.store(extent, Ordering::Relaxed);
    }

    /// Changes the ack timeout of a group, in nanoseconds. The control lease is held.
    pub(crate) fn set_ack_timeout(group: &GroupRecord, ack_timeout: u64) {
        // Relaxed: what the caller sends or gives back after it carries it. pairs payload and cell.
        group.identity.ack_timeout.store(ack_timeout, Ordering::Relaxed);
    }

    /// Reads it; the caller is a member of the group.
    pub(crate) fn ack_timeout(group: &GroupRecord) -> u64 {
        // Relaxed: as above.
        group.identity.ack_timeout.load(Ordering::Relaxed)
    }

    /// Reads the words; the caller has seen the state of a group that cannot go meanwhile, or reads them between two
    /// reads of the generation.
    pub(crate) fn load(group: &GroupRecord) -> InFlight {
        let from = &*group.identity;
        // Relaxed, both: as above.
        let ack_timeout = from.ack_timeout.load(Ordering::Relaxed);
        let extent = from.extent.load(Ordering::Relaxed);
        InFlight { ack_timeout, first_cell: extent as u32, cells: (extent >> 32) as u32 }
    }
}

/// The queue for a group's dead letters, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    len: u64,
    name: [u8; TARGET_MAX],
}

impl Target {
    /// The default.
    pub(crate) const NONE: Target = Target { len: 0, name: [0; TARGET_MAX] };

    /// `name` was checked, so it is not too long.
    pub(crate) fn named(name: &str) -> Target {
        let mut target = Target { len: name.len() as u64, ..Target::NONE };
        for (to, byte) in target.name.iter_mut().zip(name.bytes()) {
            *to = byte;
        }
        target
    }

    /// Called while the generation is odd.
    fn store(&self, to: &TargetWords) {
        // Relaxed: carried by the even generation. pair identity.
        to.len.store(self.len, Ordering::Relaxed);
        let (words, _) = self.name.as_chunks::<8>();
        for (word, bytes) in to.name.iter().zip(words) {
            // Relaxed: as above.
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// Called between two reads of the generation.
    fn load(from: &TargetWords) -> Target {
        // Relaxed: the two reads of the generation say whether it is whole. pair identity.
        let mut target = Target { len: from.len.load(Ordering::Relaxed), ..Target::NONE };
        let (words, _) = target.name.as_chunks_mut::<8>();
        for (bytes, word) in words.iter_mut().zip(&from.name) {
            // Relaxed: as above.
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        target
    }

    /// Empty: the default. If the length is impossible, all bytes: no queue has that name.
    #[cfg(not(slipring_loom))]
    pub(crate) fn name(&self) -> &[u8] {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        self.name.get(..len).unwrap_or(&self.name)
    }
}

impl Identity {
    #[cfg(not(slipring_loom))]
    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_len).min(GROUP_NAME_MAX)]
    }

    /// Writes the identity of a free group, with the queue for its dead letters; the control lease is held.
    pub(crate) fn store(&self, target: &Target, group: &GroupRecord) {
        let to = &*group.identity;
        // Relaxed loads and stores: only the holder of the control lease stores here.
        let last = to.generation.load_own(Ordering::Relaxed);
        // The generation is odd already if the last writer died.
        let generation = mutant!(last | 1, "generation-only-raised", last.wrapping_add(1));
        to.generation.store(generation, Ordering::Relaxed);
        // Release fence. pair identity: a reader that sees new words sees the odd generation.
        step!(fence(Ordering::Release), "identity-without-release-fence");
        let (words, _) = self.name.as_chunks::<8>();
        for (word, bytes) in to.name.iter().zip(words) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
        let traits = [self.mode, self.retention, self.name_len, self.max_attempts, 0, 0, 0, 0];
        let traits = u64::from_le_bytes(traits);
        to.traits.store(traits, Ordering::Relaxed);
        target.store(&group.target);
        if let Some(in_flight) = self.in_flight {
            in_flight.store(to);
        }
        // Release. pair identity: an even generation carries the words above.
        let even = generation.wrapping_add(1);
        to.generation.store(even, order!(Release, "identity-published-relaxed"));
    }

    /// Reads the identity; `None` while it is being written: a reader without the control lease never reports half a
    /// name.
    #[cfg(not(slipring_loom))]
    pub(crate) fn load(group: &GroupRecord) -> Option<Identity> {
        Self::load_and(group, |_| ()).map(|(identity, ())| identity)
    }

    /// A number that changes whenever the index is given to another group.
    #[cfg(not(slipring_loom))]
    #[inline]
    pub(crate) fn generation(group: &GroupRecord) -> u64 {
        // Relaxed: it is compared only.
        group.identity.generation.load(Ordering::Relaxed)
    }

    /// The same, with the queue for dead letters of that group.
    pub(crate) fn load_with_target(group: &GroupRecord) -> Option<(Identity, Target)> {
        Self::load_and(group, Target::load)
    }

    #[inline(always)]
    fn load_and<T>(
        group: &GroupRecord,
        more: impl FnOnce(&TargetWords) -> T,
    ) -> Option<(Identity, T)> {
        let from = &*group.identity;
        // Acquire. pair identity: the words that were stored before this generation.
        let before = from.generation.load(order!(Acquire, "identity-read-relaxed"));
        let mut name = [0; GROUP_NAME_MAX];
        let (words, _) = name.as_chunks_mut::<8>();
        for (bytes, word) in words.iter_mut().zip(&from.name) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        let traits = from.traits.load(Ordering::Relaxed);
        let more = more(&group.target);
        // The models of names have no cells.
        let in_flight = (!cfg!(slipring_loom)).then(|| InFlight::load(group));
        // Acquire fence. pair identity: if a word above was new, the generation below is new as well.
        step!(fence(Ordering::Acquire), "identity-without-acquire-fence");
        let after = from.generation.load(Ordering::Relaxed);
        let name_len = ((traits >> 16) as u8).min(GROUP_NAME_MAX as u8);
        let whole = mutant!(before & 1 == 0, "half-written-is-whole", true);
        let identity = Identity {
            name,
            name_len,
            mode: traits as u8,
            retention: (traits >> 8) as u8,
            max_attempts: (traits >> 24) as u8,
            in_flight,
        };
        (before == after && whole).then_some((identity, more))
    }
}

#[cfg(not(slipring_loom))]
const _: () = {
    assert!(size_of::<IdentityWords>() == 128 && size_of::<TargetWords>() == 256);
    assert!(size_of::<GroupRecord>() == 6 * 128);
    assert!(std::mem::offset_of!(GroupRecord, head) == 3 * 128);
    assert!(size_of::<ColdWords>() == 32 && std::mem::offset_of!(ColdWords, wait) == 24);
};
