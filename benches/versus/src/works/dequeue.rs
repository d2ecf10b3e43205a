//! The receiving side alone, with a full ring: claim up to `size` messages, check each, ack them.

use std::time::{Duration, Instant};

use slipring::{Consumer, Producer};

use crate::alone::alone;
use crate::message::{CAPACITY, InOrder, Msg};
use crate::pair::Steps;
use crate::peers::slipring::Temp;
use crate::transport::NotRun;

const RING: u64 = CAPACITY as u64;

pub(crate) fn slice(shared: bool, size: usize, steps: Steps) -> Result<f64, NotRun> {
    Ok(alone(|| {
        let queue = Temp::new(shared);
        let (mut producer, mut consumer) = (queue.producer(), queue.consumer());
        ring(&mut producer, &mut consumer, size, 0);
        let rings = steps.timed.div_ceil(RING);
        let time: Duration =
            (1..=rings).map(|i| ring(&mut producer, &mut consumer, size, i * RING)).sum();
        time.as_secs_f64() * 1e9 / (rings * RING) as f64
    }))
}

fn ring(
    producer: &mut Producer<Msg>,
    consumer: &mut Consumer<Msg>,
    size: usize,
    from: u64,
) -> Duration {
    for i in from..from + RING {
        producer.try_send(&Msg::new(i)).expect("the ring is free");
    }
    let start = Instant::now();
    let mut expected = InOrder::expect(from, RING);
    while expected.left() > 0 {
        let batch = consumer.try_recv_batch(size).expect("it is filled");
        for msg in &batch {
            expected.see(&msg);
        }
        batch.ack().expect("it is in its batch");
    }
    start.elapsed()
}
