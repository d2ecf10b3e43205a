//! Signals are the program's affair, not that of a thread which it does not know of.

#![allow(unsafe_code)]

use std::{mem, ptr};

/// Lets the calling thread run no handler, whatever is sent to the process: its other threads do.
pub(crate) fn block_all() {
    // SAFETY: a set of signals is plain numbers.
    let mut all: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: writes the set that it is given.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: reads that set. It fails only for an unknown action.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut()) };
}
