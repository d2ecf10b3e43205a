//! How far apart the two processors are at the moment. Those of a virtual machine may be on one core now and on two
//! sockets a minute later. Then a queue that costs cache lines and one that costs instructions change ranks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_utils::CachePadded;
use serde::Serialize;

use crate::cpus;
use crate::pair::{Steps, pair};
use crate::stats::Summary;
use crate::transport::Spin;

/// How far apart the two ends of a slice were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Placement {
    /// On one core, or with a shared cache.
    Near,
    Far,
    /// Most likely two sockets.
    Remote,
    /// Both ends share the only processor.
    Same,
    /// There is only one end.
    Alone,
}

impl Placement {
    pub(crate) const ALL: [Placement; 5] =
        [Placement::Alone, Placement::Near, Placement::Far, Placement::Remote, Placement::Same];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Placement::Near => "near",
            Placement::Far => "far",
            Placement::Remote => "remote",
            Placement::Same => "one processor for both ends",
            Placement::Alone => "one thread",
        }
    }

    /// From a bare round trip in nanoseconds.
    fn by(round_trip: f64) -> Placement {
        match round_trip {
            it if it < 90.0 => Placement::Near,
            it if it <= 250.0 => Placement::Far,
            _ => Placement::Remote,
        }
    }
}

/// Round trips in a part of the probe. An interruption spoils one part; the median is of all parts.
const PART: u64 = 400;
const PARTS: u64 = 21;

/// Measures it with two cache lines, for about a millisecond.
pub(crate) fn probe() -> Placement {
    if cpus::two() { Placement::by(bare_round_trip()) } else { Placement::Same }
}

/// The median of the parts, in nanoseconds.
fn bare_round_trip() -> f64 {
    let lines: [CachePadded<AtomicU64>; 2] = Default::default();
    let [there, back] = &lines;
    let parts = &Mutex::new(Vec::new());
    let spin = Spin::for_round_trips();
    // Acquire here and Release below, as in a queue.
    let wait = move |line: &AtomicU64, value| {
        while line.load(Ordering::Acquire) != value {
            spin.again();
        }
    };
    pair(
        Steps { warm: PART, timed: PARTS * PART },
        || {
            move |from, n| {
                for part in (from..from + n).step_by(PART as usize) {
                    let start = Instant::now();
                    for i in part..part + PART {
                        there.store(i + 1, Ordering::Release);
                        wait(back, i + 1);
                    }
                    let ns = start.elapsed().as_secs_f64() * 1e9 / PART as f64;
                    parts.lock().expect("no thread panicked").push(ns);
                }
            }
        },
        || {
            move |from, n| {
                for i in from..from + n {
                    wait(there, i + 1);
                    back.store(i + 1, Ordering::Release);
                }
            }
        },
    );
    let parts = std::mem::take(&mut *parts.lock().expect("no thread panicked"));
    Summary::of(parts).map_or(f64::NAN, |parts| parts.p50)
}

#[cfg(test)]
mod tests {
    use super::Placement;

    #[test]
    fn near_far_and_remote_depend_on_the_round_trip() {
        let placements = [62.0, 89.9, 90.0, 250.0, 251.0].map(Placement::by);
        let [near, far, remote] = [Placement::Near, Placement::Far, Placement::Remote];
        assert_eq!(placements, [near, near, far, far, remote]);
    }
}
