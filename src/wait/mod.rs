//! Waiting: spin, then yield, then sleep, until a waker or a time limit ends the sleep.
//!
//! The caller says what it waits for, by a closure that polls for it, and where it parks. This module decides when to
//! poll and when to park.

mod strategy;

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::Backoff;

use crate::ring::park::{self, Waiter};
use strategy::Then;
pub use strategy::WaitStrategy;
pub(crate) use strategy::{Interrupt, WaitState};

/// When an unsuccessful wait ends; `None` = never.
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

/// How much a poll may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// No system call: such polls come many in a row.
    Fast,
    /// The next step is to sleep: also find out what only the kernel knows.
    Full,
}

/// Fast polls between two reads of the clock.
const CHECKS_PER_CLOCK_READ: u64 = 64;
/// Time between two full checks of a wait that stays awake.
const FULL_CHECK_EVERY: Duration = Duration::from_millis(1);
/// First and longest sleep of a waiter that no waker wakes. It notices an event half a sleep late, on average.
const POLL_SLEEP_MIN: Duration = Duration::from_micros(50);
pub(crate) const POLL_SLEEP_MAX: Duration = Duration::from_millis(1);
/// Upper bound on the sleep of a waiter that is woken. It matters only where a waker died, or the queue was removed.
pub(crate) const MAX_SLEEP: Duration = Duration::from_millis(100);
/// Upper bound on a sleep that begins while other members hold messages: their death wakes nobody.
pub(crate) const MAX_SLEEP_WHILE_HELD: Duration = Duration::from_millis(5);

/// How to sleep between polls, once the wait is expected to be long.
pub(crate) trait Park {
    /// Polls, and if there is nothing sleeps for a while, until `end` at most.
    fn park<T, E>(
        &mut self,
        end: Deadline,
        poll: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E>;
}

/// Sleeps by the clock alone, each twice as long as the one before.
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
        mut poll: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let found = poll()?;
        if found.is_none() {
            thread::sleep(end.left().min(self.0));
            self.0 = (self.0 * 2).min(POLL_SLEEP_MAX);
        }
        Ok(found)
    }
}

/// Sleeps on futex words of segments until a waker or the bound ends the sleep. If nobody wakes the waiters of one of
/// the queues (wake mode `none`), it polls instead.
#[derive(Debug)]
pub(crate) struct FutexPark<P, F> {
    waiters: P,
    longest: F,
    timed: Option<TimedPark>,
}

impl<'v, P: AsRef<[Waiter<'v>]>, F> FutexPark<P, F> {
    /// `longest` is called before each sleep.
    pub(crate) fn new(waiters: P, longest: F) -> FutexPark<P, F> {
        let woken = waiters.as_ref().iter().all(Waiter::can_be_woken);
        FutexPark { waiters, longest, timed: (!woken).then(TimedPark::new) }
    }
}

impl<'v, P: AsMut<[Waiter<'v>]>, F: Fn() -> Duration> Park for FutexPark<P, F> {
    fn park<T, E>(
        &mut self,
        end: Deadline,
        poll: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        match &mut self.timed {
            Some(timed) => timed.park(end, poll),
            None => park::sleep(self.waiters.as_mut(), || end.left().min((self.longest)()), poll),
        }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    Found(T),
    TimedOut,
    /// The program's interrupt function returned true.
    Interrupted,
}

/// Why polling stopped.
enum Stop<E> {
    Interrupted,
    TimedOut,
    Failed(E),
}

/// Polls at least once: until it finds something, the deadline has passed, or the program interrupts the wait. It asks
/// the program after each full check that finds nothing, so before and after each sleep.
pub(crate) fn until<T, E>(
    deadline: Deadline,
    wait_state: &mut WaitState,
    park: impl Park,
    poll: impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Waited<T>, E> {
    until_beside_work(deadline, wait_state, park, &Cell::new(false), poll)
}

/// The same with polls that may take long, find nothing, and set `worked` then: the program and the clock are asked after
/// each of these, so that the wait ends one such poll after its deadline at most.
pub(crate) fn until_beside_work<T, E>(
    deadline: Deadline,
    wait_state: &mut WaitState,
    park: impl Park,
    worked: &Cell<bool>,
    mut poll: impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Waited<T>, E> {
    let (strategy, is_inherited) = (wait_state.strategy(), wait_state.is_inherited());
    let WaitState { idle, interrupt, .. } = wait_state;
    let mut poll = |check| match poll(check) {
        Ok(None) => {
            let worked = worked.take();
            if (worked || check == Check::Full) && interrupt.is_requested() {
                return Err(Stop::Interrupted);
            }
            if worked && deadline.left().is_zero() { Err(Stop::TimedOut) } else { Ok(None) }
        }
        polled => polled.map_err(Stop::Failed),
    };
    // In a forked child, handles of its parent refuse when they are polled. A park does not: its words are not mapped.
    let refused = if is_inherited { poll(Check::Full) } else { Ok(None) };
    let found = match refused {
        Ok(None) => poll_until(deadline, strategy, idle, park, poll),
        found => found,
    };
    match found {
        Ok(Some(found)) => Ok(Waited::Found(found)),
        Ok(None) | Err(Stop::TimedOut) => Ok(Waited::TimedOut),
        Err(Stop::Interrupted) => Ok(Waited::Interrupted),
        Err(Stop::Failed(fault)) => Err(fault),
    }
}

/// `idle`: the last wait found nothing before it slept.
fn poll_until<T, E>(
    deadline: Deadline,
    strategy: WaitStrategy,
    idle: &mut bool,
    mut park: impl Park,
    mut poll: impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let (spins, forever) = (u64::from(strategy.spins), u64::MAX);
    let mut found =
        busy_wait(deadline, spins, CHECKS_PER_CLOCK_READ, std::hint::spin_loop, &mut poll)?;
    if found.is_none() && strategy.then == Then::Spin {
        found =
            busy_wait(deadline, forever, CHECKS_PER_CLOCK_READ, std::hint::spin_loop, &mut poll)?;
    }
    if found.is_none() && strategy.spins > 0 {
        let backoff = Backoff::new();
        while found.is_none() && !backoff.is_completed() {
            backoff.snooze();
            found = poll(Check::Fast)?;
        }
    }
    let yields = strategy.then == Then::Yield || !strategy.yields.is_zero();
    if found.is_none() && yields {
        let end = match strategy.then {
            Then::Sleep => deadline.min(Deadline::after(strategy.yields)),
            Then::Spin | Then::Yield => deadline,
        };
        found = busy_wait(end, forever, 1, thread::yield_now, &mut poll)?;
    }
    if found.is_some() {
        *idle = false;
        return Ok(found);
    }
    loop {
        if deadline.left().is_zero() {
            return poll(Check::Full);
        }
        let found = park.park(deadline, || poll(Check::Full));
        *idle = !matches!(found, Ok(Some(_)));
        match found {
            Ok(None) => {}
            found => return found,
        }
    }
}

/// Polls without sleeping, `checks` times or until `end`, with `pause` after each poll, and with `row` polls between
/// two reads of the clock.
fn busy_wait<T, E>(
    end: Deadline,
    mut polls: u64,
    row: u64,
    pause: fn(),
    poll: &mut impl FnMut(Check) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let mut full_check = None;
    while polls > 0 {
        let row = polls.min(row);
        for _ in 0..row {
            if let Some(found) = poll(Check::Fast)? {
                return Ok(Some(found));
            }
            pause();
        }
        polls -= row;
        // The first row is often enough, and reads no clock.
        if polls == 0 || end.left().is_zero() {
            break;
        }
        let due = full_check.get_or_insert_with(|| Deadline::after(FULL_CHECK_EVERY));
        if due.left().is_zero() {
            full_check = None;
            if let Some(found) = poll(Check::Full)? {
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
    fn a_deadline_in_the_past_still_polls_once() {
        for strategy in strategies() {
            let past = Deadline::after(Duration::ZERO);
            let found = until(past, &mut WaitState::of(strategy), TimedPark::new(), |_| {
                Ok::<_, ()>(Some(7))
            });
            assert_eq!(found, Ok(Waited::Found(7)), "{strategy:?}");
        }
    }

    #[test]
    fn a_wait_ends_after_its_deadline_with_a_full_check() {
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
    fn a_long_wait_makes_full_checks() {
        for strategy in strategies() {
            let found =
                until(Deadline::NEVER, &mut WaitState::of(strategy), TimedPark::new(), |check| {
                    Ok::<_, ()>((check == Check::Full).then_some(()))
                });
            assert_eq!(found, Ok(Waited::Found(())), "{strategy:?}");
        }
    }

    /// A strategy that never sleeps never parks.
    #[test]
    fn only_a_strategy_that_sleeps_parks() {
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

    /// A program that receives with timeouts from an idle queue stays awake only in the first of these waits.
    #[test]
    fn a_wait_after_an_idle_one_sleeps_at_once() {
        struct Doze(u32);
        impl Park for &mut Doze {
            fn park<T, E>(
                &mut self,
                end: Deadline,
                mut poll: impl FnMut() -> Result<Option<T>, E>,
            ) -> Result<Option<T>, E> {
                let found = poll()?;
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
        let mut polls_before_it_sleeps = || {
            let mut polls = 0;
            let found = until(Deadline::NEVER, &mut wait_state, &mut doze, |check| {
                polls += u32::from(check == Check::Fast);
                Ok::<_, ()>((check == Check::Full).then_some(()))
            });
            assert_eq!(found, Ok(Waited::Found(())));
            polls
        };
        assert_eq!(polls_before_it_sleeps(), 0);
        assert!(polls_before_it_sleeps() >= 64, "something was there in between");
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

    /// Polls that work ask the clock and the program each time, also those in a row.
    #[test]
    fn a_poll_that_worked_asks_at_once() {
        for strategy in strategies() {
            for deadline in [Deadline::after(Duration::ZERO), Deadline::NEVER] {
                let (worked, mut polls) = (Cell::new(false), 0);
                let mut wait_state = WaitState::of(strategy);
                wait_state.interrupt = Interrupt::new(move || deadline.0.is_none());
                let park = TimedPark::new();
                let found = until_beside_work(deadline, &mut wait_state, park, &worked, |_| {
                    polls += 1;
                    worked.set(true);
                    Ok::<Option<()>, ()>(None)
                });
                let end = deadline.0.map_or(Waited::Interrupted, |_| Waited::TimedOut);
                assert_eq!((found, polls), (Ok(end), 1), "{strategy:?}");
            }
        }
    }

    #[test]
    fn what_is_there_comes_before_an_interrupt() {
        for strategy in strategies() {
            let mut wait_state = WaitState::of(strategy);
            wait_state.interrupt = Interrupt::new(|| true);
            let mut polls = 0;
            let found = until(Deadline::NEVER, &mut wait_state, TimedPark::new(), |check| {
                polls += u32::from(check == Check::Full);
                Ok::<_, ()>((polls > 0).then_some(()))
            });
            assert_eq!(found, Ok(Waited::Found(())), "{strategy:?}");
        }
    }
}
