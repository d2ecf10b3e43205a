//! Runs a slice with two ends, each in a thread that is pinned to a processor of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::cpus::{Side, pin};
use crate::message::CAPACITY;
use crate::transport::Spin;

/// The length of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    /// Steps before the clock starts: once around the ring, so that every page and line has been touched, but no more
    /// than are measured.
    pub(crate) warm: u64,
    /// Steps that are measured.
    pub(crate) timed: u64,
}

impl Steps {
    pub(crate) fn new(timed: u64) -> Steps {
        Steps { warm: timed.min(CAPACITY as u64), timed }
    }
}

/// A barrier for two threads. They spin, because a thread that sleeps wakes late.
pub(crate) struct Meeting {
    arrived: AtomicUsize,
    spin: Spin,
}

impl Meeting {
    pub(crate) fn new() -> Meeting {
        Meeting { arrived: AtomicUsize::new(0), spin: Spin::for_streams() }
    }

    /// Returns when both threads have called it equally often.
    pub(crate) fn meet(&self) {
        let mine = self.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let all = mine.next_multiple_of(2);
        while self.arrived.load(Ordering::Acquire) < all {
            self.spin.again();
        }
    }
}

pub(crate) fn nanoseconds_per_step(steps: u64, start: Instant, end: Instant) -> f64 {
    (end - start).as_secs_f64() * 1e9 / steps as f64
}

/// Runs both ends, and returns the nanoseconds per step from the start of the first to the end of the last. Each thread
/// makes its end, and calls it with the first step and the number of steps.
pub(crate) fn pair<H, T>(
    steps: Steps,
    here: impl FnOnce() -> H + Send,
    there: impl FnOnce() -> T + Send,
) -> f64
where
    H: FnMut(u64, u64),
    T: FnMut(u64, u64),
{
    let meeting = &Meeting::new();
    let Steps { warm, timed } = steps;
    let (start, end) = thread::scope(|scope| {
        let there = scope.spawn(move || {
            pin(Side::There);
            let mut there = there();
            meeting.meet();
            there(0, warm);
            meeting.meet();
            there(warm, timed);
            let end = Instant::now();
            // Neither thread drops its end while the other may still access it.
            meeting.meet();
            end
        });
        let here = scope.spawn(move || {
            pin(Side::Here);
            let mut here = here();
            meeting.meet();
            here(0, warm);
            meeting.meet();
            let start = Instant::now();
            here(warm, timed);
            let end = Instant::now();
            meeting.meet();
            (start, end)
        });
        let (start, end) = here.join().expect("a panic ends the process");
        (start, end.max(there.join().expect("a panic ends the process")))
    });
    nanoseconds_per_step(timed, start, end)
}
