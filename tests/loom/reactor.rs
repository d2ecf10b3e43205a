//! Futures cannot sleep, and leave that to the reactor, which wakes them. As in park.rs, nothing but a wake-up ends a
//! sleep or a wait, so a lost wake-up is a deadlock.

use std::rc::Rc;
use std::time::Duration;

use loom::sync::{Condvar, Mutex};
use loom::thread::{JoinHandle, spawn, yield_now};

use super::explore::{Model, Run};
use super::heap::{Segment, Shape};
use super::in_flight::{BEGIN, flight};
use super::members::{Worker, filled};
use super::park::{alone, data, joined, receive, takes};
use super::passing::receives as member_receives;
use super::roles::{Consumer, Producer};
use crate::packed::Head;
use crate::ring::park::WaiterKind;
use crate::ring::reactor::Reactor as Of;
use crate::sync::Ordering;

const SHAPE: Shape = Shape {
    capacity: 4,
    groups: 1,
    records: 2,
    observed: false,
    sleepers: true,
    streams: 0,
    cells: 0,
};

/// No wait of the models is over by its time.
const NEVER: Duration = Duration::from_secs(1 << 20);

type Reactor = Of<Rc<Segment>, Told>;

/// What is told when a wait is over.
enum Told {
    Task(Rc<Task>),
    /// The reactor: there are no more waits.
    End,
}

/// What an executor has of a task: whether it is to be polled.
struct Task {
    woken: Mutex<bool>,
    wake: Condvar,
}

impl Task {
    fn new() -> Rc<Task> {
        Rc::new(Task { woken: Mutex::new(false), wake: Condvar::new() })
    }

    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.wake.notify_one();
    }

    fn until_woken(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.wake.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// The reactor's thread.
fn reacts(reactor: &Rc<Reactor>) -> JoinHandle<()> {
    let reactor = Rc::clone(reactor);
    spawn(move || {
        loop {
            for entry in reactor.poll() {
                match entry.tell {
                    Told::Task(task) => task.wake(),
                    Told::End => return,
                }
            }
        }
    })
}

/// It wakes nobody any more then.
fn end(reactor: &Reactor, segment: &Rc<Segment>) {
    let none = || Ok::<_, ()>(Some(Duration::ZERO));
    reactor.wait(segment, data(segment.view(), 0), none, || Told::End).unwrap();
}

/// A future: polls until `look` finds something. What it was woken for, and has not taken, is for others.
fn awaits(
    run: &Run,
    reactor: &Reactor,
    segment: &Rc<Segment>,
    word: WaiterKind,
    mut look: impl FnMut() -> bool,
) {
    let task = Task::new();
    let mut before = None;
    loop {
        let found = before.is_some() && look();
        let mut now = None;
        if !found {
            let look = || Ok::<_, ()>((!look()).then_some(NEVER));
            now = reactor.wait(segment, word, look, || Told::Task(Rc::clone(&task))).unwrap();
        }
        if let Some(before) = before {
            reactor.leave(&before);
        }
        if now.is_none() {
            return;
        }
        run.reach("waited");
        task.until_woken();
        before = now;
    }
}

/// A thread of a consumer of the exclusive `group` that takes `n` messages one by one.
fn receives(
    run: &Run,
    reactor: &Rc<Reactor>,
    segment: &Rc<Segment>,
    group: u8,
    n: u32,
) -> JoinHandle<()> {
    let (run, reactor, segment) = (run.clone(), Rc::clone(reactor), Rc::clone(segment));
    let (process, member) = joined(&segment, group);
    spawn(move || {
        let mut consumer = Consumer::of(&process, member);
        for _ in 0..n {
            awaits(&run, &reactor, &segment, data(segment.view(), group), || consumer.take(1));
        }
    })
}

#[test]
fn the_reactor_wakes_a_consumer() {
    Model::named("the_reactor_wakes_a_consumer").reaches(&["waited"]).check(|run| {
        let (segment, process, publisher) = alone(SHAPE);
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let reads = receives(run, &reactor, &segment, 0, 2);
        let mut producer = Producer::of(&process, publisher, 1);
        for _ in 0..2 {
            producer.send().unwrap();
        }
        reads.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        segment.settle(producer.tail(), &[(0, 0)]);
    });
}

#[test]
fn the_reactor_wakes_a_producer() {
    Model::named("the_reactor_wakes_a_producer").reaches(&["waited"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 1, ..SHAPE });
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let (reader, member) = joined(&segment, 0);
        let reads = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            for _ in 0..2 {
                while !consumer.take(1) {
                    yield_now();
                }
            }
        });
        let mut producer = Producer::of(&process, publisher, 1);
        for _ in 0..2 {
            awaits(run, &reactor, &segment, WaiterKind::Producer { threshold: 0 }, || {
                producer.send().is_ok()
            });
        }
        reads.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        segment.settle(producer.tail(), &[(0, 0)]);
    });
}

/// A task on either side of a queue: one waits for a message, the other one for room that a third is to make.
#[test]
fn the_reactor_wakes_at_two_words_of_a_queue() {
    let model = Model::named("the_reactor_wakes_at_two_words_of_a_queue").seconds(5.0);
    model.reaches(&["waited"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 1, groups: 2, ..SHAPE });
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let reads = receives(run, &reactor, &segment, 0, 2);
        let (reader, member) = joined(&segment, 1);
        let slow = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            for _ in 0..2 {
                while !consumer.take(1) {
                    yield_now();
                }
            }
        });
        let mut producer = Producer::of(&process, publisher, 1);
        for _ in 0..2 {
            awaits(run, &reactor, &segment, WaiterKind::Producer { threshold: 0 }, || {
                producer.send().is_ok()
            });
        }
        reads.join().unwrap();
        slow.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        segment.settle(producer.tail(), &[(0, 0), (1, 0)]);
    });
}

/// While another consumer sleeps itself.
#[test]
fn the_reactor_wakes_a_consumer_while_another_sleeps() {
    let model = Model::named("the_reactor_wakes_a_consumer_while_another_sleeps");
    model.reaches(&["waited", "slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { groups: 2, ..SHAPE });
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let reads = receives(run, &reactor, &segment, 0, 1);
        let sleeps = takes(run, &segment, 1, 1);
        let mut producer = Producer::of(&process, publisher, 1);
        producer.send().unwrap();
        reads.join().unwrap();
        sleeps.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        segment.settle(producer.tail(), &[(0, 0), (1, 0)]);
    });
}

/// Two queues, and a task at each: the second is woken while the first one waits on.
#[test]
fn the_reactor_wakes_at_two_queues() {
    let model = Model::named("the_reactor_wakes_at_two_queues");
    model.reaches(&["waited"]).check(|run| {
        let queues = [(); 2].map(|()| alone(SHAPE));
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let reads = queues.each_ref().map(|(segment, ..)| receives(run, &reactor, segment, 0, 1));
        let segments = queues.each_ref().map(|(segment, ..)| Rc::clone(segment));
        for ((_, process, publisher), read) in queues.into_iter().zip(reads).rev() {
            let mut producer = Producer::of(&process, publisher, 1);
            producer.send().unwrap();
            read.join().unwrap();
        }
        end(&reactor, &segments[0]);
        driver.join().unwrap();
        for segment in segments {
            segment.settle(1, &[(0, 0)]);
        }
    });
}

/// Two members of a group, by different wake-ups: one entry may be over while the other is not.
#[test]
fn the_reactor_wakes_two_at_a_word() {
    let model = Model::named("the_reactor_wakes_two_at_a_word").seconds(12.0);
    model.reaches(&["waited"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let members = [(); 2].map(|()| {
            let (member, run, reactor) =
                (Worker::new(run, &segment, 0), run.clone(), Rc::clone(&reactor));
            member.works(move |member| {
                let segment = member.segment();
                awaits(&run, &reactor, &segment, data(segment.view(), 0), || member.take(1));
            })
        });
        let writer = writer.produce(|_, producer| {
            producer.send().unwrap();
            producer.send().unwrap();
        });
        let [_a, b] = members.map(|member| member.join().unwrap());
        end(&reactor, &segment);
        driver.join().unwrap();
        b.settle(writer.tail());
    });
}

/// A thread of a task of a shared group's member that waits if there is no message, and takes none that comes.
fn gives_up(run: &Run, reactor: &Rc<Reactor>, member: &Worker, when_woken: bool) -> JoinHandle<()> {
    let (run, reactor, segment) = (run.clone(), Rc::clone(reactor), member.segment());
    spawn(move || {
        let task = Task::new();
        let look = || {
            // Acquire: as in a claim.
            let head = segment.view().group(0).head.load(Ordering::Acquire);
            let tail = segment.view().control().tail.load(Ordering::Acquire);
            Ok::<_, ()>((tail <= Head::unpack(head).seq).then_some(NEVER))
        };
        let tell = || Told::Task(Rc::clone(&task));
        let waits = reactor.wait(&segment, data(segment.view(), 0), look, tell).unwrap();
        let Some(ticket) = waits else { return };
        run.reach("waited");
        if when_woken {
            task.until_woken();
        }
        // As a future that is dropped.
        reactor.leave(&ticket);
    })
}

/// A future that was woken is dropped, and its message is another member's.
#[test]
fn a_woken_future_that_is_dropped_passes_it_on() {
    let model = Model::named("a_woken_future_that_is_dropped_passes_it_on");
    model.reaches(&["slept", "waited"]).seconds(10.0).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let gives_up = gives_up(run, &reactor, &a, true);
        let b = member_receives(run, b, 1);
        let writer = writer.send_run(1);
        let b = b.join().unwrap();
        // If that woke the other one.
        let writer = writer.send_run(1);
        gives_up.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        b.settle(writer.tail());
    });
}

/// The reactor is woken for a future that was dropped before.
#[test]
fn the_reactor_passes_on_what_it_was_woken_for_too_late() {
    let model = Model::named("the_reactor_passes_on_what_it_was_woken_for_too_late").preemptions(3);
    model.reaches(&["slept", "waited"]).seconds(10.0).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let gives_up = gives_up(run, &reactor, &a, false);
        let b = member_receives(run, b, 1);
        let writer = writer.send_run(1);
        let b = b.join().unwrap();
        gives_up.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        b.settle(writer.tail());
    });
}

/// The same of a group with one consumer, which then sleeps itself.
#[test]
fn the_reactor_is_not_woken_in_the_place_of_a_consumer() {
    let model = Model::named("the_reactor_is_not_woken_in_the_place_of_a_consumer").preemptions(3);
    model.reaches(&["slept", "waited"]).check(|run| {
        let (segment, process, publisher) = alone(SHAPE);
        let reactor = Rc::new(Reactor::new());
        let driver = reacts(&reactor);
        let (run, at, (reader, member)) = (run.clone(), Rc::clone(&reactor), joined(&segment, 0));
        let reads = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            let look = || Ok::<_, ()>((!consumer.take(1)).then_some(NEVER));
            let tell = || Told::Task(Task::new());
            let word = data(reader.view(), 0);
            let Some(ticket) = at.wait(&reader.segment, word, look, tell).unwrap() else { return };
            run.reach("waited");
            at.leave(&ticket);
            receive(&run, [(reader.view(), 0)], || consumer.take(1).then_some(()));
        });
        let mut producer = Producer::of(&process, publisher, 1);
        producer.send().unwrap();
        reads.join().unwrap();
        end(&reactor, &segment);
        driver.join().unwrap();
        segment.settle(producer.tail(), &[(0, 0)]);
    });
}

/// All cells of its group are in use: a future of a member waits for one, which an ack empties.
#[test]
fn the_reactor_wakes_a_member_that_waits_for_a_cell() {
    let model = Model::named("the_reactor_wakes_a_member_that_waits_for_a_cell").seconds(3.0);
    model.reaches(&["waited"]).check(|run| {
        let (flight, writer) = flight(run, Shape { records: 3, cells: 1, ..SHAPE }, 2);
        let [mut a, b, last] = flight.join_all();
        let message = a.one();
        let reactor = Rc::new(Reactor::new());
        let thread = reacts(&reactor);
        let a = a.works(move |hand| {
            hand.ack(&message);
        });
        let (own, to, segment) = (run.clone(), Rc::clone(&reactor), Rc::clone(&flight.segment));
        let b = b.works(move |hand| {
            let word = WaiterKind::Cell { group: 0 };
            awaits(&own, &to, &segment, word, || hand.eat(1) > 0);
        });
        a.join().unwrap();
        b.join().unwrap();
        end(&reactor, &flight.segment);
        thread.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}
