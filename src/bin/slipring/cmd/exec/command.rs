//! The command of one message: its input and environment, its end, and other reasons for a failure.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::statvfs::fstatvfs;
use signal_hook::low_level::signal_name;
use slipring::Source;

use super::process_group::{self, Ended};
use super::stdin;
use crate::failure::{Failure, io_failed};
use crate::stop::Stop;

const SHELL: &str = "sh";
/// Longest sleep between two checks of a command that runs.
const NAP_MAX: Duration = Duration::from_millis(20);
/// The same for one of which a signal has left a part.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const NAP_MIN: Duration = Duration::from_micros(100);
/// Time between the SIGTERM and the SIGKILL for a command that is to end.
const KILL_AFTER: Duration = Duration::from_secs(5);
/// Time after the SIGKILL in which processes are waited for that may not go: they are in a system call, or another user's.
const GONE_AFTER: Duration = Duration::from_secs(1);
/// How long a process waits, after a signal has ended a command, for one that stops the process as well: a signal to a whole
/// service may reach the command first.
pub(crate) const GRACE: Duration = Duration::from_millis(100);

/// Finds out, before any message is taken, whether there is a shell and it can read the command.
pub(crate) fn check(command: &str) -> Result<(), Refused> {
    let read = Command::new(SHELL).args(["-n", "-c", command]).stdin(Stdio::null()).status();
    match read.map_err(|fault| Refused::new(&fault, not_started(&fault)))? {
        status if status.success() => Ok(()),
        _ => {
            let failure = Failure::usage(format!("{SHELL} cannot read the command of --exec"));
            Err(Refused { failure, passes: false })
        }
    }
}

fn not_started(fault: &io::Error) -> Failure {
    Failure::failed(format!("cannot run {SHELL} for --exec: {fault}"))
}

/// A command that could not even be started.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// The system is short of a resource that other processes may release.
    pub(crate) passes: bool,
}

impl Refused {
    fn new(fault: &io::Error, failure: Failure) -> Refused {
        let errno = fault.raw_os_error().map(Errno::from_raw);
        let short = [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE];
        Refused { failure, passes: errno.is_some_and(|errno| short.contains(&errno)) }
    }
}

/// What a command is told of its message.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) queue: &'a str,
    pub(crate) group: &'a str,
    pub(crate) sequence: u64,
    pub(crate) attempts: u8,
    pub(crate) kind: u32,
    pub(crate) source: Option<Source>,
}

pub(crate) fn start(
    command: &str,
    about: &About<'_>,
    message: &[u8],
    output: Stdio,
) -> Result<Child, Refused> {
    let input = stdin::holding(message)
        .map_err(|fault| Refused::new(&fault, io_failed("pass a message on", &fault)))?;
    let mut shell = Command::new(SHELL);
    // Another worker may have started this one.
    shell.env_remove("SLIPRING_STREAM").env_remove("SLIPRING_POSITION");
    if let Some(source) = about.source {
        shell.env("SLIPRING_STREAM", source.stream().to_string());
        shell.env("SLIPRING_POSITION", source.position().to_string());
    }
    let child = shell
        .args(["-c", command])
        .env("SLIPRING_QUEUE", about.queue)
        .env("SLIPRING_GROUP", about.group)
        .env("SLIPRING_SEQUENCE", about.sequence.to_string())
        .env("SLIPRING_ATTEMPTS", about.attempts.to_string())
        .env("SLIPRING_KIND", about.kind.to_string())
        .stdin(input)
        .stdout(output)
        // Ctrl-C at a terminal is for the worker: running commands end by themselves.
        .process_group(0)
        .spawn();
    child.map_err(|fault| Refused::new(&fault, not_started(&fault)))
}

/// How far a command is that has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Since its start.
    pub(crate) time: Duration,
    /// Since a signal ended its shell, which has left other processes of its group at work.
    leaderless: Option<Duration>,
}

impl Progress {
    /// Whether what a signal has left of it is to be ended: nobody learns any more how its work ends. Not if this process is
    /// told to stop: then the signal was for the whole service, and what it has left ends by itself.
    pub(crate) fn is_left_over(self, stop: &Stop) -> bool {
        self.leaderless.is_some_and(|since| since >= GRACE) && stop.check().is_ok()
    }
}

/// Waits for a command's end. Calls `goes_on` now and then; once that says no, the command is ended: its process group gets
/// SIGTERM, and then SIGKILL if a process of it is left. A command that is ended, or whose shell was ended by a signal, has
/// its end only when no process of its group lives: until then it may be at work on its message. Processes that a shell
/// leaves which ends by itself are no part of the command.
pub(crate) fn wait(
    child: &mut Child,
    mut goes_on: impl FnMut(Progress) -> bool,
) -> io::Result<ExitStatus> {
    let began = Instant::now();
    let (mut told_to_end, mut killed, mut leaderless) = (None::<Instant>, None, None);
    let long = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= GONE_AFTER);
    loop {
        let ended = process_group::ended(child)?;
        let over = match ended {
            None => false,
            Some(Ended::ByItself) if told_to_end.is_none() => true,
            Some(_) if long(killed) => true,
            Some(_) => match process_group::lives(child) {
                Some(lives) => !lives,
                // In a stop nobody ends what is left, whose end nobody sees.
                None => told_to_end.is_none() && long(leaderless),
            },
        };
        if over {
            return child.wait();
        }
        let leaderless = ended.map(|_| leaderless.get_or_insert_with(Instant::now).elapsed());
        let goes_on = goes_on(Progress { time: began.elapsed(), leaderless });
        match told_to_end {
            None if !goes_on => {
                process_group::signal(child, Signal::SIGTERM);
                told_to_end = Some(Instant::now());
            }
            Some(since) if since.elapsed() >= KILL_AFTER => {
                process_group::signal(child, Signal::SIGKILL);
                killed.get_or_insert_with(Instant::now);
            }
            _ => {}
        }
        // A look at what is left reads all of /proc.
        let longest = if ended.is_some() { LOOK_EVERY } else { NAP_MAX };
        thread::sleep((began.elapsed() / 32).clamp(NAP_MIN, longest));
    }
}

/// What is wrong with the streams that commands write to, if anything: then their failures say nothing about their
/// messages.
pub(crate) fn broken_stream() -> Option<Failure> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    if reader_gone(&stdout) {
        return Some(Failure::Closed);
    }
    if reader_gone(&stderr) {
        let text = "the reader of standard error has gone, which commands may write to";
        return Some(Failure::failed(text));
    }
    let full = |name: &str| {
        let text = format!("no space is left for {name}, which commands write to");
        Failure::failed(text).hint("make space, and start it again: no attempt was counted")
    };
    if is_full(&stdout) {
        return Some(full("standard output"));
    }
    is_full(&stderr).then(|| full("standard error"))
}

/// Whether a pipe or a socket has lost its other end. Files and terminals have none.
pub(crate) fn reader_gone(stream: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|found| found > 0)
}

/// Whether a regular file is on a file system with no space left.
fn is_full(stream: &impl AsFd) -> bool {
    let file = stream.as_fd().try_clone_to_owned().map(File::from);
    let plain = |file: &File| file.metadata().is_ok_and(|metadata| metadata.is_file());
    file.is_ok_and(|file| {
        // A file system that counts no blocks has no limit.
        plain(&file)
            && fstatvfs(&file).is_ok_and(|fs| fs.blocks() > 0 && fs.blocks_available() == 0)
    })
}

pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("killed by {name}"),
            None => format!("killed by signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// Whether a signal has ended the shell, or the shell reports that of its command.
pub(crate) fn by_signal(status: ExitStatus) -> bool {
    status.code().is_none_or(|code| code > 128)
}
