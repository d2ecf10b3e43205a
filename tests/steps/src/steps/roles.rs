//! Operations beyond sending and receiving: dead letters, roles, groups, and queues.

use std::sync::atomic::Ordering::SeqCst;

use slipring::{
    DeadLetter, DeadLetters, Group, OpenOptions, Queue, RecvError, Retention, Start, Worker,
};

use super::book::{check, note};
use super::bystanders::Bystander::{Member, Observer, Reader};
use super::image::{Image, TAIL};
use super::judge::{Order, Scene};
use super::operations::{
    Operation, PLAIN, ack_all, as_consumer, as_holder, little, much, operation, orphaned,
    orphaned_in,
};
use super::party::{Outcome, alone};
use super::shm;
use super::stage::{CAPACITY, PATIENCE, PAYLOAD, Stage, group, text};

pub(crate) fn all() -> impl Iterator<Item = Operation> {
    [giving_up(), again(), coming(), going(), making()].into_iter().flatten()
}

fn giving_up() -> Vec<Operation> {
    vec![
        Operation {
            name: "dead letter, the first",
            prepare: much,
            victim: |stage| as_holder(stage, "work", 2, |batch| reject_first(stage, batch)),
            judge: dead_lettered,
            ..PLAIN
        },
        Operation {
            name: "dead letter, one more",
            prepare: |stage| {
                much(stage)?;
                let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
                reject_first(stage, stage.take(&mut consumer, "work", 1)?)
            },
            with: &[Member, Observer],
            victim: |stage| as_holder(stage, "work", 2, |batch| reject_first(stage, batch)),
            judge: dead_lettered,
            ..PLAIN
        },
        Operation {
            name: "dead letter, delivered too often",
            prepare: |stage| {
                orphaned_in(stage, once(), 0)?;
                // The queue of dead letters exists already.
                let mut letters = Queue::builder("steps.dead").capacity(CAPACITY);
                letters = letters.payload_size(PAYLOAD + DeadLetter::ENVELOPE).group("dead");
                letters.create().map(drop).map_err(text)
            },
            with: &[Reader],
            victim: |stage| {
                let account = stage.account("work");
                for seq in 4..7 {
                    note(&account.rejecting, seq);
                    note(&account.acking, seq);
                }
                as_consumer(stage, "work", |consumer| match consumer.try_recv() {
                    Err(RecvError::Empty) => {
                        (4..7).for_each(|seq| {
                            note(&account.acked, seq);
                            note(&account.rejected, seq);
                        });
                        Ok(())
                    }
                    other => Err(format!("there is something: {other:?}")),
                })
            },
            judge: dead_lettered,
            ..PLAIN
        },
        Operation {
            name: "dead letter, exclusive",
            prepare: |stage| stage.make_used_by(Group::named("work"), 11, [4, 4]),
            with: &[Reader],
            victim: |stage| {
                let mut consumer = stage.open()?.consumer("work").map_err(text)?;
                let batch = stage.take(&mut consumer, "work", 2)?;
                operation(stage, || reject_first(stage, batch))
            },
            judge: dead_lettered,
            ..PLAIN
        },
    ]
}

/// A group that delivers each message once.
fn once() -> Group {
    Group::named("work").shared().max_attempts(1)
}

fn reject_first(stage: Stage, mut batch: slipring::Batch<'_>) -> Outcome {
    let account = stage.account("work");
    let seq = batch.first().ok_or("an empty batch")?.sequence();
    note(&account.rejecting, seq);
    note(&account.acking, seq);
    batch.reject(seq).map_err(text)?;
    note(&account.acked, seq);
    note(&account.rejected, seq);
    Ok(())
}

/// Each dead-lettered message must have a letter, or two if a process died between its letter and its ack.
fn dead_lettered(scene: &mut Scene) -> Outcome {
    let stage = scene.stage;
    let account = stage.account("work");
    // These have a letter, whatever happens next.
    let sure = account.rejected.load(SeqCst);
    scene.settle()?;
    let given_up = account.rejecting.load(SeqCst);
    alone("who reads letters", || {
        let dead = match letters(stage) {
            // The queue of dead letters is made for the first one.
            Err(_) if given_up == 0 => return Ok(()),
            dead => dead?,
        };
        let mut consumer = dead.queue().consumer("dead").map_err(text)?;
        let mut letters = [0; 64];
        loop {
            let message = match consumer.try_recv() {
                Err(RecvError::Empty) => break,
                received => received.map_err(text)?,
            };
            let letter = DeadLetter::parse(message.kind(), &message).ok_or("no letter")?;
            check(letter.sequence, letter.kind, letter.payload)?;
            if (letter.queue, letter.group) != (stage.queue, "work") {
                return Err(format!("a letter of {} of {}", letter.group, letter.queue));
            }
            letters[letter.sequence as usize] += 1;
            message.ack().map_err(text)?;
        }
        for (seq, count) in (0..).zip(letters) {
            let most = match (given_up >> seq & 1 == 1, sure >> seq & 1 == 1) {
                (false, _) => 0,
                (true, true) => 1,
                (true, false) => 2,
            };
            if count > most || count < most.min(1) {
                return Err(format!(
                    "there are {count} letters of {seq}, at most {most} should be"
                ));
            }
        }
        Ok(())
    })
}

fn again() -> Vec<Operation> {
    vec![
        Operation {
            name: "send letters again, for the first time",
            prepare: one_letter,
            victim: |stage| send_again(stage, "work"),
            judge: sent_again,
            ..PLAIN
        },
        Operation {
            name: "send letters again",
            prepare: |stage| {
                one_letter(stage)?;
                letters(stage)?.requeue(1).map_err(text)?;
                // The message comes back, becomes a dead letter once more, and is sent again.
                let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
                consumer.recv_timeout(PATIENCE).map_err(text)?.reject().map_err(text)
            },
            victim: |stage| send_again(stage, "work"),
            judge: sent_again,
            ..PLAIN
        },
        Operation {
            name: "send letters again, into cells of a group that nobody has joined",
            prepare: letter_for_cells,
            victim: |stage| send_again(stage, "work"),
            judge: sent_into_cells,
            ..PLAIN
        },
        Operation {
            name: "receive what was sent again",
            prepare: |stage| {
                one_letter(stage)?;
                letters(stage)?.requeue(1).map(drop).map_err(text)
            },
            with: &[Observer],
            victim: |stage| {
                as_consumer(stage, "work", |consumer| {
                    let message = consumer.recv_timeout(PATIENCE).map_err(text)?;
                    check(message.sequence(), message.kind(), &message)?;
                    stage.book.note.store(1, SeqCst);
                    message.ack().map_err(text)?;
                    stage.book.note.store(2, SeqCst);
                    Ok(())
                })
            },
            judge: |scene| {
                let (stage, acked) = (scene.stage, scene.stage.book.note.load(SeqCst));
                alone("who receives what was sent again", || match (come_again(stage)?, acked) {
                    (1, 0 | 1) | (0, 1 | 2) => Ok(()),
                    (count, _) => Err(format!("it came {count} times; ack: {acked} of 2")),
                })?;
                scene.settle()
            },
            ..PLAIN
        },
        Operation {
            name: "throw letters away",
            prepare: one_letter,
            victim: |stage| {
                let letters = letters(stage)?;
                operation(stage, || letters.purge(1).map(drop).map_err(text))
            },
            judge: |scene| {
                let (stage, done) = (scene.stage, scene.is_done());
                scene.settle()?;
                alone("who throws letters away", || {
                    match letters(stage)?.purge(2).map_err(text)? {
                        0 => Ok(()),
                        1 if !done => Ok(()),
                        left => Err(format!("done: {done}, and {left} letters are left")),
                    }
                })
            },
            ..PLAIN
        },
    ]
}

fn letters(stage: Stage) -> Result<DeadLetters, String> {
    DeadLetters::of(stage.queue, &OpenOptions::new()).map_err(text)
}

/// A queue in which everything is acked and one message is a dead letter.
fn one_letter(stage: Stage) -> Outcome {
    stage.make_used_by(group("work"), 11, [11, 10])?;
    let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
    reject_first(stage, stage.take(&mut consumer, "work", 1)?)
}

fn send_again(stage: Stage, _group: &str) -> Outcome {
    let letters = letters(stage)?;
    operation(stage, || match letters.requeue(1).map_err(text)? {
        1 => Ok(()),
        count => Err(format!("{count} letters were sent again")),
    })
}

/// The message must come again once, or twice if the process died in between.
fn sent_again(scene: &mut Scene) -> Outcome {
    let (stage, done) = (scene.stage, scene.is_done());
    alone("who sends letters again", || {
        let before = come_again(stage)?;
        let left = letters(stage)?.requeue(2).map_err(text)?;
        let after = come_again(stage)?;
        let right = match (before, left, after) {
            (0, 1, 1) | (1, 1, 1) => !done,
            (1, 0, 0) => true,
            _ => false,
        };
        if right {
            return Ok(());
        }
        Err(format!("done: {done}; came {before}, then {left} were sent again and came {after}"))
    })?;
    scene.settle()
}

/// A queue in which everything is acked, and a letter for the group `work`, which has one cell, goes with its last member, and
/// was declared after that.
fn letter_for_cells(stage: Stage) -> Outcome {
    let work = Group::named("work").shared().in_flight(1);
    let queue = stage.make(Some(work.clone()))?;
    stage.send(&mut queue.producer().map_err(text)?, 1)?;
    let mut store = queue.consumer("store").map_err(text)?;
    ack_all(stage, "store", stage.take(&mut store, "store", 1)?)?;
    let account = stage.account("work");
    note(&account.acking, 0);
    let mut worker = queue.worker("work").map_err(text)?;
    worker.recv().map_err(text)?.reject().map_err(text)?;
    drop(worker);
    queue.remove_group("work").map_err(text)?;
    let work = work.retention(Retention::Release).start(Start::Newest);
    queue.add_group(work).map_err(text)
}

/// As `sent_again`, in a group with cells. It stays until a member that receives has joined it and left it.
fn sent_into_cells(scene: &mut Scene) -> Outcome {
    let groups = scene.image()?.groups();
    let work = groups.iter().find(|group| group.name == "work").ok_or("the group is gone")?;
    if work.goes {
        return Err("nobody who receives has joined the group, and it goes".to_owned());
    }
    let (stage, done) = (scene.stage, scene.is_done());
    alone("who sends letters again", || {
        let mut worker = stage.open()?.worker("work").map_err(text)?;
        let before = come_again_in_cells(&mut worker)?;
        // There is one cell: none is lost.
        let left = letters(stage)?.requeue(2).map_err(text)?;
        let after = come_again_in_cells(&mut worker)?;
        match (before, left, after) {
            (0 | 1, 1, 1) if !done => Ok(()),
            (1, 0, 0) => Ok(()),
            _ => Err(format!(
                "done: {done}; came {before}, then {left} were sent again and came {after}"
            )),
        }
    })?;
    scene.settle()
}

/// The same as `come_again`.
fn come_again_in_cells(worker: &mut Worker) -> Result<u64, String> {
    let mut count = 0;
    loop {
        let job = match worker.recv_timeout(std::time::Duration::ZERO) {
            Ok(job) => job,
            Err(RecvError::Timeout { .. }) => return Ok(count),
            Err(fault) => return Err(text(fault)),
        };
        check(job.sequence(), job.kind(), &job)?;
        if (job.requeued(), job.sequence(), job.attempts()) != (true, 0, 1) {
            return Err(format!("message {} comes, attempt {}", job.sequence(), job.attempts()));
        }
        job.ack().map_err(text)?;
        count += 1;
    }
}

/// Receives and acks letters that were sent again. Returns how many there were.
fn come_again(stage: Stage) -> Result<u64, String> {
    let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
    let mut count = 0;
    loop {
        let message = match consumer.recv_timeout(std::time::Duration::ZERO) {
            Ok(message) => message,
            Err(RecvError::Timeout { .. }) => return Ok(count),
            Err(fault) => return Err(text(fault)),
        };
        check(message.sequence(), message.kind(), &message)?;
        if !message.requeued() || message.sequence() != 10 {
            return Err(format!("message {} comes again", message.sequence()));
        }
        message.ack().map_err(text)?;
        count += 1;
    }
}

fn coming() -> Vec<Operation> {
    vec![
        Operation {
            name: "take over from a producer",
            prepare: |stage| {
                little(stage)?;
                // As if the producer had died after its last two stamps.
                tail(stage, 9)
            },
            with: &[Reader, Observer],
            victim: |stage| {
                let queue = stage.open()?;
                operation(stage, || queue.producer().map(std::mem::forget).map_err(text))
            },
            ..PLAIN
        },
        Operation {
            name: "take over a closed queue",
            prepare: |stage| {
                little(stage)?;
                stage.open()?.producer().map_err(text)?.close().map_err(text)
            },
            with: &[Observer],
            victim: |stage| {
                let queue = stage.open()?;
                operation(stage, || queue.producer().map(std::mem::forget).map_err(text))
            },
            ..PLAIN
        },
        Operation {
            name: "join, exclusive, after a dead one",
            prepare: |stage| {
                much(stage)?;
                let mut dying = stage.open()?.consumer("store").map_err(text)?;
                let _held = stage.take(&mut dying, "store", 3)?;
                std::mem::forget(dying);
                Ok(())
            },
            with: &[Observer],
            victim: |stage| join(stage, "store"),
            ..PLAIN
        },
        Operation {
            name: "join, shared",
            prepare: |stage| orphaned(stage, 2),
            with: &[Member],
            victim: |stage| join(stage, "work"),
            ..PLAIN
        },
        Operation {
            name: "join, and make the group",
            prepare: much,
            with: &[Reader],
            victim: |stage| join(stage, "new"),
            ..PLAIN
        },
        Operation {
            name: "join, and make a group that goes",
            prepare: much,
            victim: |stage| join(stage, "temp"),
            ..PLAIN
        },
    ]
}

pub(crate) fn join(stage: Stage, name: &str) -> Outcome {
    let queue = stage.open()?;
    operation(stage, || queue.consumer(group(name)).map(std::mem::forget).map_err(text))
}

/// Sets the tail back to `to`.
pub(crate) fn tail(stage: Stage, to: u64) -> Outcome {
    use std::os::unix::fs::FileExt;
    let file = shm::file_of(stage.queue).ok_or("no queue")?;
    file.write_all_at(&to.to_le_bytes(), TAIL as u64).map_err(text)
}

fn going() -> Vec<Operation> {
    vec![
        Operation {
            name: "leave, producer",
            prepare: little,
            with: &[Reader],
            victim: |stage| {
                let mut producer = stage.open()?.producer().map_err(text)?;
                stage.send(&mut producer, 1)?;
                operation(stage, || {
                    drop(producer);
                    Ok(())
                })
            },
            ..PLAIN
        },
        Operation {
            name: "leave, exclusive",
            prepare: much,
            with: &[Observer],
            victim: |stage| {
                let mut consumer = stage.open()?.consumer("store").map_err(text)?;
                drop(stage.take(&mut consumer, "store", 2)?);
                operation(stage, || consumer.leave().map_err(text))
            },
            ..PLAIN
        },
        Operation {
            name: "leave, shared, with messages",
            prepare: much,
            with: &[Member],
            victim: |stage| {
                let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
                drop(stage.take(&mut consumer, "work", 3)?);
                operation(stage, || consumer.leave().map_err(text))
            },
            ..PLAIN
        },
        Operation {
            name: "leave, shared, with a dead member's",
            prepare: |stage| orphaned(stage, 0),
            victim: |stage| {
                let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
                drop(stage.take(&mut consumer, "work", 1)?);
                operation(stage, || {
                    drop(consumer);
                    Ok(())
                })
            },
            ..PLAIN
        },
        Operation {
            name: "leave, the last of a group that goes",
            prepare: much,
            victim: |stage| {
                let consumer = stage.open()?.consumer(group("temp")).map_err(text)?;
                operation(stage, || consumer.leave().map_err(text))
            },
            ..PLAIN
        },
    ]
}

fn making() -> Vec<Operation> {
    vec![
        Operation {
            name: "add a group",
            prepare: much,
            with: &[Reader],
            victim: |stage| {
                let queue = stage.open()?;
                let new = group("new").dead_letters_to("steps.letters");
                operation(stage, || queue.add_group(new).map_err(text))
            },
            ..PLAIN
        },
        Operation {
            name: "remove a group",
            prepare: |stage| orphaned(stage, 2),
            with: &[Reader],
            victim: |stage| {
                let queue = stage.open()?;
                operation(stage, || queue.force_remove_group("work").map_err(text))
            },
            judge: |scene| {
                let there = scene.image()?.groups().iter().any(|group| group.name == "work");
                if there && scene.is_done() {
                    return Err("the group is there still".to_owned());
                }
                scene.settle()
            },
            ..PLAIN
        },
        Operation {
            name: "remove a queue",
            prepare: little,
            victim: |stage| operation(stage, || slipring::force_remove(stage.queue).map_err(text)),
            judge: |scene| match shm::file_of(scene.stage.queue) {
                Some(_) if scene.is_done() => Err("the queue is there still".to_owned()),
                Some(_) => scene.settle(),
                None => made_anew(scene.stage),
            },
            ..PLAIN
        },
        Operation {
            name: "make a queue",
            prepare: |_| Ok(()),
            victim: |stage| {
                operation(stage, || stage.make(Some(group("work"))).map(std::mem::forget))
            },
            judge: made,
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "make a queue, after a dead maker",
            prepare: |_| {
                let path = format!("{}/slipring-new.0123456789abcdef", shm::SHM);
                std::fs::write(path, [0; 100]).map_err(text)
            },
            victim: |stage| {
                operation(stage, || stage.make(Some(group("work"))).map(std::mem::forget))
            },
            judge: made,
            orders: &[Order::Consumers],
            ..PLAIN
        },
    ]
}

fn made(scene: &mut Scene) -> Outcome {
    match shm::file_of(scene.stage.queue) {
        None if scene.is_done() => Err("the queue is not there".to_owned()),
        None => made_anew(scene.stage),
        Some(_) => scene.settle(),
    }
}

/// The name must be free.
fn made_anew(stage: Stage) -> Outcome {
    alone("who makes it anew", || {
        stage.make_used(3, 2)?;
        let file = shm::file_of(stage.queue).ok_or("no queue")?;
        if Image::of(&file)?.end != 3 { Err("not as it was made".to_owned()) } else { Ok(()) }
    })
}
