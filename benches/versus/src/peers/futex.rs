//! The limit for sleeping ends: two threads send a word back and forth through futex(2), with a system call only if one
//! is needed. As in slipring, a sender wakes only if the other end sleeps.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_utils::CachePadded;
use linux_futex::{Futex, Shared};

use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct BareFutex;

/// The bit that says that the other end sleeps. Numbers of messages do not use it.
const ASLEEP: u32 = 1 << 31;

type Word = Arc<CachePadded<Futex<Shared>>>;

struct Sender(Word);

struct Receiver(Word);

impl Transport for BareFutex {
    fn link(_: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let word = Arc::new(CachePadded::new(Futex::new(0)));
        let sender = Sender(word.clone());
        Ok((move || sender, move || Receiver(word)))
    }
}

fn number(step: u64) -> u32 {
    (step as u32 + 1) & !ASLEEP
}

impl Put for Sender {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            if self.0.value.swap(number(i), Ordering::AcqRel) == ASLEEP {
                self.0.wake(1);
            }
        }
    }
}

impl Take for Receiver {
    /// One message at a time: a word holds no more.
    #[inline]
    fn take(&mut self, from: u64, _one: u64) {
        let word = &self.0;
        loop {
            let seen = word.value.load(Ordering::Acquire);
            if seen == number(from) {
                return;
            }
            let said =
                word.value.compare_exchange(seen, ASLEEP, Ordering::AcqRel, Ordering::Relaxed);
            if said.is_ok() {
                // After any return, the word shows whether the message is there.
                let _ = word.wait(ASLEEP);
            }
        }
    }
}
