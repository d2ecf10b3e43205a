//! Consumers sleep until there is a message, the producer until there is room. Nothing but a wake-up ends a
//! sleep here, so a lost wake-up is a deadlock. A waiter whose waker dies is left to the bound of its sleep,
//! which the models do not have.

use std::rc::Rc;
use std::time::Duration;

use loom::thread::{JoinHandle, spawn, yield_now};

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::members::{Worker, Writer, filled};
use super::roles::{Consumer, Producer, controlled, make};
use crate::layout::{Mode, View};
use crate::ring::close::over_at;
use crate::ring::exclusive::ExclusiveConsumer;
use crate::ring::groups::{Position, remove_group};
use crate::ring::notify;
use crate::ring::park::{self, Waiter, WaiterKind};
use crate::ring::publish::Publisher;
use crate::sync::{Ordering, WaitWord};

pub(super) const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 2,
    observed: false,
    sleepers: true,
    streams: 0,
    cells: 0,
};

/// Sleeps until `look` finds something.
pub(super) fn sleep<T, const N: usize>(
    run: &Run,
    mut waiters: [Waiter<'_>; N],
    mut look: impl FnMut() -> Option<T>,
) -> T {
    loop {
        let forever = || {
            run.reach("slept");
            Duration::MAX
        };
        if let Ok(Some(found)) = park::sleep(&mut waiters, forever, || Ok::<_, ()>(look())) {
            return found;
        }
    }
}

/// Where a consumer of `group` sleeps.
pub(super) fn data(view: &View, group: u8) -> WaiterKind {
    // Relaxed: written before the models begin.
    let traits = view.group(group).identity.traits.load(Ordering::Relaxed);
    WaiterKind::Consumer { group, shared: Mode::of(traits) == Some(Mode::Shared) }
}

/// Sleeps until `look` finds a message for one of these groups.
pub(super) fn receive<T, const N: usize>(
    run: &Run,
    groups: [(&View, u8); N],
    look: impl FnMut() -> Option<T>,
) -> T {
    sleep(run, groups.map(|(view, group)| Waiter::new(view, data(view, group))), look)
}

/// Waiters at `word` check again, although no thread woke them.
pub(super) fn bound_passes(word: &WaitWord) {
    // Relaxed: time says nothing.
    word.fetch_add(notify::GENERATION, Ordering::Relaxed);
    word.wake_all();
}

/// Sends `n` at once, asleep while there is no room for them.
pub(super) fn send_run(run: &Run, process: &Process, producer: &mut Producer, n: u64) {
    let view = process.view();
    let threshold = producer.publisher.threshold(view, n);
    sleep(run, [Waiter::room(view, threshold)], || producer.send_run(n).ok());
}

/// Sends once, asleep while there is no room.
fn send(run: &Run, process: &Process, producer: &mut Producer) {
    send_run(run, process, producer, 1);
}

/// A thread that sends `n` messages.
fn sends(run: &Run, writer: Writer, n: u32) -> JoinHandle<Writer> {
    let run = run.clone();
    spawn(move || {
        writer.produce(|process, producer| {
            for _ in 0..n {
                send(&run, process, producer);
            }
        })
    })
}

/// A consumer of the exclusive `group`, to be.
pub(super) fn joined(segment: &Rc<Segment>, group: u8) -> (Process, ExclusiveConsumer) {
    let process = Process::new(segment);
    let member = controlled(&process, || Consumer::join(&process, group)).unwrap().unwrap().member;
    (process, member)
}

/// A thread of a consumer of the exclusive `group` that takes `n` messages one by one.
pub(super) fn takes(run: &Run, segment: &Rc<Segment>, group: u8, n: u32) -> JoinHandle<()> {
    let (run, (process, member)) = (run.clone(), joined(segment, group));
    spawn(move || {
        let (view, mut consumer) = (process.view(), Consumer::of(&process, member));
        for _ in 0..n {
            receive(&run, [(view, group)], || consumer.take(1).then_some(()));
        }
    })
}

/// A segment with exclusive groups, and its producer.
pub(super) fn alone(shape: Shape) -> (Rc<Segment>, Process, Publisher) {
    let segment = Segment::new(shape);
    let process = Process::new(&segment);
    for _ in 0..shape.groups {
        controlled(&process, || make(&process, Position::Oldest)).unwrap();
    }
    let publisher = Producer::attach(&process, 1).unwrap().publisher;
    (segment, process, publisher)
}

/// A thread of a producer that sends `n` messages.
fn writes(run: &Run, process: Process, publisher: Publisher, n: u32) -> JoinHandle<u64> {
    let run = run.clone();
    spawn(move || {
        let mut producer = Producer::of(&process, publisher, 1);
        for _ in 0..n {
            send(&run, &process, &mut producer);
        }
        producer.tail()
    })
}

/// Takes one message, or one that comes again.
fn look(worker: &mut Worker) -> Option<()> {
    (worker.take(1) || worker.recovers()).then_some(())
}

/// A thread of a member that takes `n` messages, of the queue or of the dead.
fn works(run: &Run, worker: Worker, n: u32) -> JoinHandle<Worker> {
    let run = run.clone();
    worker.works(move |worker| {
        let segment = worker.segment();
        for _ in 0..n {
            let view = segment.view();
            receive(&run, [(view, 0)], || look(worker));
        }
    })
}

/// One consumer sleeps, one message comes.
#[test]
fn a_sleeping_consumer_is_woken() {
    Model::named("a_sleeping_consumer_is_woken").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 4, ..SHAPE });
        let reads = takes(run, &segment, 0, 2);
        let writes = writes(run, process, publisher, 2);
        reads.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0)]);
    });
}

/// The producer of a ring of one slot sleeps for room.
#[test]
fn a_sleeping_producer_is_woken() {
    Model::named("a_sleeping_producer_is_woken").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 1, ..SHAPE });
        let reader = Process::new(&segment);
        let member = controlled(&reader, || Consumer::join(&reader, 0)).unwrap().unwrap().member;
        let reads = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            for _ in 0..3 {
                while !consumer.take(1) {
                    yield_now();
                }
            }
        });
        let writes = writes(run, process, publisher, 3);
        reads.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0)]);
    });
}

/// Consumer and producer sleep in turn.
#[test]
fn consumer_and_producer_wake_each_other() {
    Model::named("consumer_and_producer_wake_each_other").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 1, ..SHAPE });
        let reads = takes(run, &segment, 0, 2);
        let writes = writes(run, process, publisher, 2);
        reads.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0)]);
    });
}

/// Consumers of two groups; the producer reads the data word once for both.
#[test]
fn two_groups_are_woken_at_once() {
    Model::named("two_groups_are_woken_at_once").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { groups: 2, ..SHAPE });
        let first = takes(run, &segment, 0, 1);
        let second = takes(run, &segment, 1, 1);
        let writes = writes(run, process, publisher, 1);
        first.join().unwrap();
        second.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0), (1, 0)]);
    });
}

/// A sleep that has ended by its bound goes on without another barrier.
#[test]
fn a_waiter_that_sleeps_again_is_woken() {
    Model::named("a_waiter_that_sleeps_again_is_woken").reaches(&["slept again"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 4, ..SHAPE });
        let (notes, reader) = (run.clone(), Process::new(&segment));
        let member = controlled(&reader, || Consumer::join(&reader, 0)).unwrap().unwrap().member;
        let reads = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            for _ in 0..2 {
                let mut waiters = [Waiter::new(reader.view(), data(reader.view(), 0))];
                let mut bound = Duration::ZERO;
                let mut look = || Ok::<_, ()>(consumer.take(1).then_some(()));
                while park::sleep(&mut waiters, || bound, &mut look) == Ok(None) {
                    if bound > Duration::ZERO {
                        notes.reach("slept again");
                    }
                    bound = Duration::MAX;
                }
            }
        });
        let writes = writes(run, process, publisher, 2);
        reads.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0)]);
    });
}

/// One waiter at two queues, whose producers know nothing of each other.
#[test]
fn a_sleeper_at_two_queues_is_woken_by_either() {
    let model = Model::named("a_sleeper_at_two_queues_is_woken_by_either");
    model.reaches(&["slept", "both at once", "one at a time"]).check(|run| {
        let queues = [(); 2].map(|()| alone(Shape { capacity: 4, ..SHAPE }));
        let members = queues.each_ref().map(|(segment, ..)| {
            let process = Process::new(segment);
            let joined = controlled(&process, || Consumer::join(&process, 0)).unwrap().unwrap();
            (joined.member, process)
        });
        let notes = run.clone();
        let reads = spawn(move || {
            let [(a, first), (b, second)] = members;
            let (mut a, mut b) = (Consumer::of(&first, a), Consumer::of(&second, b));
            let mut left = 2;
            while left > 0 {
                let groups = [(first.view(), 0), (second.view(), 0)];
                let found = receive(&notes, groups, || {
                    let found = u32::from(a.take(1)) + u32::from(b.take(1));
                    (found > 0).then_some(found)
                });
                notes.reach(if found == 2 { "both at once" } else { "one at a time" });
                left -= found;
            }
        });
        let mut segments = Vec::new();
        let writes = queues.map(|(segment, process, publisher)| {
            segments.push(segment);
            writes(run, process, publisher, 1)
        });
        reads.join().unwrap();
        for (segment, write) in segments.iter().zip(writes) {
            segment.settle(write.join().unwrap(), &[(0, 0)]);
        }
    });
}

/// It goes on sleeping at both when it has found less than it wants at one: there its bit is a new one, which its
/// waker may have overlooked.
#[test]
fn a_waiter_that_sleeps_again_at_two_queues_is_woken() {
    let model = Model::named("a_waiter_that_sleeps_again_at_two_queues_is_woken");
    model.reaches(&["slept again"]).check(|run| {
        let shape = Shape { capacity: 4, ..SHAPE };
        let ((segment, process, publisher), (other, ..)) = (alone(shape), alone(shape));
        let (notes, (reader, member)) = (run.clone(), joined(&segment, 0));
        let reads = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            let mut waiters =
                [reader.view(), other.view()].map(|view| Waiter::new(view, data(view, 0)));
            let (mut left, mut sleeps) = (2, 0);
            while left > 0 {
                let longest = || {
                    sleeps += 1;
                    Duration::MAX
                };
                let look = || {
                    while left > 0 && consumer.take(1) {
                        left -= 1;
                    }
                    Ok::<_, ()>((left == 0).then_some(()))
                };
                park::sleep(&mut waiters, longest, look).unwrap();
            }
            if sleeps > 1 {
                notes.reach("slept again");
            }
        });
        let writes = writes(run, process, publisher, 2);
        reads.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0)]);
    });
}

/// A consumer sleeps while the queue is closed, after its last message or without one.
#[test]
fn closing_wakes_a_consumer() {
    Model::named("closing_wakes_a_consumer").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 4, ..SHAPE });
        let reader = Process::new(&segment);
        let member = controlled(&reader, || Consumer::join(&reader, 0)).unwrap().unwrap().member;
        let notes = run.clone();
        let reads = spawn(move || {
            let (view, mut consumer) = (reader.view(), Consumer::of(&reader, member));
            receive(&notes, [(view, 0)], || {
                consumer.take(1);
                // The ledger hears of the closing only after the wake-up.
                over_at(view, 0)
            });
        });
        let mut producer = Producer::of(&process, publisher, 1);
        producer.send().unwrap();
        producer.close();
        reads.join().unwrap();
        segment.settle(1, &[(0, 0)]);
    });
}

/// Two members want the one message; the claim that fails has held the producer, and says so.
#[test]
fn a_claim_that_is_taken_back_wakes_the_producer() {
    let model = Model::named("a_claim_that_is_taken_back_wakes_the_producer");
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 1, ..SHAPE }, 1);
        let [a, b] = [(); 2].map(|()| {
            Worker::new(run, &segment, 0).works(|worker| {
                worker.take(1);
            })
        });
        let writer = sends(run, writer, 1).join().unwrap();
        a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// A claim of the first message fails and takes the second one instead, which is kept until a third one
/// is out: the room for that came when the PENDING of the first went up.
#[test]
fn a_claim_that_moves_on_wakes_the_producer() {
    let model = Model::named("a_claim_that_moves_on_wakes_the_producer").seconds(15.0);
    model.reaches(&["slept", "took the second"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 2);
        let notes = run.clone();
        let a = Worker::new(run, &segment, 0).works(move |worker| {
            let Some(mut claim) = worker.claim(1) else { return };
            if claim.start == 1 {
                notes.reach("took the second");
                let segment = worker.segment();
                // Acquire: as a consumer.
                while segment.view().slot(2).stamp.load(Ordering::Acquire) != 3 {
                    yield_now();
                }
            }
            let seq = claim.start;
            worker.read(&claim, seq);
            worker.ack(&mut claim, seq + 1);
        });
        let b = Worker::new(run, &segment, 0).works(|worker| {
            worker.take(1);
        });
        let writer = sends(run, writer, 1).join().unwrap();
        a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// A slot that is being written again hides the message that a member could have; it must not sleep on
/// it, since that one's publication is long over.
#[test]
fn a_member_never_sleeps_while_a_message_is_there() {
    let model =
        Model::named("a_member_never_sleeps_while_a_message_is_there").preemptions(3).seconds(30.0);
    model.reaches(&["slept", "written again"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [mut a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let notes = run.clone();
        let writes = spawn(move || {
            writer.produce(|_, producer| {
                producer.send().unwrap();
                producer.send().unwrap();
                // It stops inside: a long loan, or a death.
                if producer.reserve(1).is_ok() {
                    notes.reach("written again");
                }
            })
        });
        let b = works(run, b, 1);
        let a = spawn(move || {
            while !a.take(1) {
                yield_now();
            }
        });
        a.join().unwrap();
        let writer = writes.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// The producer dies at each step, also between publication and wake-up. The next one wakes the consumer that
/// sleeps although there is a message.
#[test]
fn a_takeover_wakes_the_consumer() {
    let model = Model::named("a_takeover_wakes_the_consumer").mortals(1);
    model.reaches(&["slept", "published, not counted"]).check(|run| {
        let (segment, process, publisher) = alone(SHAPE);
        let reads = takes(run, &segment, 0, 1);
        let (notes, next) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            notes.mortal(0, &process, || {
                let mut producer = Producer::of(&process, publisher, 1);
                producer.send().unwrap();
                producer.leave();
            });
            // Relaxed: stored by this thread.
            let counted = next.view().control().tail.load(Ordering::Relaxed);
            let mut producer = Producer::attach(&next, 2).unwrap();
            if producer.tail() == 0 {
                producer.send().unwrap();
            } else if counted == 0 {
                notes.reach("published, not counted");
            }
            producer.tail()
        });
        reads.join().unwrap();
        segment.settle(writes.join().unwrap(), &[(0, 0)]);
    });
}

/// A member that lives gives back what another one sleeps for.
#[test]
fn what_is_given_back_wakes_a_member() {
    let model = Model::named("what_is_given_back_wakes_a_member");
    model.reaches(&["slept", "adopted"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 3, ..SHAPE }, 1);
        let [mut a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let claim = a.claim(1).unwrap();
        a.read(&claim, 0);
        let a = a.works(move |worker| assert!(worker.release(&claim)));
        let b = works(run, b, 1);
        // It lives until all is settled.
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// The same by leaving.
#[test]
fn what_a_leaver_holds_wakes_a_member() {
    let model = Model::named("what_a_leaver_holds_wakes_a_member");
    model.reaches(&["slept", "adopted"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 1);
        let [mut a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let claim = a.claim(1).unwrap();
        a.read(&claim, 0);
        let a = spawn(move || drop(a.leave()));
        let b = works(run, b, 1);
        a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// The same, of a range that the leaver has taken over and not finished.
#[test]
fn what_an_adopter_leaves_behind_wakes_a_member() {
    let model = Model::named("what_an_adopter_leaves_behind_wakes_a_member");
    model.reaches(&["slept", "adopted"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 3, ..SHAPE }, 1);
        let [mut a, mut b, c] = [(); 3].map(|()| Worker::new(run, &segment, 0));
        let claim = a.claim(1).unwrap();
        a.read(&claim, 0);
        a.die();
        assert!(b.adopt());
        let b = spawn(move || drop(b.leave()));
        let c = works(run, c, 1);
        b.join().unwrap();
        c.join().unwrap().settle(writer.tail());
    });
}

/// A group that is made guesses low at first, which holds the producer for as long as that lasts.
#[test]
fn a_new_group_that_starts_higher_wakes_the_producer() {
    let model = Model::named("a_new_group_that_starts_higher_wakes_the_producer");
    model.reaches(&["slept", "joined above 0"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let process = Process::new(&segment);
        let mut producer = Producer::attach(&process, 1).unwrap();
        producer.send_run(2).unwrap();
        let publisher = producer.publisher;
        let writes = writes(run, process, publisher, 1);
        let (notes, joiner) = (run.clone(), Process::new(&segment));
        let joins = spawn(move || {
            let (mut consumer, first) = Consumer::of_new(&joiner, Position::Oldest);
            if first > 0 {
                notes.reach("joined above 0");
            } else {
                consumer.take(1);
            }
        });
        joins.join().unwrap();
        assert_eq!(writes.join().unwrap(), 3);
    });
}

/// A group that nobody reads for is removed.
#[test]
fn a_removed_group_wakes_the_producer() {
    Model::named("a_removed_group_wakes_the_producer").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { capacity: 1, ..SHAPE });
        let mut producer = Producer::of(&process, publisher, 1);
        producer.send().unwrap();
        let publisher = producer.publisher;
        let writes = writes(run, process, publisher, 1);
        let remover = Process::new(&segment);
        let removes = spawn(move || {
            controlled(&remover, || remove_group(remover.view(), &remover, 0).unwrap())
        });
        assert_eq!(removes.join().unwrap(), Some(None));
        assert_eq!(writes.join().unwrap(), 2);
    });
}

/// A member dies in a claim that fails. Its adopter takes the PENDING back, and wakes the producer that it
/// held.
#[test]
fn a_dead_members_failed_claim_is_taken_back_and_wakes_the_producer() {
    let model = Model::named("a_dead_members_failed_claim_is_taken_back_and_wakes_the_producer")
        .mortals(1)
        .seconds(1.0);
    model.reaches(&["slept", "adopted"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 1, ..SHAPE }, 1);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let a = a.dies(0, |worker| {
            worker.claim(1);
        });
        let writes = sends(run, writer, 1);
        let mut b = b;
        let b = spawn(move || {
            b.take(1);
            a.join().unwrap();
            // It may have died between a store and its wake-up.
            bound_passes(&b.segment().view().control().room.word);
            b.recover();
            b.take(1);
            b
        });
        let b = b.join().unwrap();
        b.settle(writes.join().unwrap().tail());
    });
}
