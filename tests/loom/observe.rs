//! Observers, which race with the producer by design.

use loom::thread::spawn;

use super::explore::Model;
use super::heap::{Process, Segment, Shape};
use super::roles::{Observer, Producer};

const SHAPE: Shape = Shape {
    capacity: 1,
    groups: 1,
    records: 1,
    observed: true,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// An observer polls `looks` times while `messages` are published; then it reads what is left.
fn observes(model: Model, shape: Shape, messages: u64, looks: u32) {
    model.check(move |run| {
        let segment = Segment::new(shape);
        let (writer, watcher) = (Process::new(&segment), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 1).unwrap();
            for _ in 0..messages {
                producer.send().unwrap();
            }
        });
        let notes = run.clone();
        let watches = spawn(move || {
            let mut observer = Observer::new(&watcher);
            for _ in 0..looks {
                if !observer.look() {
                    notes.reach("nothing new");
                }
            }
            (observer.seen, observer.missed)
        });
        writes.join().unwrap();
        let (seen, missed) = watches.join().unwrap();
        if missed > 0 {
            run.reach("lapped");
        }
        if !seen.is_empty() {
            run.reach("whole");
        }
        if messages <= shape.capacity {
            assert_eq!(missed, 0, "missed messages that are still there");
        }
        let last = Process::new(&segment);
        let mut observer = Observer::from(&last, seen, missed);
        while observer.look() {}
        assert_eq!(observer.next(), messages, "not all of the messages were seen or missed");
    });
}

/// Every write laps the observer.
#[test]
fn an_observer_sees_whole_messages_in_one_slot() {
    let model = Model::named("an_observer_sees_whole_messages_in_one_slot").preemptions(3);
    observes(model.reaches(&["lapped", "whole", "nothing new"]), SHAPE, 2, 2);
}

/// The same with two slots.
#[test]
fn an_observer_sees_whole_messages_in_two_slots() {
    let model = Model::named("an_observer_sees_whole_messages_in_two_slots").preemptions(3);
    let shape = Shape { capacity: 2, ..SHAPE };
    observes(model.reaches(&["lapped", "whole", "nothing new"]), shape, 3, 2);
}

/// What is not overwritten is not missed, though the observer is as fast as the producer.
#[test]
fn an_observer_that_keeps_up_misses_nothing() {
    let model = Model::named("an_observer_that_keeps_up_misses_nothing").preemptions(3);
    let shape = Shape { capacity: 2, ..SHAPE };
    observes(model.reaches(&["whole", "nothing new"]), shape, 2, 3);
}

/// The producer dies half-way in a slot, the next one writes it again.
#[test]
fn an_observer_never_sees_a_half_written_slot() {
    let model =
        Model::named("an_observer_never_sees_a_half_written_slot").preemptions(3).mortals(1);
    model.reaches(&["whole", "lapped", "written again"]).check(|run| {
        let segment = Segment::new(SHAPE);
        let (first, second) = (Process::new(&segment), Process::new(&segment));
        let mut producer = Producer::attach(&first, 1).unwrap();
        producer.send().unwrap();
        let publisher = producer.publisher;
        let notes = run.clone();
        // In one thread: the second one cannot come before the first is gone.
        let writes = spawn(move || {
            let lived = notes.mortal(0, &first, || {
                let mut producer = Producer::of(&first, publisher, 1);
                producer.send().unwrap();
                producer.leave();
            });
            let mut producer = Producer::attach(&second, 2).unwrap();
            if lived.is_none() && producer.tail() == 1 {
                notes.reach("written again");
                producer.send().unwrap();
            }
        });
        let (notes, watcher) = (run.clone(), Process::new(&segment));
        let watches = spawn(move || {
            let mut observer = Observer::new(&watcher);
            if observer.look() {
                notes.reach("whole");
            }
            if observer.missed > 0 {
                notes.reach("lapped");
            }
        });
        writes.join().unwrap();
        watches.join().unwrap();
    });
}

/// An observer that jumps to the newest message sees whole ones, none twice, and in the end the last.
#[test]
fn an_observer_jumps_to_the_newest_message() {
    let model = Model::named("an_observer_jumps_to_the_newest_message").preemptions(2);
    model.reaches(&["jumped", "nothing new", "lapped"]).check(|run| {
        let segment = Segment::new(Shape { capacity: 2, ..SHAPE });
        let (writer, watcher) = (Process::new(&segment), Process::new(&segment));
        let writes = spawn(move || {
            let mut producer = Producer::attach(&writer, 1).unwrap();
            for _ in 0..3 {
                producer.send().unwrap();
            }
        });
        let notes = run.clone();
        let watches = spawn(move || {
            let mut observer = Observer::new(&watcher);
            for _ in 0..2 {
                match observer.look_for_latest() {
                    true if observer.seen == [1] => notes.reach("jumped"),
                    true => {}
                    false => notes.reach("nothing new"),
                }
            }
            observer.seen
        });
        writes.join().unwrap();
        let seen = watches.join().unwrap();
        let last = Process::new(&segment);
        let mut observer = Observer::new(&last);
        assert!(observer.look_for_latest() && observer.seen == [2]);
        if seen == [2] {
            run.reach("lapped");
        }
    });
}
