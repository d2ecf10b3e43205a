//! Messages from one end to the other, as fast as they go.

use crate::pair::{Steps, pair};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

pub(crate) fn slice<T: Transport>(steps: Steps) -> Result<f64, NotRun> {
    let (put, take) = T::link(Spin::for_streams())?;
    Ok(pair(
        steps,
        move || {
            let mut put = put.open();
            move |from, n| put.put(from, n)
        },
        move || {
            let mut take = take.open();
            move |from, n| take.take(from, n)
        },
    ))
}
