//! What happens to leases and mappings in a forked child: they go away.
//!
//! A child without exec inherits descriptors, and with them the locks, and mappings, which keep the
//! locks of the description they were made through. A parent that is killed would then seem alive for
//! as long as its child. So a child handler closes every lease's descriptor, and mappings are not
//! inherited (MADV_DONTFORK); the handler puts an inaccessible mapping over the hole, so that nothing
//! else can come to lie where an old handle points. Handles compare [`generation`] and refuse. What was
//! borrowed from a handle before the fork (a batch, a reservation) points into the inaccessible range:
//! the child must leave it alone.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;
#[cfg(feature = "async")]
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::{AtomicU32, Ordering};

/// Something that a child must not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inherited {
    Lease(RawFd),
    Mapping { at: usize, len: usize },
}

/// Counts the forks between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Changes in a forked child, never in a process that stays.
#[inline]
pub(crate) fn generation() -> u32 {
    // Relaxed: written by the only thread of a new process, before anything else runs there.
    GENERATION.load(Ordering::Relaxed)
}

struct Registry {
    lock: UnsafeCell<libc::pthread_mutex_t>,
    entries: UnsafeCell<Vec<Inherited>>,
}

// SAFETY: `entries` is touched only by whoever holds `lock`.
unsafe impl Sync for Registry {}

static REGISTRY: Registry = Registry {
    lock: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
    entries: UnsafeCell::new(Vec::new()),
};
/// What registering them returned.
static HANDLERS: OnceLock<i32> = OnceLock::new();

extern "C" fn lock() {
    // SAFETY: a statically initialised mutex that never moves.
    unsafe { libc::pthread_mutex_lock(REGISTRY.lock.get()) };
}

extern "C" fn unlock() {
    // SAFETY: as above; called by the thread that locked it, or by its copy in a child.
    unsafe { libc::pthread_mutex_unlock(REGISTRY.lock.get()) };
}

/// Only calls that are safe in the child of a threaded process: close and mmap.
extern "C" fn in_child() {
    // Relaxed: this is the only thread.
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the lock is held since before the fork, by this very thread.
    let entries = unsafe { &mut *REGISTRY.entries.get() };
    for entry in entries.iter() {
        match *entry {
            // SAFETY: the descriptor was open at the fork; its owner forgets it (see `generation`).
            Inherited::Lease(fd) => drop(unsafe { libc::close(fd) }),
            Inherited::Mapping { at, len } => {
                // Not over what another library's handler may have mapped into the hole already: then
                // there is no hole, and handles are stopped by the generation alone.
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
                // SAFETY: a new mapping that replaces nothing.
                unsafe { libc::mmap(at as *mut _, len, libc::PROT_NONE, flags, -1, 0) };
            }
        }
    }
    entries.clear();
    unlock();
}

/// Runs `open`, which makes things that a child must not keep, with forks held off meanwhile.
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

/// Runs `close`, which ends `entry`, with forks held off meanwhile.
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

/// A value of which each process has its own, made when it is first asked for and never dropped. A forked child makes
/// another and leaves its parent's alone: a thread that the child has not may have held a lock in it.
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
    /// Whether this process is a child of the one whose value it is.
    pub(crate) fn forked(&self) -> bool {
        self.generation != generation()
    }
}

#[cfg(feature = "async")]
impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// This process's value; the first to ask makes it.
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
                // SAFETY: made above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
        // SAFETY: as above; not null, since it is what was made here or by another thread.
        unsafe { &*known }
    }
}
