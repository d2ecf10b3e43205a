//! A process that forks without exec while its futures wait.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use futures::StreamExt;
use futures::executor::block_on;
use slipring::{Queue, RecvError, SendError};

use crate::common::TempName;
use crate::common::fork::{first_failure, fork};

/// A child's work on a queue of its own.
fn waits_and_is_woken(name: &str) -> Option<bool> {
    let queue: Queue = Queue::builder(name).group("g").create().ok()?;
    let mut consumer = queue.consumer("g").ok()?.into_async();
    let mut producer = queue.producer().ok()?;
    let mut receives = Box::pin(consumer.recv());
    let polled = receives.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let pending = polled.is_pending();
    drop(polled);
    let sends = std::thread::spawn(move || producer.send("x").is_ok());
    block_on(receives).ok()?.ack().unwrap();
    Some(pending && sends.join().ok()?)
}

#[test]
fn a_child_waits_with_a_thread_of_its_own() {
    let name = TempName::new("async-fork");
    let other = TempName::new("async-fork-child");
    let queue: Queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let mut producer = queue.producer().unwrap().into_async();
    let mut waits = Box::pin(consumer.recv());
    // The parent's thread sleeps for this future while the child is made.
    assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut waits = Some(waits);
    let status = fork(|| {
        let Some(mut before) = waits.take() else { return 90 };
        let polled = before.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let forked = matches!(polled, Poll::Ready(Err(RecvError::Forked { .. })));
        drop(polled);
        drop(before);
        let sent = block_on(producer.send("x"));
        let own = waits_and_is_woken(&other);
        first_failure(&[forked, matches!(sent, Err(SendError::Forked { .. })), own == Some(true)])
    });
    assert_eq!(status, 0);
    // The parent's future goes on.
    let sends = async { producer.send("x").await.unwrap() };
    let receives = async { waits.take().unwrap().await.unwrap().ack().unwrap() };
    block_on(futures::future::join(receives, sends));
}

#[test]
fn a_stream_refuses_in_a_child() {
    let name = TempName::new("async-fork-stream");
    let queue: Queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["x", "y"]).unwrap();
    let mut messages = consumer.messages();
    block_on(messages.next()).unwrap().unwrap();
    let status = fork(|| {
        // Its last message is not acked, and is not the child's to ack.
        let next = block_on(messages.next());
        i32::from(!matches!(next, Some(Err(RecvError::Forked { .. }))))
    });
    assert_eq!(status, 0);
    assert_eq!(block_on(messages.next()).unwrap().unwrap().sequence(), 1);
}
