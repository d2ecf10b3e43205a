//! Messages in flight: from the ring into cells, and from a cell to whoever may have it.

use super::explore::{Model, Run};
use super::heap::Shape;
use super::in_flight::{BEGIN, DUE, END, Flight, Hand, LATER, flight, two_and_ack};
use crate::ring::observe::{self, InCell};

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 4,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 2,
};

/// Two members, and a producer that overwrites what they have acked in the ring.
#[test]
fn two_members_move_messages_to_cells_beside_an_overwriting_producer() {
    let name = "two_members_move_messages_to_cells_beside_an_overwriting_producer";
    Model::named(name).seconds(3.0).reaches(&["room", "full"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [a, b, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.eat(1);
            hand.eat(1);
        });
        let b = b.works(|hand| {
            hand.eat(1);
        });
        let writer = writer.sends(run, 1).join().unwrap();
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// The producer overwrites a slot once its message is in a cell, and read.
#[test]
fn a_slot_is_overwritten_once_its_message_is_in_a_cell() {
    let model = Model::named("a_slot_is_overwritten_once_its_message_is_in_a_cell");
    model.reaches(&["room", "full"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 1, cells: 1, ..SHAPE }, 1);
        let [a, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.receive(1);
        });
        let writer = writer.sends(run, 1).join().unwrap();
        drop(a.join().unwrap());
        last.finish(writer.tail(), END);
    });
}

/// Claims of two and of one, three cells.
#[test]
fn members_move_two_and_one() {
    Model::named("members_move_two_and_one").seconds(3.0).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, cells: 3, ..SHAPE }, 3);
        let [a, b, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.eat(2);
        });
        let b = b.works(|hand| {
            hand.eat(1);
            hand.eat(1);
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// One cell for two members: it is used again and again.
#[test]
fn one_cell_serves_two_members() {
    Model::named("one_cell_serves_two_members").seconds(3.0).reaches(&["no cell"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 1, ..SHAPE }, 2);
        let [a, b, last] = flight.join_all();
        let [a, b] = [a, b].map(|hand| {
            hand.works(|hand| {
                hand.eat(1);
            })
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// More members than messages: what was reserved in vain is empty again.
#[test]
fn cells_that_were_reserved_in_vain_are_empty_again() {
    Model::named("cells_that_were_reserved_in_vain_are_empty_again").seconds(3.0).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 3, ..SHAPE }, 1);
        let [a, b, last] = flight.join_all();
        let a = a.works(|hand| {
            hand.eat(2);
        });
        let b = b.works(|hand| {
            hand.eat(1);
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A member dies with two messages; another one receives, settles it, and takes.
#[test]
fn a_dead_members_receive_is_done_for_it() {
    let model = Model::named("a_dead_members_receive_is_done_for_it").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, cells: 3, ..SHAPE }, 3);
        let [a, b, last] = flight.join_all();
        let a = a.dies(0, two_and_ack);
        let b = b.works(|hand| {
            hand.eat(1);
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// It dies in its second receive, with the words and cells of its first one around.
#[test]
fn a_member_dies_in_its_second_receive() {
    let model = Model::named("a_member_dies_in_its_second_receive").mortals(1).seconds(0.2);
    model.reaches(&["settled"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, ..SHAPE }, 3);
        let [a, b, last] = flight.join_all();
        let a = a.dies(0, |hand| {
            hand.eat(1);
            hand.eat(1);
        });
        let b = b.works(|hand| {
            hand.settle();
            hand.eat(1);
        });
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// It dies beside a producer that overwrites as soon as the range is acked for it.
#[test]
fn a_dead_members_messages_are_copied_before_they_are_overwritten() {
    let name = "a_dead_members_messages_are_copied_before_they_are_overwritten";
    let model = Model::named(name).mortals(1).seconds(0.2);
    model.reaches(&["settled", "room", "full"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [a, b, last] = flight.join_all();
        let a = a.dies(0, |hand| {
            hand.eat(1);
        });
        let b = b.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        let writer = writer.sends(run, 1).join().unwrap();
        a.join().unwrap();
        b.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// Two members settle the same dead one at once.
#[test]
fn two_members_settle_the_same_dead_one() {
    let model = Model::named("two_members_settle_the_same_dead_one").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [a, b, c, last] = flight.join_all();
        let a = a.dies(0, two_and_ack);
        let [b, c] = [b, c].map(|hand| {
            hand.works(|hand| {
                hand.settle();
                hand.take_and_ack(BEGIN);
            })
        });
        a.join().unwrap();
        b.join().unwrap();
        c.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A member dies while its messages are due all along: between a filled cell and the ring ack, both have the message.
#[test]
fn what_the_ring_still_has_is_not_taken() {
    let model = Model::named("what_the_ring_still_has_is_not_taken").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [a, t, last] = flight.join_all();
        let a = a.dies(0, two_and_ack);
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            hand.take_and_ack(DUE);
        });
        a.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A member dies, and the one that settles it, beside one that takes what is due.
#[test]
fn a_settler_dies() {
    let model = Model::named("a_settler_dies").mortals(2).seconds(0.02);
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [a, b, t, last] = flight.join_all();
        let b = std::cell::Cell::new(Some(b));
        let a = loom::thread::spawn(move || {
            a.live_and_die(0, two_and_ack);
            b.take().unwrap().live_and_die(1, |hand| {
                hand.settle();
                hand.take_and_ack(BEGIN);
            });
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            hand.take_and_ack(DUE);
        });
        a.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A dead member is settled beside one that takes and receives.
#[test]
fn a_settler_beside_a_taker() {
    let model = Model::named("a_settler_beside_a_taker").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { capacity: 4, cells: 3, ..SHAPE }, 3);
        let [a, s, t, last] = flight.join_all();
        a.live_and_die(0, two_and_ack);
        let s = s.works(|hand| {
            hand.settle();
            hand.take_and_ack(BEGIN);
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            hand.eat(1);
            hand.take_and_ack(DUE);
        });
        s.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A member that has one message, of a segment with one cell, and others.
fn held<const N: usize>(
    run: &Run,
    fill: u64,
) -> (Flight, u64, Hand, crate::ring::cells::InHand, [Hand; N]) {
    let (flight, writer) = flight(run, Shape { cells: 1, ..SHAPE }, fill);
    let mut a = flight.join();
    let others = flight.join_all();
    let message = a.one();
    let tail = writer.tail();
    (flight, tail, a, message, others)
}

/// An ack beside a take for the timeout: one of them fails.
#[test]
fn an_ack_against_the_timeout() {
    Model::named("an_ack_against_the_timeout").reaches(&["evicted", "came again"]).check(|run| {
        let (_flight, tail, a, message, [t, last]) = held(run, 1);
        let a = a.works(move |hand| {
            hand.ack(&message);
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
        });
        a.join().unwrap();
        t.join().unwrap();
        last.finish(tail, END);
    });
}

/// An extension beside a take for the timeout: if it was in time, the message is the owner's until then.
#[test]
fn an_extension_against_the_timeout() {
    let model = Model::named("an_extension_against_the_timeout");
    model.reaches(&["evicted", "came again"]).check(|run| {
        let (_flight, tail, a, message, [t, last]) = held(run, 1);
        let a = a.works(move |hand| {
            if let Some(token) = hand.thread().extend(&message, LATER) {
                assert!(hand.thread().ack(message.seq, token), "extended in time, and evicted");
            }
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
        });
        a.join().unwrap();
        t.join().unwrap();
        last.finish(tail, END);
    });
}

/// A message is given back for later, beside a take for the timeout.
#[test]
fn a_give_back_against_the_timeout() {
    let model = Model::named("a_give_back_against_the_timeout");
    model.reaches(&["evicted", "came again"]).check(|run| {
        let (flight, tail, a, message, [t, last]) = held(run, 1);
        let a = a.works(move |hand| {
            hand.give_back(&message, LATER);
        });
        let t = t.works(|hand| {
            for _ in 0..2 {
                hand.take_and_ack(DUE);
            }
        });
        a.join().unwrap();
        t.join().unwrap();
        {
            let notes = flight.notes.borrow();
            let early = notes.given_back.contains(&0) && notes.acked.contains(&0);
            assert!(!early, "given back for later, and delivered now");
        }
        last.finish(tail, END);
    });
}

/// Two members take; one cell is due, one was given back, and the owner acks.
#[test]
fn two_members_take() {
    let model = Model::named("two_members_take").seconds(3.0);
    model.reaches(&["evicted", "came again"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [mut a, t, u, last] = flight.join_all();
        let messages = a.receive(2);
        a.give_back(&messages[0], BEGIN);
        let a = a.works(move |hand| {
            hand.ack(&messages[1]);
        });
        let [t, u] = [t, u].map(|hand| {
            hand.works(|hand| {
                hand.take_and_ack(DUE);
            })
        });
        a.join().unwrap();
        t.join().unwrap();
        u.join().unwrap();
        last.finish(writer.tail(), END);
    });
}

/// The operator takes a message from the member that receives and acks it, beside one that takes.
#[test]
fn an_eviction_beside_owner_and_taker() {
    let model = Model::named("an_eviction_beside_owner_and_taker").seconds(3.0);
    model.reaches(&["evicted", "came again", "taking"]).check(|run| {
        let (flight, writer) = flight(run, Shape { cells: 1, ..SHAPE }, 2);
        let [mut a, o, t, last] = flight.join_all();
        // What is left over in the cell is another message.
        assert_eq!(a.eat(1), 1);
        let a = a.works(|hand| {
            hand.eat(1);
        });
        let o = o.works(|hand| {
            hand.thread().evict(0);
        });
        let t = t.works(|hand| {
            hand.take_and_ack(BEGIN);
        });
        a.join().unwrap();
        o.join().unwrap();
        t.join().unwrap();
        last.finish(writer.tail(), END);
    });
}

/// The operator takes messages from a member that dies, and another one takes them.
#[test]
fn an_eviction_beside_a_death() {
    let model = Model::named("an_eviction_beside_a_death").mortals(1).seconds(0.2);
    model.reaches(&["settled", "came again", "taking"]).check(|run| {
        let (flight, writer) = flight(run, SHAPE, 2);
        let [a, o, last] = flight.join_all();
        let a = a.dies(0, two_and_ack);
        let o = o.works(|hand| {
            hand.thread().evict(0);
            hand.thread().evict(1);
            hand.take_and_ack(BEGIN);
        });
        a.join().unwrap();
        o.join().unwrap();
        last.finish(writer.tail(), BEGIN);
    });
}

/// A member acts late: its message is taken, acked, and its cell has another one.
fn late(
    name: &'static str,
    act: impl Fn(&Hand, &crate::ring::cells::InHand) + Copy + Send + Sync + 'static,
) {
    Model::named(name).reaches(&["evicted", "came again"]).check(move |run| {
        let (_flight, tail, a, message, [t, last]) = held(run, 2);
        let a = a.works(move |hand| act(hand, &message));
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            for message in hand.receive(1) {
                assert!(hand.ack(&message), "nobody evicted {}", message.seq);
            }
        });
        a.join().unwrap();
        t.join().unwrap();
        last.finish(tail, END);
    });
}

#[test]
fn a_late_ack_changes_nothing() {
    late("a_late_ack_changes_nothing", |hand, message| {
        hand.ack(message);
    });
}

#[test]
fn a_late_extension_changes_nothing() {
    late("a_late_extension_changes_nothing", |hand, message| {
        if let Some(token) = hand.thread().extend(message, LATER) {
            hand.thread().ack(message.seq, token);
        }
    });
}

#[test]
fn a_late_give_back_changes_nothing() {
    late("a_late_give_back_changes_nothing", |hand, message| {
        hand.give_back(message, BEGIN);
    });
}

/// A member is slow to copy what it has taken: another one takes it, acks it, and the cell has another message.
#[test]
fn a_taker_is_overtaken_in_its_copy() {
    let model = Model::named("a_taker_is_overtaken_in_its_copy").preemptions(3).seconds(3.0);
    model.reaches(&["came again"]).check(|run| {
        let (_flight, tail, a, message, [s, t, last]) = held(run, 2);
        a.give_back(&message, BEGIN);
        let s = s.works(|hand| {
            hand.take_and_ack(BEGIN);
        });
        let t = t.works(|hand| {
            hand.take_and_ack(DUE);
            hand.eat(1);
        });
        s.join().unwrap();
        t.join().unwrap();
        last.finish(tail, END);
    });
}

/// Somebody looks at a cell while its message is taken and acked, and another one comes into it: the looker sees one of them.
#[test]
fn what_is_shown_of_a_cell_is_of_one_message() {
    let model = Model::named("what_is_shown_of_a_cell_is_of_one_message").preemptions(3);
    model.reaches(&["came again", "first", "second"]).check(|run| {
        let (_flight, tail, a, message, [s, t, last]) = held(run, 2);
        a.give_back(&message, BEGIN);
        let own = run.clone();
        let s = s.works(move |hand| {
            if let Some(found) = observe::in_cell(hand.process.view(), &hand.member.table, 0) {
                let InCell { cell, seq, requeued, received, word } = found;
                own.reach(if seq == 0 { "first" } else { "second" });
                assert!(seq == 0 || word.attempts == 1, "attempts of another message");
                assert_eq!((cell, requeued, received), (0, false, BEGIN));
            }
        });
        let t = t.works(|hand| {
            hand.take_and_ack(BEGIN);
            hand.eat(1);
        });
        s.join().unwrap();
        t.join().unwrap();
        last.finish(tail, END);
    });
}

/// Two threads of one member: one acks a message that was evicted, after the other one has received another message into
/// its cell in the same tick.
#[test]
fn an_old_token_fits_no_later_message() {
    let model = Model::named("an_old_token_fits_no_later_message");
    model.reaches(&["evicted", "came again"]).check(|run| {
        let (_flight, tail, a, message, [t, last]) = held(run, 2);
        let owner = a.thread();
        let one = loom::thread::spawn(move || owner.ack(message.seq, message.token));
        let t = std::cell::RefCell::new(t);
        let two = a.works(move |hand| {
            let mut t = t.borrow_mut();
            t.thread().evict(0);
            t.take_and_ack(BEGIN);
            for message in hand.receive(1) {
                assert!(hand.ack(&message), "nobody evicted {}", message.seq);
            }
        });
        one.join().unwrap();
        two.join().unwrap();
        last.finish(tail, END);
    });
}

/// A member whose thread hangs takes its own message, acks it, and receives another one into the cell.
#[test]
fn a_member_takes_its_own_message() {
    let model = Model::named("a_member_takes_its_own_message");
    model.reaches(&["evicted", "came again"]).check(|run| {
        let (_flight, tail, a, message, [last]) = held(run, 2);
        let owner = a.thread();
        let one = loom::thread::spawn(move || owner.ack(message.seq, message.token));
        let two = a.works(|hand| {
            hand.take_and_ack(DUE);
            for message in hand.receive(1) {
                assert!(hand.ack(&message), "nobody evicted {}", message.seq);
            }
        });
        one.join().unwrap();
        two.join().unwrap();
        last.finish(tail, END);
    });
}
