//! Messages of more than a line.

use std::fmt::Debug;
use std::mem::MaybeUninit;
use std::slice;

use iceoryx2::prelude::ZeroCopySend;

use super::BATCH;

/// A payload of a power of two of bytes, all of which are words.
pub(crate) trait Large:
    slipring::Message + ZeroCopySend + Debug + Copy + Send + 'static
{
    /// Messages that a ring holds: so many that it takes 1 to 4 MiB.
    const CAPACITY: usize;
    const ZERO: Self;

    fn words(&self) -> &[u64];
    fn words_mut(&mut self) -> &mut [u64];

    /// Makes a slot message number `i`, word by word: it is not made elsewhere and copied.
    #[inline]
    fn write(slot: &mut MaybeUninit<Self>, i: u64) {
        let words = slot.as_mut_ptr().cast::<MaybeUninit<u64>>();
        // SAFETY: the slot is aligned for words, and has so many; it is borrowed for as long.
        #[allow(unsafe_code)]
        let words =
            unsafe { slice::from_raw_parts_mut(words, size_of::<Self>() / size_of::<u64>()) };
        words.fill(MaybeUninit::new(i));
    }

    /// Makes it message number `i`: every word says so.
    #[inline]
    fn fill(&mut self, i: u64) {
        self.words_mut().fill(i);
    }
}

macro_rules! large {
    ($($(#[$meta:meta])* $name:ident: $words:literal words, $capacity:literal in a ring;)+) => {$(
        slipring::message! {
            $(#[$meta])*
            pub(crate) struct $name {
                pub(crate) word: [u64; $words],
            }
        }

        // SAFETY: `repr(C)`, of words only, and without pointers.
        #[allow(unsafe_code)]
        unsafe impl ZeroCopySend for $name {}

        impl Large for $name {
            const CAPACITY: usize = $capacity;
            const ZERO: Self = $name { word: [0; $words] };

            #[inline]
            fn words(&self) -> &[u64] {
                &self.word
            }

            #[inline]
            fn words_mut(&mut self) -> &mut [u64] {
                &mut self.word
            }
        }
    )+};
}

large! {
    /// 256 bytes.
    Bytes256: 32 words, 4096 in a ring;
    /// 1024 bytes.
    Bytes1024: 128 words, 4096 in a ring;
    /// 4096 bytes.
    Bytes4096: 512 words, 1024 in a ring;
}

/// Batches that are filled again and again.
pub(crate) struct LargeBatch<L>(Vec<L>);

impl<L: Large> LargeBatch<L> {
    pub(crate) fn new() -> Self {
        LargeBatch(vec![L::ZERO; BATCH])
    }

    /// The next at most [`BATCH`] of the messages `at..end`.
    #[inline]
    pub(crate) fn next(&mut self, at: u64, end: u64) -> &[L] {
        let size = BATCH.min((end - at) as usize);
        self.0.iter_mut().zip(at..end).for_each(|(msg, i)| msg.fill(i));
        &self.0[..size]
    }

    /// As large as that one.
    pub(crate) fn as_long_as(&mut self, other: &[L]) -> &mut [L] {
        &mut self.0[..other.len()]
    }
}

/// Sees all words of messages that must come in order, each once.
pub(crate) struct LargeInOrder {
    next: u64,
    end: u64,
    wrong: u64,
}

impl LargeInOrder {
    /// Expects the messages `from..from + n`.
    #[inline]
    pub(crate) fn expect(from: u64, n: u64) -> LargeInOrder {
        LargeInOrder { next: from, end: from + n, wrong: 0 }
    }

    /// How many of the next batch are still to come.
    #[inline]
    pub(crate) fn batch(&self) -> usize {
        BATCH.min((self.end - self.next) as usize)
    }

    #[inline]
    pub(crate) fn see(&mut self, msg: &impl Large) {
        let i = self.next;
        self.wrong |= msg.words().iter().fold(0, |bits, word| bits | (word ^ i));
        self.next += 1;
    }
}

impl Drop for LargeInOrder {
    #[inline]
    fn drop(&mut self) {
        assert!(self.wrong == 0, "a message came garbled or out of order before {}", self.next);
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::{Bytes256, Bytes1024, Bytes4096, Large, LargeBatch, LargeInOrder};

    #[test]
    fn sizes_are_what_they_are_called() {
        assert_eq!([size_of::<Bytes256>(), size_of::<Bytes1024>()], [256, 1024]);
        assert_eq!(size_of::<Bytes4096>(), 4096);
    }

    #[test]
    fn messages_in_order_are_right() {
        let mut batch = LargeBatch::<Bytes256>::new();
        let mut expected = LargeInOrder::expect(7, 40);
        for at in [7, 39] {
            batch.next(at, 47).iter().for_each(|msg| expected.see(msg));
        }
        assert_eq!(expected.batch(), 0);
    }

    #[test]
    fn a_slot_is_written_whole() {
        let mut slot = MaybeUninit::new(Bytes1024::ZERO);
        Bytes1024::write(&mut slot, 9);
        // SAFETY: it had a value from the beginning.
        #[allow(unsafe_code)]
        let message = unsafe { slot.assume_init() };
        LargeInOrder::expect(9, 1).see(&message);
    }

    #[test]
    #[should_panic(expected = "garbled or out of order")]
    fn the_last_word_counts() {
        let mut torn = Bytes4096::ZERO;
        torn.fill(7);
        torn.word[511] = 6;
        LargeInOrder::expect(7, 1).see(&torn);
    }
}
