//! Every call that waits takes a timeout or a deadline, and keeps it.

mod common;

use std::time::{Duration, Instant};

use common::{TempName, there};
use slipring::{Producer, Queue, RecvError, SendBatchError, SendError, Start};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn soon() -> Instant {
    Instant::now() + SHORT
}

/// Runs `wait`, which must not end before its time.
fn in_time<T>(wait: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let value = wait();
    assert!(since.elapsed() >= SHORT);
    value
}

#[test]
fn receiving_ends_at_its_deadline() {
    let name = TempName::new("recv-by");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let mut out = b"untouched".to_vec();
    let timed_out =
        |fault: Option<RecvError>| assert!(matches!(fault, Some(RecvError::Timeout { .. })));
    timed_out(in_time(|| consumer.recv_deadline(soon()).err()));
    timed_out(in_time(|| consumer.recv_batch_deadline(9, soon()).err()));
    timed_out(in_time(|| consumer.recv_into_deadline(&mut out, soon()).err()));
    timed_out(in_time(|| consumer.recv_into_timeout(&mut out, SHORT).err()));
    timed_out(in_time(|| observer.recv_deadline(soon()).err()));
    assert_eq!(out, b"untouched");
    // A message that is there is received, whatever the time.
    let past = Instant::now();
    queue.producer().unwrap().send_batch(["0", "1", "2", "3"]).unwrap();
    consumer.recv_deadline(past).unwrap().ack().unwrap();
    assert_eq!(consumer.recv_into_deadline(&mut out, past).unwrap().sequence(), 1);
    assert_eq!(out, b"1");
    assert_eq!(consumer.recv_batch_deadline(9, past).unwrap().len(), 2);
    assert_eq!(&*observer.recv_deadline(past).unwrap(), b"0");
    assert_eq!(&*observer.recv_deadline(Instant::now() + LONG).unwrap(), b"1");
}

#[test]
fn sending_ends_at_its_deadline() {
    let name = TempName::new("send-by");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let past = Instant::now();
    assert_eq!(producer.send_deadline("0", past).unwrap(), 0);
    drop(producer.reserve_deadline(3, past).unwrap());
    let full = |fault: Option<SendError>| assert!(matches!(fault, Some(SendError::Timeout(_))));
    full(in_time(|| producer.reserve_deadline(4, soon()).err()));
    producer.send_batch_deadline(["1", "2", "3"], past).unwrap();
    full(in_time(|| producer.send_deadline("4", soon()).err()));
    full(producer.send_deadline("4", past).err());
    consumer.recv_batch(2).unwrap().ack().unwrap();
    assert_eq!(producer.sequence(), 4);
}

#[test]
fn a_batch_that_does_not_fit_in_time_says_how_much_of_it_did() {
    let name = TempName::new("batch-by");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let messages: Vec<_> = (0..9u8).map(|n| [n]).collect();
    let mut rest = &messages[..];
    for expected in [4, 3, 2] {
        let sent = send(&mut producer, rest).unwrap_or_else(|fault| {
            assert!(matches!(fault.reason(), SendError::Timeout(_)), "{fault}");
            fault.sent()
        });
        assert_eq!(sent, expected);
        rest = &rest[sent..];
        for _ in 0..3 {
            let message = consumer.recv().unwrap();
            assert_eq!(u64::from(message[0]), message.sequence());
            message.ack().unwrap();
        }
    }
    assert!(rest.is_empty() && there(consumer.try_recv()).is_none());
    assert_eq!(producer.send_batch_timeout(std::iter::empty::<&str>(), SHORT).unwrap(), 0);
}

/// With a timeout or with a deadline.
fn send(producer: &mut Producer, messages: &[[u8; 1]]) -> Result<usize, SendBatchError> {
    let since = Instant::now();
    let outcome = if messages.len() % 2 == 1 {
        producer.send_batch_timeout(messages, SHORT)
    } else {
        producer.send_batch_deadline(messages, soon())
    };
    assert!(outcome.is_ok() || since.elapsed() >= SHORT);
    outcome
}

#[test]
fn a_batch_waits_once_for_all_its_messages() {
    let name = TempName::new("once");
    let queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let wait = Duration::from_millis(200);
    std::thread::scope(|scope| {
        // A message every 20 ms: if each had the whole time, the batch would never be cut.
        let reads = scope.spawn(move || {
            let mut read = 0;
            while let Ok(message) = consumer.recv() {
                message.ack().unwrap();
                read += 1;
                std::thread::sleep(SHORT);
            }
            read
        });
        let since = Instant::now();
        let fault = producer.send_batch_timeout(["x"; 1000], wait).unwrap_err();
        assert!(since.elapsed() >= wait && fault.sent() < 20, "{} sent", fault.sent());
        producer.close().unwrap();
        assert_eq!(reads.join().unwrap(), fault.sent());
    });
}
