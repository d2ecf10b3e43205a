//! Waiting: spin, then yield, then sleep, until woken or for a bounded time.
//!
//! Callers say where they sleep and how to look for what they wait for; how the time passes is this file's
//! affair.

mod strategy;

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

use crate::ring::park::{self, Waiter};
use strategy::Then;
pub use strategy::WaitStrategy;
pub(crate) use strategy::{Interrupt, WaitState};

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

    fn min(self, other: Deadline) -> Deadline {
        Deadline([self.0, other.0].into_iter().flatten().min())
    }

    pub(crate) fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }
}

/// How a look may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// No system call: made many times in a row.
    Fast,
    /// About to sleep anyway: also look for what only the system knows.
    Full,
}

/// Looks in a row without a look at the clock.
const CHECKS_PER_CLOCK_READ: u64 = 64;
/// Who stays awake looks thoroughly so often.
const FULL_CHECK_EVERY: Duration = Duration::from_millis(1);
/// First and longest sleep of those who poll. A sleeper is found asleep for half of it on average.
const POLL_SLEEP_MIN: Duration = Duration::from_micros(50);
pub(crate) const POLL_SLEEP_MAX: Duration = Duration::from_millis(1);
/// Longest sleep of those who are woken, when nothing is known that may come without a wake-up: only a waker's
/// death, or the queue's removal.
pub(crate) const MAX_SLEEP: Duration = Duration::from_millis(100);
/// The same while somebody holds messages that would come to the sleeper by a death.
pub(crate) const MAX_SLEEP_WHILE_HELD: Duration = Duration::from_millis(5);

/// How to spend the time between looks once there is no hope that it will be short.
pub(crate) trait Park {
    /// Looks, and if there is nothing rests for a while, until `end` at most. The look may take its time.
    fn park<T, E>(
        &mut self,
        end: Deadline,
        look: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E>;
}

/// Sleeps that nobody ends, each longer than the one before.
#[derive(Debug)]
pub(crate) struct TimedPark(Duration);

impl TimedPark {
    pub(crate) fn new() -> TimedPark {
        TimedPark(POLL_SLEEP_MIN)
    }
}

impl Park for TimedPark {
    fn park<T, E>(
        &mut self,
        end: Deadline,
        mut look: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let found = look()?;
        if found.is_none() {
            thread::sleep(end.left().min(self.0));
            self.0 = (self.0 * 2).min(POLL_SLEEP_MAX);
        }
        Ok(found)
    }
}

/// Sleeps at words of segments, until somebody wakes or the bound has passed. Polls if one of the queues says so:
/// nobody would wake.
#[derive(Debug)]
pub(crate) struct FutexPark<P, F> {
    places: P,
    longest: F,
    poll: Option<TimedPark>,
}

impl<'v, P: AsRef<[Waiter<'v>]>, F> FutexPark<P, F> {
    /// `longest` is asked before each sleep.
    pub(crate) fn new(places: P, longest: F) -> FutexPark<P, F> {
        let woken = places.as_ref().iter().all(Waiter::can_be_woken);
        FutexPark { places, longest, poll: (!woken).then(TimedPark::new) }
    }
}

impl<'v, P: AsMut<[Waiter<'v>]>, F: Fn() -> Duration> Park for FutexPark<P, F> {
    fn park<T, E>(
        &mut self,
        end: Deadline,
        look: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        match &mut self.poll {
            Some(poll) => poll.park(end, look),
            None => park::sleep(self.places.as_mut(), || end.left().min((self.longest)()), look),
        }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    Found(T),
    TimedOut,
    /// The program wanted it.
    Interrupted,
}

/// Why looking came to an end.
enum Stop<E> {
    Interrupted,
    Failed(E),
}

/// Looks until there is something, the deadline has passed, or the program wants to go on without: at least once. The
/// program is asked where a thorough look has found nothing, so before each sleep and after it.
pub(crate) fn until<T, E>(
    deadline: Deadline,
    wait_state: &mut WaitState,
    park: impl Park,
    mut look: impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Waited<T>, E> {
    let strategy = wait_state.strategy();
    let WaitState { idle, interrupt, .. } = wait_state;
    let look = |check| match look(check) {
        Ok(None) if check == Check::Full && interrupt.is_requested() => Err(Stop::Interrupted),
        looked => looked.map_err(Stop::Failed),
    };
    match look_until(deadline, strategy, idle, park, look) {
        Ok(Some(found)) => Ok(Waited::Found(found)),
        Ok(None) => Ok(Waited::TimedOut),
        Err(Stop::Interrupted) => Ok(Waited::Interrupted),
        Err(Stop::Failed(fault)) => Err(fault),
    }
}

/// `idle`: it has stayed awake, or would have, and found nothing.
fn look_until<T, E>(
    deadline: Deadline,
    strategy: WaitStrategy,
    idle: &mut bool,
    mut park: impl Park,
    mut look: impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let (spins, forever) = (u64::from(strategy.spins), u64::MAX);
    let mut found =
        busy_wait(deadline, spins, CHECKS_PER_CLOCK_READ, std::hint::spin_loop, &mut look)?;
    if found.is_none() && strategy.then == Then::Spin {
        found =
            busy_wait(deadline, forever, CHECKS_PER_CLOCK_READ, std::hint::spin_loop, &mut look)?;
    }
    if found.is_none() && strategy.spins > 0 {
        let backoff = Backoff::new();
        while found.is_none() && !backoff.is_completed() {
            backoff.snooze();
            found = look(Check::Fast)?;
        }
    }
    let yields = strategy.then == Then::Yield || !strategy.yields.is_zero();
    if found.is_none() && yields {
        let end = match strategy.then {
            Then::Sleep => deadline.min(Deadline::after(strategy.yields)),
            Then::Spin | Then::Yield => deadline,
        };
        found = busy_wait(end, forever, 1, thread::yield_now, &mut look)?;
    }
    if found.is_some() {
        *idle = false;
        return Ok(found);
    }
    loop {
        if deadline.left().is_zero() {
            return look(Check::Full);
        }
        let found = park.park(deadline, || look(Check::Full));
        *idle = !matches!(found, Ok(Some(_)));
        match found {
            Ok(None) => {}
            found => return found,
        }
    }
}

/// Looks without a sleep, `looks` times or until `end`, with `pause` in between, `row` times between two looks at the
/// clock.
fn busy_wait<T, E>(
    end: Deadline,
    mut looks: u64,
    row: u64,
    pause: fn(),
    look: &mut impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let mut thorough = None;
    while looks > 0 {
        let row = looks.min(row);
        for _ in 0..row {
            if let Some(found) = look(Check::Fast)? {
                return Ok(Some(found));
            }
            pause();
        }
        looks -= row;
        // The first row, which often is enough, pays for no look at the clock.
        if looks == 0 || end.left().is_zero() {
            break;
        }
        let due = thorough.get_or_insert_with(|| Deadline::after(FULL_CHECK_EVERY));
        if due.left().is_zero() {
            thorough = None;
            if let Some(found) = look(Check::Full)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn strategies() -> impl Iterator<Item = WaitStrategy> {
        let all = [WaitStrategy::spin(), WaitStrategy::spin_then_yield(), WaitStrategy::default()];
        all.into_iter().flat_map(|strategy| {
            let long = Duration::from_secs(3600);
            [strategy, strategy.spins(0), strategy.spins(u32::MAX), strategy.yields(long)]
        })
    }

    #[test]
    fn a_deadline_in_the_past_still_looks_once() {
        for strategy in strategies() {
            let past = Deadline::after(Duration::ZERO);
            let found = until(past, &mut WaitState::of(strategy), TimedPark::new(), |_| {
                Ok::<_, ()>(Some(7))
            });
            assert_eq!(found, Ok(Waited::Found(7)), "{strategy:?}");
        }
    }

    #[test]
    fn a_wait_ends_not_before_its_deadline_and_looks_at_last() {
        for strategy in strategies() {
            let since = Instant::now();
            let timeout = Duration::from_millis(5);
            let mut last = None;
            let found: Result<Waited<()>, ()> = until(
                Deadline::after(timeout),
                &mut WaitState::of(strategy),
                TimedPark::new(),
                |check| {
                    last = Some((check, since.elapsed() >= timeout));
                    Ok(None)
                },
            );
            assert_eq!(found, Ok(Waited::TimedOut));
            assert!(since.elapsed() >= timeout, "{strategy:?}");
            assert_eq!(last, Some((Check::Full, true)), "{strategy:?}");
        }
    }

    #[test]
    fn a_long_wait_looks_thoroughly() {
        for strategy in strategies() {
            let found =
                until(Deadline::NEVER, &mut WaitState::of(strategy), TimedPark::new(), |check| {
                    Ok::<_, ()>((check == Check::Full).then_some(()))
                });
            assert_eq!(found, Ok(Waited::Found(())), "{strategy:?}");
        }
    }

    /// A strategy that never sleeps never rests.
    #[test]
    fn only_a_strategy_that_sleeps_comes_to_rest() {
        struct Asleep;
        impl Park for Asleep {
            fn park<T, E>(
                &mut self,
                _: Deadline,
                _: impl FnMut() -> Result<Option<T>, E>,
            ) -> Result<Option<T>, E> {
                panic!("asleep")
            }
        }
        for strategy in [WaitStrategy::spin(), WaitStrategy::spin_then_yield()] {
            let soon = Deadline::after(Duration::from_millis(5));
            let found =
                until(soon, &mut WaitState::of(strategy), Asleep, |_| Ok::<Option<()>, ()>(None));
            assert_eq!(found, Ok(Waited::TimedOut));
        }
    }

    /// Who looks with timeouts at what is idle stays awake only once.
    #[test]
    fn a_wait_behind_one_in_vain_sleeps_at_once() {
        struct Doze(u32);
        impl Park for &mut Doze {
            fn park<T, E>(
                &mut self,
                end: Deadline,
                mut look: impl FnMut() -> Result<Option<T>, E>,
            ) -> Result<Option<T>, E> {
                let found = look()?;
                self.0 += 1;
                thread::sleep(end.left().min(POLL_SLEEP_MAX));
                Ok(found)
            }
        }
        let (mut wait_state, mut doze) = (WaitState::of(WaitStrategy::default()), Doze(0));
        while doze.0 == 0 {
            let soon = Deadline::after(Duration::from_millis(5));
            let _ = until(soon, &mut wait_state, &mut doze, |_| Ok::<Option<()>, ()>(None));
        }
        let mut looks_before_it_sleeps = || {
            let mut looks = 0;
            let found = until(Deadline::NEVER, &mut wait_state, &mut doze, |check| {
                looks += u32::from(check == Check::Fast);
                Ok::<_, ()>((check == Check::Full).then_some(()))
            });
            assert_eq!(found, Ok(Waited::Found(())));
            looks
        };
        assert_eq!(looks_before_it_sleeps(), 0);
        assert!(looks_before_it_sleeps() >= 64, "something was there in between");
    }

    #[test]
    fn an_interrupt_ends_a_wait_however_it_waits() {
        for strategy in strategies() {
            let asked = Arc::new(Mutex::new(0));
            let count = Arc::clone(&asked);
            let mut wait_state = WaitState::of(strategy);
            wait_state.interrupt = Interrupt::new(move || {
                let mut asked = count.lock().unwrap();
                *asked += 1;
                *asked >= 3
            });
            let found = until(Deadline::NEVER, &mut wait_state, TimedPark::new(), |_| {
                Ok::<Option<()>, ()>(None)
            });
            assert_eq!(found, Ok(Waited::Interrupted), "{strategy:?}");
            assert_eq!(*asked.lock().unwrap(), 3, "{strategy:?}");
        }
    }

    #[test]
    fn what_is_there_comes_before_an_interrupt() {
        for strategy in strategies() {
            let mut wait_state = WaitState::of(strategy);
            wait_state.interrupt = Interrupt::new(|| true);
            let mut looks = 0;
            let found = until(Deadline::NEVER, &mut wait_state, TimedPark::new(), |check| {
                looks += u32::from(check == Check::Full);
                Ok::<_, ()>((looks > 0).then_some(()))
            });
            assert_eq!(found, Ok(Waited::Found(())), "{strategy:?}");
        }
    }
}
