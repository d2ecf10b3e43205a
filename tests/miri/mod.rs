//! The ring's code as it ships, between threads that stand for processes: no stand-in but for the kernel.
//!
//! As ordinary tests they are races of threads. Under Miri each seed is another interleaving in which loads find old
//! values wherever their orders allow it, and a payload that is read in place while it is written is an error:
//!
//!     MIRIFLAGS='-Zmiri-many-seeds=0..32 -Zmiri-preemption-rate=0.1' cargo +nightly miri test --lib -- interleaved
//!
//! Loom tries all executions of small models; this tries some of longer ones, with another memory model. See
//! docs/ordering.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod heap;

use std::thread::scope;

use heap::{PAYLOAD, Process, Segment, check};

use crate::layout::{Mode, lease_byte};
use crate::ring::close;
use crate::ring::exclusive::ExclusiveConsumer;
use crate::ring::observe::{ObserverCursor, Seen};
use crate::ring::records;
use crate::ring::shared::{Claimed, SharedMember};
use crate::sync::lease::give_back;

/// Messages of a test: enough to go around the ring a few times.
const MESSAGES: u64 = if cfg!(miri) { 12 } else { 3000 };

/// Sends all there is to send, and closes the queue.
fn send_all(segment: &Segment) {
    let process = Process::new(segment);
    let mut publisher = process.produce();
    while publisher.tail() < segment.messages() {
        process.send(&mut publisher);
    }
    close::close(process.view(), publisher.tail());
}

/// Takes up to two messages at a time until it is told that the queue is over.
fn read_all(process: &Process, member: &mut ExclusiveConsumer) {
    loop {
        if let Some(mut claim) = member.claim(process.view(), 2).unwrap() {
            process.read(&claim);
            let end = claim.end;
            process.note(&claim);
            member.ack(process.view(), &mut claim, end);
        } else if let Some(end) = close::over_at(process.view(), member.group) {
            assert_eq!(end, member.head(), "told so beside messages");
            return;
        } else {
            process.segment.pause();
        }
    }
}

/// Publication, ack, gate, closing (pairs payload, head, tail, closing).
#[test]
fn a_lone_consumer_gets_whole_messages_in_order() {
    let segment = Segment::new(4, 1, MESSAGES);
    Process::new(&segment).make(Mode::Exclusive);
    scope(|scope| {
        scope.spawn(|| send_all(&segment));
        scope.spawn(|| {
            let process = Process::new(&segment);
            let record =
                records::take_record(process.view(), &process, 0, 0, records::Purpose::Receive)
                    .unwrap()
                    .unwrap();
            let mut member = ExclusiveConsumer::resume(process.view(), 0, record);
            read_all(&process, &mut member);
            assert_eq!(member.head(), MESSAGES);
        });
    });
    assert!(segment.is_done());
}

/// The announced limit against the new group's head (pairs join, group-made).
#[test]
fn a_group_that_joins_beside_the_producer_gets_all_from_its_start_on() {
    let segment = Segment::new(4, 1, MESSAGES);
    scope(|scope| {
        scope.spawn(|| send_all(&segment));
        scope.spawn(|| {
            let process = Process::new(&segment);
            let start = process.make(Mode::Exclusive);
            let record =
                records::take_record(process.view(), &process, 0, 0, records::Purpose::Receive)
                    .unwrap()
                    .unwrap();
            let mut member = ExclusiveConsumer::resume(process.view(), 0, record);
            assert_eq!(member.head(), start);
            read_all(&process, &mut member);
            assert_eq!(member.head(), MESSAGES);
        });
    });
}

/// A member; `dies` with its first claim.
fn compete(segment: &Segment, dies: bool) {
    let process = Process::new(segment);
    let view = process.view();
    let record = process.controlled(|| {
        records::take_record(view, &process, 0, 0, records::Purpose::Receive).unwrap().unwrap()
    });
    let mut member = SharedMember::enter(view, 0, record).unwrap();
    while !segment.is_done() {
        match member.claim(view, 2).unwrap() {
            Claimed::Range(mut claim) => {
                process.read(&claim);
                if dies {
                    return;
                }
                let end = claim.end;
                process.note(&claim);
                member.ack(view, &process, &mut claim, end);
            }
            Claimed::Empty if member.adopt(view, &process).unwrap() => {}
            Claimed::Empty | Claimed::Contended => process.segment.pause(),
        }
    }
}

/// Claims, their acks and the gate, and what a dead member held (pairs claim, start, lease).
#[test]
fn each_message_goes_to_one_member_and_a_dead_ones_to_another() {
    let segment = Segment::new(4, 3, MESSAGES);
    Process::new(&segment).make(Mode::Shared);
    scope(|scope| {
        scope.spawn(|| send_all(&segment));
        for dies in [true, false, false] {
            let segment = &segment;
            scope.spawn(move || compete(segment, dies));
        }
    });
    assert!(segment.is_done());
}

/// What the last holder of a role did comes with its lease (pairs tail, lease).
#[test]
fn roles_change_hands() {
    let segment = Segment::new(4, 1, MESSAGES);
    Process::new(&segment).make(Mode::Exclusive);
    let produces = || {
        let process = Process::new(&segment);
        loop {
            let mut publisher = process.produce();
            if publisher.tail() == MESSAGES {
                return;
            }
            process.send(&mut publisher);
            give_back(&process, lease_byte::PRODUCER);
            process.segment.pause();
        }
    };
    let consumes = || {
        let process = Process::new(&segment);
        let view = process.view();
        while !segment.is_done() {
            let taken = process.controlled(|| {
                records::take_record(view, &process, 0, 0, records::Purpose::Receive).unwrap()
            });
            if let Some(record) = taken {
                let mut member = ExclusiveConsumer::resume(view, 0, record);
                if let Some(mut claim) = member.claim(view, 1).unwrap() {
                    process.read(&claim);
                    let end = claim.end;
                    process.note(&claim);
                    member.ack(view, &mut claim, end);
                }
                process.controlled(|| records::leave(view, &process, record, None));
            }
            process.segment.pause();
        }
    };
    scope(|scope| {
        scope.spawn(produces);
        scope.spawn(produces);
        scope.spawn(consumes);
        scope.spawn(consumes);
    });
}

/// A message that is overwritten under an observer's hands is none (pair overwrite).
#[test]
fn an_observer_sees_whole_messages_or_counts_them() {
    let segment = Segment::new(2, 1, MESSAGES);
    scope(|scope| {
        scope.spawn(|| send_all(&segment));
        scope.spawn(|| {
            let process = Process::new(&segment);
            let (mut watcher, mut counted) = (ObserverCursor::at(0), 0);
            let mut bytes = [0; PAYLOAD];
            while watcher.next() < MESSAGES {
                counted += match watcher.read(process.view(), &mut bytes) {
                    Seen::Message { seq, meta, missed } => {
                        check(seq, meta, &bytes);
                        missed + 1
                    }
                    Seen::Nothing { missed } => missed,
                };
                assert_eq!(counted, watcher.next(), "miscounted");
                process.segment.pause();
            }
        });
    });
}
