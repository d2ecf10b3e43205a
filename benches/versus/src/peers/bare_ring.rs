//! slipring's ring with all taken out that makes it survive a crash or a stranger: no claims, no acks of messages, no
//! leases, no groups, no schema. What is left is one sender, one receiver and slots of the same form (stamp, meta, payload:
//! a line each) in shared memory; the tail and the receiver's place, each stored once a batch; and stamps that are taken
//! back, many at a time, before a slot is written again, which brings their lines on their way together. What slipring
//! takes beyond this is the price of the rest.
//!
//! How long a receiver should wait between two looks depends on where the ends are, so there are several of it, and the
//! fastest is the one to compare with.

#![allow(unsafe_code)]

mod claims;
mod trip;
mod warm;

use std::borrow::Borrow;
use std::cell::UnsafeCell;
use std::fs::File;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::leftovers::TempFile;
use crate::message::{BATCH, CAPACITY, Filled, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) use claims::BareClaims;
pub(crate) use trip::BareTrip;
pub(crate) use warm::{BareCopied, BareInPlace};

/// Batches of up to 32. The receiver pauses `PAUSES` times more between two looks that find fewer than `RUN` messages, but
/// takes what is there after 64 such looks. The sender takes `AHEAD` slots back at a time.
pub(crate) struct BareRing<const PAUSES: u32, const RUN: u64, const AHEAD: u64>;

/// A slot of slipring's default format.
#[repr(C, align(64))]
struct Slot {
    stamp: AtomicU64,
    meta: AtomicU64,
    payload: UnsafeCell<Msg>,
}

#[repr(C)]
struct Words {
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    slots: [Slot; CAPACITY],
}

/// A ring, for as long as it is mapped. Invariant R: one thread sends; a slot between its publication and its being given
/// back is read by one thread, and written by none.
struct Ring {
    at: NonNull<Words>,
    _file: TempFile,
}

// SAFETY: a mapping may be used by any thread; who does what is R.
unsafe impl Send for Ring {}
// SAFETY: as above; the words are atomic, and of a slot's bytes the tail and the head say whose they are.
unsafe impl Sync for Ring {}

const SIZE: NonZeroUsize = NonZeroUsize::new(size_of::<Words>()).unwrap();

impl Ring {
    fn new() -> Result<Arc<Ring>, NotRun> {
        let temp = TempFile::new();
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(temp.path());
        let file = file.map_err(NotRun::because)?;
        file.set_len(SIZE.get() as u64).map_err(NotRun::because)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping, at an address of the kernel's choice, of a file that is ours alone.
        let at = unsafe { mmap(None, SIZE, access, flags, &file, 0) };
        let at = at.map_err(NotRun::because)?.cast();
        Ok(Arc::new(Ring { at, _file: temp }))
    }

    fn words(&self) -> &Words {
        // SAFETY: mapped with this size, at a page's start; zeros are a value of it, and its bytes are changed by R only.
        unsafe { self.at.as_ref() }
    }

    fn slot(&self, seq: u64) -> &Slot {
        &self.words().slots[seq as usize % CAPACITY]
    }

    /// # Safety
    /// The slot is published, the caller has seen that, and it is not given back before the reference ends.
    #[inline]
    unsafe fn read(&self, seq: u64) -> &Msg {
        let slot = self.slot(seq);
        // Relaxed: the caller has seen it published. It is read as slipring reads it.
        assert!(slot.stamp.load(Ordering::Relaxed) == seq + 1, "a stamp is wrong");
        // SAFETY: the caller's promise, and R.
        unsafe { &*slot.payload.get() }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; whoever looks at it has this value, too.
        let _ = unsafe { munmap(self.at.cast(), SIZE.get()) };
    }
}

/// Sends batches of up to `N`.
struct Sender<const N: usize, const AHEAD: u64> {
    ring: Arc<Ring>,
    tail: u64,
    /// Slots below are taken back.
    opened: u64,
    /// The receiver's place when it was last looked at.
    head: u64,
    spin: Spin,
}

struct Receiver<const PAUSES: u32, const RUN: u64> {
    ring: Arc<Ring>,
    head: u64,
    spin: Spin,
}

impl<const PAUSES: u32, const RUN: u64, const AHEAD: u64> Transport
    for BareRing<PAUSES, RUN, AHEAD>
{
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let ring = Ring::new()?;
        let sender = Sender::<BATCH, AHEAD>::of(ring.clone(), spin);
        Ok((move || sender, move || Receiver::<PAUSES, RUN> { ring, head: 0, spin }))
    }
}

impl<const N: usize, const AHEAD: u64> Sender<N, AHEAD> {
    fn of(ring: Arc<Ring>, spin: Spin) -> Self {
        Sender { ring, tail: 0, opened: 0, head: 0, spin }
    }

    /// Waits until there is room for so many.
    #[inline]
    fn room(&mut self, n: u64) {
        while self.tail + n > self.head + CAPACITY as u64 {
            // Acquire: the receiver has read what was there, see its store.
            self.head = self.ring.words().head.load(Ordering::Acquire);
            if self.tail + n > self.head + CAPACITY as u64 {
                self.spin.again();
            }
        }
        while self.opened < self.tail + n {
            let end = (self.opened + AHEAD).min(self.head + CAPACITY as u64);
            for seq in self.opened..end {
                // Relaxed: nobody reads a stamp above the tail here. It costs what it costs slipring.
                self.ring.slot(seq).stamp.store(0, Ordering::Relaxed);
            }
            self.opened = end;
        }
    }

    /// Sends a batch, once there is room for it.
    #[inline]
    fn send(&mut self, batch: impl ExactSizeIterator<Item: Borrow<Msg>>) {
        let n = batch.len() as u64;
        self.room(n);
        for (msg, seq) in batch.zip(self.tail..) {
            let slot = self.ring.slot(seq);
            // Relaxed: the stamp publishes it.
            slot.meta.store(size_of::<Msg>() as u64, Ordering::Relaxed);
            // SAFETY: there is room, so the receiver has given the slot back; nobody else writes (R).
            unsafe { *slot.payload.get() = *msg.borrow() };
            // Release: whoever sees the stamp sees the payload.
            slot.stamp.store(seq + 1, Ordering::Release);
        }
        self.tail += n;
        // Release: whoever sees the tail sees the slots below it.
        self.ring.words().tail.store(self.tail, Ordering::Release);
    }
}

impl<const N: usize, const AHEAD: u64> Put for Sender<N, AHEAD> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::<N>::of_size();
        while at < end {
            let batch = filled.next(at, end);
            self.send(batch.iter());
            at += batch.len() as u64;
        }
    }
}

impl<const PAUSES: u32, const RUN: u64> Receiver<PAUSES, RUN> {
    /// How many of at most `most` messages are there.
    #[inline]
    fn look(&self, most: u64) -> u64 {
        let mut looks = 0;
        loop {
            // Acquire: the slots below, see the sender's store.
            let there = self.ring.words().tail.load(Ordering::Acquire) - self.head;
            looks += 1;
            if there >= RUN.min(most) || there > 0 && looks > 64 {
                return there.min(most).min(BATCH as u64);
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
            self.spin.again();
        }
    }

    #[inline]
    fn expected(&mut self, mut expected: InOrder) {
        while expected.left() > 0 {
            let got = self.look(expected.left());
            for seq in self.head..self.head + got {
                // SAFETY: below the tail, and not given back yet: the sender leaves it alone.
                expected.see(unsafe { self.ring.read(seq) });
            }
            self.head += got;
            // Release: the slots were read before they are given back.
            self.ring.words().head.store(self.head, Ordering::Release);
        }
    }
}

impl<const PAUSES: u32, const RUN: u64> Take for Receiver<PAUSES, RUN> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        self.expected(InOrder::expect(from, n));
    }
}
