//! Two languages on one queue: this library, and the Python modules beside this file, which were written from
//! docs/layout.md. If a test fails here, that document may be wrong.
//!
//! Without python3 these tests say so and pass, unless SLIPRING_NEEDS_PYTHON is set, as in the gate.

// slipring.py knows the memory order of x86-64 only, and refuses to run elsewhere.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod messages;
mod show;
mod takeover;
mod waiting;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use common::child::{hear, role, tell};
use common::{TempName, message};
use serde_json::{Value, json};
use slipring::{Queue, WakeMode};

const TOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/tool.py");
const MODES: [WakeMode; 3] = [WakeMode::None, WakeMode::Membarrier, WakeMode::Fence];
/// Bytes of the longest message here.
const LONGEST: usize = 100;

/// Whether there is a python3.
fn has_python() -> bool {
    let runs =
        Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success());
    let needed = std::env::var_os("SLIPRING_NEEDS_PYTHON").is_some();
    assert!(runs || !needed, "python3 is missing, and SLIPRING_NEEDS_PYTHON is set");
    if !runs {
        // Not eprintln!, which the test harness keeps to itself if the test passes.
        let text = b"skipped: python3 is missing, so nothing was tested\n";
        std::io::stderr().write_all(text).unwrap();
    }
    runs
}

/// A python3 that runs tests/python/tool.py. It is killed when this is dropped.
struct Python {
    process: std::process::Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Python {
    fn start(args: &[&str]) -> Python {
        let mut command = Command::new("python3");
        // Without -B, it would write its bytecode beside the source.
        command.args(["-B", TOOL]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Python { input: process.stdin.take(), process, lines }
    }

    /// Starts a consumer, which has joined when this returns.
    fn consumer(queue: &str, group: &str, more: &[&str]) -> Python {
        let mut python = Python::start(&[&["consume", queue, group], more].concat());
        let joined = python.line().unwrap_or_else(|| panic!("{}", python.complaint()));
        assert!(joined["joined"].is_u64(), "{joined}");
        python
    }

    /// What it prints next; `None` once it has ended.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    fn expect(&mut self, expected: &Value) {
        assert_eq!(self.line().unwrap_or_else(|| panic!("{}", self.complaint())), *expected);
    }

    /// Its next line must be the message of this sequence, of those that `send` sends from `base` on.
    fn expect_sent(&mut self, base: u64, sequence: u64, attempts: Option<u64>) {
        self.expect(&sent(sequence - base, sequence, attempts));
    }

    fn say(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end, which must be a success.
    fn finish(mut self) {
        self.input = None;
        assert_eq!(self.line(), None);
        let complaint = self.complaint();
        assert!(self.process.wait().unwrap().success(), "{complaint}");
    }

    /// Waits for its end, which must be a failure that says `text`.
    fn fail(mut self, text: &str) {
        self.input = None;
        let complaint = self.complaint();
        assert_eq!(self.line(), None);
        assert_eq!(self.process.wait().unwrap().code(), Some(1), "{complaint}");
        assert!(complaint.starts_with("error: ") && complaint.contains(text), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What Python says of a queue.
fn show(queue: &str) -> Value {
    let mut python = Python::start(&["show", queue]);
    let shown = python.line().unwrap_or_else(|| panic!("{}", python.complaint()));
    python.finish();
    shown
}

fn kind(n: u64) -> u32 {
    (n as u32).wrapping_mul(0x0101_0101)
}

/// How Python prints a message.
fn printed(sequence: u64, attempts: Option<u64>, kind: u32, payload: &[u8]) -> Value {
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "sequence": sequence, "attempts": attempts, "kind": kind, "payload": hex })
}

/// The same of message `n` of a test.
fn sent(n: u64, sequence: u64, attempts: Option<u64>) -> Value {
    printed(sequence, attempts, kind(n), &message(n, LONGEST))
}

/// Sends message `n` of a test.
fn send(producer: &mut slipring::Producer, n: u64) {
    producer.send((kind(n), &message(n, LONGEST)[..])).unwrap();
}

/// Removes the queue, and looks that nothing of its name is left.
fn nothing_is_left(name: TempName) {
    let own = format!("slipring.{}", &*name);
    drop(name);
    let files = std::fs::read_dir("/dev/shm").unwrap();
    let left: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    let left: Vec<_> =
        left.iter().filter(|file| file.to_string_lossy().starts_with(&own)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Not a test: what the processes of this library do.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    let (what, name, n) = (role[0].as_str(), role[1].as_str(), role[2].parse::<u64>().unwrap());
    let queue = Queue::open(name).unwrap();
    match what {
        "send-and-close" => {
            let mut producer = queue.producer().unwrap();
            tell("attached");
            (0..n).for_each(|n| send(&mut producer, n));
            producer.close().unwrap();
        }
        // Prints what it receives, and acks it.
        "receive" => {
            let mut consumer = queue.consumer("g").unwrap();
            for _ in 0..n {
                let received = consumer.recv().unwrap();
                tell(format!("{} {}", received.sequence(), received.attempts()));
                received.ack().unwrap();
            }
        }
        "join" => {
            let consumer = queue.consumer("g").unwrap();
            tell("joined");
            hear();
            drop(consumer);
        }
        role => panic!("there is no role {role}"),
    }
}
