//! One slice of two ends, each in a thread of its own, pinned to a processor of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::cpus::{Side, pin};
use crate::message::CAPACITY;
use crate::transport::Spin;

/// How long a slice is.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    /// Before the clock starts: once around the ring, so that every page and line was touched, but no more
    /// than is measured.
    pub(crate) warm: u64,
    /// On the clock.
    pub(crate) timed: u64,
}

impl Steps {
    pub(crate) fn new(timed: u64) -> Steps {
        Steps { warm: timed.min(CAPACITY as u64), timed }
    }
}

/// Where threads wait for each other. They spin: one that sleeps comes late.
pub(crate) struct Meeting {
    arrived: AtomicUsize,
    spin: Spin,
}

impl Meeting {
    pub(crate) fn new() -> Meeting {
        Meeting { arrived: AtomicUsize::new(0), spin: Spin::for_streams() }
    }

    /// Returns when both have called it as often as this one.
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

/// Runs both ends; nanoseconds per step, from the start of the first to the end of the last. Each end is
/// made by its thread, and is then called with the first step and how many.
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
            // Nobody takes its end away while the other may still look at it.
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
