//! How a command can end other than well, and the exit code of each.

use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};
use slipring::{
    AckError, AddGroupError, AttachError, ControlError, CreateError, ErrorCode, JoinError, Mode,
    OpenError, OpenOrCreateError, ProducerError, RecvError, RejectError, RemoveError,
    RemoveGroupError, SendError, SystemError,
};

use crate::file_size;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What went wrong; lines below the first say what to do.
    Failed(String),
    /// An argument that cannot be.
    Usage(String),
    /// Nothing came within the time given.
    Timeout(String),
    /// Whoever read the output has gone: nothing to say, nobody to say it to.
    Closed,
    /// This signal asked to stop.
    Stopped(usize),
}

impl Failure {
    pub(crate) fn failed(text: impl Into<String>) -> Failure {
        Failure::Failed(text.into())
    }

    /// Adds a line that says what to do about it.
    pub(crate) fn hint(self, line: impl AsRef<str>) -> Failure {
        match self {
            Failure::Failed(text) => Failure::Failed(format!("{text}\n  {}", line.as_ref())),
            other => other,
        }
    }

    /// Prints it and says the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Failure::Failed(text) => (text, 1),
            Failure::Usage(text) => (text, 2),
            Failure::Timeout(text) => (text, 3),
            Failure::Closed => return ExitCode::SUCCESS,
            Failure::Stopped(signal) => return ExitCode::from(128u8.saturating_add(signal as u8)),
        };
        note(&format!("error: {text}"));
        ExitCode::from(code)
    }
}

/// A line for the person at the terminal. If nobody can be told, that is no reason to stop.
pub(crate) fn note(line: &str) {
    use io::Write;
    // In one write: between two, another process may write to the same place.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The error of a call about the queue `name`, with the command that helps.
pub(crate) fn open_failed(name: &str, fault: OpenError) -> Failure {
    let missing = matches!(fault, OpenError::NotFound { .. });
    let failure = Failure::from(fault);
    if missing { failure.hint(create_hint(name)) } else { failure }
}

/// The command that makes the queue `name`.
pub(crate) fn create_hint(name: &str) -> String {
    format!("slipring create {name} --capacity 4096 --payload 112 --group main")
}

/// The option that opens a queue all the same.
pub(crate) fn open_hint(fault: &OpenError) -> Option<String> {
    match fault {
        OpenError::ForeignOwner { uid, .. } => {
            Some(format!("--allow-uid {uid} opens that user's queues as well"))
        }
        _ => None,
    }
}

/// An error with this code and text, with what helps for errors of its kind.
fn coded(code: ErrorCode, text: String) -> Failure {
    match code {
        ErrorCode::BadName => Failure::Usage(text),
        ErrorCode::TooManyGroups => Failure::Failed(text)
            .hint("slipring create NAME --groups N makes one with room for N, 63 at most"),
        ErrorCode::TooManyConsumers => Failure::Failed(text)
            .hint("slipring create NAME --consumers N makes one with room for N, 255 at most"),
        _ => Failure::Failed(text),
    }
}

macro_rules! from_coded {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(fault: $error) -> Failure {
                coded(fault.code(), fault.to_string())
            }
        }
    )+};
}
from_coded!(
    AckError,
    AddGroupError,
    AttachError,
    ControlError,
    CreateError,
    ProducerError,
    RecvError
);
from_coded!(RejectError, RemoveError, RemoveGroupError, SendError, SystemError);

impl From<OpenError> for Failure {
    fn from(fault: OpenError) -> Failure {
        open_hint(&fault).iter().fold(coded(fault.code(), fault.to_string()), Failure::hint)
    }
}

impl From<JoinError> for Failure {
    fn from(fault: JoinError) -> Failure {
        let failure = coded(fault.code(), fault.to_string());
        match fault {
            JoinError::WrongMode { found: Mode::Shared, .. } => failure.hint("--shared joins it"),
            JoinError::WrongMode { .. } => failure.hint("leave out --shared to join it"),
            _ => failure,
        }
    }
}

impl From<OpenOrCreateError> for Failure {
    fn from(fault: OpenOrCreateError) -> Failure {
        match fault {
            OpenOrCreateError::Open(fault) => fault.into(),
            fault => coded(fault.code(), fault.to_string()),
        }
    }
}

/// An error in JSON: its code, fixed for programs, and its text, for people.
pub(crate) fn error_json(code: ErrorCode, text: &str) -> Value {
    json!({ "number": code.number(), "name": code.name(), "text": text })
}

/// The error of reading or writing `what`.
pub(crate) fn io_failed(doing: &str, fault: &io::Error) -> Failure {
    match fault.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ if file_size::is_beyond(fault) => {
            let limit = "RLIMIT_FSIZE, ulimit -f, allows no larger file";
            Failure::Failed(format!("cannot {doing}: {fault}: {limit}"))
        }
        _ => Failure::Failed(format!("cannot {doing}: {fault}")),
    }
}
