//! The same work on each executor.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures::future::{join, join_all};
use slipring::{AsyncConsumer, AsyncProducer, Group, Queue, RecvError, SendError, WakeMode};
use tokio::runtime::{Builder, Runtime};

use crate::common::TempName;

const MODES: [WakeMode; 3] = [WakeMode::Membarrier, WakeMode::Fence, WakeMode::None];

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Not tied to a runtime.
async fn yield_now() {
    let mut polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn send(mut producer: AsyncProducer, count: u64) {
    for n in 0..count {
        assert_eq!(producer.send(&n.to_le_bytes()).await.unwrap(), n);
        if n % 7 == 0 {
            // Lets the consumers begin to wait.
            yield_now().await;
        }
    }
    producer.into_sync().close().unwrap();
}

async fn receive(mut consumer: AsyncConsumer, received: Arc<AtomicU64>) {
    loop {
        match consumer.recv_batch(3).await {
            Ok(batch) => {
                // A message that is held across an await must be `Send`, too.
                yield_now().await;
                received.fetch_add(batch.len() as u64, Ordering::Relaxed);
                batch.ack().unwrap();
            }
            Err(RecvError::Closed { .. }) => return,
            Err(fault) => panic!("{fault}"),
        }
    }
}

/// Queues with a producer, a group of one and a group of two each, all tasks at once.
fn many(queues: usize, count: u64, run: impl FnOnce(Vec<Task>)) {
    let names: Vec<_> = (0..queues).map(|_| TempName::new("async-many")).collect();
    let received: Vec<_> = (0..queues).map(|_| Arc::new(AtomicU64::new(0))).collect();
    let mut tasks: Vec<Task> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let shape = Queue::builder(name).capacity(8).wake_mode(MODES[at % MODES.len()]);
        let queue: Queue = shape.group("alone").create().unwrap();
        let shared = || Group::named("work").shared();
        for group in [shared(), shared(), Group::named("alone")] {
            let consumer = queue.consumer(group).unwrap().into_async();
            tasks.push(Box::pin(receive(consumer, Arc::clone(&received[at]))));
        }
        tasks.push(Box::pin(send(queue.producer().unwrap().into_async(), count)));
    }
    run(tasks);
    for received in received {
        assert_eq!(received.load(Ordering::Relaxed), 2 * count);
    }
}

fn on_tokio(runtime: &Runtime, tasks: Vec<Task>) {
    let joins: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
    for join in joins {
        runtime.block_on(join).unwrap();
    }
}

#[test]
fn many_queues_on_tokio_with_threads() {
    let runtime = Builder::new_multi_thread().worker_threads(3).build().unwrap();
    many(9, 2000, |tasks| on_tokio(&runtime, tasks));
}

#[test]
fn many_queues_on_tokio_in_one_thread() {
    let runtime = Builder::new_current_thread().build().unwrap();
    many(9, 2000, |tasks| on_tokio(&runtime, tasks));
}

#[test]
fn many_queues_on_another_executor() {
    many(9, 2000, |tasks| drop(futures::executor::block_on(join_all(tasks))));
}

/// More words than the kernel sleeps at in one call.
#[test]
fn more_queues_than_one_sleep_takes() {
    let runtime = Builder::new_current_thread().build().unwrap();
    many(130, 20, |tasks| on_tokio(&runtime, tasks));
}

#[test]
fn a_removed_queue_is_an_error() {
    let name = TempName::new("async-removed");
    let queue: Queue = Queue::builder(&name).capacity(2).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let mut producer = queue.producer().unwrap().into_async();
    let receives = async {
        let fault = consumer.recv().await.map(drop).unwrap_err();
        assert!(matches!(fault, RecvError::Removed { .. }), "{fault:?}");
    };
    let removes = async { slipring::force_remove(&name).unwrap() };
    futures::executor::block_on(async {
        join(receives, removes).await;
        let fault = match producer.send_batch(["x", "y"]).await {
            Ok(_) => producer.send("z").await.unwrap_err(),
            Err(fault) => fault.into_reason(),
        };
        assert!(matches!(fault, SendError::Removed { .. }), "{fault:?}");
    });
}

/// Though there is room, and it never waits.
#[test]
fn a_producer_learns_within_256_messages() {
    let name = TempName::new("async-lost");
    let queue: Queue = Queue::builder(&name).capacity(4096).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap().into_async();
    std::fs::remove_file(name.path()).unwrap();
    // The last check of the name is old.
    std::thread::sleep(std::time::Duration::from_millis(30));
    futures::executor::block_on(async {
        let mut sent = 0;
        let fault = loop {
            match producer.send("x").await {
                Ok(_) => sent += 1,
                Err(fault) => break fault,
            }
        };
        assert!(sent <= 256, "{sent}");
        let SendError::Removed { unconfirmed, .. } = fault else { panic!("{fault}") };
        assert_eq!(unconfirmed.sequences(), 0..sent);
        assert_eq!(producer.send_batch(["x"; 9]).await.unwrap_err().sent(), 0);
    });
}

#[test]
fn what_does_not_fit_is_told_at_once() {
    let name = TempName::new("async-fit");
    let shape = Queue::builder(&name).capacity(2).payload_size(8).group("g");
    let mut producer = shape.create().unwrap().producer().unwrap().into_async();
    futures::executor::block_on(async {
        producer.send_batch(["x", "y"]).await.unwrap();
        assert!(matches!(producer.send(&[0; 99]).await, Err(SendError::TooLong { .. })));
        assert!(matches!(producer.reserve(3).await, Err(SendError::TooMany { .. })));
    });
}

#[test]
fn batches_and_reservations_wait_for_room() {
    let name = TempName::new("async-room");
    let queue: Queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap().into_async();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let sends = async {
        assert_eq!(producer.send_batch((0..103).map(|_| "x")).await.unwrap(), 103);
        assert_eq!(producer.reserve(4).await.unwrap().publish(), 103);
    };
    let receives = async {
        for n in 0..107 {
            let message = consumer.recv().await.unwrap();
            assert_eq!(message.sequence(), n);
            yield_now().await;
            message.ack().unwrap();
        }
    };
    futures::executor::block_on(join(sends, receives));
}
