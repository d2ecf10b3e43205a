//! What the work costs where nothing goes from one processor to another: batches are filled, copied into a
//! ring, copied out of it and checked, by one thread.

use std::hint::black_box;
use std::time::Instant;

use crate::alone::alone;
use crate::message::{BATCH, CAPACITY, Filled, InOrder, Large, LargeBatch, LargeInOrder, Msg};
use crate::pair::{Steps, nanoseconds_per_step};
use crate::transport::NotRun;

pub(crate) fn slice(steps: Steps) -> Result<f64, NotRun> {
    let Steps { warm, timed } = steps;
    Ok(alone(|| {
        let mut ring = vec![Msg::ZERO; CAPACITY];
        copies(&mut ring, 0, warm);
        let start = Instant::now();
        copies(&mut ring, warm, timed);
        nanoseconds_per_step(timed, start, Instant::now())
    }))
}

fn copies(ring: &mut [Msg], from: u64, n: u64) {
    let (mut at, end) = (from, from + n);
    let mut filled = Filled::new();
    let mut out = [Msg::ZERO; BATCH];
    let mut expected = InOrder::expect(from, n);
    while at < end {
        let batch = filled.next(at, end);
        // Rings are whole batches long, and slices are, too.
        let slots = &mut ring[at as usize % CAPACITY..][..batch.len()];
        slots.copy_from_slice(batch);
        let out = &mut out[..batch.len()];
        out.copy_from_slice(black_box(slots));
        black_box(&*out).iter().for_each(|msg| expected.see(msg));
        at += batch.len() as u64;
    }
}

/// The same with messages of more than a line; `OUT`: they are copied out, else read in the ring.
pub(crate) fn large<L: Large, const OUT: bool>(steps: Steps) -> Result<f64, NotRun> {
    let Steps { warm, timed } = steps;
    Ok(alone(|| {
        let mut ring = vec![L::ZERO; L::CAPACITY];
        large_copies::<L, OUT>(&mut ring, 0, warm);
        let start = Instant::now();
        large_copies::<L, OUT>(&mut ring, warm, timed);
        nanoseconds_per_step(timed, start, Instant::now())
    }))
}

fn large_copies<L: Large, const OUT: bool>(ring: &mut [L], from: u64, n: u64) {
    let (mut at, end) = (from, from + n);
    let (mut filled, mut out) = (LargeBatch::<L>::new(), LargeBatch::<L>::new());
    let mut expected = LargeInOrder::expect(from, n);
    while at < end {
        let batch = filled.next(at, end);
        // Rings are whole batches long, and slices are, too.
        let slots = &mut ring[at as usize % L::CAPACITY..][..batch.len()];
        slots.copy_from_slice(batch);
        at += batch.len() as u64;
        let slots: &[L] = black_box(slots);
        let there = if OUT {
            let out = out.as_long_as(slots);
            out.copy_from_slice(slots);
            black_box(&*out)
        } else {
            slots
        };
        there.iter().for_each(|msg| expected.see(msg));
    }
}
