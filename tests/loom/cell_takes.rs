//! Takes of messages in flight: several in one look, a certain one, with a dead letter, without a count, and while an
//! operator changes the ack timeout.

use loom::thread::spawn;

use super::explore::Model;
use super::heap::Shape;
use super::in_flight::{BEGIN, DUE, END, LATER, flight};
use crate::packed::{CellState, NEVER, Tick};
use crate::ring::cells::InHand;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 4,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 1,
};

/// A time before the next full look after `DUE`.
const SOON: Tick = DUE + 3;

/// Three messages are due. A member takes two of them in one look, while their owner acks one and gives another one back for
/// soon: what it leaves is due at once for whoever looks next.
#[test]
fn a_look_takes_several_beside_an_ack_and_a_give_back() {
    let model = Model::named("a_look_takes_several_beside_an_ack_and_a_give_back").preemptions(3);
    model.reaches(&["evicted", "came again", "two", "one"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, cells: 3, ..SHAPE }, 3);
        let [mut a, s, last] = flight.join_all();
        let messages: [InHand; 3] = a.receive(3).try_into().expect("three messages");
        a.give_back(&messages[1], BEGIN);
        let a = a.works(move |hand| {
            hand.ack(&messages[0]);
            hand.thread().give_back(2, messages[2].token, SOON, DUE);
        });
        let own = run.clone();
        let s = s.works(move |hand| {
            let taken = hand.look_for(DUE, 2);
            own.reach(if taken.len() == 2 { "two" } else { "one" });
            for message in taken {
                hand.ack(&message);
            }
        });
        a.join().unwrap();
        s.join().unwrap();
        last.assert_hint(DUE);
        last.finish(writer.tail(), END);
    });
}

/// Two members take what is due in looks for two: neither leaves a message that nobody looks for.
#[test]
fn two_looks_for_two_share_what_is_due() {
    let model = Model::named("two_looks_for_two_share_what_is_due").preemptions(3);
    model.reaches(&["came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, cells: 3, ..SHAPE }, 3);
        let [mut a, s, t, last] = flight.join_all();
        let messages: [InHand; 3] = a.receive(3).try_into().expect("three messages");
        for message in &messages {
            a.give_back(message, BEGIN);
        }
        let [s, t] = [s, t].map(|hand| {
            hand.works(|hand| {
                hand.look_for(1, 2);
            })
        });
        s.join().unwrap();
        t.join().unwrap();
        last.assert_hint(1);
        last.finish(writer.tail(), END);
    });
}

/// The operator takes a certain message from a member that moves it from the ring, acks another one, and dies.
#[test]
fn a_certain_message_is_taken_beside_a_death() {
    let model = Model::named("a_certain_message_is_taken_beside_a_death").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again", "evicted"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [a, o, last] = flight.join_all();
        let a = a.dies(0, |hand| {
            hand.eat(1);
        });
        let o = o.works(|hand| {
            if let Some(message) = hand.take_sequence(0, BEGIN) {
                hand.ack(&message);
            }
        });
        a.join().unwrap();
        o.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The operator takes a certain message from a member that extends it, and does not say that it is not there.
#[test]
fn a_certain_message_is_taken_beside_an_extension() {
    let model = Model::named("a_certain_message_is_taken_beside_an_extension");
    model.reaches(&["evicted"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, o, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.thread().extend(&message, LATER);
        });
        let o = o.works(|hand| {
            let message = hand.take_sequence(0, BEGIN).expect("in flight, and nobody acks it");
            assert!(hand.ack(&message), "nobody evicted it");
        });
        a.join().unwrap();
        o.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// Who takes a certain message dies at each step, beside its owner's ack.
#[test]
fn who_takes_a_certain_message_dies() {
    let model = Model::named("who_takes_a_certain_message_dies").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again", "evicted"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, o, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.ack(&message);
        });
        let o = o.dies(0, |hand| {
            hand.take_sequence(0, BEGIN);
        });
        a.join().unwrap();
        o.join().unwrap();
        // What the dead taker had is not due.
        last.finish(writer.tail(), BEGIN);
    });
}

/// The operator ends a message's delay, while a member takes and acks it, and gets another message into its cell: neither is
/// delivered once more for it, and no attempt is counted.
#[test]
fn a_delay_is_ended_beside_a_take() {
    let model = Model::named("a_delay_is_ended_beside_a_take");
    model.reaches(&["came again", "early", "late"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [mut a, o, t, last] = flight.join_all();
        let message = a.one();
        a.give_back(&message, DUE);
        let own = run.clone();
        let o = o.works(move |hand| {
            own.reach(if hand.thread().end_delay(0) { "early" } else { "late" });
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            for message in hand.receive(1) {
                assert!(hand.ack(&message), "nobody evicted {}", message.seq);
            }
        });
        o.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), END);
        let numbers = flight.notes.borrow().delivered.iter().map(|it| it.1).max();
        assert_eq!(numbers, Some(2), "an attempt was counted");
    });
}

/// The operator asks for a message whose cell gets another one meanwhile.
#[test]
fn a_certain_message_is_not_another_one_of_its_cell() {
    let model = Model::named("a_certain_message_is_not_another_one_of_its_cell");
    model.reaches(&["evicted"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [mut a, o, last] = flight.join_all();
        let message = a.one();
        let a = a.works(move |hand| {
            hand.ack(&message);
            hand.eat(1);
        });
        let o = o.works(|hand| {
            for seq in 0..2 {
                if let Some(message) = hand.take_sequence(seq, BEGIN) {
                    hand.ack(&message);
                }
            }
        });
        a.join().unwrap();
        o.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// Of a message and its dead letter that was sent again, the one that fails again and again is taken.
#[test]
fn of_two_messages_of_a_sequence_the_most_delivered_is_taken() {
    Model::named("of_two_messages_of_a_sequence_the_most_delivered_is_taken").check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [mut a, mut o, last] = flight.join_all();
        let message = a.one();
        assert!(a.put(0), "a cell is empty");
        a.give_back(&message, LATER);
        let taken = o.take_sequence(0, BEGIN).expect("in flight");
        assert!(!taken.requeued && taken.attempts == 2, "{taken:?}");
        o.ack(&taken);
        last.finish(writer.tail(), BEGIN);
        assert_eq!(flight.acked_again(0), 1);
    });
}

/// A member whose time is over makes a dead letter of a message, and another one takes it, does the same, and gets another
/// message into the cell: there are two letters at most, each of the message, and never none.
#[test]
fn two_members_make_a_dead_letter() {
    let model = Model::named("two_members_make_a_dead_letter").mortals(1).seconds(0.2);
    model.reaches(&["evicted", "came again", "two letters"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [mut a, t, last] = flight.join_all();
        let message = a.one();
        let a = a.dies(0, move |hand| {
            hand.thread().dead_letter(&message, DUE);
        });
        let t = t.works(|hand| {
            hand.exhaust(DUE);
            hand.eat(1);
        });
        a.join().unwrap();
        t.join().unwrap();
        {
            let notes = flight.notes.borrow();
            let (acked, letters) = (notes.acked.contains(&0), notes.letters.len());
            assert!(!acked || letters > 0, "acked without a letter");
            assert!(notes.letters.iter().all(|seq| *seq == 0), "a letter of another message");
            if letters == 2 {
                run.reach("two letters");
            }
        }
        last.finish(writer.tail(), END);
    });
}

/// A member takes the count of a delivery back, and then the message is taken, is given back, or is left by its death: the
/// next delivery has the same number.
#[test]
fn what_was_not_tried_in_flight_is_not_counted() {
    let model = Model::named("what_was_not_tried_in_flight_is_not_counted").mortals(1).seconds(0.2);
    model.reaches(&["evicted", "came again", "settled", "not counted"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, t, last] = flight.join_all();
        let message = a.one();
        let a = a.dies(0, move |hand| {
            let owner = hand.thread();
            if let Some(token) = owner.uncount(&message) {
                owner.give_back(0, token, BEGIN, BEGIN);
            }
        });
        let t = t.works(|hand| {
            hand.settle();
            hand.take_and_ack(DUE);
        });
        a.join().unwrap();
        t.join().unwrap();
        {
            let notes = flight.notes.borrow();
            let number = notes.delivered.last().map(|delivered| delivered.1);
            if let Some(number) = number.filter(|_| !notes.uncounted.is_empty()) {
                run.reach("not counted");
                assert_eq!(number, 1, "its first delivery was not counted");
            }
        }
        last.finish(writer.tail(), END);
    });
}

/// A member dies in its receive, at each step, and is settled: the next delivery counts one more if the message had been filled
/// into a cell, where it may have been handed out, and else is the first.
#[test]
fn what_nobody_was_handed_is_not_counted() {
    let model = Model::named("what_nobody_was_handed_is_not_counted").mortals(1);
    model.reaches(&["settled", "first", "second"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [a, mut last] = flight.join_all();
        a.live_and_die(0, |hand| {
            hand.receive(1);
        });
        let in_cell = last.words().any(|word| word.state == CellState::Held);
        last.settle();
        if let Some(message) = last.take(BEGIN) {
            assert_eq!(message.attempts, if in_cell { 2 } else { 1 });
            run.reach(if in_cell { "second" } else { "first" });
            last.ack(&message);
        }
        last.finish(writer.tail(), BEGIN);
    });
}

/// Its owner goes on with a message that it has taken the count of: an ack fails only if another one has taken it.
#[test]
fn an_uncounted_message_stays_its_owners() {
    let model = Model::named("an_uncounted_message_stays_its_owners");
    model.reaches(&["evicted", "acked", "taken"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, t, last] = flight.join_all();
        let message = a.one();
        let own = run.clone();
        let a = a.works(move |hand| {
            let owner = hand.thread();
            if let Some(token) = owner.uncount(&message)
                && owner.ack(0, token)
            {
                own.reach("acked");
            }
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
        });
        a.join().unwrap();
        t.join().unwrap();
        {
            let notes = flight.notes.borrow();
            assert_eq!(notes.acked, [0], "its owner lost it, and nobody took it");
            if !notes.evicted.is_empty() {
                run.reach("taken");
            }
        }
        last.finish(writer.tail(), END);
    });
}

/// An operator takes the ack timeout away, and then a message is sent: it has none, also by a member that was about to receive.
#[test]
fn a_message_has_the_timeout_that_was_set_before_it() {
    let model = Model::named("a_message_has_the_timeout_that_was_set_before_it").seconds(3.0);
    model.reaches(&["old", "new"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 1);
        let [a, o, last] = flight.join_all();
        let own = run.clone();
        let a = a.works(move |hand| {
            for message in hand.receive(1).into_iter().chain(hand.receive(1)) {
                let never = message.token.due() >= NEVER;
                own.reach(if never { "new" } else { "old" });
                assert!(never || message.seq == 0, "sent without a timeout, and received with one");
                hand.ack(&message);
            }
        });
        let own = run.clone();
        let changes = spawn(move || {
            o.set_timeout(0);
            let (writer, sent) = writer.send(&own);
            assert!(sent, "the ring has room");
            writer
        });
        a.join().unwrap();
        let writer = changes.join().unwrap();
        last.finish(writer.tail(), END);
    });
}

/// An operator sets an ack timeout. A member whose clock cannot be compared with those of others sets no due by it, whatever it
/// has seen before.
#[test]
fn a_member_without_a_common_clock_sets_no_due() {
    Model::named("a_member_without_a_common_clock_sets_no_due").check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 2, ..SHAPE }, 2);
        let [mut a, o, last] = flight.join_all();
        o.set_timeout(0);
        a.member.table = a.member.table.untimed();
        let message = a.one();
        o.set_timeout(DUE);
        let other = a.one();
        a.give_back(&message, BEGIN);
        let again = a.take(BEGIN).expect("due at once");
        for message in [&other, &again] {
            assert!(message.token.due() >= NEVER, "due by a clock of its own");
            a.ack(message);
        }
        last.finish(writer.tail(), BEGIN);
    });
}

/// An operator takes the ack timeout away while a member receives: if the message has none, nobody takes it.
#[test]
fn a_message_without_a_timeout_stays_its_receivers() {
    let model = Model::named("a_message_without_a_timeout_stays_its_receivers");
    model.reaches(&["old", "new", "evicted"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [a, t, o, last] = flight.join_all();
        let own = run.clone();
        let a = a.works(move |hand| {
            for message in hand.receive(1) {
                let never = message.token.due() >= NEVER;
                own.reach(if never { "new" } else { "old" });
                let acked = hand.ack(&message);
                assert!(acked || !never, "taken from a member that lives");
            }
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
        });
        let o = o.works(|hand| hand.set_timeout(0));
        a.join().unwrap();
        t.join().unwrap();
        o.join().unwrap();
        last.finish(writer.tail(), END);
    });
}

/// An operator gives a longer ack timeout, and takes a message back from its member: the next one has it for as long.
#[test]
fn what_an_operator_takes_back_has_the_new_timeout() {
    let model = Model::named("what_an_operator_takes_back_has_the_new_timeout");
    model.reaches(&["came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 1);
        let [mut a, t, o, last] = flight.join_all();
        let message = a.one();
        let o = o.works(move |hand| {
            hand.set_timeout(END);
            hand.thread().evict(0);
        });
        let t = t.works(|hand| {
            if let Some(message) = hand.take(BEGIN) {
                assert_eq!(message.token.due(), END, "evicted for a longer timeout");
                hand.ack(&message);
            }
        });
        o.join().unwrap();
        t.join().unwrap();
        assert!(!a.ack(&message), "evicted");
        last.finish(writer.tail(), END);
    });
}
