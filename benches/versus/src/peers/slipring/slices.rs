//! Batches that are slices, and batches that are there already.

use slipring::{Consumer, Producer};

use super::{Batch, One, ends};
use crate::message::{BATCH, Filled, InOrder, Msg, Prepared};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// `try_send_slice` and `try_recv_batch` of 32.
pub(crate) struct Slices<const SHARED: bool>;

/// `try_send_batch` of 32 messages that are there already, and `try_recv_batch`.
pub(crate) struct PreparedBatches;

/// The same with `try_send_slice`.
pub(crate) struct PreparedSlices;

struct Slice(One<Producer<Msg>>);
struct Ready<E, const SLICE: bool>(E, Prepared);

impl<const SHARED: bool> Transport for Slices<SHARED> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, spin);
        Ok((move || Slice(p()), move || Batch(c())))
    }
}

/// The sending end of a stream in slices, of a queue that somebody else removes.
pub(crate) fn streaming(end: Producer<Msg>, spin: Spin) -> impl Put {
    Slice(One::borrowed(end, spin))
}

type PreparedPut<const SLICE: bool> = Ready<One<Producer<Msg>>, SLICE>;
type PreparedTake<const SLICE: bool> = Ready<Batch<Consumer<Msg>>, SLICE>;

fn prepared<const SLICE: bool>(
    spin: Spin,
) -> (impl Open<End = PreparedPut<SLICE>>, impl Open<End = PreparedTake<SLICE>>) {
    let (p, c) = ends::<Msg>(false, spin);
    (move || Ready(p(), Prepared::new()), move || Ready(Batch(c()), Prepared::new()))
}

impl Transport for PreparedBatches {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        Ok(prepared::<false>(spin))
    }
}

impl Transport for PreparedSlices {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        Ok(prepared::<true>(spin))
    }
}

impl One<Producer<Msg>> {
    #[inline]
    fn put_slice(&mut self, mut rest: &[Msg]) {
        while !rest.is_empty() {
            match self.end.try_send_slice(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(_) => self.spin.again(),
            }
        }
    }
}

impl Put for Slice {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::new();
        while at < end {
            let batch = filled.next(at, end);
            at += batch.len() as u64;
            self.0.put_slice(batch);
        }
    }
}

impl<const SLICE: bool> Put for PreparedPut<SLICE> {
    /// Whole batches.
    #[inline]
    fn put(&mut self, _: u64, n: u64) {
        let Ready(one, prepared) = self;
        for _ in 0..n / BATCH as u64 {
            if SLICE {
                one.put_slice(prepared.batch());
                continue;
            }
            let mut rest = prepared.batch().iter();
            while rest.len() > 0 {
                if one.end.try_send_batch(&mut rest).is_err() {
                    one.spin.again();
                }
            }
        }
    }
}

impl<const SLICE: bool> Take for PreparedTake<SLICE> {
    #[inline]
    fn take(&mut self, _: u64, n: u64) {
        self.0.expected(InOrder::prepared(n));
    }
}
