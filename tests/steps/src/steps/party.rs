//! Processes that the program forks: each does its part and says how it went.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// An error is text for people to read.
pub(crate) type Outcome = Result<(), String>;

/// A forked process of this program, seen from its parent. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Party {
    what: &'static str,
    pid: Pid,
    ear: UnixStream,
    gone: bool,
}

/// The parent, seen from the forked process.
#[derive(Debug)]
pub(crate) struct Cue(UnixStream);

thread_local! {
    /// The text of the last panic.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

const READY: u8 = 1;
const DONE: u8 = 2;
const FAILED: u8 = 3;

impl Cue {
    /// Reports that the first part is done, and waits until the parent says to go on.
    pub(crate) fn ready(&mut self) -> Outcome {
        let mut go = [0];
        self.say_ready()?;
        self.0.read_exact(&mut go).map_err(|e| format!("the program is gone: {e}"))
    }

    /// Reports that the first part is done, without waiting.
    pub(crate) fn say_ready(&mut self) -> Outcome {
        self.0.write_all(&[READY]).map_err(|e| format!("the program is gone: {e}"))
    }
}

impl Party {
    /// Forks a process that runs `part` and then exits, without returning from `start`.
    pub(crate) fn start(
        what: &'static str,
        part: impl FnOnce(&mut Cue) -> Outcome,
    ) -> Result<Party, String> {
        let (ear, mouth) = UnixStream::pair().map_err(|e| format!("cannot make a pair: {e}"))?;
        // SAFETY: this program has one thread.
        match unsafe { fork() }.map_err(|e| format!("cannot fork: {e}"))? {
            ForkResult::Parent { child } => Ok(Party { what, pid: child, ear, gone: false }),
            ForkResult::Child => {
                drop(ear);
                let _ = set_pdeathsig(Signal::SIGKILL);
                set_hook(Box::new(|panic| SAID.with_borrow_mut(|said| *said = panic.to_string())));
                let mut cue = Cue(mouth);
                let done = catch_unwind(AssertUnwindSafe(|| part(&mut cue)));
                let done = done.unwrap_or_else(|_| Err(SAID.take()));
                let answer = match done {
                    Ok(()) => vec![DONE],
                    Err(fault) => [&[FAILED], fault.as_bytes()].concat(),
                };
                let _ = cue.0.write_all(&answer);
                // SAFETY: ends the process after its part; nothing that its parent owns is flushed or dropped.
                unsafe { libc::_exit(0) }
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the process has done its first part.
    pub(crate) fn ready(&mut self) -> Outcome {
        match self.hear()? {
            READY => Ok(()),
            _ => Err(format!("{}: done before its time", self.what)),
        }
    }

    /// Tells the process to go on.
    pub(crate) fn go(&mut self) -> Outcome {
        self.ear.write_all(&[0]).map_err(|e| format!("{}: is gone: {e}", self.what))
    }

    /// Waits for the end of the process, and returns its error if it reports one.
    pub(crate) fn finish(mut self) -> Outcome {
        match self.hear()? {
            DONE => Ok(()),
            _ => Err(format!("{}: not done", self.what)),
        }
    }

    fn hear(&mut self) -> Result<u8, String> {
        let mut word = [0];
        match self.ear.read(&mut word) {
            Ok(1) if word[0] == FAILED => {
                let mut fault = String::new();
                let _ = self.ear.read_to_string(&mut fault);
                Err(format!("{}: {fault}", self.what))
            }
            Ok(1) => Ok(word[0]),
            Ok(_) => Err(format!("{}: died", self.what)),
            Err(_) => Err(format!("{}: has said nothing for too long: it is blocked", self.what)),
        }
    }

    /// Sends SIGKILL, and returns once the process is dead and its leases are free.
    pub(crate) fn kill(&mut self) -> Outcome {
        if !std::mem::replace(&mut self.gone, true) {
            let dead = kill(self.pid, Signal::SIGKILL).and_then(|()| {
                loop {
                    match waitpid(self.pid, None)? {
                        WaitStatus::Signaled(..) | WaitStatus::Exited(..) => return Ok(()),
                        _ => {}
                    }
                }
            });
            dead.map_err(|e| format!("{}: cannot be killed: {e}", self.what))?;
        }
        Ok(())
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Runs `part` in a process of its own, and waits for its end.
pub(crate) fn alone(what: &'static str, part: impl FnOnce() -> Outcome) -> Outcome {
    Party::start(what, |_| part())?.finish()
}
