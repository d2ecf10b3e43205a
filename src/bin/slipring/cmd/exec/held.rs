//! Jobs of a group whose messages stay in the ring until they are acked: each job is a member of the group.
//!
//! A message whose command failed stays with its job: the queue delivers it to the same member again, and counts an
//! attempt.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slipring::{Consumer, Queue, Received, RecvError, RejectError};

use super::board::Board;
use super::command::{self, About, Refused, reader_gone};
use super::{DELAY_MAX, End, Letter, Refusals, Shared, Tell, Verdict, lock};
use crate::args::RecvArgs;
use crate::failure::Failure;
use crate::reading::{explain_start, join_as_consumer, wait_as_asked};
use crate::stop::Stop;

/// Runs the jobs, the first of which is `first`, to their ends.
pub(super) fn run(shared: &Shared<'_>, queue: &Queue, first: Consumer) -> Result<(), Failure> {
    let args = shared.args;
    let others = (1..args.exec.jobs).map(|_| join_as_consumer(queue, args));
    let consumers = [Ok(first)].into_iter().chain(others).collect::<Result<Vec<_>, _>>()?;
    let job = |consumer| Job::new(consumer, args, &shared.stop, &shared.board);
    let jobs: Vec<Job> = consumers.into_iter().map(job).collect();
    if let Some(Job { consumer, .. }) = jobs.first() {
        explain_start(args, consumer.made_group(), consumer.resumed(), consumer.position(), false);
    }
    let worker = &Worker { shared, turn: Mutex::new(()) };
    shared.in_threads(jobs, |job| worker.job(job));
    Ok(())
}

/// A member of the group.
#[derive(Debug)]
struct Job {
    consumer: Consumer,
    /// Dead letters that were not reported yet.
    letters: Arc<Mutex<Vec<Letter>>>,
    refusals: Refusals,
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
        Job { consumer, letters, refusals: None }
    }
}

#[derive(Debug)]
struct Worker<'a> {
    shared: &'a Shared<'a>,
    /// Held by the job that receives.
    turn: Mutex<()>,
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

impl Worker<'_> {
    fn job(&self, mut job: Job) {
        // A queue that was removed is an error, also when all messages are done.
        let outcome = self.work(&mut job).and_then(|()| Ok(job.consumer.check_removed()?));
        if let Err(fault) = outcome {
            self.shared.end(fault);
        }
    }

    fn work(&self, job: &mut Job) -> Result<(), Failure> {
        let Worker { shared, turn } = self;
        // Whether the next message was taken before: its command failed.
        let mut again = false;
        loop {
            // A message that this job holds comes to this job alone, without the turn.
            let holds = job.consumer.is_holding();
            let turn = (!holds).then(|| lock(turn));
            if shared.is_over() || !again && shared.board().left == 0 {
                return Ok(());
            }
            if reader_gone(&std::io::stdout()) {
                return Err(Failure::Closed);
            }
            let wait = if holds {
                Some(Duration::ZERO)
            } else {
                shared.board().wait_left(shared.args.timeout)
            };
            let received = match wait {
                Some(wait) => job.consumer.recv_timeout(wait),
                None => job.consumer.recv(),
            };
            shared.tell_dead_letters(&job.letters);
            let mut message = match received {
                Ok(message) => message,
                Err(RecvError::Timeout { .. } | RecvError::Interrupted { .. }) if again => {
                    // The message came through a queue of retries that cannot be read now.
                    shared.board().put_back();
                    again = false;
                    continue;
                }
                // Messages of the queue and of its retries come in turn.
                Err(RecvError::Timeout { .. }) if holds => continue,
                // The check above finds the reason.
                Err(RecvError::Interrupted { .. }) => continue,
                Err(RecvError::Timeout { .. }) => {
                    shared.board().check_timeout(shared.args.timeout)?;
                    continue;
                }
                Err(RecvError::Closed { .. }) => {
                    // The queue is worked off, so no job has a message.
                    job.consumer.check_removed()?;
                    shared.board().closed = true;
                    return Ok(());
                }
                Err(fault) => return Err(shared.receive_failed(fault)),
            };
            let alone = if again || message.attempts() < shared.suspect_from {
                None
            } else {
                match shared.suspect() {
                    None => {
                        message.uncount();
                        drop((message, turn));
                        // Each receive would be a delivery.
                        shared.sleep(DELAY_MAX, || shared.is_over() || !shared.has_suspect());
                        continue;
                    }
                    alone => alone,
                }
            };
            // The worker was stopped, or other jobs took the last of --count: the message goes back, uncounted.
            if shared.is_over() || !again && !shared.board().take() {
                message.uncount();
                return Ok(());
            }
            drop(turn);
            let next = self.work_off(message, &job.letters, &mut job.refusals)?;
            drop(alone);
            again = match next {
                Next::Done => false,
                Next::Again(delay) => {
                    shared.pause(delay);
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
        refusals: &mut Refusals,
    ) -> Result<Next, Failure> {
        let shared = self.shared;
        let (sequence, attempts) = (message.sequence(), message.attempts());
        let end = match self.run(&mut message) {
            Ok(end) => end,
            Err(fault) => {
                message.uncount();
                return shared.refused(fault, refusals, sequence).map(Next::Again);
            }
        };
        *refusals = None;
        let tell = Tell::new(sequence, attempts, &end);
        let since = Instant::now();
        match shared.judge(&end, attempts, &tell) {
            Verdict::Done => {
                message.ack()?;
                shared.board().settle(|board| &mut board.done);
                Ok(Next::Done)
            }
            Verdict::Bad => {
                message.reject().map_err(|fault| self.dead_letter_failed(fault))?;
                lock(letters).clear();
                tell.say("rejected: it is a dead letter now");
                shared.board().settle(|board| &mut board.rejected);
                Ok(Next::Done)
            }
            Verdict::NotCounted(why) => {
                message.uncount();
                why.map_or(Ok(Next::Left), Err)
            }
            Verdict::Failed(delay) => {
                if message.fail().map_err(|fault| self.dead_letter_failed(fault))? {
                    lock(letters).clear();
                    tell.say("given up: it is a dead letter now");
                    shared.board().settle(|board| &mut board.given_up);
                    return Ok(Next::Done);
                }
                tell.say(&format!("again in {} s", delay.as_secs_f64()));
                shared.board().retried += 1;
                Ok(Next::Again(delay.saturating_sub(since.elapsed())))
            }
        }
    }

    fn dead_letter_failed(&self, fault: RejectError) -> Failure {
        match fault {
            RejectError::DeadLetter(fault) => self.shared.receive_failed(fault.into()),
            fault => fault.into(),
        }
    }

    fn about(&self, message: &Received<'_>) -> About<'_> {
        About {
            queue: &self.shared.args.name,
            group: &self.shared.args.group,
            sequence: message.sequence(),
            attempts: message.attempts(),
            kind: message.kind(),
            source: message.source(),
        }
    }

    fn run(&self, message: &mut Received<'_>) -> Result<End, Refused> {
        let shared = self.shared;
        let about = self.about(message);
        let mut child = command::start(shared.command, &about, message, Stdio::inherit())?;
        let mut told = false;
        shared.wait(&mut child, || {
            if !told && shared.stop.check().is_err() {
                // First, so that no attempt counts if this process is killed now.
                message.uncount();
                told = shared.is_stopped();
            }
            true
        })
    }
}
