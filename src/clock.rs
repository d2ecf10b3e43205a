//! A clock that all processes of a host share, for stamps inside messages.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds on CLOCK_MONOTONIC, for stamps that another process of this host compares with its own: put it into a
/// message, and the receiver's `monotonic_ns() - stamp` is how long the message was under way.
///
/// The clock starts near the boot of the machine, never goes back, is no time of day, and stands still while the
/// machine is suspended. It is one for all processes of a host, except in a time namespace of their own
/// (time_namespaces(7), `unshare --time`), where it may be shifted; containers have one only if asked for. A stamp
/// means nothing on another host or after a reboot. It makes no system call where the vDSO has the clock, as on all
/// common machines. 0 if the kernel refuses to read it, which no released Linux does.
///
/// [`Instant`](std::time::Instant) reads the same clock, but cannot be sent, and promises nothing between processes.
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

/// Nanoseconds on the same clock as at the kernel's last tick, 10 ms ago at most: some nanoseconds cheaper to read.
pub(crate) fn coarse_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
        .map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
