//! Messages at a pace to a consumer that polls.

use slipring::{Consumer, RecvError};

use super::{Batch, Batches, One, Single, ends};
use crate::message::{BATCH, Msg};
use crate::transport::{NotRun, Open, Put, Spin};
use crate::works::latency::{Poll, Polled};

impl<const SHARED: bool> Polled for Single<SHARED> {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun> {
        Ok(ends::<Msg>(SHARED, Spin::for_round_trips()))
    }
}

/// Sent one by one, received in batches.
impl<const SHARED: bool> Polled for Batches<SHARED> {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun> {
        let (p, c) = ends::<Msg>(SHARED, Spin::for_round_trips());
        Ok((p, move || Batch(c())))
    }
}

impl Poll for One<Consumer<Msg>> {
    #[inline]
    fn poll(&mut self, mut see: impl FnMut(u64)) {
        match self.end.try_recv() {
            Ok(msg) => {
                see(msg.number());
                msg.ack().expect("it is in its batch");
            }
            Err(RecvError::Empty) => {}
            Err(fault) => panic!("{fault}"),
        }
    }
}

impl Poll for Batch<Consumer<Msg>> {
    #[inline]
    fn poll(&mut self, mut see: impl FnMut(u64)) {
        match self.0.end.try_recv_batch(BATCH) {
            Ok(batch) => {
                for msg in &batch {
                    see(msg.number());
                }
                batch.ack().expect("it is in its batch");
            }
            Err(RecvError::Empty) => {}
            Err(fault) => panic!("{fault}"),
        }
    }
}
