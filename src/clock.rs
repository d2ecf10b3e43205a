//! A clock that all processes of a host share, for time stamps in messages.

#![allow(unsafe_code)]

use std::io;

use crate::packed::{Tick, tick_of};
use crate::sys::time_namespace;

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
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds on the same clock at the kernel's last tick, at most 10 ms ago: cheaper to read by some nanoseconds.
#[inline]
pub(crate) fn coarse_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// Not nix's `clock_gettime`, whose result goes through memory twice: a receive in flight takes 12 ns more with it, of 80.
#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes `time` alone, and nothing if it fails.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The clock by which messages in flight are due: the host's CLOCK_MONOTONIC, which all processes share that have the
/// queue open, in whatever time namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock {
    /// What the clock of this process has more.
    offset: i64,
}

impl HostClock {
    /// `None` if this process's clock cannot be compared with the host's.
    ///
    /// # Errors
    /// As of [`time_namespace::monotonic_offset`].
    pub(crate) fn new() -> io::Result<Option<HostClock>> {
        Ok(time_namespace::monotonic_offset()?.map(|offset| HostClock { offset }))
    }

    /// For times that people see or give, which are then off by the offset if that is not known.
    pub(crate) fn new_or_own() -> HostClock {
        HostClock::new().ok().flatten().unwrap_or(HostClock::own())
    }

    /// That of this process alone, for what no other process compares.
    pub(crate) fn own() -> HostClock {
        HostClock { offset: 0 }
    }

    /// A tick that has begun, up to 10 ms ago, which [`ticks`](crate::packed::ticks) allows for.
    #[inline]
    pub(crate) fn now(self) -> Tick {
        tick_of(coarse_ns().saturating_sub_signed(self.offset))
    }
}
