//! Letters that are sent again, to the group that gave them up.

use std::time::Duration;

use slipring::{DeadLetters, Group, JoinError, PurgeReason, Queue, Reason, RecvError, Start};

use super::common::{TempName, there};
use super::{drain, letters, options, related_queues, work};

#[test]
fn a_retry_that_nobody_could_try_is_no_attempt() {
    let name = TempName::new("untried-retry");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work().max_attempts(1)).create().unwrap();
    queue.producer().unwrap().send("job").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    assert!(member.recv().unwrap().fail().unwrap());
    requeue(&name);
    for _ in 0..3 {
        let mut message = member.recv().unwrap();
        assert_eq!((message.requeued(), message.sequence(), message.attempts()), (true, 0, 1));
        message.uncount();
    }
    member.recv().unwrap().ack().unwrap();
    assert_eq!(letters(&name), []);
}

#[test]
fn requeued_letters_reach_the_group_that_failed_and_nobody_else() {
    let name = TempName::new("requeue");
    let others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).group("audit").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch([(4, "bad"), (5, "good")]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut audit = queue.consumer("audit").unwrap();
    member.recv().unwrap().reject().unwrap();
    assert_eq!(drain(&mut member).len(), 1);
    assert_eq!(drain(&mut audit).len(), 2);
    let dead = DeadLetters::of(&name, &options()).unwrap();
    // The producer is attached, and stays.
    assert_eq!(dead.requeue(u64::MAX).unwrap(), 1);
    assert_eq!(letters(&name), []);
    producer.send("new").unwrap();
    let mut seen = Vec::new();
    while let Some(message) = there(member.try_recv()) {
        let payload = String::from_utf8(message.to_vec()).unwrap();
        seen.push((message.sequence(), message.kind(), message.attempts(), payload));
        assert_eq!(message.requeued(), message.sequence() == 0);
        message.ack().unwrap();
    }
    seen.sort();
    let text = str::to_owned;
    assert_eq!(seen, [(0, 4, 1, text("bad")), (2, 0, 1, text("new"))]);
    assert_eq!(drain(&mut audit), [(2, 1, text("new"))]);
    let retries = Queue::open(&others[1]).unwrap();
    assert_eq!(retries.snapshot().unwrap().groups[0].depth, 0);
    assert!(Queue::open(&others[2]).is_err(), "audit has nothing to read again");
}

#[test]
fn a_requeued_message_that_fails_again_is_the_same_letter_again() {
    let name = TempName::new("requeue-again");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work().max_attempts(2)).create().unwrap();
    queue.producer().unwrap().send_batch(["ok", "bad"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    member.recv().unwrap().ack().unwrap();
    for round in 0..3 {
        let mut attempts = Vec::new();
        while let Some(message) = there(member.try_recv()) {
            assert_eq!((message.sequence(), &*message), (1, &b"bad"[..]));
            attempts.push(message.attempts());
        }
        assert_eq!(attempts, [1, 2], "round {round}");
        assert_eq!(letters(&name), [(1, 2, Reason::MaxAttempts)]);
        assert_eq!(DeadLetters::of(&name, &options()).unwrap().requeue(1).unwrap(), 1);
    }
    // In a batch, acks go by the sequence that the batch shows.
    let mut batch = member.try_recv_batch(8).unwrap();
    assert!(batch.requeued() && batch.ack_one(0).is_err());
    batch.ack_through(1).unwrap();
    assert!(batch.is_empty());
}

#[test]
fn what_a_dead_member_held_of_a_queue_of_retries_goes_to_another() {
    let name = TempName::new("retry-orphan");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    let mut first = queue.consumer(work()).unwrap();
    let mut second = queue.consumer(work()).unwrap();
    first.recv().unwrap().reject().unwrap();
    DeadLetters::of(&name, &options()).unwrap().requeue(1).unwrap();
    assert_eq!(first.recv().unwrap().attempts(), 1);
    // Not acked. Leaving gives it back.
    drop(first);
    let message = second.recv().unwrap();
    assert_eq!((message.sequence(), message.attempts(), message.requeued()), (0, 2, true));
    message.ack().unwrap();
}

#[test]
fn a_removed_queue_of_retries_does_not_delay_the_end() {
    let name = TempName::new("retries-removed");
    let others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("bad").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    member.recv().unwrap().reject().unwrap();
    assert_eq!(requeue(&name), 1);
    member.recv().unwrap().ack().unwrap();
    // A receive that comes so long after the last one does maintenance.
    let rest = || std::thread::sleep(Duration::from_millis(10));
    for _ in 0..2 {
        rest();
        assert!(matches!(member.try_recv(), Err(RecvError::Empty)));
    }
    slipring::force_remove(&others[1]).unwrap();
    producer.close().unwrap();
    rest();
    assert!(matches!(member.try_recv(), Err(RecvError::Closed { .. })));
}

/// Requeues all letters of `queue`.
pub(crate) fn requeue(queue: &str) -> u64 {
    DeadLetters::of(queue, &options()).unwrap().requeue(u64::MAX).unwrap()
}

#[test]
fn retries_take_turns_with_new_messages() {
    let name = TempName::new("turns");
    let _others = related_queues(&name);
    let queue =
        Queue::builder(&name).capacity(32).group(work().unlimited_attempts()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut member = queue.consumer(work()).unwrap();
    producer.send("bad").unwrap();
    member.recv().unwrap().reject().unwrap();
    assert_eq!(requeue(&name), 1);
    producer.send_batch(["good"; 8]).unwrap();
    let mut good = 0;
    let mut received = 0;
    while good < 8 {
        // Jobs so long that the member does maintenance at each receive.
        std::thread::sleep(Duration::from_millis(3));
        let message = member.try_recv().unwrap();
        received += 1;
        if &*message == b"good" {
            good += 1;
            message.ack().unwrap();
        }
    }
    assert!(received <= 17, "{received} messages received until 8 good ones were");
    assert!(member.is_holding());
    let message = member.try_recv().unwrap();
    assert!(message.requeued() && message.redelivered());
    message.ack().unwrap();
    assert!(!member.is_holding() && there(member.try_recv()).is_none());
}

#[test]
fn requeued_letters_outlive_their_group_and_its_mode() {
    let name = TempName::new("remade");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group("work").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("work").unwrap();
    for round in 0..2 {
        producer.send_batch(["a", "b"]).unwrap();
        consumer.recv().unwrap().reject().unwrap();
        consumer.recv().unwrap().ack().unwrap();
        assert_eq!(requeue(&name), 1);
        drop(consumer);
        queue.remove_group("work").unwrap();
        // Made anew, in the other mode: the letter is for it all the same.
        let mut member = queue.consumer(work().start(Start::Newest)).unwrap();
        assert_eq!(drain(&mut member), [(2 * round, 1, "a".to_owned())]);
        drop(member);
        queue.remove_group("work").unwrap();
        consumer = queue.consumer(Group::named("work").start(Start::Newest)).unwrap();
    }
}

#[test]
fn letters_are_kept_though_their_group_was_removed() {
    let name = TempName::new("no-group");
    let others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(4).group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut member = queue.consumer(work()).unwrap();
    producer.send("0").unwrap();
    member.recv().unwrap().reject().unwrap();
    let dead = Queue::open(&others[0]).unwrap();
    dead.force_remove_group("dead").unwrap();
    // The letters from before can still be observed.
    assert_eq!(letters(&name), [(0, 1, Reason::Rejected)]);
    for i in 1..=4 {
        producer.send("x").unwrap();
        let rejected = member.recv().unwrap().reject();
        // The group was made again, at the oldest letter.
        assert_eq!(rejected.is_ok(), i < 4, "{i}");
    }
    assert_eq!(letters(&name).len(), 4);
}

#[test]
fn what_is_sent_by_hand_to_be_retried_has_the_same_limit() {
    let name = TempName::new("by-hand");
    let others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work().max_attempts(2)).create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    member.recv().unwrap().reject().unwrap();
    requeue(&name);
    drain(&mut member);
    let retries = Queue::open(&others[1]).unwrap();
    retries.producer().unwrap().send("by hand").unwrap();
    let mut attempts = Vec::new();
    while let Some(message) = there(member.try_recv()) {
        assert_eq!(&*message, b"by hand");
        attempts.push(message.attempts());
    }
    assert_eq!(attempts, [1, 2]);
    assert_eq!(letters(&name).len(), 1);
}

#[test]
fn a_letter_sent_again_comes_before_the_end_though_there_was_no_queue_of_retries_just_now() {
    let name = TempName::new("retry-and-close");
    let others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["first", "second"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    member.recv().unwrap().reject().unwrap();
    member.recv().unwrap().reject().unwrap();
    requeue(&name);
    assert_eq!(drain(&mut member), [(0, 1, "first".to_owned()), (1, 1, "second".to_owned())]);
    producer.send("third").unwrap();
    member.recv().unwrap().reject().unwrap();
    slipring::force_remove(&others[1]).unwrap();
    // Long enough for more than one try to join the queue of retries again.
    assert!(matches!(
        member.recv_timeout(Duration::from_millis(250)).map(drop),
        Err(RecvError::Timeout { .. })
    ));
    requeue(&name);
    producer.close().unwrap();
    let again = member.recv().unwrap();
    assert_eq!((again.requeued(), again.sequence()), (true, 2));
    again.ack().unwrap();
    assert!(matches!(member.recv().map(drop), Err(RecvError::Closed { .. })));
}

#[test]
fn letters_are_sent_again_through_no_queue_that_is_there_for_something_else() {
    let name = TempName::new("other-retry");
    let [_dead, retry, ..] = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    queue.consumer(work()).unwrap().recv().unwrap().reject().unwrap();
    Queue::builder(&retry).payload_size(512).group("readers").create().unwrap();
    let fault = DeadLetters::of(&name, &options()).unwrap().requeue(9).unwrap_err();
    assert_eq!(fault.done(), 0);
    assert!(fault.to_string().contains(&format!("{:?} carries", &*retry)), "{fault}");
    assert_eq!(letters(&name).len(), 1);
}

#[test]
fn a_queue_of_other_messages_is_neither_purged_nor_given_the_group_of_letters() {
    let name = TempName::new("ordinary");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    queue.producer().unwrap().send("a message").unwrap();
    let letters = DeadLetters::open(&name, &options()).unwrap();
    let fault = letters.purge(9).unwrap_err();
    let missing = matches!(fault.reason(), PurgeReason::Join(JoinError::NoSuchGroup { .. }));
    assert!(missing && fault.done() == 0, "{fault}");
    letters.requeue(9).unwrap_err();
    assert!(queue.snapshot().unwrap().groups.is_empty());
}
