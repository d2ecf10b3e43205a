//! One thread, warm lines: half a ring is sent, then received, again and again. No cache line moves from core to core,
//! so this is the cost of a queue's instructions. One column for each half.

use std::time::{Duration, Instant};

use crate::alone::alone;
use crate::message::CAPACITY;
use crate::pair::Steps;
use crate::rows::Figures;
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

const HALF: u64 = CAPACITY as u64 / 2;

pub(crate) fn slice<T: Transport>(steps: Steps) -> Result<Figures, NotRun> {
    let (put, take) = T::link(Spin::for_streams())?;
    let halves = steps.timed.div_ceil(HALF).max(2);
    let [sending, receiving] = alone(|| {
        let (mut put, mut take) = (put.open(), take.open());
        let mut times = [Duration::ZERO; 2];
        for half in 0..2 + halves {
            // After two halves the whole ring has been touched.
            if half == 2 {
                times = [Duration::ZERO; 2];
            }
            let from = half * HALF;
            let start = Instant::now();
            put.put(from, HALF);
            let sent = Instant::now();
            take.take(from, HALF);
            times[1] += sent.elapsed();
            times[0] += sent - start;
        }
        times.map(|time| time.as_secs_f64() * 1e9 / (halves * HALF) as f64)
    });
    Ok(Figures { ns_per_step: sending + receiving, columns: vec![sending, receiving] })
}
