//! Random operations against a simple model: a list of messages and a cursor for each group.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{TempName, message, there};
use proptest::prelude::*;
use proptest::test_runner::Config;
use slipring::{
    AddGroupError, Consumer, Group, JoinError, Observer, Producer, ProducerError, Queue, RecvError,
    RemoveGroupError, Retention, SendError, Start,
};

const PAYLOAD: usize = 24;
const GROUPS: usize = 4;
/// The last one goes with its last member.
const BRIEF: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    Send,
    SendBatch(usize),
    Reserve(usize),
    Receive { group: usize, max: usize, ack: usize, grow: usize },
    Join { group: usize, start: u8 },
    Drop(usize),
    Add(usize),
    Remove(usize),
    Takeover,
    Close,
    Observe(usize),
    Watch { newest: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let group = 0..GROUPS;
    prop_oneof![
        4 => Just(Op::Send),
        2 => (1..10usize).prop_map(Op::SendBatch),
        1 => (0..4usize).prop_map(Op::Reserve),
        6 => (group.clone(), 1..10usize, 0..10usize, 0..6usize)
            .prop_map(|(group, max, ack, grow)| Op::Receive { group, max, ack, grow }),
        3 => (group.clone(), 0..3u8).prop_map(|(group, start)| Op::Join { group, start }),
        1 => group.clone().prop_map(Op::Drop),
        1 => (0..BRIEF).prop_map(Op::Add),
        1 => group.prop_map(Op::Remove),
        1 => Just(Op::Takeover),
        1 => Just(Op::Close),
        2 => (1..6usize).prop_map(Op::Observe),
        1 => any::<bool>().prop_map(|newest| Op::Watch { newest }),
    ]
}

/// The expected state of a group.
struct Cursor {
    head: u64,
    delivered: u64,
    /// The message that was redelivered, and how often.
    attempts: (u64, u8),
    /// A consumer has joined it before.
    joined: bool,
    consumer: Option<Consumer>,
}

struct World {
    name: TempName,
    queue: Queue,
    capacity: u64,
    tail: u64,
    /// The producer may have announced that it writes below this: up to a quarter of the ring after its tail, or as
    /// many slots as it asked for at once, even in vain.
    announced: u64,
    /// `None` once it has closed the queue.
    producer: Option<Producer>,
    groups: BTreeMap<usize, Cursor>,
    observer: Observer,
    /// Position of the observer.
    watched: u64,
    missed: u64,
}

/// Whether attempts have a limit, which no message reaches: redelivered messages come one at a time.
fn is_limited(index: usize) -> bool {
    index.is_multiple_of(2)
}

fn group(index: usize) -> Group {
    let keep = if index == BRIEF { Retention::Release } else { Retention::Hold };
    let group = Group::named(format!("g{index}")).retention(keep);
    if is_limited(index) { group.max_attempts(200) } else { group }
}

impl World {
    fn new(capacity: u64) -> World {
        let name = TempName::new("model");
        let shape = Queue::builder(&name).capacity(capacity).payload_size(PAYLOAD);
        let queue = shape.max_groups(GROUPS).max_consumers(GROUPS).create().unwrap();
        let producer = queue.producer().ok();
        let observer = queue.observer(Start::Oldest).unwrap();
        World {
            name,
            capacity: queue.capacity(),
            queue,
            tail: 0,
            announced: 0,
            producer,
            groups: BTreeMap::new(),
            observer,
            watched: 0,
            missed: 0,
        }
    }

    /// How many messages fit.
    fn room(&self) -> u64 {
        let lowest = self.groups.values().map(|cursor| cursor.head).min();
        lowest.map_or(u64::MAX, |lowest| (lowest + self.capacity).saturating_sub(self.tail))
    }

    fn oldest(&self) -> u64 {
        self.tail.saturating_sub(self.capacity)
    }

    fn assert_full(&self, fault: &SendError) {
        let SendError::Full(full) = fault else { panic!("{fault}") };
        let lowest = self.groups.values().map(|cursor| cursor.head).min();
        assert_eq!(Some(full.sequence()), lowest);
        let index: usize = full.group()[1..].parse().unwrap();
        assert_eq!(Some(self.groups[&index].head), lowest);
    }

    fn announce(&mut self, slots: usize) {
        let reach = (slots as u64).max(self.capacity / 4).max(1);
        self.announced = self.announced.max(self.tail + reach);
    }

    fn send(&mut self) {
        self.announce(1);
        let room = self.room();
        let sent = self.producer.as_mut().unwrap().try_send(&message(self.tail, PAYLOAD));
        match sent {
            Ok(seq) => {
                assert!(room > 0);
                assert_eq!(seq, self.tail);
                self.tail += 1;
            }
            Err(fault) => {
                assert_eq!(room, 0);
                self.assert_full(&fault);
            }
        }
    }

    fn send_batch(&mut self, n: usize) {
        let room = self.room();
        let all: Vec<_> = (0..n as u64).map(|i| message(self.tail + i, PAYLOAD)).collect();
        let mut messages = all.iter();
        match self.producer.as_mut().unwrap().try_send_batch(&mut messages) {
            Ok(sent) => {
                assert_eq!(sent as u64, room.min(n as u64));
                assert_eq!(messages.len(), n - sent);
                self.tail += sent as u64;
                self.announce(1);
            }
            Err(fault) => {
                assert_eq!((room, fault.sent(), messages.len()), (0, 0, n));
                self.assert_full(fault.reason());
            }
        }
    }

    fn reserve(&mut self, slots: usize) {
        if slots as u64 <= self.capacity {
            self.announce(slots);
        }
        let (room, tail) = (self.room(), self.tail);
        match self.producer.as_mut().unwrap().try_reserve(slots) {
            Ok(mut reservation) => {
                assert!(slots as u64 <= room);
                for i in 0..slots {
                    let bytes = message(tail + i as u64, PAYLOAD);
                    reservation.bytes_mut(i).unwrap()[..bytes.len()].copy_from_slice(&bytes);
                    assert!(reservation.set_len(i, bytes.len()));
                }
                assert_eq!(reservation.sequence(), tail);
                assert_eq!(reservation.publish(), tail);
                self.tail += slots as u64;
            }
            Err(SendError::TooMany { .. }) => assert!(slots as u64 > self.capacity),
            Err(fault) => {
                assert!(slots as u64 > room);
                self.assert_full(&fault);
            }
        }
    }

    fn receive(&mut self, index: usize, max: usize, ack: usize, grow: usize) {
        let (tail, closed, capacity) = (self.tail, self.producer.is_none(), self.capacity);
        let Some(cursor) = self.groups.get_mut(&index) else { return };
        let Some(consumer) = &mut cursor.consumer else { return };
        let again = cursor.head < cursor.delivered;
        // Where messages begin that were never delivered.
        let new = cursor.delivered;
        let batch = match consumer.try_recv_batch(max) {
            Err(RecvError::Closed { .. }) => {
                assert!(closed && cursor.head == tail);
                return;
            }
            received => there(received),
        };
        let Some(mut batch) = batch else {
            assert!(!closed && cursor.head == tail);
            return;
        };
        let most = match again {
            true if is_limited(index) => 1,
            true => (max as u64).min(new - cursor.head),
            false => (max as u64).min(tail - cursor.head),
        };
        assert!((1..=most).contains(&(batch.len() as u64)));
        let mut attempts = 1;
        if again {
            let counted = cursor.attempts.0 == cursor.head;
            attempts = if counted { cursor.attempts.1.saturating_add(1) } else { 2 };
            cursor.attempts = (cursor.head, attempts);
        }
        for (i, received) in (0..).zip(&batch) {
            assert_eq!(received.sequence(), cursor.head + i);
            assert_eq!(*received, *message(cursor.head + i, PAYLOAD));
            let least = if cursor.head + i < new { 2 } else { 1 };
            assert_eq!(received.attempts(), if i == 0 { attempts } else { least });
        }
        let end = cursor.head + batch.len() as u64;
        cursor.delivered = cursor.delivered.max(cursor.head + batch.len() as u64);
        let ack = ack.min(batch.len());
        if ack % 2 == 0 && ack > 0 {
            batch.ack_through(cursor.head + ack as u64 - 1).unwrap();
        } else {
            (0..ack).for_each(|_| batch.ack_first().unwrap());
        }
        let outside = batch.ack_through(cursor.head + 100);
        assert!(outside.is_err());
        cursor.head += ack as u64;
        let counted = is_limited(index) && end < new;
        let room = (tail - end).min(capacity - (end - cursor.head));
        let most = if counted { 0 } else { room.min(grow as u64) };
        let grown = batch.grow(grow).unwrap() as u64;
        assert!((most.min(1)..=most).contains(&grown), "{grown} of {most}");
        assert_eq!(batch.len() as u64, end + grown - cursor.head);
        for (place, received) in (cursor.head..).zip(&batch).skip((end - cursor.head) as usize) {
            assert_eq!((received.sequence(), &*received), (place, &*message(place, PAYLOAD)));
            assert_eq!(received.attempts(), if place < new { 2 } else { 1 });
        }
        cursor.delivered = cursor.delivered.max(end + grown);
        if max.is_multiple_of(2) && !batch.is_empty() {
            let least = if cursor.head < new { 2 } else { 1 };
            let attempts = if ack == 0 { attempts } else { least };
            cursor.attempts = (cursor.head, attempts - 1);
            batch.uncount();
        }
        drop(batch);
        assert_eq!(consumer.position(), cursor.head);
    }

    fn join(&mut self, index: usize, start: u8) {
        let asked = match start {
            0 => Start::Oldest,
            1 => Start::Newest,
            _ => Start::Sequence(self.tail.saturating_sub(2)),
        };
        let joined = self.queue.consumer(group(index).start(asked));
        let (oldest, tail) = (self.oldest(), self.tail);
        match self.groups.get_mut(&index) {
            Some(Cursor { consumer: Some(_), .. }) => {
                assert!(matches!(joined, Err(JoinError::Taken { .. })));
            }
            Some(cursor) => {
                let consumer = joined.unwrap();
                assert_eq!((consumer.resumed(), consumer.made_group()), (cursor.joined, false));
                assert_eq!(consumer.position(), cursor.head);
                cursor.joined = true;
                cursor.consumer = Some(consumer);
            }
            None => {
                let consumer = joined.unwrap();
                assert_eq!((consumer.resumed(), consumer.made_group()), (false, true));
                let head = consumer.position();
                let first = self.announced.saturating_sub(self.capacity);
                match asked {
                    Start::Newest => assert_eq!(head, tail),
                    Start::Oldest => assert!((oldest..=first).contains(&head), "{head}"),
                    _ => assert!((oldest..=first.max(tail.saturating_sub(2))).contains(&head)),
                }
                self.insert(index, head, Some(consumer));
            }
        }
    }

    fn insert(&mut self, index: usize, head: u64, consumer: Option<Consumer>) {
        let joined = consumer.is_some();
        let cursor = Cursor { head, delivered: 0, attempts: (u64::MAX, 0), joined, consumer };
        self.groups.insert(index, cursor);
    }

    fn leave(&mut self, index: usize) {
        if let Some(cursor) = self.groups.get_mut(&index)
            && cursor.consumer.take().is_some()
            && index == BRIEF
        {
            self.groups.remove(&index);
        }
    }

    fn add(&mut self, index: usize) {
        let added = self.queue.add_group(group(index).start(Start::Newest));
        if self.groups.contains_key(&index) {
            assert!(matches!(added, Err(AddGroupError::Exists { .. })));
        } else {
            added.unwrap();
            self.insert(index, self.tail, None);
        }
    }

    fn remove(&mut self, index: usize) {
        let name = format!("g{index}");
        let removed = self.queue.remove_group(&name);
        match self.groups.get(&index).map(|cursor| (cursor.consumer.is_some(), cursor.head)) {
            None => assert!(matches!(removed, Err(RemoveGroupError::NotFound { .. }))),
            Some((true, _)) => assert!(matches!(removed, Err(RemoveGroupError::Busy { .. }))),
            Some((false, head)) => {
                match removed {
                    Ok(()) => assert_eq!(head, self.tail),
                    Err(RemoveGroupError::Unacked { messages, .. }) => {
                        assert_eq!(messages, self.tail - head);
                        self.queue.force_remove_group(&name).unwrap();
                    }
                    Err(fault) => panic!("{fault}"),
                }
                self.groups.remove(&index);
            }
        }
    }

    fn takeover(&mut self) {
        self.producer = None;
        let producer = self.queue.producer().unwrap();
        assert_eq!(producer.sequence(), self.tail);
        assert!(matches!(self.queue.producer(), Err(ProducerError::Taken { .. })));
        self.producer = Some(producer);
    }

    fn close(&mut self) {
        if let Some(producer) = self.producer.take() {
            producer.close().unwrap();
        }
    }

    fn observe(&mut self, times: usize) {
        for _ in 0..times {
            let oldest = self.oldest();
            let seen = match self.observer.try_recv() {
                Err(RecvError::Closed { .. }) => {
                    assert!(self.producer.is_none() && self.watched == self.tail);
                    return;
                }
                seen => there(seen),
            };
            let Some(seen) = seen else {
                assert!(self.producer.is_some() && self.watched == self.tail);
                return;
            };
            let expected = self.watched.max(oldest);
            assert_eq!(seen.sequence(), expected);
            assert_eq!(seen.missed(), expected - self.watched);
            assert_eq!(*seen, *message(expected, PAYLOAD));
            self.missed += seen.missed();
            self.watched = expected + 1;
        }
        assert_eq!(self.observer.missed(), self.missed);
    }

    fn watch(&mut self, newest: bool) {
        let start = if newest { Start::Newest } else { Start::Oldest };
        self.observer = self.queue.observer(start).unwrap();
        self.watched = if newest { self.tail } else { self.oldest() };
        self.missed = 0;
        assert_eq!(self.observer.position(), self.watched);
    }

    fn check(&self) {
        let snapshot = self.queue.snapshot().unwrap();
        assert_eq!(snapshot.tail, self.tail);
        assert_eq!(snapshot.closed_at, self.producer.is_none().then_some(self.tail));
        let mut found: Vec<_> = snapshot
            .groups
            .iter()
            .map(|group| (group.name.clone(), group.head, group.depth, group.unacked))
            .collect();
        found.sort();
        let expected: Vec<_> = self
            .groups
            .iter()
            .map(|(index, cursor)| {
                let unacked = cursor.delivered.saturating_sub(cursor.head);
                (format!("g{index}"), cursor.head, self.tail - cursor.head, unacked)
            })
            .collect();
        assert_eq!(found, expected);
    }

    fn act(&mut self, op: &Op) {
        if self.producer.is_none() && matches!(op, Op::Send | Op::SendBatch(_) | Op::Reserve(_)) {
            self.takeover();
        }
        match *op {
            Op::Send => self.send(),
            Op::SendBatch(n) => self.send_batch(n),
            Op::Reserve(slots) => self.reserve(slots),
            Op::Receive { group, max, ack, grow } => self.receive(group, max, ack, grow),
            Op::Join { group, start } => self.join(group, start),
            Op::Drop(group) => self.leave(group),
            Op::Add(group) => self.add(group),
            Op::Remove(group) => self.remove(group),
            Op::Takeover => self.takeover(),
            Op::Close => self.close(),
            Op::Observe(times) => self.observe(times),
            Op::Watch { newest } => self.watch(newest),
        }
        self.check();
    }
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_queue_does_what_the_model_does(
        capacity in 1..9u64, ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(capacity);
        for op in &ops {
            world.act(op);
        }
        // All messages come out in the end.
        for index in 0..GROUPS {
            while world.groups.get(&index).is_some_and(|c| c.consumer.is_some() && c.head < world.tail) {
                world.receive(index, 9, 9, 0);
            }
        }
        world.check();
        prop_assert!(world.name.path().exists());
    }
}
