//! Processes that live while the victim is stepped and killed, and go on after its death.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use slipring::{OpenOptions, RecvError, SendError, Start, WaitStrategy};

use super::between;
use super::book::{check, message, note};
use super::party::{Cue, Outcome, Party};
use super::stage::{PATIENCE, Stage, group, read_on, text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bystander {
    /// A member of `work` that holds two messages.
    Member,
    /// The consumer of `store`, with one message in hand.
    Reader,
    /// An observer that has read some messages.
    Observer,
    /// The consumer of `store`, asleep for want of messages. It takes what comes while the victim is stepped.
    Sleeper,
    /// The producer, asleep for want of room.
    Sender,
    /// A stage from `store` to the second queue, asleep for want of messages, or of room.
    Between,
}

impl Bystander {
    pub(crate) fn start(self, stage: Stage) -> Result<Party, String> {
        let mut party = match self {
            Bystander::Member => Party::start("the other member", |cue| member(stage, cue)),
            Bystander::Reader => Party::start("the reader of store", |cue| reader(stage, cue)),
            Bystander::Observer => Party::start("the observer", |cue| observer(stage, cue)),
            Bystander::Sleeper => Party::start("the sleeping reader", |cue| sleeper(stage, cue)),
            Bystander::Sender => Party::start("the waiting producer", |cue| sender(stage, cue)),
            Bystander::Between => Party::start("the stage", |cue| between::run(stage, cue)),
        }?;
        party.ready()?;
        if matches!(self, Bystander::Sleeper | Bystander::Sender | Bystander::Between) {
            asleep(&party)?;
        }
        Ok(party)
    }

    /// The group that it reads for, alone or with others.
    pub(crate) fn group(self) -> Option<&'static str> {
        match self {
            Bystander::Member => Some("work"),
            Bystander::Reader | Bystander::Sleeper | Bystander::Between => Some("store"),
            Bystander::Observer | Bystander::Sender => None,
        }
    }
}

/// Waits until `party` sleeps at a futex.
fn asleep(party: &Party) -> Outcome {
    let since = Instant::now();
    let file = format!("/proc/{}/syscall", party.pid());
    let futex = [libc::SYS_futex, libc::SYS_futex_waitv].map(|call| format!("{call} "));
    while since.elapsed() < PATIENCE {
        let call =
            std::fs::read_to_string(&file).map_err(|e| format!("cannot read {file}: {e}"))?;
        if futex.iter().any(|futex| call.starts_with(futex)) {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(100));
    }
    Err("a bystander does not fall asleep".to_owned())
}

fn member(stage: Stage, cue: &mut Cue) -> Outcome {
    hold(stage, cue, "work", 2)
}

fn reader(stage: Stage, cue: &mut Cue) -> Outcome {
    hold(stage, cue, "store", 1)
}

/// Holds messages, acks them when told, and receives what the book expects.
fn hold(stage: Stage, cue: &mut Cue, name: &str, count: usize) -> Outcome {
    let mut consumer = stage.open()?.consumer(group(name)).map_err(text)?;
    let batch = stage.take(&mut consumer, name, count)?;
    cue.ready()?;
    for message in &batch {
        // The payloads are unchanged, read in place.
        check(message.sequence(), message.kind(), &message)?;
    }
    let seqs: Vec<u64> = batch.iter().map(|message| message.sequence()).collect();
    stage.acking(name, &seqs, || batch.ack())?;
    stage.drain(&mut consumer, name, None).map(|_| ())
}

fn observer(stage: Stage, cue: &mut Cue) -> Outcome {
    let mut observer = OpenOptions::new().observe(stage.queue, Start::Oldest).map_err(text)?;
    let seen = observer.try_recv().map_err(text)?;
    check(seen.sequence(), seen.kind(), &seen)?;
    cue.ready()?;
    read_on(stage, &mut observer)?;
    cue.ready()?;
    read_on(stage, &mut observer)
}

fn sleeper(stage: Stage, cue: &mut Cue) -> Outcome {
    let mut consumer = stage.open()?.consumer("store").map_err(text)?;
    consumer.set_wait_strategy(WaitStrategy::default().spins(0).yields(Duration::ZERO));
    let mut next = consumer.position();
    cue.say_ready()?;
    let mut since = Instant::now();
    loop {
        match consumer.recv_timeout(PATIENCE) {
            Ok(message) => {
                check(next, message.kind(), &message)?;
                stage.check_source(next, message.source())?;
                if (message.sequence(), message.attempts()) != (next, 1) {
                    let (seq, attempts) = (message.sequence(), message.attempts());
                    return Err(format!("got {seq}, attempt {attempts}, and {next} was due"));
                }
                note(&stage.account("store").acking, next);
                message.ack().map_err(text)?;
                note(&stage.account("store").acked, next);
                next += 1;
                since = Instant::now();
            }
            Err(RecvError::Timeout { .. } | RecvError::Closed { .. })
                if since.elapsed() < PATIENCE => {}
            Err(fault) => return Err(format!("{next} was due: {fault}")),
        }
        // The number of the last message is known once the last producer has sent it.
        if next == stage.book.note.load(SeqCst) {
            return Ok(());
        }
    }
}

fn sender(stage: Stage, cue: &mut Cue) -> Outcome {
    let mut producer = stage.open()?.producer().map_err(text)?;
    producer.set_wait_strategy(WaitStrategy::default().spins(0).yields(Duration::ZERO));
    stage.fill(&mut producer, u64::MAX)?;
    cue.say_ready()?;
    let (kind, bytes) = message(producer.sequence());
    let to = producer.sequence() + 1;
    let sent = stage.sending(to, || producer.send_timeout((kind, &bytes[..]), PATIENCE));
    match sent {
        Ok(_) => {}
        Err(SendError::Timeout(full)) => return Err(format!("there is room, it waits: {full}")),
        Err(fault) => return Err(text(fault)),
    }
    cue.ready()?;
    let room = stage.book.note.load(SeqCst);
    let sent = stage.fill(&mut producer, room + 1)?;
    if sent != room { Err(format!("there is room for {room}, it sent {sent}")) } else { Ok(()) }
}
