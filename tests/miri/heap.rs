//! A segment without a kernel: records on the heap, and leases that are words.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::io;
use std::ptr::NonNull;

use crate::layout::{
    GROUP_NAME_MAX, Geometry, Identity, Meta, Mode, Target, View, WakeMode, lease_byte,
};
use crate::ring::claim::Claim;
use crate::ring::groups::{self, Position};
use crate::ring::publish::{Publisher, stamp};
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sync::{AtomicU64, Ordering};

pub(super) const PAYLOAD: usize = 16;

/// What all processes of a test share; they are threads.
pub(super) struct Segment {
    base: NonNull<u8>,
    layout: Layout,
    view: View,
    /// One word for each lease: 1 while it is held.
    leases: Vec<AtomicU64>,
    /// How often each message was acked.
    acks: Vec<AtomicU64>,
    /// 1 once a role has failed: the others would wait for it for ever.
    failed: AtomicU64,
}

// SAFETY: the base is used in `drop` alone; a view may be shared, by its own word.
unsafe impl Sync for Segment {}

impl Segment {
    /// For `messages` in all.
    pub(super) fn new(capacity: u64, records: usize, messages: u64) -> Segment {
        let geo = Geometry::new(capacity, PAYLOAD, 1, records, 0, 0, 0).unwrap();
        let layout = Layout::from_size_align(geo.total, 128).unwrap();
        // SAFETY: a segment is never of size 0.
        let base = unsafe { alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        // SAFETY: as long as the geometry says, aligned, and freed only with this value.
        let view = unsafe { View::init(base, geo, WakeMode::None) };
        let words = |n: usize| (0..n).map(|_| AtomicU64::new(0)).collect();
        let (leases, acks) = (words(records + 2), words(messages as usize));
        Segment { base, layout, view, leases, acks, failed: AtomicU64::new(0) }
    }

    fn lease(&self, byte: u64) -> &AtomicU64 {
        let records = self.view.records().len();
        &self.leases[match byte {
            lease_byte::PRODUCER => records,
            lease_byte::CONTROL => records + 1,
            record => record as usize,
        }]
    }

    /// Lets the others go on. Brings nothing of what they do.
    pub(super) fn pause(&self) {
        assert_eq!(self.failed.load(Ordering::Relaxed), 0, "another role failed");
        std::thread::yield_now();
    }

    pub(super) fn messages(&self) -> u64 {
        self.acks.len() as u64
    }

    /// Whether every message was acked. Brings nothing of what was done before.
    pub(super) fn is_done(&self) -> bool {
        self.acks.iter().all(|acks| acks.load(Ordering::Relaxed) > 0)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; what is in there needs no drop.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// One handle: what it holds goes when it dies.
pub(super) struct Process<'s> {
    pub(super) segment: &'s Segment,
    held: RefCell<Vec<u64>>,
}

impl<'s> Process<'s> {
    pub(super) fn new(segment: &'s Segment) -> Process<'s> {
        Process { segment, held: RefCell::default() }
    }

    pub(super) fn view(&self) -> &'s View {
        &self.segment.view
    }

    /// Waits for a lease.
    pub(super) fn wait_for(&self, byte: u64) {
        while !try_take(self, byte).unwrap() {
            self.segment.pause();
        }
    }

    /// Runs `change` under the control lease.
    pub(super) fn controlled<T>(&self, change: impl FnOnce() -> T) -> T {
        self.wait_for(lease_byte::CONTROL);
        let value = change();
        give_back(self, lease_byte::CONTROL);
        value
    }

    /// Makes group 0, at the oldest message; returns where it starts.
    pub(super) fn make(&self, mode: Mode) -> u64 {
        self.controlled(|| {
            let index = groups::free_group(self.view()).unwrap();
            let (name, mode) = ([b'g'; GROUP_NAME_MAX], mode as u8);
            let identity = Identity {
                name,
                name_len: 1,
                mode,
                retention: 0,
                max_attempts: 0,
                in_flight: None,
            };
            identity.store(&Target::NONE, self.view().group(index));
            groups::make_group(self.view(), index, Position::Oldest, false)
        })
    }

    /// Takes the producer's role, when it is free.
    pub(super) fn produce(&self) -> Publisher {
        self.wait_for(lease_byte::PRODUCER);
        Publisher::take_over(self.view()).unwrap()
    }

    /// Sends one message, when there is room.
    pub(super) fn send(&self, publisher: &mut Publisher) {
        while publisher.room(self.view(), 1).is_err() {
            self.segment.pause();
        }
        let meta = Meta { len: PAYLOAD, kind: publisher.tail() as u32 };
        let seq = publisher.tail();
        // SAFETY: as long as a slot's payload.
        let slot = unsafe { publisher.fill(self.view(), 0, meta, &content(seq), false) };
        stamp(&slot, seq);
        publisher.advance(self.view(), 1);
    }

    /// Reads what was claimed, in place.
    pub(super) fn read(&self, claim: &Claim) {
        for seq in claim.start..claim.end {
            let slot = self.view().slot(seq);
            let meta = slot.meta.load();
            // SAFETY: claimed and not acked (invariant borrow); Miri checks that nobody writes it meanwhile.
            check(seq, meta, unsafe { slot.payload.bytes() });
        }
    }

    /// Notes acks of `claim`, which are still to be made: nobody acks these messages again.
    pub(super) fn note(&self, claim: &Claim) {
        for seq in claim.start..claim.end {
            let before = self.segment.acks[seq as usize].fetch_add(1, Ordering::Relaxed);
            assert_eq!(before, 0, "message {seq} was acked twice");
        }
    }
}

impl Drop for Process<'_> {
    /// The kernel frees the locks of a dead process, after all that it stored.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.segment.failed.store(1, Ordering::Relaxed);
        }
        for byte in self.held.take() {
            self.segment.lease(byte).store(0, Ordering::Release);
        }
    }
}

impl Leases for Process<'_> {
    /// Relaxed, as `unlock`: the fences of sync::lease must do all the ordering.
    fn try_lock(&self, byte: u64) -> io::Result<bool> {
        let lease = self.segment.lease(byte);
        let taken = lease.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if taken {
            self.held.borrow_mut().push(byte);
        }
        Ok(taken)
    }

    fn unlock(&self, byte: u64) {
        self.held.borrow_mut().retain(|held| *held != byte);
        self.segment.lease(byte).store(0, Ordering::Relaxed);
    }
}

/// The content of a message: two equal words.
fn content(seq: u64) -> [u8; PAYLOAD] {
    let word = (seq + 1).to_le_bytes();
    std::array::from_fn(|i| word[i % word.len()])
}

/// Checks a message that says to be `seq`.
pub(super) fn check(seq: u64, meta: Meta, bytes: &[u8]) {
    assert_eq!(meta, Meta { len: PAYLOAD, kind: seq as u32 }, "message {seq} is another one");
    assert_eq!(bytes, content(seq), "message {seq} is torn or another one");
}
