//! How long a waiter stays awake.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::sys::fork;

/// How a handle waits for messages or for room: it polls in a tight loop first, then yields the processor between
/// polls, and finally sleeps until it is woken.
///
/// The longer it stays awake, the sooner it notices an event and the more processor time it takes; to be woken costs
/// some microseconds. Set it with [`Consumer::set_wait_strategy`](crate::Consumer::set_wait_strategy) or the method of
/// that name of another handle.
///
/// ```
/// use std::time::Duration;
/// use slipring::WaitStrategy;
///
/// // Messages come often: worth a millisecond of a processor.
/// let eager = WaitStrategy::spin_then_sleep().yields(Duration::from_millis(1));
/// // A processor of its own.
/// let alone = WaitStrategy::spin();
/// assert_ne!(eager, alone);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a strategy does nothing until a handle has it"]
pub struct WaitStrategy {
    pub(crate) spins: u32,
    pub(crate) yields: Duration,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Spin,
    Yield,
    Sleep,
}

/// Polls with the shortest pause, before the pauses grow. An event that is under way arrives within a few transfers of
/// a cache line, which growing pauses would miss.
const SPINS: u32 = 64;
/// Yields for this long before the first sleep.
const YIELD_FOR: Duration = Duration::from_micros(100);

impl WaitStrategy {
    /// Polls without end. Only for a thread with a processor of its own: any other thread there, the other side
    /// perhaps, runs only when the kernel preempts this one.
    pub const fn spin() -> WaitStrategy {
        WaitStrategy { spins: SPINS, yields: Duration::ZERO, then: Then::Spin }
    }

    /// Polls 64 times in a row, then yields the processor after each poll, without end. It takes all idle time of a
    /// processor.
    pub const fn spin_then_yield() -> WaitStrategy {
        WaitStrategy { spins: SPINS, yields: Duration::ZERO, then: Then::Yield }
    }

    /// Polls 64 times in a row, yields the processor between polls for 100 us, and then sleeps. The default.
    pub const fn spin_then_sleep() -> WaitStrategy {
        WaitStrategy { spins: SPINS, yields: YIELD_FOR, then: Then::Sleep }
    }

    /// Sets the number of polls in a row, some 5 to 50 ns apart. Use 0 where the other side cannot run at the same
    /// time: on a single processor.
    pub const fn spins(mut self, spins: u32) -> WaitStrategy {
        self.spins = spins;
        self
    }

    /// Sets how long it yields between the polls in a row and the first sleep. Only [`WaitStrategy::spin_then_sleep`]
    /// ends yielding after that time.
    pub const fn yields(mut self, time: Duration) -> WaitStrategy {
        self.yields = time;
        self
    }
}

impl Default for WaitStrategy {
    fn default() -> WaitStrategy {
        WaitStrategy::spin_then_sleep()
    }
}

/// The function that a program gives to be asked during waits whether to end them.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Interrupt {
    pub(crate) fn new(ask: impl Fn() -> bool + Send + Sync + 'static) -> Interrupt {
        Interrupt(Some(Arc::new(ask)))
    }

    /// Asks the program whether to end the wait.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|ask| ask())
    }
}

// A panic of the closure leaves the wait without a change; the state of the closure itself is the program's own.
impl UnwindSafe for Interrupt {}
impl RefUnwindSafe for Interrupt {}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interrupt({})", self.0.is_some())
    }
}

/// How a handle waits. A wait that follows one which slept and found nothing does not stay awake again. Otherwise a
/// program that receives with timeouts from an idle queue would never be idle.
#[derive(Clone, Debug)]
pub(crate) struct WaitState {
    strategy: WaitStrategy,
    pub(crate) idle: bool,
    pub(crate) interrupt: Interrupt,
    /// Of the process that made it.
    generation: u32,
}

impl WaitState {
    /// The default strategy, without polls in a row on a machine with one processor. The affinity of this thread does
    /// not count: a program that pins it usually pins the other side elsewhere.
    pub(crate) fn here(interrupt: Interrupt) -> WaitState {
        let strategy = WaitStrategy::default();
        let strategy = match sysconf(SysconfVar::_NPROCESSORS_ONLN) {
            Ok(Some(1)) => strategy.spins(0),
            _ => strategy,
        };
        WaitState { strategy, idle: false, interrupt, generation: fork::generation() }
    }

    /// Whether it was made before a fork(2) that made this process.
    pub(crate) fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(crate) fn set_strategy(&mut self, strategy: WaitStrategy) {
        (self.strategy, self.idle) = (strategy, false);
    }

    /// The strategy for the next wait.
    pub(crate) fn strategy(&self) -> WaitStrategy {
        match self.strategy.then {
            Then::Sleep if self.idle => self.strategy.spins(0).yields(Duration::ZERO),
            _ => self.strategy,
        }
    }
}

#[cfg(test)]
impl WaitState {
    pub(crate) fn of(strategy: WaitStrategy) -> WaitState {
        WaitState { strategy, ..WaitState::here(Interrupt::default()) }
    }
}
