//! Jobs of a group with places for messages in flight: all of them are one member of the group.
//!
//! A message whose command failed goes back, to come again after a delay to whatever worker is ready, and its job is free. A
//! message is this worker's as long as its command runs: the job asks for more time again and again. A worker that is
//! stopped does not, so that its messages go to others; what it has done meanwhile is too late.

use std::cell::Cell;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use slipring::{Job, JobError, RecvError, Worker};

use super::command::{self, About, Refused, reader_gone};
use super::{End, Letter, Refusals, Shared, Tell, Verdict, lock};
use crate::failure::Failure;
use crate::reading::explain_start;

/// The least delay before another try: without one, the message would look like that of a worker that died.
const DELAY_MIN: Duration = Duration::from_millis(1);

thread_local! {
    /// Whether this thread receives: the dead letters that it makes are of messages that no job has had.
    static RECEIVES: Cell<bool> = const { Cell::new(false) };
}

/// Runs the jobs to their ends.
pub(super) fn run(shared: &Shared<'_>, mut worker: Worker) -> Result<(), Failure> {
    let args = shared.args;
    worker.set_follow(args.follow);
    if let Some(wait) = args.wait {
        worker.set_wait_strategy(wait.into());
    }
    explain_start(args, worker.made_group(), worker.resumed(), worker.position(), true);
    let letters: Arc<Mutex<Vec<Letter>>> = Arc::default();
    let list = Arc::clone(&letters);
    worker.notice_dead_letters(move |letter| {
        if RECEIVES.get() {
            lock(&list).push((letter.sequence, letter.attempts, letter.reason));
        }
    });
    let (stopped, board) = (shared.stop.asked(), Arc::clone(&shared.board));
    let untold = Arc::clone(&letters);
    worker.set_interrupt(move || {
        // A dead letter is reported, and may be the last message of --count.
        let ended = || {
            let board = lock(&board);
            board.takes_no_more() || board.suspect_done
        };
        stopped() || reader_gone(&std::io::stdout()) || ended() || !lock(&untold).is_empty()
    });
    let jobs = Jobs { shared, turn: Mutex::new(worker), letters };
    let job = |()| jobs.work().unwrap_or_else(|fault| shared.end(fault));
    shared.in_threads(vec![(); args.exec.jobs.into()], job);
    // A queue that was removed is an error, also when all messages are done.
    if let Err(fault) = lock(&jobs.turn).check_removed() {
        shared.end(fault.into());
    }
    Ok(())
}

/// When to ask for more time for a message.
struct Extension {
    /// How often, and for how long; `None`: it has all the time.
    every: Option<(Duration, Duration)>,
    last: Instant,
}

impl Extension {
    /// For a message that was received just now: later, less of its time is left. The group's ack timeout may have changed
    /// since the worker joined.
    fn new(message: &Job, asked: Option<Duration>) -> Extension {
        let every = message.time_left().map(|time| {
            let every = asked.filter(|every| *every <= time / 2).unwrap_or(time / 3);
            (every, time)
        });
        Extension { every, last: Instant::now() }
    }

    /// Asks for more time if that is due; whether the message is this worker's still.
    fn keep(&mut self, message: &mut Job) -> bool {
        match self.every {
            Some((every, time)) if self.last.elapsed() >= every => {
                self.last = Instant::now();
                message.extend(time).is_ok()
            }
            // An operator may take it back.
            _ => message.is_mine(),
        }
    }
}

#[derive(Debug)]
struct Jobs<'a> {
    shared: &'a Shared<'a>,
    /// Held by the job that receives.
    turn: Mutex<Worker>,
    /// Dead letters that were not reported yet.
    letters: Arc<Mutex<Vec<Letter>>>,
}

/// A message, and the right to work on a suspect, if it is one.
type Taken<'a> = (Job, Option<MutexGuard<'a, ()>>);

/// How a command has ended.
struct Ended {
    end: End,
    /// The message was taken back while it ran.
    evicted: bool,
}

impl Jobs<'_> {
    fn work(&self) -> Result<(), Failure> {
        let shared = self.shared;
        let mut refusals = None;
        while let Some((message, alone)) = self.take()? {
            self.work_off(message, &mut refusals)?;
            if alone.is_some() {
                drop(alone);
                shared.board().suspect_done = true;
            }
        }
        Ok(())
    }

    /// The next message; `None` if the job is to end. While a job works on a suspect, others are left to other workers: here
    /// they would wait for it, and occupy the jobs.
    fn take(&self) -> Result<Option<Taken<'_>>, Failure> {
        let shared = self.shared;
        let mut worker = lock(&self.turn);
        loop {
            if shared.is_over() || shared.board().left == 0 {
                return Ok(None);
            }
            if reader_gone(&std::io::stdout()) {
                return Err(Failure::Closed);
            }
            shared.board().suspect_done = false;
            worker.set_skip_suspects(shared.has_suspect().then_some(shared.suspect_from));
            let wait = shared.board().wait_left(shared.args.timeout);
            RECEIVES.set(true);
            let received = match wait {
                Some(wait) => worker.recv_timeout(wait),
                None => worker.recv(),
            };
            RECEIVES.set(false);
            shared.tell_dead_letters(&self.letters);
            let mut message = match received {
                Ok(message) => message,
                // The checks above find the reason.
                Err(RecvError::Interrupted { .. }) => continue,
                Err(RecvError::Timeout { .. }) => {
                    shared.board().check_timeout(shared.args.timeout)?;
                    continue;
                }
                Err(RecvError::Closed { .. }) => {
                    shared.board().closed = true;
                    return Ok(None);
                }
                Err(fault) => return Err(shared.receive_failed(fault)),
            };
            // The worker was stopped, or other jobs took the last of --count: the message goes back, uncounted.
            if shared.is_over() || !shared.board().take() {
                // Evicted: it is in other hands already.
                let _ = message.uncount();
                return Ok(None);
            }
            let suspected = message.attempts() >= shared.suspect_from && !message.was_delayed();
            // Free: no job begins with one while this one has the turn.
            let alone = suspected.then(|| lock(&shared.suspect));
            return Ok(Some((message, alone)));
        }
    }

    /// Runs the command, and acks, rejects or gives the message back as its exit status says.
    fn work_off(&self, mut message: Job, refusals: &mut Refusals) -> Result<(), Failure> {
        let shared = self.shared;
        let (sequence, attempts) = (message.sequence(), message.attempts());
        let Ended { end, evicted } = match self.run(&mut message) {
            Ok(ended) => ended,
            Err(fault) => {
                let uncounted = message.uncount();
                let delay = shared.refused(fault, refusals, sequence)?;
                // Evicted: it is in other hands already.
                let _ = uncounted.and_then(|()| message.retry_after(delay));
                shared.board().put_back();
                shared.pause(delay);
                return Ok(());
            }
        };
        *refusals = None;
        let tell = Tell::new(sequence, attempts, &end);
        if evicted {
            self.tell_late(&tell, "ended, since it was taken back");
            return Ok(());
        }
        let since = Instant::now();
        let outcome = match shared.judge(&end, attempts, &tell) {
            Verdict::Done => message.ack().map(|()| shared.board().settle(|board| &mut board.done)),
            Verdict::Bad => message.reject().map(|()| {
                tell.say("rejected: it is a dead letter now");
                shared.board().settle(|board| &mut board.rejected);
            }),
            Verdict::NotCounted(why) => {
                // Evicted: it is in other hands already.
                let _ = message.uncount();
                return why.map_or(Ok(()), Err);
            }
            Verdict::Failed(delay) => {
                let left = delay.saturating_sub(since.elapsed()).max(DELAY_MIN);
                message.fail_after(left).map(|given_up| {
                    if given_up {
                        tell.say("given up: it is a dead letter now");
                        shared.board().settle(|board| &mut board.given_up);
                    } else {
                        tell.say(&format!("again in {} s", delay.as_secs_f64()));
                        shared.board().retry_after(left);
                    }
                })
            }
        };
        match outcome {
            Err(JobError::Evicted { .. }) => self.tell_late(&tell, "too late, it was taken back"),
            Err(JobError::DeadLetter(fault)) => return Err(shared.receive_failed(fault.into())),
            Err(fault) => return Err(fault.into()),
            Ok(()) => {}
        }
        Ok(())
    }

    /// What was done for a message does not count, since others have it by now. That is no fault of anybody.
    fn tell_late(&self, tell: &Tell, what: &str) {
        tell.say(&format!("{what}: its time was over, or an operator did it"));
        self.shared.board().evicted();
    }

    fn extension(&self, message: &Job) -> Extension {
        Extension::new(message, self.shared.args.exec.extend_every)
    }

    fn run(&self, message: &mut Job) -> Result<Ended, Refused> {
        let shared = self.shared;
        let about = About {
            queue: &shared.args.name,
            group: &shared.args.group,
            sequence: message.sequence(),
            attempts: message.attempts(),
            kind: message.kind(),
            source: message.source(),
        };
        // Before the start, which may take its time.
        let mut extension = self.extension(message);
        let mut child = command::start(shared.command, &about, message, Stdio::inherit())?;
        let (mut told, mut evicted) = (false, false);
        let end = shared.wait(&mut child, || {
            if !told && shared.stop.check().is_err() {
                // First, so that no attempt counts if this process is killed now. Evicted: the next line notes it.
                let _ = message.uncount();
                told = shared.is_stopped();
            }
            evicted = evicted || !extension.keep(message);
            !evicted
        })?;
        Ok(Ended { end, evicted })
    }
}
