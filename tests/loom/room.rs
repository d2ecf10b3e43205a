//! The producer sleeps until there is room worth a wake-up. Needless wake-ups are no failures; one that is
//! missing is a deadlock, as in `sleep`.

use std::rc::Rc;
use std::time::Duration;

use loom::thread::{JoinHandle, spawn};

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::members::{Worker, filled};
use super::park::{SHAPE, alone, bound_passes, data, send_run, sleep};
use super::roles::{Consumer, Producer, controlled};
use crate::ring::exclusive::ExclusiveConsumer;
use crate::ring::notify;
use crate::ring::park::{self, Waiter};
use crate::ring::publish::Publisher;
use crate::sync::set_barriers_over;

/// As `alone`, full.
fn full(shape: Shape) -> (Rc<Segment>, Process, Publisher) {
    let (segment, process, publisher) = alone(shape);
    let mut producer = Producer::of(&process, publisher, 1);
    producer.send_run(shape.capacity).unwrap();
    let publisher = producer.publisher;
    (segment, process, publisher)
}

/// A consumer of an exclusive group, between its threads.
struct Reader(Process, ExclusiveConsumer);

impl Reader {
    fn new(segment: &Rc<Segment>, group: u8) -> Reader {
        let process = Process::new(segment);
        let join = || Consumer::join(&process, group).unwrap().member;
        let member = controlled(&process, join).unwrap();
        Reader(process, member)
    }

    /// Takes `n` messages that are there, one by one.
    fn takes(self, n: u32) -> Reader {
        let Reader(process, member) = self;
        let mut consumer = Consumer::of(&process, member);
        for _ in 0..n {
            assert!(consumer.take(1));
        }
        let member = consumer.member;
        Reader(process, member)
    }

    /// A thread in which it does so.
    fn reads(self, n: u32) -> JoinHandle<Reader> {
        spawn(move || self.takes(n))
    }

    /// Takes all that is left.
    fn drain(self) {
        Consumer::of(&self.0, self.1).drain(2);
    }
}

/// Sends `n` messages at once. What `begin` begins comes after the producer's barrier.
fn sends_before<T>(
    run: &Run,
    process: &Process,
    producer: &mut Producer,
    n: u64,
    begin: impl FnOnce() -> T,
) -> T {
    let threshold = producer.publisher.threshold(process.view(), n);
    let (mut begin, mut begun) = (Some(begin), None);
    set_barriers_over(true);
    sleep(run, [Waiter::room(process.view(), threshold)], || {
        let sent = producer.send_run(n).ok();
        if let Some(begin) = begin.take() {
            begun = Some(begin());
        }
        sent
    });
    begun.unwrap()
}

/// The first ack is not enough.
#[test]
fn a_producer_that_asks_for_two_sleeps_until_both_are_free() {
    let model = Model::named("a_producer_that_asks_for_two_sleeps_until_both_are_free");
    model.reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = full(SHAPE);
        let reads = Reader::new(&segment, 0).reads(2);
        let mut producer = Producer::of(&process, publisher, 1);
        send_run(run, &process, &mut producer, 2);
        reads.join().unwrap().drain();
        segment.settle(producer.tail(), &[(0, 0)]);
    });
}

/// Neither of two groups has made the room alone.
#[test]
fn two_groups_that_ack_at_once_wake_the_producer() {
    let model = Model::named("two_groups_that_ack_at_once_wake_the_producer");
    model.reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = full(Shape { capacity: 1, groups: 2, ..SHAPE });
        let reads = [0, 1].map(|group| Reader::new(&segment, group).reads(1));
        let mut producer = Producer::of(&process, publisher, 1);
        send_run(run, &process, &mut producer, 1);
        reads.into_iter().for_each(|reads| reads.join().unwrap().drain());
        segment.settle(producer.tail(), &[(0, 0), (1, 0)]);
    });
}

/// The same, long after the producer's barrier.
#[test]
fn two_groups_that_ack_for_a_sleeping_producer_see_each_other() {
    let model = Model::named("two_groups_that_ack_for_a_sleeping_producer_see_each_other");
    model.reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = full(Shape { capacity: 1, groups: 2, ..SHAPE });
        let readers = [0, 1].map(|group| Reader::new(&segment, group));
        let mut producer = Producer::of(&process, publisher, 1);
        let begin = || readers.map(|reader| reader.reads(1));
        let reads = sends_before(run, &process, &mut producer, 1, begin);
        reads.into_iter().for_each(|reads| reads.join().unwrap().drain());
        segment.settle(producer.tail(), &[(0, 0), (1, 0)]);
    });
}

/// A member that has claimed a message, and a thread in which it acks that.
fn holder(run: &Run, segment: &Rc<Segment>) -> impl FnOnce() -> JoinHandle<Worker> + use<> {
    let mut worker = Worker::new(run, segment, 0);
    let mut claim = worker.claim(1).unwrap();
    worker.read(&claim, claim.start);
    || {
        spawn(move || {
            let end = claim.end;
            worker.ack(&mut claim, end);
            worker
        })
    }
}

/// Two members have a message each, and the producer wants room for two.
#[test]
fn two_members_that_ack_at_once_wake_the_producer() {
    let model = Model::named("two_members_that_ack_at_once_wake_the_producer");
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 2);
        let [a, b] = [(); 2].map(|()| holder(run, &segment)).map(|acks| acks());
        let writer = writer.produce(|process, producer| send_run(run, process, producer, 2));
        // It lives until all is settled.
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// The same, long after the producer's barrier.
#[test]
fn two_members_that_ack_for_a_sleeping_producer_see_each_other() {
    let model = Model::named("two_members_that_ack_for_a_sleeping_producer_see_each_other");
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 2);
        let holders = [(); 2].map(|()| holder(run, &segment));
        let mut acks = None;
        let writer = writer.produce(|process, producer| {
            let begin = || holders.map(|acks| acks());
            acks = Some(sends_before(run, process, producer, 2, begin));
        });
        let [a, b] = acks.unwrap();
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// The threshold of the first sleep would never be reached.
#[test]
fn a_smaller_threshold_after_one_that_timed_out_is_seen() {
    let model = Model::named("a_smaller_threshold_after_one_that_timed_out_is_seen");
    model.reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = full(SHAPE);
        let reads = Reader::new(&segment, 0).reads(1);
        let mut producer = Producer::of(&process, publisher, 1);
        let view = process.view();
        let two = Waiter::room(view, producer.publisher.threshold(view, 2));
        let look = || {
            bound_passes(&view.control().room.word);
            Ok::<_, ()>(producer.room(2).ok())
        };
        let room = park::sleep(&mut [two], || Duration::MAX, look);
        assert_eq!(room, Ok(None), "one is acked at most");
        send_run(run, &process, &mut producer, 1);
        reads.join().unwrap().drain();
        segment.settle(producer.tail(), &[(0, 0)]);
    });
}

/// Of a full ring, one member holds all but a message. The other one acks that, and waits for the next,
/// though the room for it is not worth a wake-up.
#[test]
fn a_member_that_finds_nothing_wakes_the_producer_for_less() {
    let model = Model::named("a_member_that_finds_nothing_wakes_the_producer_for_less");
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 8, ..SHAPE }, 8);
        let [mut a, mut b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let mut first = a.claim(1).unwrap();
        let mut others = b.claim(7).unwrap();
        a.read(&first, 0);
        (1..8).for_each(|seq| b.read(&others, seq));
        let notes = run.clone();
        let a = spawn(move || {
            a.ack(&mut first, 1);
            let segment = a.segment();
            let view = segment.view();
            let longest = || {
                notes.reach("slept");
                notify::any_room(view);
                Duration::MAX
            };
            let mut look = || Ok::<_, ()>(a.take(1).then_some(()));
            while park::sleep(&mut [Waiter::new(view, data(view, 0))], longest, &mut look)
                == Ok(None)
            {}
            a
        });
        let writer = writer.produce(|process, producer| send_run(run, process, producer, 1));
        let _a = a.join().unwrap();
        b.ack(&mut others, 8);
        b.settle(writer.tail());
    });
}
