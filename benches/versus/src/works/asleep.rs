//! A round trip between ends that sleep. If both ends answered at once, neither would fall asleep: the answer would
//! come before the system call. So the first end lets the other one fall asleep, which is not measured, and can itself
//! fall asleep while the other one wakes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::pair::{Steps, pair};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::round_trip::echo;

/// Time in which an end falls asleep.
const PAUSE: Duration = Duration::from_micros(20);

pub(crate) fn slice<T: Transport>(steps: Steps) -> Result<f64, NotRun> {
    let spin = Spin::for_round_trips();
    let (put_there, take_there) = T::link(spin)?;
    let (put_back, take_back) = T::link(spin)?;
    let time = &Mutex::new(Duration::ZERO);
    pair(
        steps,
        move || {
            let (mut put, mut take) = (put_there.open(), take_back.open());
            move |from, n| {
                *time.lock().expect("nobody panicked") = ping(&mut put, &mut take, from, n);
            }
        },
        move || {
            let (mut take, mut put) = (take_there.open(), put_back.open());
            move |from, n| echo(&mut take, &mut put, from, n)
        },
    );
    let time = *time.lock().expect("nobody panicked");
    Ok(time.as_secs_f64() * 1e9 / steps.timed as f64)
}

/// Returns the time of all round trips, without the pauses.
pub(crate) fn ping(put: &mut impl Put, take: &mut impl Take, from: u64, n: u64) -> Duration {
    let mut time = Duration::ZERO;
    for i in from..from + n {
        let pause = Instant::now();
        while pause.elapsed() < PAUSE {
            std::hint::spin_loop();
        }
        let start = Instant::now();
        put.put(i, 1);
        take.take(i, 1);
        time += start.elapsed();
    }
    time
}
