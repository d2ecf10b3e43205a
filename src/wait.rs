//! Waiting: spin, then yield, then sleep, until woken or for a bounded time.
//!
//! Callers say where they sleep and how to look for what they wait for; how the time passes is this file's
//! affair.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

use crate::ring::wake::{self, Place};

/// When a wait ends for want of success; `None` = never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) const NEVER: Deadline = Deadline(None);

    /// A timeout too long for the clock is no timeout.
    pub(crate) fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(timeout))
    }

    pub(crate) fn at(instant: Instant) -> Deadline {
        Deadline(Some(instant))
    }

    fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }
}

/// How a look may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// No system call: made many times in a row.
    Quick,
    /// About to sleep anyway: also look for what only the system knows.
    Thorough,
}

/// Looks with the shortest of pauses in between, before the pauses grow.
const SPINS: u32 = 64;
/// Yields for this long before the first sleep.
const YIELD_FOR: Duration = Duration::from_micros(100);
/// First and longest sleep of those who poll. A sleeper is found asleep for half of it on average.
const SLEEP_MIN: Duration = Duration::from_micros(50);
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(1);
/// Longest sleep of those who are woken, when nothing is known that may come without a wake-up: only a waker's
/// death, or the queue's removal.
pub(crate) const LONG: Duration = Duration::from_millis(100);
/// The same while somebody holds messages that would come to the sleeper by a death.
pub(crate) const SHORT: Duration = Duration::from_millis(5);

/// How to spend the time between looks once there is no hope that it will be short.
pub(crate) trait Rest {
    /// Looks, and if there is nothing rests for a while, at most `left`.
    fn rest<T, E>(
        &mut self,
        left: Duration,
        look: impl FnOnce() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E>;
}

/// Sleeps that nobody ends, each longer than the one before.
#[derive(Debug)]
pub(crate) struct Poll(Duration);

impl Poll {
    pub(crate) fn new() -> Poll {
        Poll(SLEEP_MIN)
    }
}

impl Rest for Poll {
    fn rest<T, E>(
        &mut self,
        left: Duration,
        look: impl FnOnce() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let found = look()?;
        if found.is_none() {
            thread::sleep(left.min(self.0));
            self.0 = (self.0 * 2).min(SLEEP_MAX);
        }
        Ok(found)
    }
}

/// Sleeps at words of segments, until somebody wakes or the bound has passed. Polls if one of the queues says so:
/// nobody would wake.
#[derive(Debug)]
pub(crate) struct Bed<P, F> {
    places: P,
    longest: F,
    poll: Option<Poll>,
}

impl<'v, P: AsRef<[Place<'v>]>, F> Bed<P, F> {
    /// `longest` is asked before each sleep.
    pub(crate) fn new(places: P, longest: F) -> Bed<P, F> {
        let woken = places.as_ref().iter().all(Place::wakes);
        Bed { places, longest, poll: (!woken).then(Poll::new) }
    }
}

impl<'v, P: AsMut<[Place<'v>]>, F: Fn() -> Duration> Rest for Bed<P, F> {
    fn rest<T, E>(
        &mut self,
        left: Duration,
        look: impl FnOnce() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        match &mut self.poll {
            Some(poll) => poll.rest(left, look),
            None => wake::sleep(self.places.as_mut(), || left.min((self.longest)()), look),
        }
    }
}

/// Looks until there is something, or the deadline has passed (`Ok(None)`): at least once.
pub(crate) fn until<T, E>(
    deadline: Deadline,
    mut rest: impl Rest,
    mut look: impl FnMut(Look) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    // What is on its way comes within a few transfers of a cache line: doubling pauses would oversleep.
    for _ in 0..SPINS {
        if let Some(found) = look(Look::Quick)? {
            return Ok(Some(found));
        }
        std::hint::spin_loop();
    }
    let backoff = Backoff::new();
    while !backoff.is_completed() {
        if let Some(found) = look(Look::Quick)? {
            return Ok(Some(found));
        }
        backoff.snooze();
    }
    let since = Instant::now();
    while since.elapsed() < YIELD_FOR && !deadline.left().is_zero() {
        if let Some(found) = look(Look::Quick)? {
            return Ok(Some(found));
        }
        thread::yield_now();
    }
    loop {
        let left = deadline.left();
        if left.is_zero() {
            return look(Look::Thorough);
        }
        if let Some(found) = rest.rest(left, || look(Look::Thorough))? {
            return Ok(Some(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_still_looks_once() {
        let found = until(Deadline::after(Duration::ZERO), Poll::new(), |_| Ok::<_, ()>(Some(7)));
        assert_eq!(found, Ok(Some(7)));
    }

    #[test]
    fn a_wait_ends_not_before_its_deadline() {
        let since = Instant::now();
        let timeout = Duration::from_millis(20);
        let found: Result<Option<()>, ()> =
            until(Deadline::after(timeout), Poll::new(), |_| Ok(None));
        assert_eq!(found, Ok(None));
        assert!(since.elapsed() >= timeout);
    }

    #[test]
    fn a_long_wait_looks_thoroughly() {
        let found = until(Deadline::NEVER, Poll::new(), |how| {
            Ok::<_, ()>((how == Look::Thorough).then_some(()))
        });
        assert_eq!(found, Ok(Some(())));
    }
}
