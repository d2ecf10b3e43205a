//! How many messages there are to claim.
//!
//! A consumer that is faster than the producer reads each cache line while the producer writes it, and takes it away:
//! both then wait for cache lines, message by message. So a receive that may wait, of a consumer that keeps up with the
//! producer, lingers: it waits for a run of messages, whose lines then come without a conflict. The first messages
//! of the run may be there already. If the next few do not come as fast as in an undisturbed stream, some 30 ns each,
//! lingering ends after some 150 ns, and the consumer does not linger again for a while, longer each time.

use crate::layout::View;
use crate::sync::{Ordering, mutant, order};

/// The least score of a stream.
const STREAM: u64 = if cfg!(slipring_loom) { 1 } else { 32 };
/// After each vain wait the least score doubles, up to this.
const STREAM_MAX: u64 = 1 << 10;
/// Most that one read of the tail adds to the score: a backlog is no stream.
const BACKLOG: u64 = 8;
/// See [`Available::peek`]: the value at first and after a backlog, and the largest.
const PEEK: u32 = if cfg!(slipring_loom) { 2 } else { 16 };
const PEEK_MAX: u32 = 1024;
/// Messages of a run: twice as many as are asked for, within these bounds. In a small ring no more than half of it: the
/// producer needs room at the same time.
const RUN: (u64, u64) = (32, 64);
const PART: u64 = if cfg!(slipring_loom) { 1 } else { 2 };
/// Reads of the stamp for each message of the run, with a pause of some 30 ns after each.
const LOOKS: u64 = 1;
/// After so many reads, an eighth of the run must be there.
const EARLY: u64 = if cfg!(slipring_loom) { u64::MAX } else { 4 };

/// What a consumer knows of the end of the published messages.
#[derive(Debug)]
pub(crate) struct Available {
    /// Everything below is published.
    end: u64,
    /// Messages found above `end`, less the reads that found none.
    score: u64,
    /// The score from which on this is a stream.
    stream: u64,
    /// Receives of one message since the last read of the tail, and after how many the tail is read.
    singles: u32,
    peek: u32,
}

/// How many of the messages asked for are published.
#[derive(Debug)]
pub(crate) enum Count {
    /// None; with the first one's stamp.
    None(u64),
    Some(u64),
    /// More than the capacity: the first message cannot be one of them.
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
            // In a backlog this comes once for many messages.
            std::hint::cold_path();
            // Acquire. pair payload. Stamp and payload share a cache line: one transfer brings both.
            let stamp = view.slot(start).stamp.load(order!(Acquire, "claim-stamp-relaxed"));
            if stamp != start + 1 {
                self.score = self.score.saturating_sub(1);
                return Count::None(stamp);
            }
            let mut end = stamp;
            // To receive one message, the tail's cache line would be a second transfer without use; but one read of it
            // finds all messages of a backlog.
            if max > 1 || self.peeks() {
                // Acquire. pair tail: everything below may be read without its stamp.
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
        // One is there, whatever else is.
        let count = if max == 1 { 1 } else { max.min(self.end - start) };
        Count::Some(mutant!(count, "claim-beyond-the-tail", max))
    }

    /// Whether a receive of one message reads the tail: due after it has found many messages one by one.
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
    pub(crate) fn lingers(&self, start: impl FnOnce() -> u64) -> bool {
        self.score >= self.stream && self.end <= start()
    }

    /// Sets whether this consumer ever lingers.
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
            // Acquire. pair payload: of all messages below, too, because stamps are stored in order.
            if stamp.load(order!(Acquire, "run-stamp-relaxed")) == end {
                self.stream = STREAM;
                self.end = mutant!(end, "run-one-too-long", end + 1);
                return;
            }
            // Relaxed: it decides only how long to wait.
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
        assert!(available.lingers(|| 7) && available.lingers(|| 8));
        assert!(!available.lingers(|| 6), "that one is there");
        available.set_lingering(false);
        (0..1000).for_each(|_| available.score += BACKLOG);
        assert!(!available.lingers(|| 7));
        available.set_lingering(true);
        assert!(available.lingers(|| 7));
        available.score = STREAM - 1;
        assert!(!available.lingers(|| 7));
    }
}
