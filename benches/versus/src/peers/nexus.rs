//! nexus-queue: threads of one process, one message at a time; one to one, and one to many.

use nexus_queue::{spmc, spsc};

use crate::message::{CAPACITY, InOrder, Msg, Tally};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::compete::{Drain, Pool};

/// One to one.
pub(crate) struct Spsc;

/// One to many: each message goes to one consumer.
pub(crate) struct Spmc;

struct End<E>(E, Spin);

impl Transport for Spsc {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = spsc::ring_buffer::<Msg>(CAPACITY);
        Ok((move || End(sender, spin), move || End(receiver, spin)))
    }
}

impl Pool for Spmc {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let (sender, receiver) = spmc::ring_buffer::<Msg>(CAPACITY);
        let spin = Spin::for_streams();
        let members = [receiver.clone(), receiver].map(|receiver| move || End(receiver, spin));
        Ok((move || End(sender, spin), members))
    }
}

impl Put for End<spsc::Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.0.push(Msg::new(i)).is_err() {
                self.1.again();
            }
        }
    }
}

impl Put for End<spmc::Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.0.push(Msg::new(i)).is_err() {
                self.1.again();
            }
        }
    }
}

impl Take for End<spsc::Consumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.0.pop() {
                Some(msg) => expected.see(&msg),
                None => self.1.again(),
            }
        }
    }
}

impl Drain for End<spmc::Consumer<Msg>> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(msg) = self.0.pop() {
            tally.see(&msg);
        }
        tally
    }
}
