//! What must hold after a kill: the survivors can go on, and each message is accounted for.

use std::fs::File;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use slipring::{AddGroupError, GroupError, Queue, RecvError, Start};

use super::book::{GROUPS, note, noted};
use super::bystanders::Bystander;
use super::image::{GroupImage, Image, Owed};
use super::party::{Outcome, Party, alone};
use super::stage::{CAPACITY, PATIENCE, Stage, text};
use super::{shm, sources};

/// Which survivors go on first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Consumers,
    Producer,
}

impl Order {
    pub(crate) const ALL: [Order; 2] = [Order::Consumers, Order::Producer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::Consumers => "consumers",
            Order::Producer => "producer",
        }
    }
}

/// The queue and the surviving processes after a kill.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) order: Order,
    pub(crate) bystanders: Vec<(Bystander, Party)>,
}

impl Scene {
    fn file(&self) -> Result<File, String> {
        shm::file_of(self.stage.queue).ok_or_else(|| "the queue has lost its name".to_owned())
    }

    pub(crate) fn image(&self) -> Result<Image, String> {
        Image::of(&self.file()?)
    }

    /// Whether the operation had returned.
    pub(crate) fn is_done(&self) -> bool {
        self.stage.book.done.load(SeqCst) == 1
    }

    /// A group's counts of messages acked and of messages delivered again.
    pub(crate) fn counted(&self, name: &str) -> Result<[u64; 2], String> {
        let image = self.image()?;
        let groups = image.groups();
        let group = groups.iter().find(|group| group.name == name).ok_or("no group")?;
        Ok(image.counted(group))
    }

    fn has(&self, kind: Bystander) -> bool {
        self.bystanders.iter().any(|(bystander, _)| *bystander == kind)
    }

    fn party(&mut self, kind: Bystander) -> Option<&mut Party> {
        self.bystanders.iter_mut().find(|(bystander, _)| *bystander == kind).map(|(_, party)| party)
    }

    pub(crate) fn dismiss(&mut self, kind: Bystander) -> Outcome {
        let at = self.bystanders.iter().position(|(bystander, _)| *bystander == kind);
        at.map_or(Ok(()), |at| self.bystanders.remove(at).1.finish())
    }

    /// Lets survivors and newcomers work the queue off, while it still exists: each message must be accounted for, each
    /// role must be free, and no entry of a table may be lost.
    pub(crate) fn settle(&mut self) -> Outcome {
        self.check_accounts()?;
        self.observe(true)?;
        match self.order {
            Order::Consumers => {
                self.consume()?;
                self.produce(true)?;
                self.consume()?;
            }
            Order::Producer => {
                self.produce(false)?;
                self.consume()?;
                self.produce(true)?;
                self.consume()?;
            }
        }
        self.dismiss(Bystander::Sleeper)?;
        self.observe(false)?;
        if let Some((bystander, _)) = self.bystanders.first() {
            return Err(format!("{bystander:?} has not come to its end"));
        }
        self.check_accounts()?;
        let image = self.image()?;
        for group in image.groups() {
            if let Some(owed) = image.owed(&group).first() {
                return Err(format!("all is acked, and {} is owed {owed:?}", group.name));
            }
        }
        if image.room(|_| true) != CAPACITY {
            return Err(format!("all is acked, and there is room for {}", image.room(|_| true)));
        }
        self.check_tables()
    }

    /// The segment must agree with the book.
    pub(crate) fn check_accounts(&self) -> Outcome {
        let book = self.stage.book;
        let sent = book.sent.load(SeqCst);
        let image = self.image()?;
        let sending = book.sending.load(SeqCst);
        if !(sent..=sending).contains(&image.end) {
            let end = image.end;
            return Err(format!("{end} messages are published; {sent} were sent, {sending} begun"));
        }
        sources::check(self.stage, &image)?;
        // A reader that runs may have acked more since the image was read.
        let readers = [Bystander::Sleeper, Bystander::Between];
        let runs = readers.into_iter().any(|reader| self.has(reader));
        let running = |group: &GroupImage| group.name == "store" && runs;
        for group in image.groups().iter().filter(|group| !running(group)) {
            let owed = image.owed(group);
            for Owed { seq, .. } in &owed {
                image.check(*seq).map_err(|fault| format!("{} lost: {fault}", group.name))?;
            }
            if !GROUPS[..2].contains(&group.name.as_str()) {
                continue;
            }
            let account = book.of(&group.name);
            for seq in 0..image.end {
                let owed: Vec<&Owed> = owed.iter().filter(|owed| owed.seq == seq).collect();
                let name = &group.name;
                match &owed[..] {
                    [] if !noted(&account.acking, seq) => {
                        return Err(format!("{seq} is lost: {name} never acked it"));
                    }
                    [_] if noted(&account.acked, seq) => {
                        return Err(format!("{name} has acked {seq}, and it comes again"));
                    }
                    [owed]
                        if noted(&account.received, seq)
                            && !noted(&account.uncounting, seq)
                            && owed.attempts == 1 =>
                    {
                        return Err(format!("{name} was given {seq}, and it comes again unmarked"));
                    }
                    [] | [_] => {}
                    twice => return Err(format!("{name} gets {seq} twice: {twice:?}")),
                }
            }
        }
        Ok(())
    }

    /// Lets an observer that was there before read on, and a new one read everything.
    fn observe(&mut self, first: bool) -> Outcome {
        if let Some(party) = self.party(Bystander::Observer) {
            party.go()?;
            if first { party.ready()? } else { self.dismiss(Bystander::Observer)? }
        }
        let (stage, end) = (self.stage, self.image()?.end);
        if self.has(Bystander::Sender) {
            // The end moves.
            return Ok(());
        }
        alone("a new observer", || stage.observe(Start::Oldest, end))
    }

    /// Lets each group receive what it is owed, and nothing else.
    fn consume(&mut self) -> Outcome {
        let (stage, file, image) = (self.stage, self.file()?, self.image()?);
        // The producer that has waited may send at any time from now on.
        let flows = self.has(Bystander::Sender).then_some(image.end);
        for group in image.groups() {
            let sleeps = group.name == "store" && self.has(Bystander::Sleeper);
            if sleeps {
                self.await_reader(&group.name)?;
                continue;
            }
            let live: Vec<u8> = image
                .records_of(&group)
                .into_iter()
                .filter(|record| shm::is_held(&file, (*record).into()))
                .collect();
            let other = self.bystanders.iter().find(|(it, _)| it.group() == Some(&group.name));
            let other = other.map(|(bystander, _)| *bystander);
            if live.is_empty() == other.is_some() {
                let name = &group.name;
                return Err(format!("of {name}, {live:?} are live, and {other:?} should be"));
            }
            let holds = |owed: &Owed| match owed.record {
                Some(record) => live.contains(&record),
                None => other == Some(Bystander::Reader) && owed.attempts > 1,
            };
            let owed = image.owed(&group);
            let account = stage.account(&group.name);
            let worn_out = |owed: &Owed| group.limit.is_some_and(|limit| owed.attempts > limit);
            for owed in owed.iter().filter(|owed| worn_out(owed)) {
                // The next consumer makes it a dead letter.
                note(&account.rejecting, owed.seq);
                note(&account.acking, owed.seq);
            }
            let due = owed.iter().filter(|owed| !holds(owed) && !worn_out(owed));
            let due: Vec<(u64, u8)> = due.map(|owed| (owed.seq, owed.attempts)).collect();
            let alone_there = other == Some(Bystander::Reader) || self.order == Order::Producer;
            if let Some(other) = other.filter(|_| alone_there) {
                // The bystander receives it.
                account.expect(&due);
                self.go_to_end(other)?;
                account.expect(&[]);
            } else {
                account.expect(&due);
            }
            let closed = image.closed_at.is_some() && (other.is_none() || alone_there);
            let name = group.name.clone();
            alone("a new consumer", || newcomer(stage, &name, flows, closed))?;
            if let Some(other) = other.filter(|_| !alone_there) {
                account.expect(&[]);
                self.go_to_end(other)?;
            }
        }
        Ok(())
    }

    fn go_to_end(&mut self, bystander: Bystander) -> Outcome {
        if let Some(party) = self.party(bystander) {
            party.go()?;
        }
        self.dismiss(bystander)
    }

    /// Waits until the reader that runs has acked everything.
    fn await_reader(&self, name: &str) -> Outcome {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let image = self.image()?;
            let groups = image.groups();
            let group = groups.iter().find(|group| group.name == name);
            if group.is_none_or(|group| image.owed(group).is_empty()) {
                return Ok(());
            }
            thread::sleep(Duration::from_micros(100));
        }
        Err(format!("{name}'s reader is blocked"))
    }

    /// Lets a producer send as many messages as fit.
    fn produce(&mut self, last: bool) -> Outcome {
        let stage = self.stage;
        if let Some(party) = self.party(Bystander::Sender) {
            party.ready()?;
            // What it has sent meanwhile takes up room.
            let room = self.image()?.room(|_| true);
            stage.book.note.store(room, SeqCst);
            self.go_to_end(Bystander::Sender)?;
        } else {
            let (file, image) = (self.file()?, self.image()?);
            let live = |group: &GroupImage| {
                image.records_of(group).iter().any(|record| shm::is_held(&file, (*record).into()))
            };
            // A producer that finds the queue full frees groups that go with their last member.
            let room = image.room(|group| !group.goes || live(group));
            let pending = image.groups().iter().any(|group| image.is_pending(group));
            let groups = !image.groups().is_empty();
            let runs = self.has(Bystander::Sleeper);
            let end = image.end;
            if last && runs {
                stage.book.note.store(end + room, SeqCst);
            }
            alone("a new producer", || {
                let mut producer = stage.open()?.producer().map_err(text)?;
                if producer.sequence() != end {
                    return Err(format!("it goes on at {}, not {end}", producer.sequence()));
                }
                sources::resume(stage, &image, &mut producer)?;
                let most = if groups { room + u64::from(!runs) } else { room };
                let sent = stage.fill_from(&mut producer, most, image.has_sources())?;
                // A PENDING of a dead member holds the gate until another member judges its record.
                if sent == room || pending && sent < room {
                    return Ok(());
                }
                Err(format!("there is room for {room}, and it sent {sent}"))
            })?;
        }
        Ok(())
    }

    /// Checks that each entry of the tables can be used: groups, then consumer records.
    fn check_tables(&self) -> Outcome {
        let (stage, image) = (self.stage, self.image()?);
        let (consumers, groups) = (image.max_consumers, image.max_groups);
        let there = image.groups().len();
        alone("whoever fills the tables", || {
            let queue = stage.open()?;
            for made in there.. {
                match queue.add_group(format!("more-{made}").as_str()) {
                    Ok(()) => {}
                    Err(AddGroupError::Group(GroupError::TooMany { .. })) if made == groups => {
                        break;
                    }
                    Err(fault) => return Err(format!("group {made} of {groups}: {fault}")),
                }
            }
            for made in there..groups {
                queue.force_remove_group(&format!("more-{made}")).map_err(text)?;
            }
            if there == groups {
                return Ok(());
            }
            let all: Result<Vec<_>, _> = (0..consumers)
                .map(|_| queue.consumer(slipring::Group::named("more").shared()))
                .collect();
            all.map_err(text)?;
            queue.force_remove_group("more").map_err(text)
        })
    }
}

/// Joins a group and receives what the book expects, and nothing else.
fn newcomer(stage: Stage, name: &str, flows: Option<u64>, closed: bool) -> Outcome {
    let mut consumer = stage.open()?.consumer(group_of(stage, name)?).map_err(text)?;
    let end = stage.drain(&mut consumer, name, flows)?;
    if closed && !matches!(end, RecvError::Closed { .. }) {
        return Err(format!("the queue is closed, and {name} hears: {end}"));
    }
    if !closed && !matches!(end, RecvError::Timeout { .. }) {
        return Err(format!("the queue is open, and {name} hears: {end}"));
    }
    consumer.leave().map_err(text)
}

/// The group in the mode that it was made with.
fn group_of(stage: Stage, name: &str) -> Result<slipring::Group, String> {
    let queue: Queue = stage.open()?;
    let look = queue.snapshot().map_err(text)?;
    let shared = look
        .groups
        .iter()
        .any(|group| group.name == name && group.mode == Some(slipring::Mode::Shared));
    let named = slipring::Group::named(name);
    Ok(if shared { named.shared() } else { named })
}

/// Removes all queues. No file may be left.
pub(crate) fn remove_all() -> Outcome {
    alone("whoever removes the queues", || {
        for queue in slipring::list().map_err(text)? {
            slipring::force_remove(&queue).map_err(text)?;
        }
        if shm::names()?.is_empty() {
            return Ok(());
        }
        // Creating a queue removes the files that a dead creator has left.
        Queue::builder("sweep").capacity(1).create().map_err(text)?;
        slipring::force_remove("sweep").map_err(text)
    })?;
    match &shm::names()?[..] {
        [] => Ok(()),
        left => Err(format!("left behind: {left:?}")),
    }
}
