//! How many messages are there to take.
//!
//! A consumer that is faster than the producer looks at each line while it is being written, and takes it away
//! from the one who writes: both then wait for lines, message by message. So a receive that may wait, and that has found
//! many messages and seldom none, lingers a moment for a run of them, whose lines come without a conflict then. The
//! first of the run may be there already; it waits for the others. Where the first few do not come as fast as a stream
//! that nothing slows down, some 30 ns a message, lingering ends at once; that has cost some 150 ns, and the next time is
//! so much farther away.

use crate::layout::View;
use crate::sync::{Ordering, mutant, order};

/// What the score of a stream is at least.
const STREAM: u64 = if cfg!(slipring_loom) { 1 } else { 32 };
/// The same after waits in vain: twice as much each time, up to this.
const STREAM_MAX: u64 = 1 << 10;
/// Most that one look adds: what had lain there is no stream.
const BACKLOG: u64 = 8;
/// See [`Available::peek`]: at first, and at most, where the tail was found near.
const PEEK: u32 = if cfg!(slipring_loom) { 2 } else { 16 };
const PEEK_MAX: u32 = 1024;
/// Messages that are waited for: twice as many as are asked for, but no fewer and no more than these. Of a small ring,
/// no more than half: the producer needs room meanwhile.
const RUN: (u64, u64) = (32, 64);
const PART: u64 = if cfg!(slipring_loom) { 1 } else { 2 };
/// Looks for each of them, with a pause of some 30 ns behind each, before it is given up.
const LOOKS: u64 = 1;
/// After so many looks, an eighth of the run must be there.
const EARLY: u64 = if cfg!(slipring_loom) { u64::MAX } else { 4 };

/// What a consumer knows of the queue's end.
#[derive(Debug)]
pub(crate) struct Available {
    /// Everything below is published.
    end: u64,
    /// Messages that looks behind `end` found, less the looks that found none.
    score: u64,
    /// So much is a stream.
    stream: u64,
    /// Receives of one message that have looked at its stamp alone, and after how many one looks at the tail.
    singles: u32,
    peek: u32,
}

/// Of the messages asked for.
#[derive(Debug)]
pub(crate) enum Count {
    /// None is there: this is the first one's stamp.
    None(u64),
    Some(u64),
    /// So many are there that the first one cannot be one of them.
    TooMany,
}

impl Available {
    pub(crate) fn new() -> Available {
        Available { end: 0, score: 0, stream: STREAM, singles: 0, peek: PEEK }
    }

    /// How many of the `max` messages from `start` on are published.
    #[inline(always)]
    pub(crate) fn count(&mut self, view: &View, start: u64, max: u64) -> Count {
        if self.end <= start {
            // Acquire. pair payload. Stamp and payload share a line: one transfer brings both.
            let stamp = view.slot(start).stamp.load(order!(Acquire, "claim-stamp-relaxed"));
            if stamp != start + 1 {
                self.score = self.score.saturating_sub(1);
                return Count::None(stamp);
            }
            let mut end = stamp;
            // For what is known to be there, the tail's line would be a second transfer, for nothing; but many messages
            // that lie there are found by one look at it.
            if max > 1 || self.peeks() {
                // Acquire. pair tail: everything below may be read without looking at its stamp.
                end = view.control().tail.load(order!(Acquire, "claim-tail-relaxed")).max(end);
                let most = view.geo().capacity;
                if mutant!(end - start > most, "full-ring-is-damage", end - start >= most) {
                    return Count::TooMany;
                }
                if max == 1 {
                    self.peek =
                        if end - start >= BACKLOG { PEEK } else { (2 * self.peek).min(PEEK_MAX) };
                }
            }
            self.score += (end - start).min(BACKLOG);
            self.end = end;
        }
        Count::Some(mutant!(max.min(self.end - start), "claim-beyond-the-tail", max))
    }

    /// Whether a receive of one message looks at the tail, which is in order where it has found many one by one.
    #[inline(always)]
    fn peeks(&mut self) -> bool {
        self.singles += 1;
        let due = self.singles >= self.peek;
        if due {
            self.singles = 0;
        }
        due
    }

    /// Whether a receive from `start` on is to linger.
    #[inline(always)]
    pub(crate) fn lingers(&self, start: u64) -> bool {
        self.end <= start && self.score >= self.stream
    }

    /// Whether it ever does.
    #[cfg(not(slipring_loom))]
    pub(crate) fn set_lingering(&mut self, on: bool) {
        self.stream = if on { STREAM } else { u64::MAX };
    }

    /// Waits for a run of messages from `start` on.
    #[inline(never)]
    pub(crate) fn linger(&mut self, view: &View, start: u64, max: u64) {
        let run = max.saturating_mul(2).clamp(RUN.0, RUN.1).min(view.geo().capacity / PART).max(1);
        let (few, end) = (start + (run / 8).max(1), start + run);
        let stamp = view.slot(end - 1).stamp;
        for look in 0..LOOKS * run {
            // Acquire. pair payload: of all messages below, too, since stamps go up in order.
            if stamp.load(order!(Acquire, "run-stamp-relaxed")) == end {
                self.stream = STREAM;
                self.end = mutant!(end, "run-one-too-long", end + 1);
                return;
            }
            // Relaxed: it decides how long to wait.
            if look == EARLY && view.slot(few - 1).stamp.load(Ordering::Relaxed) != few {
                break;
            }
            std::hint::spin_loop();
        }
        self.score = 0;
        self.stream = (2 * self.stream).min(STREAM_MAX);
    }
}

#[cfg(all(test, not(slipring_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_stream_lingers_and_only_if_it_may() {
        let mut available = Available { end: 7, score: STREAM, ..Available::new() };
        assert!(available.lingers(7) && available.lingers(8));
        assert!(!available.lingers(6), "that one is there");
        available.set_lingering(false);
        (0..1000).for_each(|_| available.score += BACKLOG);
        assert!(!available.lingers(7));
        available.set_lingering(true);
        assert!(available.lingers(7));
        available.score = STREAM - 1;
        assert!(!available.lingers(7));
    }
}
