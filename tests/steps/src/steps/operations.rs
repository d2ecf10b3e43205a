//! The operations in which the victim is killed.

use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use slipring::{
    Batch, Consumer, Group, Producer, Queue, RecvError, Select, SelectError, SendError, Start,
    WaitStrategy,
};

use super::book::{message, note};
use super::bystanders::Bystander::{self, Member, Observer, Reader, Sender, Sleeper};
use super::image::Image;
use super::judge::{Order, Scene};
use super::party::Outcome;
use super::stage::{CAPACITY, Stage, group, read_on, text};
use super::trace::mark;
use super::{between, clock, in_flight, records, roles, shm, sources};

/// An operation, its surroundings, and how to judge the result.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Makes the queue and its contents, in a process that then ends. Roles that it keeps are those of a dead process.
    pub(crate) prepare: fn(Stage) -> Outcome,
    pub(crate) with: &'static [Bystander],
    /// Reaches its first mark, does the operation, and reaches its second mark.
    pub(crate) victim: fn(Stage) -> Outcome,
    pub(crate) judge: fn(&mut Scene) -> Outcome,
    pub(crate) orders: &'static [Order],
    /// Whether other processes can tell that the operation was done.
    pub(crate) shows: bool,
}

pub(crate) const PLAIN: Operation = Operation {
    name: "",
    prepare: |_| Ok(()),
    with: &[],
    victim: |_| Ok(()),
    judge: Scene::settle,
    orders: &Order::ALL,
    shows: true,
};

pub(crate) fn all() -> Vec<Operation> {
    let parts = [sending(), receiving(), recovering()];
    parts
        .into_iter()
        .flatten()
        .chain(roles::all())
        .chain(records::all())
        .chain(sources::all())
        .chain(between::all())
        .chain(in_flight::all())
        .collect()
}

/// Marks where the operation begins and ends, and notes both in the book.
pub(crate) fn operation(stage: Stage, act: impl FnOnce() -> Outcome) -> Outcome {
    stage.book.begun.store(1, SeqCst);
    mark();
    act()?;
    stage.book.done.store(1, SeqCst);
    mark();
    Err("nobody has killed it".to_owned())
}

/// Few messages wait, and there is much room.
pub(crate) fn little(stage: Stage) -> Outcome {
    stage.make_used(11, 9)
}

/// Many messages wait, and there is little room.
pub(crate) fn much(stage: Stage) -> Outcome {
    stage.make_used(11, 4)
}

/// A producer that has sent one message before.
pub(crate) fn as_producer(stage: Stage, act: impl FnOnce(&mut Producer) -> Outcome) -> Outcome {
    let mut producer = stage.open()?.producer().map_err(text)?;
    producer.set_wait_strategy(at_once());
    stage.send(&mut producer, 1)?;
    operation(stage, || act(&mut producer))
}

/// A consumer of `name` that has just joined.
pub(crate) fn as_consumer(
    stage: Stage,
    name: &str,
    act: impl FnOnce(&mut Consumer) -> Outcome,
) -> Outcome {
    let mut consumer = stage.open()?.consumer(group(name)).map_err(text)?;
    consumer.set_wait_strategy(at_once());
    operation(stage, || act(&mut consumer))
}

/// A consumer of `name` that has claimed `count` messages.
pub(crate) fn as_holder(
    stage: Stage,
    name: &str,
    count: usize,
    act: impl FnOnce(Batch<'_>) -> Outcome,
) -> Outcome {
    let mut consumer = stage.open()?.consumer(group(name)).map_err(text)?;
    let batch = stage.take(&mut consumer, name, count)?;
    if batch.len() != count {
        return Err(format!("a batch of {}, not {count}", batch.len()));
    }
    operation(stage, || act(batch))
}

/// A strategy that sleeps at once.
pub(crate) fn at_once() -> WaitStrategy {
    WaitStrategy::default().spins(0).yields(Duration::ZERO)
}

fn sending() -> Vec<Operation> {
    vec![
        Operation {
            name: "send",
            prepare: little,
            with: &[Observer],
            victim: |stage| as_producer(stage, |producer| stage.send(producer, 3)),
            ..PLAIN
        },
        Operation {
            name: "send, a consumer sleeps",
            prepare: little,
            with: &[Sleeper],
            victim: |stage| as_producer(stage, |producer| stage.send(producer, 2)),
            ..PLAIN
        },
        Operation {
            name: "send_batch",
            prepare: little,
            with: &[Observer],
            victim: |stage| {
                as_producer(stage, |producer| {
                    let next = producer.sequence();
                    let all: Vec<_> = (next..next + 4).map(message).collect();
                    let all = all.iter().map(|(kind, bytes)| (*kind, &bytes[..]));
                    stage.sending(next + 4, || producer.send_batch(all)).map_err(text)?;
                    Ok(())
                })
            },
            ..PLAIN
        },
        Operation {
            name: "reserve and publish",
            prepare: little,
            with: &[Observer],
            victim: |stage| {
                as_producer(stage, |producer| {
                    let next = producer.sequence();
                    let mut slots = producer.try_reserve(4).map_err(text)?;
                    for index in 0..4 {
                        let (kind, bytes) = message(next + index as u64);
                        let slot = slots.bytes_mut(index).ok_or("no slot")?;
                        slot[..bytes.len()].copy_from_slice(&bytes);
                        if !slots.set_len(index, bytes.len()) || !slots.set_kind(index, kind) {
                            return Err("no slot".to_owned());
                        }
                    }
                    stage.sending(next + 3, || slots.publish_first(3));
                    Ok(())
                })
            },
            ..PLAIN
        },
        Operation {
            name: "send, full, sleeps in vain",
            prepare: much,
            with: &[Observer],
            victim: |stage| {
                // The last slot is taken already.
                as_producer(stage, |producer| match producer.send_timeout("", AWHILE) {
                    Err(SendError::Timeout(_)) => Ok(()),
                    other => Err(format!("the queue is not full: {other:?}")),
                })
            },
            ..PLAIN
        },
        Operation {
            name: "send, full, frees a group",
            prepare: |stage| {
                let queue = stage.make(Some(group("work")))?;
                let mut producer = queue.producer().map_err(text)?;
                std::mem::forget(queue.consumer(group("temp")).map_err(text)?);
                stage.send(&mut producer, CAPACITY)?;
                for name in ["store", "work"] {
                    let mut consumer = queue.consumer(group(name)).map_err(text)?;
                    ack_all(stage, name, stage.take(&mut consumer, name, CAPACITY as usize)?)?;
                }
                Ok(())
            },
            victim: |stage| {
                let mut producer = stage.open()?.producer().map_err(text)?;
                operation(stage, || stage.send(&mut producer, 2))
            },
            ..PLAIN
        },
        Operation {
            name: "close",
            prepare: little,
            with: &[Observer],
            victim: |stage| {
                let mut producer = stage.open()?.producer().map_err(text)?;
                stage.send(&mut producer, 1)?;
                operation(stage, || producer.close().map_err(text))
            },
            judge: |scene| {
                let (image, done) = (scene.image()?, scene.is_done());
                let right = match image.closed_at {
                    Some(at) => at == image.end,
                    None => !done,
                };
                if !right {
                    return Err(format!("done: {done}, closed at: {:?}", image.closed_at));
                }
                scene.settle()
            },
            ..PLAIN
        },
    ]
}

/// Acks the messages in order.
pub(crate) fn ack_all(stage: Stage, name: &str, mut batch: Batch<'_>) -> Outcome {
    let first = batch.first().ok_or("an empty batch")?.sequence();
    stage.acking(name, &[first], || batch.ack_first())?;
    if batch.len() > 2 {
        let next = [first + 1, first + 2];
        stage.acking(name, &next, || batch.ack_through(next[1]))?;
    }
    let rest: Vec<u64> = batch.iter().map(|message| message.sequence()).collect();
    stage.acking(name, &rest, || batch.ack())
}

/// Acks the third, the first and the second message. Only then are all three acked.
fn ack_mixed(stage: Stage, name: &str, mut batch: Batch<'_>) -> Outcome {
    let first = batch.first().ok_or("an empty batch")?.sequence();
    // As long as the gap is there, a death makes it come again.
    note(&stage.account(name).acking, first + 2);
    batch.ack_one(first + 2).map_err(text)?;
    for (seq, done) in [(first, &[first][..]), (first + 1, &[first + 1, first + 2])] {
        stage.acking(name, done, || batch.ack_one(seq))?;
    }
    Ok(())
}

fn receiving() -> Vec<Operation> {
    vec![
        Operation {
            name: "claim, exclusive",
            prepare: much,
            with: &[Observer],
            victim: |stage| {
                as_consumer(stage, "store", |consumer| stage.take(consumer, "store", 3).map(drop))
            },
            ..PLAIN
        },
        Operation {
            name: "claim again, exclusive",
            prepare: much,
            victim: |stage| claim_again(stage, "store"),
            ..PLAIN
        },
        Operation {
            name: "ack, exclusive",
            prepare: much,
            with: &[Observer],
            victim: |stage| as_holder(stage, "store", 5, |batch| ack_all(stage, "store", batch)),
            ..PLAIN
        },
        Operation {
            name: "ack, exclusive, out of order",
            prepare: much,
            victim: |stage| as_holder(stage, "store", 5, |batch| ack_mixed(stage, "store", batch)),
            ..PLAIN
        },
        Operation {
            name: "ack, exclusive, the producer waits",
            prepare: |stage| stage.make_used_by(group("work"), 11, [4, 11]),
            with: &[Sender],
            victim: |stage| as_holder(stage, "store", 5, |batch| ack_all(stage, "store", batch)),
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "claim, shared",
            prepare: much,
            with: &[Member, Reader, Observer],
            victim: |stage| {
                as_consumer(stage, "work", |consumer| stage.take(consumer, "work", 3).map(drop))
            },
            ..PLAIN
        },
        Operation {
            name: "claim, shared, the producer waits",
            prepare: much,
            with: &[Sender],
            victim: |stage| {
                as_consumer(stage, "work", |consumer| stage.take(consumer, "work", 3).map(drop))
            },
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "claim again, shared",
            prepare: much,
            with: &[Member],
            victim: |stage| claim_again(stage, "work"),
            ..PLAIN
        },
        Operation {
            name: "ack, shared",
            prepare: much,
            with: &[Member, Observer],
            victim: |stage| as_holder(stage, "work", 5, |batch| ack_all(stage, "work", batch)),
            ..PLAIN
        },
        Operation {
            name: "ack, shared, out of order",
            prepare: much,
            with: &[Member],
            victim: |stage| as_holder(stage, "work", 5, |batch| ack_mixed(stage, "work", batch)),
            ..PLAIN
        },
        Operation {
            name: "ack, shared, the producer waits",
            prepare: |stage| stage.make_used_by(group("work"), 11, [11, 4]),
            with: &[Sender],
            victim: |stage| as_holder(stage, "work", 5, |batch| ack_all(stage, "work", batch)),
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "receive, exclusive, sleeps in vain",
            prepare: |stage| stage.make_used(11, 11),
            victim: |stage| as_consumer(stage, "store", sleep_in_vain),
            ..PLAIN
        },
        Operation {
            name: "receive, shared, sleeps in vain",
            prepare: |stage| stage.make_used(11, 9),
            with: &[Member],
            victim: |stage| as_consumer(stage, "work", sleep_in_vain),
            ..PLAIN
        },
        Operation {
            name: "select, sleeps in vain",
            prepare: |stage| stage.make_used(11, 11),
            with: &[Observer],
            victim: |stage| {
                let (queue, mut select) = (stage.open()?, Select::new());
                for name in ["store", "work"] {
                    select.add(queue.consumer(group(name)).map_err(text)?);
                }
                select.set_wait_strategy(at_once());
                operation(stage, || match select.recv_timeout(AWHILE) {
                    Err(SelectError::Timeout) => Ok(()),
                    other => Err(format!("there is something: {other:?}")),
                })
            },
            ..PLAIN
        },
        Operation {
            name: "open, look and observe",
            prepare: much,
            with: &[Reader, Member],
            victim: look_around,
            shows: false,
            ..PLAIN
        },
    ]
}

/// Everything that only reads a queue's state.
fn look_around(stage: Stage) -> Outcome {
    let mut producer = stage.open()?.producer().map_err(text)?;
    let consumer = stage.open()?.consumer(group("work")).map_err(text)?;
    operation(stage, || {
        let builder = Queue::builder(stage.queue);
        let queue = builder.open_or_create().map_err(text)?;
        builder.differences(&queue).map_err(text)?;
        queue.snapshot().map_err(text)?;
        slipring::list().map_err(text)?;
        let mut observer = queue.observer(Start::Oldest).map_err(text)?;
        read_on(stage, &mut observer)?;
        observer.seek(5);
        observer.try_latest().map_err(text)?;
        producer.check_removed().map_err(text)?;
        consumer.check_removed().map_err(text)
    })
}

/// By the clock of the victim.
const AWHILE: Duration = clock::PER_LOOK.saturating_mul(4);

fn sleep_in_vain(consumer: &mut Consumer) -> Outcome {
    match consumer.recv_timeout(AWHILE) {
        Err(RecvError::Timeout { .. }) => Ok(()),
        other => Err(format!("there is something: {other:?}")),
    }
}

/// Claims two messages of a dropped batch again, one by one, the first of them twice.
fn claim_again(stage: Stage, name: &str) -> Outcome {
    let mut consumer = stage.open()?.consumer(group(name)).map_err(text)?;
    drop(stage.take(&mut consumer, name, 3)?);
    operation(stage, || {
        drop(stage.take(&mut consumer, name, 3)?);
        ack_all(stage, name, stage.take(&mut consumer, name, 3)?)?;
        ack_all(stage, name, stage.take(&mut consumer, name, 3)?)
    })
}

/// A member of `work` died with three messages; `left` more wait.
pub(crate) fn orphaned(stage: Stage, left: usize) -> Outcome {
    orphaned_in(stage, group("work"), left)
}

pub(crate) fn orphaned_in(stage: Stage, work: Group, left: usize) -> Outcome {
    stage.make_used_by(work.clone(), 11, [4, 4])?;
    let queue = stage.open()?;
    let mut dying = queue.consumer(&work).map_err(text)?;
    let _held = stage.take(&mut dying, "work", 3)?;
    let mut other = queue.consumer(&work).map_err(text)?;
    if left < 4 {
        ack_all(stage, "work", stage.take(&mut other, "work", 4 - left)?)?;
    }
    std::mem::forget(dying);
    Ok(())
}

/// Writes the first record's words as a member leaves them that dies in a claim of `[start, end)`.
pub(crate) fn died_claiming(stage: Stage, start: u64, end: u64) -> Outcome {
    let file = shm::file_of(stage.queue).ok_or("no queue")?;
    let image = Image::of(&file)?;
    let groups = image.groups();
    let work = groups.iter().find(|group| group.name == "work").ok_or("no group")?;
    let pending = start << 8 | (work.index as u64) << 2 | 1;
    let at = image.record_at(0) as u64;
    let store = |at, word: u64| file.write_all_at(&word.to_le_bytes(), at);
    store(at + 8, end).and_then(|()| store(at, pending)).map_err(text)
}

fn recovering() -> Vec<Operation> {
    vec![
        Operation {
            name: "release",
            prepare: much,
            with: &[Member, Observer],
            victim: |stage| as_holder(stage, "work", 3, |batch| batch.release().map_err(text)),
            ..PLAIN
        },
        Operation {
            name: "release, the producer waits",
            prepare: much,
            with: &[Sender],
            victim: |stage| as_holder(stage, "work", 3, |batch| batch.release().map_err(text)),
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "adopt, and ack all of it",
            prepare: |stage| orphaned(stage, 0),
            with: &[Reader, Observer],
            victim: |stage| as_consumer(stage, "work", |consumer| work_off(stage, consumer)),
            ..PLAIN
        },
        Operation {
            name: "adopt, beside another member",
            prepare: |stage| orphaned(stage, 2),
            with: &[Member],
            victim: |stage| as_consumer(stage, "work", |consumer| work_off(stage, consumer)),
            ..PLAIN
        },
        Operation {
            name: "adopt, the producer waits",
            prepare: |stage| orphaned(stage, 0),
            with: &[Sender],
            victim: |stage| {
                as_consumer(stage, "work", |consumer| stage.take(consumer, "work", 1).map(drop))
            },
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "adopt, and release",
            prepare: |stage| orphaned(stage, 2),
            with: &[Member],
            victim: |stage| {
                as_consumer(stage, "work", |consumer| {
                    let batch = stage.take(consumer, "work", 1)?;
                    batch.release().map_err(text)
                })
            },
            ..PLAIN
        },
        Operation {
            name: "adopt a claim that was not noted",
            prepare: |stage| {
                // All but the last three are acked by another member.
                stage.make_used(11, 4)?;
                let queue = stage.open()?;
                let mut dying = queue.consumer(group("work")).map_err(text)?;
                let mut other = queue.consumer(group("work")).map_err(text)?;
                ack_all(stage, "work", stage.take(&mut other, "work", 4)?)?;
                let _held = stage.take(&mut dying, "work", 3)?;
                std::mem::forget(dying);
                died_claiming(stage, 8, 11)
            },
            with: &[Reader],
            victim: |stage| as_consumer(stage, "work", |consumer| work_off(stage, consumer)),
            ..PLAIN
        },
        Operation {
            name: "note a dead member's claim, and claim",
            prepare: |stage| {
                orphaned(stage, 4)?;
                died_claiming(stage, 4, 7)
            },
            victim: |stage| {
                as_consumer(stage, "work", |consumer| stage.take(consumer, "work", 2).map(drop))
            },
            ..PLAIN
        },
        Operation {
            name: "take a dead member's claim back that failed",
            prepare: |stage| {
                stage.make_used(11, 4)?;
                let queue = stage.open()?;
                let dying = queue.consumer(group("work")).map_err(text)?;
                let mut other = queue.consumer(group("work")).map_err(text)?;
                ack_all(stage, "work", stage.take(&mut other, "work", 7)?)?;
                std::mem::forget(dying);
                died_claiming(stage, 6, 8)
            },
            victim: |stage| {
                as_consumer(stage, "work", |consumer| match consumer.try_recv() {
                    Err(RecvError::Empty) => Ok(()),
                    other => Err(format!("there is something: {other:?}")),
                })
            },
            ..PLAIN
        },
    ]
}

/// Receives and acks all messages that are there, one by one.
fn work_off(stage: Stage, consumer: &mut Consumer) -> Outcome {
    loop {
        let batch = match consumer.try_recv_batch(1) {
            Err(RecvError::Empty) => return Ok(()),
            received => received.map_err(text)?,
        };
        stage.got("work", &batch)?;
        ack_all(stage, "work", batch)?;
    }
}
