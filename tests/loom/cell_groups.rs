//! Cells and the lives of groups: records that go to another group, cells that a removed group had, the end, dead letters.

use std::rc::Rc;

use loom::thread::spawn;

use super::explore::Model;
use super::heap::{Process, Shape};
use super::in_flight::{BEGIN, END, Flight, Hand, flight, flights, two_and_ack};
use super::park::{data, sleep};
use super::roles::controlled;
use crate::ring::groups;
use crate::ring::park::{Waiter, WaiterKind};

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 4,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 2,
};

/// Of two groups.
const TWO: Shape = Shape { groups: 2, cells: 4, ..SHAPE };

/// A member dies. A joiner of another group takes its record, beside a member of its own group that settles and takes.
#[test]
fn a_dead_members_record_goes_to_another_group() {
    let model = Model::named("a_dead_members_record_goes_to_another_group").mortals(1).seconds(0.2);
    model.reaches(&["settled", "joined again", "came again"]).check(|run| {
        let ([first, second], writer) = flights(run, TWO, 2);
        let [a, s, mut last] = first.join_all();
        let mut other = second.join();
        a.live_and_die(0, two_and_ack);
        let s = s.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        let j = spawn(move || {
            let process = Rc::new(Process::new(&second.segment));
            let mut hand = second.join_as(&process)?;
            second.run.reach("joined again");
            hand.eat(1);
            Some(hand)
        });
        s.join().unwrap();
        let _joined = j.join().unwrap();
        other.work_off(BEGIN);
        last.work_off(BEGIN);
        last.finish(writer.tail(), BEGIN);
        other.finish(writer.tail(), BEGIN);
    });
}

/// A member that looks for the dead has read a record of its group, which then goes to another group, where its next owner
/// dies: that is the other group's to settle.
#[test]
fn a_record_that_went_to_another_group_is_settled_there() {
    let model = Model::named("a_record_that_went_to_another_group_is_settled_there").seconds(3.0);
    model.reaches(&["settled", "joined again", "came again"]).check(|run| {
        let ([first, second], writer) = flights(run, TWO, 1);
        let [mut a, s, mut last] = first.join_all();
        let mut other = second.join();
        a.one();
        a.die();
        let s = s.works(|hand| {
            hand.settle();
        });
        let j = spawn(move || {
            let process = Rc::new(Process::new(&second.segment));
            if let Some(mut hand) = second.join_as(&process) {
                second.run.reach("joined again");
                hand.receive(1);
                hand.die();
            }
        });
        s.join().unwrap();
        j.join().unwrap();
        other.work_off(BEGIN);
        last.work_off(BEGIN);
        last.finish(writer.tail(), BEGIN);
        other.finish(writer.tail(), BEGIN);
    });
}

/// Removes the group with index 0, if no member of it lives, and makes another one with its cells.
fn replace(flight: &Flight, process: &Rc<Process>) -> Option<(Flight, u64)> {
    let remove = || groups::remove_group(process.view(), &**process, 0).unwrap();
    let live = controlled(process, remove)?;
    flight.run.reach(if live.is_some() { "live" } else { "removed" });
    live.is_none().then(|| Flight::make(&flight.run, process, SHAPE.cells))?
}

/// A group is removed whose member dies with messages in cells; a new one gets its index and its cells, beside a producer.
#[test]
fn a_new_group_has_the_cells_of_one_that_was_removed() {
    let name = "a_new_group_has_the_cells_of_one_that_was_removed";
    let model = Model::named(name).mortals(1).seconds(0.2);
    model.reaches(&["live", "removed", "room", "full"]).check(|run| {
        let (old, writer) = flight(run, SHAPE, 2);
        let a = old.join().dies(0, two_and_ack);
        let flight = old.clone();
        let replaces = spawn(move || {
            let process = Rc::new(Process::new(&flight.segment));
            let (new, first) = replace(&flight, &process)?;
            let mut hand = new.join_as(&process)?;
            hand.eat(1);
            Some((new, first, hand))
        });
        let writer = writer.sends(run, 1).join().unwrap();
        a.join().unwrap();
        let (new, first) = match replaces.join().unwrap() {
            Some((new, first, hand)) => {
                hand.die();
                (new, first)
            }
            None => replace(&old, &Rc::new(Process::new(&old.segment))).expect("it is dead"),
        };
        new.join().finish_from(first, writer.tail(), BEGIN);
    });
}

/// Who removes a group, makes another one and joins that dies at each step: the cells are used again.
#[test]
fn cells_are_used_again_after_their_groups_remover_died() {
    let name = "cells_are_used_again_after_their_groups_remover_died";
    let model = Model::named(name).mortals(1).seconds(0.2);
    model.reaches(&["removed", "room", "full"]).check(|run| {
        let (old, writer) = flight(run, SHAPE, 2);
        let mut a = old.join();
        two_and_ack(&mut a);
        a.die();
        let flight = old.clone();
        let dies = spawn(move || {
            let process = Rc::new(Process::new(&flight.segment));
            flight.run.mortal(0, &process, || {
                let (new, _) = replace(&flight, &process)?;
                two_and_ack(&mut new.join_as(&process)?);
                Some(())
            });
            process.torn_down();
        });
        let writer = writer.sends(run, 1).join().unwrap();
        dies.join().unwrap();
        // Whichever group it is now.
        let (new, first) = replace(&old, &Rc::new(Process::new(&old.segment))).unwrap();
        new.join().finish_from(first, writer.tail(), BEGIN);
    });
}

/// Members are told of a closing once their group's cells are empty.
#[test]
fn members_are_told_once_their_cells_are_empty() {
    let model = Model::named("members_are_told_once_their_cells_are_empty").seconds(3.0);
    model.reaches(&["told", "not yet"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 1, ..SHAPE }, 1);
        let flight = Rc::new(flight.asked());
        let [a, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.eat(1);
            hand.eat(1);
        });
        let asked = Rc::clone(&flight);
        let asks = spawn(move || {
            for _ in 0..2 {
                asked.run.reach(if asked.is_told() { "told" } else { "not yet" });
            }
        });
        spawn(move || writer.close(1)).join().unwrap();
        a.join().unwrap();
        asks.join().unwrap();
        last.finish(2, BEGIN);
        assert!(flight.is_told(), "all is acked, and nobody is told");
    });
}

/// A message has had its last attempt. The taker that makes a dead letter of it dies, or loses it to an operator: there is
/// a letter for it before it is acked, and the message once more.
#[test]
fn a_dead_letter_comes_before_the_ack() {
    let model = Model::named("a_dead_letter_comes_before_the_ack").mortals(1).seconds(0.2);
    model.reaches(&["evicted", "settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 1, ..SHAPE }, 1);
        let [mut a, t, o, mut last] = flight.join_all();
        let message = a.one();
        a.give_back(&message, BEGIN);
        let t = t.dies(0, |hand| hand.exhaust(BEGIN));
        let o = o.works(|hand| {
            hand.thread().evict(0);
            hand.settle();
            hand.exhaust(BEGIN);
        });
        t.join().unwrap();
        o.join().unwrap();
        last.settle();
        last.exhaust(BEGIN);
        assert!(!flight.notes.borrow().letters.is_empty(), "acked without a letter");
        last.finish(writer.tail(), BEGIN);
    });
}

/// All cells are in use: a member waits for one, and for a message that is due, at both words.
#[test]
fn who_waits_for_cells_and_messages_is_woken_by_either() {
    let model = Model::named("who_waits_for_cells_and_messages_is_woken_by_either").seconds(3.0);
    model.reaches(&["slept"]).check(|run| {
        let shape = Shape { cells: 1, sleepers: true, ..SHAPE };
        let (flight, writer) = flight(run, shape, 1);
        let [mut a, b, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.ack(&message);
        });
        let own = run.clone();
        let b = b.works(move |hand: &mut Hand| {
            let process = Rc::clone(&hand.process);
            let view = process.view();
            let words = [data(view, 0), WaiterKind::Cell { group: 0 }];
            let waiters = words.map(|word| Waiter::new(view, word));
            sleep(&own, waiters, || (hand.eat(1) > 0).then_some(()));
        });
        let writer = writer.sends(run, 1).join().unwrap();
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), END);
    });
}
