//! Members of a shared group compete: each message goes to one of them, and none is overwritten before
//! its ack.

use std::rc::Rc;

use super::explore::{Model, Run};
use super::heap::{Process, Shape};
use super::members::{Worker, filled};
use crate::sync::{Ordering, set_tries};

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 2,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// How often a member takes how many at a time.
#[derive(Clone, Copy)]
struct Takes(u32, u64);

impl Takes {
    fn all(self, worker: &mut Worker) {
        for _ in 0..self.0 {
            worker.take(self.1);
        }
    }
}

/// Two members take what is there, and what a producer sends meanwhile.
fn two_members(run: &Run, capacity: u64, fill: u64, a: Takes, b: Takes, sends: u32) {
    let (segment, mut writer) = filled(Shape { capacity, ..SHAPE }, fill);
    let [x, y] = [a, b].map(|takes| {
        Worker::new(run, &segment, 0).at_once().works(move |worker| takes.all(worker))
    });
    if sends > 0 {
        writer = writer.sends(run, sends).join().unwrap();
    }
    x.join().unwrap();
    y.join().unwrap().settle(writer.tail());
}

/// One at a time, while the producer overwrites what is acked.
#[test]
fn members_take_one_at_a_time() {
    let model = Model::named("members_take_one_at_a_time").seconds(14.0).reaches(&["room", "full"]);
    model.check(|run| two_members(run, 2, 2, Takes(1, 1), Takes(2, 1), 1));
}

/// Claims of two and of one, while the producer fills the ring and goes around.
#[test]
fn members_take_two_and_one() {
    let model = Model::named("members_take_two_and_one").seconds(10.0).reaches(&["room", "full"]);
    model.check(|run| two_members(run, 2, 1, Takes(1, 2), Takes(1, 1), 2));
}

/// Two claims each, more than there is: a claim that fails and then finds nothing leaves nothing
/// behind.
#[test]
fn a_failed_claim_leaves_nothing_behind() {
    Model::named("a_failed_claim_leaves_nothing_behind")
        .preemptions(3)
        .check(|run| two_members(run, 4, 3, Takes(2, 2), Takes(2, 1), 0));
}

/// One of two messages is taken and its slot written again: the other one was there all the time.
#[test]
fn empty_is_never_said_while_a_message_is_there() {
    let model = Model::named("empty_is_never_said_while_a_message_is_there").preemptions(3);
    model.reaches(&["room"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 2);
        let notes = run.clone();
        let a = loom::thread::spawn({
            let mut worker = Worker::new(run, &segment, 0);
            move || {
                assert!(worker.take(1));
                writer.send(&notes).0
            }
        });
        let b = Worker::new(run, &segment, 0).works(|worker| {
            assert!(worker.take(1), "empty, but there was a message at every moment");
        });
        let writer = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// The same for a member that knows the other one by its stamp, while the tail has not come to it: the
/// slot that is written again must bring the head along.
#[test]
fn empty_is_never_said_to_one_that_has_seen_a_stamp() {
    let model = Model::named("empty_is_never_said_to_one_that_has_seen_a_stamp");
    model.reaches(&["room", "known"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 0);
        let [a, mut b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let notes = run.clone();
        let writes = loom::thread::spawn(move || writer.send_run(2).send(&notes).0);
        let a = a.works(|worker| {
            worker.take(1);
        });
        let notes = run.clone();
        let b = loom::thread::spawn(move || {
            // Acquire: as one to whom its finder has passed the word.
            let known = segment.view().slot(1).stamp.load(Ordering::Acquire) == 2;
            let taken = b.take(1);
            if known {
                notes.reach("known");
                assert!(taken, "empty, but there was a message at every moment");
            }
            b
        });
        let writer = writes.join().unwrap();
        a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// A member that read the head long ago pulls the gate below what the producer may use already.
#[test]
fn a_late_pending_does_not_take_room_back() {
    let model = Model::named("a_late_pending_does_not_take_room_back").seconds(8.0);
    model.reaches(&["room", "full"]).check(|run| {
        let (segment, mut writer) = filled(SHAPE, 2);
        let notes = run.clone();
        let a = loom::thread::spawn({
            let mut worker = Worker::new(run, &segment, 0);
            move || {
                worker.take(1);
                worker.take(1);
                for round in 0..3 {
                    (writer, _) = writer.send(&notes);
                    if round == 1 {
                        worker.take(1);
                    }
                }
                (worker, writer)
            }
        });
        let b = Worker::new(run, &segment, 0).works(|worker| {
            worker.take(2);
        });
        b.join().unwrap();
        let (worker, writer) = a.join().unwrap();
        worker.settle(writer.tail());
    });
}

/// The same between the two scans of one search for room, and it dies there.
#[test]
fn a_late_pending_between_two_scans_does_not_take_room_back() {
    let model = Model::named("a_late_pending_between_two_scans_does_not_take_room_back")
        .mortals(1)
        .seconds(0.8);
    model.reaches(&["room", "full", "died unread"]).check(|run| {
        let (segment, mut writer) = filled(SHAPE, 2);
        let mut worker = Worker::new(run, &segment, 0);
        let notes = run.clone();
        let a = loom::thread::spawn(move || {
            worker.take(2);
            for _ in 0..2 {
                (writer, _) = writer.send(&notes);
            }
            (worker, writer)
        });
        let b = Worker::new(run, &segment, 0).dies(0, |worker| {
            worker.take(1);
        });
        b.join().unwrap();
        let (worker, writer) = a.join().unwrap();
        worker.settle(writer.tail());
    });
}

/// A claim may start over once only: a claim that gives up leaves nothing that holds the producer.
#[test]
fn a_claim_that_gives_up_leaves_nothing_behind() {
    let model = Model::named("a_claim_that_gives_up_leaves_nothing_behind").preemptions(3);
    model.reaches(&["contended"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 4, ..SHAPE }, 2);
        set_tries(1);
        let [a, b] = [(); 2].map(|()| {
            Worker::new(run, &segment, 0).works(|worker| {
                worker.take(1);
            })
        });
        let _a = a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// A record gets another owner while the producer scans: what the last one has read is over.
#[test]
fn a_record_changes_hands_during_a_scan() {
    let model = Model::named("a_record_changes_hands_during_a_scan");
    model.reaches(&["room", "full"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 1, ..SHAPE }, 2);
        let mut first = Worker::new(run, &segment, 0);
        let leaves = loom::thread::spawn(move || {
            assert!(first.take(1));
            first.leave();
        });
        let (notes, process) = (run.clone(), Rc::new(Process::new(&segment)));
        // In a thread of its own: what its predecessor has done must come to the producer by the record.
        let joins = loom::thread::spawn(move || {
            leaves.join().unwrap();
            Worker::join(&notes, &process, 0).unwrap()
        });
        let writer = writer.sends(run, 1).join().unwrap();
        joins.join().unwrap().settle(writer.tail());
    });
}

/// A member joins with a record that was never in use; a scan that has seen its claim at the head
/// has seen the record.
#[test]
fn a_new_record_holds_the_producer() {
    let model = Model::named("a_new_record_holds_the_producer");
    model.reaches(&["room", "full"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 2);
        let a = Worker::new(run, &segment, 0);
        let (notes, process) = (run.clone(), Rc::new(Process::new(&segment)));
        let b = loom::thread::spawn(move || {
            let mut worker = Worker::join(&notes, &process, 0).unwrap();
            worker.take(1);
            worker
        });
        let writer = writer.sends(run, 1).join().unwrap();
        b.join().unwrap();
        a.settle(writer.tail());
    });
}
