//! Messages of more than a line, to a shared group of one.

use std::marker::PhantomData;
use std::sync::Arc;

use slipring::{Consumer, Producer, RecvError, WakeMode};

use super::{One, Temp, ends_of};
use crate::message::{BATCH, Large, LargeBatch, LargeInOrder};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// `send_slice` of 32 and `recv_batch`; they are read where they lie. In one thread, which must not wait, `try_recv_batch`.
pub(crate) struct LargeCopied<L, const WAIT: bool>(PhantomData<L>);

/// The same with `reserve` of 32, which are written where they lie.
pub(crate) struct LargeInPlace<L, const WAIT: bool>(PhantomData<L>);

struct Copied<L: Large>(One<Producer<L>>, LargeBatch<L>);
struct InPlace<L: Large>(One<Producer<L>>);
struct Received<L: Large, const WAIT: bool>(One<Consumer<L>>);

fn queue<L: Large>() -> Arc<Temp> {
    Temp::of::<L>(L::CAPACITY, true, WakeMode::default())
}

impl<L: Large, const WAIT: bool> Transport for LargeCopied<L, WAIT> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends_of::<L>(queue::<L>(), spin);
        Ok((move || Copied(p(), LargeBatch::new()), move || Received::<L, WAIT>(c())))
    }
}

impl<L: Large, const WAIT: bool> Transport for LargeInPlace<L, WAIT> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends_of::<L>(queue::<L>(), spin);
        Ok((move || InPlace(p()), move || Received::<L, WAIT>(c())))
    }
}

impl<L: Large> Put for Copied<L> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let Copied(One { end: producer, .. }, filled) = self;
        let (mut at, end) = (from, from + n);
        while at < end {
            let batch = filled.next(at, end);
            at += producer.send_slice(batch).expect("the queue is whole") as u64;
        }
    }
}

impl<L: Large> Put for InPlace<L> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            let mut slots = self.0.end.reserve(size).expect("the queue is whole");
            for (slot, i) in slots.iter_mut().zip(at..end) {
                slot.fill(i);
            }
            slots.publish();
            at += size as u64;
        }
    }
}

impl<L: Large, const WAIT: bool> Take for Received<L, WAIT> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let Received(One { end: consumer, spin, .. }) = self;
        let mut expected = LargeInOrder::expect(from, n);
        while expected.batch() > 0 {
            let batch = if WAIT {
                consumer.recv_batch(expected.batch())
            } else {
                consumer.try_recv_batch(expected.batch())
            };
            match batch {
                Ok(batch) => {
                    for msg in &batch {
                        expected.see(&*msg);
                    }
                    batch.ack().expect("it is in its batch");
                }
                Err(RecvError::Empty) => spin.again(),
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}
