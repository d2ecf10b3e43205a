//! The clock that all processes of a host share.

use nix::time::{ClockId, clock_gettime};

use crate::failure::{Failure, io_failed};

/// Nanoseconds of the monotonic clock.
pub(crate) fn now() -> Result<u64, Failure> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_err(|errno| io_failed("read the clock", &errno.into()))?;
    Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
