//! Two members of a shared group that drain a ring.

use slipring::Consumer;

use super::{Batch, Batches, One, Single, Temp};
use crate::message::{BATCH, Msg, Tally};
use crate::transport::{NotRun, Open, Put, Spin};
use crate::works::compete::{Drain, Pool};

impl Pool for Batches<true> {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let queue = Temp::new(true);
        let spin = Spin::for_streams();
        let members = [queue.clone(), queue.clone()].map(|queue| {
            move || Batch(One { end: queue.consumer::<Msg>(), spin, _queue: Some(queue) })
        });
        Ok((
            move || Batch(One { end: queue.producer::<Msg>(), spin, _queue: Some(queue) }),
            members,
        ))
    }
}

impl Pool for Single<true> {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let queue = Temp::new(true);
        let spin = Spin::for_streams();
        let members = [queue.clone(), queue.clone()]
            .map(|queue| move || One { end: queue.consumer::<Msg>(), spin, _queue: Some(queue) });
        Ok((move || One { end: queue.producer::<Msg>(), spin, _queue: Some(queue) }, members))
    }
}

impl Drain for Batch<Consumer<Msg>> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Ok(batch) = self.0.end.try_recv_batch(BATCH) {
            for msg in &batch {
                tally.see(&msg);
            }
            batch.ack().expect("it is in its batch");
        }
        tally
    }
}

impl Drain for One<Consumer<Msg>> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        while let Ok(msg) = self.end.try_recv() {
            tally.see(&msg);
            msg.ack().expect("it is in its batch");
        }
        tally
    }
}
