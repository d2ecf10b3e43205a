//! ringfire: broadcast in shared memory, here with its lossless flow control.

use std::sync::Arc;

use ringfire::{FlowControl, RingConsumer, RingProducer, RingProducerBuilder};

use crate::leftovers::TempFile;
use crate::message::{BATCH, CAPACITY, Filled, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::latency::{Poll, Polled};

/// `try_push` and `try_recv`.
pub(crate) struct Single;

/// `push_batch` and `recv_batch` of 32.
pub(crate) struct Batches;

struct End<E> {
    end: E,
    spin: Spin,
    _file: Arc<TempFile>,
}

struct Batch<E>(End<E>);

type Ends = (End<RingProducer<Msg>>, End<RingConsumer<Msg>>);

/// Its producer looks for readers when it is made, so both ends are made together.
fn ends(spin: Spin) -> Result<Ends, NotRun> {
    let file = Arc::new(TempFile::new());
    let builder = RingProducerBuilder::new(CAPACITY as u64);
    let builder = builder.flow_control(FlowControl::LosslessBackpressure);
    let sender = builder.build(file.path()).map_err(NotRun::because)?;
    let builder = RingConsumer::builder().consumer_name("versus").start_from_oldest();
    let receiver = builder.attach(file.path()).map_err(NotRun::because)?;
    let sender = End { end: sender, spin, _file: file.clone() };
    Ok((sender, End { end: receiver, spin, _file: file }))
}

impl Transport for Single {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = ends(spin)?;
        Ok((move || sender, move || receiver))
    }
}

impl Transport for Batches {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = ends(spin)?;
        Ok((move || Batch(sender), move || Batch(receiver)))
    }
}

impl Put for End<RingProducer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.end.try_push(&Msg::new(i)).is_err() {
                self.spin.again();
            }
        }
    }
}

impl Take for End<RingConsumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.end.try_recv() {
                Some(msg) => expected.see(&msg),
                None => self.spin.again(),
            }
        }
    }
}

impl Put for Batch<RingProducer<Msg>> {
    /// ringfire has no batch call that does not wait.
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::new();
        while at < end {
            let batch = filled.next(at, end);
            self.0.end.push_batch(batch);
            at += batch.len() as u64;
        }
    }
}

impl Take for Batch<RingConsumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut batch = [Msg::ZERO; BATCH];
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let size = BATCH.min(expected.left() as usize);
            match self.0.end.recv_batch(&mut batch[..size]) {
                0 => self.0.spin.again(),
                got => batch[..got].iter().for_each(|msg| expected.see(msg)),
            }
        }
    }
}

impl Polled for Single {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun> {
        let (sender, receiver) = ends(Spin::for_round_trips())?;
        Ok((move || sender, move || receiver))
    }
}

impl Poll for End<RingConsumer<Msg>> {
    #[inline]
    fn poll(&mut self, see: impl FnMut(u64)) {
        self.end.try_recv().iter().map(Msg::number).for_each(see);
    }
}
