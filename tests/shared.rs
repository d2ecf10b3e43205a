//! Shared groups, within one process.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{TempName, there};
use slipring::{Group, JoinError, Mode, Queue, RecvError, Retention};

#[test]
fn each_message_goes_to_one_member_and_every_group_sees_all() {
    let name = TempName::new("compete");
    let queue = Queue::builder(&name).capacity(64).payload_size(8);
    let queue = queue.group(Group::named("work").shared()).group("audit").create().unwrap();
    const N: u64 = 20_000;
    let seen = std::thread::scope(|scope| {
        let members: Vec<_> = (0..3)
            .map(|n| {
                let mut member = queue.consumer(Group::named("work").shared()).unwrap();
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    loop {
                        match member.recv_batch_timeout(1 + n, Duration::from_millis(500)) {
                            Ok(batch) => {
                                for message in &batch {
                                    assert!(!message.redelivered());
                                    let value =
                                        u64::from_le_bytes(message.content().try_into().unwrap());
                                    assert_eq!(value, message.sequence());
                                    seen.push(value);
                                }
                                batch.ack().unwrap();
                            }
                            Err(RecvError::Timeout { .. }) => return seen,
                            Err(fault) => panic!("{fault}"),
                        }
                    }
                })
            })
            .collect();
        let mut audit = queue.consumer("audit").unwrap();
        scope.spawn(move || {
            for seq in 0..N {
                let message = audit.recv().unwrap();
                assert_eq!(message.sequence(), seq);
                message.ack().unwrap();
            }
        });
        let mut producer = queue.producer().unwrap();
        for i in 0..N {
            producer.send(&i.to_le_bytes()).unwrap();
        }
        members.into_iter().flat_map(|member| member.join().unwrap()).collect::<Vec<_>>()
    });
    let mut count = BTreeMap::new();
    for seq in seen {
        *count.entry(seq).or_insert(0) += 1;
    }
    assert_eq!(count.len() as u64, N);
    assert!(count.values().all(|n| *n == 1));
}

#[test]
fn what_a_gone_member_held_goes_to_another_counted() {
    let name = TempName::new("orphan");
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(8).group(group()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1", "2", "3"]).unwrap();
    let mut first = queue.consumer(group()).unwrap();
    let mut second = queue.consumer(group()).unwrap();
    let mut batch = first.recv_batch(3).unwrap();
    batch.ack_first().unwrap();
    drop(batch);
    drop(first);
    let mut seen = Vec::new();
    while let Some(message) = there(second.try_recv()) {
        seen.push((message.sequence(), message.attempts()));
        message.ack().unwrap();
    }
    assert_eq!(seen, [(3, 1), (1, 2), (2, 2)]);
    // All acked: the whole ring is free again.
    for _ in 0..8 {
        producer.try_send("x").unwrap();
    }
}

#[test]
fn a_record_with_messages_of_another_group_is_not_taken() {
    let name = TempName::new("others");
    let (work, other) = (Group::named("work").shared(), Group::named("other").shared());
    let queue = Queue::builder(&name).capacity(4).max_consumers(1).group(&work).group(&other);
    let queue = queue.create().unwrap();
    queue.producer().unwrap().send("0").unwrap();
    let mut first = queue.consumer(&work).unwrap();
    drop(first.recv_batch(1).unwrap());
    drop(first);
    // Of the first member only the record is left, which holds the message.
    assert!(matches!(queue.consumer(&other), Err(JoinError::TooManyConsumers { .. })));
    assert_eq!(queue.consumer(&work).unwrap().recv().unwrap().attempts(), 2);
}

#[test]
fn a_group_goes_with_a_last_member_that_had_taken_over_from_another() {
    let name = TempName::new("orphan-last");
    let group = || Group::named("work").shared().retention(Retention::Release);
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let mut first = queue.consumer(group()).unwrap();
    let mut second = queue.consumer(group()).unwrap();
    queue.producer().unwrap().send("0").unwrap();
    drop(first.recv_batch(1).unwrap());
    drop(first);
    assert_eq!(second.try_recv().unwrap().attempts(), 2);
    assert_eq!(queue.snapshot().unwrap().groups.len(), 1);
    drop(second);
    assert!(queue.snapshot().unwrap().groups.is_empty());
}

#[test]
fn a_group_counts_each_ack_once_whatever_records_its_members_had() {
    let name = TempName::new("counted-once");
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(8).group(group()).group("other").create().unwrap();
    let acked = || queue.snapshot().unwrap().groups[0].acked;
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1", "2", "3", "4"]).unwrap();
    let mut first = queue.consumer(group()).unwrap();
    let mut batch = first.recv_batch(3).unwrap();
    batch.ack_first().unwrap();
    // From here on it has another record.
    batch.release().unwrap();
    first.recv().unwrap().ack().unwrap();
    assert_eq!(acked(), 2);
    let mut second = queue.consumer(group()).unwrap();
    for _ in 0..3 {
        second.recv().unwrap().ack().unwrap();
    }
    assert_eq!(acked(), 5);
    // It has the record that the first one gave up, in another group: what was counted there stays this group's.
    let other = queue.consumer("other").unwrap();
    assert_eq!(acked(), 5);
    let mut third = queue.consumer(group()).unwrap();
    producer.send("5").unwrap();
    third.recv().unwrap().ack().unwrap();
    assert_eq!(acked(), 6);
    drop((first, second, third, other));
    assert_eq!(acked(), 6);
}

#[test]
fn a_dropped_batch_is_redelivered_to_the_same_member_one_at_a_time() {
    let name = TempName::new("dropped");
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(8).group(group()).create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1"]).unwrap();
    let mut member = queue.consumer(group()).unwrap();
    drop(member.recv_batch(2).unwrap());
    drop(member.recv_batch(2).unwrap());
    let seen: Vec<_> = (0..2)
        .map(|_| {
            let batch = member.recv_batch(2).unwrap();
            assert_eq!(batch.len(), 1);
            let message = batch.first().unwrap();
            let seen = (message.sequence(), message.attempts());
            batch.ack().unwrap();
            seen
        })
        .collect();
    assert_eq!(seen, [(0, 3), (1, 2)]);
}

#[test]
fn a_group_is_joined_as_what_it_is() {
    let name = TempName::new("mode");
    let queue =
        Queue::builder(&name).group(Group::named("s").shared()).group("e").create().unwrap();
    let wrong = |joined: Result<slipring::Consumer, JoinError>, is: Mode| {
        assert!(matches!(joined, Err(JoinError::WrongMode { found, .. }) if found == is));
    };
    wrong(queue.consumer("s"), Mode::Shared);
    wrong(queue.consumer(Group::named("e").shared()), Mode::Exclusive);
}

#[test]
fn acks_out_of_order_free_the_prefix() {
    let name = TempName::new("out-of-order");
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(4).group(group()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1", "2", "3"]).unwrap();
    let mut member = queue.consumer(group()).unwrap();
    let mut batch = member.recv_batch(4).unwrap();
    batch.ack_one(2).unwrap();
    batch.ack_one(1).unwrap();
    assert!(batch.ack_one(1).is_err() && batch.ack_one(4).is_err());
    assert!(producer.try_send("4").is_err());
    batch.ack_one(0).unwrap();
    for _ in 0..3 {
        producer.try_send("x").unwrap();
    }
    assert!(producer.try_send("x").is_err());
    assert_eq!(batch.first().unwrap().sequence(), 3);
    batch.ack_one(3).unwrap();
    // Acks nothing, and touches nothing.
    batch.ack().unwrap();
    assert_eq!(member.recv_batch(1).unwrap().first().unwrap().sequence(), 4);
}

#[test]
fn threads_share_a_batch_and_ack_as_they_finish() {
    let name = TempName::new("tasks");
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(64).group(group()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch((0..64u8).map(|i| [i]).collect::<Vec<_>>().iter()).unwrap();
    let mut member = queue.consumer(group()).unwrap();
    let mut batch = member.recv_batch(64).unwrap();
    batch.ack_one(3).unwrap();
    let tasks = batch.tasks();
    let seen = std::sync::Mutex::new(Vec::new());
    let all_busy = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut task = tasks.take();
                // Each has a message before any of them acks.
                all_busy.wait();
                while let Some(this) = task {
                    assert_eq!(u64::from(this[0]), this.sequence());
                    seen.lock().unwrap().push(this.sequence());
                    // Left in the batch.
                    if this.sequence() != 40 {
                        this.ack().unwrap();
                    }
                    task = tasks.take();
                }
            });
        }
    });
    assert!(tasks.take().is_none());
    let mut seen = seen.into_inner().unwrap();
    seen.sort();
    assert_eq!(seen, (0..64).filter(|seq| *seq != 3).collect::<Vec<_>>());
    assert_eq!(batch.first().unwrap().sequence(), 40);
    assert_eq!(producer.try_send_batch(&mut std::iter::repeat("x")).unwrap(), 40);
    batch.ack_first().unwrap();
    assert!(batch.is_empty(), "all behind it were acked before");
}

#[test]
fn what_a_live_member_gives_back_goes_to_another() {
    let name = TempName::new("give-back");
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(4).group(group()).create().unwrap();
    queue.producer().unwrap().send_batch(["0", "1", "2"]).unwrap();
    let mut first = queue.consumer(group()).unwrap();
    let mut second = queue.consumer(group()).unwrap();
    let mut batch = first.recv_batch(2).unwrap();
    batch.ack_first().unwrap();
    batch.release().unwrap();
    // The member that gave it back claims new messages.
    assert_eq!(first.recv_batch(1).unwrap().first().unwrap().sequence(), 2);
    let message = second.recv().unwrap();
    assert_eq!((message.sequence(), message.attempts()), (1, 2));
    // Adopted and given back again: a lone member gets it in the end.
    drop(message);
    second.recv_batch(1).unwrap().release().unwrap();
    drop(first);
    let seen: Vec<_> = (0..2)
        .map(|_| {
            let message = second.recv().unwrap();
            let seen = message.sequence();
            message.ack().unwrap();
            seen
        })
        .collect();
    assert_eq!(seen.iter().sum::<u64>(), 3);
}
