//! Leases and mappings do not exist in a forked child.
//!
//! A child without exec inherits descriptors, and with them the locks; and mappings, which keep alive the locks of the
//! description that they were made through. A parent that is killed would then seem alive as long as its child lives.
//! Therefore a fork handler in the child closes the descriptor of every lease, and mappings are not inherited
//! (MADV_DONTFORK). The handler puts an inaccessible mapping in each hole, so that nothing else can lie where an old
//! handle points. Handles compare [`generation`] and refuse to work. What was borrowed from a handle before the fork (a
//! batch, a reservation) points into the inaccessible range: the child must leave it alone.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;
#[cfg(feature = "async")]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A resource that a child must not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inherited {
    Lease(RawFd),
    Mapping { at: usize, len: usize },
}

/// Number of forks between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Differs between a process and its forked child, and never changes within a process.
#[inline]
pub(crate) fn generation() -> u32 {
    // Relaxed: written by the only thread of a new process, before anything else runs there.
    GENERATION.load(Ordering::Relaxed)
}

struct Registry {
    lock: UnsafeCell<libc::pthread_mutex_t>,
    entries: UnsafeCell<Vec<Inherited>>,
}

// SAFETY: only the holder of `lock` touches `entries`.
unsafe impl Sync for Registry {}

static REGISTRY: Registry = Registry {
    lock: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
    entries: UnsafeCell::new(Vec::new()),
};
/// The result of registering the fork handlers.
static HANDLERS: OnceLock<i32> = OnceLock::new();

extern "C" fn lock() {
    // SAFETY: a statically initialised mutex that never moves.
    unsafe { libc::pthread_mutex_lock(REGISTRY.lock.get()) };
}

extern "C" fn unlock() {
    // SAFETY: as above; called by the thread that locked it, or by its copy in a child.
    unsafe { libc::pthread_mutex_unlock(REGISTRY.lock.get()) };
}

/// Only calls that are allowed in the child of a process with threads: close and mmap.
extern "C" fn in_child() {
    // Relaxed: this is the only thread.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the lock is held since before the fork, by this very thread.
    let entries = unsafe { &mut *REGISTRY.entries.get() };
    for entry in entries.iter() {
        match *entry {
            // SAFETY: the descriptor was open at the fork; its owner does not use it in the child (see `generation`).
            Inherited::Lease(fd) => drop(unsafe { libc::close(fd) }),
            Inherited::Mapping { at, len } => {
                // Only into a hole: if another library's handler has mapped something there, the generation alone stops
                // the handles.
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
                // SAFETY: a new mapping that replaces nothing.
                unsafe { libc::mmap(at as *mut _, len, libc::PROT_NONE, flags, -1, 0) };
            }
        }
    }
    entries.clear();
    unlock();
}

/// Runs `open`, which makes things that a child must not keep. No fork happens during it.
pub(crate) fn register<T>(
    open: impl FnOnce(&mut dyn FnMut(Inherited)) -> io::Result<T>,
) -> io::Result<T> {
    // SAFETY: the handlers keep to what is allowed between fork and exec.
    let atfork = || unsafe { libc::pthread_atfork(Some(lock), Some(unlock), Some(in_child)) };
    match HANDLERS.get_or_init(atfork) {
        0 => {}
        errno => return Err(io::Error::from_raw_os_error(*errno)),
    }
    lock();
    let result = open(&mut |entry| {
        // SAFETY: the lock is held.
        let entries = unsafe { &mut *REGISTRY.entries.get() };
        entries.push(entry);
    });
    unlock();
    result
}

/// Runs `close`, which ends `entry`. No fork happens during it.
pub(crate) fn unregister(entry: Inherited, close: impl FnOnce()) {
    lock();
    // SAFETY: the lock is held.
    let entries = unsafe { &mut *REGISTRY.entries.get() };
    if let Some(at) = entries.iter().position(|known| *known == entry) {
        entries.swap_remove(at);
    }
    close();
    unlock();
}

/// A value of which each process has its own, made at the first use and never dropped. A forked child makes a new one
/// and leaves its parent's alone, in which a thread that does not exist in the child may hold a lock.
#[cfg(feature = "async")]
#[derive(Debug)]
pub(crate) struct PerProcess<T: 'static>(AtomicPtr<Own<T>>);

/// The value of one process.
#[cfg(feature = "async")]
#[derive(Debug)]
pub(crate) struct Own<T> {
    generation: u32,
    pub(crate) value: T,
}

#[cfg(feature = "async")]
impl<T> Own<T> {
    /// Whether this process is a child of the one that the value belongs to.
    pub(crate) fn forked(&self) -> bool {
        self.generation != generation()
    }
}

#[cfg(feature = "async")]
impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// This process's value. The first call makes it.
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &'static Own<T> {
        // Acquire: with the Release below, what the pointer leads to.
        let mut known = self.0.load(Ordering::Acquire);
        // SAFETY: null, or from `Box::into_raw` below, never freed and never written again; a child has a copy.
        if let Some(own) = unsafe { known.as_ref() }.filter(|own| !own.forked()) {
            return own;
        }
        let made = Box::into_raw(Box::new(Own { generation: generation(), value: make() }));
        // Release: the value before its address. Acquire on failure: another thread's value, as above; it is of
        // this process, since a child begins with one thread.
        match self.0.compare_exchange(known, made, Ordering::Release, Ordering::Acquire) {
            Ok(_) => known = made,
            Err(other) => {
                known = other;
                // SAFETY: made above, and published nowhere.
                drop(unsafe { Box::from_raw(made) });
            }
        }
        // SAFETY: as above; not null, since it is what was made here or by another thread.
        unsafe { &*known }
    }
}
