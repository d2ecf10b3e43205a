//! When a consumer that always finds messages looks for others than the next.

use std::time::{Duration, Instant};

/// Time between two rounds. Consumers that claim less often make one at each claim.
const MAINTAIN_EVERY: Duration = Duration::from_millis(2);
/// Most claims between two looks at the clock.
const STRIDE_MAX: i32 = 256;

/// When a busy consumer looks around: by the clock, which is read only once in so many claims that they
/// take a fraction of the time between two rounds.
#[derive(Debug)]
pub(super) struct Maintenance {
    /// Claims until the next look at the clock; below 0 it is due.
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

    /// Looks at the clock. Returns whether it is time.
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

    /// The next claim makes a round, too.
    pub(super) fn again(&mut self) {
        self.left = 0;
        self.last = None;
    }
}
