//! Processes of a scenario that can be killed: this program again, in another role.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slipring::{Queue, RecvError};

use crate::common::judge::{message, number};

/// A child that dies with this value.
#[derive(Debug)]
pub(crate) struct Role(Child);

impl Role {
    fn start(args: &[&str]) -> Role {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Role(command.arg("role").args(args).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Sends the messages `first` to `last` to a queue, each once however often it is killed and started again, `rate` a second.
    pub(crate) fn produce(queue: &str, first: u64, last: u64, rate: u64, close: bool) -> Role {
        let [first, last, rate] = [first, last, rate].map(|number| number.to_string());
        let close = if close { "close" } else { "leave-open" };
        Role::start(&["produce", queue, &first, &last, &rate, close])
    }

    /// Receives for a group, and appends sequence and number of each message to a file before its ack.
    pub(crate) fn consume(queue: &str, group: &str, log: &str) -> Role {
        Role::start(&["consume", queue, group, log])
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Waits for its end.
    pub(crate) fn join(&mut self) {
        assert!(self.0.wait().unwrap().success(), "a process of the scenario failed");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn play(args: &[String]) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let read = |text: &str| text.parse::<u64>().unwrap();
    match args[..] {
        ["produce", queue, first, last, rate, end] => {
            produce(queue, read(first), read(last), read(rate), end == "close");
        }
        ["consume", queue, group, log] => consume(queue, group, log),
        _ => panic!("no such role: {args:?}"),
    }
}

fn produce(queue: &str, first: u64, last: u64, rate: u64, close: bool) {
    let queue = Queue::open(queue).unwrap();
    // A predecessor that was killed has the role until the kernel has torn it down.
    let mut producer = queue.producer_timeout(Duration::from_secs(60)).unwrap();
    let mut stream = producer.stream("numbers").unwrap();
    let next = stream.last_position().map_or(first, |done| done + 1).max(first);
    let began = Instant::now();
    for number in next..=last {
        let due = began + Duration::from_secs_f64((number - next) as f64 / rate as f64);
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(2) {
            thread::sleep(early);
        }
        let _ = stream.send(number, &message(number)).unwrap();
    }
    if close {
        producer.close().unwrap();
    }
}

fn consume(queue: &str, group: &str, log: &str) {
    let mut log = OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut consumer = Queue::open(queue).unwrap().consumer(group).unwrap();
    consumer.set_follow(true);
    loop {
        match consumer.recv() {
            Ok(received) => {
                let line = format!("{} {:?}\n", received.sequence(), number(&received));
                log.write_all(line.as_bytes()).unwrap();
                received.ack().unwrap();
            }
            Err(RecvError::Removed { .. }) => return,
            Err(fault) => panic!("{fault}"),
        }
    }
}
