//! `slipring recv --exec`: a worker that runs a command for each message.
//!
//! Each job works on one message at a time. One job at a time receives, the one that has the turn: a wait costs system
//! calls, and there may be many jobs. In a group with places for messages in flight all jobs are one member, and a message
//! whose command failed goes back ([`in_flight`]); in others each job is a member and keeps it ([`held`]). No attempt
//! counts if the command was not at fault: it could not be started, the worker was told to stop, or what the command writes
//! to is gone.

mod board;
pub(super) mod command;
mod extend;
mod held;
mod in_flight;
mod process_group;
mod stdin;

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use slipring::Reason;

use crate::args::RecvArgs;
use crate::dead_letters;
use crate::failure::{Failure, io_failed, note};
use crate::reading::{
    Member, at_the_end, check_options, dead_lettered, explain_closed, join, max_attempts,
    open_to_receive,
};
use crate::stop::Stop;
use board::Board;
use command::{GRACE, Refused, by_signal, describe};

/// Exit code that says that the message is bad: EX_DATAERR of sysexits.h.
const BAD_MESSAGE: i32 = 65;
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// After the system refused to start a command: the first delay, the longest, and how long a job tries.
const REFUSED_DELAY: Duration = Duration::from_millis(100);
const REFUSED_DELAY_MAX: Duration = Duration::from_secs(5);
const REFUSED_FOR: Duration = Duration::from_secs(60);
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
    let mut refusals = None;
    while let Err(refused) = command::check(command) {
        let (why, delay) = again_after(refused, &mut refusals, false)?;
        note(&format!("note: {why}; again in {} s", delay.as_secs_f64()));
        thread::sleep(delay);
    }
    extend::check(args)?;
    let queue = open_to_receive(args)?;
    let stop = Stop::on_signals()?;
    let member = join(&queue, args)?;
    if !args.follow {
        explain_closed(&queue.snapshot()?);
    }
    let board = Arc::new(Mutex::new(Board::new(args.count)));
    let shared = Shared::new(args, command, stop, max_attempts(&queue, args)?, board);
    match member {
        Member::Worker(worker) => in_flight::run(&shared, *worker)?,
        Member::Consumer(first) => held::run(&shared, &queue, *first)?,
    }
    shared.close()
}

/// A message that became a dead letter: sequence, attempts, reason.
type Letter = (u64, u8, Reason);

/// What all jobs share.
#[derive(Debug)]
struct Shared<'a> {
    args: &'a RecvArgs,
    command: &'a str,
    stop: Stop,
    began: Instant,
    /// Attempts from which on a message is a suspect.
    suspect_from: u8,
    /// Held by the job that works on a suspect.
    suspect: Mutex<()>,
    board: Arc<Mutex<Board>>,
}

/// Since when the system refuses to start a command, and how often a job tried.
type Refusals = Option<(Instant, u8)>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a command has ended.
struct End {
    status: ExitStatus,
    /// It ran for too long, and was told to end.
    timed_out: bool,
}

/// What a command's end says of its message.
enum Verdict {
    Done,
    Bad,
    /// It was no fault of the message; what is wrong, if that is wrong for other messages as well.
    NotCounted(Option<Failure>),
    /// Another try after this time.
    Failed(Duration),
}

impl<'a> Shared<'a> {
    fn new(
        args: &'a RecvArgs,
        command: &'a str,
        stop: Stop,
        limit: Option<u8>,
        board: Arc<Mutex<Board>>,
    ) -> Shared<'a> {
        // With a single attempt no message comes back.
        let suspect_from =
            limit.filter(|limit| *limit > 1).map_or(SUSPECT, |limit| limit.min(SUSPECT));
        let (suspect, began) = (Mutex::new(()), Instant::now());
        Shared { args, command, stop, began, suspect_from, suspect, board }
    }

    /// Judges a command's end. Waits a moment after a failure: a signal to a whole service may reach the command first.
    fn judge(&self, end: &End, attempts: u8, tell: &Tell) -> Verdict {
        // Whatever a command says that was told to end, its work is not done.
        let code = end.status.code().filter(|_| !end.timed_out);
        match code {
            Some(0) => return Verdict::Done,
            Some(BAD_MESSAGE) => return Verdict::Bad,
            _ => {}
        }
        if let Some(broken) = command::broken_stream() {
            if !matches!(broken, Failure::Closed) {
                tell.say("not counted");
            }
            return Verdict::NotCounted(Some(broken));
        }
        let delay = delay(self.args.exec.retry_delay, attempts);
        let grace = if by_signal(end.status) { GRACE } else { delay.min(GRACE) };
        if self.stops_within(grace) {
            tell.say("not counted, since this worker was told to stop");
            return Verdict::NotCounted(None);
        }
        Verdict::Failed(delay)
    }

    /// Waits for a command's end, and ends it once `goes_on` says no or its time is over.
    fn wait(&self, child: &mut Child, mut goes_on: impl FnMut() -> bool) -> Result<End, Refused> {
        let longest = self.args.exec.job_timeout;
        let mut timed_out = false;
        self.board().runs(true);
        let status = command::wait(child, |progress| {
            timed_out = timed_out || longest.is_some_and(|longest| progress.time >= longest);
            goes_on() && !timed_out && !progress.is_left_over(&self.stop)
        });
        self.board().runs(false);
        match status {
            Ok(status) => Ok(End { status, timed_out }),
            Err(fault) => {
                let failure = io_failed("wait for a command", &fault);
                Err(Refused { failure, passes: false })
            }
        }
    }

    /// The system refused to start the command of a message: how long to wait for the next try, if the reason may pass. While
    /// others run, the worker does not end for that.
    fn refused(
        &self,
        refused: Refused,
        refusals: &mut Refusals,
        sequence: u64,
    ) -> Result<Duration, Failure> {
        let works = self.board().is_running();
        let (why, delay) = again_after(refused, refusals, works)?;
        let delay_s = delay.as_secs_f64();
        note(&format!("note: message {sequence}: {why}; not counted, again in {delay_s} s"));
        Ok(delay)
    }

    /// Works on each of `jobs` in a thread of its own, to their ends. If the system refuses threads, the worker goes on with
    /// those that it has, and tries to start the others as long as it runs; without any it tries for a minute.
    fn in_threads<J: Send>(&self, jobs: Vec<J>, work: impl Fn(J) + Sync) {
        let all = jobs.len();
        let jobs = Mutex::new(jobs);
        // Taken by its thread, since a closure is lost with a thread that cannot be started.
        let job = || {
            let job = lock(&jobs).pop();
            job.into_iter().for_each(&work);
        };
        let job = &job;
        thread::scope(|scope| {
            let (mut started, mut refusals) = (0, None);
            while started < all && !self.takes_no_more() {
                match thread::Builder::new().spawn_scoped(scope, job) {
                    Ok(_) => started += 1,
                    Err(fault) => {
                        let failure = io_failed("start a job", &fault);
                        let first = refusals.is_none();
                        let refused = Refused { failure, passes: true };
                        match again_after(refused, &mut refusals, started > 0) {
                            Ok((why, delay)) => {
                                if first {
                                    let works = format!("{started} of {all} jobs work");
                                    note(&format!("note: {why}; {works}, and it tries again"));
                                }
                                self.sleep(delay, || self.takes_no_more());
                            }
                            Err(failure) => return self.end(failure),
                        }
                    }
                }
            }
            if started == all && refusals.is_some() {
                note(&format!("note: all {all} jobs work"));
            }
        });
    }

    /// The right to work on a suspect, if no other job has it. Two do not run at once: when one ends this process, an
    /// attempt of both counts.
    fn suspect(&self) -> Option<MutexGuard<'_, ()>> {
        match self.suspect.try_lock() {
            Ok(alone) => Some(alone),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
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

    fn receive_failed(&self, fault: slipring::RecvError) -> Failure {
        dead_letters::receive_failed(&self.args.name, fault)
    }

    /// Sleeps, but not beyond the end of the worker.
    fn pause(&self, delay: Duration) {
        self.sleep(delay, || self.is_over());
    }

    /// Whether this worker is stopped within `grace`.
    fn stops_within(&self, grace: Duration) -> bool {
        self.sleep(grace, || self.is_stopped());
        self.is_stopped()
    }

    fn sleep(&self, delay: Duration, mut done: impl FnMut() -> bool) {
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

    /// Whether there is no reason to start another job.
    fn takes_no_more(&self) -> bool {
        self.is_stopped() || self.board().takes_no_more()
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

/// Says what has become of a message after an attempt.
struct Tell {
    sequence: u64,
    attempts: u8,
    how: String,
}

impl Tell {
    fn new(sequence: u64, attempts: u8, end: &End) -> Tell {
        let how = describe(end.status);
        let how =
            if end.timed_out { format!("its time was over (--job-timeout), {how}") } else { how };
        Tell { sequence, attempts, how }
    }

    fn say(&self, what: &str) {
        let Tell { sequence, attempts, how } = self;
        note(&format!("note: message {sequence}, attempt {attempts}: {how}; {what}"));
    }
}

/// The system refused to start something: why, and how long to wait for the next try, if the reason may pass. That is tried
/// for a minute, and for as long as the worker `works` otherwise.
fn again_after(
    Refused { failure, passes }: Refused,
    refusals: &mut Refusals,
    works: bool,
) -> Result<(String, Duration), Failure> {
    let (since, times) = refusals.unwrap_or((Instant::now(), 0));
    let why = match failure {
        Failure::Failed(fault) if passes && (works || since.elapsed() < REFUSED_FOR) => fault.text,
        failure => return Err(failure),
    };
    let times = times.saturating_add(1);
    *refusals = Some((since, times));
    Ok((why, delay(REFUSED_DELAY, times).min(REFUSED_DELAY_MAX)))
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
    fn a_worker_that_works_does_not_end_because_something_cannot_be_started() {
        let refused = |passes| Refused { failure: Failure::failed("refused"), passes };
        let Some(long_ago) = Instant::now().checked_sub(REFUSED_FOR) else { return };
        let mut refusals = Some((long_ago, 30));
        assert!(again_after(refused(true), &mut refusals, false).is_err());
        let again = again_after(refused(true), &mut refusals, true);
        assert!(again.is_ok_and(|(why, delay)| why == "refused" && delay == REFUSED_DELAY_MAX));
        assert!(again_after(refused(false), &mut refusals, true).is_err());
        assert!(again_after(refused(true), &mut None, false).is_ok());
    }

    #[test]
    fn delays_double_up_to_an_hour() {
        let delays = [1, 2, 3, 12, 13, 33, 255].map(|n| delay(Duration::from_secs(1), n).as_secs());
        assert_eq!(delays, [1, 2, 4, 2048, 3600, 3600, 3600]);
        assert_eq!(delay(Duration::ZERO, 9), Duration::ZERO);
        assert_eq!(delay(Duration::from_secs(86400), 1), DELAY_MAX);
    }
}
