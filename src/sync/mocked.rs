//! The atomics, barriers and payloads of the loom models, in place of `native`.
//!
//! A thread may be told to die at its k-th store: it unwinds there, and all its later stores are suppressed. A death
//! before a load leaves the same memory as a death after the store before it, so stores are the only points that
//! matter. [`Unmodelled`](super::Unmodelled) words are outside of all that.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use loom::cell::UnsafeCell;
pub(crate) use loom::sync::atomic::fence;
pub(crate) use loom::sync::{Mutex, MutexGuard};
use loom::thread::{Thread, current, park};

use super::{Ordering, WordExt};

/// The payload of a dying thread's unwinding.
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
    let (now, next) = LIFE.with(|life| {
        let next = match life.get() {
            Life::Left(0) => Life::Dead,
            Life::Left(n) => Life::Left(n - 1),
            other => other,
        };
        (life.replace(next), next)
    });
    match (now, next) {
        (Life::Left(_), Life::Dead) => std::panic::resume_unwind(Box::new(Died)),
        (Life::Dead, _) => false,
        _ => true,
    }
}

#[derive(Debug)]
pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

impl AtomicU64 {
    pub(crate) fn new(value: u64) -> Self {
        Self(loom::sync::atomic::AtomicU64::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: u64, order: Ordering) {
        if step() {
            self.0.store(value, order);
        }
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        if step() { self.0.compare_exchange(current, new, success, failure) } else { Err(!current) }
    }

    pub(crate) fn fetch_min(&self, value: u64, order: Ordering) -> u64 {
        if step() { self.0.fetch_min(value, order) } else { 0 }
    }
}

impl WordExt for AtomicU64 {
    /// Loom forgets that one thread has loaded a word once another one loads it, and then has no execution in which the
    /// other one's next store comes first (tokio-rs/loom#166). It remembers an exchange.
    ///
    /// An exchange with the same value changes nothing. It reads what a load would: the last value of the one thread
    /// that stores here. It continues the release sequence of the store before, and other threads may still read that
    /// store. It leaves memory as it was, so it is no point of death. Not for a word that helpers exchange: a load of
    /// such a word may be old.
    fn load_own(&self, order: Ordering) -> u64 {
        self.0.fetch_or(0, order)
    }

    /// Loom lets a plain store come between the load and the store of an exchange, which the language
    /// forbids; a swap cannot.
    fn store_beside_exchange(&self, value: u64, order: Ordering) {
        if step() {
            self.0.swap(value, order);
        }
    }
}

/// A word to sleep at. The lock stands for the kernel's, under which it compares the word before a sleep. Only a
/// wake-up ends a sleep: a wake-up that the protocol loses is a deadlock here.
#[derive(Debug)]
pub(crate) struct WaitWord {
    word: loom::sync::atomic::AtomicU32,
    asleep: Mutex<()>,
}

impl WaitWord {
    pub(crate) fn new() -> Self {
        let word = loom::sync::atomic::AtomicU32::new(0);
        WaitWord { word, asleep: Mutex::new(()) }
    }

    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.word.load(order)
    }

    pub(crate) fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        if step() { self.word.fetch_or(bits, order) } else { 0 }
    }

    pub(crate) fn fetch_and(&self, bits: u32, order: Ordering) -> u32 {
        if step() { self.word.fetch_and(bits, order) } else { 0 }
    }

    pub(crate) fn fetch_add(&self, n: u32, order: Ordering) -> u32 {
        if step() { self.word.fetch_add(n, order) } else { 0 }
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        if step() {
            self.word.compare_exchange(current, new, success, failure)
        } else {
            Err(!current)
        }
    }

    /// As the kernel does it: it compares one word after the other under its lock and queues the sleeper there; a word
    /// that has changed ends the sleep.
    pub(crate) fn sleep<'w>(
        words: impl ExactSizeIterator<Item = (&'w WaitWord, u32)>,
        longest: Duration,
    ) -> bool {
        if longest.is_zero() {
            return false;
        }
        let bell = Rc::new(Bell::new());
        let words: Vec<_> = words.collect();
        let asleep = words.iter().all(|&(word, value)| {
            let _guard = word.lock();
            // Relaxed: a waker changes the word first and takes the lock then.
            let still = word.word.load(Ordering::Relaxed) == value;
            if still {
                ASLEEP.with_borrow_mut(|all| all.push((&raw const *word, Rc::clone(&bell))));
            }
            still
        });
        if asleep {
            bell.wait();
        }
        ASLEEP.with_borrow_mut(|all| all.retain(|(_, other)| !Rc::ptr_eq(other, &bell)));
        if bell.rung.get() && !bell.parked.get() {
            // Rung on the way to sleep, without the edge that `unpark` makes. The kernel dequeues a sleeper under the
            // lock of the word that it was woken at, so the sleeper has seen what its waker did.
            for (word, _) in &words {
                drop(word.lock());
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.asleep.lock().unwrap_or_else(|_| unreachable!("nobody panics under it"))
    }

    /// Takes the thread that has slept longest off this word. It may have been woken at another word, and not have
    /// noticed yet.
    fn next(&self) -> Option<Rc<Bell>> {
        ASLEEP.with_borrow_mut(|all| {
            let at = all.iter().position(|(at, _)| *at == &raw const *self)?;
            Some(all.remove(at).1)
        })
    }

    /// Wakes one thread that sleeps here. Returns whether others sleep on.
    pub(crate) fn wake_one(&self) -> bool {
        step() && {
            let _guard = self.lock();
            if let Some(bell) = self.next() {
                bell.ring();
            }
            ASLEEP.with_borrow(|all| all.iter().any(|(at, _)| *at == &raw const *self))
        }
    }

    pub(crate) fn wake_all(&self) {
        if step() {
            let _guard = self.lock();
            while let Some(bell) = self.next() {
                bell.ring();
            }
        }
    }
}

/// Wakes one sleeper. The threads of a model switch only at its steps, and `park` is the only step here.
struct Bell {
    sleeper: Thread,
    rung: Cell<bool>,
    parked: Cell<bool>,
}

impl Bell {
    /// For the calling thread.
    fn new() -> Bell {
        Bell { sleeper: current(), rung: Cell::new(false), parked: Cell::new(false) }
    }

    fn wait(&self) {
        while !self.rung.get() {
            self.parked.set(true);
            park();
        }
    }

    fn ring(&self) {
        self.rung.set(true);
        // A thread that does not park yet may be waiting for a lock.
        if self.parked.get() {
            self.sleeper.unpark();
        }
    }
}

thread_local! {
    /// Which threads sleep at which word, in their order. Outside of the model, as the kernel's own lists are; each
    /// word's lock stands for the order of accesses.
    static ASLEEP: RefCell<Vec<(*const WaitWord, Rc<Bell>)>> = const { RefCell::new(Vec::new()) };
}

/// In the models, both barriers are full ones where they are.
pub(crate) fn light_barrier() {
    if !OVER.get() {
        fence(Ordering::SeqCst);
    }
}

pub(crate) fn heavy_barrier() -> bool {
    fence(Ordering::SeqCst);
    true
}

/// Bytes of a payload in the models: two words, so that it can tear.
pub(crate) const PAYLOAD: usize = 16;

thread_local! {
    static OBSERVED: Cell<bool> = const { Cell::new(false) };
    static OVER: Cell<bool> = const { Cell::new(false) };
    static TRIES: Cell<u32> = const { Cell::new(64) };
}

/// Whether the barriers of all waiters are over, so that those of the wakers are none: for wakers that begin only
/// then, after an edge from the waiters.
pub(crate) fn set_barriers_over(over: bool) {
    OVER.set(over);
}

/// How often a claim starts over. Models have fewer claims than the shipped number of tries.
pub(crate) fn tries() -> u32 {
    TRIES.get()
}

pub(crate) fn set_tries(tries: u32) {
    TRIES.set(tries);
}

/// Whether observers read the segments that are made from now on.
pub(crate) fn set_observed(observed: bool) {
    OBSERVED.set(observed);
}

/// With gated readers only, a cell in which loom finds every race; with observers, which race by
/// design, words that may tear.
enum Backing {
    Gated(UnsafeCell<[u8; PAYLOAD]>),
    Observed([loom::sync::atomic::AtomicU64; 2]),
}

// Segments are freed without dropping what is in them.
const _: () = assert!(!std::mem::needs_drop::<Backing>() && !std::mem::needs_drop::<AtomicU64>());
const _: () = assert!(!std::mem::needs_drop::<WaitWord>());

#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload(*const Backing);

impl Payload {
    pub(crate) const fn footprint(_size: usize) -> usize {
        size_of::<Backing>()
    }

    /// # Safety
    /// As in `native`.
    pub(crate) unsafe fn init(at: *mut u8) {
        let word = |_| loom::sync::atomic::AtomicU64::new(0);
        let backing = match OBSERVED.get() {
            false => Backing::Gated(UnsafeCell::new([0; PAYLOAD])),
            true => Backing::Observed(std::array::from_fn(word)),
        };
        // SAFETY: the area has the footprint's size, is aligned to 16, and no thread reads it yet.
        unsafe { at.cast::<Backing>().write(backing) };
    }

    /// # Safety
    /// As in `native`.
    pub(crate) unsafe fn init_shared(at: *mut u8) {
        let word = |_| loom::sync::atomic::AtomicU64::new(0);
        // SAFETY: the area has the footprint's size, is aligned to 16, and nobody looks at it yet.
        unsafe { at.cast::<Backing>().write(Backing::Observed(std::array::from_fn(word))) };
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

    /// # Safety
    /// As in `native`; here, loom checks it.
    pub(crate) unsafe fn store(self, bytes: &[u8], _fixed: bool) {
        let mut value = [0; PAYLOAD];
        value.copy_from_slice(bytes);
        match self.backing() {
            Backing::Gated(cell) => {
                if step() {
                    // SAFETY: loom's cell reports any access that is not ordered with this one.
                    cell.with_mut(|cell| unsafe { *cell = value });
                }
            }
            Backing::Observed(words) => {
                for (to, word) in words.iter().zip(value.as_chunks::<8>().0) {
                    if step() {
                        to.store(u64::from_le_bytes(*word), Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// By swaps, since [`Payload::load_words`] exchanges: see [`WordExt::store_beside_exchange`].
    pub(crate) fn store_words(self, bytes: &[u8]) {
        let Backing::Observed(words) = self.backing() else { unreachable!("a slot, not a cell") };
        for (to, word) in words.iter().zip(bytes.as_chunks::<8>().0) {
            if step() {
                to.swap(u64::from_le_bytes(*word), Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn load(self, out: &mut [u8]) -> usize {
        let Backing::Observed(words) = self.backing() else {
            unreachable!("a model without observers, and no cell")
        };
        for (out, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *out = word.load(Ordering::Relaxed).to_le_bytes();
        }
        out.len().min(PAYLOAD)
    }

    /// Reads by exchanges with the same value, as [`WordExt::load_own`] does and for its reason: loom would not try that the
    /// words change in the middle of the copy.
    pub(crate) fn load_words(self, out: &mut [u8]) {
        let Backing::Observed(words) = self.backing() else { unreachable!("a slot, not a cell") };
        for (out, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *out = word.fetch_or(0, Ordering::Relaxed).to_le_bytes();
        }
    }

    /// # Safety
    /// As in `native`; here, loom checks it.
    pub(crate) unsafe fn bytes(self) -> [u8; PAYLOAD] {
        let Backing::Gated(cell) = self.backing() else { unreachable!("a model with observers") };
        // SAFETY: loom's cell reports any write that is not ordered with this read.
        cell.with(|cell| unsafe { *cell })
    }
}
