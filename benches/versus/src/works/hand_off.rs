//! The limit of a round trip: two threads send a number back and forth without a queue. No single way is the fastest
//! everywhere: frequent polls take the cache line away from its writer, and pauses add delay. So there are several
//! ways, and the limit is the fastest one in each placement.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::pair::{Steps, pair};
use crate::rows::Figures;
use crate::transport::{NotRun, Spin};

/// Uses one cache line for both directions, or one for each, and `PAUSES` pauses between two polls.
pub(crate) fn slice<const ONE_LINE: bool, const PAUSES: u32>(
    steps: Steps,
) -> Result<Figures, NotRun> {
    let lines: [CachePadded<AtomicU64>; 2] = Default::default();
    let there: &AtomicU64 = &lines[0];
    let back: &AtomicU64 = &lines[usize::from(!ONE_LINE)];
    let ns = pair(
        steps,
        || {
            move |from, n| {
                for i in from..from + n {
                    there.store(2 * i + 1, Ordering::Release);
                    wait::<PAUSES>(back, 2 * i + 2);
                }
            }
        },
        || {
            move |from, n| {
                for i in from..from + n {
                    wait::<PAUSES>(there, 2 * i + 1);
                    back.store(2 * i + 2, Ordering::Release);
                }
            }
        },
    );
    Ok(ns.into())
}

#[inline(always)]
fn wait<const PAUSES: u32>(line: &AtomicU64, value: u64) {
    let spin = Spin::for_round_trips();
    while line.load(Ordering::Acquire) != value {
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
        spin.again();
    }
}
