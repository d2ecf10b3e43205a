//! How the program can end other than well, and the exit code of each.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use slipring::ErrorCode;

use crate::status;

/// Whether notes and errors are printed as JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// From here on notes and errors are JSON objects, one a line.
pub(crate) fn use_json() {
    // Relaxed: set before there is a second thread.
    JSON.store(true, Ordering::Relaxed);
}

/// Why a bridge ended before its work was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Failed,
    Usage,
    Timeout,
    /// There is no such queue or group here.
    Missing,
    /// The broker refused the credentials, or the permission.
    Refused,
    /// A message can never be taken, and the policy is to stop.
    Poison,
    /// This signal asked to stop.
    Stopped(usize),
}

/// Why a bridge ended before its work was done, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) text: String,
    pub(crate) hints: Vec<String>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    name: &'a str,
    text: &'a str,
    hints: &'a [String],
    exit_code: u8,
}

#[derive(Serialize)]
struct Note<'a> {
    note: &'a str,
}

impl Failure {
    fn new(cause: Cause, text: impl Into<String>) -> Failure {
        Failure { cause, text: text.into(), hints: Vec::new() }
    }

    pub(crate) fn failed(text: impl Into<String>) -> Failure {
        Failure::new(Cause::Failed, text)
    }

    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::new(Cause::Usage, text)
    }

    pub(crate) fn timeout(text: impl Into<String>) -> Failure {
        Failure::new(Cause::Timeout, text)
    }

    pub(crate) fn refused(text: impl Into<String>) -> Failure {
        Failure::new(Cause::Refused, text)
    }

    pub(crate) fn poison(text: impl Into<String>) -> Failure {
        Failure::new(Cause::Poison, text)
    }

    pub(crate) fn stopped(signal: usize) -> Failure {
        Failure::new(Cause::Stopped(signal), "told to stop")
    }

    /// An error of the library.
    pub(crate) fn coded(code: ErrorCode, text: impl Into<String>) -> Failure {
        let cause = match code {
            ErrorCode::NoSuchQueue | ErrorCode::NoSuchGroup => Cause::Missing,
            ErrorCode::BadName => Cause::Usage,
            _ => Cause::Failed,
        };
        let failure = Failure::new(cause, text);
        match code {
            ErrorCode::NoSources => failure
                .hint("slipring create QUEUE --sources N makes one for N streams, 127 at most"),
            _ => failure,
        }
    }

    /// Adds a line that says what to do about it.
    pub(crate) fn hint(mut self, line: impl Into<String>) -> Failure {
        self.hints.push(line.into());
        self
    }

    /// Says where it happened before what happened.
    pub(crate) fn at(mut self, place: impl Display) -> Failure {
        self.text = format!("{place}: {}", self.text);
        self
    }

    fn exit_code(&self) -> u8 {
        match self.cause {
            Cause::Failed => 1,
            Cause::Usage => 2,
            Cause::Timeout => 3,
            Cause::Missing => 4,
            Cause::Refused => 5,
            Cause::Poison => 6,
            Cause::Stopped(signal) => 128u8.saturating_add(signal as u8),
        }
    }

    fn name(&self) -> &'static str {
        match self.cause {
            Cause::Failed => "failed",
            Cause::Usage => "usage",
            Cause::Timeout => "timeout",
            Cause::Missing => "missing",
            Cause::Refused => "refused",
            Cause::Poison => "poison",
            Cause::Stopped(_) => "stopped",
        }
    }

    /// Prints it, unless a signal was the cause, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let exit_code = self.exit_code();
        if matches!(self.cause, Cause::Stopped(_)) {
            return ExitCode::from(exit_code);
        }
        if JSON.load(Ordering::Relaxed) {
            let error =
                Error { name: self.name(), text: &self.text, hints: &self.hints, exit_code };
            say(&json(&ErrorLine { error }));
        } else {
            let hints: String = self.hints.iter().map(|hint| format!("  {hint}\n")).collect();
            say(&format!("error: {}\n{hints}", self.text));
        }
        ExitCode::from(exit_code)
    }
}

macro_rules! from_coded {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(fault: $error) -> Failure {
                Failure::coded(fault.code(), fault.to_string())
            }
        }
    )+};
}
from_coded!(
    slipring::AckError,
    slipring::AttachError,
    slipring::CreateError,
    slipring::GrowError,
    slipring::JoinError,
    slipring::OpenError,
    slipring::OpenOrCreateError,
    slipring::ProducerError,
    slipring::RecvError,
    slipring::RejectError,
    slipring::SendError,
    slipring::StreamError,
    slipring::StreamSendError
);

fn json(value: &impl Serialize) -> String {
    // These types have texts and numbers only, which always can be JSON.
    serde_json::to_string(value).map_or_else(|_| String::new(), |line| line + "\n")
}

/// A line for the person at the terminal.
pub(crate) fn note(line: &str) {
    if JSON.load(Ordering::Relaxed) {
        say(&json(&Note { note: line }));
    } else {
        say(&format!("note: {line}\n"));
    }
}

/// Writes to standard error, in one write. A failure of that is no reason to stop.
fn say(lines: &str) {
    status::aside(|| {
        let _ = io::stderr().write_all(lines.as_bytes());
    });
}
