//! Receiving in a group with places for messages in flight.
//!
//! Messages are this process's until the group's ack timeout is over. As long as the reader of the output reads, more time
//! is asked for; if it hangs, they go to others.

use std::time::{Duration, Instant};

use slipring::{Job, JobError, Worker};

use super::Task;
use crate::args::RecvArgs;
use crate::failure::{Failure, note};
use crate::json::{Message, Payload, Source};
use crate::reading::{dead_lettered, explain_start};
use crate::table::count;

pub(super) fn receive(task: &mut Task<'_>, mut worker: Worker) -> Result<(), Failure> {
    set_up(&mut worker, task.args);
    worker.set_interrupt(task.output.asked(&task.stop)?);
    worker.notice_dead_letters(|letter| {
        note(&dead_lettered(letter.sequence, letter.attempts, letter.reason));
    });
    receive_all(task, &mut worker)?;
    // A queue that was removed gets no more messages, though there may be a new one of its name.
    Ok(worker.check_removed()?)
}

fn set_up(worker: &mut Worker, args: &RecvArgs) {
    worker.set_follow(args.follow);
    if let Some(wait) = args.wait {
        worker.set_wait_strategy(wait.into());
    }
    explain_start(args, worker.made_group(), worker.resumed(), worker.position(), true);
}

fn receive_all(task: &mut Task<'_>, worker: &mut Worker) -> Result<(), Failure> {
    while let max @ 1.. = task.most() {
        task.stop.check()?;
        let received = match task.args.timeout {
            Some(wait) => worker.recv_batch_timeout(max, wait),
            None => worker.recv_batch(max),
        };
        let mut jobs = match received {
            Ok(jobs) => jobs,
            Err(fault) => return task.not_received(fault),
        };
        if let Err(fault) = write_out(&mut jobs, task) {
            for job in &mut jobs {
                // That was no fault of the messages. Evicted: they are in other hands already.
                let _ = job.uncount();
            }
            return Err(fault);
        }
        ack(jobs, task)?;
    }
    Ok(())
}

/// Writes all of a batch. Only what is written is done: an ack before would lose it with this process.
fn write_out(jobs: &mut [Job], task: &mut Task<'_>) -> Result<(), Failure> {
    // They were received just now, all at once.
    let timeout = jobs.first().and_then(Job::time_left);
    let mut extended = Instant::now();
    for i in 0..jobs.len() {
        // One that was taken back, while the reader of the output hung, is written by another.
        if let Some(job) = jobs.get(i).filter(|job| job.is_mine()) {
            task.put(&Message {
                sequence: job.sequence(),
                kind: job.kind(),
                attempts: Some(job.attempts()),
                source: job.source().map(Source),
                payload: Payload(job),
            });
        }
        if task.output.is_large() || i + 1 == jobs.len() {
            let moved = || extend(jobs, timeout, &mut extended);
            task.output.flush_telling(&task.stop, moved)?;
        }
    }
    Ok(())
}

/// Asks for more time if that is due.
fn extend(jobs: &mut [Job], timeout: Option<Duration>, extended: &mut Instant) {
    if let Some(timeout) = timeout.filter(|timeout| extended.elapsed() >= *timeout / 3) {
        *extended = Instant::now();
        for job in jobs {
            // Evicted: the ack tells.
            let _ = job.extend(timeout);
        }
    }
}

fn ack(jobs: Vec<Job>, task: &mut Task<'_>) -> Result<(), Failure> {
    let mut late = Vec::new();
    for job in jobs {
        let (sequence, bytes) = (job.sequence(), job.len() as u64);
        match job.ack() {
            Ok(()) => task.count(1, bytes),
            Err(JobError::Evicted { .. }) => late.push(sequence),
            Err(fault) => return Err(fault.into()),
        }
    }
    if let Some(first) = late.first() {
        let messages = count(late.len() as u64, "message", "messages");
        note(&format!(
            "note: {messages}, from {first} on: too late, taken back before the ack: the time was over, or an operator did \
             it"
        ));
    }
    Ok(())
}
