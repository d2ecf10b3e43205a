//! Waiting: spin, then yield, then sleep for short times.
//!
//! Callers say what they wait for and how to look for it; how the time passes is this file's affair.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

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
/// First and longest sleep. A sleeper is found asleep for half of it on average.
const SLEEP_MIN: Duration = Duration::from_micros(50);
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// Looks until there is something, or the deadline has passed (`Ok(None)`): at least once.
pub(crate) fn until<T, E>(
    deadline: Deadline,
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
    let mut sleep = SLEEP_MIN;
    loop {
        let yielding = since.elapsed() < YIELD_FOR;
        let how = if yielding { Look::Quick } else { Look::Thorough };
        if let Some(found) = look(how)? {
            return Ok(Some(found));
        }
        let left = deadline.0.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        if yielding {
            thread::yield_now();
        } else {
            thread::sleep(left.map_or(sleep, |left| left.min(sleep)));
            sleep = (sleep * 2).min(SLEEP_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_still_looks_once() {
        let found = until(Deadline::after(Duration::ZERO), |_| Ok::<_, ()>(Some(7)));
        assert_eq!(found, Ok(Some(7)));
    }

    #[test]
    fn a_wait_ends_not_before_its_deadline() {
        let since = Instant::now();
        let timeout = Duration::from_millis(20);
        let found: Result<Option<()>, ()> = until(Deadline::after(timeout), |_| Ok(None));
        assert_eq!(found, Ok(None));
        assert!(since.elapsed() >= timeout);
    }

    #[test]
    fn a_long_wait_looks_thoroughly() {
        let found =
            until(Deadline::NEVER, |how| Ok::<_, ()>((how == Look::Thorough).then_some(())));
        assert_eq!(found, Ok(Some(())));
    }
}
