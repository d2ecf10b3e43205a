//! A message there and back again, one at a time.

use crate::pair::{Steps, pair};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) fn slice<T: Transport>(steps: Steps) -> Result<f64, NotRun> {
    let spin = Spin::for_round_trips();
    let (put_there, take_there) = T::link(spin)?;
    let (put_back, take_back) = T::link(spin)?;
    Ok(pair(
        steps,
        move || {
            let (mut put, mut take) = (put_there.open(), take_back.open());
            move |from, n| ping(&mut put, &mut take, from, n)
        },
        move || {
            let (mut take, mut put) = (take_there.open(), put_back.open());
            move |from, n| echo(&mut take, &mut put, from, n)
        },
    ))
}

pub(crate) fn ping(put: &mut impl Put, take: &mut impl Take, from: u64, n: u64) {
    for i in from..from + n {
        put.put(i, 1);
        take.take(i, 1);
    }
}

pub(crate) fn echo(take: &mut impl Take, put: &mut impl Put, from: u64, n: u64) {
    for i in from..from + n {
        take.take(i, 1);
        put.put(i, 1);
    }
}
