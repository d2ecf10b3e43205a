//! The thread that sleeps for all futures of the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Duration;
use std::{io, thread};

use crate::attach::Mapped;
use crate::ring::wake::Word;
use crate::ring::watch::{Ticket, Watch};
use crate::sync::Mutex;
use crate::sys::fork::{Own, PerProcess};
use crate::sys::signals;

static DRIVER: PerProcess<Driver> = PerProcess::new();

#[derive(Debug)]
struct Driver {
    watch: Watch<Arc<Mapped>, Waker>,
    /// Whether the thread runs. It never ends; while nobody waits it sleeps.
    runs: Mutex<bool>,
}

/// The driver of this process, its thread started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running(&'static Own<Driver>);

/// Starts the thread if that is still to be done.
pub(super) fn running() -> io::Result<Running> {
    let own = DRIVER.get(|| Driver { watch: Watch::new(), runs: Mutex::new(false) });
    own.value.start()?;
    Ok(Running(own))
}

impl Driver {
    fn start(&'static self) -> io::Result<()> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if !*runs {
            thread::Builder::new().name("slipring-wait".to_owned()).spawn(|| self.run())?;
            *runs = true;
        }
        Ok(())
    }

    fn run(&self) -> ! {
        signals::block_all();
        loop {
            for entry in self.watch.turn() {
                // What it wakes is not of this library. A panic there is told by its hook, and is not to stop the
                // others.
                let _ = catch_unwind(AssertUnwindSafe(|| entry.tell.wake()));
            }
        }
    }
}

impl Running {
    /// As `Watch::wait`; the waker is woken once when the entry is over.
    pub(super) fn wait<E>(
        self,
        queue: &Arc<Mapped>,
        word: Word,
        look: impl FnOnce() -> Result<Option<Duration>, E>,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Option<Registration>, E> {
        let ticket = self.0.value.watch.wait(queue, word, look, waker)?;
        Ok(ticket.map(|ticket| Registration { driver: self, ticket }))
    }
}

/// A wait with the driver. Dropped, it is over.
#[derive(Debug)]
pub(super) struct Registration {
    driver: Running,
    ticket: Ticket<Arc<Mapped>>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Running(own) = self.driver;
        // In a forked child, a thread that is not there may have held the lock.
        if !own.forked() {
            // Dropped here, with the lock given back: a waker's drop may drop a task, and that a registration.
            drop(own.value.watch.leave(&self.ticket));
        }
    }
}
