//! The roles of the models: what the handles in src/ do with the ring, without their waiting.

#![allow(unsafe_code)]

use super::heap::Process;
use crate::layout::{Meta, lease_byte};
use crate::ring::claim::{Claim, NO_LIMIT};
use crate::ring::close;
use crate::ring::exclusive::ExclusiveConsumer;
use crate::ring::groups::{self, Position};
use crate::ring::observe::{ObserverCursor, Seen};
use crate::ring::publish::{NoRoom, Publisher, stamp};
use crate::ring::records;
use crate::ring::sources::{self, Number};
use crate::sync::PAYLOAD;
use crate::sync::lease::{give_back, try_take};

/// The content of message `seq` as producer `by` writes it: two equal words.
pub(super) fn content(seq: u64, by: u32) -> [u8; PAYLOAD] {
    let word = (seq << 32 | u64::from(by)).to_le_bytes();
    let mut bytes = [0; PAYLOAD];
    bytes[..8].copy_from_slice(&word);
    bytes[8..].copy_from_slice(&word);
    bytes
}

fn meta(by: u32) -> Meta {
    Meta { len: PAYLOAD, kind: by }
}

/// Checks a message that says to be `seq`; returns its producer.
pub(super) fn check(seq: u64, meta: Meta, bytes: &[u8; PAYLOAD]) -> u32 {
    assert_eq!(meta.len, PAYLOAD, "message {seq} has another one's length");
    assert_eq!(*bytes, content(seq, meta.kind), "message {seq} is torn or another one");
    meta.kind
}

/// A producer; `id` tells whose messages are whose.
pub(super) struct Producer<'p> {
    process: &'p Process,
    pub(super) publisher: Publisher,
    id: u32,
}

impl<'p> Producer<'p> {
    /// Takes the role over, if nobody has it.
    pub(super) fn attach(process: &'p Process, id: u32) -> Option<Producer<'p>> {
        if !try_take(process, lease_byte::PRODUCER).unwrap() {
            return None;
        }
        Some(Producer { process, publisher: Publisher::take_over(process.view()).ok()?, id })
    }

    /// The producer that `publisher` belongs to, whose lease `process` holds.
    pub(super) fn of(process: &'p Process, publisher: Publisher, id: u32) -> Producer<'p> {
        Producer { process, publisher, id }
    }

    pub(super) fn tail(&self) -> u64 {
        self.publisher.tail()
    }

    /// As `Producer::wait_for_room`, which asks what it knows first, and does not ask again for what it was promised.
    pub(super) fn room(&mut self, n: u64) -> Result<(), NoRoom> {
        let known = self.publisher.known_room();
        let room = self.publisher.room(self.process.view(), n);
        assert!(self.publisher.known_room() >= known, "room that was promised is taken back");
        if room.is_ok() {
            assert!(self.publisher.known_room() >= n, "room for less than was promised");
        } else {
            assert!(known < n, "no room, but it was promised");
        }
        room
    }

    fn fill(&mut self, offset: u64) {
        let bytes = content(self.tail() + offset, self.id);
        // SAFETY: as long as a payload of the models.
        unsafe { self.publisher.fill(self.process.view(), offset, meta(self.id), &bytes, false) };
    }

    fn stamp(&self, offset: u64) {
        let seq = self.tail() + offset;
        stamp(&self.process.view().slot(seq), seq);
        self.process.segment.ledger.published(self.tail() + offset, self.id);
    }

    /// As `Producer::try_send`.
    pub(super) fn send(&mut self) -> Result<(), NoRoom> {
        self.send_run(1)
    }

    /// As `Producer::try_send_batch`: messages one after the other, the tail once.
    pub(super) fn send_run(&mut self, n: u64) -> Result<(), NoRoom> {
        self.room(n)?;
        for offset in 0..n {
            self.fill(offset);
            self.stamp(offset);
        }
        self.publisher.advance(self.process.view(), n);
        Ok(())
    }

    /// Number of the stream with this id, which it opens if need be, and the position of its last message.
    pub(super) fn stream(&self, id: u64) -> (Number, u64) {
        let view = self.process.view();
        let number =
            sources::find(view, [id, 0]).or_else(|| sources::open(view, [id, 0], [0; 3])).unwrap();
        (number, sources::last(view, number))
    }

    /// As `StreamProducer::send_batch`: `n` messages of a stream, with positions from `first` on.
    pub(super) fn send_from(&mut self, number: Number, first: u64, n: u64) -> Result<(), NoRoom> {
        self.room(n)?;
        let view = self.process.view();
        for offset in 0..n {
            let seq = self.tail() + offset;
            self.fill(offset);
            sources::mark(view, seq, &view.slot(seq), meta(self.id), number, first + offset);
            self.stamp(offset);
        }
        self.publisher.advance_from(view, n, number, first + n - 1);
        Ok(())
    }

    /// As `StreamProducer::reserve` of `slots`, and `Reservation::publish_first`: `n` are written, then stamped.
    pub(super) fn reserve_from(
        &mut self,
        number: Number,
        first: u64,
        slots: u64,
        n: u64,
    ) -> Result<(), NoRoom> {
        self.reserve(slots)?;
        let view = self.process.view();
        for offset in 0..n {
            let seq = self.tail() + offset;
            sources::mark(view, seq, &view.slot(seq), meta(self.id), number, first + offset);
        }
        self.publisher.publish_from(view, n, number, first + n - 1);
        Ok(())
    }

    /// As `StreamProducer::pass`.
    pub(super) fn pass(&self, number: Number, position: u64) {
        sources::pass(self.process.view(), number, position);
    }

    /// As `Producer::forget_stream`; returns whether the queue has no message of it.
    pub(super) fn forget(&self, number: Number) -> bool {
        let free = !sources::is_in_queue(self.process.view(), number);
        if free {
            sources::close(self.process.view(), number);
        }
        free
    }

    /// As `Producer::try_reserve`: takes the slots and writes them. Nothing is published.
    pub(super) fn reserve(&mut self, n: u64) -> Result<(), NoRoom> {
        let view = self.process.view();
        self.room(n)?;
        self.publisher.reclaim_next(view, n);
        for offset in 0..n {
            let seq = self.tail() + offset;
            // SAFETY: this is the producer, and the slot was taken back.
            unsafe { view.slot(seq).payload.store(&content(seq, self.id), false) };
        }
        Ok(())
    }

    /// As `Reservation::publish`.
    pub(super) fn publish(&mut self, n: u64) {
        let ledger = &self.process.segment.ledger;
        let (first, id) = (self.tail(), self.id);
        self.publisher.each_behind(self.process.view().ring(), n, |seq, slot| {
            slot.meta.store(meta(id));
            stamp(&slot, seq);
            ledger.published(seq, id);
        });
        assert_eq!(self.tail(), first);
        self.publisher.advance(self.process.view(), n);
    }

    /// Sends, and frees what nobody will ever ack for if it is full. As `Producer::find_room`.
    pub(super) fn send_or_reap(&mut self) -> Result<(), NoRoom> {
        match self.send() {
            Err(NoRoom::Full { .. })
                if groups::reap(self.process.view(), self.process).unwrap() =>
            {
                self.send()
            }
            outcome => outcome,
        }
    }

    pub(super) fn leave(self) {
        give_back(self.process, lease_byte::PRODUCER);
    }

    /// As `attach`, of a queue that may be closed. Most models do without.
    pub(super) fn reopen(process: &'p Process, id: u32) -> Option<Producer<'p>> {
        let producer = Producer::attach(process, id)?;
        close::reopen(process.view());
        Some(producer)
    }

    /// As `Producer::close`.
    pub(super) fn close(self) {
        let end = self.tail();
        close::close(self.process.view(), end);
        self.process.segment.ledger.closed(end);
        self.leave();
    }
}

/// More deliveries than a model has, so that each is counted.
pub(super) const LIMIT: u8 = 100;

/// As `Batch` shows them: `first` was the claim's first message.
pub(super) fn attempts_of(claim: &Claim, first: u64, seq: u64) -> u32 {
    match seq {
        _ if seq >= claim.again => 1,
        _ if seq == first => claim.attempts,
        _ => 2,
    }
}

/// Takes the control lease, if it is free, frees what its last holder left half-made, and runs `change`.
pub(super) fn controlled<T>(process: &Process, change: impl FnOnce() -> T) -> Option<T> {
    if !try_take(process, lease_byte::CONTROL).unwrap() {
        return None;
    }
    groups::free_half_made(process.view());
    let value = change();
    give_back(process, lease_byte::CONTROL);
    Some(value)
}

/// Makes a group; returns its index and where it starts. The control lease is held.
pub(super) fn make(process: &Process, position: Position) -> (u8, u64) {
    let group = groups::free_group(process.view()).unwrap();
    process.segment.ledger.new_group(group);
    (group, groups::make_group(process.view(), group, position, false))
}

/// A consumer of an exclusive group.
pub(super) struct Consumer<'p> {
    process: &'p Process,
    pub(super) member: ExclusiveConsumer,
}

impl<'p> Consumer<'p> {
    /// Joins `group` unless it has a consumer. The control lease is held.
    pub(super) fn join(process: &'p Process, group: u8) -> Option<Consumer<'p>> {
        let view = process.view();
        if records::live_member(view, process, group).unwrap().is_some() {
            return None;
        }
        let record = records::take_record(view, process, group, 0, records::Purpose::Receive)
            .unwrap()
            .unwrap();
        let mut member = ExclusiveConsumer::resume(view, group, record);
        member.limit = LIMIT;
        Some(Consumer { process, member })
    }

    /// Of a group whose messages may be delivered any number of times: what comes again comes in batches.
    pub(super) fn unlimited(mut self) -> Consumer<'p> {
        self.member.limit = NO_LIMIT;
        self
    }

    /// The consumer that `member` belongs to, whose record `process` holds.
    pub(super) fn of(process: &'p Process, member: ExclusiveConsumer) -> Consumer<'p> {
        Consumer { process, member }
    }

    /// Makes a group and joins it, under the control lease, which is free.
    pub(super) fn of_new(process: &'p Process, position: Position) -> (Consumer<'p>, u64) {
        controlled(process, || {
            let (group, first) = make(process, position);
            (Consumer::join(process, group).unwrap(), first)
        })
        .unwrap()
    }

    /// Claims up to `max` messages and reads them all.
    pub(super) fn claim(&mut self, max: u64) -> Option<Claim> {
        // As a receive that may wait.
        self.member.linger(self.process.view(), max);
        let claim = self.member.claim(self.process.view(), max).unwrap()?;
        self.read(&claim, claim.start, claim.start);
        Some(claim)
    }

    /// As `Batch::grow`, and reads what has come; returns how many.
    pub(super) fn grow(&mut self, claim: &mut Claim, max: u64) -> u64 {
        let from = claim.end;
        let more = self.member.grow(self.process.view(), claim, max).unwrap();
        assert_eq!(claim.end, from + more);
        // The first one is not among them.
        self.read(claim, from, u64::MAX);
        more
    }

    /// Reads the messages of `claim` from `from` on; the attempts of `first` are those of the claim.
    fn read(&self, claim: &Claim, from: u64, first: u64) {
        let exact = self.member.limit != NO_LIMIT;
        for seq in from..claim.end {
            let slot = self.process.view().slot(seq);
            let meta = slot.meta.load();
            // SAFETY: claimed and not acked (invariant borrow); loom checks it.
            let bytes = unsafe { slot.payload.bytes() };
            let by = check(seq, meta, &bytes);
            let attempts = attempts_of(claim, first, seq) as u8;
            self.process.segment.ledger.delivered(self.member.group, seq, by, attempts, exact);
        }
    }

    /// As `Batch::uncount`, of a claim of which nothing is acked.
    pub(super) fn uncount(&mut self, claim: &Claim) {
        self.member.uncount(self.process.view(), claim.attempts as u8);
        self.process.segment.ledger.uncounted(self.member.group, claim.start);
    }

    /// Acks `claim` up to, not including, `to`.
    pub(super) fn ack(&mut self, claim: &mut Claim, to: u64) {
        let from = claim.start;
        self.member.ack(self.process.view(), claim, to);
        for seq in from..to {
            self.process.segment.ledger.acked(self.member.group, seq);
        }
    }

    /// Claims up to `max` messages, reads and acks them; whether there were any.
    pub(super) fn take(&mut self, max: u64) -> bool {
        let Some(mut claim) = self.claim(max) else { return false };
        let end = claim.end;
        self.ack(&mut claim, end);
        true
    }

    /// Takes all there is, `max` at a time.
    pub(super) fn drain(&mut self, max: u64) {
        while self.take(max) {}
    }

    /// Whether it is told that the producer is gone.
    pub(super) fn misses_producer(&self) -> bool {
        let held = || Ok::<_, ()>(self.process.is_held(lease_byte::PRODUCER));
        close::producer_gone(self.process.view(), held).unwrap()
    }

    /// Whether it is told that the queue is closed; it has just found nothing.
    pub(super) fn is_over(&self) -> bool {
        let over = close::over_at(self.process.view(), self.member.group);
        if let Some(end) = over {
            self.process.segment.ledger.told(end);
            assert_eq!(end, self.member.head(), "told so beside messages");
        }
        over.is_some()
    }

    /// Whether it is told that letters were sent again.
    pub(super) fn has_retries(&self) -> bool {
        close::has_retries(self.process.view(), self.member.group)
    }

    /// Whether it is told that nothing comes any more.
    pub(super) fn has_ended(&self, are_drained: impl FnOnce() -> bool) -> bool {
        close::has_ended(self.process.view(), self.member.group, are_drained)
    }

    /// Whether its group has acked all there is.
    pub(super) fn is_drained(&self) -> bool {
        close::is_drained(self.process.view(), self.member.group)
    }

    /// As `Consumer::leave` of a group that stays. The control lease is held.
    pub(super) fn leave(self) {
        records::leave(self.process.view(), self.process, self.member.record, None);
    }
}

/// An observer, and what it has seen and missed.
pub(super) struct Observer<'p> {
    process: &'p Process,
    watcher: ObserverCursor,
    pub(super) seen: Vec<u64>,
    pub(super) missed: u64,
}

impl<'p> Observer<'p> {
    pub(super) fn new(process: &'p Process) -> Observer<'p> {
        Observer::from(process, Vec::new(), 0)
    }

    /// Goes on where an observer stopped that has `seen` and `missed` so much.
    pub(super) fn from(process: &'p Process, seen: Vec<u64>, missed: u64) -> Observer<'p> {
        Observer { process, watcher: ObserverCursor::at(seen.len() as u64 + missed), seen, missed }
    }

    pub(super) fn next(&self) -> u64 {
        self.watcher.next()
    }

    /// Whether it is told that the queue is closed; it has just found nothing.
    pub(super) fn is_over(&self) -> bool {
        let over = close::is_over(self.process.view(), self.next());
        if over {
            self.process.segment.ledger.told(self.next());
        }
        over
    }

    /// Reads once; returns whether there was a message.
    pub(super) fn look(&mut self) -> bool {
        let mut bytes = [0; PAYLOAD];
        let from = self.watcher.next();
        let found = match self.watcher.read(self.process.view(), &mut bytes) {
            Seen::Message { seq, meta, missed } => {
                self.check(seq, meta, &bytes);
                assert_eq!(
                    seq,
                    from + missed,
                    "message {seq} after {missed} missed from {from} on"
                );
                self.seen.push(seq);
                self.missed += missed;
                true
            }
            Seen::Nothing { missed } => {
                assert_eq!(self.watcher.next(), from + missed);
                self.missed += missed;
                false
            }
        };
        assert_eq!(self.watcher.next(), self.seen.len() as u64 + self.missed, "miscounted");
        found
    }

    /// Reads the newest message once; returns whether there was one. What it passes over does not count.
    pub(super) fn look_for_latest(&mut self) -> bool {
        let mut bytes = [0; PAYLOAD];
        let from = self.watcher.next();
        match self.watcher.read_latest(self.process.view(), &mut bytes) {
            Seen::Message { seq, meta, missed } => {
                self.check(seq, meta, &bytes);
                assert!(seq >= from && missed == 0, "message {seq} again");
                assert_eq!(self.watcher.next(), seq + 1);
                self.seen.push(seq);
                true
            }
            Seen::Nothing { missed } => {
                let next = self.watcher.next();
                assert!(next >= from && missed == 0);
                if next > from {
                    let passed = ObserverCursor::at(next - 1).read(self.process.view(), &mut bytes);
                    let is_there = matches!(passed, Seen::Message { seq, .. } if seq < next);
                    assert!(!is_there, "message {} was passed over", next - 1);
                }
                false
            }
        }
    }

    fn check(&self, seq: u64, meta: Meta, bytes: &[u8; PAYLOAD]) {
        let by = check(seq, meta, bytes);
        assert_eq!(self.process.segment.ledger.publisher(seq), Some(by));
    }
}
