//! How long it takes to open a queue of 64 MiB and take a role in it.

use std::time::{Duration, Instant};

use slipring::{Consumer, Producer, Queue};

use crate::alone::alone;
use crate::leftovers::{self, TempQueue};
use crate::message::Msg;
use crate::pair::Steps;
use crate::transport::NotRun;

const GROUP: &str = "versus";
/// Slots of 64 bytes.
pub(crate) const CAPACITY: u64 = 1 << 20;

/// The role that is taken.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

/// The queue, made with the first slice and kept for all: to make 64 MiB takes longer than a slice.
#[derive(Default)]
pub(crate) struct LargeQueue(Option<TempQueue>);

impl LargeQueue {
    pub(crate) fn slice(&mut self, role: Role, steps: Steps) -> Result<f64, NotRun> {
        let queue = self.0.get_or_insert_with(|| {
            let queue = TempQueue(leftovers::name());
            let builder = Queue::builder(queue.name()).capacity(CAPACITY).message::<Msg>();
            builder.group(GROUP).create().expect("a queue of 64 MiB");
            queue
        });
        Ok(alone(|| {
            let time: Duration = (0..steps.timed).map(|_| attach(queue.name(), role)).sum();
            time.as_secs_f64() * 1e9 / steps.timed as f64
        }))
    }
}

/// To give the role back is not on the clock.
fn attach(name: &str, role: Role) -> Duration {
    let start = Instant::now();
    let queue = Queue::open_typed::<Msg>(name).expect("the queue is there");
    match role {
        Role::Producer => {
            let producer: Producer<Msg> = queue.producer().expect("the role is free");
            let time = start.elapsed();
            assert_eq!(producer.sequence(), 0);
            time
        }
        Role::Consumer => {
            let consumer: Consumer<Msg> = queue.consumer(GROUP).expect("the role is free");
            let time = start.elapsed();
            assert_eq!(consumer.position(), 0);
            time
        }
    }
}
