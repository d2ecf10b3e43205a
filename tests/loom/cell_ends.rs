//! Messages in flight when members come and go, when the queue ends, and when members wait for a cell or a due.

use std::cell::Cell;
use std::rc::Rc;

use loom::thread::spawn;

use super::explore::{Model, Run};
use super::heap::{Process, Shape};
use super::in_flight::{BEGIN, DUE, END, Flight, Hand, LATER, flight, two_and_ack};
use super::park::sleep;
use crate::packed::{CellState, Tick};
use crate::ring::cells::{FULL_LOOK, InHand};
use crate::ring::park::{Waiter, WaiterKind};
use crate::ring::records::Purpose;
use crate::sync::Ordering;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 4,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 1,
};

/// A time before the next full look.
const SOON: Tick = 3;

/// A member takes a message and dies; its former owner acks late, or had given it back; another one settles and takes.
fn taker_dies(name: &'static str, gives_back: bool) {
    let model = Model::named(name).mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again"]).check(move |run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, t, u, last] = flight.join_all();
        let message = a.one();
        if gives_back {
            a.give_back(&message, BEGIN);
        }
        let a = a.works(move |hand| {
            if !gives_back {
                hand.ack(&message);
            }
        });
        let now = if gives_back { BEGIN } else { DUE };
        let t = t.dies(0, move |hand| {
            hand.take_and_ack(now);
        });
        let u = u.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        a.join().unwrap();
        t.join().unwrap();
        u.join().unwrap();
        // What the dead taker had is not due.
        last.finish(writer.tail(), now);
    });
}

#[test]
fn a_taker_dies_with_what_was_due() {
    taker_dies("a_taker_dies_with_what_was_due", false);
}

#[test]
fn a_taker_dies_with_what_was_given_back() {
    taker_dies("a_taker_dies_with_what_was_given_back", true);
}

/// A thread that asks twice whether all is acked.
fn asks(flight: &Rc<Flight>, tail: u64) -> loom::thread::JoinHandle<()> {
    let flight = Rc::clone(flight);
    spawn(move || {
        for _ in 0..2 {
            flight.is_over(tail);
        }
    })
}

/// A group is not over while a message is in a cell.
#[test]
fn a_group_is_over_once_its_cells_are_empty() {
    Model::named("a_group_is_over_once_its_cells_are_empty").check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let flight = Rc::new(flight.asked());
        let [a, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.eat(1);
        });
        let asks = asks(&flight, 1);
        a.join().unwrap();
        asks.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The same while the member dies, and is settled later.
#[test]
fn a_group_is_not_over_with_a_dead_members_cells() {
    let model = Model::named("a_group_is_not_over_with_a_dead_members_cells").mortals(1);
    model.seconds(0.2).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let flight = Rc::new(flight.asked());
        let [a, last] = flight.join_all();
        let a = a.dies(0, |hand| {
            hand.eat(1);
        });
        let asks = asks(&flight, 1);
        a.join().unwrap();
        asks.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The same while the message is given back and taken.
#[test]
fn a_group_is_not_over_while_a_message_goes_round() {
    let model = Model::named("a_group_is_not_over_while_a_message_goes_round").seconds(3.0);
    model.check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let flight = Rc::new(flight.asked());
        let [a, c, last] = flight.join_all();
        let a = a.works(|hand| {
            for message in hand.receive(1) {
                hand.give_back(&message, BEGIN);
            }
        });
        let c = c.works(|hand| {
            hand.take_and_ack(BEGIN);
        });
        let asks = asks(&flight, 1);
        a.join().unwrap();
        c.join().unwrap();
        asks.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The same while a dead member is settled.
#[test]
fn a_group_is_not_over_while_a_dead_member_is_settled() {
    let model = Model::named("a_group_is_not_over_while_a_dead_member_is_settled").mortals(1);
    model.seconds(0.2).reaches(&["settled"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let flight = Rc::new(flight.asked());
        let [a, s, last] = flight.join_all();
        a.live_and_die(0, |hand| {
            hand.eat(1);
        });
        let s = s.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        let asks = asks(&flight, 1);
        s.join().unwrap();
        asks.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A member dies. Another one takes its record, goes on with it, and may die as well, beside one that receives and takes
/// what is due at `now`.
fn record_taken_again(name: &'static str, mortals: usize, now: Tick) {
    let model = Model::named(name).mortals(mortals).seconds(if mortals == 2 { 0.02 } else { 0.2 });
    model.reaches(&["joined again"]).check(move |run| {
        let (flight, writer) = flight(run, Shape { records: 3, cells: 2, ..SHAPE }, 2);
        let flight = Rc::new(flight);
        let [a, c, last] = flight.join_all();
        let dead = Cell::new(Some(a));
        let joins = (Rc::clone(&flight), run.clone());
        let a = spawn(move || {
            let (flight, run) = joins;
            dead.take().unwrap().live_and_die(0, two_and_ack);
            let process = Rc::new(Process::new(&flight.segment));
            let life = || {
                let Some(mut hand) = flight.join_as(&process) else { return };
                flight.run.reach("joined again");
                hand.eat(1);
                hand.take_and_ack(BEGIN);
            };
            if mortals == 2 {
                run.mortal(1, &process, life);
                process.torn_down();
            } else {
                // It lives on: what it does not know of is lost, unless it is settled.
                life();
            }
            process
        });
        let c = c.works(move |hand| {
            hand.eat(1);
            hand.take_and_ack(now);
        });
        let _joined = a.join().unwrap();
        c.join().unwrap();
        last.finish(writer.tail(), now);
    });
}

#[test]
fn a_dead_members_record_is_settled_before_it_is_taken() {
    record_taken_again("a_dead_members_record_is_settled_before_it_is_taken", 1, BEGIN);
}

#[test]
fn a_joiner_dies_while_it_settles() {
    record_taken_again("a_joiner_dies_while_it_settles", 2, BEGIN);
}

#[test]
fn a_joiner_settles_beside_a_taker() {
    record_taken_again("a_joiner_settles_beside_a_taker", 1, DUE);
}

/// A dead member is settled by another one, or by who takes its record: the joiner's own cells are not given away.
#[test]
fn a_joiner_and_a_settler_at_once() {
    let model = Model::named("a_joiner_and_a_settler_at_once").mortals(1).seconds(0.2);
    model.reaches(&["settled", "joined again"]).check(|run| {
        let shape = Shape { capacity: 4, records: 3, cells: 2, ..SHAPE };
        let (flight, writer) = flight(run, shape, 3);
        let flight = Rc::new(flight);
        let [a, s, last] = flight.join_all();
        a.live_and_die(0, two_and_ack);
        let s = s.works(|hand| {
            hand.settle();
            hand.eat(1);
        });
        let joins = Rc::clone(&flight);
        let j = spawn(move || {
            let process = Rc::new(Process::new(&joins.segment));
            if let Some(mut hand) = joins.join_as(&process) {
                joins.run.reach("joined again");
                for message in hand.receive(1) {
                    assert!(hand.ack(&message), "nobody evicted {}", message.seq);
                }
            }
            process.torn_down();
        });
        s.join().unwrap();
        j.join().unwrap();
        last.finish(writer.tail(), END);
    });
}

/// A member says that it has no cell, since it has acked everything. Then it receives again, and dies.
#[test]
fn a_member_that_had_no_cell_for_a_while_is_settled() {
    let model = Model::named("a_member_that_had_no_cell_for_a_while_is_settled").mortals(1);
    model.seconds(0.2).reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [mut a, s, last] = flight.join_all();
        assert_eq!(a.eat(1), 1);
        let a = a.dies(0, |hand| {
            let view = *hand.process.view();
            hand.member.renounce(&view);
            hand.receive(1);
        });
        let s = s.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        a.join().unwrap();
        s.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A live member leaves with a message, and dies in it.
#[test]
fn a_member_leaves_and_gives_back() {
    let model = Model::named("a_member_leaves_and_gives_back").mortals(1).seconds(0.2);
    model.reaches(&["came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, cells: 3, ..SHAPE }, 3);
        let [a, b, last] = flight.join_all();
        let a = a.dies(0, |hand| {
            let messages = hand.receive(2);
            for (i, message) in messages.iter().enumerate() {
                if i == 0 {
                    hand.ack(message);
                } else {
                    hand.give_back(message, BEGIN);
                }
            }
            hand.leave(Purpose::Receive);
        });
        let b = b.works(|hand| {
            hand.take_and_ack(BEGIN);
            hand.eat(1);
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

const SLEEPERS: Shape = Shape { sleepers: true, ..SHAPE };

/// Sleeps until `look` finds something, as a member that finds no cell.
fn waits(run: &Run, hand: &mut Hand, mut look: impl FnMut(&mut Hand) -> bool) {
    let process = Rc::clone(&hand.process);
    let waiter = Waiter::new(process.view(), WaiterKind::Cell { group: 0 });
    sleep(run, [waiter], || look(hand).then_some(()));
}

/// The only cell is in use; an ack wakes who waits for it.
#[test]
fn an_ack_wakes_who_waits_for_a_cell() {
    Model::named("an_ack_wakes_who_waits_for_a_cell").reaches(&["slept"]).check(|run| {
        let (flight, writer) = flight(run, SLEEPERS, 2);
        let [mut a, b, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.ack(&message);
        });
        let own = run.clone();
        let b = b.works(move |hand| waits(&own, hand, |hand| hand.eat(1) > 0));
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// Cells that were reserved in vain wake who waits for one.
#[test]
fn an_unused_reservation_wakes_who_waits_for_a_cell() {
    let model = Model::named("an_unused_reservation_wakes_who_waits_for_a_cell").seconds(3.0);
    model.reaches(&["slept"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 3, ..SLEEPERS }, 2);
        let [a, c, b, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.receive(2);
        });
        let c = c.works(|hand| {
            hand.receive(1);
        });
        let own = run.clone();
        let b = b.works(move |hand| {
            waits(&own, hand, |hand| hand.words().any(|word| word.state == CellState::Empty));
        });
        a.join().unwrap();
        c.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), END);
    });
}

/// A member died with the only cell. Who settles it wakes who waits for a cell, or for what is due.
#[test]
fn a_settler_wakes_who_waits_for_a_cell() {
    let model = Model::named("a_settler_wakes_who_waits_for_a_cell").mortals(1).seconds(0.2);
    model.reaches(&["slept", "settled"]).check(|run| {
        let (flight, writer) = flight(run, SLEEPERS, 1);
        let [a, d, b, last] = flight.join_all();
        a.live_and_die(0, |hand| {
            hand.receive(1);
        });
        let d = d.works(|hand| {
            hand.settle();
        });
        let own = run.clone();
        let b = b.works(move |hand| {
            waits(&own, hand, |hand| hand.eat(1) > 0 || hand.take_and_ack(BEGIN));
        });
        d.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The same of who takes the dead member's record.
#[test]
fn a_joiner_wakes_who_waits_for_a_cell() {
    let model = Model::named("a_joiner_wakes_who_waits_for_a_cell");
    model.reaches(&["slept", "joined again"]).check(|run| {
        let (flight, writer) = flight(run, SLEEPERS, 1);
        let flight = Rc::new(flight);
        let [mut a, b, last] = flight.join_all();
        a.one();
        a.die();
        let joins = Rc::clone(&flight);
        let j = spawn(move || {
            joins.run.reach("joined again");
            joins.join()
        });
        let own = run.clone();
        let b = b.works(move |hand| {
            waits(&own, hand, |hand| hand.take_and_ack(BEGIN));
        });
        let _joined = j.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The owner of a message, or an operator in its place, makes it due soon, while another member looks at all cells.
fn due_beside_a_look(
    name: &'static str,
    makes_due: impl Fn(&Hand, &InHand) + Copy + Send + Sync + 'static,
) {
    Model::named(name).check(move |run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [mut a, s, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| makes_due(hand, &message));
        let s = s.works(|hand| {
            hand.look(1);
        });
        a.join().unwrap();
        s.join().unwrap();
        last.assert_hint(BEGIN);
        last.finish(writer.tail(), END);
    });
}

#[test]
fn a_give_back_is_seen_by_a_look_or_lowers_the_hint() {
    due_beside_a_look("a_give_back_is_seen_by_a_look_or_lowers_the_hint", |hand, message| {
        hand.give_back(message, SOON);
    });
}

#[test]
fn an_extension_is_seen_by_a_look_or_lowers_the_hint() {
    due_beside_a_look("an_extension_is_seen_by_a_look_or_lowers_the_hint", |hand, message| {
        hand.thread().extend(message, SOON);
    });
}

#[test]
fn an_eviction_is_seen_by_a_look_or_lowers_the_hint() {
    due_beside_a_look("an_eviction_is_seen_by_a_look_or_lowers_the_hint", |hand, _| {
        hand.thread().evict_until(0, SOON);
    });
}

/// The same where an operator ends the delay of a message that waits for long.
#[test]
fn an_ended_delay_is_seen_by_a_look_or_lowers_the_hint() {
    Model::named("an_ended_delay_is_seen_by_a_look_or_lowers_the_hint").check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [mut a, o, s, last] = flight.join_all();
        let message = a.one();
        a.give_back(&message, LATER);
        let o = o.works(|hand| {
            assert!(hand.thread().end_delay(0), "nobody takes it before");
        });
        let s = s.works(|hand| {
            hand.look(BEGIN);
        });
        o.join().unwrap();
        s.join().unwrap();
        last.assert_hint(BEGIN);
        last.finish(writer.tail(), SOON);
    });
}

/// The same of a dead member's message, which is settled.
#[test]
fn what_is_settled_is_seen_by_a_look_or_lowers_the_hint() {
    let model = Model::named("what_is_settled_is_seen_by_a_look_or_lowers_the_hint");
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [mut a, d, s, last] = flight.join_all();
        a.one();
        a.die();
        let d = d.works(|hand| {
            hand.settle();
        });
        let s = s.works(|hand| {
            hand.look(1);
        });
        d.join().unwrap();
        s.join().unwrap();
        last.assert_hint(1);
        last.finish(writer.tail(), END);
    });
}

/// Two members look at all cells while two messages are given back.
#[test]
fn two_looks_beside_two_give_backs() {
    Model::named("two_looks_beside_two_give_backs").seconds(3.0).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 2);
        let [mut a, s, t, last] = flight.join_all();
        let messages: [InHand; 2] = a.receive(2).try_into().expect("two messages");
        let a = a.works(move |hand| {
            hand.give_back(&messages[0], SOON);
            hand.give_back(&messages[1], SOON + 1);
        });
        let looks = |hand: Hand, now: Tick| {
            hand.works(move |hand| {
                hand.look(now);
            })
        };
        let (s, t) = (looks(s, 1), looks(t, 2));
        a.join().unwrap();
        s.join().unwrap();
        t.join().unwrap();
        last.assert_hint(BEGIN);
        last.finish(writer.tail(), END);
    });
}

/// Two messages are due: a member that takes one leaves the other to whoever looks next.
#[test]
fn a_look_that_takes_one_leaves_the_others_due() {
    let model = Model::named("a_look_that_takes_one_leaves_the_others_due");
    model.reaches(&["came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 2);
        let [mut a, s, last] = flight.join_all();
        let messages: [InHand; 2] = a.receive(2).try_into().expect("two messages");
        let a = a.works(move |hand| {
            hand.give_back(&messages[0], BEGIN);
            hand.give_back(&messages[1], BEGIN);
        });
        let s = s.works(|hand| {
            hand.look(1);
        });
        a.join().unwrap();
        s.join().unwrap();
        last.assert_hint(1);
        last.finish(writer.tail(), END);
    });
}

/// A member dies in its look: the hint is no later than the next full look.
#[test]
fn a_look_that_ends_in_a_death_delays_no_more_than_one() {
    let model = Model::named("a_look_that_ends_in_a_death_delays_no_more_than_one").mortals(1);
    model.check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [mut a, s, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.give_back(&message, SOON);
        });
        let s = s.dies(0, |hand| {
            hand.look(1);
        });
        a.join().unwrap();
        s.join().unwrap();
        let view = last.process.view();
        let next = view.group(0).delivery.next_due.load(Ordering::Acquire);
        assert!(next <= 1 + FULL_LOOK, "the hint says {next}");
        last.finish(writer.tail(), END);
    });
}
