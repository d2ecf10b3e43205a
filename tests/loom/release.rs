//! A member of a shared group gives back what it has not acked, and lives on.

use loom::thread::spawn;

use super::explore::{Model, Run};
use super::heap::Shape;
use super::members::{Worker, filled};

const SHAPE: Shape = Shape {
    capacity: 4,
    groups: 1,
    records: 3,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// Claims two, acks one, reads the other and gives it back, and takes one more.
fn gives_back(worker: &mut Worker) {
    let Some(mut claim) = worker.claim(2) else { return };
    let first = claim.start;
    worker.read(&claim, first);
    worker.ack(&mut claim, first + 1);
    if claim.start < claim.end {
        worker.read(&claim, first + 1);
        worker.release(&claim);
    }
    worker.take(1);
}

/// Takes one, then what is given back, then one more.
fn takes_over(worker: &mut Worker) {
    worker.take(1);
    worker.recover();
    worker.take(1);
}

/// The releaser dies at each step, while another member claims and adopts.
fn releaser_dies(run: &Run, capacity: u64, fill: u64, sends: u32) {
    let (segment, mut writer) = filled(Shape { capacity, ..SHAPE }, fill);
    let [a, c] = [(); 2].map(|()| Worker::new(run, &segment, 0));
    let a = a.dies(0, gives_back);
    let c = c.works(takes_over);
    if sends > 0 {
        writer = writer.sends(run, sends).join().unwrap();
    }
    a.join().unwrap();
    c.join().unwrap().settle(writer.tail());
}

/// rel.
#[test]
fn what_is_given_back_comes_again_once() {
    let model = Model::named("what_is_given_back_comes_again_once").mortals(1);
    model
        .reaches(&["adopted", "came again", "died unread"])
        .check(|run| releaser_dies(run, 4, 3, 0));
}

/// The releaser lives on: the others need not wait for its death.
#[test]
fn what_a_live_member_gives_back_is_taken() {
    let model = Model::named("what_a_live_member_gives_back_is_taken");
    model.reaches(&["adopted", "came again"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 3);
        let [a, c] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let a = a.works(gives_back);
        let c = c.works(takes_over);
        // It lives until all is settled.
        let _a = a.join().unwrap();
        c.join().unwrap().settle(writer.tail());
    });
}

/// While the producer scans and overwrites.
#[test]
fn what_is_given_back_holds_the_producer() {
    let model = Model::named("what_is_given_back_holds_the_producer").mortals(1).seconds(0.8);
    model
        .reaches(&["adopted", "came again", "room", "full"])
        .check(|run| releaser_dies(run, 2, 2, 1));
}

/// Releaser and adopter die, at each step of both.
#[test]
fn releaser_and_adopter_die() {
    let model = Model::named("releaser_and_adopter_die").mortals(2);
    model.reaches(&["adopted", "came again", "died unread", "third attempt"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 4, ..SHAPE }, 3);
        let [a, c, last] = [(); 3].map(|()| Worker::new(run, &segment, 0));
        let a = a.dies(0, gives_back);
        let c = c.dies(1, |worker| {
            worker.recover();
            worker.take(1);
        });
        a.join().unwrap();
        c.join().unwrap();
        last.settle(writer.tail());
    });
}

/// A record was idle when the releaser searched for another one, and its owner dies with a range at that moment. The
/// releaser takes a record that holds nothing, and leaves the orphan to the adopters.
#[test]
fn a_releaser_goes_on_with_a_record_that_holds_nothing() {
    let model = Model::named("a_releaser_goes_on_with_a_record_that_holds_nothing").mortals(1);
    model.reaches(&["adopted", "came again", "died unread"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 4, ..SHAPE }, 3);
        let [a, mut r, last] = [(); 3].map(|()| Worker::new(run, &segment, 0));
        let claim = r.claim(1).unwrap();
        r.read(&claim, 0);
        let a = a.dies(0, |worker| {
            worker.take(1);
        });
        let r = spawn(move || {
            assert!(r.release(&claim));
            r.take(1);
            r
        });
        a.join().unwrap();
        // It lives until all is settled.
        let _r = r.join().unwrap();
        last.settle(writer.tail());
    });
}

/// A member that gives back what it adopted holds it no more. As no other member takes it, it gets it again in
/// the end.
#[test]
fn what_is_taken_over_is_given_back_and_comes_again() {
    let model = Model::named("what_is_taken_over_is_given_back_and_comes_again");
    model.reaches(&["adopted", "third attempt"]).check(|run| {
        let (segment, writer) = filled(SHAPE, 1);
        let [mut a, mut b] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let claim = a.claim(1).unwrap();
        a.read(&claim, 0);
        a.die();
        assert!(b.adopt());
        let claim = b.claim(1).unwrap();
        b.read(&claim, 0);
        assert!(b.release(&claim));
        assert!(b.claim(1).is_none(), "it holds what it has given back");
        assert!(!b.adopt(), "the others come first");
        let again = (0..16).any(|_| b.adopt());
        assert!(again, "what it gave back never comes again");
        b.settle(writer.tail());
    });
}

/// Without a record to go on with, nothing has changed: the member goes on with what it has.
#[test]
fn a_release_that_finds_no_record_changes_nothing() {
    let model = Model::named("a_release_that_finds_no_record_changes_nothing");
    model.reaches(&["kept"]).check(|run| {
        let (segment, writer) = filled(Shape { records: 2, ..SHAPE }, 2);
        let [a, c] = [(); 2].map(|()| Worker::new(run, &segment, 0));
        let notes = run.clone();
        let a = a.works(move |worker| {
            let Some(claim) = worker.claim(2) else { return };
            for seq in claim.start..claim.end {
                worker.read(&claim, seq);
            }
            assert!(!worker.release(&claim));
            notes.reach("kept");
            while worker.take(1) {}
        });
        let c = c.works(takes_over);
        c.join().unwrap();
        a.join().unwrap().settle(writer.tail());
    });
}

/// Claims two, acks one, and finds that it cannot try the other: that delivery does not count. It gives it back, or
/// drops it and takes it again.
fn cannot_try(worker: &mut Worker) {
    let Some(mut claim) = worker.claim(2) else { return };
    let first = claim.start;
    worker.read(&claim, first);
    worker.ack(&mut claim, first + 1);
    if claim.start == claim.end {
        return;
    }
    worker.read(&claim, first + 1);
    worker.uncount(&claim, 1);
    if !worker.release(&claim) {
        worker.take(1);
    }
}

/// The releaser dies at each step, and so does the adopter of what it could not try, which cannot try it either.
#[test]
fn what_was_not_tried_is_not_counted() {
    let model = Model::named("what_was_not_tried_is_not_counted").mortals(2);
    model
        .reaches(&["adopted", "came again", "came again uncounted", "died unread", "third attempt"])
        .check(|run| {
            let (segment, writer) = filled(Shape { records: 4, ..SHAPE }, 2);
            let [a, c, last] = [(); 3].map(|()| Worker::new(run, &segment, 0));
            let a = a.dies(0, cannot_try);
            let c = c.dies(1, |worker| {
                if worker.adopt()
                    && let Some(claim) = worker.claim(1)
                {
                    worker.read(&claim, claim.start);
                    worker.uncount(&claim, claim.attempts);
                    // Tried now, and in vain.
                    if let Some(claim) = worker.claim(1) {
                        worker.read(&claim, claim.start);
                    }
                    worker.take(1);
                }
            });
            a.join().unwrap();
            c.join().unwrap();
            last.settle(writer.tail());
        });
}
