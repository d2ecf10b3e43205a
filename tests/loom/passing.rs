//! A publication wakes one member of a group, which wakes the next one. As in park.rs, nothing but a wake-up ends a
//! sleep, so a lost wake-up is a deadlock; and a member that has its message is gone.

use loom::thread::{JoinHandle, spawn, yield_now};

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::members::{Worker, filled};
use super::park::{SHAPE as SLEEPERS, alone, joined, receive, takes};
use super::roles::{Consumer, Producer};
use crate::ring::close::over_at;
use crate::ring::groups::Position;
use crate::ring::notify::{PRODUCER_REARMED, WAITING};
use crate::sync::Ordering;

const SHAPE: Shape = Shape { capacity: 4, ..SLEEPERS };

/// A thread of a member that takes `n` messages one by one.
pub(super) fn receives(run: &Run, worker: Worker, n: u32) -> JoinHandle<Worker> {
    let run = run.clone();
    worker.works(move |worker| {
        let segment = worker.segment();
        for _ in 0..n {
            receive(&run, [(segment.view(), 0)], || worker.take(1).then_some(()));
        }
    })
}

/// Messages come one by one, and one of the members sleeps for a second one while the other sleeps on.
#[test]
fn each_message_wakes_a_member() {
    let model = Model::named("each_message_wakes_a_member").seconds(10.0);
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let (a, b) = (receives(run, a, 2), receives(run, b, 1));
        let writer = writer.produce(|_, producer| {
            for _ in 0..3 {
                producer.send().unwrap();
            }
        });
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// Two messages come at once, by one wake-up.
#[test]
fn two_messages_at_once_wake_two_members() {
    let model = Model::named("two_messages_at_once_wake_two_members");
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let (a, b) = (receives(run, a, 1), receives(run, b, 1));
        let writer = writer.send_run(2);
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// Of three at once, each woken member wakes the next, which may have announced itself without a barrier.
#[test]
fn three_messages_at_once_wake_three_members() {
    let model = Model::named("three_messages_at_once_wake_three_members").seconds(10.0);
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 3, ..SHAPE }, 0);
        let members = [(); 3].map(|()| Worker::new(run, &segment, 0));
        let members = members.map(|member| receives(run, member, 1));
        let writer = writer.send_run(3);
        let [_a, _b, c] = members.map(|member| member.join().unwrap());
        c.settle(writer.tail());
    });
}

/// A waiter announces itself while the producer clears the bit of the data word, which a member left that was killed
/// asleep. Its message goes to a member that is awake, and it is woken for the next.
#[test]
fn no_group_bit_is_left_without_the_data_bit() {
    let model = Model::named("no_group_bit_is_left_without_the_data_bit").seconds(12.0);
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [mut awake, asleep] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        // Relaxed: before all.
        segment.view().control().data.fetch_or(WAITING, Ordering::Relaxed);
        let asleep = receives(run, asleep, 1);
        let awake = spawn(move || {
            while !awake.take(1) {
                yield_now();
            }
            awake
        });
        let writer = writer.produce(|_, producer| {
            producer.send().unwrap();
            producer.send().unwrap();
        });
        let _awake = awake.join().unwrap();
        asleep.join().unwrap().settle(writer.tail());
    });
}

/// A member that was woken for a message of one queue has found one in another, which it asks first.
#[test]
fn a_member_that_goes_elsewhere_passes_it_on() {
    let model = Model::named("a_member_that_goes_elsewhere_passes_it_on").seconds(10.0);
    model.reaches(&["slept", "took its message", "went elsewhere"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let (other, sender, publisher) = alone(SHAPE);
        let [mut a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let ((reader, member), notes) = (joined(&other, 0), run.clone());
        let a = spawn(move || {
            let segment = a.segment();
            let mut consumer = Consumer::of(&reader, member);
            let shared = receive(&notes, [(segment.view(), 0), (reader.view(), 0)], || {
                if consumer.take(1) { Some(false) } else { a.take(1).then_some(true) }
            });
            notes.reach(if shared { "took its message" } else { "went elsewhere" });
            (a, shared)
        });
        let b = receives(run, b, 1);
        let mut writer = writer.send_run(1);
        Producer::of(&sender, publisher, 1).send().unwrap();
        let (_a, shared) = a.join().unwrap();
        if shared {
            writer = writer.send_run(1);
        }
        b.join().unwrap().settle(writer.tail());
    });
}

/// The producer dies at each step, in the midst of its wake-ups, too; of those that it has left asleep, the next one
/// knows.
#[test]
fn a_takeover_knows_of_waiters() {
    let model = Model::named("a_takeover_knows_of_waiters").mortals(1).seconds(0.8);
    model.reaches(&["slept", "two sent"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [a, b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let (a, b) = (receives(run, a, 2), receives(run, b, 1));
        let (notes, next) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            writer.dies(&notes, 0, |producer| {
                producer.send().unwrap();
                producer.send().unwrap();
            });
            let mut producer = Producer::attach(&next, 2).unwrap();
            if producer.tail() == 2 {
                notes.reach("two sent");
            }
            while producer.tail() < 3 {
                producer.send().unwrap();
            }
            producer.tail()
        });
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writes.join().unwrap());
    });
}

/// A dead producer has left the bits of a waiter without the bit of the data word.
#[test]
fn a_takeover_finds_bits_without_the_data_word() {
    let model = Model::named("a_takeover_finds_bits_without_the_data_word");
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        // Relaxed: before all.
        segment
            .view()
            .group(0)
            .cold
            .wait
            .word
            .fetch_or(WAITING | PRODUCER_REARMED, Ordering::Relaxed);
        let a = receives(run, Worker::new(run, &segment, 0), 1);
        let next = Process::new(&segment);
        let writes = spawn(move || {
            writer.leave();
            let mut producer = Producer::attach(&next, 2).unwrap();
            producer.send().unwrap();
            producer.tail()
        });
        let tail = writes.join().unwrap();
        a.join().unwrap().settle(tail);
    });
}

/// Those for whom the producer has set the bits were killed asleep.
#[test]
fn bits_of_the_dead_are_forgotten() {
    Model::named("bits_of_the_dead_are_forgotten").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(SHAPE);
        // Relaxed, both: before all.
        segment
            .view()
            .group(0)
            .cold
            .wait
            .word
            .fetch_or(WAITING | PRODUCER_REARMED, Ordering::Relaxed);
        segment.view().control().data.fetch_or(WAITING, Ordering::Relaxed);
        let reads = takes(run, &segment, 0, 2);
        let mut producer = Producer::of(&process, publisher, 1);
        producer.send().unwrap();
        producer.send().unwrap();
        reads.join().unwrap();
        segment.settle(producer.tail(), &[(0, 0)]);
    });
}

/// Of two members that sleep, each is told that no more comes.
#[test]
fn closing_wakes_all_members() {
    let model = Model::named("closing_wakes_all_members").seconds(5.0);
    model.reaches(&["slept"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let waits = [(); 2].map(|()| told_of_the_end(run, Process::new(&segment), 0));
        writer.close(0);
        waits.into_iter().for_each(|waits| waits.join().unwrap());
    });
}

/// The same of two groups.
#[test]
fn closing_wakes_all_groups() {
    Model::named("closing_wakes_all_groups").reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { groups: 2, ..SHAPE });
        let waits = [0, 1].map(|group| told_of_the_end(run, joined(&segment, group).0, group));
        Producer::of(&process, publisher, 1).close();
        waits.into_iter().for_each(|waits| waits.join().unwrap());
    });
}

/// A group is made meanwhile.
#[test]
fn closing_wakes_a_group_that_joins() {
    Model::named("closing_wakes_a_group_that_joins").reaches(&["slept"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let process = Process::new(&segment);
        let producer = Producer::attach(&process, 1).unwrap();
        let (notes, joiner) = (run.clone(), Process::new(&segment));
        let joins = spawn(move || {
            let group = Consumer::of_new(&joiner, Position::Newest).0.member.group;
            receive(&notes, [(joiner.view(), group)], || over_at(joiner.view(), group));
        });
        producer.close();
        joins.join().unwrap();
    });
}

/// A thread that sleeps until `group` is told that no more comes.
fn told_of_the_end(run: &Run, process: Process, group: u8) -> JoinHandle<()> {
    let run = run.clone();
    spawn(move || {
        // The ledger hears of the closing only after the wake-up.
        receive(&run, [(process.view(), group)], || over_at(process.view(), group));
    })
}

/// Two groups, each with one consumer.
#[test]
fn each_group_is_woken() {
    let model = Model::named("each_group_is_woken").seconds(5.0);
    model.reaches(&["slept"]).check(|run| {
        let (segment, process, publisher) = alone(Shape { groups: 2, ..SHAPE });
        let first = takes(run, &segment, 0, 2);
        let second = takes(run, &segment, 1, 1);
        let mut producer = Producer::of(&process, publisher, 1);
        producer.send().unwrap();
        second.join().unwrap();
        producer.send().unwrap();
        first.join().unwrap();
    });
}
