//! What the loom models put in the place of `native`.
//!
//! A thread may be told to die at its k-th store: it unwinds there, and all its later stores, those of
//! destructors included, are suppressed. Stopping before a load leaves the same memory as stopping after
//! the store before it, so stores are all the points there are.

#![allow(unsafe_code)]

use std::cell::Cell;

use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic::fence;

use super::Ordering;

/// What a dying thread unwinds with.
#[derive(Debug)]
pub(crate) struct Died;

#[derive(Clone, Copy)]
enum Life {
    Forever,
    /// Stores left.
    Left(u32),
    Dead,
}

loom::thread_local! {
    static LIFE: Cell<Life> = Cell::new(Life::Forever);
}

/// Lets the calling thread die at its `k`-th store from now on, counted from 0.
pub(crate) fn die_at(k: u32) {
    LIFE.with(|life| life.set(Life::Left(k)));
}

/// Lets the calling thread live on, whatever was said before.
pub(crate) fn live() {
    LIFE.with(|life| life.set(Life::Forever));
}

/// Comes before every store: says whether it happens.
fn step() -> bool {
    let life = LIFE.with(|life| {
        let next = match life.get() {
            Life::Left(0) => Life::Dead,
            Life::Left(n) => Life::Left(n - 1),
            other => other,
        };
        let now = life.replace(next);
        (now, next)
    });
    match life {
        (Life::Left(0), _) => std::panic::resume_unwind(Box::new(Died)),
        (Life::Dead, _) => false,
        _ => true,
    }
}

macro_rules! atomic {
    ($name:ident, $int:ty) => {
        #[derive(Debug)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        #[allow(dead_code, reason = "the protocol uses what it needs of it")]
        impl $name {
            pub(crate) fn new(value: $int) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $int {
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $int, order: Ordering) {
                if step() {
                    self.0.store(value, order);
                }
            }
        }
    };
}

atomic!(AtomicU64, u64);
atomic!(AtomicU32, u32);

/// Bytes of a payload in the models.
pub(crate) const PAYLOAD: usize = 16;

thread_local! {
    static OBSERVED: Cell<bool> = const { Cell::new(false) };
}

/// Whether segments made from now on, by this model, are read by observers.
pub(crate) fn set_observed(observed: bool) {
    OBSERVED.set(observed);
}

/// A payload: with gated readers only, a cell in which loom finds every race; with observers, which race
/// by design, words that may tear.
struct Backing {
    observed: bool,
    cell: UnsafeCell<[u8; PAYLOAD]>,
    words: [loom::sync::atomic::AtomicU64; 2],
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload(*const Backing);

impl Payload {
    pub(crate) const fn footprint(_size: usize) -> usize {
        size_of::<Backing>()
    }

    /// # Safety
    /// As in `native`.
    pub(crate) unsafe fn init(at: *mut u8) {
        let backing = Backing {
            observed: OBSERVED.get(),
            cell: UnsafeCell::new([0; PAYLOAD]),
            words: std::array::from_fn(|_| loom::sync::atomic::AtomicU64::new(0)),
        };
        // SAFETY: the area has the footprint's size, is aligned to 16, and nobody looks at it yet.
        unsafe { at.cast::<Backing>().write(backing) };
    }

    /// # Safety
    /// As in `native`; the area was initialised.
    pub(crate) unsafe fn new(at: *mut u8, _area: usize) -> Payload {
        Payload(at.cast())
    }

    fn backing(&self) -> &Backing {
        // SAFETY: the area was initialised, and lives as long as the view it came from.
        unsafe { &*self.0 }
    }

    pub(crate) fn store(self, bytes: &[u8]) {
        let mut value = [0; PAYLOAD];
        value.copy_from_slice(bytes);
        let backing = self.backing();
        if !backing.observed {
            if step() {
                // SAFETY: loom's cell reports any access that is not ordered with this one.
                backing.cell.with_mut(|cell| unsafe { *cell = value });
            }
            return;
        }
        let (words, _) = value.as_chunks::<8>();
        for (to, word) in backing.words.iter().zip(words) {
            if step() {
                to.store(u64::from_le_bytes(*word), Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn load(self, out: &mut [u8]) -> usize {
        let (words, _) = out.as_chunks_mut::<8>();
        for (word, from) in words.iter_mut().zip(&self.backing().words) {
            *word = from.load(Ordering::Relaxed).to_le_bytes();
        }
        out.len().min(PAYLOAD)
    }

    /// # Safety
    /// As in `native`; here, loom checks it.
    pub(crate) unsafe fn bytes(self) -> [u8; PAYLOAD] {
        // SAFETY: loom's cell reports any write that is not ordered with this read.
        self.backing().cell.with(|cell| unsafe { *cell })
    }
}
