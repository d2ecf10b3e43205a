//! Two members that share the ring's messages: a claim is one exchange of the receivers' place, and nothing says who has
//! claimed what, or that it was done. A member that dies takes its messages with it, and a producer could not tell when a
//! slot is read; here it writes again only after both have said so off the clock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Ring, Sender};
use crate::message::{BATCH, Tally};
use crate::transport::{NotRun, Open, Put, Spin};
use crate::works::compete::{Drain, Pool};

/// Claims of up to `N`.
pub(crate) struct BareClaims<const N: u64>;

struct Member<const N: u64> {
    ring: Arc<Ring>,
    /// Everything below is there.
    tail: u64,
}

impl<const N: u64> Pool for BareClaims<N> {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let ring = Ring::new()?;
        let members = [ring.clone(), ring.clone()];
        let members = members.map(|ring| move || Member::<N> { ring, tail: 0 });
        Ok((move || Sender::<BATCH, 32>::of(ring, Spin::for_streams()), members))
    }
}

impl<const N: u64> Member<N> {
    /// The first and how many.
    #[inline]
    fn claim(&mut self) -> Option<(u64, u64)> {
        let words = self.ring.words();
        // Relaxed: the place alone; what is there, the tail tells.
        let mut head = words.head.load(Ordering::Relaxed);
        loop {
            if head >= self.tail {
                // Acquire: the slots below, see the sender's store.
                self.tail = words.tail.load(Ordering::Acquire);
            }
            let n = self.tail.saturating_sub(head).min(N);
            if n == 0 {
                return None;
            }
            // Relaxed: it decides between the members, and hands nothing over.
            match words.head.compare_exchange_weak(
                head,
                head + n,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some((head, n)),
                Err(other) => head = other,
            }
        }
    }
}

impl<const N: u64> Drain for Member<N> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some((first, n)) = self.claim() {
            for seq in first..first + n {
                // SAFETY: below the tail that this member has seen, and the sender writes again only after both members are
                // done with the ring and have met it.
                tally.see(unsafe { self.ring.read(seq) });
            }
        }
        tally
    }
}
