//! Views of messages: what each tells, copies, and the iterator of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{TempName, there};
use slipring::{
    Consumer, DeadLetters, Group, MessageInfo, OpenOptions, Producer, Queue, RecvError, Start,
};

const SHORT: Duration = Duration::from_millis(20);

slipring::message! {
    struct Reading {
        id: u64,
        value: f64,
    }
}

/// A queue with a shared group `work`, and the names of the queues that belong to it.
fn bench(what: &str) -> (Queue, [TempName; 3]) {
    let name = TempName::new(what);
    let beside = |kind: &str| TempName::exactly(format!("{}.{kind}", &*name));
    let names = [beside("dead"), beside("work.retry")];
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    let [dead, retry] = names;
    (queue, [name, dead, retry])
}

fn work() -> Group {
    Group::named("work").shared()
}

fn facts(info: MessageInfo) -> (u64, u32, u8, bool, bool) {
    (info.sequence(), info.kind(), info.attempts(), info.redelivered(), info.requeued())
}

#[test]
fn every_view_of_a_message_tells_the_same() {
    let (queue, names) = bench("views");
    let mut producer = queue.producer().unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    producer.send((7, "job")).unwrap();
    let received = member.recv().unwrap();
    assert_eq!(facts(received.info()), (0, 7, 1, false, false));
    let alone = (received.sequence(), received.kind(), received.attempts());
    assert_eq!((alone, received.redelivered()), ((0, 7, 1), false));
    drop(received);
    for attempts in 2..5 {
        let mut batch = member.recv_batch(1).unwrap();
        let expected = (0, 7, attempts, true, false);
        assert_eq!(facts(batch.first().unwrap().info()), expected);
        let delivery = batch.first().unwrap();
        assert_eq!((delivery.kind(), delivery.attempts()), (7, attempts));
        assert_eq!(facts(batch.tasks().take().unwrap().info()), expected);
    }
    let seen = observer.recv().unwrap();
    assert_eq!((facts(seen.info()), seen.missed()), ((0, 7, 0, false, false), 0));
    member.recv().unwrap().reject().unwrap();
    DeadLetters::of(&names[0], &OpenOptions::new()).unwrap().requeue(1).unwrap();
    let expected = (0, 7, 1, false, true);
    let received = member.recv().unwrap();
    assert_eq!((facts(received.info()), received.requeued()), (expected, true));
    received.ack().unwrap();
    producer.send((7, "job")).unwrap();
    member.recv().unwrap().reject().unwrap();
    DeadLetters::of(&names[0], &OpenOptions::new()).unwrap().requeue(1).unwrap();
    let mut batch = member.recv_batch(8).unwrap();
    assert!(batch.requeued() && batch.first().unwrap().requeued());
    assert_eq!(facts(batch.first().unwrap().info()), (1, 7, 1, false, true));
    assert!(batch.tasks().take().unwrap().requeued());
    drop(batch);
    let copy = member.messages().next().unwrap().unwrap();
    assert_eq!((facts(copy.info()), &copy[..]), ((1, 7, 2, true, true), &b"job"[..]));
    assert_eq!(copy.content(), b"job");
    let mut out = Vec::new();
    let info = member.recv_into(&mut out).unwrap();
    assert_eq!((facts(info), &out[..]), ((1, 7, 3, true, true), &b"job"[..]));
}

#[test]
fn a_message_is_received_into_a_place_and_acked() {
    let (queue, _names) = bench("into");
    let mut producer = queue.producer().unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut out = b"before".to_vec();
    assert!(matches!(member.try_recv_into(&mut out), Err(RecvError::Empty)));
    let timed_out = |received| assert!(matches!(received, Err(RecvError::Timeout { .. })));
    timed_out(member.recv_into_timeout(&mut out, SHORT));
    timed_out(member.recv_into_deadline(&mut out, Instant::now() + SHORT));
    assert_eq!(out, b"before");
    type Form = fn(&mut Consumer, &mut Vec<u8>) -> Result<MessageInfo, RecvError>;
    let forms: [Form; 4] = [
        |member, out| member.try_recv_into(out),
        |member, out| member.recv_into(out),
        |member, out| member.recv_into_timeout(out, Duration::from_secs(60)),
        |member, out| member.recv_into_deadline(out, Instant::now() + Duration::from_secs(60)),
    ];
    for (form, sequence) in forms.into_iter().zip(0..) {
        producer.send((3, &sequence.to_string()[..])).unwrap();
        let info = form(&mut member, &mut out).unwrap();
        assert_eq!((info.sequence(), info.kind(), info.attempts()), (sequence, 3, 1));
        assert_eq!(out, sequence.to_string().as_bytes());
        assert!(there(member.try_recv()).is_none(), "it is acked");
    }
    // A receive that waits gets the next message.
    thread::scope(|scope| {
        let waits = scope.spawn(|| member.recv_into(&mut out).unwrap().sequence());
        producer.send("late").unwrap();
        assert_eq!(waits.join().unwrap(), 4);
    });
    assert_eq!(out, b"late");
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn the_iterator_ends_with_the_queue_when_all_is_acked() {
    let (queue, _names) = bench("iterator");
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let others = thread::spawn(move || {
        for number in 0..1000u64 {
            producer.send((7, &number.to_le_bytes()[..])).unwrap();
        }
        producer.close().unwrap();
    });
    let mut work = queue.consumer(work()).unwrap();
    let drains = thread::spawn(move || work.messages().filter(|message| message.is_ok()).count());
    let mut messages = consumer.messages();
    for number in 0..1000u64 {
        let message = messages.next().unwrap().unwrap();
        assert_eq!((message.sequence(), message.kind(), message.attempts()), (number, 7, 1));
        assert_eq!(message.into_content(), number.to_le_bytes());
    }
    assert!(messages.next().is_none() && messages.next().is_none());
    assert_eq!(consumer.position(), 1000);
    others.join().unwrap();
    assert_eq!(drains.join().unwrap(), 1000);
    // An iterator that is made later ends at once.
    assert!(consumer.messages().next().is_none());
}

#[test]
fn a_dropped_iterator_leaves_its_last_message_unless_that_is_acked() {
    let (queue, _names) = bench("iterator-last");
    let mut producer = queue.producer().unwrap();
    let mut member = queue.consumer(work()).unwrap();
    producer.send_batch(["a", "b", "c"]).unwrap();
    assert_eq!(member.messages().take(2).count(), 2);
    let mut messages = member.messages();
    let again = messages.next().unwrap().unwrap();
    assert_eq!((again.sequence(), again.attempts()), (1, 2));
    messages.ack().unwrap();
    messages.ack().unwrap();
    let next = member.recv().unwrap();
    assert_eq!((next.sequence(), next.attempts()), (2, 1));
}

#[test]
fn the_iterator_goes_on_after_a_rejected_and_a_redelivered_message() {
    let (queue, names) = bench("iterator-reject");
    let mut producer = queue.producer().unwrap();
    let mut member = queue.consumer(work()).unwrap();
    producer.send_batch(["bad", "good"]).unwrap();
    let mut messages = member.messages();
    assert_eq!(messages.next().unwrap().unwrap().sequence(), 0);
    messages.unacked().unwrap().reject().unwrap();
    assert!(messages.unacked().is_none());
    assert_eq!(messages.next().unwrap().unwrap().sequence(), 1);
    DeadLetters::of(&names[0], &OpenOptions::new()).unwrap().requeue(1).unwrap();
    let again = messages.next().unwrap().unwrap();
    assert_eq!((again.sequence(), again.requeued()), (0, true));
    // The next one comes from the queue itself, and so its ack goes there.
    send_and_receive(&mut producer, &mut messages);
    send_and_receive(&mut producer, &mut messages);
    messages.ack().unwrap();
    assert!(there(member.try_recv()).is_none());
    for name in [&names[0], &names[2]] {
        let groups = OpenOptions::new().snapshot(name).unwrap().groups;
        assert_eq!((&*groups[0].name, groups[0].depth), ("work", 0), "in {}", &**name);
    }
}

fn send_and_receive(producer: &mut Producer, messages: &mut slipring::Messages<'_>) {
    let sequence = producer.send("more").unwrap();
    let message = messages.next().unwrap().unwrap();
    assert_eq!((message.sequence(), message.requeued()), (sequence, false));
}

#[test]
fn an_error_ends_the_iterator() {
    let (queue, names) = bench("iterator-removed");
    let mut member = queue.consumer(work()).unwrap();
    slipring::force_remove(&names[0]).unwrap();
    let mut messages = member.messages();
    assert!(matches!(messages.next(), Some(Err(RecvError::Removed { .. }))));
    assert!(messages.next().is_none());
    // The next iterator ends with the same error.
    assert!(matches!(member.messages().next(), Some(Err(RecvError::Removed { .. }))));
}

#[test]
fn an_iterator_of_types() {
    let name = TempName::new("iterator-typed");
    let queue = Queue::builder(&name).message::<Reading>().capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send(&Reading { id: 3, value: 0.5 }).unwrap();
    let reading = queue.consumer("g").unwrap().messages().next().unwrap().unwrap();
    assert_eq!((reading.id, reading.value), (3, 0.5));
}
