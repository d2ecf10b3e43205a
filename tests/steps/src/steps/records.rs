//! Operations on the records of a shared group's members: joins that find no free record, counts of deliveries, and a
//! record's counters when it gets another owner.

use std::sync::atomic::Ordering::SeqCst;

use slipring::{Consumer, JoinError, Queue};

use super::book::note;
use super::bystanders::Bystander::{Member, Observer};
use super::judge::Scene;
use super::operations::{
    Operation, PLAIN, ack_all, as_consumer, as_holder, died_claiming, much, operation, orphaned,
};
use super::party::Outcome;
use super::roles::join;
use super::stage::{CAPACITY, PAYLOAD, Stage, group, text};

pub(crate) fn all() -> impl Iterator<Item = Operation> {
    [joining(), leaving(), uncounting()].into_iter().flatten()
}

/// The first record's counters, acked and redelivered, in a queue without a free record.
const COUNTED: [u64; 2] = [4, 2];

fn joining() -> Vec<Operation> {
    vec![
        Operation {
            name: "join, shared, in a dead member's record",
            prepare: |stage| no_record_left(stage, [2, 3, 0]),
            with: &[Observer],
            victim: |stage| join(stage, "work"),
            judge: |scene| counts_stay(scene, COUNTED),
            ..PLAIN
        },
        Operation {
            name: "join, shared, in a dead member's record, beside another",
            prepare: |stage| no_record_left(stage, [2, 0, 0]),
            with: &[Member],
            victim: |stage| join(stage, "work"),
            judge: |scene| counts_stay(scene, COUNTED),
            ..PLAIN
        },
        Operation {
            name: "join, shared, in a dead member's record, and work it off",
            prepare: |stage| no_record_left(stage, [2, 3, 0]),
            victim: |stage| {
                let queue = stage.open()?;
                operation(stage, || {
                    let mut consumer = queue.consumer(group("work")).map_err(text)?;
                    ack_all(stage, "work", stage.take(&mut consumer, "work", 1)?)?;
                    ack_all(stage, "work", stage.take(&mut consumer, "work", 1)?)?;
                    std::mem::forget(consumer);
                    Ok(())
                })
            },
            ..PLAIN
        },
        Operation {
            name: "join, shared, in a dead member's record, its claim not noted",
            prepare: |stage| {
                no_record_left(stage, [0, 3, 2])?;
                died_claiming(stage, 7, 9)
            },
            victim: |stage| join(stage, "work"),
            ..PLAIN
        },
        Operation {
            name: "join, shared, in a dead member's record, its claim failed",
            prepare: |stage| {
                no_record_left(stage, [0, 3, 0])?;
                died_claiming(stage, 5, 7)
            },
            victim: |stage| join(stage, "work"),
            ..PLAIN
        },
        Operation {
            name: "join, and make a group, without a record left",
            prepare: |stage| no_record_left(stage, [2, 3, 0]),
            victim: |stage| {
                let queue = stage.open()?;
                operation(stage, || match queue.consumer("new") {
                    Err(JoinError::TooManyConsumers { .. }) => Ok(()),
                    other => Err(format!("there is a record left: {other:?}")),
                })
            },
            judge: |scene| {
                let there = scene.image()?.groups().iter().any(|group| group.name == "new");
                if there && scene.is_done() {
                    return Err("the group is there still".to_owned());
                }
                scene.settle()
            },
            ..PLAIN
        },
    ]
}

/// A queue of two records and one group, `work`. The owner of the first record acks four messages, one of them when it
/// comes again. Then it claims `claims[0]` messages, one of which comes again, too. The owner of the second record
/// claims `claims[1]`, and the owner of the first `claims[2]` more. Both die.
fn no_record_left(stage: Stage, claims: [usize; 3]) -> Outcome {
    let queue = Queue::builder(stage.queue).capacity(CAPACITY).payload_size(PAYLOAD);
    let queue = queue.max_groups(2).max_consumers(2).group(group("work")).create();
    let queue = queue.map_err(text)?;
    let mut producer = queue.producer().map_err(text)?;
    let mut dying = queue.consumer(group("work")).map_err(text)?;
    stage.send(&mut producer, 3)?;
    ack_all(stage, "work", stage.take(&mut dying, "work", 3)?)?;
    stage.send(&mut producer, 8)?;
    drop(stage.take(&mut dying, "work", 1 + claims[0])?);
    ack_all(stage, "work", stage.take(&mut dying, "work", 1)?)?;
    if claims[0] > 0 {
        drop(stage.take(&mut dying, "work", 1)?);
    }
    if claims[1] > 0 {
        let mut other = queue.consumer(group("work")).map_err(text)?;
        drop(stage.take(&mut other, "work", claims[1])?);
        std::mem::forget(other);
    }
    if claims[2] > 0 {
        drop(stage.take(&mut dying, "work", claims[2])?);
    }
    std::mem::forget(dying);
    Ok(())
}

fn leaving() -> Vec<Operation> {
    vec![Operation {
        name: "leave, shared, and what it counted",
        prepare: |stage| orphaned(stage, 2),
        with: &[Member],
        victim: |stage| {
            let mut consumer = stage.open()?.consumer(group("work")).map_err(text)?;
            // A dead member held this message: it comes again.
            ack_all(stage, "work", stage.take(&mut consumer, "work", 1)?)?;
            operation(stage, || consumer.leave().map_err(text))
        },
        judge: |scene| counts_stay(scene, [1, 1]),
        ..PLAIN
    }]
}

/// Each ack and each redelivery of `work` is counted once, whatever becomes of the record that counted it. A death
/// while a record's counters move loses at most those counters, `moving`.
fn counts_stay(scene: &mut Scene, moving: [u64; 2]) -> Outcome {
    let account = scene.stage.account("work");
    let acked = || u64::from(account.acked.load(SeqCst).count_ones());
    let whole = [acked(), moving[1]];
    let counted = scene.counted("work")?;
    for ((whole, counted), moving) in whole.into_iter().zip(counted).zip(moving) {
        if counted != whole && (scene.is_done() || counted != whole - moving) {
            return Err(format!("{whole} were acked or came again, and {counted} are counted"));
        }
    }
    let lost = whole[0] - counted[0];
    scene.settle()?;
    let counted = scene.counted("work")?[0];
    if counted + lost != acked() {
        return Err(format!("{} were acked, {lost} forgotten, and {counted} are counted", acked()));
    }
    Ok(())
}

fn uncounting() -> Vec<Operation> {
    vec![
        Operation {
            name: "take a delivery's count back, exclusive",
            prepare: much,
            with: &[Observer],
            victim: |stage| {
                as_consumer(stage, "store", |consumer| take_back(stage, consumer, "store"))
            },
            judge: |scene| not_counted(scene, "store"),
            ..PLAIN
        },
        Operation {
            name: "take a delivery's count back, shared",
            prepare: much,
            with: &[Member],
            victim: |stage| {
                as_consumer(stage, "work", |consumer| take_back(stage, consumer, "work"))
            },
            judge: |scene| not_counted(scene, "work"),
            ..PLAIN
        },
        Operation {
            name: "take a delivery's count back, and release",
            prepare: much,
            victim: |stage| {
                as_holder(stage, "work", 3, |mut batch| {
                    let first = batch.first().ok_or("an empty batch")?.sequence();
                    note(&stage.account("work").uncounting, first);
                    batch.uncount();
                    batch.release().map_err(text)
                })
            },
            judge: |scene| not_counted(scene, "work"),
            ..PLAIN
        },
    ]
}

/// Takes back the count of a delivery of three messages, and again when the first of them is redelivered.
fn take_back(stage: Stage, consumer: &mut Consumer, name: &str) -> Outcome {
    for _ in 0..2 {
        let mut batch = stage.take(consumer, name, 3)?;
        let first = batch.first().ok_or("an empty batch")?;
        let (first, attempts) = (first.sequence(), first.attempts());
        if attempts != 1 {
            return Err(format!("what was not counted comes as attempt {attempts}"));
        }
        note(&stage.account(name).uncounting, first);
        batch.uncount();
    }
    Ok(())
}

/// Once the count is taken back, the message comes as if for the first time.
fn not_counted(scene: &mut Scene, name: &str) -> Outcome {
    let image = scene.image()?;
    let groups = image.groups();
    let group = groups.iter().find(|group| group.name == name).ok_or("no group")?;
    let uncounted = scene.stage.account(name).uncounting.load(SeqCst);
    for owed in image.owed(group) {
        if scene.is_done() && uncounted >> owed.seq & 1 == 1 && owed.attempts != 1 {
            return Err(format!("{} comes as attempt {}", owed.seq, owed.attempts));
        }
    }
    scene.settle()
}
