//! rtrb: one producer, one consumer, threads of one process.

use rtrb::{Consumer, Producer, RingBuffer};

use crate::message::{BATCH, CAPACITY, InOrder, Msg};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// `push` and `pop`.
pub(crate) struct Single;

/// Chunks of up to 32.
pub(crate) struct Chunks;

struct One<E>(E, Spin);
struct Chunk<E>(E, Spin);

impl Transport for Single {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        Ok((move || One(p, spin), move || One(c, spin)))
    }
}

impl Transport for Chunks {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        Ok((move || Chunk(p, spin), move || Chunk(c, spin)))
    }
}

impl Put for One<Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.0.push(Msg::new(i)).is_err() {
                self.1.again();
            }
        }
    }
}

impl Take for One<Consumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match self.0.pop() {
                Ok(msg) => expected.see(&msg),
                Err(_) => self.1.again(),
            }
        }
    }
}

impl Put for Chunk<Producer<Msg>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            match self.0.write_chunk_uninit(BATCH.min((end - at) as usize)) {
                Ok(chunk) => at += chunk.fill_from_iter((at..end).map(Msg::new)) as u64,
                Err(_) => self.1.again(),
            }
        }
    }
}

impl Take for Chunk<Consumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let size = self.0.slots().min(BATCH).min(expected.left() as usize);
            match self.0.read_chunk(size) {
                Ok(chunk) if size > 0 => chunk.into_iter().for_each(|msg| expected.see(&msg)),
                _ => self.1.again(),
            }
        }
    }
}
