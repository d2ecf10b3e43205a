//! The thread that sleeps for all futures of the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::{io, thread};

use crate::attach::Mapped;
use crate::ring::watch::{Entry, Watch};
use crate::sync::Mutex;
use crate::sys::fork::{Own, PerProcess};
use crate::sys::signals;

static DRIVER: PerProcess<Driver> = PerProcess::new();

#[derive(Debug)]
struct Driver {
    watch: Watch<Arc<Mapped>, Waker>,
    /// Whether the thread runs. It never ends; without entries it sleeps until there is one.
    runs: Mutex<bool>,
}

/// An entry of a future with the driver. Dropped, it is taken back.
#[derive(Debug)]
pub(super) struct Registration {
    driver: &'static Own<Driver>,
    id: u64,
}

/// Leaves an entry with the driver, which wakes its waker once when it is over.
pub(super) fn register(entry: Entry<Arc<Mapped>, Waker>) -> io::Result<Registration> {
    let driver = DRIVER.get(|| Driver { watch: Watch::new(), runs: Mutex::new(false) });
    driver.value.start()?;
    Ok(Registration { driver, id: driver.value.watch.enter(entry) })
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

impl Drop for Registration {
    fn drop(&mut self) {
        // In a forked child, a thread that is not there may have held the lock.
        if !self.driver.forked() {
            // Dropped here, with the lock given back: a waker's drop may drop a task, and that a registration.
            drop(self.driver.value.watch.take_back(self.id));
        }
    }
}
