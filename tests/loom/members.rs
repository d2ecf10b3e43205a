//! Members of a shared group as the handles in src/ drive them, and an account of what each of them was
//! handed, kept outside of the model.

#![allow(unsafe_code)]

use std::rc::Rc;
use std::sync::Mutex;

use loom::thread::{JoinHandle, spawn};

use super::explore::Run;
use super::heap::{Process, Segment, Shape};
use super::roles::{LIMIT, Producer, attempts_of, check, controlled, make};
use crate::layout::{GROUP_NAME_MAX, Identity, InFlight, Mode, Target, lease_byte};
use crate::ring::ack_set::AckSet;
use crate::ring::claim::Fault;
use crate::ring::claim::{Claim, NO_LIMIT};
use crate::ring::close;
use crate::ring::gate::gate;
use crate::ring::groups::{self, Position};
use crate::ring::publish::{NoRoom, Publisher};
use crate::ring::records;
use crate::ring::shared::{Claimed, SharedMember};
use crate::sync::tries;

struct Handed {
    group: u8,
    seq: u64,
    record: u32,
    attempts: u32,
    /// Else they are at least so many.
    exact: bool,
    to: *const Process,
}

#[derive(Default)]
struct Book {
    handed: Vec<Handed>,
    /// Group and sequence of deliveries that were taken back from the count.
    uncounted: Vec<(u8, u64)>,
    /// Group and sequence.
    acked: Vec<(u8, u64)>,
    /// Group and sequence of what a member acked out of order, published or not.
    done: Vec<(u8, u64)>,
    /// Leases that were lost or given back.
    left: Vec<u64>,
}

/// In the order of execution, as the ledger.
#[derive(Default)]
pub(super) struct Account(Mutex<Book>);

impl Account {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().expect("models run on one system thread")
    }

    pub(super) fn left(&self, byte: u64) {
        self.book().left.push(byte);
    }

    /// A message came out of `new.record`. It always comes out of the record it was claimed with; again
    /// only if it was not acked, and to another member only if that record was left. Each delivery counts
    /// one more, except those that were taken back. A claim counts as a delivery, even if its member died
    /// before it read. Returns how often it had been handed out before.
    fn handed(&self, new: Handed) -> usize {
        let mut book = self.book();
        let Handed { group, seq, record, attempts, exact, to } = new;
        assert!(!book.acked.contains(&(group, seq)), "message {seq} came again after its ack");
        let earlier: Vec<_> =
            book.handed.iter().filter(|h| (h.group, h.seq) == (group, seq)).collect();
        let times = earlier.len();
        assert!(
            earlier.iter().all(|h| h.record == record),
            "message {seq} was claimed with two records"
        );
        if attempts > 1 || times > 0 {
            let unread = earlier.first().is_none_or(|first| first.attempts > 1);
            let uncounted = book.uncounted.iter().filter(|u| **u == (group, seq)).count();
            let counted = times + usize::from(unread) - uncounted;
            let attempts = attempts as usize;
            let fits =
                if exact { attempts == counted + 1 } else { (2..=counted + 1).contains(&attempts) };
            assert!(fits, "deliveries of {seq} are miscounted: {attempts} after {counted}");
            let own = earlier.last().is_some_and(|last| last.to == to);
            let left = book.left.contains(&lease_byte::consumer(record as u8));
            assert!(own || left, "message {seq} was taken from a live member");
        }
        book.handed.push(new);
        times
    }

    /// The last delivery of `seq` does not count.
    fn uncounted(&self, group: u8, seq: u64) {
        self.book().uncounted.push((group, seq));
    }

    fn acked(&self, group: u8, seq: u64) {
        let mut book = self.book();
        assert!(
            book.handed.iter().any(|h| (h.group, h.seq) == (group, seq)),
            "message {seq} was acked unread"
        );
        assert!(!book.acked.contains(&(group, seq)), "message {seq} was acked twice");
        book.acked.push((group, seq));
    }

    /// A member acked `seq` out of order, and `start..to` of its claim are published by that.
    fn done(&self, group: u8, seq: u64, start: u64, to: u64) {
        let mut book = self.book();
        book.done.push((group, seq));
        for seq in start..to {
            assert!(book.done.contains(&(group, seq)), "message {seq} was acked by nobody");
        }
    }

    /// Whether `seq` was acked out of order, by whomever.
    fn is_done(&self, group: u8, seq: u64) -> bool {
        self.book().done.contains(&(group, seq))
    }

    /// `group` is a new one, whatever there was under its index.
    fn forget(&self, group: u8) {
        let mut book = self.book();
        book.done.retain(|done| done.0 != group);
        book.handed.retain(|handed| handed.group != group);
        book.uncounted.retain(|uncounted| uncounted.0 != group);
        book.acked.retain(|acked| acked.0 != group);
    }

    /// A member was told that the queue is closed at `end`.
    fn told(&self, group: u8, end: u64) {
        let book = self.book();
        let unacked = (0..end).find(|seq| !book.acked.contains(&(group, *seq)));
        assert_eq!(unacked, None, "told that all is acked");
    }

    /// At the end: `group` acked every message below `tail`.
    fn settle(&self, group: u8, tail: u64) {
        let book = self.book();
        let mut acked: Vec<_> =
            book.acked.iter().filter(|acked| acked.0 == group).map(|acked| acked.1).collect();
        acked.sort_unstable();
        assert!(acked.iter().copied().eq(0..tail), "acked {acked:?} of {tail}: lost");
    }
}

/// Makes a shared group at the oldest message; returns its index and where it starts. The control lease
/// is held.
pub(super) fn make_shared(process: &Process) -> (u8, u64) {
    make_shared_with(process, None)
}

/// The same, of a group that may have cells.
pub(super) fn make_shared_with(process: &Process, in_flight: Option<InFlight>) -> (u8, u64) {
    let index = groups::free_group(process.view()).unwrap();
    let identity = Identity {
        name: [b'g'; GROUP_NAME_MAX],
        name_len: 1,
        mode: Mode::Shared as u8,
        retention: 0,
        max_attempts: 0,
        in_flight,
    };
    identity.store(&Target::NONE, process.view().group(index));
    process.segment.account.forget(index);
    make(process, Position::Oldest)
}

/// A segment with as many shared groups as the shape allows, and `fill` messages.
pub(super) fn filled(shape: Shape, fill: u64) -> (Rc<Segment>, Writer) {
    let segment = Segment::new(shape);
    let process = Process::new(&segment);
    for _ in 0..shape.groups {
        assert_eq!(controlled(&process, || make_shared(&process)).unwrap().1, 0);
    }
    let writer = written(process, fill);
    (segment, writer)
}

/// A producer that has sent `fill` messages.
pub(super) fn written(process: Process, fill: u64) -> Writer {
    let mut producer = Producer::attach(&process, 1).unwrap();
    for _ in 0..fill {
        producer.send().unwrap();
    }
    let publisher = producer.publisher;
    Writer { process, publisher }
}

/// The producer of a model: attached before its thread starts.
pub(super) struct Writer {
    process: Process,
    publisher: Publisher,
}

impl Writer {
    pub(super) fn tail(&self) -> u64 {
        self.publisher.tail()
    }

    /// Tries to send once; whether there was room.
    pub(super) fn send(mut self, run: &Run) -> (Writer, bool) {
        let mut producer = Producer::of(&self.process, self.publisher, 1);
        let sent = producer.send();
        run.reach(if sent.is_ok() { "room" } else { "full" });
        assert!(!matches!(sent, Err(NoRoom::Exhausted)));
        self.publisher = producer.publisher;
        (self, sent.is_ok())
    }

    /// Sends `n` at once, for which there is room.
    pub(super) fn send_run(mut self, n: u64) -> Writer {
        let mut producer = Producer::of(&self.process, self.publisher, 1);
        producer.send_run(n).unwrap();
        self.publisher = producer.publisher;
        self
    }

    /// Lets its producer do something.
    pub(super) fn produce(mut self, work: impl FnOnce(&Process, &mut Producer)) -> Writer {
        let mut producer = Producer::of(&self.process, self.publisher, 1);
        work(&self.process, &mut producer);
        self.publisher = producer.publisher;
        self
    }

    /// Its producer gives the role up.
    pub(super) fn leave(self) {
        Producer::of(&self.process, self.publisher, 1).leave();
    }

    /// Lets its producer do something as the run's mortal `who`; it is gone at the end of it.
    pub(super) fn dies(self, run: &Run, who: usize, work: impl FnOnce(&mut Producer)) {
        run.mortal(who, &self.process, || {
            let mut producer = Producer::of(&self.process, self.publisher, 1);
            work(&mut producer);
            producer.leave();
        });
    }

    /// Sends `n` messages, for which there is room, and closes the queue.
    pub(super) fn close(self, n: u64) {
        let mut producer = Producer::of(&self.process, self.publisher, 1);
        for _ in 0..n {
            producer.send().unwrap();
        }
        producer.close();
    }

    /// A thread that tries to send `n` times.
    pub(super) fn sends(mut self, run: &Run, n: u32) -> JoinHandle<Writer> {
        let run = run.clone();
        spawn(move || {
            for _ in 0..n {
                (self, _) = self.send(&run);
            }
            self
        })
    }
}

/// A member of a shared group.
pub(super) struct Worker {
    process: Rc<Process>,
    pub(super) member: SharedMember,
    at_once: bool,
    run: Run,
}

impl Worker {
    /// As `Consumer::join`. The control lease is free.
    pub(super) fn join(run: &Run, process: &Rc<Process>, group: u8) -> Option<Worker> {
        let view = process.view();
        let record = controlled(process, || {
            records::take_record(view, &**process, group, 0, records::Purpose::Receive).unwrap()
        })??;
        let mut member = SharedMember::enter(view, group, record).unwrap();
        member.limit = LIMIT;
        Some(Worker { process: Rc::clone(process), member, at_once: false, run: run.clone() })
    }

    /// A new process joins.
    pub(super) fn new(run: &Run, segment: &Rc<Segment>, group: u8) -> Worker {
        Worker::join(run, &Rc::new(Process::new(segment)), group).unwrap()
    }

    /// Of a group whose messages may be delivered any number of times: what comes again comes in batches.
    pub(super) fn unlimited(mut self) -> Worker {
        self.member.limit = NO_LIMIT;
        self
    }

    /// From now on it claims as `Consumer::try_recv_batch` does: on the shortest way first.
    pub(super) fn at_once(mut self) -> Worker {
        self.at_once = true;
        self
    }

    pub(super) fn claim(&mut self, max: u64) -> Option<Claim> {
        let view = self.process.view();
        // As a receive that may wait.
        self.member.linger(view, max);
        if self.at_once
            && let Some(claim) = self.member.claim_fast(view, max)
        {
            return Some(claim);
        }
        match self.member.claim(view, max).unwrap() {
            Claimed::Range(claim) => Some(claim),
            Claimed::Empty => None,
            Claimed::Contended => {
                assert_eq!(tries(), 1, "a model has fewer claims than a claim has tries");
                self.run.reach("contended");
                None
            }
        }
    }

    fn holds(&self, record: u32) {
        let byte = lease_byte::consumer(record as u8);
        assert!(self.process.holds(byte), "a message of a record whose lease is not held");
    }

    /// Reads message `seq` of `claim` in place.
    pub(super) fn read(&self, claim: &Claim, seq: u64) {
        self.read_of(claim, claim.start, seq);
    }

    /// The same; the claim's first message was `first`.
    fn read_of(&self, claim: &Claim, first: u64, seq: u64) {
        self.holds(claim.record);
        let attempts = attempts_of(claim, first, seq);
        let times = self.process.segment.account.handed(Handed {
            group: self.member.group,
            seq,
            record: claim.record,
            attempts,
            exact: self.member.limit != NO_LIMIT,
            to: Rc::as_ptr(&self.process),
        });
        if attempts > 1 {
            self.run.reach(if times == 0 { "died unread" } else { "came again" });
        }
        if attempts > 2 {
            self.run.reach("third attempt");
        }
        if attempts as usize <= times {
            self.run.reach("came again uncounted");
        }
        if self.process.segment.account.is_done(self.member.group, seq) {
            self.run.reach("came again after an ack out of order");
        }
        let slot = self.process.view().slot(seq);
        let meta = slot.meta.load();
        // SAFETY: claimed and not acked (invariant borrow); loom checks it.
        let bytes = unsafe { slot.payload.bytes() };
        check(seq, meta, &bytes);
    }

    /// As `Batch::uncount`, when message `claim.start` has been read.
    pub(super) fn uncount(&mut self, claim: &Claim, attempts: u32) {
        self.holds(claim.record);
        self.member.uncount(self.process.view(), claim, attempts as u8);
        self.process.segment.account.uncounted(self.member.group, claim.start);
    }

    /// Acks `claim` up to, not including, `to`.
    pub(super) fn ack(&mut self, claim: &mut Claim, to: u64) {
        self.holds(claim.record);
        // Before the ack: after it, the record may belong to another member.
        let (from, group) = (claim.start, self.member.group);
        self.member.ack(self.process.view(), &*self.process, claim, to);
        for seq in from..to {
            self.process.segment.account.acked(group, seq);
        }
    }

    /// As `Batch::ack_one`; `done` began with the claim.
    pub(super) fn ack_one(&mut self, done: &mut AckSet, claim: &mut Claim, seq: u64) {
        assert!(!done.contains(seq), "message {seq} of this claim is acked already");
        let (start, group) = (claim.start, self.member.group);
        let to = done.add(seq, start, claim.end);
        self.process.segment.account.done(group, seq, start, to);
        if to > start {
            self.ack(claim, to);
        }
    }

    /// Claims up to `max` messages, reads and acks them one by one; whether there were any.
    pub(super) fn take(&mut self, max: u64) -> bool {
        let Some(mut claim) = self.claim(max) else { return false };
        let first = claim.start;
        if claim.again > first + 1 {
            self.run.reach("came again in a batch");
        }
        for seq in first..claim.end {
            self.read_of(&claim, first, seq);
            self.ack(&mut claim, seq + 1);
        }
        true
    }

    /// Where the queue is closed, if this member is told so; it has just found nothing.
    pub(super) fn over_at(&self) -> Option<u64> {
        let end = close::over_at(self.process.view(), self.member.group)?;
        self.process.segment.ledger.told(end);
        self.process.segment.account.told(self.member.group, end);
        Some(end)
    }

    pub(super) fn adopt(&mut self) -> bool {
        let found = match self.member.adopt(self.process.view(), &*self.process) {
            Ok(found) => found,
            Err(Fault::Corrupt(corrupt)) => panic!("{corrupt:?}"),
            Err(Fault::System(fault)) => panic!("{fault}"),
        };
        if found {
            self.run.reach("adopted");
        }
        found
    }

    /// Searches for an orphan and works it off. The member holds nothing of its own.
    pub(super) fn recover(&mut self) {
        self.recovers();
    }

    /// The same; whether there was one.
    pub(super) fn recovers(&mut self) -> bool {
        if !self.adopt() {
            return false;
        }
        loop {
            let mut claim = self.claim(1).unwrap();
            let (seq, last) = (claim.start, claim.last);
            self.read(&claim, seq);
            self.ack(&mut claim, seq + 1);
            if seq + 1 == last {
                return true;
            }
        }
    }

    pub(super) fn segment(&self) -> Rc<Segment> {
        Rc::clone(&self.process.segment)
    }

    /// As `Batch::release`, if the control lease is free; whether it was, and there was a record to go
    /// on with.
    pub(super) fn release(&mut self, claim: &Claim) -> bool {
        let Worker { process, member, .. } = self;
        let record = claim.record as u8;
        controlled(process, || member.release(process.view(), &**process, 0, record).unwrap())
            .unwrap_or(false)
    }

    /// As `Consumer::leave` of a group that stays. The control lease is free.
    pub(super) fn leave(self) -> Rc<Process> {
        let Worker { process, member, .. } = self;
        let leave = || {
            records::leave(process.view(), &*process, member.record, member.adopted);
        };
        controlled(&process, leave).unwrap();
        process
    }

    /// A thread in which the member lives `life`, and stays alive.
    pub(super) fn works(mut self, life: impl Fn(&mut Worker) + 'static) -> JoinHandle<Worker> {
        spawn(move || {
            life(&mut self);
            self
        })
    }

    /// Dies here and now.
    pub(super) fn die(self) {
        self.process.torn_down();
    }

    /// Lives `life` as the run's mortal `who`; is gone at the end of it, by death or by itself.
    pub(super) fn live_and_die(mut self, who: usize, life: impl Fn(&mut Worker)) {
        let (run, process) = (self.run.clone(), Rc::clone(&self.process));
        run.mortal(who, &process, || life(&mut self));
        process.torn_down();
    }

    /// A thread that does so.
    pub(super) fn dies(self, who: usize, life: impl Fn(&mut Worker) + 'static) -> JoinHandle<()> {
        spawn(move || self.live_and_die(who, life))
    }

    /// All the others are gone or hold nothing: takes what is left. Then each message below `tail` was
    /// claimed and acked once, and nothing holds the producer.
    pub(super) fn settle(mut self, tail: u64) {
        while self.take(2) || self.adopt() {}
        let Worker { process, member, .. } = self;
        assert_eq!(process.leases(), 1, "what was adopted is given back");
        process.segment.account.settle(member.group, tail);
        let tag = records::start_of(process.view(), member.record).group;
        assert_eq!(tag, member.group, "nobody can tell whose the record of a live member is");
        let gate = gate(process.view(), tail).seq;
        assert_eq!(gate, tail, "all is acked, and the producer is held");
    }

    /// As `settle`, of one of several groups: the others may hold the producer.
    pub(super) fn settle_group(&mut self, tail: u64) {
        while self.take(2) || self.adopt() {}
        self.process.segment.account.settle(self.member.group, tail);
    }
}
