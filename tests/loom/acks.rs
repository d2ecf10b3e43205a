//! A member of a shared group acks out of order: only the prefix without gaps is published, and what is
//! acked beyond it is forgotten with the batch or with its member.

use super::explore::Model;
use super::heap::Shape;
use super::members::{Worker, filled};
use crate::ring::ack_set::AckSet;

const SHAPE: Shape = Shape {
    capacity: 2,
    groups: 1,
    records: 2,
    observed: false,
    sleepers: false,
    streams: 0,
    cells: 0,
};

/// Claims up to `max` messages, reads them, and acks those at `order`, as far as there are so many.
fn acks(worker: &mut Worker, done: &mut AckSet, max: u64, order: &[u64]) {
    let Some(mut claim) = worker.claim(max) else { return };
    let (first, end) = (claim.start, claim.end);
    done.begin(first);
    for seq in first..end {
        worker.read(&claim, seq);
    }
    for seq in order.iter().map(|offset| first + offset).filter(|&seq| seq < end) {
        worker.ack_one(done, &mut claim, seq);
    }
    if order.len() as u64 == max {
        assert_eq!(claim.start, end, "all is acked, and the claim goes on");
    }
}

/// It dies at each store with the second message acked and the first one not, or both, while a producer
/// overwrites what it may.
#[test]
fn a_gap_in_the_acks_holds_the_producer() {
    let model = Model::named("a_gap_in_the_acks_holds_the_producer").mortals(1);
    model.reaches(&["adopted", "came again after an ack out of order", "room", "full"]).check(
        |run| {
            let (segment, writer) = filled(SHAPE, 2);
            let [a, c] = [(); 2].map(|()| Worker::new(run, &segment, 0));
            let a = a.dies(0, |worker| acks(worker, &mut AckSet::default(), 2, &[1, 0]));
            let c = c.works(Worker::recover);
            let writer = writer.sends(run, 2).join().unwrap();
            a.join().unwrap();
            c.join().unwrap().settle(writer.tail());
        },
    );
}

/// It drops its batch with the last message acked and the middle one not: both come again, to itself and
/// one at a time, or when it dies on the way to another one.
#[test]
fn acks_out_of_order_end_with_their_batch() {
    let model = Model::named("acks_out_of_order_end_with_their_batch").mortals(1);
    model.reaches(&["adopted", "came again after an ack out of order", "died unread"]).check(
        |run| {
            let (segment, writer) = filled(Shape { capacity: 4, ..SHAPE }, 4);
            let [a, c] = [(); 2].map(|()| Worker::new(run, &segment, 0));
            let a = a.dies(0, |worker| {
                // Kept between batches, as by a consumer.
                let mut done = AckSet::default();
                acks(worker, &mut done, 3, &[2, 0]);
                acks(worker, &mut done, 1, &[0]);
                acks(worker, &mut done, 1, &[0]);
            });
            let c = c.works(|worker| {
                worker.take(1);
                worker.recover();
            });
            a.join().unwrap();
            c.join().unwrap().settle(writer.tail());
        },
    );
}
