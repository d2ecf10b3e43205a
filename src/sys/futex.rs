//! Sleeping at a word of shared memory until somebody wakes: futex(2), across processes.

#![allow(unsafe_code)]

use std::ptr;
use std::time::Duration;

/// Sleeps for at most `longest`, unless the word at `at` is not `value` (any more). Signals end it early, and
/// so may nothing at all.
///
/// # Safety
/// `at` is aligned, and mapped while this lasts.
pub(crate) unsafe fn wait(at: *mut u32, value: u32, longest: Duration) {
    let longest = libc::timespec {
        tv_sec: libc::time_t::try_from(longest.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: longest.subsec_nanos() as libc::c_long,
    };
    // Without FUTEX_PRIVATE_FLAG: wakers are in other processes.
    // SAFETY: by the caller's word; the time lives until the call returns. Whatever it returns, the caller looks
    // again.
    unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_WAIT, value, &raw const longest) };
}

/// Wakes all that sleep at the word at `at`.
///
/// # Safety
/// `at` is aligned and mapped.
pub(crate) unsafe fn wake_all(at: *mut u32) {
    let (none, all) = (ptr::null::<libc::timespec>(), libc::c_int::MAX);
    // SAFETY: by the caller's word; the kernel looks at the address only.
    unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_WAKE, all, none) };
}
