//! A stage between two queues: it is killed, or the producer before it, or the consumer after it. Each output must be in the
//! second queue once, and in order.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use slipring::{Delivery, ErrorCode, OpenOptions, Outputs, Queue, RecvError, StageError, Staged};

use super::book::{SEQUENCES, note};
use super::bystanders::Bystander::{Between, Observer};
use super::image::Image;
use super::judge::{Order, Scene};
use super::operations::{Operation, PLAIN, as_producer, at_once, operation};
use super::party::{Cue, Outcome, Party, alone};
use super::shm;
use super::stage::{CAPACITY, PATIENCE, PAYLOAD, Stage, text};

/// The second queue, and its group.
const TO: &str = "steps.to";
const OUT: &str = "out";

/// How many outputs a message has.
fn count_of(seq: u64) -> u64 {
    seq % 4
}

/// The outputs of the messages below `end`, in order: text and position.
fn outputs(end: u64) -> Vec<(String, u64)> {
    let output = |seq: u64, index| {
        let last = index + 1 == count_of(seq);
        (text_of(seq, index), (seq + 1) << 8 | if last { 255 } else { index })
    };
    (0..end).flat_map(|seq| (0..count_of(seq)).map(move |index| output(seq, index))).collect()
}

fn text_of(seq: u64, index: u64) -> String {
    format!("output {index} of {seq}")
}

pub(crate) fn all() -> Vec<Operation> {
    vec![
        Operation {
            name: "a stage, several messages at once",
            prepare: |stage| four_wait(stage).map(drop),
            with: &[Observer],
            victim: |stage| with_roles(stage, |between| process(stage, between)),
            judge: staged,
            ..PLAIN
        },
        Operation {
            name: "a stage, one message at a time",
            prepare: |stage| four_wait(stage).map(drop),
            victim: |stage| {
                with_roles(stage, |between| {
                    between.set_batch(1);
                    (0..4).try_for_each(|_| process(stage, between))
                })
            },
            judge: staged,
            ..PLAIN
        },
        Operation {
            name: "a stage, from its start",
            prepare: |stage| four_wait(stage).map(drop),
            victim: |stage| {
                operation(stage, || {
                    let mut between = Roles::open(stage)?.stage()?;
                    process(stage, &mut between)?;
                    std::mem::forget(between);
                    Ok(())
                })
            },
            judge: staged,
            ..PLAIN
        },
        Operation {
            name: "a stage, after one that died in a message",
            prepare: |stage| half_done(stage, 7, 2),
            victim: |stage| with_roles(stage, |between| process(stage, between)),
            judge: staged,
            ..PLAIN
        },
        Operation {
            name: "a stage, after one that died before its ack",
            prepare: |stage| half_done(stage, 10, 2),
            victim: |stage| with_roles(stage, |between| process(stage, between)),
            judge: staged,
            ..PLAIN
        },
        Operation {
            name: "a stage, without room for all outputs",
            prepare: |stage| seven_wait(stage).map(drop),
            victim: |stage| {
                with_roles(stage, |between| {
                    between.producer().set_interrupt(|| true);
                    match map_all(stage, between) {
                        Err(fault) if fault.code() == ErrorCode::Interrupted => Ok(()),
                        other => Err(format!("there is room: {other:?}")),
                    }
                })
            },
            judge: staged,
            ..PLAIN
        },
        Operation {
            name: "a stage waits, the producer before it",
            prepare: |stage| four_wait(stage).map(drop),
            with: &[Between],
            victim: |stage| as_producer(stage, |producer| stage.send_from(producer, "lines", 3)),
            judge: stage_lives,
            orders: &[Order::Consumers],
            ..PLAIN
        },
        Operation {
            name: "a stage waits for room, the consumer after it",
            prepare: |stage| seven_wait(stage).map(drop),
            with: &[Between],
            victim: |stage| {
                let mut consumer = to()?.consumer(OUT).map_err(text)?;
                let all = outputs(11);
                operation(stage, || {
                    let mut batches = [1, 3, 2].into_iter();
                    batches.try_for_each(|max| take_outputs(stage, &mut consumer, max, &all))
                })
            },
            judge: stage_lives,
            orders: &[Order::Consumers],
            ..PLAIN
        },
    ]
}

fn to() -> Result<Queue, String> {
    OpenOptions::new().control_timeout(PATIENCE).open(TO).map_err(text)
}

/// Both queues, open.
struct Roles {
    from: Queue,
    to: Queue,
}

impl Roles {
    fn open(stage: Stage) -> Result<Roles, String> {
        Ok(Roles { from: stage.open()?, to: to()? })
    }

    fn stage(&self) -> Result<slipring::Stage, String> {
        let mut consumer = self.from.consumer("store").map_err(text)?;
        let mut producer = self.to.producer().map_err(text)?;
        consumer.set_wait_strategy(at_once());
        producer.set_wait_strategy(at_once());
        slipring::Stage::new(consumer, producer).map_err(text)
    }
}

/// A stage that has its roles.
fn with_roles(stage: Stage, act: impl FnOnce(&mut slipring::Stage) -> Outcome) -> Outcome {
    let mut between = Roles::open(stage)?.stage()?;
    operation(stage, || act(&mut between))
}

/// Eleven messages, of which a stage has done the first seven, whose nine outputs `out` has acked but for the last.
fn four_wait(stage: Stage) -> Result<Roles, String> {
    prepared(stage, 7, 8)
}

/// Eleven messages, of which a stage has done the first four, whose six outputs `out` has acked but for the last two: the
/// other nine do not fit.
fn seven_wait(stage: Stage) -> Result<Roles, String> {
    prepared(stage, 4, 4)
}

fn prepared(stage: Stage, done: u64, acked: usize) -> Result<Roles, String> {
    let queue = stage.builder().sources(2).create().map_err(text)?;
    let builder = Queue::builder(TO).capacity(CAPACITY).payload_size(PAYLOAD).sources(2);
    builder.max_groups(2).max_consumers(3).group(OUT).create().map_err(text)?;
    let roles = Roles::open(stage)?;
    let mut producer = queue.producer().map_err(text)?;
    let mut consumer = roles.to.consumer(OUT).map_err(text)?;
    let mut between = roles.stage()?;
    let mut left = acked;
    for seq in 0..11 {
        match seq % 2 {
            0 => stage.send_from(&mut producer, "lines", 1)?,
            _ => stage.send(&mut producer, 1)?,
        }
        if seq < done {
            process(stage, &mut between)?;
            for _ in 0..count_of(seq).min(left as u64) {
                left -= 1;
                take_outputs(stage, &mut consumer, 1, &outputs(11))?;
            }
        }
    }
    Ok(roles)
}

/// A stage has done the messages below `done`, published so many outputs of the next one, and died.
fn half_done(stage: Stage, done: u64, published: usize) -> Outcome {
    let roles = four_wait(stage)?;
    let stream = roles.from.group_stream("store");
    let mut producer = roles.to.producer().map_err(text)?;
    let there = outputs(7).len();
    let until = outputs(done).len() + published;
    for (output, position) in &outputs(done + 1)[there..until] {
        let _ = producer.send_from(stream, *position, output).map_err(text)?;
    }
    Ok(())
}

/// Has the stage take what is there, and notes what it does.
fn process(stage: Stage, between: &mut slipring::Stage) -> Outcome {
    map_all(stage, between).map(drop).map_err(text)
}

fn map_all(stage: Stage, between: &mut slipring::Stage) -> Result<Staged, StageError> {
    let account = stage.account("store");
    let (first, end) = (between.consumer().position(), stage.book.sending.load(SeqCst));
    // It acks in between.
    (first..end).for_each(|seq| note(&account.acking, seq));
    let mut seen = Ok(());
    let staged = between.process_timeout(Duration::ZERO, |message, outputs| {
        seen = std::mem::replace(&mut seen, Ok(())).and_then(|()| map(stage, message, outputs));
        seen.clone()
    });
    let acked = between.consumer().position();
    (first..acked).for_each(|seq| note(&account.acked, seq));
    staged
}

/// The map: looks at its message, too.
fn map(stage: Stage, message: &Delivery<'_>, outputs: &mut Outputs) -> Outcome {
    let seq = message.sequence();
    super::book::check(seq, message.kind(), message)?;
    stage.check_source(seq, message.source())?;
    note(&stage.account("store").received, seq);
    for index in 0..count_of(seq) {
        outputs.push(&text_of(seq, index));
    }
    Ok(())
}

/// The stage beside a victim: runs until its source is closed.
pub(crate) fn run(stage: Stage, cue: &mut Cue) -> Outcome {
    let mut between = Roles::open(stage)?.stage()?;
    cue.say_ready()?;
    let account = stage.account("store");
    loop {
        // It may ack whatever comes.
        (between.consumer().position()..SEQUENCES).for_each(|seq| note(&account.acking, seq));
        let staged =
            between.process_timeout(PATIENCE, |message, outputs| map(stage, message, outputs));
        match staged {
            Ok(_) => {}
            Err(StageError::Recv(RecvError::Closed { .. })) => return Ok(()),
            Err(fault) => return Err(text(fault)),
        }
    }
}

/// Receives up to `max` outputs, of `all`, that are there, each the next one and whole, and acks them.
fn take_outputs(
    stage: Stage,
    consumer: &mut slipring::Consumer,
    max: usize,
    all: &[(String, u64)],
) -> Outcome {
    let batch = consumer.recv_batch_timeout(max, PATIENCE).map_err(text)?;
    for message in &batch {
        let (output, position) = &all[message.sequence() as usize];
        if *message != *output.as_bytes()
            || message.source().is_none_or(|it| it.position() != *position)
        {
            let (seq, found) = (message.sequence(), String::from_utf8_lossy(&message));
            return Err(format!("output {seq} is {found:?}, not {output:?}"));
        }
    }
    let last = batch.iter().last().ok_or("an empty batch")?.sequence();
    stage.book.out_acking.store(last + 1, SeqCst);
    batch.ack().map_err(text)?;
    stage.book.out_acked.store(last + 1, SeqCst);
    Ok(())
}

/// Reads the outputs up to `end`, from where the group has acked; there may be no more.
fn read_outputs(stage: Stage, end: u64) -> Outcome {
    let mut consumer = to()?.consumer(OUT).map_err(text)?;
    let acked = [&stage.book.out_acked, &stage.book.out_acking].map(|word| word.load(SeqCst));
    if !(acked[0]..=acked[1]).contains(&consumer.position()) {
        let at = consumer.position();
        return Err(format!("{OUT} goes on at {at}; {} were acked, {} begun", acked[0], acked[1]));
    }
    let all = outputs(SEQUENCES);
    while consumer.position() < end {
        take_outputs(stage, &mut consumer, 1, &all)?;
    }
    match consumer.try_recv().map(|message| message.sequence()) {
        Err(RecvError::Empty) => Ok(()),
        other => Err(format!("there should be {end} outputs: {other:?}")),
    }
}

fn image_of_to() -> Result<Image, String> {
    Image::of(&shm::file_of(TO).ok_or("the second queue has lost its name")?)
}

/// By the bytes: the second queue has the first outputs, each once, those of acked messages all, and its table says where
/// it stops. Returns how many there are.
fn check_outputs(from: &Image, whole: bool) -> Result<u64, String> {
    let to = image_of_to()?;
    let all = outputs(from.end);
    let groups = (from.groups(), to.groups());
    let head = |groups: &[super::image::GroupImage], name: &str| {
        groups.iter().find(|group| group.name == name).map(|group| group.head).ok_or("no group")
    };
    let (acked, out) = (head(&groups.0, "store")?, head(&groups.1, OUT)?);
    let least = if whole { all.len() } else { outputs(acked).len() } as u64;
    if !(least..=all.len() as u64).contains(&to.end) {
        return Err(format!("{} outputs are published, not {least} to {}", to.end, all.len()));
    }
    let streams = to.streams();
    let stream = streams.iter().find(|stream| stream.label == "steps/store");
    for seq in to.end.saturating_sub(CAPACITY)..to.end {
        if !to.holds(seq) {
            if seq >= out {
                return Err(format!("output {seq} is lost"));
            }
            continue;
        }
        let (output, position) = &all[seq as usize];
        let source = stream.map(|stream| (stream.number, *position));
        if to.payload(seq) != output.as_bytes() || to.source(seq) != source {
            let found = String::from_utf8_lossy(to.payload(seq));
            return Err(format!(
                "output {seq} is {found:?}, from {:?}; due was {output:?}",
                to.source(seq)
            ));
        }
    }
    let [least, most] = [to.tail, to.end].map(|end| match end {
        0 => 0,
        end => all[end as usize - 1].1,
    });
    let last = stream.map_or(0, |stream| stream.last);
    if !(least..=most).contains(&last) {
        return Err(format!("the last position is {last}, not {least} to {most}"));
    }
    Ok(to.end)
}

/// A new stage goes on, then all outputs are there, each once.
fn staged(scene: &mut Scene) -> Outcome {
    let stage = scene.stage;
    scene.check_accounts()?;
    let there = check_outputs(&scene.image()?, false)?;
    if scene.order == Order::Producer {
        alone("the producer before the stage", || {
            let mut producer = stage.open()?.producer().map_err(text)?;
            stage.send(&mut producer, 1)
        })?;
    }
    let image = scene.image()?;
    let end = outputs(image.end).len() as u64;
    let reader = Party::start("the reader of the outputs", |_| read_outputs(stage, end))?;
    alone("a new stage", || {
        let mut between = Roles::open(stage)?.stage()?;
        // A message whose outputs are all there is not mapped again.
        let done = (0..image.end).filter(|seq| outputs(seq + 1).len() as u64 <= there);
        let first = between.consumer().position();
        let known = done.filter(|seq| *seq >= first && count_of(*seq) > 0).count() as u64;
        let mut total = (0, 0, 0);
        while between.consumer().position() < image.end {
            let staged = map_all(stage, &mut between).map_err(text)?;
            total.0 += staged.mapped;
            total.1 += staged.already_there;
            total.2 += staged.published;
        }
        let due = (image.end - first - known, known, end - there);
        // A message without outputs before one that is there is known by that.
        if total.2 != due.2 || total.1 < due.1 || total.0 + total.1 != image.end - first {
            return Err(format!(
                "it mapped, skipped and published {total:?}, and due were {due:?}"
            ));
        }
        Ok(())
    })?;
    reader.finish()?;
    check_outputs(&scene.image()?, true)?;
    scene.settle()
}

/// The stage has lived on: a new producer sends and closes, a new consumer reads, and all outputs are there, each once.
fn stage_lives(scene: &mut Scene) -> Outcome {
    let stage = scene.stage;
    scene.check_accounts()?;
    let image = scene.image()?;
    let end = outputs(image.end + 2).len() as u64;
    let reader = Party::start("a new reader of the outputs", |_| read_outputs(stage, end))?;
    alone("a new producer before the stage", || {
        let mut producer = stage.open()?.producer().map_err(text)?;
        super::sources::resume(stage, &image, &mut producer)?;
        for _ in 0..2 {
            send_with_patience(stage, &mut producer)?;
        }
        producer.close().map_err(text)
    })?;
    reader.finish()?;
    scene.dismiss(Between)?;
    check_outputs(&scene.image()?, true)?;
    (0..image.end + 2).for_each(|seq| note(&stage.account("store").acked, seq));
    scene.settle()
}

/// The stage makes room in a while.
fn send_with_patience(stage: Stage, producer: &mut slipring::Producer) -> Outcome {
    let seq = producer.sequence();
    let (kind, bytes) = super::book::message(seq);
    stage.book.note_source(seq, None);
    let sent = stage.sending(seq + 1, || producer.send_timeout((kind, &bytes[..]), PATIENCE));
    sent.map(drop).map_err(text)
}
