//! Messages that Python consumes or observes.

use serde_json::json;
use slipring::Queue;

use crate::common::TempName;
use crate::common::child::Child;
use crate::{LONGEST, MODES, Python, has_python, nothing_is_left, printed, send, sent};

#[test]
fn python_consumes_what_a_producer_sends_and_ends_with_it() {
    const BASE: u64 = 1000;
    const SENT: u64 = 200;
    if !has_python() {
        return;
    }
    for mode in MODES {
        let name = TempName::new("python-consumes");
        let shape = Queue::builder(&name).capacity(8).payload_size(LONGEST).base_sequence(BASE);
        let queue = shape.wake_mode(mode).group("g").create().unwrap();
        // It waits before the first message comes, and the producer waits for its acks, many times.
        let mut python = Python::consumer(&name, "g", &[]);
        let mut producer = Child::start(&format!("send-and-close {} {SENT}", &*name));
        producer.expect("attached");
        for n in 0..SENT {
            python.expect_sent(BASE, BASE + n, Some(1));
        }
        assert_eq!(python.line(), Some(json!({ "closed": BASE + SENT })));
        python.finish();
        producer.finish();
        let snapshot = queue.snapshot().unwrap();
        let group = &snapshot.groups[0];
        assert_eq!((group.head, group.depth, group.unacked), (BASE + SENT, 0, 0));
        assert_eq!((group.acked, group.redelivered, group.members.len()), (SENT, 0, 0));
        drop(queue);
        nothing_is_left(name);
    }
}

/// The longest message, the shortest, and one that just fits a line.
#[test]
fn python_reads_messages_of_every_size() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-sizes");
    let queue = Queue::builder(&name).capacity(4).payload_size(5000).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut python = Python::consumer(&name, "g", &[]);
    for (n, size) in [0, 1, 47, 48, 49, 4096, 4999, 5000].into_iter().enumerate() {
        let payload: Vec<u8> = (0..size).map(|i| (i * 7 + n) as u8).collect();
        let kind = u32::MAX - n as u32;
        producer.send((kind, &payload[..])).unwrap();
        python.expect(&printed(n as u64, Some(1), kind, &payload));
    }
    producer.close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": 8 })));
    python.finish();
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn python_observes_each_message_that_is_there_and_counts_the_others() {
    const BASE: u64 = 1000;
    const CAPACITY: u64 = 64;
    if !has_python() {
        return;
    }
    // With a group that keeps everything, across the ring's end: 1000 & 63 is 40.
    let name = TempName::new("python-observes");
    let shape = Queue::builder(&name).capacity(CAPACITY).payload_size(LONGEST);
    let queue = shape.base_sequence(BASE).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut python = Python::start(&["observe", &name]);
    assert_eq!(python.line(), Some(json!({ "from": BASE })));
    for n in 0..CAPACITY {
        send(&mut producer, n);
        python.expect_sent(BASE, BASE + n, None);
    }
    producer.close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": BASE + CAPACITY, "missed": 0 })));
    python.finish();
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.acked), (CAPACITY, 0), "an observer changes nothing");
    drop(queue);
    nothing_is_left(name);

    // Without groups nothing waits for it, and some slots are reclaimed already for what was to come.
    let name = TempName::new("python-misses");
    let queue = Queue::builder(&name).capacity(CAPACITY).payload_size(LONGEST).create().unwrap();
    let mut producer = queue.producer().unwrap();
    const SENT: u64 = 5 * CAPACITY + 7;
    (0..SENT).for_each(|n| send(&mut producer, n));
    producer.close().unwrap();
    let mut python = Python::start(&["observe", &name]);
    let from = SENT - CAPACITY;
    assert_eq!(python.line(), Some(json!({ "from": from })));
    let first = python.line().unwrap()["sequence"].as_u64().unwrap();
    assert!(first <= from + 16, "{first}: no more than 16 are reclaimed");
    for sequence in first + 1..SENT {
        python.expect_sent(0, sequence, None);
    }
    assert_eq!(python.line(), Some(json!({ "closed": SENT, "missed": first - from })));
    python.finish();
    drop(queue);
    nothing_is_left(name);
}

/// The producer waits for nobody, so it overwrites what the observer is about to read.
#[test]
fn python_observes_only_whole_messages_beside_a_producer_that_overwrites() {
    const SENT: u64 = 30_000;
    if !has_python() {
        return;
    }
    let name = TempName::new("python-lapped");
    let queue = Queue::builder(&name).capacity(16).payload_size(LONGEST).create().unwrap();
    let mut python = Python::start(&["observe", &name]);
    assert_eq!(python.line(), Some(json!({ "from": 0 })));
    let mut producer = Child::start(&format!("send-and-close {} {SENT}", &*name));
    producer.expect("attached");
    let (mut seen, mut next) = (0, 0);
    let end = loop {
        let line = python.line().unwrap_or_else(|| panic!("{}", python.complaint()));
        let Some(sequence) = line["sequence"].as_u64() else { break line };
        assert!(sequence >= next, "{sequence} after {next}");
        assert_eq!(line, sent(sequence, sequence, None));
        (seen, next) = (seen + 1, sequence + 1);
    };
    assert_eq!(end, json!({ "closed": SENT, "missed": SENT - seen }));
    python.finish();
    producer.finish();
    drop(queue);
    nothing_is_left(name);
}
