//! In which order the messages of a stream may go into a queue. No clock, no queue and no broker: it decides, and others do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::mutants::mutant;

/// With room for what is missing, the queue is consumed anew once, after this part of the gap timeout.
const REOPEN_PART: u32 = 2;
/// Without room, this is done first after this part, then at twice the age of the last time, and at the gap timeout.
const REOPEN_FULL_PART: u32 = 4;
/// After the queue was consumed anew, what is missing has this part of the gap timeout to come.
const SETTLE_PART: u32 = 4;

/// What is to be done with a message that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Publish it now, and then ask [`Order::next`].
    Publish,
    /// It is in the queue already: ack it.
    AlreadyThere,
    /// It came ahead of its turn: keep it, without an ack.
    Hold,
    /// Another copy of it is kept: ack this one.
    SecondCopy,
}

/// What is missing of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The position that the first kept message follows: it, or one before it, is missing.
    pub(crate) missing: u64,
    /// The last position that the queue has; `None` if it knows nothing of the stream.
    pub(crate) last: Option<u64>,
    /// Messages that are kept.
    pub(crate) held: usize,
    /// Since when; a new consumer does not end it.
    pub(crate) since: Instant,
}

/// What is to be done about a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    /// Consume the queue anew.
    Reopen,
    /// What is missing does not come.
    Fail,
}

impl Gap {
    /// `opened` is when the queue was consumed anew last. If `is_full`, as many messages wait as the broker sends ahead: what
    /// is missing has no room, so it counts as missing only if it does not come to a consumer of after the gap timeout.
    pub(crate) fn step(
        &self,
        now: Instant,
        opened: Instant,
        is_full: bool,
        timeout: Duration,
    ) -> Step {
        let age = now.saturating_duration_since(self.since);
        // The gap's age at the last opening; none if that was before it.
        let tried = opened.checked_duration_since(self.since);
        let (first, last) = match is_full {
            true => (timeout / REOPEN_FULL_PART, timeout),
            false => (timeout / REOPEN_PART, timeout / REOPEN_PART),
        };
        if tried.is_none_or(|tried| tried < last) {
            let due = tried.unwrap_or_default().saturating_mul(2).clamp(first, last);
            return if age >= due { Step::Reopen } else { Step::Wait };
        }
        let has_settled = now.saturating_duration_since(opened) >= timeout / SETTLE_PART;
        if age >= timeout && has_settled { Step::Fail } else { Step::Wait }
    }
}

/// The order of one stream. `T` is what a message is acked by, and its content.
#[derive(Debug)]
pub(crate) struct Order<T> {
    /// Position of the last message in the queue.
    last: Option<u64>,
    /// By position: that of the message before, and the message.
    held: BTreeMap<u64, (u64, T)>,
    /// Since when a message is missing.
    since: Option<Instant>,
}

impl<T> Order<T> {
    pub(crate) fn new(last: Option<u64>) -> Order<T> {
        Order { last, held: BTreeMap::new(), since: None }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// A message has come. Kept messages are given to [`Order::keep`].
    /// `previous` is the position of the message before; `None` if this is the first.
    pub(crate) fn arrive(&self, position: u64, previous: Option<u64>) -> Verdict {
        match (self.last, previous) {
            (Some(last), _) if position <= last => Verdict::AlreadyThere,
            (_, None) => Verdict::Publish,
            (Some(last), Some(previous)) if previous <= last => Verdict::Publish,
            _ if self.held.contains_key(&position) => Verdict::SecondCopy,
            _ => mutant!(Verdict::Hold, "highest-seen", Verdict::Publish),
        }
    }

    /// Keeps a message until its turn.
    pub(crate) fn keep(&mut self, position: u64, previous: u64, message: T, now: Instant) {
        self.since.get_or_insert(now);
        self.held.insert(position, (previous, message));
    }

    /// The queue now has everything up to this position.
    pub(crate) fn done(&mut self, position: u64) {
        self.last = self.last.max(Some(position));
        self.since = None;
    }

    /// The next kept message whose turn it is, with what is to be done with it: publish it, or ack it alone.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(u64, Verdict, T)> {
        let last = self.last?;
        let first = self.held.first_entry()?;
        let position = *first.key();
        let verdict = match first.get().0 {
            _ if position <= last => Verdict::AlreadyThere,
            previous if previous <= last => Verdict::Publish,
            _ => {
                self.since.get_or_insert(now);
                return None;
            }
        };
        let (_, message) = first.remove();
        Some((position, verdict, message))
    }

    /// What is missing, if messages are kept.
    pub(crate) fn gap(&self) -> Option<Gap> {
        let (_, (missing, _)) = self.held.first_key_value()?;
        let (held, last) = (self.held.len(), self.last);
        Some(Gap { missing: *missing, last, held, since: self.since? })
    }

    /// Nothing could come during this time, so it does not count as waiting.
    pub(crate) fn excuse(&mut self, time: Duration) {
        self.since = self.since.map(|since| since + time);
    }

    /// The connection is gone: what was kept comes again.
    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
        self.since = None;
    }

    /// The queue is consumed anew because of a gap: what was kept comes again, and the gap is as old as it was.
    pub(crate) fn reopen(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays arrivals of positions, each of which follows the one before it, and returns what is published.
    fn play(order: &mut Order<u64>, arrivals: &[u64]) -> (Vec<u64>, Vec<Verdict>) {
        let (mut published, mut verdicts) = (Vec::new(), Vec::new());
        let now = Instant::now();
        for position in arrivals {
            let previous = match position {
                1 => None,
                position => Some(position - 1),
            };
            let verdict = order.arrive(*position, previous);
            verdicts.push(verdict);
            match verdict {
                Verdict::Publish => {
                    order.done(*position);
                    published.push(*position);
                    while let Some((position, verdict, _)) = order.next(now) {
                        if verdict == Verdict::Publish {
                            order.done(position);
                            published.push(position);
                        }
                    }
                }
                Verdict::Hold => order.keep(*position, position - 1, *position, now),
                _ => {}
            }
        }
        (published, verdicts)
    }

    #[test]
    fn what_comes_in_order_is_published_and_what_comes_again_is_not() {
        let mut order = Order::new(None);
        let (published, verdicts) = play(&mut order, &[1, 2, 2, 1, 3]);
        assert_eq!(published, [1, 2, 3]);
        assert_eq!(verdicts[2..4], [Verdict::AlreadyThere; 2]);
        assert_eq!(order.gap(), None);
    }

    #[test]
    fn what_comes_ahead_of_its_turn_waits_for_it() {
        let mut order = Order::new(None);
        // 3 was refused by the broker and sent again after its successors.
        let (published, verdicts) = play(&mut order, &[1, 2, 4, 5, 5, 6]);
        assert_eq!(published, [1, 2]);
        assert_eq!(verdicts[4], Verdict::SecondCopy);
        let gap = order.gap().unwrap();
        assert_eq!((gap.missing, gap.last, gap.held), (3, Some(2), 3));
        assert_eq!(play(&mut order, &[3]).0, [3, 4, 5, 6]);
        assert_eq!((order.gap(), order.held()), (None, 0));
    }

    #[test]
    fn a_second_gap_has_a_time_of_its_own() {
        let mut order = Order::new(Some(1));
        play(&mut order, &[3, 5]);
        let first = order.gap().unwrap().since;
        assert_eq!(play(&mut order, &[2]).0, [2, 3]);
        let gap = order.gap().unwrap();
        assert!((gap.missing, gap.last) == (4, Some(3)) && gap.since >= first);
        order.excuse(Duration::from_secs(5));
        assert_eq!(order.gap().unwrap().since, gap.since + Duration::from_secs(5));
    }

    #[test]
    fn a_stream_that_the_queue_does_not_know_waits_for_its_first_message() {
        let mut order = Order::new(None);
        assert_eq!(play(&mut order, &[3, 2]), (vec![], vec![Verdict::Hold; 2]));
        assert_eq!((order.gap().unwrap().missing, order.gap().unwrap().last), (1, None));
        assert_eq!(play(&mut order, &[1]).0, [1, 2, 3]);
    }

    #[test]
    fn a_stream_may_be_adopted_from_the_lowest_message_that_came() {
        let mut order = Order::new(None);
        play(&mut order, &[8, 7]);
        order.done(order.gap().unwrap().missing);
        let next = order.next(Instant::now()).map(|(position, verdict, _)| (position, verdict));
        assert_eq!(next, Some((7, Verdict::Publish)));
    }

    #[test]
    fn what_was_kept_is_forgotten_with_its_connection() {
        let mut order = Order::new(Some(1));
        play(&mut order, &[3, 4]);
        order.forget_held();
        assert_eq!((order.held(), order.gap()), (0, None));
        assert_eq!(play(&mut order, &[2, 3, 4]).0, [2, 3, 4]);
    }

    #[test]
    fn a_gap_is_as_old_as_it_was_after_the_queue_is_consumed_anew() {
        let mut order = Order::new(Some(1));
        play(&mut order, &[3, 4]);
        let since = order.gap().unwrap().since;
        order.reopen();
        assert_eq!((order.held(), order.gap()), (0, None));
        play(&mut order, &[4]);
        let gap = order.gap().unwrap();
        assert_eq!((gap.since, gap.held), (since, 1));
        // Another one begins from nothing.
        assert_eq!(play(&mut order, &[2, 3, 6]).0, [2, 3, 4]);
        let gap = order.gap().unwrap();
        assert!(gap.since > since);
    }

    /// Ages, in percent of the gap timeout, at which a gap that stays reopens the queue, and at which it fails.
    fn steps(is_full: bool) -> (Vec<u32>, u32) {
        let since = Instant::now();
        let timeout = Duration::from_secs(30);
        let gap = Gap { missing: 2, last: Some(1), held: 8, since };
        let mut opened = since.checked_sub(Duration::from_secs(1)).unwrap();
        let mut reopened = Vec::new();
        for percent in 0..=200 {
            let now = since + timeout * percent / 100;
            match gap.step(now, opened, is_full, timeout) {
                Step::Wait => {}
                Step::Reopen => {
                    reopened.push(percent);
                    opened = now;
                }
                Step::Fail => return (reopened, percent),
            }
        }
        panic!("does not fail, reopened at {reopened:?}");
    }

    #[test]
    fn a_gap_reopens_the_queue_a_few_times_and_at_its_timeout_if_nothing_more_can_come() {
        assert_eq!(steps(true), (vec![25, 50, 100], 125));
        assert_eq!(steps(false), (vec![50], 100));
    }

    #[test]
    fn a_gap_that_is_seen_late_reopens_the_queue_before_it_fails() {
        let since = Instant::now();
        let gap = Gap { missing: 2, last: Some(1), held: 8, since };
        let timeout = Duration::from_secs(30);
        let now = since + timeout * 3;
        for is_full in [true, false] {
            assert_eq!(gap.step(now, since, is_full, timeout), Step::Reopen);
            assert_eq!(gap.step(now, now, is_full, timeout), Step::Wait);
            assert_eq!(gap.step(now + timeout / 4, now, is_full, timeout), Step::Fail);
        }
    }

    #[test]
    fn a_passed_gap_lets_what_follows_through_and_drops_what_comes_from_below() {
        let mut order = Order::new(Some(1));
        play(&mut order, &[5]);
        order.done(4);
        let (position, verdict, _) = order.next(Instant::now()).unwrap();
        assert_eq!((position, verdict), (5, Verdict::Publish));
        order.done(5);
        assert_eq!(play(&mut order, &[3, 6]).1, [Verdict::AlreadyThere, Verdict::Publish]);
    }

    /// Any order of arrivals, with any copies, publishes each once and in order.
    #[test]
    fn every_order_of_arrivals_gives_the_same() {
        fn permute(rest: &mut Vec<u64>, at: usize, check: &mut impl FnMut(&[u64])) {
            if at == rest.len() {
                return check(rest);
            }
            for other in at..rest.len() {
                rest.swap(at, other);
                permute(rest, at + 1, check);
                rest.swap(at, other);
            }
        }
        let mut count = 0;
        permute(&mut vec![2, 3, 4, 5, 5, 3], 0, &mut |arrivals| {
            let mut order = Order::new(Some(1));
            assert_eq!(play(&mut order, arrivals).0, [2, 3, 4, 5], "{arrivals:?}");
            assert_eq!(order.gap(), None);
            count += 1;
        });
        assert_eq!(count, 720);
    }
}
