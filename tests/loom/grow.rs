//! Batches that grow, and what comes again in batches.

use loom::thread::spawn;

use super::explore::Model;
use super::heap::{Process, Segment, Shape};
use super::members::{Worker, filled};
use super::roles::{Consumer, Producer, controlled, make};
use crate::ring::groups::Position;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 2,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// A batch that has grown is acked from its front and grows at its end, while the producer overwrites what is
/// acked. Its consumer dies at each step; the next one gets all that was in it, at once, and grows that.
#[test]
fn a_grown_batch_comes_again_whole() {
    let model = Model::named("a_grown_batch_comes_again_whole").preemptions(3).mortals(1);
    model.reaches(&["slid", "came again", "grew from old to new", "full"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (x, y, writer) =
            (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&writer, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        producer.send().unwrap();
        producer.send().unwrap();
        let publisher = producer.publisher;
        let member =
            controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().unlimited().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &x, || {
                let mut consumer = Consumer::of(&x, member);
                let mut claim = consumer.claim(1).unwrap();
                assert_eq!(consumer.grow(&mut claim, 2), 1);
                consumer.ack(&mut claim, 1);
                if consumer.grow(&mut claim, 1) == 1 {
                    notes.reach("slid");
                }
                let end = claim.end;
                consumer.ack(&mut claim, end);
            });
            x.torn_down();
        });
        let notes = run.clone();
        let writes = spawn(move || {
            let mut producer = Producer::of(&writer, publisher, 1);
            for _ in 0..2 {
                if producer.send().is_err() {
                    notes.reach("full");
                }
            }
            producer.tail()
        });
        dies.join().unwrap();
        let tail = writes.join().unwrap();
        let last = controlled(&y, || Consumer::join(&y, group)).unwrap().unwrap();
        let mut last = last.unlimited();
        while let Some(mut claim) = last.claim(1) {
            let old = claim.again;
            while last.grow(&mut claim, 1) > 0 {}
            if (claim.start..claim.end).contains(&old) && old > claim.start {
                run.reach("grew from old to new");
            }
            let end = claim.end;
            last.ack(&mut claim, end);
        }
        if (0..tail).any(|seq| segment.ledger.redelivered(group, seq)) {
            run.reach("came again");
        }
        segment.settle(tail, &[(group, first)]);
    });
}

/// The same in one batch, without growth: two consumers die, and the third one takes all at once. The first message says
/// how often it came as the first of its batch.
#[test]
fn what_came_in_a_batch_comes_again_in_one() {
    let model = Model::named("what_came_in_a_batch_comes_again_in_one").preemptions(3).mortals(2);
    model.reaches(&["two at once", "third delivery"]).check(|run| {
        let segment = Segment::new(Shape { capacity: 4, ..SHAPE });
        let (x, y, z) = (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&z, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        for _ in 0..3 {
            producer.send().unwrap();
        }
        let member =
            controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().unlimited().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &x, || {
                let mut consumer = Consumer::of(&x, member);
                let mut claim = consumer.claim(2).unwrap();
                consumer.ack(&mut claim, 1);
                consumer.take(2);
                consumer.take(2);
            });
            x.torn_down();
        });
        let notes = run.clone();
        let dies_too = spawn(move || {
            notes.mortal(1, &y, || {
                if let Some(Some(consumer)) = controlled(&y, || Consumer::join(&y, group)) {
                    consumer.unlimited().drain(3);
                }
            });
            y.torn_down();
        });
        dies.join().unwrap();
        dies_too.join().unwrap();
        let last = controlled(&z, || Consumer::join(&z, group)).unwrap().unwrap();
        let mut last = last.unlimited();
        while let Some(mut claim) = last.claim(3) {
            if claim.end - claim.start == 2 && claim.attempts > 1 {
                run.reach("two at once");
            }
            if claim.attempts > 2 {
                run.reach("third delivery");
            }
            let end = claim.end;
            last.ack(&mut claim, end);
        }
        segment.settle(producer.tail(), &[(group, first)]);
    });
}

/// Where deliveries are counted, what was delivered before comes alone: a batch does not grow by it.
#[test]
fn a_batch_does_not_grow_by_what_is_counted() {
    let model = Model::named("a_batch_does_not_grow_by_what_is_counted").preemptions(3).mortals(2);
    model.reaches(&["alone", "grew by a new one", "third delivery"]).check(|run| {
        let segment = Segment::new(Shape { capacity: 4, ..SHAPE });
        let (x, y, z) = (Process::new(&segment), Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&z, 1).unwrap();
        let (group, first) = controlled(&x, || make(&x, Position::Oldest)).unwrap();
        for _ in 0..3 {
            producer.send().unwrap();
        }
        let member = controlled(&x, || Consumer::join(&x, group)).unwrap().unwrap().member;
        let notes = run.clone();
        let dies = spawn(move || {
            notes.mortal(0, &x, || {
                let mut consumer = Consumer::of(&x, member);
                consumer.take(2);
            });
            x.torn_down();
        });
        let work = |consumer: &mut Consumer, notes: &super::explore::Run| {
            while let Some(mut claim) = consumer.claim(1) {
                let (before, again) = (claim.again, claim.attempts > 1);
                if claim.attempts > 2 {
                    notes.reach("third delivery");
                }
                let more = consumer.grow(&mut claim, 3);
                if again && claim.end < before {
                    assert_eq!(more, 0);
                    notes.reach("alone");
                } else if again && more > 0 {
                    notes.reach("grew by a new one");
                }
                let end = claim.end;
                consumer.ack(&mut claim, end);
            }
        };
        let notes = run.clone();
        let dies_too = spawn(move || {
            notes.mortal(1, &y, || {
                if let Some(Some(mut consumer)) = controlled(&y, || Consumer::join(&y, group)) {
                    work(&mut consumer, &notes);
                }
            });
            y.torn_down();
        });
        dies.join().unwrap();
        dies_too.join().unwrap();
        work(&mut controlled(&z, || Consumer::join(&z, group)).unwrap().unwrap(), run);
        segment.settle(producer.tail(), &[(group, first)]);
    });
}

/// What a member of a shared group dies with, another one takes over, and dies at each step as well.
fn orphans(name: &'static str, prepare: fn(Worker) -> Worker, reached: &'static [&'static str]) {
    let model = Model::named(name).mortals(2);
    model.reaches(reached).check(move |run| {
        let (segment, writer) = filled(Shape { capacity: 4, records: 3, ..SHAPE }, 4);
        let [a, r, c] = [(); 3].map(|()| prepare(Worker::new(run, &segment, 0)));
        let a = a.dies(0, |worker| {
            worker.take(3);
        });
        let r = r.dies(1, |worker| {
            if worker.adopt() {
                worker.take(2);
                worker.take(2);
            }
        });
        a.join().unwrap();
        r.join().unwrap();
        c.settle(writer.tail());
    });
}

/// Two messages at a time.
#[test]
fn an_orphan_comes_again_in_batches() {
    const REACHED: &[&str] = &["adopted", "came again in a batch", "died unread", "third attempt"];
    orphans("an_orphan_comes_again_in_batches", Worker::unlimited, REACHED);
}

/// However many are asked for.
#[test]
fn an_orphan_comes_alone_where_deliveries_are_counted() {
    const REACHED: &[&str] = &["adopted", "came again", "died unread", "third attempt"];
    orphans("an_orphan_comes_alone_where_deliveries_are_counted", |worker| worker, REACHED);
}
