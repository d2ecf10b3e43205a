//! A clock that is cheap to read: the processor's counter (tsc) if it is synchronous and constant (`constant_tsc` and
//! `nonstop_tsc`), or else the monotonic clock. Reading the monotonic clock takes 20 to 30 ns, which is much compared
//! with the delays that are measured.

#![allow(unsafe_code)]

use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

struct Clock {
    counter: bool,
    ticks_per_ns: f64,
    start: Instant,
}

static CLOCK: OnceLock<Clock> = OnceLock::new();

fn clock() -> &'static Clock {
    CLOCK.get_or_init(|| {
        let start = Instant::now();
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let has = |flag| info.split_whitespace().any(|word| word == flag);
        let counter = cfg!(target_arch = "x86_64") && has("constant_tsc") && has("nonstop_tsc");
        let ticks_per_ns = if counter { pace() } else { 1.0 };
        Clock { counter, ticks_per_ns, start }
    })
}

/// Ticks of the counter in a nanosecond.
fn pace() -> f64 {
    let (start, first) = (Instant::now(), counter());
    while start.elapsed() < Duration::from_millis(50) {
        std::hint::spin_loop();
    }
    let (last, end) = (counter(), start.elapsed());
    (last - first) as f64 / end.as_nanos() as f64
}

#[inline]
fn counter() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has this instruction.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// The name of the clock.
pub(crate) fn source() -> &'static str {
    if clock().counter { "the processor's counter (tsc)" } else { "the monotonic clock" }
}

#[inline]
pub(crate) fn now() -> u64 {
    let clock = clock();
    if clock.counter { counter() } else { clock.start.elapsed().as_nanos() as u64 }
}

/// The time after all earlier loads. Without the fence, the processor may read the counter before them.
#[inline]
pub(crate) fn after_loads() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has this instruction.
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
    now()
}

pub(crate) fn from_ns(ns: u64) -> u64 {
    (ns as f64 * clock().ticks_per_ns).round() as u64
}

pub(crate) fn to_ns(ticks: u64) -> f64 {
    ticks as f64 / clock().ticks_per_ns
}
