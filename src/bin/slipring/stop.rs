//! Ctrl-C and SIGTERM.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::{Failure, io_failed};
use crate::inherited::is_ignored;

/// Waits are cut into slices of this length, between which the signal is looked for.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

static WATCHED: OnceLock<Stop> = OnceLock::new();

/// Whether somebody has asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// From here on the first signal only asks; the second ends the process at once, which no queue
    /// minds. A signal that was ignored when the process was started stays so.
    pub(crate) fn on_signals() -> Result<Stop, Failure> {
        if let Some(stop) = WATCHED.get() {
            return Ok(stop.clone());
        }
        let signal = Arc::new(AtomicUsize::new(0));
        let again = Arc::new(AtomicBool::new(false));
        let register = || -> io::Result<()> {
            for number in [SIGINT, SIGTERM].into_iter().filter(|number| !is_ignored(*number)) {
                flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&again))?;
                flag::register(number, Arc::clone(&again))?;
                flag::register_usize(number, Arc::clone(&signal), number as usize)?;
            }
            Ok(())
        };
        register().map_err(|fault| io_failed("watch for signals", &fault))?;
        Ok(WATCHED.get_or_init(|| Stop(signal)).clone())
    }

    /// The one of [`Stop::on_signals`]; without it signals end the process by themselves.
    pub(crate) fn watched() -> Stop {
        WATCHED.get().cloned().unwrap_or_default()
    }

    /// Fails if somebody has asked to stop.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Failure::Stopped(signal)),
        }
    }

    /// Asks to stop, as a SIGTERM would.
    pub(crate) fn set(&self) {
        self.0.store(SIGTERM as usize, Ordering::Relaxed);
    }
}
