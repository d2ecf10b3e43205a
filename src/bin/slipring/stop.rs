//! Ctrl-C and SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::{Failure, io_failed};

/// Waits are cut into slices of this length, between which the signal is looked for.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Whether somebody has asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// From here on the first signal only asks; the second ends the process at once, which no queue
    /// minds.
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
        register().map_err(|fault| io_failed("watch for signals", &fault))?;
        Ok(Stop(signal))
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
