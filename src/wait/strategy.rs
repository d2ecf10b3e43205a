//! How long to stay awake while there is nothing to do.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// How a handle spends the time while there is nothing to receive, or no room to send: it looks again and again
/// at first, lets other threads run in between then, and sleeps in the end, until it is woken.
///
/// The longer it stays awake, the sooner it sees what comes, and the more of a processor it takes: a wake-up
/// costs some microseconds. Set it with
/// [`Consumer::set_wait_strategy`](crate::Consumer::set_wait_strategy) and its like.
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

/// Looks with the shortest of pauses in between, before the pauses grow. What is on its way comes within a few
/// transfers of a cache line: pauses that double would oversleep.
const SPINS: u32 = 64;
/// Yields for this long before the first sleep.
const YIELD_FOR: Duration = Duration::from_micros(100);

impl WaitStrategy {
    /// Looks without end. For a thread with a processor of its own, and only for that: whatever else is to run
    /// there, the other side perhaps, waits for the system to take it away.
    pub const fn spin() -> WaitStrategy {
        WaitStrategy { spins: SPINS, yields: Duration::ZERO, then: Then::Spin }
    }

    /// Looks 64 times in a row, then lets other threads run in between, without end. Takes what there is left
    /// of a processor.
    pub const fn spin_then_yield() -> WaitStrategy {
        WaitStrategy { spins: SPINS, yields: Duration::ZERO, then: Then::Yield }
    }

    /// Looks 64 times in a row, lets other threads run in between for 100 us, and sleeps. The default.
    pub const fn spin_then_sleep() -> WaitStrategy {
        WaitStrategy { spins: SPINS, yields: YIELD_FOR, then: Then::Sleep }
    }

    /// Sets how often it looks in a row, some 5 to 50 ns apart. 0 is right where the other side cannot run
    /// meanwhile: on a single processor.
    pub const fn spins(mut self, spins: u32) -> WaitStrategy {
        self.spins = spins;
        self
    }

    /// Sets how long it goes on between the spins and the first sleep, letting others run.
    /// Only [`WaitStrategy::spin_then_sleep`] comes to an end with that.
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

/// What a program wants to be asked in its waits: whether to give this one up.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Interrupt {
    pub(crate) fn new(ask: impl Fn() -> bool + Send + Sync + 'static) -> Interrupt {
        Interrupt(Some(Arc::new(ask)))
    }

    /// Asks.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|ask| ask())
    }
}

// A wait that it ends by a panic has changed nothing, and the closure is the program's affair.
impl UnwindSafe for Interrupt {}
impl RefUnwindSafe for Interrupt {}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interrupt({})", self.0.is_some())
    }
}

/// How a handle waits. A wait that begins where the last one ended asleep, in vain, does not stay awake once more:
/// else who looks with timeouts, to see to other things in between, would never be idle.
#[derive(Clone, Debug)]
pub(crate) struct WaitState {
    strategy: WaitStrategy,
    pub(crate) idle: bool,
    pub(crate) interrupt: Interrupt,
}

impl WaitState {
    /// The default; without the spins on a machine with one processor. Those that this thread may run on say nothing: who
    /// pins a thread to one has the other side run on another.
    pub(crate) fn here(interrupt: Interrupt) -> WaitState {
        let strategy = WaitStrategy::default();
        let strategy = match sysconf(SysconfVar::_NPROCESSORS_ONLN) {
            Ok(Some(1)) => strategy.spins(0),
            _ => strategy,
        };
        WaitState { strategy, idle: false, interrupt }
    }

    pub(crate) fn set_strategy(&mut self, strategy: WaitStrategy) {
        (self.strategy, self.idle) = (strategy, false);
    }

    /// For the next wait.
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
        WaitState { strategy, idle: false, interrupt: Interrupt::default() }
    }
}
