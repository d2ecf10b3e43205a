//! Larger messages in one thread, 32 in and 32 out in turn: what their copies and the queue cost where no line goes from
//! core to core. The whole ring passes by, which is more than the nearest caches hold.

use std::time::Instant;

use crate::alone::alone;
use crate::message::BATCH;
use crate::pair::{Steps, nanoseconds_per_step};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) fn alternating<T: Transport>(steps: Steps) -> Result<f64, NotRun> {
    let (put, take) = T::link(Spin::for_streams())?;
    let Steps { warm, timed } = steps;
    Ok(alone(|| {
        let (mut put, mut take) = (put.open(), take.open());
        let mut run = |from: u64, n: u64| {
            for at in (from..from + n).step_by(BATCH) {
                let size = (BATCH as u64).min(from + n - at);
                put.put(at, size);
                take.take(at, size);
            }
        };
        run(0, warm);
        let start = Instant::now();
        run(warm, timed);
        nanoseconds_per_step(timed, start, Instant::now())
    }))
}
