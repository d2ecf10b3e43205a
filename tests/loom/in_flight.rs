//! Members of a shared group with cells, and an account of what each of them was handed.

use std::cell::RefCell;
use std::rc::Rc;

use loom::sync::atomic::AtomicU64;
use loom::thread::{JoinHandle, spawn};

use super::explore::Run;
use super::heap::{Process, Segment, Shape};
use super::members::{Writer, make_shared_with, written};
use super::roles::{check, content, controlled};
use crate::layout::{GroupState, InFlight, Meta};
use crate::packed::{AT_ONCE, CellState, CellWord, DELAY_ENDED, Tick, nanoseconds_of, ticks};
use crate::ring::cells::{Eviction, InHand, Letter, SHORTEST, Table, Token};
use crate::ring::claim::Fault;
use crate::ring::close;
use crate::ring::extents;
use crate::ring::gate::gate;
use crate::ring::groups::{self, RETENTION_RELEASE};
use crate::ring::in_flight::{CellMember, Received};
use crate::ring::observe;
use crate::ring::records::{self, Purpose};
use crate::sync::{AtomicU64 as Word, Ordering, PAYLOAD, order};

/// When all messages of a model are received.
pub(super) const BEGIN: Tick = 0;
/// When they are due.
pub(super) const DUE: Tick = ticks(SHORTEST);
/// After that.
pub(super) const LATER: Tick = 2 * DUE;
/// When whatever is in a cell is due.
pub(super) const END: Tick = 10 * DUE;

/// What the notes add to the sequence of a dead letter that was sent again.
const AGAIN: u64 = 1000;

/// The number of a message in the notes.
fn number(message: &InHand) -> u64 {
    message.seq + if message.requeued { AGAIN } else { 0 }
}

/// The message has its content.
fn check_content(message: &InHand) {
    let InHand { seq, kind, payload, .. } = message;
    let bytes = payload.as_slice().try_into().expect("a payload of the models");
    check(*seq, Meta { len: PAYLOAD, kind: *kind }, bytes);
}

/// What happened to messages, in the order of execution.
#[derive(Default)]
pub(super) struct Notes {
    /// Sequence and attempts.
    pub(super) delivered: Vec<(u64, u8)>,
    pub(super) acked: Vec<u64>,
    pub(super) given_back: Vec<u64>,
    pub(super) extended: Vec<u64>,
    pub(super) evicted: Vec<u64>,
    pub(super) uncounted: Vec<u64>,
    /// That a dead letter was sent for.
    pub(super) letters: Vec<u64>,
}

/// What all members of a model share with its assertions.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) segment: Rc<Segment>,
    group: u8,
    pub(super) notes: Rc<RefCell<Notes>>,
    /// Bits of the messages that are acked, or about to be: a word of loom's, so that its search asks for it in every order.
    pub(super) done: Option<Rc<AtomicU64>>,
    pub(super) run: Run,
}

/// A segment with one group, which has all cells, and `fill` messages.
pub(super) fn flight(run: &Run, shape: Shape, fill: u64) -> (Flight, Writer) {
    let ([flight], writer) = flights(run, shape, fill);
    (flight, writer)
}

/// A segment with groups that have equally many cells, and `fill` messages.
pub(super) fn flights<const N: usize>(run: &Run, shape: Shape, fill: u64) -> ([Flight; N], Writer) {
    let segment = Segment::new(shape);
    let process = Process::new(&segment);
    let flights = std::array::from_fn(|_| {
        Flight::make(run, &process, shape.cells / N).expect("the control lease is free").0
    });
    (flights, written(process, fill))
}

impl Flight {
    /// How often the letter of message `seq` was acked that was sent again.
    pub(super) fn acked_again(&self, seq: u64) -> usize {
        self.notes.borrow().acked.iter().filter(|acked| **acked == AGAIN + seq).count()
    }

    /// Makes a group with so many cells, as `group::make` does, if the control lease is free; also returns where it begins.
    pub(super) fn make(run: &Run, process: &Process, cells: usize) -> Option<(Flight, u64)> {
        let count = cells as u32;
        let (group, first) = controlled(process, || {
            let extent = extents::find(process.view(), count).expect("cells that no group has");
            extents::empty(process.view(), extent);
            let (ack_timeout, first_cell) = (SHORTEST, extent.first());
            let in_flight = InFlight { ack_timeout, first_cell, cells: count };
            make_shared_with(process, Some(in_flight))
        })?;
        let (segment, run) = (Rc::clone(&process.segment), run.clone());
        Some((Flight { segment, group, notes: Rc::default(), done: None, run }, first))
    }

    /// Asks whether the group is over, or is to be asked so.
    pub(super) fn asked(mut self) -> Flight {
        self.done = Some(Rc::new(AtomicU64::new(0)));
        self
    }

    /// A new process joins.
    pub(super) fn join(&self) -> Hand {
        self.join_as(&Rc::new(Process::new(&self.segment))).unwrap()
    }

    /// The group goes with its last member from now on.
    pub(super) fn goes_with_its_last_member(&self) {
        let traits = &self.segment.view().group(self.group).identity.traits;
        // Relaxed, both: before all threads.
        traits.store(traits.load(Ordering::Relaxed) | RETENTION_RELEASE << 8, Ordering::Relaxed);
    }

    pub(super) fn is_there(&self) -> bool {
        groups::state(self.segment.view(), self.group) != GroupState::Free
    }

    /// A new process joins that only puts letters into cells.
    pub(super) fn join_to_put(&self) -> Hand {
        self.join_for(&Rc::new(Process::new(&self.segment)), Purpose::PutLetters).unwrap()
    }

    /// The process joins, if the control lease is free.
    pub(super) fn join_as(&self, process: &Rc<Process>) -> Option<Hand> {
        self.join_for(process, Purpose::Receive)
    }

    fn join_for(&self, process: &Rc<Process>, purpose: Purpose) -> Option<Hand> {
        let view = process.view();
        let member = controlled(process, || {
            let table = Table::of(view, self.group).unwrap().unwrap();
            let taken = records::take_record(view, &**process, self.group, 0, purpose);
            Some(CellMember::new(view, table, taken.unwrap()?))
        })??;
        Some(Hand {
            process: Rc::clone(process),
            member,
            notes: Rc::clone(&self.notes),
            done: self.done.clone(),
            run: self.run.clone(),
        })
    }

    pub(super) fn join_all<const N: usize>(&self) -> [Hand; N] {
        std::array::from_fn(|_| self.join())
    }

    /// Whether the group has acked all that is published: then each message is acked.
    pub(super) fn is_over(&self, tail: u64) -> bool {
        let over = close::is_drained(self.segment.view(), self.group);
        if over {
            self.all_done(tail);
        }
        over
    }

    /// Whether the members are told that the queue is closed and all is acked: then it is.
    pub(super) fn is_told(&self) -> bool {
        let end = close::over_at(self.segment.view(), self.group);
        if let Some(end) = end {
            self.all_done(end);
        }
        end.is_some()
    }

    fn all_done(&self, tail: u64) {
        if let Some(done) = &self.done {
            // Relaxed, but an exchange, which sees the last there is.
            let done = done.fetch_or(0, Ordering::Relaxed);
            assert_eq!(done, (1 << tail) - 1, "over, and a message is not acked");
        }
    }
}

/// Receives two messages, and acks the first.
pub(super) fn two_and_ack(hand: &mut Hand) {
    if let Some(message) = hand.receive(2).first() {
        hand.ack(message);
    }
}

/// A member.
pub(super) struct Hand {
    pub(super) process: Rc<Process>,
    pub(super) member: CellMember,
    notes: Rc<RefCell<Notes>>,
    done: Option<Rc<AtomicU64>>,
    pub(super) run: Run,
}

impl Hand {
    /// Another thread of this member, with which it acks.
    pub(super) fn thread(&self) -> Owner {
        Owner {
            process: Rc::clone(&self.process),
            table: self.member.table,
            notes: Rc::clone(&self.notes),
            done: self.done.clone(),
            run: self.run.clone(),
        }
    }

    fn delivered(&self, message: &InHand) {
        let InHand { attempts, .. } = message;
        check_content(message);
        let mut notes = self.notes.borrow_mut();
        if *attempts > 1 {
            self.run.reach("came again");
        }
        notes.delivered.push((number(message), *attempts));
    }

    /// The sequence of the message in cell `i`, for one who only looks.
    pub(super) fn look_at(&self, i: u32) -> Option<u64> {
        let found = observe::look_at_cell(self.process.view(), &self.member.table, i)?;
        check_content(&found);
        Some(found.seq)
    }

    /// Receives up to `max` messages of the ring.
    pub(super) fn receive(&mut self, max: u64) -> Vec<InHand> {
        let mut messages = Vec::new();
        let copy = |message: &InHand<&[u8]>| messages.push(message.with(message.payload.to_vec()));
        let received = self.member.receive(self.process.view(), max, BEGIN, copy).unwrap();
        match received {
            Received::Some => assert!(!messages.is_empty()),
            Received::Empty | Received::Contended => assert!(messages.is_empty()),
            Received::NoCell => self.run.reach("no cell"),
        }
        messages.iter().for_each(|message| self.delivered(message));
        messages
    }

    /// Receives one message that is there.
    pub(super) fn one(&mut self) -> InHand {
        self.receive(1).pop().expect("a message")
    }

    /// Receives up to `max` messages and acks them; how many.
    pub(super) fn eat(&mut self, max: u64) -> usize {
        let messages = self.receive(max);
        for message in &messages {
            self.ack(message);
        }
        messages.len()
    }

    /// Sends the letter of message `seq` again, into a cell if one is empty.
    pub(super) fn put(&mut self, seq: u64) -> bool {
        let payload = &content(seq, 1);
        let view = self.process.view();
        let Some(reserved) = self.member.reserve_one(view) else { return false };
        self.member.put(view, reserved, Letter { seq, kind: 1, payload }, BEGIN);
        true
    }

    /// The same where the group goes with its last member: as `Worker::put_letter`. `None`: the control lease is taken, or no
    /// cell is empty.
    pub(super) fn put_if_kept(&mut self, seq: u64, check: impl FnOnce(bool)) -> Option<bool> {
        let view = *self.process.view();
        let reserved = self.member.reserve_one(&view)?;
        let put = controlled(&self.process, || {
            let letter = Letter { seq, kind: 1, payload: &content(seq, 1) };
            let put = self.member.put_if_kept(&view, &*self.process, reserved, letter, BEGIN);
            let put = put.unwrap();
            check(!put);
            put
        });
        if put.is_none() {
            self.member.unreserve(&view, reserved);
        }
        put
    }

    /// No message is due before the hint, or before `now` and before the hint.
    pub(super) fn assert_hint(&self, now: Tick) {
        let next = self.member.table.look_due(self.process.view());
        for word in self.words().filter(|word| word.state != CellState::Empty) {
            assert!(next <= word.due.max(now), "the hint says {next}: {word:?}");
        }
    }

    /// Changes the group's ack timeout, as an operator who has the control lease.
    pub(super) fn set_timeout(&self, ack_timeout: Tick) {
        let group = self.process.view().group(self.member.table.group);
        InFlight::set_ack_timeout(group, nanoseconds_of(ack_timeout.saturating_sub(ticks(0))));
    }

    /// Takes the message of this sequence, which is in flight, in whosever hands.
    pub(super) fn take_sequence(&mut self, seq: u64, now: Tick) -> Option<InHand> {
        let message = self.member.take_sequence(self.process.view(), seq, now)?;
        assert_eq!(message.seq, seq, "another message was asked for");
        self.delivered(&message);
        Some(message)
    }

    /// Takes a message that is due.
    pub(super) fn take(&mut self, now: Tick) -> Option<InHand> {
        let (mut next, mut taken) = (Tick::MAX, Vec::new());
        self.member.take_any(self.process.view(), now, &mut next, 1, &mut taken);
        let message = taken.pop()?;
        self.delivered(&message);
        Some(message)
    }

    /// The same, and acks it; whether there was one.
    pub(super) fn take_and_ack(&mut self, now: Tick) -> bool {
        let message = self.take(now);
        message
            .inspect(|message| {
                self.ack(message);
            })
            .is_some()
    }

    /// Takes a message that is due and has had its last attempt, and makes a dead letter of it.
    pub(super) fn exhaust(&mut self, now: Tick) {
        if let Some(message) = self.take(now) {
            self.thread().dead_letter(&message, now + DUE);
        }
    }

    /// Looks for up to `max` messages if the hint says that something is due.
    pub(super) fn look_for(&mut self, now: Tick, max: usize) -> Vec<InHand> {
        let mut taken = Vec::new();
        self.member.take_due(self.process.view(), now, max, &mut taken);
        assert!(taken.len() <= max, "{} messages, and {max} were asked for", taken.len());
        taken.iter().for_each(|message| self.delivered(message));
        taken
    }

    /// The same for one message, which it acks.
    pub(super) fn look(&mut self, now: Tick) -> bool {
        let Some(message) = self.look_for(now, 1).pop() else { return false };
        self.ack(&message);
        true
    }

    pub(super) fn ack(&self, message: &InHand) -> bool {
        self.thread().ack(number(message), message.token)
    }

    pub(super) fn give_back(&self, message: &InHand, due: Tick) -> bool {
        self.thread().give_back(number(message), message.token, due, BEGIN)
    }

    /// Searches for the dead, and settles them.
    pub(super) fn settle(&mut self) -> bool {
        match self.member.settle_dead(self.process.view(), &*self.process, u32::MAX) {
            Ok(settled) => {
                if settled {
                    self.run.reach("settled");
                }
                settled
            }
            Err(Fault::Corrupt(corrupt)) => panic!("{corrupt:?}"),
            Err(Fault::System(fault)) => panic!("{fault}"),
        }
    }

    /// Leaves the group, as a worker that is dropped. It has given back all that it had. Without the control lease, it is gone
    /// as after a death. Returns whether the group went with it.
    pub(super) fn leave(&mut self, purpose: Purpose) -> bool {
        let (view, leases) = (*self.process.view(), &*self.process);
        let (group, record) = (self.member.table.group, self.member.member.record);
        let went = controlled(leases, || {
            self.member.renounce(&view);
            groups::leave_group(&view, leases, group, (record, None), purpose).unwrap();
            groups::state(&view, group) == GroupState::Free
        });
        if went.is_none() {
            leases.torn_down();
        }
        went == Some(true)
    }

    /// Dies here and now.
    pub(super) fn die(self) {
        self.process.torn_down();
    }

    /// A thread in which the member lives `life`, and stays alive.
    pub(super) fn works(mut self, life: impl Fn(&mut Hand) + 'static) -> JoinHandle<Hand> {
        spawn(move || {
            life(&mut self);
            self
        })
    }

    /// Lives `life` as the run's mortal `who`; is gone at the end of it, by death or by itself.
    pub(super) fn live_and_die(mut self, who: usize, life: impl Fn(&mut Hand)) {
        let (run, process) = (self.run.clone(), Rc::clone(&self.process));
        run.mortal(who, &process, || life(&mut self));
        process.torn_down();
    }

    /// A thread that does so.
    pub(super) fn dies(self, who: usize, life: impl Fn(&mut Hand) + 'static) -> JoinHandle<()> {
        spawn(move || self.live_and_die(who, life))
    }

    /// The words of its group's cells.
    pub(super) fn words(&self) -> impl Iterator<Item = CellWord> {
        let (view, table) = (self.process.view(), self.member.table);
        (0..table.len())
            .map(move |i| CellWord::unpack(table.cell(view, i).word.load(Ordering::Acquire)))
    }

    /// All the others are gone, or have nothing: settles and works off what is left at `now`.
    pub(super) fn work_off(&mut self, now: Tick) {
        while self.settle() {}
        while self.eat(2) > 0 || self.take_and_ack(now) {}
    }

    /// The same. Then each message was acked once, each of its deliveries had a number of its own, no cell is in use, and
    /// nothing holds the producer.
    pub(super) fn finish(self, tail: u64, now: Tick) {
        self.finish_from(0, tail, now);
    }

    /// The same for a group that begins at `first`.
    pub(super) fn finish_from(mut self, first: u64, tail: u64, now: Tick) {
        self.work_off(now);
        for word in self.words() {
            assert_eq!(word.state, CellState::Empty, "a cell that nobody frees: {word:?}");
        }
        let view = self.process.view();
        let notes = self.notes.borrow();
        let mut acked: Vec<_> = notes.acked.iter().copied().filter(|seq| *seq < AGAIN).collect();
        acked.sort_unstable();
        assert!(acked.iter().copied().eq(first..tail), "acked {acked:?} of {first} to {tail}");
        let mut delivered = notes.delivered.clone();
        delivered.sort_unstable();
        let count = delivered.len();
        delivered.dedup();
        assert_eq!(delivered.len(), count, "two deliveries have the same number: {delivered:?}");
        assert_eq!(gate(view, tail).seq, tail, "all is acked, and the producer is held");
        let group = self.member.table.group;
        assert!(close::is_drained(view, group), "all is acked, and the group is not over");
    }
}

/// A thread that has messages of a member.
pub(super) struct Owner {
    process: Rc<Process>,
    table: Table,
    notes: Rc<RefCell<Notes>>,
    done: Option<Rc<AtomicU64>>,
    run: Run,
}

impl Owner {
    fn note(&self, seq: u64, done: bool, list: impl FnOnce(&mut Notes) -> &mut Vec<u64>) -> bool {
        let notes = &mut *self.notes.borrow_mut();
        if done {
            list(notes).push(seq);
        } else {
            self.run.reach("evicted");
            notes.evicted.push(seq);
        }
        done
    }

    pub(super) fn ack(&self, seq: u64, token: Token) -> bool {
        if let Some(done) = &self.done {
            // Relaxed; before the ack, so that whoever finds the cell empty finds this.
            done.fetch_or(1 << seq, Ordering::Relaxed);
        }
        let acked = self.table.ack(self.process.view(), token).is_ok();
        self.note(seq, acked, |notes| &mut notes.acked)
    }

    /// As `Job::retry_after`.
    pub(super) fn give_back(&self, seq: u64, token: Token, due: Tick, now: Tick) -> bool {
        let attempts = token.attempts();
        let given = self.table.give_back(self.process.view(), token, due, attempts, now).is_ok();
        self.note(seq, given, |notes| &mut notes.given_back)
    }

    /// As `Job::uncount`: returns the new token if that was in time. The delivery then has no number any more.
    pub(super) fn uncount(&self, message: &InHand) -> Option<Token> {
        let (seq, &InHand { token, attempts, .. }) = (number(message), message);
        let counted = self.table.set_attempts(self.process.view(), token, attempts - 1).ok();
        if counted.is_some() {
            self.notes.borrow_mut().delivered.retain(|delivered| *delivered != (seq, attempts));
        }
        self.note(seq, counted.is_some(), |notes| &mut notes.uncounted);
        counted
    }

    /// As `Job::dead_letter`: keeps the message until `due`, makes a letter of it, and then acks it.
    pub(super) fn dead_letter(&self, message: &InHand, due: Tick) -> bool {
        let Some(token) = self.extend(message, due) else { return false };
        let (seq, letters) = (number(message), Word::new(0));
        let send = || {
            check_content(message);
            // In another queue.
            letters.store(1, Ordering::Release);
            self.notes.borrow_mut().letters.push(seq);
            Ok::<(), ()>(())
        };
        let acked = self.table.ack_after(self.process.view(), token, send).unwrap().is_ok();
        self.note(seq, acked, |notes| &mut notes.acked)
    }

    /// Extends, and returns the new token if that was in time.
    pub(super) fn extend(&self, message: &InHand, due: Tick) -> Option<Token> {
        let extended = self.table.extend(self.process.view(), message.token, due, BEGIN).ok();
        self.note(number(message), extended.is_some(), |notes| &mut notes.extended);
        extended
    }

    /// As an operator: takes cell `i` from the member that has it.
    pub(super) fn evict(&self, i: u32) -> bool {
        self.evict_until(i, AT_ONCE)
    }

    /// The same, for others to take from `due` on.
    pub(super) fn evict_until(&self, i: u32, due: Tick) -> bool {
        self.let_any_take(i, CellState::Held, due)
    }

    /// As an operator: ends the delay of the message in cell `i`.
    pub(super) fn end_delay(&self, i: u32) -> bool {
        self.let_any_take(i, CellState::Delayed, DELAY_ENDED)
    }

    fn let_any_take(&self, i: u32, state: CellState, due: Tick) -> bool {
        let view = self.process.view();
        let cell = self.table.cell(view, i);
        // Acquire. pair cell: as `observe::in_cell`.
        let found = CellWord::unpack(cell.word.load(order!(Acquire, "cell-read-relaxed")));
        if found.state != state {
            return false;
        }
        let eviction = self.table.evict(view, i, found, due, BEGIN);
        if eviction == Eviction::Taking {
            self.run.reach("taking");
        }
        eviction == Eviction::Done
    }
}
