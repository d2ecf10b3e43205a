//! What this process was started with: descriptors that are closed, signals that are ignored.
//!
//! The Rust runtime opens /dev/null in place of closed standard descriptors, before `main`. After that they cannot be
//! told from a /dev/null that a parent gave on purpose. So a constructor of the program records them before the
//! runtime.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// Bit n: descriptor n was closed.
static CLOSED: AtomicU32 = AtomicU32::new(0);
/// Bit n: signal n was ignored.
static IGNORED: AtomicU32 = AtomicU32::new(0);

/// Whether standard input (0) or output (1) was closed.
pub(crate) fn is_closed(descriptor: u32) -> bool {
    // Relaxed: stored before `main` by the only thread.
    CLOSED.load(Ordering::Relaxed) & 1 << descriptor != 0
}

/// Whether this process was started with the signal ignored, as nohup(1) does with SIGHUP.
pub(crate) fn is_ignored(signal: i32) -> bool {
    // Relaxed: as above.
    IGNORED.load(Ordering::Relaxed) & 1 << signal != 0
}

// Sound: the C library calls the functions of this section one after the other before `main`; this one
// needs nothing of Rust's runtime, and takes no arguments, which some C libraries do not pass.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

extern "C" fn record() {
    for descriptor in 0..2 {
        // SAFETY: asks for flags, and changes nothing.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            // Relaxed: there is one thread.
            CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
        }
    }
    for signal in [SIGHUP, SIGINT, SIGTERM, SIGXFSZ] {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action it only writes the present one to where there is room for it.
        if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } == 0 {
            // SAFETY: the call has succeeded, and so filled it.
            let action = unsafe { action.assume_init() };
            let ignored = action.sa_sigaction == libc::SIG_IGN;
            // Relaxed: there is one thread.
            IGNORED.fetch_or(u32::from(ignored) << signal, Ordering::Relaxed);
        }
    }
}
