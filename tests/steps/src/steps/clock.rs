//! The clock of the victim. A step takes microseconds, so by the host's clock more maintenance would be due in a victim that is
//! stepped than in one that runs at full speed to where it is killed, and the two would go different ways.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

/// What passes from one look at the victim's clock to the next, however long that takes. Something, so that waits end.
pub(crate) const PER_LOOK: Duration = Duration::from_millis(1);

/// Looks of this process at its clock, from the one that stops the clock on; 0 before it.
static LOOKS: AtomicI64 = AtomicI64::new(0);
/// When the clock was stopped, on CLOCK_MONOTONIC.
static STOPPED: AtomicI64 = AtomicI64::new(0);

/// From now on this process's clocks count its looks at them. The process is not forked any more.
pub(crate) fn count_looks() {
    STOPPED.store(nanoseconds(ask_kernel(libc::CLOCK_MONOTONIC).1), Relaxed);
    LOOKS.store(1, Relaxed);
}

/// Takes the place of libc's, for the standard library and slipring, too.
///
/// # Safety
/// As for libc's: `time` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    let monotonic = matches!(clock, libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE);
    let (mut result, mut now) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    match LOOKS.load(Relaxed) {
        looks @ 1.. if monotonic => {
            LOOKS.store(looks + 1, Relaxed);
            let passed = STOPPED.load(Relaxed) + looks * PER_LOOK.as_nanos() as i64;
            (now.tv_sec, now.tv_nsec) = (passed / SECOND, passed % SECOND);
        }
        _ => (result, now) = ask_kernel(clock),
    }
    if result == 0 {
        // SAFETY: the caller lets it be written.
        unsafe { *time = now };
    }
    result
}

const SECOND: i64 = 1_000_000_000;

fn nanoseconds(time: libc::timespec) -> i64 {
    time.tv_sec * SECOND + time.tv_nsec
}

fn ask_kernel(clock: libc::clockid_t) -> (libc::c_int, libc::timespec) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes `time` alone.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    (result as libc::c_int, time)
}
