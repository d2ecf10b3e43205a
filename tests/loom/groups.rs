//! Groups go: by leaving, by removal, by the death of a last member.

use std::rc::Rc;

use loom::thread::spawn;

use super::explore::Model;
use super::heap::{Process, Segment, Shape};
use super::roles::{Consumer, Producer, controlled, make};
use crate::layout::{GROUP_NAME_MAX, Identity, Target};
use crate::ring::close;
use crate::ring::groups::{self, Position, RETENTION_RELEASE};

const SHAPE: Shape = Shape {
    capacity: 1,
    groups: 1,
    records: 1,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// A segment whose ring is full, and a consumer of its group.
fn full(shape: Shape) -> (Rc<Segment>, Process, u8) {
    let segment = Segment::new(shape);
    let process = Process::new(&segment);
    let identity = Identity {
        name: [b'g'; GROUP_NAME_MAX],
        name_len: 1,
        mode: 0,
        retention: RETENTION_RELEASE as u8,
        max_attempts: 0,
        in_flight: None,
    };
    identity.store(&Target::NONE, segment.view().group(0));
    let (group, _) = controlled(&process, || make(&process, Position::Oldest)).unwrap();
    let mut producer = Producer::attach(&process, 1).unwrap();
    for _ in 0..shape.capacity {
        producer.send().unwrap();
    }
    producer.leave();
    (segment, process, group)
}

/// leave: a consumer reads without an ack, leaves and removes its group; the producer overwrites what it
/// read.
#[test]
fn a_removed_groups_reads_are_over() {
    let model = Model::named("a_removed_groups_reads_are_over").preemptions(3);
    model.reaches(&["full", "room"]).check(|run| {
        let (segment, process, group) = full(SHAPE);
        let member =
            controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap().member;
        let leaves = spawn(move || {
            let mut consumer = Consumer::of(&process, member);
            consumer.claim(1).unwrap();
            controlled(&process, || {
                consumer.leave();
                let live = groups::remove_group(process.view(), &process, group).unwrap();
                assert_eq!(live, None);
            })
            .unwrap();
        });
        let (notes, writer) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            notes.reach(if producer.send().is_ok() { "room" } else { "full" });
            producer.leave();
        });
        leaves.join().unwrap();
        writes.join().unwrap();
        let last = Process::new(&segment);
        Producer::attach(&last, 3).unwrap().send().unwrap();
    });
}

/// A group whose consumer died with unacked reads is removed by another process.
#[test]
fn a_dead_members_reads_are_over_when_its_group_is_removed() {
    let model = Model::named("a_dead_members_reads_are_over_when_its_group_is_removed");
    model.preemptions(3).reaches(&["full", "room", "live", "removed"]).check(|run| {
        let (segment, process, group) = full(SHAPE);
        let member =
            controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap().member;
        let dies = spawn(move || {
            Consumer::of(&process, member).claim(1).unwrap();
            process.torn_down();
        });
        let (notes, remover) = (run.clone(), Process::new(&segment));
        let removes = spawn(move || {
            let remove = || groups::remove_group(remover.view(), &remover, group).unwrap();
            let live = controlled(&remover, remove).unwrap();
            notes.reach(if live.is_some() { "live" } else { "removed" });
        });
        let (notes, writer) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            notes.reach(if producer.send().is_ok() { "room" } else { "full" });
            producer.leave();
        });
        dies.join().unwrap();
        removes.join().unwrap();
        writes.join().unwrap();
        let last = Process::new(&segment);
        Producer::attach(&last, 3).unwrap().send_or_reap().unwrap();
    });
}

/// The last member of a group that goes with it dies at each step, also while it leaves; the full
/// producer removes the group, and only then.
#[test]
fn a_dead_members_group_is_removed_by_the_producer() {
    let model =
        Model::named("a_dead_members_group_is_removed_by_the_producer").preemptions(3).mortals(1);
    model.reaches(&["reaped", "kept"]).check(|run| {
        let (segment, process, group) = full(SHAPE);
        let member =
            controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &process, || {
                let mut consumer = Consumer::of(&process, member);
                consumer.claim(1);
                controlled(&process, || {
                    consumer.leave();
                    groups::remove_group(process.view(), &process, group).unwrap();
                });
            });
            process.torn_down();
        });
        let (notes, writer) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            notes.reach(if producer.send_or_reap().is_ok() { "reaped" } else { "kept" });
            producer.leave();
        });
        dies.join().unwrap();
        writes.join().unwrap();
        let last = Process::new(&segment);
        Producer::attach(&last, 3).unwrap().send_or_reap().unwrap();
    });
}

/// A group's index is used again: the producer, which may have seen the old group, is held by the new one,
/// to which nothing was delivered yet and for which nothing was counted.
#[test]
fn an_index_is_used_again() {
    let model = Model::named("an_index_is_used_again").preemptions(3);
    model.reaches(&["full", "room"]).check(|run| {
        let (segment, process, group) = full(Shape { capacity: 2, ..SHAPE });
        let mut consumer =
            controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap();
        consumer.claim(2).unwrap();
        consumer.claim(2).unwrap();
        let member = consumer.member;
        controlled(&process, || close::announce_retries(process.view(), group)).unwrap();
        let changes = spawn(move || {
            controlled(&process, || {
                Consumer::of(&process, member).leave();
                groups::remove_group(process.view(), &process, group).unwrap()
            })
            .unwrap();
            let (mut consumer, first) = Consumer::of_new(&process, Position::Oldest);
            assert_eq!(consumer.member.group, group);
            assert!(!consumer.has_retries(), "it looks for another group's letters");
            consumer.claim(1);
            consumer.take(1);
            process.torn_down();
            first
        });
        let (notes, writer) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            for _ in 0..2 {
                notes.reach(if producer.send().is_ok() { "room" } else { "full" });
            }
            let tail = producer.tail();
            producer.leave();
            tail
        });
        let first = changes.join().unwrap();
        let tail = writes.join().unwrap();
        let last = Process::new(&segment);
        controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap().drain(1);
        segment.settle(tail, &[(group, first)]);
    });
}

/// A group that holds the ring goes while the producer asks for several slots at once: it gets them all
/// or none.
#[test]
fn a_batch_finds_room_while_its_group_goes() {
    let model = Model::named("a_batch_finds_room_while_its_group_goes").preemptions(3);
    model.reaches(&["full", "room"]).check(|run| {
        let (segment, process, group) = full(Shape { capacity: 2, ..SHAPE });
        let mut consumer =
            controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap();
        assert!(consumer.take(1));
        let member = consumer.member;
        let goes = spawn(move || {
            let consumer = Consumer::of(&process, member);
            controlled(&process, || {
                consumer.leave();
                groups::remove_group(process.view(), &process, group).unwrap()
            })
            .unwrap();
        });
        let (notes, writer) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            // There is room for one: that must not be taken for more.
            producer.room(1).unwrap();
            for _ in 0..2 {
                if producer.send_run(2).is_ok() {
                    notes.reach("room");
                    break;
                }
                notes.reach("full");
            }
            producer.leave();
        });
        goes.join().unwrap();
        writes.join().unwrap();
        let last = Process::new(&segment);
        let producer = Producer::attach(&last, 3).unwrap();
        let limit = last.view().control().limit.load(crate::sync::Ordering::Relaxed);
        assert!(producer.tail() <= limit, "wrote up to {} with limit {limit}", producer.tail());
    });
}
