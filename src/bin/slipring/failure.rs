//! How a command can end other than well, and the exit code of each.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::LazyLock;

use slipring::{
    AckError, AckTimeoutError, AddGroupError, AttachError, ControlError, CreateError, ErrorCode,
    EvictError, ForgetStreamError, JobError, JoinError, Mode, NewStageError, OpenError,
    OpenOrCreateError, ProducerError, RecvError, RejectError, RemoveError, RemoveGroupError,
    SendError, StageError, StreamError, StreamSendError, SystemError,
};

use crate::file_size;
use crate::json;

/// Whether everything that this program prints is JSON. Errors in the arguments are JSON, too, so this is found before
/// they are parsed.
static JSON: LazyLock<bool> = LazyLock::new(|| {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
});

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong.
    Failed(Fault),
    /// An argument that cannot be.
    Usage(Fault),
    /// Nothing came within the time given.
    Timeout(Fault),
    /// The reader of the output has gone, and there is nothing to report.
    Closed,
    /// This signal asked to stop.
    Stopped(usize),
}

/// What is wrong, and what to do about it.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    code: Option<ErrorCode>,
    pub(crate) text: String,
    hints: Vec<String>,
}

impl Failure {
    pub(crate) fn failed(text: impl Into<String>) -> Failure {
        Failure::Failed(Fault { text: text.into(), ..Fault::default() })
    }

    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::Usage(Fault { text: text.into(), ..Fault::default() })
    }

    /// A wait of the library was too long, which has this code.
    pub(crate) fn timeout(code: ErrorCode, text: impl Into<String>) -> Failure {
        Failure::Timeout(Fault { code: Some(code), text: text.into(), ..Fault::default() })
    }

    /// An error of the library.
    pub(crate) fn coded(code: ErrorCode, text: String) -> Failure {
        let fault = Fault { code: Some(code), text, ..Fault::default() };
        match code {
            ErrorCode::BadName => Failure::Usage(fault),
            ErrorCode::DeadLetterName => Failure::Usage(fault)
                .hint("--dead-letters QUEUE names another queue for them")
                .hint("or, without a limit of attempts, --max-attempts 0"),
            ErrorCode::TooManyGroups => Failure::Failed(fault)
                .hint("slipring create QUEUE --max-groups N makes one with room for N, 63 at most"),
            ErrorCode::TooManyConsumers => Failure::Failed(fault).hint(
                "slipring create QUEUE --max-consumers N makes one with room for N, 255 at most",
            ),
            ErrorCode::NoCells => Failure::Failed(fault)
                .hint("slipring create QUEUE --spare-cells N makes one with room for N in groups that are added later")
                .hint("or leave the group without: --in-flight 0"),
            ErrorCode::BadInFlight => Failure::Failed(fault)
                .hint("--shared --in-flight N, 1 to 65536, and --ack-timeout TIME of 1 s or more, or 0 for none"),
            ErrorCode::NoSources => Failure::Failed(fault)
                .hint("slipring create QUEUE --sources N makes one for N streams, 127 at most"),
            _ => Failure::Failed(fault),
        }
    }

    /// Adds a line that says what to do about it.
    pub(crate) fn hint(mut self, line: impl Into<String>) -> Failure {
        if let Failure::Failed(fault) | Failure::Usage(fault) | Failure::Timeout(fault) = &mut self
        {
            fault.hints.push(line.into());
        }
        self
    }

    /// Says something before the text of the error, such as where it happened.
    pub(crate) fn at(mut self, place: impl Display) -> Failure {
        if let Failure::Failed(fault) | Failure::Usage(fault) | Failure::Timeout(fault) = &mut self
        {
            fault.text = format!("{place}: {}", fault.text);
        }
        self
    }

    /// Prints it and says the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (fault, code) = match self {
            Failure::Failed(fault) => {
                let missing = [Some(ErrorCode::NoSuchQueue), Some(ErrorCode::NoSuchGroup)];
                let code = if missing.contains(&fault.code) { 4 } else { 1 };
                (fault, code)
            }
            Failure::Usage(fault) => (fault, 2),
            Failure::Timeout(fault) => (fault, 3),
            Failure::Closed => return ExitCode::SUCCESS,
            Failure::Stopped(signal) => return ExitCode::from(128u8.saturating_add(signal as u8)),
        };
        if *JSON {
            say(&json::line(&json::Failed { error: fault.json(code) }));
        } else {
            let hints = fault.hints.iter().map(|hint| format!("  {hint}\n"));
            say(&format!("error: {}\n{}", fault.text, hints.collect::<String>()));
        }
        ExitCode::from(code)
    }
}

impl Fault {
    fn json(&self, exit_code: u8) -> json::Error<'_> {
        let name = match self.code {
            Some(code) => code.name(),
            None if exit_code == 2 => "usage",
            None => "failed",
        };
        json::Error {
            number: self.code.map(ErrorCode::number),
            name,
            text: self.text.clone(),
            hints: &self.hints,
            exit_code: Some(exit_code),
        }
    }
}

/// What is wrong with one thing of several that are shown.
pub(crate) fn json_error<'a>(code: ErrorCode, text: impl Into<String>) -> json::Error<'a> {
    let (number, name) = (Some(code.number()), code.name());
    json::Error { number, name, text: text.into(), hints: &[], exit_code: None }
}

/// A line for the person at the terminal.
pub(crate) fn note(line: &str) {
    if *JSON {
        say(&json::line(&json::Note { note: line.strip_prefix("note: ").unwrap_or(line) }));
    } else {
        say(&format!("{line}\n"));
    }
}

/// Says what clap has to say: errors, help, the version.
pub(crate) fn not_parsed(fault: &clap::Error) -> ExitCode {
    if *JSON && fault.use_stderr() {
        let text = fault.to_string();
        let text = text.trim_end();
        return Failure::usage(text.strip_prefix("error: ").unwrap_or(text)).report();
    }
    // Without standard error there is the exit code.
    let _ = fault.print();
    ExitCode::from(fault.exit_code() as u8)
}

/// Writes to standard error. A failure of that is no reason to stop.
fn say(lines: &str) {
    // In one write: between two, another process may write to the same place.
    let _ = io::stderr().write_all(lines.as_bytes());
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
    AckError,
    AckTimeoutError,
    AddGroupError,
    AttachError,
    ControlError,
    CreateError,
    EvictError,
    JobError,
    ProducerError,
    RecvError
);
from_coded!(ForgetStreamError, NewStageError, StageError, StreamError, StreamSendError);
from_coded!(RejectError, RemoveError, RemoveGroupError, SendError, SystemError);

impl From<OpenError> for Failure {
    fn from(fault: OpenError) -> Failure {
        open_hint(&fault)
            .iter()
            .fold(Failure::coded(fault.code(), fault.to_string()), Failure::hint)
    }
}

impl From<JoinError> for Failure {
    fn from(fault: JoinError) -> Failure {
        let failure = Failure::coded(fault.code(), fault.to_string());
        match fault {
            JoinError::WrongMode { found: Mode::Shared, .. } => failure.hint("--shared joins it"),
            JoinError::WrongMode { .. } => failure.hint("leave out --shared to join it"),
            JoinError::InFlight { has: true, queue, group } => failure.hint(format!(
                "slipring recv {queue} --group {group} --shared  (prints and acks its messages)"
            )),
            _ => failure,
        }
    }
}

impl From<OpenOrCreateError> for Failure {
    fn from(fault: OpenOrCreateError) -> Failure {
        match fault {
            OpenOrCreateError::Open(fault) => fault.into(),
            fault => Failure::coded(fault.code(), fault.to_string()),
        }
    }
}

/// The error of reading or writing `what`.
pub(crate) fn io_failed(doing: &str, fault: &io::Error) -> Failure {
    match fault.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ if file_size::is_beyond(fault) => {
            let limit = "RLIMIT_FSIZE, ulimit -f, allows no larger file";
            Failure::failed(format!("cannot {doing}: {fault}: {limit}"))
        }
        _ => Failure::failed(format!("cannot {doing}: {fault}")),
    }
}
