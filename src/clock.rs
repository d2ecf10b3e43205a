//! A clock that all processes of a host share, for time stamps in messages.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds on CLOCK_MONOTONIC, for time stamps in messages: the receiver's `monotonic_ns() - stamp` is how long the
/// message was under way.
///
/// The clock starts near the boot of the machine, never goes back, is not the time of day, and stops while the machine
/// is suspended. All processes of a host share it, except those in a time namespace of their own (time_namespaces(7),
/// `unshare --time`), where it may be shifted; a container has one only on request. A stamp means nothing on another
/// host or after a reboot. Reading it makes no system call where the vDSO has the clock, as on all common machines. 0
/// if the kernel refuses, which no released Linux does.
///
/// [`Instant`](std::time::Instant) reads the same clock, but cannot be sent, and makes no promise between processes.
///
/// ```
/// # use slipring::{Queue, monotonic_ns};
/// # let name = format!("doc-clock-{}", std::process::id());
/// let queue = Queue::builder(&name).group("g").create()?;
/// queue.producer()?.send(&monotonic_ns().to_le_bytes())?;
///
/// let mut consumer = queue.consumer("g")?;
/// let message = consumer.recv()?;
/// let sent = u64::from_le_bytes((*message).try_into()?);
/// let latency = monotonic_ns() - sent;
/// # let _ = latency;
/// # message.ack()?; drop(consumer);
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Nanoseconds on the same clock at the kernel's last tick, at most 10 ms ago: cheaper to read by some nanoseconds.
pub(crate) fn coarse_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
