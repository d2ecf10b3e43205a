//! Sleeping at a word of shared memory until another process wakes: futex(2).

#![allow(unsafe_code)]

use std::time::Duration;
use std::{io, ptr, thread};

/// Long enough to be no bound, and short enough to be added to the time.
const FOREVER: Duration = Duration::from_secs(1 << 31);

/// Sleeps for at most `longest`, if the word at `at` still is `value`. Signals end the sleep early, and it may end for
/// no reason. Returns `false` if the time was up or a signal came without a wake-up.
///
/// # Safety
/// `at` is aligned, and stays mapped until this returns.
pub(crate) unsafe fn wait(at: *mut u32, value: u32, longest: Duration) -> bool {
    let longest = libc::timespec {
        tv_sec: libc::time_t::try_from(longest.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: longest.subsec_nanos() as libc::c_long,
    };
    // Without FUTEX_PRIVATE_FLAG: wakers are in other processes.
    let (wait, longest) = (libc::FUTEX_WAIT, &raw const longest);
    // SAFETY: by the caller's word; the time lives until the call returns.
    let rc = unsafe { libc::syscall(libc::SYS_futex, at, wait, value, longest) };
    rc == 0 || !matches!(errno(), Some(libc::ETIMEDOUT | libc::EINTR))
}

fn errno() -> Option<i32> {
    io::Error::last_os_error().raw_os_error()
}

/// Longest sleep at several words where the kernel supports only one: the caller has to poll.
const BLIND: Duration = Duration::from_millis(1);

/// `struct futex_waitv` in linux/futex.h.
#[repr(C)]
struct Waiter {
    value: u64,
    at: u64,
    flags: u32,
    reserved: u32,
}

/// `FUTEX2_SIZE_U32` in linux/futex.h; without `FUTEX2_PRIVATE`.
const SIZE_U32: u32 = 2;

/// Sleeps at several words, each with its value: futex_waitv(2), since Linux 5.16. On older kernels, and with more
/// words than it takes (128, `FUTEX_WAITV_MAX`), it sleeps for a millisecond at most.
///
/// # Safety
/// All are aligned, and stay mapped until this returns.
pub(crate) unsafe fn wait_any(
    words: impl Iterator<Item = (*mut u32, u32)>,
    longest: Duration,
) -> bool {
    let waiters: Vec<_> = words
        .map(|(at, value)| {
            let (value, at) = (u64::from(value), at.expose_provenance() as u64);
            Waiter { value, at, flags: SIZE_U32, reserved: 0 }
        })
        .collect();
    let end = now() + longest.min(FOREVER);
    let end = libc::timespec {
        tv_sec: end.as_secs() as libc::time_t,
        tv_nsec: end.subsec_nanos() as libc::c_long,
    };
    let (at, count) = (waiters.as_ptr(), waiters.len());
    let clock = libc::CLOCK_MONOTONIC;
    // SAFETY: by the caller's word; the array and the time live until the call returns.
    let rc = unsafe { libc::syscall(libc::SYS_futex_waitv, at, count, 0, &raw const end, clock) };
    match (rc >= 0).then_some(0).or_else(errno) {
        // It was woken, or a word has changed.
        Some(0 | libc::EAGAIN) => true,
        Some(libc::ETIMEDOUT | libc::EINTR) => false,
        _ => {
            thread::sleep(longest.min(BLIND));
            true
        }
    }
}

/// The time of the clock that futex_waitv(2) uses.
fn now() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the value that it is given. It does not fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Wakes all sleepers at the word at `at`.
///
/// # Safety
/// `at` is aligned and mapped.
pub(crate) unsafe fn wake_all(at: *mut u32) {
    let (none, all) = (ptr::null::<libc::timespec>(), libc::c_int::MAX);
    // SAFETY: by the caller's word; the kernel looks at the address only.
    unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_WAKE, all, none) };
}

/// Wakes one sleeper at the word at `at`: of equal priorities the one that has slept longest. Returns whether there are
/// other sleepers.
///
/// The result of FUTEX_WAKE does not tell that. So this is FUTEX_REQUEUE from the word to the same word, of one sleeper
/// more than it wakes: its result counts both.
///
/// # Safety
/// `at` is aligned and mapped.
pub(crate) unsafe fn wake_one(at: *mut u32) -> bool {
    let (wake, requeue): (libc::c_int, usize) = (1, 1);
    // SAFETY: by the caller's word; the kernel looks at the address only.
    let rc =
        unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_REQUEUE, wake, requeue, at, 0) };
    if rc < 0 {
        // An emulation of Linux that lacks this call.
        // SAFETY: as above.
        unsafe { wake_all(at) };
    }
    rc > 1
}
