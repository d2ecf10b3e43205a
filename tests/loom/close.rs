//! A producer closes the queue: readers are told once they have seen all, and never before.

use std::rc::Rc;

use loom::sync::atomic::AtomicU64;
use loom::thread::{JoinHandle, spawn};

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::members::{Worker, filled};
use super::roles::{Consumer, Observer, Producer, controlled, make};
use crate::ring::close;
use crate::ring::groups::Position;
use crate::sync::Ordering;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 1,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// A consumer that polls a few times, until it is told.
fn reads(run: &Run, consumer: &mut Consumer, looks: u32) {
    for _ in 0..looks {
        if consumer.take(2) {
            continue;
        }
        if consumer.is_over() {
            run.reach("told");
            return;
        }
        run.reach("not yet");
    }
}

/// A segment with a group, and a thread that reads for it.
fn with_reader(run: &Run, looks: u32) -> (Rc<Segment>, u8, JoinHandle<()>) {
    let segment = Segment::new(SHAPE);
    let process = Process::new(&segment);
    let (group, _) = controlled(&process, || make(&process, Position::Oldest)).unwrap();
    let member = controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap().member;
    let run = run.clone();
    let reader = spawn(move || {
        reads(&run, &mut Consumer::of(&process, member), looks);
        process.torn_down();
    });
    (segment, group, reader)
}

/// At the end a consumer reads what is left, and is told.
fn settle(segment: &Rc<Segment>, group: u8, first: u64, tail: u64) {
    let process = Process::new(segment);
    let mut last = controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap();
    last.drain(2);
    assert!(last.is_over(), "all is read, and nobody is told");
    segment.settle(tail, &[(group, first)]);
}

/// A consumer reads while the last messages are sent and the queue is closed.
#[test]
fn a_consumer_is_told_after_the_last_message() {
    let model = Model::named("a_consumer_is_told_after_the_last_message").preemptions(3);
    model.reaches(&["told", "not yet"]).check(|run| {
        let (segment, group, reader) = with_reader(run, 3);
        let writer = Process::new(&segment);
        let writes = spawn(move || {
            let mut producer = Producer::reopen(&writer, 1).unwrap();
            producer.send_run(2).unwrap();
            producer.close();
        });
        writes.join().unwrap();
        reader.join().unwrap();
        settle(&segment, group, 0, 2);
    });
}

/// A group is made at the oldest message meanwhile.
#[test]
fn a_group_joins_while_the_queue_is_closed() {
    let model = Model::named("a_group_joins_while_the_queue_is_closed").preemptions(3);
    model.reaches(&["told", "not yet"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (reader, writer) = (Process::new(&segment), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::reopen(&writer, 1).unwrap();
            producer.send().unwrap();
            producer.close();
        });
        let notes = run.clone();
        let joins = spawn(move || {
            let (mut consumer, first) = Consumer::of_new(&reader, Position::Oldest);
            reads(&notes, &mut consumer, 2);
            reader.torn_down();
            (consumer.member.group, first)
        });
        writes.join().unwrap();
        let (group, first) = joins.join().unwrap();
        settle(&segment, group, first, 1);
    });
}

/// An observer, which the producer laps.
#[test]
fn an_observer_is_told_after_the_last_message() {
    let model = Model::named("an_observer_is_told_after_the_last_message");
    model.reaches(&["told", "not yet", "lapped"]).check(|run| {
        let segment = Segment::new(Shape { capacity: 1, observed: true, ..SHAPE });
        let (writer, watcher) = (Process::new(&segment), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::reopen(&writer, 1).unwrap();
            producer.send().unwrap();
            producer.send().unwrap();
            producer.close();
        });
        let notes = run.clone();
        let watches = spawn(move || {
            let mut observer = Observer::new(&watcher);
            for _ in 0..2 {
                if observer.look() {
                    continue;
                }
                notes.reach(if observer.is_over() { "told" } else { "not yet" });
            }
            if observer.missed > 0 {
                notes.reach("lapped");
            }
        });
        writes.join().unwrap();
        watches.join().unwrap();
    });
}

/// Closed, opened again and closed again.
#[test]
fn a_queue_that_is_opened_again_is_not_over() {
    let model = Model::named("a_queue_that_is_opened_again_is_not_over").preemptions(3);
    model.reaches(&["told", "not yet"]).check(|run| {
        let (segment, group, reader) = with_reader(run, 3);
        let [first, second] = [(); 2].map(|()| Process::new(&segment));
        Producer::reopen(&first, 1).unwrap().close();
        let writes = spawn(move || {
            let mut producer = Producer::reopen(&first, 1).unwrap();
            producer.send().unwrap();
            producer.close();
            let mut producer = Producer::reopen(&second, 2).unwrap();
            producer.send().unwrap();
            producer.leave();
        });
        writes.join().unwrap();
        reader.join().unwrap();
        let last = Process::new(&segment);
        let mut consumer = controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap();
        consumer.drain(2);
        assert!(!consumer.is_over(), "told so, though it was opened again");
        segment.settle(2, &[(group, 0)]);
    });
}

/// The producer dies at each step until the queue is closed; another one takes over, and closes it.
#[test]
fn a_producer_that_dies_in_close_has_closed_or_not() {
    let model = Model::named("a_producer_that_dies_in_close_has_closed_or_not").mortals(1);
    model.reaches(&["told", "not yet", "taken over", "closed at its death"]).check(|run| {
        let (segment, group, reader) = with_reader(run, 3);
        let [first, second, third] = [(); 3].map(|()| Process::new(&segment));
        let notes = run.clone();
        // Here, so that it is the first.
        let publisher = Producer::reopen(&first, 1).unwrap().publisher;
        let dies = spawn(move || {
            notes.mortal(0, &first, || {
                let mut producer = Producer::of(&first, publisher, 1);
                producer.send().unwrap();
                producer.close();
            });
        });
        let notes = run.clone();
        let follows = spawn(move || {
            if let Some(mut producer) = Producer::reopen(&second, 2) {
                notes.reach("taken over");
                producer.send().unwrap();
                producer.leave();
            }
        });
        dies.join().unwrap();
        follows.join().unwrap();
        reader.join().unwrap();
        let last = Process::new(&segment);
        let mut consumer = controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap();
        consumer.drain(2);
        if consumer.is_over() {
            run.reach("closed at its death");
        }
        let mut producer = Producer::reopen(&third, 3).unwrap();
        assert!(!consumer.is_over(), "told so, though it was opened again");
        let _ = producer.send();
        let tail = producer.tail();
        producer.close();
        consumer.drain(2);
        assert!(consumer.is_over(), "all is read, and nobody is told");
        segment.settle(tail, &[(group, 0)]);
    });
}

/// A producer closes and another one takes its place, and a third goes without a word: a consumer is told that
/// the producer is gone only of the last.
#[test]
fn a_producer_that_was_never_missing_is_not_missed() {
    let model = Model::named("a_producer_that_was_never_missing_is_not_missed").preemptions(3);
    model.reaches(&["looked"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let reader = Process::new(&segment);
        let (group, _) = controlled(&reader, || make(&reader, Position::Oldest)).unwrap();
        let member =
            controlled(&reader, || Consumer::join(&reader, group)).unwrap().unwrap().member;
        let [first, second] = [(); 2].map(|()| Process::new(&segment));
        let notes = run.clone();
        let looks = spawn(move || {
            let consumer = Consumer::of(&reader, member);
            for _ in 0..2 {
                assert!(!consumer.misses_producer(), "there always was one, or it had closed");
                notes.reach("looked");
            }
            reader.torn_down();
        });
        let publisher = Producer::reopen(&first, 1).unwrap().publisher;
        Producer::of(&first, publisher, 1).close();
        let stays = Producer::reopen(&second, 2).unwrap();
        looks.join().unwrap();
        stays.leave();
        let last = Process::new(&segment);
        let consumer = controlled(&last, || Consumer::join(&last, group)).unwrap().unwrap();
        assert!(consumer.misses_producer(), "it went without a word");
    });
}

/// A consumer of a closed queue and of its queue of retries, which has its name once `there` is 1.
struct Retrier<'p> {
    main: Consumer<'p>,
    retries: Consumer<'p>,
    there: Rc<AtomicU64>,
}

impl Retrier<'_> {
    /// As `Retries::take`. A consumer that is told of retries finds their queue.
    fn take(&mut self) -> bool {
        if !self.main.has_retries() {
            return false;
        }
        assert_eq!(self.there.load(Ordering::Relaxed), 1, "told of a queue that is not there");
        self.retries.take(1)
    }

    /// As `Retries::are_drained`: without their queue there are none.
    fn has_ended(&self) -> bool {
        let there = || self.there.load(Ordering::Relaxed) == 1;
        self.main.has_ended(|| !there() || self.retries.is_drained())
    }
}

/// A letter is sent again, and then the queue is closed: a consumer that polls meanwhile is not told before it has
/// had the letter.
#[test]
fn a_letter_that_was_sent_again_comes_before_the_end() {
    let model = Model::named("a_letter_that_was_sent_again_comes_before_the_end").preemptions(3);
    model.reaches(&["told", "not yet", "letter"]).check(|run| {
        let segments = [(); 2].map(|()| Segment::new(SHAPE));
        let made = segments.each_ref().map(|segment| {
            let process = Process::new(segment);
            let group = controlled(&process, || make(&process, Position::Oldest)).unwrap().0;
            let member = controlled(&process, || Consumer::join(&process, group)).unwrap();
            let member = member.unwrap().member;
            (process, member)
        });
        let group = made[0].1.group;
        let writers = segments.each_ref().map(Process::new);
        let publisher = Producer::reopen(&writers[0], 1).unwrap().publisher;
        let there = Rc::new(AtomicU64::new(0));
        let exists = Rc::clone(&there);
        let requeues = spawn(move || {
            let [main, retries] = writers;
            exists.store(1, Ordering::Relaxed);
            controlled(&main, || close::announce_retries(main.view(), group)).unwrap();
            let mut letters = Producer::attach(&retries, 2).unwrap();
            letters.send().unwrap();
            letters.leave();
            Producer::of(&main, publisher, 1).close();
        });
        let (notes, exists) = (run.clone(), Rc::clone(&there));
        let reads = spawn(move || {
            let [(main, member), (retries, other)] = made;
            let mut consumer = Retrier {
                main: Consumer::of(&main, member),
                retries: Consumer::of(&retries, other),
                there: exists,
            };
            let mut had = false;
            for _ in 0..3 {
                if consumer.take() {
                    notes.reach("letter");
                    had = true;
                } else if consumer.has_ended() {
                    notes.reach("told");
                    assert!(had, "told before the letter");
                } else {
                    notes.reach("not yet");
                }
            }
            drop(consumer);
            [main, retries].iter().for_each(Process::torn_down);
        });
        requeues.join().unwrap();
        reads.join().unwrap();
        let [main, retries] = segments.each_ref().map(Process::new);
        let join =
            |process| controlled(process, || Consumer::join(process, group)).unwrap().unwrap();
        let mut last = Retrier { main: join(&main), retries: join(&retries), there };
        while last.take() {}
        assert!(last.has_ended(), "all is acked, and nobody is told");
        segments[1].settle(1, &[(group, 0)]);
    });
}

/// What a member did with the message before it acked it.
type Work = Rc<AtomicU64>;

/// Takes the message, if it is there, works on it and acks it.
fn work(worker: &mut Worker, work: &Work) -> bool {
    let Some(mut claim) = worker.claim(1) else { return false };
    worker.read(&claim, claim.start);
    work.store(1, Ordering::Relaxed);
    let end = claim.end;
    worker.ack(&mut claim, end);
    true
}

/// The same, or finds that all is over: the work is done then.
fn work_or_end(run: &Run, worker: &mut Worker, done: &Work) {
    if work(worker, done) {
        return;
    }
    if worker.over_at().is_some() {
        assert_eq!(done.load(Ordering::Relaxed), 1, "told that all is done");
        run.reach("told");
    } else {
        run.reach("not yet");
    }
}

/// Members of a shared group wait for the last message; none is told before its ack.
#[test]
fn a_member_is_told_after_the_last_ack() {
    let model = Model::named("a_member_is_told_after_the_last_ack");
    model.reaches(&["told", "not yet"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 0);
        let all: Work = Rc::default();
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let theirs = Rc::clone(&all);
        let a = a.works(move |worker| {
            work(worker, &theirs);
        });
        let (notes, theirs) = (run.clone(), Rc::clone(&all));
        let b = b.works(move |worker| work_or_end(&notes, worker, &theirs));
        let writes = spawn(move || writer.close(1));
        writes.join().unwrap();
        a.join().unwrap();
        let mut b = b.join().unwrap();
        while work(&mut b, &all) {}
        assert_eq!(b.over_at(), Some(1), "all is acked, and nobody is told");
        b.settle(1);
    });
}

/// A member dies with messages of a closed queue: nobody is told before another has acked them.
#[test]
fn what_a_dead_member_held_comes_before_the_end() {
    let model = Model::named("what_a_dead_member_held_comes_before_the_end").mortals(1);
    model.reaches(&["told", "not yet", "adopted", "came again"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 2);
        writer.close(0);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let a = a.dies(0, |worker| {
            worker.take(2);
        });
        let notes = run.clone();
        let b = b.works(move |worker| {
            for _ in 0..2 {
                if !worker.take(1) {
                    let over = worker.over_at().is_some();
                    notes.reach(if over { "told" } else { "not yet" });
                    worker.recover();
                }
            }
        });
        a.join().unwrap();
        let mut b = b.join().unwrap();
        while b.take(1) || b.adopt() {}
        assert_eq!(b.over_at(), Some(2), "all is acked, and nobody is told");
        b.settle(2);
    });
}

/// A closed queue is opened again, and the producer dies as it closes it: a member that has seen the
/// first closing does not take its sequence from the second.
#[test]
fn a_member_is_not_told_of_half_a_closing() {
    let model = Model::named("a_member_is_not_told_of_half_a_closing").mortals(1);
    model.reaches(&["told", "not yet"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 0);
        writer.close(0);
        let process = Process::new(&segment);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let notes = run.clone();
        let writes = spawn(move || {
            notes.mortal(0, &process, || {
                let mut producer = Producer::reopen(&process, 2).unwrap();
                producer.send().unwrap();
                producer.close();
            });
        });
        let a = a.works(|worker| {
            worker.take(1);
        });
        let notes = run.clone();
        let b = b.works(move |worker| {
            if !worker.take(1) {
                notes.reach(if worker.over_at().is_some() { "told" } else { "not yet" });
            }
        });
        writes.join().unwrap();
        a.join().unwrap();
        let mut b = b.join().unwrap();
        while b.take(1) {}
        b.over_at();
        let tail = u64::from(segment.ledger.publisher(0).is_some());
        b.settle(tail);
    });
}
