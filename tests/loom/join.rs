//! A group is made while the producer overwrites the ring.

use std::cell::Cell;
use std::rc::Rc;

use loom::thread::spawn;

use super::explore::Model;
use super::heap::{Process, Segment, Shape};
use super::roles::{Consumer, Producer, controlled, make};
use crate::layout::{GROUP_NAME_MAX, Identity, Target};
use crate::ring::groups::{self, Position};
use crate::ring::publish::NoRoom;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 1,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// Publishes two messages, and leaves.
fn filled(shape: Shape) -> Rc<Segment> {
    let segment = Segment::new(shape);
    let process = Process::new(&segment);
    let mut producer = Producer::attach(&process, 1).unwrap();
    producer.send().unwrap();
    producer.send().unwrap();
    producer.leave();
    segment
}

/// A group joins at `position` and reads `reads` times while the producer publishes three messages.
fn joins_at(model: Model, position: Position, reads: u32) {
    model.reaches(&["joined low", "joined high", "full", "not full"]).check(move |run| {
        let segment = filled(SHAPE);
        let (joiner, writer) = (Process::new(&segment), Process::new(&segment));
        let joins = spawn(move || {
            let (mut consumer, first) = Consumer::of_new(&joiner, position);
            for _ in 0..reads {
                consumer.take(1);
            }
            joiner.torn_down();
            (consumer.member.group, first)
        });
        let notes = run.clone();
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            for _ in 0..3 {
                match producer.send() {
                    Err(NoRoom::Full { .. }) => notes.reach("full"),
                    outcome => outcome.unwrap(),
                }
            }
            let tail = producer.tail();
            if tail == 5 {
                notes.reach("not full");
            }
            producer.leave();
            tail
        });
        let (group, first) = joins.join().unwrap();
        let tail = writes.join().unwrap();
        let low = match position {
            Position::Oldest => 0,
            Position::Newest => 2,
            Position::Sequence(seq) => seq,
        };
        run.reach(if first == low { "joined low" } else { "joined high" });
        assert!(first <= tail, "joined at {first}, above the tail {tail}");
        assert_eq!(groups::began(segment.view(), group), first, "it says that it began elsewhere");
        let last = Process::new(&segment);
        let mut consumer = controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap();
        consumer.drain(1);
        let mut producer = Producer::attach(&last, 3).unwrap();
        producer.send().unwrap();
        consumer.drain(1);
        segment.settle(producer.tail(), &[(group, first)]);
    });
}

/// While the producer overwrites the ring.
#[test]
fn a_group_joins_at_the_oldest_message() {
    joins_at(
        Model::named("a_group_joins_at_the_oldest_message").preemptions(3),
        Position::Oldest,
        2,
    );
}

/// While the producer publishes.
#[test]
fn a_group_joins_at_the_newest_message() {
    joins_at(
        Model::named("a_group_joins_at_the_newest_message").preemptions(3),
        Position::Newest,
        1,
    );
}

#[test]
fn a_group_joins_at_a_sequence() {
    joins_at(Model::named("a_group_joins_at_a_sequence").preemptions(3), Position::Sequence(1), 1);
}

/// The same while another group reads all along.
#[test]
fn a_group_joins_while_another_reads() {
    let model = Model::named("a_group_joins_while_another_reads").preemptions(3);
    model.reaches(&["joined low", "joined high", "held by the joined group"]).check(|run| {
        let segment = Segment::new(Shape { groups: 2, records: 2, ..SHAPE });
        let (joiner, both) = (Process::new(&segment), Process::new(&segment));
        let (other, _) = controlled(&both, || make(&both, Position::Oldest)).unwrap();
        let mut producer = Producer::attach(&both, 1).unwrap();
        producer.send().unwrap();
        producer.send().unwrap();
        producer.leave();
        let member = controlled(&both, || Consumer::join(&both, other)).unwrap().unwrap().member;
        let joins = spawn(move || {
            let (mut consumer, first) = Consumer::of_new(&joiner, Position::Oldest);
            consumer.take(1);
            joiner.torn_down();
            (consumer.member.group, first)
        });
        let notes = run.clone();
        // One thread for both: the group is never what the producer waits for.
        let writes = spawn(move || {
            let mut consumer = Consumer::of(&both, member);
            let mut producer = Producer::attach(&both, 1).unwrap();
            for _ in 0..3 {
                consumer.take(1);
                if let Err(NoRoom::Full { group, .. }) = producer.send() {
                    assert_ne!(group, Some(other));
                    notes.reach("held by the joined group");
                }
            }
            let tail = producer.tail();
            both.torn_down();
            tail
        });
        let (group, first) = joins.join().unwrap();
        let tail = writes.join().unwrap();
        run.reach(if first == 0 { "joined low" } else { "joined high" });
        for group in [group, other] {
            let last = Process::new(&segment);
            controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap().drain(2);
        }
        segment.settle(tail, &[(other, 0), (group, first)]);
    });
}

/// The maker of a group dies at each step. The producer frees what is half-made, and is never held by
/// a group that nobody knows of.
#[test]
fn a_half_made_group_holds_nobody() {
    let model = Model::named("a_half_made_group_holds_nobody").preemptions(3).mortals(1);
    model.reaches(&["made", "freed", "held"]).check(|run| {
        let segment = filled(SHAPE);
        let (joiner, writer) = (Process::new(&segment), Process::new(&segment));
        let made = Rc::new(Cell::new(None));
        let (notes, makes) = (run.clone(), Rc::clone(&made));
        let joins = spawn(move || {
            notes.mortal(0, &joiner, || {
                controlled(&joiner, || {
                    let group = make(&joiner, Position::Oldest);
                    makes.set(Some(group));
                    Consumer::join(&joiner, group.0).unwrap();
                })
            });
            joiner.torn_down();
        });
        let notes = run.clone();
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 2).unwrap();
            for _ in 0..2 {
                if producer.send_or_reap().is_err() {
                    notes.reach("held");
                }
            }
            producer.leave();
        });
        joins.join().unwrap();
        writes.join().unwrap();
        let last = Process::new(&segment);
        let mut producer = Producer::attach(&last, 3).unwrap();
        let Some((group, first)) = made.get() else {
            run.reach("freed");
            for _ in 0..3 {
                producer.send_or_reap().unwrap();
            }
            return;
        };
        // Made as a whole: it is there to stay, though its maker may have died since.
        run.reach("made");
        let mut consumer = controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap();
        consumer.drain(1);
        producer.send().unwrap();
        consumer.drain(1);
        segment.settle(producer.tail(), &[(group, first)]);
    });
}

/// An identity that has nothing in common with that of another letter.
fn identity(letter: u8, mode: u8) -> (Identity, Target) {
    let identity = Identity {
        name: [letter; GROUP_NAME_MAX],
        name_len: GROUP_NAME_MAX as u8,
        mode,
        retention: mode,
        max_attempts: 0,
        in_flight: None,
    };
    (identity, Target::named(&"d".repeat(mode.into())))
}

/// Pair identity: an inspector that takes no lease reads a group's name whole, with the queue for its dead letters, or not at
/// all.
#[test]
fn a_group_never_shows_half_a_name() {
    let model = Model::named("a_group_never_shows_half_a_name").preemptions(3);
    model.reaches(&["first", "second", "nothing"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (first, second) = (identity(b'a', 1), identity(b'b', 2));
        first.0.store(&first.1, segment.view().group(0));
        let writer = Process::new(&segment);
        let writes = spawn(move || second.0.store(&second.1, writer.view().group(0)));
        let (notes, inspector) = (run.clone(), Process::new(&segment));
        let inspects = spawn(move || match Identity::load_with_target(inspector.view().group(0)) {
            Some(found) if found == first => notes.reach("first"),
            Some(found) if found == second => notes.reach("second"),
            Some(found) => panic!("half a name: {found:?}"),
            None => notes.reach("nothing"),
        });
        writes.join().unwrap();
        inspects.join().unwrap();
        let found = Identity::load_with_target(segment.view().group(0)).unwrap();
        assert_eq!(found, second);
    });
}

/// The same; the writer of the name dies at each step, and the next one writes another.
#[test]
fn a_name_that_was_half_written_is_written_again() {
    let model = Model::named("a_name_that_was_half_written_is_written_again");
    model.mortals(1).reaches(&["first", "second", "third", "nothing"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let all = [identity(b'a', 1), identity(b'b', 2), identity(b'c', 3)];
        let [first, second, third] = all;
        first.0.store(&first.1, segment.view().group(0));
        let (notes, writer) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let words = writer.view().group(0);
            notes.mortal(0, &writer, || second.0.store(&second.1, words));
            third.0.store(&third.1, words);
        });
        let (notes, inspector) = (run.clone(), Process::new(&segment));
        let inspects = spawn(move || match Identity::load_with_target(inspector.view().group(0)) {
            Some(found) if found == first => notes.reach("first"),
            Some(found) if found == second => notes.reach("second"),
            Some(found) if found == third => notes.reach("third"),
            Some(found) => panic!("half a name: {found:?}"),
            None => notes.reach("nothing"),
        });
        writes.join().unwrap();
        inspects.join().unwrap();
        let found = Identity::load_with_target(segment.view().group(0));
        assert_eq!(found, Some(third), "it can never be read");
    });
}
