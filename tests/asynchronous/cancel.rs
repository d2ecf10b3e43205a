//! Futures are dropped at every point at which they can wait; each message is worked on, and acked, just once.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::StreamExt;
use slipring::{Group, Queue, RecvError};

use crate::common::{Rng, TempName};

/// Counts its wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn until(&self, wake_ups: usize) {
        while self.0.load(Ordering::SeqCst) < wake_ups {
            std::thread::yield_now();
        }
    }
}

/// Polls at most `polls` times, each time after a wake-up, and then drops the future.
fn poll_up_to<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut future = pin!(future);
    for poll in 0..polls {
        count.until(poll);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    None
}

/// Sends, reservations, receives, batches and streams, each dropped after 0 to 3 polls unless it is ready by then.
#[test]
fn dropped_futures_lose_no_message_and_repeat_none() {
    let mut rng = Rng::new();
    for group in [Group::named("g"), Group::named("g").shared()] {
        let name = TempName::new("cancel");
        let shape = Queue::builder(&name).capacity(4).group(group.clone());
        let queue: Queue = shape.create().unwrap();
        let mut producer = queue.producer().unwrap().into_async();
        let mut consumer = queue.consumer(group).unwrap().into_async();
        let (mut sent, mut seen, mut dropped) = (0u64, BTreeMap::<u64, u32>::new(), 0);
        let mut see = |sequence, attempts| {
            assert_eq!(attempts, 1, "a dropped future is no delivery");
            *seen.entry(sequence).or_default() += 1;
        };
        for _ in 0..300 {
            let polls = rng.below(4) as usize;
            let bytes = sent.to_le_bytes();
            let done = match rng.below(6) {
                0 | 1 => poll_up_to(polls, producer.send(&bytes)).map(|sequence| {
                    assert_eq!(sequence.unwrap(), sent);
                    sent += 1;
                }),
                // Dropped, it publishes nothing.
                2 => poll_up_to(polls, producer.reserve(2)).map(|slots| drop(slots.unwrap())),
                3 => poll_up_to(polls, consumer.recv()).map(|message| {
                    let message = message.unwrap();
                    assert_eq!(*message, message.sequence().to_le_bytes());
                    see(message.sequence(), message.attempts());
                    message.ack().unwrap();
                }),
                4 => poll_up_to(polls, consumer.recv_batch(3)).map(|batch| {
                    let batch = batch.unwrap();
                    batch.iter().for_each(|message| see(message.sequence(), message.attempts()));
                    batch.ack().unwrap();
                }),
                _ => {
                    let mut messages = consumer.messages();
                    poll_up_to(polls, messages.next()).map(|message| {
                        let message = message.unwrap().unwrap();
                        see(message.sequence(), message.attempts());
                        messages.ack().unwrap();
                    })
                }
            };
            dropped += u32::from(done.is_none());
        }
        producer.into_sync().close().unwrap();
        futures::executor::block_on(async {
            loop {
                match consumer.recv().await {
                    Ok(message) => {
                        see(message.sequence(), message.attempts());
                        message.ack().unwrap();
                    }
                    Err(fault) => {
                        break assert!(matches!(fault, RecvError::Closed { .. }), "{fault:?}");
                    }
                }
            }
        });
        assert!(sent > 20 && dropped > 20, "{sent} sent, {dropped} dropped");
        println!("{sent} sent, {dropped} futures dropped");
        assert!(seen.into_iter().eq((0..sent).map(|sequence| (sequence, 1))), "not each once");
    }
}

/// The other side is another thread, so futures are dropped while it publishes, acks and wakes.
#[test]
fn futures_dropped_while_messages_come_lose_none() {
    const COUNT: u64 = 20_000;
    let name = TempName::new("cancel-race");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap().into_async();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let sends = std::thread::spawn(move || {
        let (mut rng, mut n, mut dropped) = (Rng::new(), 0u64, 0);
        while n < COUNT {
            match poll_up_to(1 + rng.below(2) as usize, producer.send(&n.to_le_bytes())) {
                Some(sequence) => {
                    assert_eq!(sequence.unwrap(), n);
                    n += 1;
                }
                None => dropped += 1,
            }
        }
        dropped
    });
    let (mut rng, mut next, mut dropped) = (Rng::new(), 0, 0);
    while next < COUNT {
        match poll_up_to(1 + rng.below(2) as usize, consumer.recv()) {
            Some(message) => {
                let message = message.unwrap();
                assert_eq!((message.sequence(), message.attempts()), (next, 1));
                assert_eq!(*message, next.to_le_bytes());
                message.ack().unwrap();
                next += 1;
            }
            None => dropped += 1,
        }
    }
    println!("dropped: {dropped} receives, {} sends", sends.join().unwrap());
}

/// A waiting future moves to another task: the waker of its last poll is the one that is woken.
#[test]
fn the_last_waker_is_woken() {
    let name = TempName::new("last-waker");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let counts = [(); 2].map(|()| Arc::new(Count::default()));
    let mut future = pin!(consumer.recv());
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    producer.send("x").unwrap();
    counts[1].until(1);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics, for the test");
    }
}

#[test]
fn a_waker_that_panics_stops_nobody_else() {
    let name = TempName::new("bomb");
    let queue: Queue = Queue::builder(&name).capacity(8).group("g").group("h").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut bombed = queue.consumer("g").unwrap().into_async();
    let mut consumer = queue.consumer("h").unwrap().into_async();
    let bomb = Waker::from(Arc::new(Bomb));
    let mut waits = pin!(bombed.recv());
    assert!(waits.as_mut().poll(&mut Context::from_waker(&bomb)).is_pending());
    let receives = async { consumer.recv().await.unwrap().ack().unwrap() };
    let sends = async { producer.send("x").unwrap() };
    futures::executor::block_on(futures::future::join(receives, sends));
    futures::executor::block_on(waits).unwrap().ack().unwrap();
}
