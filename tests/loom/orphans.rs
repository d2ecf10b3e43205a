//! A member of a shared group dies at each of its steps: what it held comes again, to one member, once,
//! and nothing else does.

use std::rc::Rc;

use loom::thread::spawn;

use super::explore::{Model, Run};
use super::heap::{Process, Segment, Shape};
use super::members::{Worker, filled, make_shared};
use super::roles::controlled;
use crate::layout::GroupState;
use crate::ring::groups::{RETENTION_RELEASE, remove_group, state};
use crate::sync::Ordering;

const SHAPE: Shape = Shape {
    capacity: 4,
    groups: 1,
    records: 3,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

fn crew<const N: usize>(run: &Run, segment: &Rc<Segment>) -> [Worker; N] {
    std::array::from_fn(|_| Worker::new(run, segment, 0))
}

/// One dies, one claims, one recovers.
#[test]
fn a_dead_members_range_comes_again_once() {
    let model = Model::named("a_dead_members_range_comes_again_once").mortals(1).seconds(1.4);
    model.reaches(&["adopted", "came again", "died unread"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 3);
        let [a, c, r] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(2);
        });
        let c = c.works(|worker| {
            worker.take(1);
        });
        let r = r.works(Worker::recover);
        a.join().unwrap();
        c.join().unwrap();
        r.join().unwrap().settle(writer.tail());
    });
}

/// Two members search for orphans at once: one of them gets the range, all of it.
#[test]
fn two_members_look_for_the_same_orphan() {
    let model = Model::named("two_members_look_for_the_same_orphan").mortals(1);
    model.reaches(&["adopted", "came again", "died unread"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 2);
        let [a, r, s] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(2);
        });
        let [r, s] = [r, s].map(|worker| worker.works(Worker::recover));
        a.join().unwrap();
        r.join().unwrap();
        s.join().unwrap().settle(writer.tail());
    });
}

/// A member dies in a claim that fails. The adopter that takes its PENDING back publishes what the dead member had read:
/// the producer may know of that by this store alone.
#[test]
fn what_a_dead_member_read_is_over_when_its_claim_is_taken_back() {
    let name = "what_a_dead_member_read_is_over_when_its_claim_is_taken_back";
    let model = Model::named(name).mortals(1).seconds(1.0);
    model.reaches(&["room", "full"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 2, ..SHAPE }, 2);
        let [a, b] = crew(run, &segment);
        let a = a.dies(0, |worker| while worker.take(1) {});
        let b = b.works(|worker| {
            worker.take(1);
        });
        // In a thread of its own: only that one is ordered after the death.
        let r = spawn(move || {
            a.join().unwrap();
            let mut b = b.join().unwrap();
            b.recover();
            b
        });
        let writer = writer.sends(run, 1).join().unwrap();
        r.join().unwrap().settle(writer.tail());
    });
}

/// One dies, one claims and recovers, while the producer scans and overwrites.
#[test]
fn a_dead_members_range_holds_the_producer() {
    let model = Model::named("a_dead_members_range_holds_the_producer").mortals(1).seconds(1.2);
    model.reaches(&["adopted", "came again", "died unread", "room", "full"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 2, records: 2, ..SHAPE }, 2);
        let [a, c] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(1);
        });
        let c = c.works(|worker| {
            worker.take(1);
            worker.recover();
        });
        let writer = writer.sends(run, 2).join().unwrap();
        a.join().unwrap();
        c.join().unwrap().settle(writer.tail());
    });
}

/// A claim of two; the survivor recovers first and claims then.
#[test]
fn a_half_acked_range_holds_the_producer() {
    let model = Model::named("a_half_acked_range_holds_the_producer").mortals(1).seconds(1.4);
    model.reaches(&["adopted", "came again", "died unread", "room", "full"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 2, records: 2, ..SHAPE }, 2);
        let [a, c] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(2);
        });
        let c = c.works(|worker| {
            worker.recover();
            worker.take(1);
        });
        let writer = writer.sends(run, 1).join().unwrap();
        a.join().unwrap();
        c.join().unwrap().settle(writer.tail());
    });
}

/// Four at once: one dies, one claims, one recovers, one overwrites.
#[test]
fn death_claim_recovery_and_overwriting_at_once() {
    let model =
        Model::named("death_claim_recovery_and_overwriting_at_once").mortals(1).seconds(1.2);
    model.reaches(&["adopted", "came again", "died unread", "room", "full"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 2, ..SHAPE }, 2);
        let [a, c, r] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(1);
        });
        let c = c.works(|worker| {
            worker.take(1);
        });
        let r = r.works(Worker::recover);
        let writer = writer.sends(run, 1).join().unwrap();
        a.join().unwrap();
        c.join().unwrap();
        r.join().unwrap().settle(writer.tail());
    });
}

/// It dies in its second claim, with the words of its first one around.
#[test]
fn a_member_dies_in_its_second_claim() {
    let model =
        Model::named("a_member_dies_in_its_second_claim").preemptions(3).mortals(1).seconds(2.0);
    model.reaches(&["adopted", "came again", "died unread"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 3);
        let [a, c] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(1);
            worker.take(1);
        });
        let c = c.works(|worker| {
            worker.take(1);
            worker.recover();
        });
        a.join().unwrap();
        c.join().unwrap().settle(writer.tail());
    });
}

/// The adopter dies, too, with a batch of its own that it has dropped.
#[test]
fn an_adopter_dies_with_two_ranges() {
    let model = Model::named("an_adopter_dies_with_two_ranges").mortals(2);
    model.reaches(&["adopted", "came again", "died unread", "third attempt"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 3);
        let [a, r, c] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(2);
        });
        let r = r.dies(1, |worker| {
            if let Some(claim) = worker.claim(1) {
                worker.read(&claim, claim.start);
            }
            worker.adopt();
            // Its own, and the two adopted ones, if there are any.
            for _ in 0..3 {
                worker.take(1);
            }
        });
        a.join().unwrap();
        r.join().unwrap();
        c.settle(writer.tail());
    });
}

/// The record is taken again in the same group, recovered or not, and its new owner dies, too; a
/// helper may be late all along.
#[test]
fn a_record_is_used_again_in_its_group() {
    let model = Model::named("a_record_is_used_again_in_its_group").mortals(2).seconds(0.11);
    model.reaches(&["adopted", "came again", "died unread", "taken again"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 3);
        let [a, c, m] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(1);
        });
        let (notes, process) = (run.clone(), Rc::new(Process::new(&segment)));
        let m = spawn(move || {
            let mut worker = m;
            worker.recover();
            let joined = notes.mortal(1, &process, || Worker::join(&notes, &process, 0));
            if let Some(Some(again)) = joined {
                notes.reach("taken again");
                again.live_and_die(1, |worker| {
                    worker.take(1);
                });
            }
            worker
        });
        let c = c.works(|worker| {
            worker.take(1);
        });
        a.join().unwrap();
        c.join().unwrap();
        m.join().unwrap().settle(writer.tail());
    });
}

/// The head of one group still names a record that serves another one, in which its owner dies.
#[test]
fn an_old_head_names_a_record_of_another_group() {
    let model = Model::named("an_old_head_names_a_record_of_another_group").mortals(1);
    model.reaches(&["died unread"]).check(|run| {
        let (segment, writer) = filled(Shape { groups: 2, ..SHAPE }, 2);
        let mut first = Worker::new(run, &segment, 0);
        let record = first.member.record;
        assert!(first.take(1));
        let process = first.leave();
        let x = Worker::join(run, &process, 1).unwrap();
        assert_eq!(x.member.record, record, "the head names it");
        let (mut b, y) = (Worker::new(run, &segment, 0), Worker::new(run, &segment, 1));
        let x = x.dies(0, |worker| {
            worker.take(1);
        });
        let b = spawn(move || {
            b.take(1);
            b
        });
        let y = y.works(|worker| {
            worker.take(1);
        });
        x.join().unwrap();
        b.join().unwrap().settle_group(writer.tail());
        y.join().unwrap().settle(writer.tail());
    });
}

/// The record moves to the other group while a helper of the first one is slow.
#[test]
fn a_record_moves_to_another_group_during_a_slow_help() {
    let model =
        Model::named("a_record_moves_to_another_group_during_a_slow_help").mortals(1).seconds(1.1);
    model.reaches(&["died unread"]).check(|run| {
        let (segment, writer) = filled(Shape { groups: 2, ..SHAPE }, 2);
        let (x, b, y) = (
            Worker::new(run, &segment, 0),
            Worker::new(run, &segment, 0),
            Worker::new(run, &segment, 1),
        );
        let notes = run.clone();
        let x = spawn(move || {
            let (mut x, record) = (x, 0);
            assert_eq!(x.member.record, record);
            x.take(1);
            let process = x.leave();
            let moved = Worker::join(&notes, &process, 1).unwrap();
            assert_eq!(moved.member.record, record);
            moved.live_and_die(0, |worker| {
                worker.take(1);
            });
        });
        let b = b.works(|worker| {
            worker.take(1);
        });
        let y = y.works(|worker| {
            worker.take(1);
        });
        x.join().unwrap();
        b.join().unwrap().settle_group(writer.tail());
        y.join().unwrap().settle(writer.tail());
    });
}

/// An orphan is seen, but before it is taken others have worked it off, and its record has an owner in
/// another group, which dies, too.
#[test]
fn an_orphan_moves_to_another_group_before_it_is_taken() {
    let model = Model::named("an_orphan_moves_to_another_group_before_it_is_taken").mortals(2);
    model.reaches(&["adopted", "moved"]).check(|run| {
        let (segment, writer) = filled(Shape { groups: 2, records: 4, ..SHAPE }, 1);
        let [a, r, s] = crew(run, &segment);
        let y = Worker::new(run, &segment, 1);
        let record = a.member.record;
        let (notes, process) = (run.clone(), Rc::new(Process::new(&segment)));
        let moves = spawn(move || {
            let mut s = s;
            a.live_and_die(0, |worker| {
                worker.take(1);
            });
            s.recover();
            if let Some(x) = Worker::join(&notes, &process, 1) {
                assert_eq!(x.member.record, record);
                notes.reach("moved");
                x.live_and_die(1, |worker| {
                    worker.take(1);
                });
            }
        });
        let r = r.works(Worker::recover);
        moves.join().unwrap();
        r.join().unwrap().settle_group(writer.tail());
        y.settle(writer.tail());
    });
}

/// The count of deliveries goes with the group: a record that moves takes none along.
#[test]
fn a_record_brings_no_count_from_another_group() {
    let model = Model::named("a_record_brings_no_count_from_another_group").mortals(1);
    model.reaches(&["came again", "died unread"]).check(|run| {
        let (segment, writer) = filled(Shape { groups: 2, ..SHAPE }, 1);
        let mut x = Worker::new(run, &segment, 0);
        let record = x.member.record;
        let claim = x.claim(1).unwrap();
        x.read(&claim, 0);
        assert!(x.take(1), "what was dropped comes again");
        let process = x.leave();
        let x = Worker::join(run, &process, 1).unwrap();
        assert_eq!(x.member.record, record);
        let y = Worker::new(run, &segment, 1);
        let x = x.dies(0, |worker| {
            worker.take(1);
        });
        let y = y.works(Worker::recover);
        x.join().unwrap();
        let y = y.join().unwrap();
        Worker::new(run, &segment, 0).settle_group(writer.tail());
        y.settle(writer.tail());
    });
}

/// The only member dies, its group is removed, and the next one gets its index: nothing of the old one is
/// found in it, and nothing is left to hold the producer.
#[test]
fn an_index_is_used_again_after_a_death() {
    let model = Model::named("an_index_is_used_again_after_a_death").mortals(1);
    model.reaches(&["removed", "refused"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 3);
        let [a] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(2);
            worker.take(1);
        });
        let (notes, process) = (run.clone(), Rc::new(Process::new(&segment)));
        let b = spawn(move || {
            controlled(&process, || {
                let live = remove_group(process.view(), &*process, 0).unwrap();
                notes.reach(if live.is_none() { "removed" } else { "refused" });
                if live.is_none() {
                    assert_eq!(make_shared(&process), (0, 0));
                }
            });
            let mut worker = Worker::join(&notes, &process, 0).unwrap();
            worker.take(2);
            worker
        });
        a.join().unwrap();
        b.join().unwrap().settle(writer.tail());
    });
}

/// A full producer would remove a group that goes with its last member, and finds a live member after a dead one: the
/// others still take what the dead one held.
#[test]
fn a_removal_that_is_refused_leaves_the_dead_to_the_others() {
    let model = Model::named("a_removal_that_is_refused_leaves_the_dead_to_the_others").mortals(1);
    model.reaches(&["adopted", "came again", "room", "refused"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 2, records: 2, ..SHAPE }, 2);
        let traits = &segment.view().group(0).identity.traits;
        // Relaxed, both: before all.
        let releases = traits.load(Ordering::Relaxed) | RETENTION_RELEASE << 8;
        traits.store(releases, Ordering::Relaxed);
        let [a, b] = crew(run, &segment);
        let a = a.dies(0, |worker| {
            worker.take(1);
        });
        let notes = run.clone();
        let writes = spawn(move || {
            writer.produce(|_, producer| {
                notes.reach(if producer.send_or_reap().is_ok() { "room" } else { "refused" });
            })
        });
        a.join().unwrap();
        // It lives until all is settled.
        let writer = writes.join().unwrap();
        b.settle(writer.tail());
    });
}

/// The remover of a dead member's group dies at each step. The next process finds all of the group or nothing of
/// it, and makes a new group of its index.
#[test]
fn a_group_is_removed_whole_or_not_at_all() {
    let model = Model::named("a_group_is_removed_whole_or_not_at_all").preemptions(3).mortals(1);
    model.reaches(&["gone", "kept"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 3);
        let [mut a] = crew(run, &segment);
        let a = spawn(move || {
            let claim = a.claim(2).unwrap();
            a.read(&claim, claim.start);
            a.die();
        });
        let (first, next) = (Process::new(&segment), Rc::new(Process::new(&segment)));
        let notes = run.clone();
        let removes = spawn(move || {
            let remove = || remove_group(first.view(), &first, 0).unwrap();
            notes.mortal(0, &first, || controlled(&first, remove));
            first.torn_down();
            controlled(&next, || {
                // If it is there, so is what its dead member held.
                let gone = state(next.view(), 0) == GroupState::Free;
                notes.reach(if gone { "gone" } else { "kept" });
                if gone {
                    assert_eq!(make_shared(&next), (0, 0));
                }
            })
            .unwrap();
            let mut worker = Worker::join(&notes, &next, 0).unwrap();
            worker.take(2);
            worker
        });
        a.join().unwrap();
        removes.join().unwrap().settle(writer.tail());
    });
}

/// A dead member's group is removed while the producer scans: what a scan that finds the group still there learns from its
/// record brings what the member had read.
#[test]
fn what_a_dead_member_read_is_over_when_its_group_is_removed() {
    let model = Model::named("what_a_dead_member_read_is_over_when_its_group_is_removed");
    model.reaches(&["room", "full"]).check(|run| {
        let (segment, writer) = filled(Shape { capacity: 2, records: 2, ..SHAPE }, 2);
        let [mut a] = crew(run, &segment);
        let process = Process::new(&segment);
        // In a thread of its own: only that one is ordered after the reads.
        let removes = spawn(move || {
            let claim = a.claim(2).unwrap();
            a.read(&claim, claim.start);
            a.die();
            controlled(&process, || remove_group(process.view(), &process, 0).unwrap()).unwrap()
        });
        let writer = writer.sends(run, 1).join().unwrap();
        assert_eq!(removes.join().unwrap(), None);
        assert!(writer.send(run).1);
    });
}
