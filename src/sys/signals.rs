//! Signals belong to the program, not to a thread that it does not know of.

#![allow(unsafe_code)]

use std::{mem, ptr};

/// Blocks all signals in the calling thread, so that the process's other threads handle them.
pub(crate) fn block_all() {
    // SAFETY: a set of signals is plain numbers.
    let mut all: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: writes the set that it is given.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: reads that set. It fails only for an unknown action.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut()) };
}
