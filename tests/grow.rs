//! Batches that grow, and redelivery in batches.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::fork::fork;
use common::{TempName, there};
use slipring::{Batch, Consumer, DeadLetters, Group, GrowError, OpenOptions, Queue};

fn queue(name: &TempName, capacity: u64, group: impl Into<Group>) -> Queue {
    Queue::builder(name).capacity(capacity).payload_size(8).group(group).create().unwrap()
}

/// Sends `0..count` in little-endian bytes.
fn filled(queue: &Queue, count: u64) {
    let numbers: Vec<_> = (0..count).map(u64::to_le_bytes).collect();
    queue.producer().unwrap().send_batch(numbers.iter()).unwrap();
}

/// Sequences and attempts of the messages in a batch; checks each one's content.
fn seen(batch: &Batch<'_>) -> Vec<(u64, u8)> {
    batch
        .iter()
        .map(|message| {
            assert_eq!(*message, message.sequence().to_le_bytes());
            (message.sequence(), message.attempts())
        })
        .collect()
}

fn drain(consumer: &mut Consumer, max: usize) -> Vec<Vec<(u64, u8)>> {
    let mut all = Vec::new();
    while let Some(batch) = there(consumer.try_recv_batch(max)) {
        all.push(seen(&batch));
        batch.ack().unwrap();
    }
    all
}

#[test]
fn a_window_slides_over_many_laps_of_the_ring() {
    const COUNT: u64 = 10_000;
    const WINDOW: usize = 5;
    let name = TempName::new("slides");
    let queue = queue(&name, 8, "g");
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    let mut sent = 0;
    let mut send = || {
        while sent < COUNT && producer.try_send(&sent.to_le_bytes()).is_ok() {
            sent += 1;
        }
    };
    send();
    let mut batch = consumer.recv_batch(WINDOW).unwrap();
    let mut next = 0;
    while next < COUNT {
        assert!(!batch.is_empty() && batch.len() <= WINDOW);
        for (seq, attempts) in seen(&batch) {
            assert_eq!(attempts, 1, "{seq}");
        }
        // Out of order, through the front, one, and all of it.
        let (first, end) = (next, next + batch.len() as u64);
        next = match next % 4 {
            0 if end - first > 1 => {
                batch.ack_one(first + 1).unwrap();
                batch.ack_first().unwrap();
                first + 2
            }
            1 => {
                batch.ack_through(end - 1).unwrap();
                end
            }
            _ => {
                batch.ack_first().unwrap();
                first + 1
            }
        };
        assert!(batch.ack_one(next.max(1) - 1).is_err(), "it is acked already");
        assert_eq!(batch.len() as u64, end - next);
        send();
        let more = batch.grow(WINDOW - batch.len()).unwrap();
        let most = (COUNT - end).min(WINDOW as u64 - (end - next));
        assert!((most.min(1)..=most).contains(&(more as u64)), "{more} of {most}");
    }
    assert!(batch.is_empty());
    assert_eq!(batch.grow(9).unwrap(), 0, "there is nothing");
    drop(batch);
    assert_eq!(consumer.position(), COUNT);
    assert_eq!(queue.snapshot().unwrap().groups[0].acked, COUNT);
}

#[test]
fn a_batch_grows_by_what_is_there_and_no_more_than_asked_for() {
    let name = TempName::new("by");
    let queue = queue(&name, 8, "g");
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    producer.send_batch((0..6u64).map(u64::to_le_bytes).collect::<Vec<_>>().iter()).unwrap();
    let mut batch = consumer.recv_batch(1).unwrap();
    assert_eq!(batch.grow(0).unwrap(), 0);
    assert_eq!(batch.grow(2).unwrap(), 2);
    assert_eq!(batch.grow(usize::MAX).unwrap(), 3);
    assert_eq!(batch.grow(usize::MAX).unwrap(), 0);
    assert_eq!(seen(&batch), (0..6).map(|seq| (seq, 1)).collect::<Vec<_>>());
    // The whole ring.
    producer.send(&6u64.to_le_bytes()).unwrap();
    producer.send(&7u64.to_le_bytes()).unwrap();
    assert_eq!(batch.grow(usize::MAX).unwrap(), 2);
    assert_eq!((batch.len(), batch.grow(1).unwrap()), (8, 0));
    assert!(producer.try_send("x").is_err(), "it holds what it has");
    batch.ack_through(2).unwrap();
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.head, group.unacked), (3, 5));
    drop(batch);
    assert_eq!(drain(&mut consumer, 9), [[(3, 2), (4, 2), (5, 2), (6, 2), (7, 2)]]);
    assert_eq!(queue.snapshot().unwrap().groups[0].redelivered, 5);
}

/// The group's next consumer gets all messages of a batch whose consumer died, in batches.
#[test]
fn a_dead_consumers_grown_batch_is_redelivered_in_batches() {
    let name = TempName::new("successor");
    let queue = queue(&name, 16, "g");
    filled(&queue, 12);
    let status = fork(|| {
        let queue = Queue::open(&name).unwrap();
        let mut consumer = queue.consumer("g").unwrap();
        let mut batch = consumer.recv_batch(4).unwrap();
        batch.ack_through(1).unwrap();
        batch.grow(5).unwrap();
        i32::from(seen(&batch) != (2..9).map(|seq| (seq, 1)).collect::<Vec<_>>())
    });
    assert_eq!(status, 0);
    let mut consumer = queue.consumer("g").unwrap();
    let mut batch = consumer.recv_batch(3).unwrap();
    assert_eq!(seen(&batch), [(2, 2), (3, 2), (4, 2)]);
    // It slides on, from redelivered messages to new ones.
    batch.ack_through(3).unwrap();
    assert_eq!(batch.grow(3).unwrap(), 3);
    assert_eq!(batch.grow(3).unwrap(), 3);
    let more = [(4, 2), (5, 2), (6, 2), (7, 2), (8, 2), (9, 1), (10, 1)];
    assert_eq!(seen(&batch), more);
    assert_eq!(queue.snapshot().unwrap().groups[0].redelivered, 7);
    drop(batch);
    // The first of a batch is counted, even if it was not the first of the batch before.
    let batch = consumer.recv_batch(2).unwrap();
    assert_eq!(seen(&batch), [(4, 2), (5, 2)]);
    drop(batch);
    drop(consumer);
    let mut consumer = queue.consumer("g").unwrap();
    let all = drain(&mut consumer, 4);
    assert_eq!(all[0], [(4, 3), (5, 2), (6, 2), (7, 2)]);
    assert_eq!(all[1..], [vec![(8, 2), (9, 2), (10, 2)], vec![(11, 1)]]);
}

/// A message that cannot be tried is not counted, even in a batch that was redelivered.
#[test]
fn the_first_of_a_redelivered_batch_can_be_uncounted() {
    let name = TempName::new("uncount");
    let queue = queue(&name, 8, "g");
    filled(&queue, 4);
    let mut consumer = queue.consumer("g").unwrap();
    let mut batch = consumer.recv_batch(3).unwrap();
    batch.uncount();
    drop(batch);
    let mut batch = consumer.recv_batch(3).unwrap();
    assert_eq!(seen(&batch), [(0, 1), (1, 2), (2, 2)]);
    batch.ack_first().unwrap();
    batch.uncount();
    drop(batch);
    for _ in 0..3 {
        let mut batch = consumer.recv_batch(3).unwrap();
        assert_eq!(seen(&batch), [(1, 2), (2, 2)]);
        batch.uncount();
    }
    assert_eq!(drain(&mut consumer, 3), [vec![(1, 2), (2, 2)], vec![(3, 1)]]);
}

/// Where attempts have a limit, a redelivered message comes alone, and becomes a dead letter alone; a batch grows by
/// new messages.
#[test]
fn where_attempts_have_a_limit_a_batch_grows_by_new_messages_only() {
    let name = TempName::new("limited");
    let queue = queue(&name, 8, Group::named("g").max_attempts(2));
    filled(&queue, 5);
    let mut consumer = queue.consumer("g").unwrap();
    let mut batch = consumer.recv_batch(1).unwrap();
    assert_eq!(batch.grow(2).unwrap(), 2);
    drop(batch);
    // Two deliveries each, and no more.
    for _ in 0..2 {
        let batch = consumer.recv_batch(9).unwrap();
        if batch.first().unwrap().sequence() == 1 {
            break;
        }
        assert_eq!(seen(&batch), [(0, 2)]);
    }
    drop(consumer);
    let mut consumer = queue.consumer("g").unwrap();
    // 0 and 1 are dead letters now.
    let mut batch = consumer.recv_batch(9).unwrap();
    assert_eq!(seen(&batch), [(2, 2)]);
    assert_eq!(batch.grow(9).unwrap(), 2);
    assert_eq!(seen(&batch), [(2, 2), (3, 1), (4, 1)]);
    drop(batch);
    let letters = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
    assert_eq!(drain(&mut consumer, 9), [[(3, 2)], [(4, 2)]]);
    assert_eq!(letters.queue().snapshot().unwrap().tail, 3, "0, 1 and 2");
    letters.purge(9).unwrap();
    drop(letters);
    slipring::force_remove(&format!("{}.dead", &*name)).unwrap();
}

#[test]
fn a_message_within_a_redelivered_batch_can_be_rejected_or_left() {
    let name = TempName::new("midst");
    for group in [Group::named("g"), Group::named("s").shared().unlimited_attempts()] {
        let name = TempName::new(&format!("midst-{}", &*name));
        let queue = queue(&name, 8, &group);
        filled(&queue, 5);
        let mut consumer = queue.consumer(&group).unwrap();
        drop(consumer.recv_batch(4).unwrap());
        let letters = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let list = letters.clone();
        consumer.on_dead_letter(move |letter| {
            list.lock().unwrap().push((letter.sequence, letter.attempts));
            Ok::<_, String>(())
        });
        let mut batch = consumer.recv_batch(4).unwrap();
        assert_eq!(seen(&batch), [(0, 2), (1, 2), (2, 2), (3, 2)]);
        batch.reject(1).unwrap();
        batch.ack_first().unwrap();
        let tasks = batch.tasks();
        let (second, third) = (tasks.take().unwrap(), tasks.take().unwrap());
        assert_eq!((second.sequence(), second.attempts()), (2, 2));
        assert_eq!((third.sequence(), third.attempts()), (3, 2));
        third.ack().unwrap();
        drop(second);
        drop(batch);
        assert_eq!(*letters.lock().unwrap(), [(1, 2)]);
        // A message that was acked after one that was left is redelivered with it.
        assert_eq!(drain(&mut consumer, 9), [vec![(2, 2), (3, 2)], vec![(4, 1)]]);
    }
}

#[test]
fn a_dead_members_range_is_redelivered_in_batches_where_attempts_have_no_limit() {
    let name = TempName::new("member");
    let group = || Group::named("work").shared().unlimited_attempts();
    let queue = queue(&name, 16, group());
    filled(&queue, 12);
    let status = fork(|| {
        let queue = Queue::open(&name).unwrap();
        let mut member = queue.consumer(group()).unwrap();
        let mut batch = member.recv_batch(7).unwrap();
        batch.ack_through(1).unwrap();
        i32::from(batch.len() != 5)
    });
    assert_eq!(status, 0);
    let mut member = queue.consumer(group()).unwrap();
    let mut batches = drain(&mut member, 3);
    // Its own claims and the dead member's, in any order, and never both in one batch.
    batches.sort();
    let expected = [
        vec![(2, 2), (3, 2), (4, 2)],
        vec![(5, 2), (6, 2)],
        vec![(7, 1), (8, 1), (9, 1)],
        vec![(10, 1), (11, 1)],
    ];
    assert_eq!(batches, expected);
    assert_eq!(queue.snapshot().unwrap().groups[0].unacked, 0);
}

#[test]
fn a_batch_of_a_shared_group_does_not_grow_and_says_why() {
    let name = TempName::new("shared");
    let queue = queue(&name, 8, Group::named("work").shared());
    filled(&queue, 3);
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    let mut batch = member.recv_batch(1).unwrap();
    let fault = batch.grow(1).unwrap_err();
    assert!(matches!(&fault, GrowError::Shared { group, .. } if group == "work"), "{fault:?}");
    assert!(fault.to_string().contains("receive the next one"), "{fault}");
    assert_eq!(seen(&batch), [(0, 1)]);
    batch.ack().unwrap();
}

/// A dead letter that was sent again comes alone, even if more of them wait.
#[test]
fn a_batch_with_a_retry_does_not_grow() {
    let name = TempName::new("letter");
    let queue = queue(&name, 8, "g");
    filled(&queue, 3);
    let mut consumer = queue.consumer("g").unwrap();
    for seq in 0..2 {
        let mut batch = consumer.recv_batch(1).unwrap();
        batch.reject(seq).unwrap();
    }
    let letters = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
    assert_eq!(letters.requeue(9).unwrap(), 2);
    let mut sequences = Vec::new();
    for _ in 0..3 {
        let mut batch = consumer.recv_batch(9).unwrap();
        if batch.requeued() {
            assert_eq!(batch.grow(9).unwrap(), 0);
            assert_eq!(batch.len(), 1);
        }
        sequences.extend(seen(&batch));
        batch.ack().unwrap();
    }
    sequences.sort();
    assert_eq!(sequences, [(0, 1), (1, 1), (2, 1)]);
    drop((consumer, letters));
    for other in ["dead", "g.retry"] {
        slipring::force_remove(&format!("{}.{other}", &*name)).unwrap();
    }
}
