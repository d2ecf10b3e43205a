//! When messages were published, as far as looks tell: between the last look that did not find one and the first that did.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The most marks kept. Beyond that every other one goes, and ages get wider bounds.
const MARKS: usize = 512;

/// A tail, and between which looks it was the same.
#[derive(Clone, Copy, Debug)]
struct Mark {
    tail: u64,
    first: Instant,
    last: Instant,
}

/// The tails that looks have found.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    marks: VecDeque<Mark>,
}

impl Ages {
    /// Notes a look. Nobody will ask for messages below `oldest`.
    pub(super) fn note(&mut self, now: Instant, tail: u64, oldest: u64) {
        match self.marks.back_mut() {
            Some(mark) if mark.tail >= tail => mark.last = now,
            _ => self.marks.push_back(Mark { tail, first: now, last: now }),
        }
        // The last one that is not above `oldest` says when that was not there yet.
        while self.marks.get(1).is_some_and(|second| second.tail <= oldest) {
            self.marks.pop_front();
        }
        if self.marks.len() > MARKS {
            let mut odd = false;
            self.marks.retain(|_| {
                odd = !odd;
                odd
            });
        }
    }

    /// The least age of message `seq`, which is published, at the time `now`; and the most, if a look was before it.
    pub(super) fn of(&self, now: Instant, seq: u64) -> (Option<Duration>, Option<Duration>) {
        let there = self.marks.iter().find(|mark| mark.tail > seq);
        let absent = self.marks.iter().rev().find(|mark| mark.tail <= seq);
        let since = |at: Instant| now.saturating_duration_since(at);
        (there.map(|mark| since(mark.first)), absent.map(|mark| since(mark.last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_old_as_the_looks_around_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ages = Ages::default();
        let seconds = |(least, most): (Option<Duration>, Option<Duration>)| {
            (least.map(|time| time.as_secs()), most.map(|time| time.as_secs()))
        };
        ages.note(at(0), 10, 0);
        ages.note(at(1), 10, 0);
        ages.note(at(5), 20, 0);
        assert_eq!(seconds(ages.of(at(7), 9)), (Some(7), None));
        assert_eq!(seconds(ages.of(at(7), 10)), (Some(2), Some(6)));
        assert_eq!(seconds(ages.of(at(7), 19)), (Some(2), Some(6)));
        assert_eq!(seconds(ages.of(at(7), 20)), (None, Some(2)));
        // What lies below is forgotten, but not when the oldest was not there yet.
        ages.note(at(8), 30, 20);
        assert_eq!(seconds(ages.of(at(8), 20)), (Some(0), Some(3)));
        assert_eq!(ages.marks.len(), 2);
    }

    #[test]
    fn bounds_stay_true_when_marks_are_thinned() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ages = Ages::default();
        for second in 0..2000 {
            ages.note(at(second), 10 * second, 0);
        }
        assert!(ages.marks.len() <= MARKS);
        for seq in 0..19_990u64 {
            // Message `seq` was there from the look at second seq / 10 + 1 on.
            let real = Duration::from_secs(1999 - (seq / 10 + 1));
            let (least, most) = ages.of(at(1999), seq);
            assert!(least.is_none_or(|least| least <= real), "{seq}");
            assert!(most.is_none_or(|most| most >= real), "{seq}");
        }
    }
}
