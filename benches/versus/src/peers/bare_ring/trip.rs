//! One message at a time, for a round trip: the receiver waits for the slot's stamp, which comes with the payload, and
//! stores its place. So a message moves the slot's line; the tail and the place are stored, as slipring stores them, on
//! lines that nobody else looks at meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Ring, Sender};
use crate::message::InOrder;
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// The receiver pauses so many times between two looks.
pub(crate) struct BareTrip<const PAUSES: u32>;

struct ByStamp<const PAUSES: u32> {
    ring: Arc<Ring>,
    head: u64,
    spin: Spin,
}

impl<const PAUSES: u32> Transport for BareTrip<PAUSES> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let ring = Ring::new()?;
        // Slots are taken back 16 at a time, as slipring does.
        let sender = Sender::<1, 16>::of(ring.clone(), spin);
        Ok((move || sender, move || ByStamp::<PAUSES> { ring, head: 0, spin }))
    }
}

impl<const PAUSES: u32> Take for ByStamp<PAUSES> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let seq = self.head;
            // Acquire: the payload, see the sender's store.
            while self.ring.slot(seq).stamp.load(Ordering::Acquire) != seq + 1 {
                (0..PAUSES).for_each(|_| std::hint::spin_loop());
                self.spin.again();
            }
            // SAFETY: published, and not given back yet: the sender leaves it alone.
            expected.see(unsafe { self.ring.read(seq) });
            self.head += 1;
            // Release: the slot was read before it is given back.
            self.ring.words().head.store(self.head, Ordering::Release);
        }
    }
}
