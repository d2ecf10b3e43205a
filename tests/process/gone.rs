//! A consumer that asked for it is told that the producer is gone, which its lease shows.

use std::thread;
use std::time::{Duration, Instant};

use slipring::{Group, Queue, RecvError};

use crate::common::TempName;
use crate::common::child::{Child, hear, tell};
use crate::stream::LONG;

const SHORT: Duration = Duration::from_millis(30);

/// Role: sends a message, and then one for each line of input.
pub(crate) fn produce(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut producer = queue.producer().unwrap();
    loop {
        producer.send("x").unwrap();
        tell("sent");
        if hear().is_empty() {
            return;
        }
    }
}

#[test]
fn a_killed_producer_is_noticed_and_a_stopped_one_is_not_gone() {
    let name = TempName::new("gone");
    let shared = Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(4).group("g").group(&shared).create().unwrap();
    let consumers = [Group::named("g"), shared].map(|group| {
        let mut consumer = queue.consumer(group).unwrap();
        consumer.set_notice_producer_gone(true);
        consumer
    });
    let mut producer = Child::start(&format!("produce {}", &*name));
    producer.expect("sent");
    let (started, waiting) = std::sync::mpsc::channel();
    let mut consumers = thread::scope(|scope| {
        let waits = consumers.map(|mut consumer| {
            let started = started.clone();
            scope.spawn(move || {
                consumer.recv().unwrap().ack().unwrap();
                started.send(()).unwrap();
                let fault = consumer.recv().err();
                (consumer, fault, Instant::now())
            })
        });
        waiting.recv().unwrap();
        waiting.recv().unwrap();
        producer.stop();
        // Long enough for many checks: a stopped producer is still attached.
        thread::sleep(SHORT);
        let killed = Instant::now();
        producer.kill();
        waits.map(|wait| {
            let (consumer, fault, at) = wait.join().unwrap();
            assert!(matches!(fault, Some(RecvError::ProducerGone { .. })), "{fault:?}");
            assert!(at >= killed && at - killed < LONG);
            consumer
        })
    });
    // Again and again, until there is one.
    for consumer in &mut consumers {
        assert!(matches!(consumer.recv_timeout(LONG), Err(RecvError::ProducerGone { .. })));
    }
    let mut next = Child::start(&format!("produce {}", &*name));
    next.expect("sent");
    for consumer in &mut consumers {
        consumer.recv_timeout(LONG).unwrap().ack().unwrap();
        assert!(matches!(consumer.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    }
    next.say("more");
    next.expect("sent");
    next.kill();
    // The messages that it sent come before the error.
    for consumer in &mut consumers {
        consumer.recv_timeout(LONG).unwrap().ack().unwrap();
        assert!(matches!(consumer.recv_timeout(LONG), Err(RecvError::ProducerGone { .. })));
    }
}
