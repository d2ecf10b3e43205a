//! crossbeam: many to many, threads of one process, one message at a time.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use crossbeam_queue::ArrayQueue;

use crate::message::{CAPACITY, InOrder, Msg, Tally};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::compete::{Drain, Pool};

pub(crate) struct Queue;
pub(crate) struct Channel;

struct End<E>(E, Spin);

type Shared = Arc<ArrayQueue<Msg>>;

impl Transport for Queue {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let queue: Shared = Arc::new(ArrayQueue::new(CAPACITY));
        let other = queue.clone();
        Ok((move || End(queue, spin), move || End(other, spin)))
    }
}

impl Pool for Queue {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let queue: Shared = Arc::new(ArrayQueue::new(CAPACITY));
        let spin = Spin::for_streams();
        let member = [queue.clone(), queue.clone()].map(|queue| move || End(queue, spin));
        Ok((move || End(queue, spin), member))
    }
}

impl Transport for Channel {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = bounded::<Msg>(CAPACITY);
        Ok((move || End(sender, spin), move || End(receiver, spin)))
    }
}

impl Pool for Channel {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let (sender, receiver) = bounded::<Msg>(CAPACITY);
        let spin = Spin::for_streams();
        let member = [receiver.clone(), receiver].map(|receiver| move || End(receiver, spin));
        Ok((move || End(sender, spin), member))
    }
}

impl Put for End<Shared> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.0.push(Msg::new(i)).is_err() {
                self.1.again();
            }
        }
    }
}

impl Take for End<Shared> {
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

impl Drain for End<Shared> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(msg) = self.0.pop() {
            tally.see(&msg);
        }
        tally
    }
}

impl Put for End<Sender<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.0.try_send(Msg::new(i)).is_err() {
                self.1.again();
            }
        }
    }
}

impl Take for End<Receiver<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.0.try_recv() {
                Ok(msg) => expected.see(&msg),
                Err(_) => self.1.again(),
            }
        }
    }
}

impl Drain for End<Receiver<Msg>> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Ok(msg) = self.0.try_recv() {
            tally.see(&msg);
        }
        tally
    }
}
