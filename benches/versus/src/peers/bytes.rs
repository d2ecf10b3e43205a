//! Messages over anything that is written and read like a file. Calls wait in the kernel.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use zerocopy::IntoBytes;

use crate::message::{BATCH, Filled, InOrder, Msg};
use crate::transport::{Put, Take};

/// Up to `N` messages per call.
pub(crate) struct Bytes<const N: usize>(File);

impl<const N: usize> Bytes<N> {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        const { assert!(N == 1 || N == BATCH) };
        Bytes(File::from(fd))
    }
}

impl<const N: usize> Put for Bytes<N> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::<N>::of_size();
        while at < end {
            let batch = filled.next(at, end);
            self.0.write_all(batch.as_bytes()).expect("the other end is there");
            at += batch.len() as u64;
        }
    }
}

impl<const N: usize> Take for Bytes<N> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        const ONE: usize = size_of::<Msg>();
        let mut batch = [Msg::ZERO; N];
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let size = N.min(expected.left() as usize);
            let bytes = batch[..size].as_mut_bytes();
            let got = self.0.read(bytes).expect("the other end is there");
            assert!(got > 0, "the other end is gone");
            // A stream may stop in the middle of a message.
            let whole = got.next_multiple_of(ONE);
            self.0.read_exact(&mut bytes[got..whole]).expect("the other end is there");
            batch[..whole / ONE].iter().for_each(|msg| expected.see(msg));
        }
    }
}
