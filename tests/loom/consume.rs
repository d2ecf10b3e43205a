//! One exclusive group and one producer: the wrap, death and leaving of the consumer.

use loom::thread::{spawn, yield_now};

use super::explore::Model;
use super::heap::{Process, Segment, Shape};
use super::roles::{Consumer, Producer, controlled, make};
use crate::ring::groups::Position;
use crate::ring::publish::NoRoom;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 2,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// Four messages through two slots, taken up to two at a time.
#[test]
fn every_message_arrives_across_the_wrap() {
    let model = Model::named("every_message_arrives_across_the_wrap");
    model.reaches(&["full", "two at once"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (reader, writer) = (Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&writer, 1).unwrap();
        let (group, first) = controlled(&reader, || make(&reader, Position::Oldest)).unwrap();
        producer.send().unwrap();
        producer.leave();
        let notes = run.clone();
        let reads = spawn(move || {
            let mut consumer =
                controlled(&reader, || Consumer::join(&reader, group)).unwrap().unwrap();
            while consumer.member.head() < 4 {
                let from = consumer.member.head();
                if !consumer.take(2) {
                    yield_now();
                } else if consumer.member.head() == from + 2 {
                    notes.reach("two at once");
                }
            }
        });
        let notes = run.clone();
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 1).unwrap();
            while producer.tail() < 4 {
                if producer.send().is_err() {
                    notes.reach("full");
                    yield_now();
                }
            }
        });
        reads.join().unwrap();
        writes.join().unwrap();
        segment.settle(4, &[(group, first)]);
    });
}

/// The consumer dies at each step, between reading and acking, too; another one takes its group
/// over while the producer overwrites what is acked.
#[test]
fn a_consumers_death_loses_nothing() {
    let model = Model::named("a_consumers_death_loses_nothing").preemptions(3).mortals(1);
    model.reaches(&["came again", "taken over", "full"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (x, y, z) = (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let writer = Process::new(&segment);
        let mut producer = Producer::attach(&writer, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        producer.send().unwrap();
        producer.send().unwrap();
        producer.leave();
        // Joined here, so that the takeover finds it busy or dead.
        let member = controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &x, || {
                let mut consumer = Consumer::of(&x, member);
                consumer.take(2);
                consumer.take(1);
                controlled(&x, || consumer.leave());
            });
            x.torn_down();
        });
        let notes = run.clone();
        let resumes = spawn(move || {
            if let Some(Some(mut consumer)) = controlled(&y, || Consumer::join(&y, group)) {
                notes.reach("taken over");
                consumer.take(1);
                consumer.take(2);
            }
            y.torn_down();
        });
        let notes = run.clone();
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 1).unwrap();
            for _ in 0..2 {
                if matches!(producer.send(), Err(NoRoom::Full { .. })) {
                    notes.reach("full");
                }
            }
            producer.tail()
        });
        dies.join().unwrap();
        resumes.join().unwrap();
        let tail = writes.join().unwrap();
        let mut last = controlled(&z, || Consumer::join(&z, group)).unwrap().unwrap();
        last.drain(2);
        if (0..tail).any(|seq| segment.ledger.redelivered(group, seq)) {
            run.reach("came again");
        }
        segment.settle(tail, &[(group, first)]);
    });
}

/// Two consumers die one after the other, the second while it takes again what the first had: a message
/// says exactly how often it came.
#[test]
fn attempts_are_exact_when_the_second_consumer_dies_too() {
    let model = Model::named("attempts_are_exact_when_the_second_consumer_dies_too")
        .preemptions(3)
        .mortals(2);
    model.reaches(&["fourth delivery"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (x, y, z) = (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&z, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        producer.send().unwrap();
        producer.send().unwrap();
        let member = controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &x, || {
                let mut consumer = Consumer::of(&x, member);
                consumer.claim(2);
                // Dropped without an ack: it comes again, one by one.
                consumer.take(2);
                consumer.take(2);
            });
            x.torn_down();
        });
        let notes = run.clone();
        let dies_too = spawn(move || {
            notes.mortal(1, &y, || {
                if let Some(Some(mut consumer)) = controlled(&y, || Consumer::join(&y, group)) {
                    consumer.drain(2);
                }
            });
            y.torn_down();
        });
        dies.join().unwrap();
        dies_too.join().unwrap();
        let mut last = controlled(&z, || Consumer::join(&z, group)).unwrap().unwrap();
        while let Some(mut claim) = last.claim(2) {
            if claim.attempts > 3 {
                run.reach("fourth delivery");
            }
            let end = claim.end;
            last.ack(&mut claim, end);
        }
        segment.settle(producer.tail(), &[(group, first)]);
    });
}

/// The same, and both find that they cannot try: those deliveries do not count, at whatever step they die.
#[test]
fn a_delivery_that_was_not_tried_is_not_counted() {
    let model =
        Model::named("a_delivery_that_was_not_tried_is_not_counted").preemptions(3).mortals(2);
    model.reaches(&["uncounted", "third delivery"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (x, y, z) = (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&z, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        producer.send().unwrap();
        producer.send().unwrap();
        let member = controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &x, || {
                let mut consumer = Consumer::of(&x, member);
                let claim = consumer.claim(2).unwrap();
                consumer.uncount(&claim);
                // It comes again, to be tried, and the other one.
                consumer.take(2);
                if let Some(claim) = consumer.claim(2) {
                    consumer.uncount(&claim);
                }
            });
            x.torn_down();
        });
        let notes = run.clone();
        let dies_too = spawn(move || {
            notes.mortal(1, &y, || {
                if let Some(Some(mut consumer)) = controlled(&y, || Consumer::join(&y, group)) {
                    if let Some(claim) = consumer.claim(2) {
                        consumer.uncount(&claim);
                    }
                    consumer.claim(2);
                    consumer.drain(2);
                }
            });
            y.torn_down();
        });
        dies.join().unwrap();
        dies_too.join().unwrap();
        let mut last = controlled(&z, || Consumer::join(&z, group)).unwrap().unwrap();
        while let Some(mut claim) = last.claim(2) {
            if segment.ledger.redelivered(group, claim.start) {
                match claim.attempts {
                    1 => run.reach("uncounted"),
                    2 => {}
                    _ => run.reach("third delivery"),
                }
            }
            let end = claim.end;
            last.ack(&mut claim, end);
        }
        segment.settle(producer.tail(), &[(group, first)]);
    });
}

/// A consumer acks a part of its batch and leaves; the next one goes on in the middle.
#[test]
fn a_partly_acked_batch_goes_on_where_it_was_left() {
    let model = Model::named("a_partly_acked_batch_goes_on_where_it_was_left").preemptions(3);
    model.reaches(&["handed over", "overwritten"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (x, y, writer) =
            (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&writer, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        producer.send().unwrap();
        producer.send().unwrap();
        producer.leave();
        let member = controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().member;
        let leaves = spawn(move || {
            let mut consumer = Consumer::of(&x, member);
            let mut claim = consumer.claim(2).unwrap();
            consumer.ack(&mut claim, 1);
            let left = controlled(&x, || consumer.leave()).is_some();
            x.torn_down();
            left
        });
        let notes = run.clone();
        let follows = spawn(move || {
            if let Some(Some(mut consumer)) = controlled(&y, || Consumer::join(&y, group)) {
                notes.reach("handed over");
                consumer.take(1);
            }
            y.torn_down();
        });
        let notes = run.clone();
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 1).unwrap();
            if producer.send().is_ok() && producer.send().is_ok() {
                notes.reach("overwritten");
            }
            producer.tail()
        });
        leaves.join().unwrap();
        follows.join().unwrap();
        let tail = writes.join().unwrap();
        let last = Process::new(&segment);
        controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap().drain(2);
        segment.settle(tail, &[(group, first)]);
    });
}
