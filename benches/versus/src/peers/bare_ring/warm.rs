//! Batches of 32 for one thread: the stores of a message, and nothing that is decided for it.

use super::{Receiver, Ring, Sender};
use crate::message::{BATCH, InOrder, Msg, Prepared};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// Batches that are there already.
pub(crate) struct BareCopied;

/// Messages that are written in their slots.
pub(crate) struct BareInPlace;

type Bare = Sender<BATCH, 32>;

struct Copied<E>(E, Prepared);
struct InPlace(Bare);

fn ends(spin: Spin) -> Result<(Bare, Receiver<0, 1>), NotRun> {
    let ring = Ring::new()?;
    Ok((Sender::of(ring.clone(), spin), Receiver { ring, head: 0, spin }))
}

impl Transport for BareCopied {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = ends(spin)?;
        Ok((move || Copied(sender, Prepared::new()), move || Copied(receiver, Prepared::new())))
    }
}

impl Transport for BareInPlace {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (sender, receiver) = ends(spin)?;
        Ok((move || InPlace(sender), move || receiver))
    }
}

impl Put for Copied<Bare> {
    /// Whole batches.
    #[inline]
    fn put(&mut self, _: u64, n: u64) {
        for _ in 0..n / BATCH as u64 {
            self.0.send(self.1.batch().iter());
        }
    }
}

impl Take for Copied<Receiver<0, 1>> {
    #[inline]
    fn take(&mut self, _: u64, n: u64) {
        self.0.expected(InOrder::prepared(n));
    }
}

impl Put for InPlace {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            self.0.send((0..size).map(|i| Msg::new(at + i as u64)));
            at += size as u64;
        }
    }
}
