#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, compiler_fence};
pub(crate) use std::sync::atomic::{AtomicU64, fence};
#[cfg(feature = "async")]
pub(crate) use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::{Ordering, WordExt};
use crate::sys::{futex, membarrier};

/// A word of a segment at which threads of any process sleep until it changes.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct WaitWord(AtomicU32);

impl WaitWord {
    pub(crate) fn new() -> Self {
        WaitWord(AtomicU32::new(0))
    }

    #[inline]
    pub(crate) fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    pub(crate) fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        self.0.fetch_or(bits, order)
    }

    pub(crate) fn fetch_and(&self, bits: u32, order: Ordering) -> u32 {
        self.0.fetch_and(bits, order)
    }

    pub(crate) fn fetch_add(&self, n: u32, order: Ordering) -> u32 {
        self.0.fetch_add(n, order)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, success, failure)
    }

    /// Sleeps until it is woken at any of `words`, for at most `longest`. Does not sleep if one of them differs from
    /// its value. Returns `false` if it was certainly not woken, and nothing has changed.
    pub(crate) fn sleep<'w>(
        words: impl ExactSizeIterator<Item = (&'w WaitWord, u32)>,
        longest: Duration,
    ) -> bool {
        let mut words = words.map(|(word, value)| (word.0.as_ptr(), value));
        match (words.len(), words.next()) {
            // SAFETY: the address of a borrowed word.
            (1, Some((at, value))) => unsafe { futex::wait(at, value, longest) },
            // SAFETY: addresses of borrowed words.
            (_, first) => unsafe { futex::wait_any(first.into_iter().chain(words), longest) },
        }
    }

    /// Wakes one thread that sleeps here. Returns whether others sleep on.
    pub(crate) fn wake_one(&self) -> bool {
        // SAFETY: the address of a borrowed word.
        unsafe { futex::wake_one(self.0.as_ptr()) }
    }

    /// Wakes all threads that sleep here.
    pub(crate) fn wake_all(&self) {
        // SAFETY: the address of a borrowed word.
        unsafe { futex::wake_all(self.0.as_ptr()) };
    }
}

/// The light side of the asymmetric barrier, a compiler fence: the `heavy_barrier` of another thread makes a full one
/// of it.
#[inline(always)]
pub(crate) fn light_barrier() {
    // SeqCst: the compiler moves no access across it; `ring::park` has the other side.
    compiler_fence(Ordering::SeqCst);
}

/// A full barrier on this processor and on all that run a registered process. Returns whether it was made: a filter
/// that the process installed after its registration may deny the system call.
pub(crate) fn heavy_barrier() -> bool {
    membarrier::everywhere().is_ok()
}

impl WordExt for AtomicU64 {
    #[inline]
    fn load_own(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline]
    fn store_beside_exchange(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

const WORD: usize = size_of::<u64>();

/// Copies `bytes` to `to`. If the compiler does not know the length (`fixed`: it does), common lengths are copied in
/// two overlapping halves, without a call.
///
/// # Safety
/// `to` is valid for as many bytes, and does not overlap them.
#[inline(always)]
unsafe fn copy(bytes: &[u8], to: *mut u8, fixed: bool) {
    match bytes.len() {
        // SAFETY: by the caller's promise.
        33..=64 if !fixed => unsafe { copy_halves::<32>(bytes, to) },
        // SAFETY: by the caller's promise.
        17..=32 if !fixed => unsafe { copy_halves::<16>(bytes, to) },
        // SAFETY: by the caller's promise.
        8..=16 if !fixed => unsafe { copy_halves::<8>(bytes, to) },
        // SAFETY: by the caller's promise.
        len => unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) },
    }
}

/// Copies the first and the last `N` bytes of at least `N`.
///
/// # Safety
/// As for [`copy`].
#[inline(always)]
unsafe fn copy_halves<const N: usize>(bytes: &[u8], to: *mut u8) {
    let last = bytes.len() - N;
    // SAFETY: there are N bytes at least, by the caller's promise.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, N) };
    let (from, to) = (bytes.as_ptr().wrapping_add(last), to.wrapping_add(last));
    // SAFETY: as above; N bytes before their ends.
    unsafe { std::ptr::copy_nonoverlapping(from, to, N) };
}

/// The payload area of one slot.
///
/// Invariant: the pointer is aligned to 16, and `area` bytes from it (`area` rounded up to whole words) lie inside the
/// slot, which stays mapped as long as the `View` that made this value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    ptr: *mut u8,
    area: usize,
}

impl Payload {
    /// Bytes that a payload area for `size` bytes takes in a slot.
    pub(crate) const fn footprint(size: usize) -> usize {
        size
    }

    /// Makes the area ready for use. The creator calls it.
    ///
    /// # Safety As for [`Payload::new`]; no other thread or process accesses the area yet.
    pub(crate) unsafe fn init(_at: *mut u8) {}

    /// # Safety
    /// `ptr` and `area` must satisfy the type's invariant.
    #[inline]
    pub(crate) unsafe fn new(ptr: *mut u8, area: usize) -> Payload {
        Payload { ptr, area }
    }

    #[inline]
    fn word(&self, i: usize) -> &AtomicU64 {
        // SAFETY: the callers keep i below area / 8 rounded up, which the type's invariant covers; the area is aligned
        // to 16. Through this mapping, plain writes (`bytes_mut`) exclude all other accesses; observers have another
        // mapping (docs/design.md, Writing in place beside observers).
        unsafe { AtomicU64::from_ptr(self.ptr.cast::<u64>().wrapping_add(i)) }
    }

    /// Copies `bytes` in.
    ///
    /// # Safety
    /// They are no longer than the area. The caller is the producer, and the slot's stamp is 0, as for
    /// [`Payload::bytes_mut`].
    #[inline(always)]
    pub(crate) unsafe fn store(self, bytes: &[u8], fixed: bool) {
        debug_assert!(bytes.len() <= self.area);
        // Miri's threads stand for processes, but share one mapping.
        if cfg!(miri) {
            return self.store_words(bytes);
        }
        // SAFETY: by the type's invariant the area is mapped, by the caller's promise `bytes` fit, and nothing is
        // borrowed from the slot. Plain stores, of any width: docs/design.md, Writing in place beside observers.
        unsafe { copy(bytes, self.ptr, fixed) };
    }

    /// Makes the area of a cell ready for use, as [`Payload::init`].
    ///
    /// # Safety As for [`Payload::init`].
    pub(crate) unsafe fn init_shared(_at: *mut u8) {}

    /// The same in relaxed words; bytes after the end, up to a whole word, become 0. Of a cell, whose readers check the
    /// cell's word before and after.
    #[inline]
    pub(crate) fn store_words(self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.area);
        let bytes = &bytes[..bytes.len().min(self.area)];
        let (words, rest) = bytes.as_chunks::<WORD>();
        for (i, word) in words.iter().enumerate() {
            // Relaxed: the slot's stamp publishes the payload, and tells observers when it changes.
            self.word(i).store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut last = [0; WORD];
            last[..rest.len()].copy_from_slice(rest);
            // Relaxed: as above.
            self.word(words.len()).store(u64::from_le_bytes(last), Ordering::Relaxed);
        }
    }

    /// Copies the first bytes out, at most the area, as relaxed words; the caller checks the stamp before and after.
    /// Returns how many bytes were filled.
    #[inline]
    pub(crate) fn load(self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.area);
        let (words, rest) = out[..len].as_chunks_mut::<WORD>();
        let whole = words.len();
        for (i, word) in words.iter_mut().enumerate() {
            // Relaxed: the caller reads the stamp before (Acquire) and after (after a fence).
            *word = self.word(i).load(Ordering::Relaxed).to_le_bytes();
        }
        if !rest.is_empty() {
            // Relaxed: as above.
            let last = self.word(whole).load(Ordering::Relaxed).to_le_bytes();
            rest.copy_from_slice(&last[..rest.len()]);
        }
        len
    }

    /// The same, of a cell, whose word the caller checks after it.
    pub(crate) fn load_words(self, out: &mut [u8]) {
        self.load(out);
    }

    /// The whole area, in place.
    ///
    /// # Safety
    /// The message must be published (its stamp read with Acquire) and may not be acked while `'a`
    /// lasts: the gate then keeps the producer away.
    #[inline]
    pub(crate) unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: by the type's invariant the area is mapped; by the caller's promise no thread writes it.
        unsafe { std::slice::from_raw_parts(self.ptr, self.area) }
    }

    /// The whole area, for writing in place.
    ///
    /// # Safety The caller is the producer, the slot lies below its limit and its stamp is 0. Observers, which read
    /// through other mappings, discard what they read meanwhile, because the stamp tells them.
    #[inline]
    pub(crate) unsafe fn bytes_mut<'a>(self) -> &'a mut [u8] {
        // SAFETY: by the type's invariant the area is mapped; by the caller's promise no consumer holds it.
        unsafe { std::slice::from_raw_parts_mut(self.ptr, self.area) }
    }
}
