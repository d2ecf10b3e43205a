//! Runs a bridge, and starts it again whenever it has ended, as a service manager would.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A bridge that ended by itself.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    /// What it printed.
    pub(crate) said: String,
}

impl Exit {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

#[derive(Debug, Default)]
struct Shared {
    child: Option<Child>,
    exits: Vec<Exit>,
    /// Whether it is to be started again.
    ends: bool,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// `log` is a file for what it prints.
    pub(crate) fn start(
        args: Vec<String>,
        environment: Vec<(String, String)>,
        log: &Path,
    ) -> Supervisor {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (with, log) = (Arc::clone(&shared), log.to_owned());
        let thread = thread::spawn(move || {
            loop {
                {
                    let mut held = with.lock().unwrap();
                    if held.ends {
                        return;
                    }
                    held.child = Some(spawn(&args, &environment, &log));
                }
                let status = wait(&with);
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let mut held = with.lock().unwrap();
                held.exits.push(Exit { status, said });
                // Its work is done: the local queue is closed, or the count is reached.
                held.ends |= status.success();
                drop(held);
                thread::sleep(Duration::from_millis(100));
            }
        });
        Supervisor { shared, thread: Some(thread) }
    }

    /// Sends a signal to the bridge that runs now; false if none does.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let held = self.shared.lock().unwrap();
        let Some(child) = &held.child else { return false };
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        true
    }

    /// The same, once one runs.
    pub(crate) fn signal_sure(&self, signal: Signal) {
        while !self.signal(signal) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How often it has ended.
    pub(crate) fn exits(&self) -> Vec<Exit> {
        self.shared.lock().unwrap().exits.clone()
    }

    /// Waits until it has ended `count` times.
    pub(crate) fn wait_exits(&self, count: usize) -> Vec<Exit> {
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            let exits = self.exits();
            if exits.len() >= count {
                return exits;
            }
            assert!(Instant::now() < until, "the bridge did not end within 90 s");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end with success.
    pub(crate) fn join(&mut self) -> Vec<Exit> {
        let until = Instant::now() + Duration::from_secs(90);
        while !self.shared.lock().unwrap().ends {
            assert!(Instant::now() < until, "the bridge has nothing left to do and does not end");
            thread::sleep(Duration::from_millis(20));
        }
        self.exits()
    }

    /// SIGTERM, and no start after that.
    pub(crate) fn stop(&mut self) -> Vec<Exit> {
        self.shared.lock().unwrap().ends = true;
        self.signal(Signal::SIGTERM);
        let until = Instant::now() + Duration::from_secs(60);
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            // Its exit shows that it did not stop.
            if Instant::now() > until {
                self.signal(Signal::SIGKILL);
            }
            thread::sleep(Duration::from_millis(10));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.exits()
    }

    /// SIGKILL, and no start after that.
    pub(crate) fn stop_now(&mut self) {
        self.shared.lock().unwrap().ends = true;
        self.signal(Signal::SIGKILL);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop_now();
    }
}

/// The bridge that is tested: the one of this build, or the one that `SLIPRING_BRIDGE` names.
pub(crate) fn program() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_slipring-bridge"));
    std::env::var_os("SLIPRING_BRIDGE").map_or_else(built, PathBuf::from)
}

fn spawn(args: &[String], environment: &[(String, String)], log: &Path) -> Child {
    let output = File::create(log).unwrap();
    let mut command = Command::new(program());
    command.args(args).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    command.spawn().unwrap()
}

/// Its end, without holding the lock meanwhile.
fn wait(shared: &Mutex<Shared>) -> ExitStatus {
    loop {
        let mut held = shared.lock().unwrap();
        let status = held.child.as_mut().and_then(|child| child.try_wait().unwrap());
        if let Some(status) = status {
            // Nobody may signal a number that can be another process by now.
            held.child = None;
            return status;
        }
        drop(held);
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether it ended by this signal of ours.
pub(crate) fn was_killed(exit: &Exit) -> bool {
    exit.status.signal() == Some(Signal::SIGKILL as i32)
}
