//! The producer dies or leaves at every step, and the next one goes on.

use std::rc::Rc;

use loom::thread::{JoinHandle, spawn};

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::roles::{Consumer, Producer, controlled, make};
use crate::ring::groups::Position;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 1,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// A segment with a group at its start.
fn with_group(shape: Shape) -> (Rc<Segment>, u8) {
    let segment = Segment::new(shape);
    let process = Process::new(&segment);
    let (group, _) = controlled(&process, || make(&process, Position::Oldest)).unwrap();
    (segment, group)
}

/// Publishes `n` messages, and leaves.
fn publish(segment: &Rc<Segment>, n: u64) {
    let process = Process::new(segment);
    let mut producer = Producer::attach(&process, 1).unwrap();
    for _ in 0..n {
        producer.send().unwrap();
    }
    producer.leave();
}

/// A thread whose producer does `life` and dies on the way, as the run's mortal.
fn dying(
    run: &Run,
    segment: &Rc<Segment>,
    life: impl Fn(&mut Producer) + 'static,
) -> JoinHandle<()> {
    let (run, process) = (run.clone(), Process::new(segment));
    // Here, so that it is the first.
    let publisher = Producer::attach(&process, 1).unwrap().publisher;
    spawn(move || {
        run.mortal(0, &process, || {
            let mut producer = Producer::of(&process, publisher, 1);
            life(&mut producer);
            producer.leave();
        });
    })
}

/// A thread that takes the role over once, if it is free.
fn successor(run: &Run, segment: &Rc<Segment>) -> JoinHandle<()> {
    let (run, process) = (run.clone(), Process::new(segment));
    spawn(move || {
        if let Some(mut producer) = Producer::attach(&process, 2) {
            run.reach("taken over");
            let _ = producer.send();
            producer.leave();
        }
    })
}

/// A thread that reads for `group` while all that happens, `max` messages at a time.
fn reader(segment: &Rc<Segment>, group: u8, max: u64) -> JoinHandle<()> {
    let process = Process::new(segment);
    spawn(move || {
        let mut consumer =
            controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap();
        consumer.take(max);
        consumer.take(max);
        process.torn_down();
    })
}

/// At the end another producer and another consumer go on; all must have arrived.
fn settle(run: &Run, segment: &Rc<Segment>, group: u8) {
    let (writer, reader) = (Process::new(segment), Process::new(segment));
    let mut producer = Producer::attach(&writer, 3).unwrap();
    let mut consumer = controlled(&reader, || Consumer::join(&reader, group)).unwrap().unwrap();
    if segment.ledger.publisher(producer.tail().saturating_sub(1)) == Some(1) {
        run.reach("stopped early");
    }
    consumer.drain(2);
    producer.send().unwrap();
    consumer.drain(2);
    segment.settle(producer.tail(), &[(group, 0)]);
}

/// A producer dies while it sends messages one by one.
#[test]
fn a_producers_death_leaves_whole_messages() {
    let model = Model::named("a_producers_death_leaves_whole_messages").preemptions(3);
    let model = model.mortals(1).seconds(6.0);
    model.reaches(&["taken over", "stopped early"]).check(|run| {
        let (segment, group) = with_group(SHAPE);
        publish(&segment, 1);
        let roles = [
            dying(run, &segment, |producer| {
                let _ = producer.send();
                let _ = producer.send();
            }),
            reader(&segment, group, 2),
            successor(run, &segment),
        ];
        roles.into_iter().for_each(|role| role.join().unwrap());
        settle(run, &segment, group);
    });
}

/// A producer dies in a batch; its first part stays.
#[test]
fn a_batch_is_cut_at_its_producers_death() {
    let model = Model::named("a_batch_is_cut_at_its_producers_death").preemptions(3).mortals(1);
    model.reaches(&["taken over", "stopped early"]).check(|run| {
        let (segment, group) = with_group(SHAPE);
        let roles = [
            dying(run, &segment, |producer| producer.send_run(2).unwrap()),
            reader(&segment, group, 2),
            successor(run, &segment),
        ];
        roles.into_iter().for_each(|role| role.join().unwrap());
        settle(run, &segment, group);
    });
}

/// The same for slots that are written in place: all reclaimed, all written, then stamped.
#[test]
fn a_reservation_is_cut_at_its_producers_death() {
    let model =
        Model::named("a_reservation_is_cut_at_its_producers_death").preemptions(3).mortals(1);
    model.reaches(&["taken over", "stopped early"]).check(|run| {
        let (segment, group) = with_group(SHAPE);
        let roles = [
            dying(run, &segment, |producer| {
                producer.reserve(2).unwrap();
                producer.publish(2);
            }),
            reader(&segment, group, 2),
            successor(run, &segment),
        ];
        roles.into_iter().for_each(|role| role.join().unwrap());
        settle(run, &segment, group);
    });
}

/// The role passes on by leaving, with slots that were written and given back: the next producer's
/// writes come after them, by nothing but the lease.
#[test]
fn the_lease_orders_one_producer_after_the_other() {
    let model = Model::named("the_lease_orders_one_producer_after_the_other").preemptions(3);
    model.reaches(&["taken over"]).check(|run| {
        let (segment, group) = with_group(SHAPE);
        let (first, second) = (Process::new(&segment), Process::new(&segment));
        let publisher = Producer::attach(&first, 1).unwrap().publisher;
        let leaves = spawn(move || {
            let mut producer = Producer::of(&first, publisher, 1);
            producer.reserve(2).unwrap();
            producer.publish(1);
            producer.leave();
        });
        let notes = run.clone();
        let follows = spawn(move || {
            if let Some(mut producer) = Producer::attach(&second, 2) {
                if producer.tail() > 0 {
                    notes.reach("taken over");
                }
                let _ = producer.send();
                producer.leave();
            }
        });
        let reads = reader(&segment, group, 2);
        leaves.join().unwrap();
        follows.join().unwrap();
        reads.join().unwrap();
        settle(run, &segment, group);
    });
}

/// A group that joins at the oldest message while producers come and go, and reads once.
fn joiner(run: &Run, segment: &Rc<Segment>) -> JoinHandle<(u8, u64)> {
    let (run, process) = (run.clone(), Process::new(segment));
    spawn(move || {
        let (mut consumer, first) = Consumer::of_new(&process, Position::Oldest);
        if first == 0 {
            run.reach("joined at 0");
        } else {
            run.reach("joined above 0");
        }
        consumer.take(1);
        process.torn_down();
        (consumer.member.group, first)
    })
}

/// The joined group finds every message from its first on.
fn settle_joined(segment: &Rc<Segment>, (group, first): (u8, u64)) {
    let (writer, reader) = (Process::new(segment), Process::new(segment));
    let mut producer = Producer::attach(&writer, 3).unwrap();
    let mut consumer = controlled(&reader, || Consumer::join(&reader, group)).unwrap().unwrap();
    // What is half-written is written again.
    let _ = producer.send();
    consumer.drain(1);
    producer.send().unwrap();
    consumer.drain(1);
    segment.settle(producer.tail(), &[(group, first)]);
}

/// The producer dies in the slow path or in a slot while a group joins at the oldest message, and
/// another one takes over.
#[test]
fn a_group_joins_while_producers_change() {
    let model = Model::named("a_group_joins_while_producers_change").preemptions(3);
    let model = model.mortals(1).seconds(8.0);
    model.reaches(&["taken over", "joined at 0", "joined above 0"]).check(|run| {
        let segment = Segment::new(SHAPE);
        publish(&segment, 2);
        let dies = dying(run, &segment, |producer| {
            let _ = producer.send();
        });
        let joins = joiner(run, &segment);
        let follows = successor(run, &segment);
        dies.join().unwrap();
        follows.join().unwrap();
        settle_joined(&segment, joins.join().unwrap());
    });
}

/// Two producers die one after the other in the slow path or in a slot while a group joins.
#[test]
fn a_group_joins_while_two_producers_die() {
    let model = Model::named("a_group_joins_while_two_producers_die").preemptions(3);
    let model = model.mortals(2).seconds(0.5);
    model.reaches(&["joined at 0", "joined above 0"]).check(|run| {
        let segment = Segment::new(SHAPE);
        publish(&segment, 2);
        let (notes, first, second) = (run.clone(), Process::new(&segment), Process::new(&segment));
        // In one thread: the second one cannot come before the first is gone.
        let die = spawn(move || {
            for (who, process) in [first, second].iter().enumerate() {
                notes.mortal(who, process, || {
                    let mut producer = Producer::attach(process, who as u32 + 1).unwrap();
                    let _ = producer.send();
                    producer.leave();
                });
            }
        });
        let joins = joiner(run, &segment);
        die.join().unwrap();
        settle_joined(&segment, joins.join().unwrap());
    });
}

/// A producer dies in a reservation of the whole ring, all its stamps taken back, while a group
/// joins.
#[test]
fn a_group_joins_while_a_reservation_dies() {
    let model = Model::named("a_group_joins_while_a_reservation_dies");
    let model = model.mortals(1).seconds(5.0);
    model.reaches(&["taken over", "joined at 0", "joined above 0"]).check(|run| {
        let segment = Segment::new(SHAPE);
        publish(&segment, 2);
        let dies = dying(run, &segment, |producer| {
            if producer.reserve(2).is_ok() {
                producer.publish(2);
            }
        });
        let joins = joiner(run, &segment);
        let follows = successor(run, &segment);
        dies.join().unwrap();
        follows.join().unwrap();
        settle_joined(&segment, joins.join().unwrap());
    });
}
