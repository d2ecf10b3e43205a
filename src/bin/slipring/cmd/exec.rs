//! `slipring recv --exec`: a worker that runs a command for each message.
//!
//! Each job is a member of the group, with one message at a time. New messages are looked for by one job at
//! a time, the one that has the turn: looking costs system calls, and there may be many jobs. A message
//! whose command failed stays with its job: the queue hands it out again to the same member, counted.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::low_level::signal_name;
use slipring::{Consumer, Received, RecvError, RejectError};

use super::dead;
use super::recv::{at_the_end, explain_closed, explain_start, group, wait_as_asked};
use crate::args::RecvArgs;
use crate::failure::{Failure, io_failed, note};
use crate::handover::input;
use crate::stop::{SLICE, Stop};
use crate::table::grouped;

const SHELL: &str = "sh";
/// Exit code that says that the message is bad: EX_DATAERR of sysexits.h.
const BAD_MESSAGE: i32 = 65;
const DELAY_MAX: Duration = Duration::from_secs(3600);

pub(super) fn run(args: &RecvArgs, command: &str) -> Result<(), Failure> {
    if args.exec.jobs > 1 && !args.shared {
        let text = "--jobs above 1 needs --shared: without it a group has one consumer";
        return Err(Failure::Usage(text.to_owned()));
    }
    check(command)?;
    let queue = super::open(&args.name, &args.open)?;
    let stop = Stop::on_signals()?;
    if !args.follow {
        explain_closed(&queue.snapshot()?);
    }
    let join = |_| queue.consumer(group(args));
    let mut consumers = (0..args.exec.jobs).map(join).collect::<Result<Vec<Consumer>, _>>()?;
    consumers.iter_mut().for_each(|consumer| wait_as_asked(consumer, args));
    if let Some(first) = consumers.first() {
        explain_start(args, first);
    }
    let worker = Worker::new(args, command, stop);
    thread::scope(|scope| {
        for consumer in consumers {
            let job = || worker.job(consumer);
            if let Err(fault) = thread::Builder::new().spawn_scoped(scope, job) {
                worker.end(io_failed("start a job", &fault));
            }
        }
    });
    worker.close()
}

/// Finds out, before it costs a message an attempt, whether there is a shell and it can read the command.
fn check(command: &str) -> Result<(), Failure> {
    let read = Command::new(SHELL).args(["-n", "-c", command]).stdin(Stdio::null()).status();
    match read.map_err(|fault| not_started(&fault))? {
        status if status.success() => Ok(()),
        _ => Err(Failure::Usage(format!("{SHELL} cannot read the command of --exec"))),
    }
}

fn not_started(fault: &io::Error) -> Failure {
    Failure::failed(format!("cannot run {SHELL} for --exec: {fault}"))
}

/// What all jobs share.
#[derive(Debug)]
struct Worker<'a> {
    args: &'a RecvArgs,
    command: &'a str,
    stop: Stop,
    began: Instant,
    turn: Mutex<()>,
    board: Mutex<Board>,
}

/// What the jobs tell each other.
#[derive(Debug)]
struct Board {
    /// Messages that may still be taken.
    left: u64,
    /// Jobs that have a message.
    busy: u64,
    /// When the last of them was done with its message.
    since: Instant,
    /// Why to take no more.
    end: Option<Failure>,
    /// The queue is closed and worked off.
    closed: bool,
    done: u64,
    retried: u64,
    rejected: u64,
    given_up: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Worker<'a> {
    fn new(args: &'a RecvArgs, command: &'a str, stop: Stop) -> Worker<'a> {
        let began = Instant::now();
        let board = Board {
            left: args.count.unwrap_or(u64::MAX),
            busy: 0,
            since: began,
            end: None,
            closed: false,
            done: 0,
            retried: 0,
            rejected: 0,
            given_up: 0,
        };
        let (turn, board) = (Mutex::new(()), Mutex::new(board));
        Worker { args, command, stop, began, turn, board }
    }

    fn job(&self, mut consumer: Consumer) {
        if let Err(fault) = self.work(&mut consumer) {
            self.end(fault);
        }
    }

    fn work(&self, consumer: &mut Consumer) -> Result<(), Failure> {
        // Whether the message that comes next was counted: its command failed.
        let mut again = false;
        loop {
            // What it holds waits for this job and for no other: that needs no turn.
            let holds = consumer.is_holding();
            let turn = (!holds).then(|| lock(&self.turn));
            if self.is_over() || !again && self.board().left == 0 {
                return Ok(());
            }
            let patience = if holds { Duration::ZERO } else { self.slice() };
            let message = match consumer.recv_timeout(patience) {
                Ok(message) => message,
                Err(RecvError::Timeout { .. }) if again => {
                    // It came through a queue of retries that cannot be read for now.
                    self.board().put_back();
                    again = false;
                    continue;
                }
                // It comes in turn with others.
                Err(RecvError::Timeout { .. }) if holds => continue,
                Err(RecvError::Timeout { .. }) => {
                    self.check_patience()?;
                    continue;
                }
                Err(RecvError::Closed { .. }) => {
                    // No job has a message: that would not be acked.
                    self.board().closed = true;
                    return Ok(());
                }
                Err(fault) => return Err(dead::receive_failed(&self.args.name, fault)),
            };
            if !again && !self.board().take() {
                // Others took the last of --count meanwhile. It stays in the group.
                return Ok(());
            }
            drop(turn);
            again = match self.work_off(message)? {
                Some(delay) => {
                    self.pause(delay);
                    true
                }
                None => false,
            };
        }
    }

    /// Runs the command and does what its end says. Returns when to try again, if that is to be.
    fn work_off(&self, message: Received<'_>) -> Result<Option<Duration>, Failure> {
        let (sequence, attempts) = (message.sequence(), message.attempts());
        let status = self.run(&message)?;
        let tell = |what: &str| {
            let how = describe(status);
            note(&format!("note: message {sequence}, attempt {attempts}: {how}; {what}"));
        };
        let bad = status.code() == Some(BAD_MESSAGE);
        if status.success() {
            message.ack();
            self.board().settle(|board| &mut board.done);
        } else if bad {
            message.reject().map_err(|fault| self.not_buried(fault))?;
            tell("rejected: it is a dead letter now");
            self.board().settle(|board| &mut board.rejected);
        } else if message.fail().map_err(|fault| self.not_buried(fault))? {
            tell("given up: it is a dead letter now");
            self.board().settle(|board| &mut board.given_up);
        } else {
            let delay = delay(self.args.exec.retry_delay, attempts);
            tell(&format!("again in {} s", delay.as_secs_f64()));
            self.board().retried += 1;
            return Ok(Some(delay));
        }
        Ok(None)
    }

    fn not_buried(&self, fault: RejectError) -> Failure {
        match fault {
            RejectError::DeadLetter(fault) => dead::receive_failed(&self.args.name, fault.into()),
            fault => fault.into(),
        }
    }

    fn run(&self, message: &Received<'_>) -> Result<ExitStatus, Failure> {
        let input = input(message).map_err(|fault| io_failed("pass a message on", &fault))?;
        let status = Command::new(SHELL)
            .args(["-c", self.command])
            .env("SLIPRING_QUEUE", &self.args.name)
            .env("SLIPRING_GROUP", &self.args.group)
            .env("SLIPRING_SEQUENCE", message.sequence().to_string())
            .env("SLIPRING_ATTEMPTS", message.attempts().to_string())
            .env("SLIPRING_KIND", message.kind().to_string())
            .stdin(input)
            // Ctrl-C at a terminal is for the worker: what runs is to end by itself.
            .process_group(0)
            .status();
        status.map_err(|fault| not_started(&fault))
    }

    /// Lets time pass, unless all is over before.
    fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_over() {
                return;
            }
            thread::sleep(left.min(SLICE));
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Whether no more is to be taken.
    fn is_over(&self) -> bool {
        if let Err(signal) = self.stop.check() {
            self.end(signal);
        }
        let board = self.board();
        board.closed || board.end.is_some()
    }

    /// The first reason to end is the one that is told.
    fn end(&self, failure: Failure) {
        self.board().end.get_or_insert(failure);
    }

    /// How long to wait for a message until signals and the other jobs are looked at again.
    fn slice(&self) -> Duration {
        let board = self.board();
        match self.args.timeout {
            Some(timeout) if board.busy == 0 => {
                timeout.saturating_sub(board.since.elapsed()).min(SLICE)
            }
            _ => SLICE,
        }
    }

    /// Fails if there was no message for too long.
    fn check_patience(&self) -> Result<(), Failure> {
        let board = self.board();
        match self.args.timeout {
            Some(timeout) if board.busy == 0 && board.since.elapsed() >= timeout => {
                Err(Failure::Timeout(format!("no message came within {} s", timeout.as_secs_f64())))
            }
            _ => Ok(()),
        }
    }

    /// Says the totals if asked to, or if a signal ended it; hands the outcome on.
    fn close(self) -> Result<(), Failure> {
        let board = self.board.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.args.verbose || matches!(board.end, Some(Failure::Stopped(_))) {
            let [done, retried, rejected, given_up] =
                [board.done, board.retried, board.rejected, board.given_up].map(grouped);
            let seconds = self.began.elapsed().as_secs_f64();
            note(&format!(
                "done {done}, retried {retried}, rejected {rejected}, given up {given_up}, \
                 in {seconds:.1} s"
            ));
        }
        let settled = board.done + board.rejected + board.given_up;
        match board.end {
            Some(fault) => Err(fault),
            None if board.closed => at_the_end(&self.args.name, settled, self.args.count),
            None => Ok(()),
        }
    }
}

impl Board {
    /// Counts a message that was taken, if there may be one more.
    fn take(&mut self) -> bool {
        let any = self.left > 0;
        if any {
            self.left -= 1;
            self.busy += 1;
        }
        any
    }

    fn put_back(&mut self) {
        self.left += 1;
        self.rest();
    }

    fn settle(&mut self, total: fn(&mut Board) -> &mut u64) {
        *total(self) += 1;
        self.rest();
    }

    fn rest(&mut self) {
        self.busy -= 1;
        self.since = Instant::now();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("killed by {name}"),
            None => format!("killed by signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}

/// Doubled with each attempt after the first.
fn delay(first: Duration, attempts: u8) -> Duration {
    let doublings = u32::from(attempts.saturating_sub(1)).min(31);
    first.saturating_mul(1 << doublings).min(DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_an_hour() {
        let delays = [1, 2, 3, 12, 13, 33, 255].map(|n| delay(Duration::from_secs(1), n).as_secs());
        assert_eq!(delays, [1, 2, 4, 2048, 3600, 3600, 3600]);
        assert_eq!(delay(Duration::ZERO, 9), Duration::ZERO);
        assert_eq!(delay(Duration::from_secs(86400), 1), DELAY_MAX);
    }
}
