//! What each group costs: the producer alone, which publishes half a ring on the clock and is acked off the clock; and
//! a stream to groups that receive.

use std::time::{Duration, Instant};

use slipring::{Consumer, OpenOptions, Producer, Queue};

use crate::alone::alone;
use crate::leftovers::{self, TempQueue};
use crate::message::{BATCH, CAPACITY, InOrder, Msg};
use crate::pair::{Steps, pair};
use crate::peers::slipring::streaming;
use crate::transport::{NotRun, Put, Spin};

const HALF: u64 = CAPACITY as u64 / 2;

pub(crate) fn slice(groups: usize, steps: Steps) -> Result<f64, NotRun> {
    Ok(alone(|| {
        let (queue, names) = with_groups(groups);
        let mut producer = open(&queue).producer().expect("the role is free");
        let mut consumers = join(&queue, &names);
        // After two halves the whole ring has been touched.
        half(&mut producer, &mut consumers, 0);
        half(&mut producer, &mut consumers, HALF);
        let halves = steps.timed.div_ceil(HALF);
        let time: Duration =
            (2..2 + halves).map(|i| half(&mut producer, &mut consumers, i * HALF)).sum();
        time.as_secs_f64() * 1e9 / (halves * HALF) as f64
    }))
}

/// A stream in slices and batches of 32 to several exclusive groups. With two processors, one thread has to consume for
/// all groups in turn, and each group after the first finds the cache lines where the first one has brought them.
pub(crate) fn stream(groups: usize, steps: Steps) -> Result<f64, NotRun> {
    let (queue, names) = &with_groups(groups);
    let spin = Spin::for_streams();
    Ok(pair(
        steps,
        move || {
            let mut put = streaming(open(queue).producer().expect("the role is free"), spin);
            move |from, n| put.put(from, n)
        },
        move || {
            let mut consumers = join(queue, names);
            move |from, n| read_all(&mut consumers, from, n, spin)
        },
    ))
}

fn read_all(consumers: &mut [Consumer<Msg>], from: u64, n: u64, spin: Spin) {
    let expect = |consumer| (consumer, InOrder::expect(from, n));
    let mut readers: Vec<_> = consumers.iter_mut().map(expect).collect();
    while readers.iter().any(|(_, expected)| expected.left() > 0) {
        let mut got = false;
        for (consumer, expected) in &mut readers {
            let size = BATCH.min(expected.left() as usize);
            if size == 0 {
                continue;
            }
            let Ok(batch) = consumer.try_recv_batch(size) else { continue };
            batch.iter().for_each(|msg| expected.see(&msg));
            batch.ack().expect("it is in its batch");
            got = true;
        }
        if !got {
            spin.again();
        }
    }
}

fn with_groups(groups: usize) -> (TempQueue, Vec<String>) {
    let queue = TempQueue(leftovers::name());
    let names: Vec<String> = (0..groups).map(|group| format!("group-{group}")).collect();
    let builder = Queue::builder(queue.name()).capacity(CAPACITY as u64).message::<Msg>();
    let builder = names.iter().fold(builder.prefault(true), |it, name| it.group(name.as_str()));
    builder.create().expect("a queue");
    (queue, names)
}

fn open(queue: &TempQueue) -> Queue<Msg> {
    OpenOptions::new().prefault(true).open_typed(queue.name()).expect("the queue is there")
}

fn join(queue: &TempQueue, names: &[String]) -> Vec<Consumer<Msg>> {
    let join = |name: &String| open(queue).consumer(name.as_str()).expect("the role is free");
    names.iter().map(join).collect()
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
