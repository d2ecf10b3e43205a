//! `slipring recv --exec`: a worker that runs a command for each message.
//!
//! Each job is a member of the group, with one message at a time. One job at a time receives, the one that has the
//! turn: a wait costs system calls, and there may be many jobs. A message whose command failed stays with its job: the
//! queue delivers it to the same member again, and counts an attempt. It counts none if the command was not at fault:
//! it could not be started, the worker was told to stop, or what the command writes to is gone.

mod board;
pub(super) mod command;
mod stdin;

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use slipring::{Consumer, Reason, Received, RecvError, RejectError};

use crate::args::RecvArgs;
use crate::dead_letters;
use crate::failure::{Failure, io_failed, note};
use crate::queue::open;
use crate::reading::{
    at_the_end, check_options, dead_lettered, explain_closed, explain_start, join, max_attempts,
    wait_as_asked,
};
use crate::stop::Stop;
use board::Board;
use command::{About, Refused, broken_stream, by_signal, describe, reader_gone};

/// Exit code that says that the message is bad: EX_DATAERR of sysexits.h.
const BAD_MESSAGE: i32 = 65;
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// After the system refused to start a command: the first delay, the longest, and how long a job tries.
const REFUSED_DELAY: Duration = Duration::from_millis(100);
const REFUSED_DELAY_MAX: Duration = Duration::from_secs(5);
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// How long a worker waits, after a command has failed, for a signal that stops the worker as well.
const GRACE: Duration = Duration::from_millis(100);
/// How often a job that sleeps checks whether the worker ends.
const CHECK_EVERY: Duration = Duration::from_millis(25);
/// A message that is delivered for this attempt, and not because its command failed, is suspected of ending its worker.
/// If the group allows fewer attempts, its last one.
const SUSPECT: u8 = 3;

pub(super) fn run(args: &RecvArgs, command: &str) -> Result<(), Failure> {
    if args.exec.jobs > 1 && !args.shared {
        let text = "--jobs above 1 needs --shared: without it a group has one consumer";
        return Err(Failure::usage(text));
    }
    check_options(args)?;
    command::check(command)?;
    let queue = open(&args.name, &args.open)?;
    let stop = Stop::on_signals()?;
    let join = |_| join(&queue, args);
    let consumers = (0..args.exec.jobs).map(join).collect::<Result<Vec<Consumer>, _>>()?;
    if !args.follow {
        explain_closed(&queue.snapshot()?);
    }
    let board = Arc::new(Mutex::new(Board::new(args.count)));
    let job = |consumer| Job::new(consumer, args, &stop, &board);
    let jobs: Vec<Job> = consumers.into_iter().map(job).collect();
    if let Some(first) = jobs.first() {
        explain_start(args, &first.consumer);
    }
    let worker = Worker::new(args, command, stop, max_attempts(&queue, args)?, board);
    thread::scope(|scope| {
        for job in jobs {
            let job = || worker.job(job);
            if let Err(fault) = thread::Builder::new().spawn_scoped(scope, job) {
                worker.end(io_failed("start a job", &fault));
            }
        }
    });
    worker.close()
}

/// A message that became a dead letter: sequence, attempts, reason.
type Letter = (u64, u8, Reason);

/// A member of the group.
#[derive(Debug)]
struct Job {
    consumer: Consumer,
    /// Dead letters that were not reported yet.
    letters: Arc<Mutex<Vec<Letter>>>,
    /// Since when the system refuses to start a command, and how often the job tried.
    refused: Option<(Instant, u8)>,
}

impl Job {
    fn new(mut consumer: Consumer, args: &RecvArgs, stop: &Stop, board: &Arc<Mutex<Board>>) -> Job {
        wait_as_asked(&mut consumer, args);
        let letters: Arc<Mutex<Vec<Letter>>> = Arc::default();
        let list = Arc::clone(&letters);
        consumer.notice_dead_letters(move |letter| {
            lock(&list).push((letter.sequence, letter.attempts, letter.reason));
        });
        let (stopped, board, untold) = (stop.asked(), Arc::clone(board), Arc::clone(&letters));
        consumer.set_interrupt(move || {
            // A dead letter is reported, and may be the last message of --count.
            let ended = || lock(&board).takes_no_more() || !lock(&untold).is_empty();
            stopped() || reader_gone(&std::io::stdout()) || ended()
        });
        Job { consumer, letters, refused: None }
    }
}

/// What all jobs share.
#[derive(Debug)]
struct Worker<'a> {
    args: &'a RecvArgs,
    command: &'a str,
    stop: Stop,
    began: Instant,
    turn: Mutex<()>,
    /// Attempts from which on a message is a suspect.
    suspect_from: u8,
    /// Held by the job that works on a suspect.
    suspect: Mutex<()>,
    board: Arc<Mutex<Board>>,
}

/// What becomes of a job's message.
enum Next {
    /// It is acked, or a dead letter.
    Done,
    /// It stays with the job, which tries again later.
    Again(Duration),
    /// It stays in the group: the job ends.
    Left,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Worker<'a> {
    fn new(
        args: &'a RecvArgs,
        command: &'a str,
        stop: Stop,
        limit: Option<u8>,
        board: Arc<Mutex<Board>>,
    ) -> Worker<'a> {
        // With a single attempt no message comes back.
        let suspect_from =
            limit.filter(|limit| *limit > 1).map_or(SUSPECT, |limit| limit.min(SUSPECT));
        let (turn, suspect) = (Mutex::new(()), Mutex::new(()));
        let began = Instant::now();
        Worker { args, command, stop, began, turn, suspect_from, suspect, board }
    }

    fn job(&self, mut job: Job) {
        // A queue that was removed is an error, also when all messages are done.
        let outcome = self.work(&mut job).and_then(|()| Ok(job.consumer.check_removed()?));
        if let Err(fault) = outcome {
            self.end(fault);
        }
    }

    fn work(&self, job: &mut Job) -> Result<(), Failure> {
        // Whether the next message was taken before: its command failed.
        let mut again = false;
        loop {
            // A message that this job holds comes to this job alone, without the turn.
            let holds = job.consumer.is_holding();
            let turn = (!holds).then(|| lock(&self.turn));
            if self.is_over() || !again && self.board().left == 0 {
                return Ok(());
            }
            if reader_gone(&std::io::stdout()) {
                return Err(Failure::Closed);
            }
            let wait = if holds {
                Some(Duration::ZERO)
            } else {
                self.board().wait_left(self.args.timeout)
            };
            let received = match wait {
                Some(wait) => job.consumer.recv_timeout(wait),
                None => job.consumer.recv(),
            };
            self.tell_dead_letters(&job.letters);
            let mut message = match received {
                Ok(message) => message,
                Err(RecvError::Timeout { .. } | RecvError::Interrupted { .. }) if again => {
                    // The message came through a queue of retries that cannot be read now.
                    self.board().put_back();
                    again = false;
                    continue;
                }
                // Messages of the queue and of its retries come in turn.
                Err(RecvError::Timeout { .. }) if holds => continue,
                // The check above finds the reason.
                Err(RecvError::Interrupted { .. }) => continue,
                Err(RecvError::Timeout { .. }) => {
                    self.board().check_timeout(self.args.timeout)?;
                    continue;
                }
                Err(RecvError::Closed { .. }) => {
                    // The queue is worked off, so no job has a message.
                    job.consumer.check_removed()?;
                    self.board().closed = true;
                    return Ok(());
                }
                Err(fault) => return Err(dead_letters::receive_failed(&self.args.name, fault)),
            };
            // Two suspects do not run at once: when one ends this process, an attempt of both counts.
            let alone = if again || message.attempts() < self.suspect_from {
                None
            } else {
                match self.suspect.try_lock() {
                    Ok(alone) => Some(alone),
                    Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                    Err(TryLockError::WouldBlock) => {
                        message.uncount();
                        drop((message, turn));
                        // Each receive would be a delivery.
                        self.sleep(DELAY_MAX, || self.is_over() || !self.has_suspect());
                        continue;
                    }
                }
            };
            // The worker was stopped, or other jobs took the last of --count: the message goes back, uncounted.
            if self.is_over() || !again && !self.board().take() {
                message.uncount();
                return Ok(());
            }
            drop(turn);
            let next = self.work_off(message, &job.letters, &mut job.refused)?;
            drop(alone);
            again = match next {
                Next::Done => false,
                Next::Again(delay) => {
                    self.pause(delay);
                    true
                }
                Next::Left => return Ok(()),
            };
        }
    }

    /// Runs the command, and acks, rejects or keeps the message as its exit status says.
    fn work_off(
        &self,
        mut message: Received<'_>,
        letters: &Mutex<Vec<Letter>>,
        refused: &mut Option<(Instant, u8)>,
    ) -> Result<Next, Failure> {
        let (sequence, attempts) = (message.sequence(), message.attempts());
        let status = match self.run(&mut message) {
            Ok(status) => status,
            Err(fault) => {
                message.uncount();
                return self.refused(fault, refused, sequence);
            }
        };
        *refused = None;
        let tell = |what: &str| {
            let how = describe(status);
            note(&format!("note: message {sequence}, attempt {attempts}: {how}; {what}"));
        };
        if status.success() {
            message.ack()?;
            self.board().settle(|board| &mut board.done);
            return Ok(Next::Done);
        }
        if status.code() == Some(BAD_MESSAGE) {
            message.reject().map_err(|fault| self.dead_letter_failed(fault))?;
            lock(letters).clear();
            tell("rejected: it is a dead letter now");
            self.board().settle(|board| &mut board.rejected);
            return Ok(Next::Done);
        }
        if let Some(broken) = broken_stream() {
            message.uncount();
            if !matches!(broken, Failure::Closed) {
                tell("not counted");
            }
            return Err(broken);
        }
        let delay = delay(self.args.exec.retry_delay, attempts);
        let grace = if by_signal(status) { GRACE } else { delay.min(GRACE) };
        if self.stops_within(grace) {
            message.uncount();
            tell("not counted, since this worker was told to stop");
            return Ok(Next::Left);
        }
        if message.fail().map_err(|fault| self.dead_letter_failed(fault))? {
            lock(letters).clear();
            tell("given up: it is a dead letter now");
            self.board().settle(|board| &mut board.given_up);
            return Ok(Next::Done);
        }
        tell(&format!("again in {} s", delay.as_secs_f64()));
        self.board().retried += 1;
        Ok(Next::Again(delay.saturating_sub(grace)))
    }

    /// The system refused to start a command: tries again for a while if the reason may pass.
    fn refused(
        &self,
        Refused { failure, passes }: Refused,
        refused: &mut Option<(Instant, u8)>,
        sequence: u64,
    ) -> Result<Next, Failure> {
        let (since, times) = refused.unwrap_or((Instant::now(), 0));
        let text = match failure {
            Failure::Failed(fault) if passes && since.elapsed() < REFUSED_FOR => fault.text,
            failure => return Err(failure),
        };
        let times = times.saturating_add(1);
        *refused = Some((since, times));
        let delay = delay(REFUSED_DELAY, times).min(REFUSED_DELAY_MAX);
        let delay_s = delay.as_secs_f64();
        note(&format!("note: message {sequence}: {text}; not counted, again in {delay_s} s"));
        Ok(Next::Again(delay))
    }

    fn dead_letter_failed(&self, fault: RejectError) -> Failure {
        match fault {
            RejectError::DeadLetter(fault) => {
                dead_letters::receive_failed(&self.args.name, fault.into())
            }
            fault => fault.into(),
        }
    }

    /// Messages that became dead letters before a job got them: the last attempt ended with the process that made it.
    fn tell_dead_letters(&self, letters: &Mutex<Vec<Letter>>) {
        for letter in lock(letters).drain(..) {
            let (sequence, attempts, reason) = letter;
            note(&dead_lettered(sequence, attempts, reason));
            self.board().dead_lettered();
        }
    }

    fn about(&self, message: &Received<'_>) -> About<'_> {
        About {
            queue: &self.args.name,
            group: &self.args.group,
            sequence: message.sequence(),
            attempts: message.attempts(),
            kind: message.kind(),
            source: message.source(),
        }
    }

    fn run(&self, message: &mut Received<'_>) -> Result<ExitStatus, Refused> {
        let mut child =
            command::start(self.command, &self.about(message), message, Stdio::inherit())?;
        self.board().runs(true);
        let stopped = || self.stop.check().is_err();
        let told = || {
            // First, so that no attempt counts if this process is killed now.
            message.uncount();
            self.is_stopped();
        };
        let status = command::wait(&mut child, stopped, told);
        self.board().runs(false);
        status.map_err(|fault| Refused {
            failure: io_failed("wait for a command", &fault),
            passes: false,
        })
    }

    /// Sleeps, but not beyond the end of the worker.
    fn pause(&self, delay: Duration) {
        self.sleep(delay, || self.is_over());
    }

    /// Whether this worker is stopped within `grace`: a signal to a whole service may reach the command first.
    fn stops_within(&self, grace: Duration) -> bool {
        self.sleep(grace, || self.is_stopped());
        self.is_stopped()
    }

    fn sleep(&self, delay: Duration, done: impl Fn() -> bool) {
        let end = Instant::now() + delay;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || done() {
                return;
            }
            thread::sleep(left.min(CHECK_EVERY));
        }
    }

    /// Whether a job works on a suspect.
    fn has_suspect(&self) -> bool {
        matches!(self.suspect.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Whether a signal has stopped the worker.
    fn is_stopped(&self) -> bool {
        self.stop.check().map_err(|signal| self.end(signal)).is_err()
    }

    /// Whether the jobs take no more messages.
    fn is_over(&self) -> bool {
        self.is_stopped() || self.board().is_over()
    }

    fn end(&self, failure: Failure) {
        self.board().end(failure);
    }

    /// Says the totals, unless the reader of the output has gone; hands the outcome on.
    fn close(self) -> Result<(), Failure> {
        let mut board = self.board();
        if self.args.verbose || !matches!(board.end, Some(Failure::Closed)) {
            board.say_totals(self.began.elapsed());
        }
        let settled = board.settled();
        match board.end.take() {
            Some(fault) => Err(fault),
            None if board.closed => at_the_end(&self.args.name, settled, self.args.count),
            None => Ok(()),
        }
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
