use std::thread;

use slipring::{Queue, RecvError, Start};

use crate::common::child::{Child, hear, tell};
use crate::common::{Rng, TempName, message, there, words};
use crate::stream::LONG;

const MAX: usize = 40;
const LAST: u32 = 99;

/// Role: sends until it is killed, in every way there is, and reports each sequence that is published.
pub(crate) fn send_told(name: &str, seed: u64) {
    let queue = Queue::open(name).unwrap();
    let mut producer = queue.producer().unwrap();
    tell(format_args!("from {}", producer.sequence()));
    for way in seed.. {
        let next = producer.sequence();
        match way % 3 {
            0 => drop(producer.send(&message(next, MAX)).unwrap()),
            1 => {
                let batch: Vec<_> = (next..next + 7).map(|number| message(number, MAX)).collect();
                producer.send_batch(&batch).unwrap();
            }
            _ => {
                let mut slots = producer.reserve(3).unwrap();
                for i in 0..3 {
                    let bytes = message(next + i as u64, MAX);
                    slots.bytes_mut(i).unwrap()[..bytes.len()].copy_from_slice(&bytes);
                    assert!(slots.set_len(i, bytes.len()));
                }
                slots.publish();
            }
        }
        tell(producer.sequence());
    }
}

#[test]
fn a_killed_producer_loses_nothing_and_no_reader_notices() {
    let name = TempName::new("kill-producer");
    let queue = Queue::builder(&name).capacity(32).payload_size(MAX).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let reader = thread::spawn(move || {
        for number in 0.. {
            let received = consumer.recv_timeout(LONG).unwrap();
            assert_eq!(received.sequence(), number);
            assert!(!received.redelivered());
            if received.kind() == LAST {
                received.ack().unwrap();
                return number;
            }
            assert_eq!(*received, *message(number, MAX));
            received.ack().unwrap();
        }
        unreachable!()
    });
    let watcher = thread::spawn(move || {
        let mut seen = 0;
        loop {
            let observed = observer.recv_timeout(LONG).unwrap();
            seen += 1;
            if observed.kind() == LAST {
                return seen + observer.missed();
            }
            assert_eq!(*observed, *message(observed.sequence(), MAX));
        }
    });
    let mut rng = Rng::new();
    let mut out = 0;
    for round in 0..25 {
        let mut writer = Child::start(&format!("send-told {} {}", &*name, rng.below(3)));
        let first = writer.line().unwrap();
        let first: u64 = first.strip_prefix("from ").unwrap().parse().unwrap();
        assert!(first >= out, "round {round}: {out} were out, the next producer began at {first}");
        for _ in 0..rng.below(200) {
            out = writer.line().unwrap().parse().unwrap();
        }
        writer.kill();
        while let Some(line) = writer.line() {
            out = line.parse().unwrap_or(out);
        }
    }
    let mut producer = queue.producer().unwrap();
    assert!(producer.sequence() >= out);
    let last = producer.send((LAST, &[][..])).unwrap();
    assert_eq!(reader.join().unwrap(), last);
    assert_eq!(watcher.join().unwrap(), last + 1);
    let snapshot = queue.snapshot().unwrap();
    assert_eq!(snapshot.producer.epoch, 26);
    assert_eq!(snapshot.groups[0].depth, 0);
}

#[test]
fn a_producer_that_died_between_stamp_and_tail_loses_nothing() {
    let name = TempName::new("lagging-tail");
    let queue = Queue::builder(&name).capacity(8).payload_size(MAX).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let file = words::open(&name.path());
    let mut next = 0;
    for (sent, lag, half_written) in [(3, 0, 0), (4, 4, 0), (8, 3, 0), (6, 6, 2), (8, 8, 8)] {
        let mut producer = queue.producer().unwrap();
        assert_eq!(producer.sequence(), next);
        for number in next..next + sent {
            producer.send(&message(number, MAX)).unwrap();
        }
        drop(producer);
        // As if it had died with that many messages stamped but not counted, the last of them not even stamped. Slots
        // of 64 bytes follow the tables.
        let slots = file.metadata().unwrap().len() - 8 * 64;
        words::set(&file, words::TAIL, next + sent - lag);
        next += sent - half_written;
        for number in next..next + half_written {
            words::set(&file, slots + number % 8 * 64, 0);
        }
        let mut producer = queue.producer().unwrap();
        assert_eq!(producer.sequence(), next);
        if consumer.position() + 8 > next {
            assert_eq!(producer.send(&message(next, MAX)).unwrap(), next);
            next += 1;
        }
        while consumer.position() < next {
            let received = consumer.try_recv().unwrap();
            assert_eq!(*received, *message(received.sequence(), MAX));
            received.ack().unwrap();
        }
        assert!(there(consumer.try_recv()).is_none());
    }
}

/// Role: receives in batches and reports each message before its ack, up to the number `last`.
pub(crate) fn receive_told(name: &str, last: u64) {
    let queue = Queue::open(name).unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    tell(format_args!("from {}", consumer.position()));
    let mut since_asked = 0;
    loop {
        let mut batch = consumer.recv_batch_timeout(BATCH, LONG).unwrap();
        while let Some(received) = batch.first() {
            let seq = received.sequence();
            assert_eq!(*received, *message(seq, MAX));
            tell(format_args!("{seq} {}", received.attempts()));
            since_asked += 1;
            if since_asked == ASK_EVERY {
                hear();
                since_asked = 0;
            }
            if batch.len() == 1 || !seq.is_multiple_of(5) {
                batch.ack_first().unwrap();
            } else {
                batch.ack_through(seq + 1).unwrap();
            }
            if seq >= last {
                return;
            }
        }
    }
}

const BATCH: usize = 8;
/// After so many messages it waits for the test, so that it cannot run far ahead.
const ASK_EVERY: u32 = 20;

#[test]
fn a_killed_consumer_leaves_everything_unacked_to_the_next_one() {
    const LAST: u64 = 3000;
    let name = TempName::new("kill-consumer");
    let queue = Queue::builder(&name).capacity(32).payload_size(MAX).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let sender = thread::spawn(move || {
        for number in 0..=LAST {
            producer.send_timeout(&message(number, MAX), LONG).unwrap();
        }
        producer
    });
    let mut rng = Rng::new();
    // Consumers have reported all messages below `told`; `position` is the group's.
    let (mut told, mut kills) = (0, 0);
    while told <= LAST {
        let head = queue.snapshot().unwrap().groups[0].head;
        let mut reader = Child::start(&format!("receive-told {} {LAST}", &*name));
        let from = reader.line().unwrap();
        assert_eq!(from.strip_prefix("from ").unwrap(), head.to_string());
        assert!(head <= told + 1, "what was not told was not acked, but for a pair's second");
        let mut next = head;
        let mut kill_after = rng.below(200);
        let (mut killed, mut since_asked) = (false, 0);
        while let Some(line) = reader.line() {
            let (seq, attempts) = line.split_once(' ').unwrap();
            let (seq, attempts): (u64, u8) = (seq.parse().unwrap(), attempts.parse().unwrap());
            // A pair that is acked at once reports its first message only.
            assert!(
                seq == next || (seq == next + 1 && (next - 1).is_multiple_of(5)),
                "{seq} after {next}"
            );
            if seq < told {
                assert!(attempts > 1, "{seq} comes again without a mark");
            }
            if attempts > 1 {
                assert!(seq < told + BATCH as u64, "{seq} was never delivered before");
            }
            next = seq + 1;
            told = told.max(next);
            if kill_after == 0 && !killed {
                reader.kill();
                (killed, kills) = (true, kills + 1);
            }
            kill_after = kill_after.saturating_sub(1);
            since_asked += 1;
            if since_asked == ASK_EVERY && !killed {
                reader.say("on");
                since_asked = 0;
            }
        }
    }
    println!("{kills} kills");
    assert!(kills > 5);
    let mut producer = sender.join().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    // The last one may have been killed between its last report and its ack.
    while let Some(received) = there(consumer.try_recv()) {
        assert!(received.redelivered());
        received.ack().unwrap();
    }
    assert_eq!(consumer.position(), LAST + 1);
    producer.send("end").unwrap();
    let end = consumer.recv().unwrap();
    assert!(!end.redelivered());
    end.ack().unwrap();
    assert!(matches!(
        consumer.recv_timeout(std::time::Duration::ZERO),
        Err(RecvError::Timeout { .. })
    ));
}
