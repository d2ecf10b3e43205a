//! What each group costs the producer: one thread publishes half a ring on the clock, acks all off it, and
//! again.

use std::time::{Duration, Instant};

use slipring::{Consumer, OpenOptions, Producer, Queue};

use crate::alone::alone;
use crate::leftovers::{self, TempQueue};
use crate::message::{CAPACITY, InOrder, Msg};
use crate::pair::Steps;
use crate::transport::NotRun;

const HALF: u64 = CAPACITY as u64 / 2;

pub(crate) fn slice(groups: usize, steps: Steps) -> Result<f64, NotRun> {
    Ok(alone(|| {
        let queue = TempQueue(leftovers::name());
        let names: Vec<String> = (0..groups).map(|group| format!("group-{group}")).collect();
        let builder = Queue::builder(queue.name()).capacity(CAPACITY as u64).message::<Msg>();
        let builder = names.iter().fold(builder.prefault(true), |it, name| it.group(name.as_str()));
        builder.create().expect("a queue");
        let options = OpenOptions::new().prefault(true);
        let open = || options.open_typed::<Msg>(queue.name()).expect("the queue is there");
        let mut producer = open().producer().expect("the role is free");
        let join = |name: &String| open().consumer(name.as_str()).expect("the role is free");
        let mut consumers: Vec<Consumer<Msg>> = names.iter().map(join).collect();
        // Twice, so that the whole ring was touched.
        half(&mut producer, &mut consumers, 0);
        half(&mut producer, &mut consumers, HALF);
        let halves = steps.timed.div_ceil(HALF);
        let time: Duration =
            (2..2 + halves).map(|i| half(&mut producer, &mut consumers, i * HALF)).sum();
        time.as_secs_f64() * 1e9 / (halves * HALF) as f64
    }))
}

fn half(producer: &mut Producer<Msg>, consumers: &mut [Consumer<Msg>], from: u64) -> Duration {
    let start = Instant::now();
    for i in from..from + HALF {
        producer.try_send(&Msg::new(i)).expect("half of the ring is free");
    }
    let time = start.elapsed();
    for consumer in consumers {
        let mut expected = InOrder::expect(from, HALF);
        while expected.left() > 0 {
            let batch = consumer.try_recv_batch(256).expect("it is filled");
            batch.iter().for_each(|msg| expected.see(&msg));
            batch.ack().expect("it is in its batch");
        }
    }
    time
}
