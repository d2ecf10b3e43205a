//! rtrb: one producer, one consumer, threads of one process.

mod large;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::message::{BATCH, CAPACITY, InOrder, Msg, Prepared};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::latency::{Poll, Polled};

pub(crate) use large::{LargeChunks, LargeSlices};

/// `push` and `pop`.
pub(crate) struct Single;

/// Chunks of up to 32, or of 32: then it takes none before all are there, which leaves the producer its lines meanwhile.
pub(crate) struct Chunks<const WHOLE: bool>;

/// Slices of 32 that are there already, and chunks of up to 32.
pub(crate) struct Slices;

struct One<E>(E, Spin);
struct Chunk<E>(E, Spin);
struct Whole(Chunk<Consumer<Msg>>);
struct Slice<E>(Chunk<E>, Prepared);

impl Transport for Single {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        Ok((move || One(p, spin), move || One(c, spin)))
    }
}

impl Transport for Chunks<false> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        Ok((move || Chunk(p, spin), move || Chunk(c, spin)))
    }
}

impl Transport for Chunks<true> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        Ok((move || Chunk(p, spin), move || Whole(Chunk(c, spin))))
    }
}

impl Transport for Slices {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        Ok((
            move || Slice(Chunk(p, spin), Prepared::new()),
            move || Slice(Chunk(c, spin), Prepared::new()),
        ))
    }
}

impl Polled for Single {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun> {
        let (p, c) = RingBuffer::<Msg>::new(CAPACITY);
        let spin = Spin::for_round_trips();
        Ok((move || One(p, spin), move || One(c, spin)))
    }
}

impl Poll for One<Consumer<Msg>> {
    #[inline]
    fn poll(&mut self, see: impl FnMut(u64)) {
        self.0.pop().iter().map(Msg::number).for_each(see);
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

impl Put for Slice<Producer<Msg>> {
    /// Whole batches.
    #[inline]
    fn put(&mut self, _: u64, n: u64) {
        for _ in 0..n / BATCH as u64 {
            while self.0.0.push_entire_slice(self.1.batch()).is_err() {
                self.0.1.again();
            }
        }
    }
}

impl Take for Slice<Consumer<Msg>> {
    #[inline]
    fn take(&mut self, _: u64, n: u64) {
        self.0.expected(InOrder::prepared(n));
    }
}

impl Take for Chunk<Consumer<Msg>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        self.expected(InOrder::expect(from, n));
    }
}

impl Take for Whole {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let Whole(Chunk(consumer, spin)) = self;
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            match consumer.read_chunk(BATCH.min(expected.left() as usize)) {
                Ok(chunk) => chunk.into_iter().for_each(|msg| expected.see(&msg)),
                Err(_) => spin.again(),
            }
        }
    }
}

impl Chunk<Consumer<Msg>> {
    #[inline]
    fn expected(&mut self, mut expected: InOrder) {
        while expected.left() > 0 {
            let size = self.0.slots().min(BATCH).min(expected.left() as usize);
            match self.0.read_chunk(size) {
                Ok(chunk) if size > 0 => chunk.into_iter().for_each(|msg| expected.see(&msg)),
                _ => self.1.again(),
            }
        }
    }
}
