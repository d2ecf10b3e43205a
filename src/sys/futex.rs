//! Sleeping at a word of shared memory until somebody wakes: futex(2), across processes.

#![allow(unsafe_code)]

use std::time::Duration;
use std::{io, ptr, thread};

/// As good as no bound, and small enough to be added to the time.
const FOREVER: Duration = Duration::from_secs(1 << 31);

/// Sleeps for at most `longest`, unless the word at `at` is not `value` (any more). Signals end it early, and
/// so may nothing at all. Returns `false` if the time was up or a signal came, and nobody had woken it.
///
/// # Safety
/// `at` is aligned, and mapped while this lasts.
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

/// Sleep of those whom the kernel lets wait at one word only: they have to look.
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

/// The same at several words, each with its value: futex_waitv(2), since Linux 5.16. Where the kernel has it not,
/// and for more words than it takes (128, `FUTEX_WAITV_MAX`), sleeps for a millisecond at most.
///
/// # Safety
/// All are aligned, and mapped while this lasts.
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

/// Time of the clock that futex_waitv(2) counts by.
fn now() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the value that it is given. It does not fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
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

/// Wakes one that sleeps at the word at `at`, the one that has slept longest if they are of equal priority. Returns
/// whether others sleep there still.
///
/// FUTEX_WAKE tells how many it woke, which is no answer. So this is FUTEX_REQUEUE, of one more than it wakes, from
/// the word to the same word, where that one has been all along: it counts both.
///
/// # Safety
/// `at` is aligned and mapped.
pub(crate) unsafe fn wake_one(at: *mut u32) -> bool {
    let (wake, requeue): (libc::c_int, usize) = (1, 1);
    // SAFETY: by the caller's word; the kernel looks at the address only.
    let rc =
        unsafe { libc::syscall(libc::SYS_futex, at, libc::FUTEX_REQUEUE, wake, requeue, at, 0) };
    if rc < 0 {
        // Something that takes itself for Linux, and has not this.
        // SAFETY: as above.
        unsafe { wake_all(at) };
    }
    rc > 1
}
