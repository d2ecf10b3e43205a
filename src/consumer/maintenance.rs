//! When a consumer that always finds messages interrupts that for maintenance: it adopts what dead members held, and
//! takes retries.

use std::time::{Duration, Instant};

/// Time between two maintenances. A consumer that claims less often maintains at each claim.
const MAINTAIN_EVERY: Duration = Duration::from_millis(2);
/// Most claims between two reads of the clock.
const STRIDE_MAX: i32 = 256;

/// When maintenance is due. The clock is read only once in so many claims as take a fraction of the time between two
/// maintenances.
#[derive(Debug)]
pub(super) struct Maintenance {
    /// Claims until the next read of the clock; due below 0.
    left: i32,
    stride: i32,
    read: Instant,
    last: Option<Instant>,
}

impl Maintenance {
    pub(super) fn new() -> Maintenance {
        let now = Instant::now();
        Maintenance { left: 0, stride: 1, read: now, last: Some(now) }
    }

    #[inline(always)]
    pub(super) fn is_due(&mut self) -> bool {
        self.left = self.left.wrapping_sub(1);
        self.left < 0
    }

    /// Reads the clock. Returns whether maintenance is due.
    pub(super) fn begin(&mut self) -> bool {
        let now = Instant::now();
        let took = now - self.read;
        self.read = now;
        if took < MAINTAIN_EVERY / 8 {
            self.stride = (self.stride * 2).min(STRIDE_MAX);
        } else if took > MAINTAIN_EVERY {
            self.stride = 1;
        }
        self.left = self.stride - 1;
        let due = self.last.is_none_or(|last| now - last >= MAINTAIN_EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }

    /// Makes maintenance due at the next claim.
    pub(super) fn again(&mut self) {
        self.left = 0;
        self.last = None;
    }
}
