//! Ctrl-C and SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// Longest sleep in one piece. A signal that came just before it is noticed after this time.
const LATEST: Duration = Duration::from_millis(100);

/// Whether a stop was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// From here on the first signal only asks to stop. The second ends the process at once, which no queue is harmed by.
    pub(crate) fn on_signals() -> Result<Stop, Failure> {
        let signal = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        let register = || -> io::Result<()> {
            for number in [SIGINT, SIGTERM] {
                flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&again))?;
                flag::register(number, Arc::clone(&again))?;
                flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            }
            Ok(())
        };
        register()
            .map_err(|fault| Failure::failed(format!("cannot watch for signals: {fault}")))?;
        Ok(Stop(signal))
    }

    /// The signal that asked to stop, if there was one.
    pub(crate) fn signal(&self) -> Option<usize> {
        // Relaxed: the signal stands alone.
        Some(self.0.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.signal().is_some()
    }

    /// Fails if a stop was asked for.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.signal().map_or(Ok(()), |signal| Err(Failure::stopped(signal)))
    }

    /// A question for the waits of a queue.
    pub(crate) fn asked(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let stop = self.clone();
        move || stop.is_asked()
    }

    /// Sleeps until then, or until a stop is asked for.
    pub(crate) fn sleep_until(&self, until: Instant) {
        while !self.is_asked() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(LATEST));
        }
    }

    /// Asks to stop, as a SIGTERM would.
    pub(crate) fn ask(&self) {
        let _ = self.0.compare_exchange(0, SIGTERM as usize, Ordering::Relaxed, Ordering::Relaxed);
    }
}
