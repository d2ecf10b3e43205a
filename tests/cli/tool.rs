//! Running the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// What a finished run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// It did what it was asked, without a word on stderr.
    #[track_caller]
    pub(crate) fn quietly(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""));
        self.out
    }

    /// It is a worker that did what it was asked, and said nothing but its totals.
    #[track_caller]
    pub(crate) fn with_totals_only(self) -> String {
        let totals = self.err.starts_with("done ") && self.err.lines().count() == 1;
        assert!(self.code == Some(0) && totals, "{self:?}");
        self.out
    }

    /// It ended with this code, and said all of this on stderr.
    #[track_caller]
    pub(crate) fn says(self, code: i32, words: &[&str]) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {:?}", self.err);
        }
        self
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A shell without job control starts what runs in the background with these ignored, tests included.
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
        disposed(&mut command, signal, libc::SIG_DFL);
    }
    command
}

/// What a process may have no more of.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// Bytes of address space.
    Memory,
    /// Bytes of a file.
    FileSize,
    /// The number of a descriptor, plus one.
    Descriptors,
}

/// Lets it have no more than `most`.
#[allow(unsafe_code)]
pub(crate) fn limited(command: &mut Command, limit: Limit, most: u64) -> &mut Command {
    let what = match limit {
        Limit::Memory => libc::RLIMIT_AS,
        Limit::FileSize => libc::RLIMIT_FSIZE,
        Limit::Descriptors => libc::RLIMIT_NOFILE,
    };
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: reads a limit of the closure's own.
    let set = move || match unsafe { libc::setrlimit(what, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: between fork and exec it makes one system call, with a value of its own.
    unsafe { command.pre_exec(set) }
}

/// Starts it with a signal ignored, as nohup(1) does.
pub(crate) fn ignoring(command: &mut Command, signal: Signal) -> &mut Command {
    disposed(command, signal, libc::SIG_IGN)
}

#[allow(unsafe_code)]
fn disposed(command: &mut Command, signal: Signal, to: libc::sighandler_t) -> &mut Command {
    // SAFETY: takes numbers only, and installs no handler.
    let dispose = move || match unsafe { libc::signal(signal as i32, to) } {
        libc::SIG_ERR => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    };
    // SAFETY: between fork and exec it makes one system call, with numbers only.
    unsafe { command.pre_exec(dispose) }
}

pub(crate) fn run(args: &[&str]) -> Ran {
    command(args).output().unwrap().into()
}

/// What it prints, quietly, as JSON.
pub(crate) fn json(args: &[&str]) -> Value {
    parsed(&run(args).quietly())
}

/// A line of JSON, whose first member is the version of its form.
#[track_caller]
pub(crate) fn parsed(line: &str) -> Value {
    assert!(line.starts_with("{\"v\":1,"), "{line}");
    serde_json::from_str(line).unwrap()
}

/// What is shown of each of a queue's groups.
pub(crate) fn groups(queue: &str) -> Value {
    json(&["group", "ls", queue, "--json"])["groups"].take()
}

/// The group of that name.
#[track_caller]
pub(crate) fn group(queue: &str, name: &str) -> Value {
    let groups = groups(queue);
    groups.as_array().unwrap().iter().find(|group| group["name"] == name).unwrap().clone()
}

/// Runs it with `input` on its standard input.
pub(crate) fn feed(args: &[&str], input: &[u8]) -> Ran {
    let mut running = Running::start(args);
    let mut stdin = running.0.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // It may end before it has read everything.
        scope.spawn(move || stdin.write_all(input));
        running.finish()
    })
}

/// A run that goes on. It is killed when this is dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(args: &[&str]) -> Running {
        Running(command(args).stdin(Stdio::piped()).spawn().unwrap())
    }

    /// Starts a command that was made ready.
    pub(crate) fn of(command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }

    /// With its output into a file.
    pub(crate) fn start_into(args: &[&str], input: Stdio, out: std::fs::File) -> Running {
        Running(command(args).stdin(input).stdout(out).spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// The same, but it may have ended.
    pub(crate) fn offer(&mut self, bytes: &[u8]) {
        let _ = self.0.stdin.as_mut().unwrap().write_all(bytes);
    }

    /// Reads this many lines of its output; the rest can still be read.
    pub(crate) fn lines(&mut self, count: usize) -> Vec<String> {
        let out = self.0.stdout.as_mut().unwrap();
        (0..count).map(|_| line(out)).collect()
    }

    /// Waits until a line on stderr contains `word`, and returns it.
    pub(crate) fn wait_for(&mut self, word: &str) -> String {
        let err = self.0.stderr.as_mut().unwrap();
        loop {
            let line = line(err);
            assert!(!line.is_empty(), "it ended without saying {word:?}");
            if line.contains(word) {
                return line;
            }
        }
    }

    pub(crate) fn end_input(&mut self) {
        drop(self.0.stdin.take());
    }

    pub(crate) fn close_output(&mut self) {
        drop(self.0.stdout.take());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Waits for its end; returns what was not read yet.
    pub(crate) fn finish(mut self) -> Ran {
        drop(self.0.stdin.take());
        let (mut out, mut err) = (String::new(), String::new());
        let stdout = self.0.stdout.take();
        let mut stderr = self.0.stderr.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| stderr.read_to_string(&mut err).unwrap());
            if let Some(stdout) = stdout {
                let mut bytes = Vec::new();
                BufReader::new(stdout).read_to_end(&mut bytes).unwrap();
                out = String::from_utf8_lossy(&bytes).into_owned();
            }
        });
        Ran { code: self.0.wait().unwrap().code(), out, err }
    }

    /// SIGKILL; returns how it ended.
    pub(crate) fn kill(mut self) -> ExitStatus {
        let _ = self.0.kill();
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that goes when this is dropped.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> TempDir {
        let dir = TempDir(std::env::temp_dir().join(format!("slipring-{name}")));
        std::fs::create_dir(&dir.0).unwrap();
        dir
    }
}

impl std::ops::Deref for TempDir {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A line, read byte by byte so that nothing after it is lost; empty at the end.
fn line(from: &mut impl Read) -> String {
    let mut line = Vec::new();
    BufReader::with_capacity(1, from).read_until(b'\n', &mut line).unwrap();
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

/// Numbers as lines.
pub(crate) fn numbers(range: std::ops::Range<u64>) -> String {
    range.map(|n| format!("{n}\n")).collect()
}

/// The processes that a process has started and not yet waited for.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    // Of each thread: a worker's jobs start their commands.
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.flat_map(|task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("children"));
        let text = text.unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()
    });
    children.collect()
}

pub(crate) fn lives(pid: u32) -> bool {
    // A zombie is gone as well: its new parent has not waited for it yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
