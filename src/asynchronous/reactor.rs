//! The reactor's thread, which sleeps for all futures of the process.

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

static REACTOR: PerProcess<ReactorThread> = PerProcess::new();

#[derive(Debug)]
struct ReactorThread {
    reactor: Reactor<Arc<Mapped>, Waker>,
    /// Whether the thread runs. It never ends; without futures that wait, it sleeps.
    runs: Mutex<bool>,
}

/// The reactor of this process, with its thread running.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running(&'static Own<ReactorThread>);

/// Starts the thread if it does not run yet.
pub(super) fn running() -> io::Result<Running> {
    let own = REACTOR.get(|| ReactorThread { reactor: Reactor::new(), runs: Mutex::new(false) });
    own.value.start()?;
    Ok(Running(own))
}

impl ReactorThread {
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
                // The waker is code of another crate. Its panic is reported by the panic hook, and must not keep the
                // other wakers from being called.
                let _ = catch_unwind(AssertUnwindSafe(|| entry.tell.wake()));
            }
        }
    }
}

impl Running {
    /// As `Reactor::wait`; the waker is woken once, when the entry ends.
    pub(super) fn wait<E>(
        self,
        queue: &Arc<Mapped>,
        kind: WaiterKind,
        poll: impl FnOnce() -> Result<Option<Duration>, E>,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Option<Registration>, E> {
        let entry = self.0.value.reactor.wait(queue, kind, poll, waker)?;
        Ok(entry.map(|entry| Registration { reactor: self, entry }))
    }
}

/// A wait that is registered with the reactor. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct Registration {
    reactor: Running,
    entry: EntryHandle<Arc<Mapped>>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Running(own) = self.reactor;
        // In a forked child, a thread that does not exist there may have held the lock.
        if !own.forked() {
            // Dropped after the lock is released: a waker's drop may drop a task, and with it another registration.
            drop(own.value.reactor.leave(&self.entry));
        }
    }
}
