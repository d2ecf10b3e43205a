//! The calls that wait, in batches of 32: where messages come as fast as they are taken, the receiving one lingers for a run
//! of them, and leaves the producer its lines meanwhile.

use slipring::{Consumer, Producer};

use super::{Batch, Blocking, One, ends};
use crate::message::{BATCH, Filled, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// `send_slice` and `recv_batch` of 32.
pub(crate) struct WaitingSlices<const SHARED: bool>;

/// `send_batch` and `recv_batch` of 32.
pub(crate) struct WaitingBatches<const SHARED: bool>;

/// `reserve` of 32, written in place, and `recv_batch`.
pub(crate) struct WaitingInPlace<const SHARED: bool>;

struct SendSlice(One<Producer<Msg>>);
struct SendBatch(One<Producer<Msg>>);
struct Reserve(One<Producer<Msg>>);

impl<const SHARED: bool> Transport for WaitingSlices<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || SendSlice(p()), move || Blocking(Batch(c()))))
    }
}

impl<const SHARED: bool> Transport for WaitingBatches<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || SendBatch(p()), move || Blocking(Batch(c()))))
    }
}

impl<const SHARED: bool> Transport for WaitingInPlace<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || Reserve(p()), move || Blocking(Batch(c()))))
    }
}

/// The sending end of a queue that somebody else removes.
pub(crate) fn sending_slices(end: Producer<Msg>) -> impl Put {
    SendSlice(One::borrowed(end, Spin::for_streams()))
}

/// The receiving end of one.
pub(crate) fn receiving_batches(end: Consumer<Msg>) -> impl Take {
    Blocking(Batch(One::borrowed(end, Spin::for_streams())))
}

impl Put for SendSlice {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::new();
        while at < end {
            let batch = filled.next(at, end);
            at += self.0.end.send_slice(batch).expect("the queue is whole") as u64;
        }
    }
}

impl Put for SendBatch {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::new();
        while at < end {
            let batch = filled.next(at, end);
            at += self.0.end.send_batch(batch).expect("the queue is whole") as u64;
        }
    }
}

impl Put for Reserve {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            let mut slots = self.0.end.reserve(size).expect("the queue is whole");
            for (slot, i) in slots.iter_mut().zip(at..end) {
                *slot = Msg::new(i);
            }
            slots.publish();
            at += size as u64;
        }
    }
}

impl Take for Blocking<Batch<Consumer<Msg>>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let Blocking(Batch(One { end: consumer, .. })) = self;
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let size = BATCH.min(expected.left() as usize);
            let batch = consumer.recv_batch(size).expect("the queue is whole");
            for msg in &batch {
                expected.see(&msg);
            }
            batch.ack().expect("it is in its batch");
        }
    }
}
