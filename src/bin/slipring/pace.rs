//! Waiting for the time at which a message is due.

use std::thread;
use std::time::Duration;

use slipring::monotonic_ns as now;

use crate::args::WaitArg;
use crate::failure::Failure;
use crate::stop::Stop;

/// Nanoseconds before the time at which a sleep ends: it may take this much longer than asked.
const OVERSLEEP: u64 = 100_000;

/// Waits until `due`, in nanoseconds of the monotonic clock. Fails as soon as somebody asks to stop.
pub(crate) fn wait_until(due: u64, how: WaitArg, stop: &Stop) -> Result<(), Failure> {
    loop {
        let ahead = due.saturating_sub(now());
        match how {
            _ if ahead == 0 => return Ok(()),
            WaitArg::Sleep if ahead > OVERSLEEP => {
                stop.sleep(Duration::from_nanos(ahead - OVERSLEEP))?;
            }
            WaitArg::Spin => std::hint::spin_loop(),
            WaitArg::Sleep | WaitArg::Yield => thread::yield_now(),
        }
        stop.check()?;
    }
}
