//! The thread that sleeps for all futures of the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Duration;
use std::{io, thread};

use crate::attach::Mapped;
use crate::ring::park::WaiterKind;
use crate::ring::reactor::{EntryHandle, Reactor};
use crate::sync::Mutex;
use crate::sys::fork::{Own, PerProcess};
use crate::sys::signals;

static DRIVER: PerProcess<Driver> = PerProcess::new();

#[derive(Debug)]
struct Driver {
    reactor: Reactor<Arc<Mapped>, Waker>,
    /// Whether the thread runs. It never ends; while nobody waits it sleeps.
    runs: Mutex<bool>,
}

/// The driver of this process, its thread started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running(&'static Own<Driver>);

/// Starts the thread if that is still to be done.
pub(super) fn running() -> io::Result<Running> {
    let own = DRIVER.get(|| Driver { reactor: Reactor::new(), runs: Mutex::new(false) });
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
            for entry in self.reactor.poll() {
                // What it wakes is not of this library. A panic there is told by its hook, and is not to stop the
                // others.
                let _ = catch_unwind(AssertUnwindSafe(|| entry.tell.wake()));
            }
        }
    }
}

impl Running {
    /// As `Reactor::wait`; the waker is woken once when the entry is over.
    pub(super) fn wait<E>(
        self,
        queue: &Arc<Mapped>,
        kind: WaiterKind,
        look: impl FnOnce() -> Result<Option<Duration>, E>,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Option<Registration>, E> {
        let entry = self.0.value.reactor.wait(queue, kind, look, waker)?;
        Ok(entry.map(|entry| Registration { driver: self, entry }))
    }
}

/// A wait with the driver. Dropped, it is over.
#[derive(Debug)]
pub(super) struct Registration {
    driver: Running,
    entry: EntryHandle<Arc<Mapped>>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Running(own) = self.driver;
        // In a forked child, a thread that is not there may have held the lock.
        if !own.forked() {
            // Dropped here, with the lock given back: a waker's drop may drop a task, and that a registration.
            drop(own.value.reactor.leave(&self.entry));
        }
    }
}
