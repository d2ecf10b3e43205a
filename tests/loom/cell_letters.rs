//! Dead letters that are sent again, into cells of the group that gave them up.

use std::cell::Cell;
use std::rc::Rc;

use loom::thread::spawn;

use super::explore::Model;
use super::heap::{Process, Shape};
use super::in_flight::{BEGIN, DUE, Hand, flight};
use super::park::{data, sleep};
use crate::ring::groups;
use crate::ring::park::{Waiter, WaiterKind};
use crate::ring::records::Purpose;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 4,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 1,
};

/// Who sends a letter again dies at each step, beside one that looks and takes: the letter is there once, or not at all.
#[test]
fn a_letter_that_is_sent_again_is_there_once_or_not_at_all() {
    let name = "a_letter_that_is_sent_again_is_there_once_or_not_at_all";
    let model = Model::named(name).mortals(1).seconds(0.2);
    model.reaches(&["put", "settled", "lost"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut t, last] = flight.join_all();
        let p = flight.join_to_put();
        // What is left over in the cell is another message.
        assert_eq!(t.eat(1), 1);
        let p = p.dies(0, |hand| {
            assert!(hand.put(7), "the cell is empty");
            hand.run.reach("put");
        });
        let t = t.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        p.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), BEGIN);
        match flight.acked_again(7) {
            0 => run.reach("lost"),
            times => assert_eq!(times, 1, "it came twice"),
        }
    });
}

/// The last member that receives leaves a group that goes with it, while two others put letters: a letter is put while that
/// member lives, or not at all.
#[test]
fn a_letter_goes_to_no_group_that_its_last_receiver_has_left() {
    let name = "a_letter_goes_to_no_group_that_its_last_receiver_has_left";
    let model = Model::named(name).reaches(&["put", "abandoned", "control lease taken"]);
    model.check(|run| {
        let (flight, _writer) = flight(run, SHAPE, 1);
        let [mut receiver] = flight.join_all();
        flight.goes_with_its_last_member();
        assert_eq!(receiver.eat(1), 1);
        let (p, other) = (flight.join_to_put(), flight.join_to_put());
        let left = Rc::new(Cell::new(false));
        let p = p.works({
            let left = Rc::clone(&left);
            move |hand| {
                let put = hand.put_if_kept(7, |abandoned| assert_eq!(abandoned, left.get()));
                hand.run.reach(match put {
                    Some(true) => "put",
                    Some(false) => "abandoned",
                    None => "control lease taken",
                });
            }
        });
        let receiver = receiver.works(move |hand| {
            // The others are members, too: it stays for them.
            assert!(!hand.leave(Purpose::Receive));
            // No step of the model comes between.
            left.set(true);
        });
        p.join().unwrap();
        receiver.join().unwrap();
        drop(other);
    });
}

/// Puts letter 7, notes that it is there once that is reported, and leaves.
fn puts_and_leaves(hand: &mut Hand, reported: &Cell<bool>) {
    reported.set(hand.put_if_kept(7, |_| ()) == Some(true));
    assert!(!hand.leave(Purpose::PutLetters), "the group went with one that puts letters");
}

/// A group that goes with its last member has had none that receives. One puts a letter and leaves, or dies at a step of that,
/// beside a producer that frees groups: the letter is there for the first member that receives.
#[test]
fn a_letter_waits_for_the_first_receiver() {
    let model = Model::named("a_letter_waits_for_the_first_receiver").mortals(1).seconds(0.2);
    model.reaches(&["put", "not put"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        flight.goes_with_its_last_member();
        let p = flight.join_to_put();
        let reported = Rc::new(Cell::new(false));
        let p = p.dies(0, {
            let reported = Rc::clone(&reported);
            move |hand| puts_and_leaves(hand, &reported)
        });
        let producer = Process::new(&flight.segment);
        let frees = spawn(move || groups::reap(producer.view(), &producer).unwrap());
        p.join().unwrap();
        assert!(!frees.join().unwrap(), "it frees a group that nobody has received for");
        assert!(flight.is_there(), "the group went with one that puts letters");
        flight.join().finish(writer.tail(), BEGIN);
        match flight.acked_again(7) {
            0 => assert!(!reported.get(), "the letter is lost"),
            times => assert_eq!(times, 1, "it came twice"),
        }
        run.reach(if reported.get() { "put" } else { "not put" });
    });
}

/// The last member that receives leaves a group that goes with it, beside one that puts a letter and leaves, or dies at a step
/// of that: the group goes with the one that receives alone, and so does the letter.
#[test]
fn a_letter_goes_with_the_last_receiver_alone() {
    let model = Model::named("a_letter_goes_with_the_last_receiver_alone").mortals(1).seconds(0.2);
    model.reaches(&["went", "stays", "came"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        flight.goes_with_its_last_member();
        let [mut r] = flight.join_all();
        assert_eq!(r.eat(1), 1);
        let p = flight.join_to_put();
        let reported = Rc::new(Cell::new(false));
        let p = p.dies(0, {
            let reported = Rc::clone(&reported);
            move |hand| puts_and_leaves(hand, &reported)
        });
        let went = Rc::new(Cell::new(false));
        let r = r.works({
            let went = Rc::clone(&went);
            move |hand| went.set(hand.leave(Purpose::Receive))
        });
        p.join().unwrap();
        r.join().unwrap();
        run.reach(if went.get() { "went" } else { "stays" });
        assert_eq!(flight.is_there(), !went.get(), "the group went with one that puts letters");
        if went.get() {
            return;
        }
        flight.join().finish(writer.tail(), BEGIN);
        match flight.acked_again(7) {
            0 => assert!(!reported.get(), "the letter is lost"),
            times => assert_eq!(times, 1, "it came twice"),
        }
        if reported.get() {
            run.reach("came");
        }
    });
}

/// A letter is sent again beside a look.
#[test]
fn a_letter_is_seen_by_a_look_or_lowers_the_hint() {
    let model = Model::named("a_letter_is_seen_by_a_look_or_lowers_the_hint");
    model.check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [p, mut t, last] = flight.join_all();
        assert_eq!(t.eat(1), 1);
        let p = p.works(|hand| {
            hand.put(7);
        });
        let t = t.works(|hand| {
            hand.look(1);
        });
        p.join().unwrap();
        t.join().unwrap();
        last.assert_hint(1);
        last.finish(writer.tail(), BEGIN);
        assert_eq!(flight.acked_again(7), 1);
    });
}

/// A member sleeps: a letter wakes it.
#[test]
fn a_letter_wakes_a_member() {
    let model = Model::named("a_letter_wakes_a_member");
    model.reaches(&["slept"]).check(|run| {
        let (flight, writer) = flight(run, Shape { sleepers: true, ..SHAPE }, 1);
        let [mut b, p, last] = flight.join_all();
        assert_eq!(b.eat(1), 1);
        let own = run.clone();
        let b = b.works(move |hand: &mut Hand| {
            let process = Rc::clone(&hand.process);
            let waiter = Waiter::new(process.view(), data(process.view(), 0));
            sleep(&own, [waiter], || hand.take_and_ack(BEGIN).then_some(()));
        });
        let p = p.works(|hand| {
            hand.put(7);
        });
        b.join().unwrap();
        p.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// Who sends a letter again waits for a cell, which an ack empties.
#[test]
fn who_sends_a_letter_again_waits_for_a_cell() {
    let model = Model::named("who_sends_a_letter_again_waits_for_a_cell");
    model.reaches(&["slept"]).check(|run| {
        let (flight, writer) = flight(run, Shape { sleepers: true, ..SHAPE }, 1);
        let [mut a, p, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.ack(&message);
        });
        let own = run.clone();
        let p = p.works(move |hand: &mut Hand| {
            let process = Rc::clone(&hand.process);
            let waiter = Waiter::new(process.view(), WaiterKind::Cell { group: 0 });
            sleep(&own, [waiter], || hand.put(7).then_some(()));
        });
        a.join().unwrap();
        p.join().unwrap();
        last.finish(writer.tail(), BEGIN);
        assert_eq!(flight.acked_again(7), 1);
    });
}

/// A member has a letter with the sequence of a message that it then receives, and dies: the message is not lost with the
/// letter, and neither comes twice.
#[test]
fn a_letter_has_the_sequence_of_a_message_of_the_ring() {
    let name = "a_letter_has_the_sequence_of_a_message_of_the_ring";
    let model = Model::named(name).mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 3, ..SHAPE }, 2);
        let [a, mut b, last] = flight.join_all();
        assert!(b.put(1), "a cell is empty");
        let a = a.dies(0, |hand| {
            let _letter = hand.take(BEGIN);
            let _messages = hand.receive(2);
        });
        let b = b.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
        assert_eq!(flight.acked_again(1), 1);
    });
}

/// A member is slow to copy what it has taken: another one takes it, acks it, and the cell gets a letter.
#[test]
fn a_taker_is_overtaken_by_a_letter() {
    let model = Model::named("a_taker_is_overtaken_by_a_letter").preemptions(3).seconds(3.0);
    model.reaches(&["came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, s, t, last] = flight.join_all();
        let message = a.one();
        a.give_back(&message, BEGIN);
        let s = s.works(|hand| {
            hand.take_and_ack(BEGIN);
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            hand.put(7);
        });
        s.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), 2 * DUE);
    });
}

/// An observer looks at a cell that is emptied and gets a letter meanwhile: it sees one of the two, whole, or none.
#[test]
fn who_looks_at_a_cell_sees_one_message_or_none() {
    let model = Model::named("who_looks_at_a_cell_sees_one_message_or_none");
    model.reaches(&["saw the message", "saw the letter", "saw none"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut t, l, last] = flight.join_all();
        let message = t.one();
        let t = t.works(move |hand| {
            hand.ack(&message);
            hand.put(7);
        });
        let l = l.works(|hand| match hand.look_at(0) {
            Some(0) => hand.run.reach("saw the message"),
            Some(_) => hand.run.reach("saw the letter"),
            None => hand.run.reach("saw none"),
        });
        t.join().unwrap();
        l.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}
