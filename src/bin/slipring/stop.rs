//! Ctrl-C, SIGTERM and the end of a terminal.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{exit, register};
use slipring::monotonic_ns;

use crate::failure::{Failure, io_failed};
use crate::inherited::is_ignored;

/// Longest sleep in one piece. A signal ends it; one that came just before it is noticed after this time.
const LATEST: Duration = Duration::from_millis(100);
/// A signal that comes within this time of the first is the same request: timeout(1) signals its child and then its process
/// group.
const SAME: Duration = Duration::from_millis(500);

/// A terminal that is closed sends SIGHUP.
const STOPS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

static WATCHED: OnceLock<Stop> = OnceLock::new();

/// Whether a stop was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// From here on the first signal only asks to stop. One that comes half a second later, or after that, ends the process
    /// at once, which harms no queue. A signal that was ignored when the process was started stays ignored.
    pub(crate) fn on_signals() -> Result<Stop, Failure> {
        if let Some(stop) = WATCHED.get() {
            return Ok(stop.clone());
        }
        let signal = Arc::new(AtomicUsize::new(0));
        let first = Arc::new(AtomicU64::new(0));
        let watch = || -> io::Result<()> {
            for number in STOPS.into_iter().filter(|number| !is_ignored(*number)) {
                let (signal, first) = (Arc::clone(&signal), Arc::clone(&first));
                let action = move || came(number, &signal, &first);
                // SAFETY: `came` may run in a signal handler, as it says.
                unsafe { register(number, action) }?;
            }
            Ok(())
        };
        watch().map_err(|fault| io_failed("watch for signals", &fault))?;
        Ok(WATCHED.get_or_init(|| Stop(signal)).clone())
    }

    /// The one of [`Stop::on_signals`]; without it signals end the process by themselves.
    pub(crate) fn watched() -> Stop {
        WATCHED.get().cloned().unwrap_or_default()
    }

    /// Fails if a stop was asked for.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::Stopped(signal)),
        }
    }

    /// Whether a stop was asked for: a question for the waits of a queue.
    pub(crate) fn asked(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let stop = self.clone();
        move || stop.check().is_err()
    }

    /// Sleeps; fails as soon as a stop is asked for.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            self.check()?;
            match time.checked_sub(since.elapsed()) {
                Some(left) if !left.is_zero() => thread::sleep(left.min(LATEST)),
                _ => return Ok(()),
            }
        }
    }

    /// Waits until one of `events`, or an error, is there at `stream`.
    pub(crate) fn poll(&self, stream: BorrowedFd<'_>, events: PollFlags) -> Result<(), Failure> {
        while !poll_for(stream, events, LATEST) {
            self.check()?;
        }
        Ok(())
    }

    /// Why a queue's wait ended before its time, if that may also be that the reader of the output has gone.
    pub(crate) fn ended(&self) -> Failure {
        self.check().err().unwrap_or(Failure::Closed)
    }

    /// Asks to stop, as a SIGTERM would.
    pub(crate) fn set(&self) {
        self.0.store(SIGTERM as usize, Ordering::Relaxed);
    }
}

/// Notes that the signal came; `first` is when the first one did. Runs in the signal handler: it reads the clock, uses
/// atomics and may call `_exit`, which signal-safety(7) allows, and neither allocates nor panics.
fn came(number: i32, signal: &AtomicUsize, first: &AtomicU64) {
    let now = monotonic_ns().max(1);
    // Relaxed: the time is all that is handed over.
    match first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
        // Relaxed: a thread that sees it only ends its work.
        Ok(_) => signal.store(number as usize, Ordering::Relaxed),
        Err(first) if Duration::from_nanos(now.saturating_sub(first)) >= SAME => exit(128 + number),
        Err(_) => {}
    }
}

/// Whether one of `events`, or an error, is there; waits at most so long.
pub(crate) fn poll_for(stream: BorrowedFd<'_>, events: PollFlags, longest: Duration) -> bool {
    let mut fds = [PollFd::new(stream, events)];
    match poll(&mut fds, PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX)) {
        Ok(found) => found > 0,
        Err(Errno::EINTR) => false,
        // The next read or write will say what is wrong.
        Err(_) => !events.is_empty(),
    }
}
