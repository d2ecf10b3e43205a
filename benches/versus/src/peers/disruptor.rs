//! disruptor: broadcast, threads of one process.

use disruptor::{
    BusySpin, EventPoller, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
    build_single_producer,
};

use crate::message::{BATCH, CAPACITY, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// Publishes and takes `N` at a time.
pub(crate) struct Disruptor<const N: usize>;

struct Sender<const N: usize>(SingleProducer<Msg, SingleConsumerBarrier>, Spin);
struct Reader<const N: usize>(EventPoller<Msg, SingleProducerBarrier>, Spin);

pub(crate) type Single = Disruptor<1>;
pub(crate) type Batches = Disruptor<BATCH>;

impl<const N: usize> Transport for Disruptor<N> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let builder = build_single_producer(CAPACITY, || Msg::ZERO, BusySpin);
        let (reader, builder) = builder.new_event_poller();
        let sender = builder.build();
        Ok((move || Sender::<N>(sender, spin), move || Reader::<N>(reader, spin)))
    }
}

impl<const N: usize> Put for Sender<N> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = N.min((end - at) as usize);
            let sent = if N == 1 {
                self.0.try_publish(|slot| *slot = Msg::new(at)).is_ok()
            } else {
                let fill = |(slot, i): (&mut Msg, u64)| *slot = Msg::new(i);
                self.0.try_batch_publish(size, |slots| slots.zip(at..).for_each(fill)).is_ok()
            };
            if sent {
                at += size as u64;
            } else {
                self.1.again();
            }
        }
    }
}

impl<const N: usize> Take for Reader<N> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.0.take(expected.left().min(N as u64)) {
                Ok(mut events) => (&mut events).for_each(|msg| expected.see(msg)),
                Err(_) => self.1.again(),
            }
        }
    }
}
