//! Messages that say where they came from: each position of a stream is published once, whoever dies.

use std::cell::Cell;
use std::rc::Rc;

use loom::thread::spawn;

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::in_flight::{BEGIN, END, flight};
use super::roles::{Consumer, Producer};
use crate::layout::View;
use crate::ring::cells::InHand;
use crate::ring::groups::Position;
use crate::ring::observe::{ObserverCursor, Seen, tail};
use crate::ring::sources::{self, Origin};
use crate::sync::{Ordering, PAYLOAD};

const STREAM: u64 = 7;
const OTHER: u64 = 8;

fn shape(capacity: u64) -> Shape {
    Shape {
        capacity,
        groups: 1,
        records: 1,
        observed: false,
        sleepers: false,
        streams: 1,
        cells: 0,
    }
}

/// Sources of the messages that are in the ring.
fn origins(view: &View) -> Vec<Option<Origin>> {
    let from = tail(view).saturating_sub(view.geo().capacity);
    (from..tail(view)).map(|seq| sources::origin(view, seq, &view.slot(seq))).collect()
}

fn positions(view: &View, id: u64) -> Vec<u64> {
    let of = |origin: &Origin| origin.id == [id, 0];
    origins(view).into_iter().flatten().filter(of).map(|origin| origin.position).collect()
}

/// Takes the role and publishes what is missing of the positions 1 to `end`, `run` at a time.
fn resume(process: &Process, by: u32, id: u64, end: u64, run: u64) {
    let mut producer = Producer::attach(process, by).unwrap();
    let (number, last) = producer.stream(id);
    let mut next = last + 1;
    while next <= end {
        let n = run.min(end + 1 - next);
        // Both ways: stamped one by one, and all at once.
        if by.is_multiple_of(2) {
            producer.send_from(number, next, n).unwrap();
        } else {
            producer.reserve_from(number, next, n, n).unwrap();
        }
        next += n;
    }
    producer.leave();
}

/// Two producers in a row, each of which may die at every store; in one thread, as the role passes from one to the next.
fn two_die(run: &Run, segment: &Rc<Segment>, life: impl Fn(&Process, u32) + 'static) {
    let (run, processes) = (run.clone(), [Process::new(segment), Process::new(segment)]);
    spawn(move || {
        for (who, process) in processes.iter().enumerate() {
            run.mortal(who, process, || life(process, who as u32 + 1));
        }
    })
    .join()
    .unwrap();
}

#[test]
fn each_position_is_published_once() {
    let model = Model::named("each_position_is_published_once").mortals(2);
    model.reaches(&["resumed in the middle"]).check(|run| {
        let segment = Segment::new(shape(4));
        two_die(run, &segment, |process, by| resume(process, by, STREAM, 3, 2));
        let process = Process::new(&segment);
        if (1..3).contains(&positions(segment.view(), STREAM).len()) {
            run.reach("resumed in the middle");
        }
        resume(&process, 3, STREAM, 4, 2);
        assert_eq!(positions(segment.view(), STREAM), [1, 2, 3, 4]);
        assert_eq!(tail(segment.view()), 4, "the ring has no more, but more were sent");
    });
}

#[test]
fn a_reservation_of_a_stream_is_published_in_part() {
    let model = Model::named("a_reservation_of_a_stream_is_published_in_part").mortals(2);
    model.reaches(&["three", "four"]).check(|run| {
        let segment = Segment::new(shape(2));
        // Their slots are written again, and the second one of each reservation is given back.
        resume(&Process::new(&segment), 1, STREAM, 2, 1);
        two_die(run, &segment, |process, by| {
            let mut producer = Producer::attach(process, by + 1).unwrap();
            let (number, last) = producer.stream(STREAM);
            for position in last + 1..=4 {
                producer.reserve_from(number, position, 2, 1).unwrap();
            }
            producer.leave();
        });
        match tail(segment.view()) {
            3 => run.reach("three"),
            4 => run.reach("four"),
            _ => {}
        }
        resume(&Process::new(&segment), 4, STREAM, 5, 1);
        assert_eq!(positions(segment.view(), STREAM), [4, 5]);
        assert_eq!(tail(segment.view()), 5, "not each was sent once");
    });
}

#[test]
fn what_is_passed_is_not_sent() {
    let model = Model::named("what_is_passed_is_not_sent").mortals(2);
    model.reaches(&["passed by one that dies"]).check(|run| {
        let segment = Segment::new(shape(4));
        let passed = Rc::new(Cell::new(false));
        let (known, notes) = (Rc::clone(&passed), run.clone());
        let live = move |process: &Process, by: u32| {
            let mut producer = Producer::attach(process, by).unwrap();
            let (number, last) = producer.stream(STREAM);
            assert!(last >= 4 || !known.get(), "what was passed is forgotten");
            if known.get() && last == 4 {
                notes.reach("passed by one that dies");
            }
            for position in last + 1..=2 {
                producer.send_from(number, position, 1).unwrap();
            }
            if last < 4 {
                producer.pass(number, 4);
                known.set(true);
            }
            if last < 5 {
                producer.send_from(number, 5, 1).unwrap();
            }
            producer.leave();
        };
        let live = Rc::new(live);
        let last = Rc::clone(&live);
        two_die(run, &segment, move |process, by| live(process, by));
        last(&Process::new(&segment), 3);
        assert_eq!(positions(segment.view(), STREAM), [1, 2, 5]);
        assert_eq!(tail(segment.view()), 3, "more were sent");
    });
}

#[test]
fn messages_without_a_source_leave_the_table_alone() {
    let model = Model::named("messages_without_a_source_leave_the_table_alone").mortals(2);
    model.reaches(&["one of two"]).check(|run| {
        let segment = Segment::new(shape(2));
        resume(&Process::new(&segment), 1, STREAM, 2, 1);
        // They take the slots of positions 1 and 2.
        two_die(run, &segment, |process, by| {
            let mut producer = Producer::attach(process, by + 1).unwrap();
            producer.send_run(1).unwrap();
            producer.leave();
        });
        if tail(segment.view()) == 3 {
            run.reach("one of two");
        }
        let process = Process::new(&segment);
        let producer = Producer::attach(&process, 4).unwrap();
        assert_eq!(producer.stream(STREAM).1, 2, "the last lap's source was taken for a new one");
        producer.leave();
    });
}

#[test]
fn slots_written_in_place_have_no_source() {
    let model = Model::named("slots_written_in_place_have_no_source").mortals(1);
    model.check(|run| {
        let segment = Segment::new(shape(2));
        resume(&Process::new(&segment), 1, STREAM, 2, 2);
        let (notes, process) = (run.clone(), Process::new(&segment));
        spawn(move || {
            notes.mortal(0, &process, || {
                let mut producer = Producer::attach(&process, 2).unwrap();
                producer.reserve(2).unwrap();
                producer.publish(2);
                producer.leave();
            });
        })
        .join()
        .unwrap();
        let process = Process::new(&segment);
        let producer = Producer::attach(&process, 3).unwrap();
        assert_eq!(producer.stream(STREAM).1, 2);
        producer.leave();
    });
}

#[test]
fn the_table_covers_what_is_below_the_tail() {
    Model::named("the_table_covers_what_is_below_the_tail").preemptions(3).reaches(&["two"]).check(
        |run| {
            let segment = Segment::new(shape(4));
            let (notes, reader) = (run.clone(), Process::new(&segment));
            // Opened before, so that the reader finds it.
            let writer = Process::new(&segment);
            let publisher = Producer::attach(&writer, 1).unwrap();
            let (number, _) = publisher.stream(STREAM);
            let publisher = publisher.publisher;
            let writes = spawn(move || {
                let mut producer = Producer::of(&writer, publisher, 1);
                producer.send_from(number, 1, 1).unwrap();
                producer.send_from(number, 2, 1).unwrap();
                producer.leave();
            });
            let reads = spawn(move || {
                let view = reader.view();
                // Position p is message p - 1 here.
                let below = tail(view);
                let last = sources::last(view, number);
                assert!(last >= below, "{below} messages, of which the table has {last}");
                for seq in 0..last {
                    // Relaxed: `last` must have brought it.
                    let stamp = view.slot(seq).stamp.load(Ordering::Relaxed);
                    assert_eq!(stamp, seq + 1, "the table has a message that is not published");
                    let origin = sources::origin(view, seq, &view.slot(seq)).unwrap();
                    assert_eq!((origin.id, origin.position), ([STREAM, 0], seq + 1));
                }
                if last == 2 {
                    notes.reach("two");
                }
            });
            writes.join().unwrap();
            reads.join().unwrap();
        },
    );
}

#[test]
fn a_stream_is_seen_with_its_id() {
    let model = Model::named("a_stream_is_seen_with_its_id").preemptions(3);
    model.reaches(&["seen"]).check(|run| {
        let segment = Segment::new(shape(2));
        let (notes, reader, writer) = (run.clone(), Process::new(&segment), Process::new(&segment));
        let publisher = Producer::attach(&writer, 1).unwrap().publisher;
        let opens = spawn(move || {
            let producer = Producer::of(&writer, publisher, 1);
            producer.stream(STREAM);
            producer.leave();
        });
        let looks = spawn(move || {
            for number in sources::in_use(reader.view()) {
                notes.reach("seen");
                assert_eq!(sources::id(reader.view(), number), [STREAM, 0]);
                let (id, _, _, last) = sources::look_up(reader.view(), number).unwrap();
                assert_eq!((id, last), ([STREAM, 0], 0));
            }
        });
        opens.join().unwrap();
        looks.join().unwrap();
    });
}

#[test]
fn an_entry_changes_hands_whole() {
    let model = Model::named("an_entry_changes_hands_whole").mortals(2);
    model.reaches(&["the first is gone", "the second is there"]).check(|run| {
        let segment = Segment::new(shape(2));
        let process = Process::new(&segment);
        resume(&process, 1, STREAM, 2, 2);
        // No slot has a message of it any more.
        let mut producer = Producer::attach(&process, 1).unwrap();
        producer.send_run(2).unwrap();
        producer.leave();
        two_die(run, &segment, |process, by| {
            let producer = Producer::attach(process, by + 1).unwrap();
            let view = process.view();
            if let Some(number) = sources::find(view, [STREAM, 0]) {
                assert!(!sources::is_in_queue(view, number));
                sources::close(view, number);
            }
            producer.leave();
            resume(process, by + 1, OTHER, 1, 1);
        });
        let view = segment.view();
        match sources::find(view, [STREAM, 0]) {
            // Else it would be sent again.
            Some(number) => assert_eq!(sources::last(view, number), 2),
            None => run.reach("the first is gone"),
        }
        if let Some(number) = sources::find(view, [OTHER, 0]) {
            run.reach("the second is there");
            assert!(sources::last(view, number) <= 1, "the first one's position");
            resume(&Process::new(&segment), 4, OTHER, 1, 1);
            assert_eq!(positions(view, OTHER), [1]);
        }
    });
}

#[test]
fn what_is_looked_up_is_of_one_stream() {
    let model = Model::named("what_is_looked_up_is_of_one_stream");
    model.reaches(&["before", "between", "after"]).check(|run| {
        let segment = Segment::new(shape(2));
        let writer = Process::new(&segment);
        resume(&writer, 1, STREAM, 2, 2);
        let mut producer = Producer::attach(&writer, 2).unwrap();
        producer.send_run(2).unwrap();
        let (number, _) = producer.stream(STREAM);
        let (notes, reader) = (run.clone(), Process::new(&segment));
        let changes = spawn(move || {
            // The entry goes to another stream, and comes back.
            for (id, position) in [(OTHER, 5), (STREAM, 9)] {
                sources::close(writer.view(), number);
                sources::open(writer.view(), [id, 0], [0; 3]).unwrap();
                sources::pass(writer.view(), number, position);
            }
        });
        let looks = spawn(move || {
            let Some((id, _, _, last)) = sources::look_up(reader.view(), number) else { return };
            match (id[0], last) {
                (STREAM, 2) => notes.reach("before"),
                (OTHER, 0 | 5) => notes.reach("between"),
                (STREAM, 0 | 9) => notes.reach("after"),
                mixed => panic!("the id of one stream and the position of another: {mixed:?}"),
            }
        });
        changes.join().unwrap();
        looks.join().unwrap();
    });
}

#[test]
fn an_observer_sees_the_stream_that_a_message_comes_from() {
    let model = Model::named("an_observer_sees_the_stream_that_a_message_comes_from");
    model.reaches(&["before", "after"]).check(|run| {
        let segment = Segment::new(Shape { observed: true, ..shape(1) });
        let writer = Process::new(&segment);
        resume(&writer, 1, STREAM, 1, 1);
        let mut producer = Producer::attach(&writer, 2).unwrap();
        producer.room(1).unwrap();
        let publisher = producer.publisher;
        let (notes, reader) = (run.clone(), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::of(&writer, publisher, 2);
            let (number, _) = producer.stream(STREAM);
            producer.send().unwrap();
            // The ring has no message of it any more.
            sources::close(writer.view(), number);
            producer.stream(OTHER);
        });
        let reads = spawn(move || {
            let (mut cursor, mut bytes) = (ObserverCursor::at(0), [0; PAYLOAD]);
            match cursor.read(reader.view(), &mut bytes) {
                Seen::Message { seq: 0, .. } => {
                    let origin = cursor.origin().map(|origin| (origin.id[0], origin.position));
                    assert_eq!(origin, Some((STREAM, 1)));
                    notes.reach("before");
                }
                _ => notes.reach("after"),
            }
        });
        writes.join().unwrap();
        reads.join().unwrap();
    });
}

#[test]
fn a_consumer_reads_where_the_message_comes_from_that_it_holds() {
    let model = Model::named("a_consumer_reads_where_the_message_comes_from_that_it_holds");
    model.preemptions(3).reaches(&["held", "given up"]).check(|run| {
        let segment = Segment::new(shape(1));
        let (reader, writer) = (Process::new(&segment), Process::new(&segment));
        let member = Consumer::of_new(&reader, Position::Oldest).0.member;
        let mut producer = Producer::attach(&writer, 1).unwrap();
        let (number, _) = producer.stream(STREAM);
        producer.send_from(number, 1, 1).unwrap();
        let (publisher, notes) = (producer.publisher, run.clone());
        let writes = spawn(move || {
            let mut producer = Producer::of(&writer, publisher, 1);
            let sent = producer.send().is_ok();
            let free = producer.forget(number);
            assert_eq!(free, sent);
            if free {
                producer.stream(OTHER);
            }
            notes.reach(if free { "given up" } else { "held" });
            producer.leave();
        });
        let reads = spawn(move || {
            let mut consumer = Consumer::of(&reader, member);
            let mut claim = consumer.claim(1).unwrap();
            let origin = sources::origin(reader.view(), 0, &reader.view().slot(0));
            let origin = origin.map(|origin| (origin.id[0], origin.position));
            assert_eq!(origin, Some((STREAM, 1)));
            consumer.ack(&mut claim, 1);
        });
        writes.join().unwrap();
        reads.join().unwrap();
    });
}

/// A message in flight has left the ring. As long as it is in a cell, its stream keeps its entry.
#[test]
fn a_message_in_flight_keeps_its_stream() {
    let model = Model::named("a_message_in_flight_keeps_its_stream").preemptions(3);
    model.reaches(&["held", "given up", "came again"]).check(|run| {
        let (flight, writer) = flight(run, Shape { records: 3, cells: 1, ..shape(1) }, 0);
        let [mut a, t, last] = flight.join_all();
        let writer = writer.produce(|_, producer| {
            let (number, _) = producer.stream(STREAM);
            producer.send_from(number, 1, 1).unwrap();
        });
        let from = |message: &InHand| {
            let origin = message.origin.map(|origin| (origin.id[0], origin.position));
            assert_eq!(origin, (message.seq == 0).then_some((STREAM, 1)));
        };
        let message = a.one();
        from(&message);
        let a = a.works(move |hand| {
            hand.give_back(&message, BEGIN);
        });
        let own = run.clone();
        let t = t.works(move |hand| {
            if let Some(message) = hand.take(BEGIN) {
                own.reach("came again");
                from(&message);
                hand.ack(&message);
            }
        });
        let own = run.clone();
        let writes = spawn(move || {
            writer.produce(|process, producer| {
                // In the place of the first one.
                producer.send().unwrap();
                let number = sources::find(process.view(), [STREAM, 0]).unwrap();
                let free = producer.forget(number);
                own.reach(if free { "given up" } else { "held" });
                if free {
                    producer.stream(OTHER);
                }
            })
        });
        a.join().unwrap();
        t.join().unwrap();
        let writer = writes.join().unwrap();
        last.finish(writer.tail(), END);
    });
}
