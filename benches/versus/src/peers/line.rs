//! The physical limit: one word on a cache line that two threads hand to and fro.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) struct Line;

struct Sender(Arc<CachePadded<AtomicU64>>);

struct Receiver {
    line: Arc<CachePadded<AtomicU64>>,
    spin: Spin,
}

impl Transport for Line {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let line = Arc::new(CachePadded::new(AtomicU64::new(0)));
        let sender = Sender(line.clone());
        Ok((move || sender, move || Receiver { line, spin }))
    }
}

impl Put for Sender {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            self.0.store(i + 1, Ordering::Release);
        }
    }
}

impl Take for Receiver {
    /// One message a time: a line holds no more.
    #[inline]
    fn take(&mut self, from: u64, _one: u64) {
        while self.line.load(Ordering::Acquire) != from + 1 {
            self.spin.again();
        }
    }
}
