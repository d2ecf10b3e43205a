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
    /// Claims until the next read of the clock; below 0 it is to be read.
    left: i32,
    stride: i32,
    read: Instant,
    /// Time from the last maintenance to the last read of the clock.
    since: Duration,
}

impl Maintenance {
    pub(super) fn new() -> Maintenance {
        Maintenance { left: 0, stride: 1, read: Instant::now(), since: Duration::ZERO }
    }

    /// Counts a claim. Returns whether the clock is to be read.
    #[inline(always)]
    pub(super) fn is_time_to_look(&mut self) -> bool {
        self.left = self.left.wrapping_sub(1);
        self.left < 0
    }

    /// Whether maintenance is due, and has not begun yet. Reads the clock.
    #[cold]
    #[inline(never)]
    pub(super) fn is_due(&mut self) -> bool {
        if self.since < MAINTAIN_EVERY {
            let now = Instant::now();
            let took = now - self.read;
            self.read = now;
            if took < MAINTAIN_EVERY / 8 {
                self.stride = (self.stride * 2).min(STRIDE_MAX);
            } else if took > MAINTAIN_EVERY {
                self.stride = 1;
            }
            self.since = self.since.saturating_add(took);
        }
        let due = self.since >= MAINTAIN_EVERY;
        self.left = if due { -1 } else { self.stride - 1 };
        due
    }

    /// Maintenance begins now.
    pub(super) fn begin(&mut self) {
        self.left = self.stride - 1;
        self.since = Duration::ZERO;
    }

    /// Makes maintenance due at the next claim.
    pub(super) fn again(&mut self) {
        self.left = 0;
        self.since = MAINTAIN_EVERY;
    }
}
