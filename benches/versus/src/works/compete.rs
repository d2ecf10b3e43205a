//! Two members empty a ring that is filled before the clock starts.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::message::{CAPACITY, Tally};
use crate::pair::{Meeting, Steps, pair};
use crate::transport::{NotRun, Open, Put};

/// One of the two members.
pub(crate) trait Drain {
    /// Receives and acks messages until there are none.
    fn drain(&mut self) -> Tally;
}

/// A queue in which each message goes to one member.
pub(crate) trait Pool: 'static {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun>;
}

pub(crate) fn slice<P: Pool>(steps: Steps) -> Result<f64, NotRun> {
    const RING: u64 = CAPACITY as u64;
    let (put, [first, second]) = P::pool()?;
    let rings = steps.timed.div_ceil(RING);
    let meeting = &Meeting::new();
    let of_second = &Mutex::new((Tally::default(), Instant::now()));
    let time = &Mutex::new(Duration::ZERO);
    // The sum of the measured times only: filling the ring is not measured.
    pair(
        Steps { warm: 0, timed: rings },
        move || {
            let (mut put, mut member) = (put.open(), first.open());
            move |from, rings| {
                for ring in from..from + rings {
                    put.put(ring * RING, RING);
                    meeting.meet();
                    let start = Instant::now();
                    let tally = member.drain();
                    let end = Instant::now();
                    meeting.meet();
                    let (tally_there, end_there) = *of_second.lock().expect("nobody panicked");
                    Tally::check([tally, tally_there], ring * RING, RING);
                    *time.lock().expect("nobody panicked") += end.max(end_there) - start;
                }
            }
        },
        move || {
            let mut member = second.open();
            move |_, rings| {
                for _ in 0..rings {
                    meeting.meet();
                    let tally = member.drain();
                    *of_second.lock().expect("nobody panicked") = (tally, Instant::now());
                    meeting.meet();
                }
            }
        },
    );
    let time = *time.lock().expect("nobody panicked");
    Ok(time.as_secs_f64() * 1e9 / (rings * RING) as f64)
}
