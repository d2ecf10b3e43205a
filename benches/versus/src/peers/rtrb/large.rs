//! Messages of more than a line, in chunks of 32 that are written and read where they lie.

#![allow(unsafe_code)]

use std::marker::PhantomData;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::message::{BATCH, Large, LargeBatch, LargeInOrder};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// Chunks of up to 32.
pub(crate) struct LargeChunks<L>(PhantomData<L>);

/// Slices of 32, copied in and read where they lie.
pub(crate) struct LargeSlices<L>(PhantomData<L>);

struct Chunk<E>(E, Spin);
struct Slice<L: Large>(Producer<L>, LargeBatch<L>, Spin);

impl<L: Large> Transport for LargeChunks<L> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<L>::new(L::CAPACITY);
        Ok((move || Chunk(p, spin), move || Chunk(c, spin)))
    }
}

impl<L: Large> Transport for LargeSlices<L> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (p, c) = RingBuffer::<L>::new(L::CAPACITY);
        Ok((move || Slice(p, LargeBatch::new(), spin), move || Chunk(c, spin)))
    }
}

impl<L: Large> Put for Slice<L> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let Slice(producer, filled, spin) = self;
        let (mut at, end) = (from, from + n);
        while at < end {
            let batch = filled.next(at, end);
            while producer.push_entire_slice(batch).is_err() {
                spin.again();
            }
            at += batch.len() as u64;
        }
    }
}

impl<L: Large> Put for Chunk<Producer<L>> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let Ok(mut chunk) = self.0.write_chunk_uninit(BATCH.min((end - at) as usize)) else {
                self.1.again();
                continue;
            };
            let (first, second) = chunk.as_mut_slices();
            first.iter_mut().chain(second).zip(at..end).for_each(|(slot, i)| L::write(slot, i));
            at += chunk.len() as u64;
            // SAFETY: all slots are written.
            unsafe { chunk.commit_all() };
        }
    }
}

impl<L: Large> Take for Chunk<Consumer<L>> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = LargeInOrder::expect(from, n);
        while expected.batch() > 0 {
            let size = self.0.slots().min(expected.batch());
            match self.0.read_chunk(size) {
                Ok(chunk) if size > 0 => {
                    let (first, second) = chunk.as_slices();
                    first.iter().chain(second).for_each(|msg| expected.see(msg));
                    chunk.commit_all();
                }
                _ => self.1.again(),
            }
        }
    }
}
