//! Operations of workers: messages in flight beside the ring.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use slipring::{Group, Job, RecvError, Retention, Worker};

use super::book::{check, note, noted};
use super::judge::Scene;
use super::operations::{Operation, PLAIN, ack_all, operation};
use super::party::{Outcome, alone};
use super::stage::{Stage, text};

/// Messages that are sent. A worker holds some of them, or takes them from a dead one.
const SENT: u64 = 6;

pub(crate) fn all() -> Vec<Operation> {
    vec![
        Operation {
            name: "receive, in flight",
            prepare: six_messages,
            victim: |stage| {
                let mut worker = worker(stage)?;
                operation(stage, || receive(&mut worker, 3).map(keep))
            },
            judge: |scene| {
                each_comes(scene, |seq, done| if seq < 3 { had(done, 1) } else { 1..=1 })
            },
            ..PLAIN
        },
        Operation {
            name: "ack, in flight, out of order",
            prepare: six_messages,
            victim: |stage| {
                with_three(stage, |job| {
                    note(&stage.account("work").acking, 1);
                    job.ack().map_err(text)?;
                    note(&stage.account("work").acked, 1);
                    Ok(())
                })
            },
            judge: |scene| each_comes(scene, held_three),
            ..PLAIN
        },
        Operation {
            name: "give back, in flight",
            prepare: six_messages,
            victim: |stage| with_three(stage, |job| job.give_back().map_err(text)),
            judge: |scene| each_comes(scene, held_three),
            ..PLAIN
        },
        Operation {
            name: "take back a count, in flight",
            prepare: six_messages,
            victim: |stage| {
                with_three(stage, |mut job| {
                    job.uncount().map_err(text)?;
                    std::mem::forget(job);
                    Ok(())
                })
            },
            judge: |scene| {
                each_comes(scene, |seq, done| match seq {
                    1 if done => 1..=1,
                    1 => 1..=2,
                    _ => held_three(seq, done),
                })
            },
            ..PLAIN
        },
        Operation {
            name: "receive, in flight, what a dead member had",
            prepare: |stage| {
                six_messages(stage)?;
                let mut worker = worker(stage)?;
                keep(receive(&mut worker, 2)?);
                // Its jobs keep its record as that of a dead process.
                Ok(())
            },
            victim: |stage| {
                let mut worker = worker(stage)?;
                operation(stage, || {
                    keep(receive(&mut worker, 2)?);
                    receive(&mut worker, 2).map(keep)
                })
            },
            // It gets those of the dead one and those of the ring in turn.
            judge: |scene| {
                each_comes(
                    scene,
                    |seq, done| if seq < 4 { had(done, 1 + u8::from(seq < 2)) } else { 1..=1 },
                )
            },
            ..PLAIN
        },
    ]
}

/// Attempts of a message whose next delivery is the one after `before`, unless the victim has it.
fn had(done: bool, before: u8) -> RangeInclusive<u8> {
    if done { before + 1..=before + 1 } else { before..=before + 1 }
}

/// Of three messages that the victim had before it began.
fn held_three(seq: u64, _done: bool) -> RangeInclusive<u8> {
    if seq < 3 { 2..=2 } else { 1..=1 }
}

/// A queue whose other group has acked all, and whose group `work` has four places and goes with its last member.
fn six_messages(stage: Stage) -> Outcome {
    let work = Group::named("work").shared().in_flight(4).unlimited_attempts();
    let queue = stage.make(Some(work.retention(Retention::Release)))?;
    stage.send(&mut queue.producer().map_err(text)?, SENT)?;
    let mut store = queue.consumer("store").map_err(text)?;
    ack_all(stage, "store", stage.take(&mut store, "store", SENT as usize)?)
}

fn worker(stage: Stage) -> Result<Worker, String> {
    stage.open()?.worker("work").map_err(text)
}

fn receive(worker: &mut Worker, max: usize) -> Result<Vec<Job>, String> {
    let jobs = worker.try_recv_batch(max).map_err(text)?;
    if jobs.len() == max { Ok(jobs) } else { Err(format!("{} jobs, not {max}", jobs.len())) }
}

/// Neither acks them nor gives them back.
fn keep(jobs: Vec<Job>) {
    jobs.into_iter().for_each(std::mem::forget);
}

/// A worker that has the first three messages does something with the second.
fn with_three(stage: Stage, act: impl FnOnce(Job) -> Outcome) -> Outcome {
    let mut worker = worker(stage)?;
    let mut jobs = receive(&mut worker, 3)?;
    let second = jobs.remove(1);
    keep(jobs);
    operation(stage, || act(second))
}

/// Each message comes once, whole, with attempts as `attempts` says, given whether the operation was done; none that was acked.
fn each_comes(scene: &mut Scene, attempts: fn(u64, bool) -> RangeInclusive<u8>) -> Outcome {
    let (stage, done) = (scene.stage, scene.is_done());
    alone("who works off what was in flight", || {
        let account = stage.account("work");
        let mut worker = worker(stage)?;
        let mut due: Vec<u64> = (0..SENT).filter(|seq| !noted(&account.acked, *seq)).collect();
        loop {
            let job = match worker.recv_timeout(Duration::ZERO) {
                Ok(job) => job,
                Err(RecvError::Timeout { .. }) => break,
                Err(fault) => return Err(text(fault)),
            };
            let seq = job.sequence();
            check(seq, job.kind(), &job)?;
            let Some(place) = due.iter().position(|due| *due == seq) else {
                return Err(format!("{seq} came, and due are {due:?}"));
            };
            due.remove(place);
            let right = attempts(seq, done);
            if !right.contains(&job.attempts()) {
                return Err(format!("{seq} came as attempt {}, not {right:?}", job.attempts()));
            }
            job.ack().map_err(text)?;
        }
        // One whose ack was under way may have been acked.
        due.retain(|seq| !noted(&account.acking, *seq));
        if !due.is_empty() {
            return Err(format!("{due:?} did not come"));
        }
        for seq in 0..SENT {
            note(&account.acking, seq);
            note(&account.acked, seq);
        }
        account.received.store((1 << SENT) - 1, SeqCst);
        Ok(())
    })?;
    scene.settle()
}
