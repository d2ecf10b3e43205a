//! Messages that a group gives up: where they go, and how they are delivered again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod retries;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{TempName, there};
use retries::requeue;
use slipring::{
    AddGroupError, Consumer, DeadLetter, DeadLetterSendError, DeadLetters, Group, GroupError,
    JoinError, OpenError, OpenOptions, PurgeReason, Queue, Reason, RecvError, RejectError,
    RequeueReason, Select, SelectError, Start, WakeMode,
};

slipring::message! {
    /// Eight bytes.
    struct Pair {
        left: u32,
        right: u32,
    }
}

fn work() -> Group {
    Group::named("work").shared()
}

/// Names of the queues that belong to `name`, removed with it.
fn related_queues(name: &TempName) -> [TempName; 3] {
    let owned = |suffix: &str| TempName::exactly(format!("{}.{suffix}", &**name));
    [owned("dead"), owned("work.retry"), owned("audit.retry")]
}

fn options() -> OpenOptions {
    OpenOptions::new()
}

/// Sequence, attempts and reason of all letters that wait.
fn letters(queue: &str) -> Vec<(u64, u8, Reason)> {
    let dead = DeadLetters::of(queue, &options()).unwrap();
    let (mut observer, end) = dead.observe().unwrap();
    let mut found = Vec::new();
    while observer.position() < end {
        let seen = observer.try_recv().unwrap();
        let letter = DeadLetter::parse(seen.kind(), &seen).unwrap();
        assert_eq!(letter.queue, queue);
        found.push((letter.sequence, letter.attempts, letter.reason));
    }
    found
}

/// Receives and acks everything there is for a consumer.
fn drain(consumer: &mut Consumer) -> Vec<(u64, u8, String)> {
    let mut seen = Vec::new();
    while let Some(message) = there(consumer.try_recv()) {
        let text = String::from_utf8(message.to_vec()).unwrap();
        seen.push((message.sequence(), message.attempts(), text));
        message.ack().unwrap();
    }
    seen
}

/// Most letters of worn-out messages between two questions for the time.
const LETTERS: u64 = 64;

/// A group with a limit of one attempt, and a consumer of it with many messages that have had theirs. Returns the consumer,
/// and the letters that it makes.
fn worn_out(queue: &Queue, group: Group, messages: usize) -> (Consumer, Receiver<u64>) {
    let _ = queue.producer().unwrap().send_batch(vec!["x"; messages]).unwrap();
    let mut consumer = queue.consumer(group).unwrap();
    let (told, hears) = channel();
    consumer.on_dead_letter(move |letter| told.send(letter.sequence));
    let batch = consumer.recv_batch(messages).unwrap();
    assert_eq!(batch.len(), messages);
    drop(batch);
    (consumer, hears)
}

#[test]
fn a_receive_ends_in_time_however_many_letters_are_to_be_made() {
    const MESSAGES: u64 = 500;
    for group in [Group::named("work"), work()] {
        let group = group.max_attempts(1);
        for mode in [WakeMode::Membarrier, WakeMode::None] {
            let name = TempName::new("letters-many");
            let queue = Queue::builder(&name).capacity(512).payload_size(32).group(&group);
            let queue = queue.wake_mode(mode).create().unwrap();
            let (mut consumer, hears) = worn_out(&queue, group.clone(), MESSAGES as usize);
            assert!(there(consumer.try_recv()).is_none());
            assert_eq!(hears.try_iter().count() as u64, LETTERS, "one call");
            for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
                let received = consumer.recv_timeout(timeout);
                assert!(matches!(received, Err(RecvError::Timeout { .. })));
                assert_eq!(hears.try_iter().count() as u64, LETTERS, "its time was over");
            }
            let asked = Arc::new(Mutex::new(0));
            let count = Arc::clone(&asked);
            consumer.set_interrupt(move || {
                *count.lock().unwrap() += 1;
                *count.lock().unwrap() == 2
            });
            assert!(matches!(consumer.recv(), Err(RecvError::Interrupted { .. })));
            assert_eq!(hears.try_iter().count() as u64, 2 * LETTERS, "between two questions");
            let mut select = Select::new();
            select.add(consumer);
            let received = select.recv_timeout(Duration::ZERO);
            assert!(matches!(received, Err(SelectError::Timeout)));
            // It looks once before it waits.
            assert_eq!(hears.try_iter().count() as u64, 2 * LETTERS);
            // What is there comes after the letters, in one receive that has the time.
            let _ = queue.producer().unwrap().send("good").unwrap();
            let received = select.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!((received.sequence(), &received[..]), (MESSAGES, &b"good"[..]));
            received.ack().unwrap();
            assert_eq!(hears.try_iter().count() as u64, MESSAGES - 7 * LETTERS);
        }
    }
}

#[test]
fn a_message_is_delivered_as_often_as_its_group_allows() {
    let name = TempName::new("worn-out");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work().max_attempts(2)).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["poison", "good"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut deliveries = Vec::new();
    while let Some(message) = there(member.try_recv()) {
        deliveries.push((message.sequence(), message.attempts()));
        if &*message == b"good" {
            message.ack().unwrap();
        }
    }
    assert_eq!(deliveries, [(0, 1), (0, 2), (1, 1)]);
    assert_eq!(letters(&name), [(0, 2, Reason::MaxAttempts)]);
    let groups = queue.snapshot().unwrap().groups;
    assert_eq!((groups[0].dead_lettered, groups[0].redelivered, groups[0].acked), (1, 1, 2));
    // It is acked: the whole ring is free.
    for _ in 0..8 {
        producer.try_send("x").unwrap();
    }
}

#[test]
fn five_attempts_are_the_default_of_shared_groups_and_exclusive_ones_have_no_limit() {
    let name = TempName::new("defaults");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).group("audit").create().unwrap();
    queue.producer().unwrap().send("poison").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut deliveries = 0;
    while there(member.try_recv()).is_some() {
        deliveries += 1;
    }
    assert_eq!(deliveries, 5);
    let mut consumer = queue.consumer("audit").unwrap();
    for attempts in 1..=20 {
        assert_eq!(consumer.try_recv().unwrap().attempts(), attempts);
    }
}

#[test]
fn a_rejected_message_is_a_letter_with_its_kind_and_payload() {
    let name = TempName::new("reject");
    let others = related_queues(&name);
    let dead = &others[0];
    let queue = Queue::builder(&name).capacity(8).payload_size(5).group(work()).create().unwrap();
    queue.producer().unwrap().send_batch([(1, "a"), (2, "bcdef"), (3, "g")]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut batch = member.recv_batch(8).unwrap();
    batch.reject(1).unwrap();
    assert!(matches!(batch.reject(1), Err(RejectError::Ack(_))));
    assert!(matches!(batch.reject(7), Err(RejectError::Ack(_))));
    batch.ack_one(0).unwrap();
    assert_eq!(batch.first().unwrap().sequence(), 2);
    batch.ack().unwrap();
    let queue = Queue::open(dead).unwrap();
    let mut consumer = queue.consumer("dead").unwrap();
    let message = consumer.try_recv().unwrap();
    let letter = DeadLetter::parse(message.kind(), &message).unwrap();
    assert_eq!((letter.queue, letter.group, letter.sequence), (&*name, "work", 1));
    assert_eq!((letter.kind, letter.payload, letter.attempts), (2, &b"bcdef"[..], 1));
    assert_eq!(letter.reason, Reason::Rejected);
    assert!(letter.time.elapsed().unwrap().as_secs() < 3600);
}

#[test]
fn a_failed_message_is_redelivered_and_after_its_last_attempt_a_dead_letter_at_once() {
    let name = TempName::new("failed");
    let _others = related_queues(&name);
    let groups =
        [work().max_attempts(2), "audit".into(), Group::named("ever").unlimited_attempts()];
    let builder = Queue::builder(&name).capacity(8);
    let queue = groups.into_iter().fold(builder, |b, group| b.group(group)).create().unwrap();
    queue.producer().unwrap().send_batch(["bad", "good"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    assert!(!member.recv().unwrap().fail().unwrap());
    let message = member.recv().unwrap();
    assert_eq!((message.sequence(), message.attempts()), (0, 2));
    assert!(message.fail().unwrap());
    assert_eq!(letters(&name), [(0, 2, Reason::MaxAttempts)]);
    assert_eq!(queue.snapshot().unwrap().groups[0].dead_lettered, 1);
    assert_eq!(drain(&mut member), [(1, 1, "good".to_owned())]);
    // Sent again, it reaches its limit again.
    assert_eq!(DeadLetters::of(&name, &options()).unwrap().requeue(1).unwrap(), 1);
    assert!(!member.recv().unwrap().fail().unwrap());
    assert!(member.recv().unwrap().fail().unwrap());
    assert_eq!(letters(&name), [(0, 2, Reason::MaxAttempts)]);
    // Without a limit there is no last attempt.
    for group in ["audit", "ever"] {
        let mut consumer = queue.consumer(group).unwrap();
        for _ in 0..300 {
            assert!(!consumer.recv().unwrap().fail().unwrap());
        }
    }
}

#[test]
fn what_nobody_could_try_is_no_attempt() {
    let name = TempName::new("untried");
    let _others = related_queues(&name);
    let groups = [work().max_attempts(2), "audit".into()];
    let builder = Queue::builder(&name).capacity(8);
    let queue = groups.into_iter().fold(builder, |b, group| b.group(group)).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("first").unwrap();
    for group in [work(), Group::named("audit")] {
        let mut attempts = Vec::new();
        for untried in [true, true, true, false, true, true, true] {
            // Another process each time, as after a restart.
            let mut consumer = queue.consumer(&group).unwrap();
            let mut message = consumer.recv().unwrap();
            attempts.push(message.attempts());
            if untried {
                message.uncount();
                // Twice counts once.
                message.uncount();
            }
        }
        assert_eq!(attempts, [1, 1, 1, 1, 2, 2, 2]);
        let mut consumer = queue.consumer(&group).unwrap();
        let mut message = consumer.recv().unwrap();
        assert_eq!(message.attempts(), 2);
        // It may be acked all the same.
        message.uncount();
        message.ack().unwrap();
    }
    producer.send_batch(["second", "third"]).unwrap();
    for group in [work(), Group::named("audit")] {
        let mut consumer = queue.consumer(&group).unwrap();
        // Of a batch, the count of the first is taken back; the other one was delivered.
        let mut batch = consumer.recv_batch(2).unwrap();
        batch.uncount();
        drop(batch);
        let left: Vec<_> = drain(&mut consumer).into_iter().map(|(seq, n, _)| (seq, n)).collect();
        assert_eq!(left, [(1, 1), (2, 2)]);
    }
    assert!(Queue::open(&format!("{}.dead", &*name)).is_err(), "nothing was given up");
    // The last attempt, and a range that was adopted from a consumer that has gone.
    producer.send("last").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    drop(member.recv().unwrap());
    let mut message = member.recv().unwrap();
    assert_eq!(message.attempts(), 2);
    message.uncount();
    assert!(message.fail().unwrap(), "who says that it failed has tried");
    assert_eq!(letters(&name), [(3, 2, Reason::MaxAttempts)]);
}

#[test]
fn more_attempts_than_there_are_numbers_stay_what_they_are() {
    let name = TempName::new("untried-255");
    let queue = Queue::builder(&name).capacity(8).group("audit").create().unwrap();
    queue.producer().unwrap().send("stubborn").unwrap();
    let mut consumer = queue.consumer("audit").unwrap();
    for _ in 0..300 {
        drop(consumer.recv().unwrap());
    }
    for _ in 0..3 {
        let mut message = consumer.recv().unwrap();
        assert_eq!(message.attempts(), 255);
        message.uncount();
    }
}

#[test]
fn three_times_the_capacity_in_letters_is_an_error_and_none_is_lost() {
    let name = TempName::new("overflow");
    let others = related_queues(&name);
    let dead = &others[0];
    let queue = Queue::builder(&name).capacity(64).group(work()).create().unwrap();
    let tombs = Queue::builder(dead).capacity(8).payload_size(512).group("dead").create().unwrap();
    let mut producer = queue.producer().unwrap();
    for i in 0..24 {
        producer.send(&format!("{i}").into_bytes()).unwrap();
    }
    let mut member = queue.consumer(work()).unwrap();
    let mut grave = tombs.consumer("dead").unwrap();
    let (mut given_up, mut refused) = (Vec::new(), 0);
    while let Some(message) = there(member.try_recv()) {
        match message.reject() {
            Ok(()) => {}
            Err(RejectError::DeadLetter(fault)) => {
                let text = fault.to_string();
                assert!(text.contains("is full") && text.contains("message"), "{text}");
                refused += 1;
                let mut batch = grave.try_recv_batch(8).unwrap();
                while let Some(message) = batch.first() {
                    let letter = DeadLetter::parse(message.kind(), &message).unwrap();
                    given_up.push(letter.sequence);
                    batch.ack_first().unwrap();
                }
            }
            Err(fault) => panic!("{fault}"),
        }
    }
    while let Some(message) = there(grave.try_recv()) {
        given_up.push(DeadLetter::parse(message.kind(), &message).unwrap().sequence);
        message.ack().unwrap();
    }
    assert_eq!(given_up, (0..24).collect::<Vec<_>>());
    assert_eq!(refused, 2);
}

#[test]
fn a_message_whose_letter_cannot_be_sent_stays_and_says_so() {
    let name = TempName::new("unsent-letter");
    let others = related_queues(&name);
    let dead = &others[0];
    let queue = Queue::builder(&name).capacity(8).group(work().max_attempts(1)).create().unwrap();
    let tombs = Queue::builder(dead).capacity(1).payload_size(4).group("dead").create().unwrap();
    queue.producer().unwrap().send_batch(["poison", "good"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    drop(member.try_recv().unwrap());
    for _ in 0..3 {
        let fault = member.try_recv().unwrap_err();
        assert!(matches!(fault, RecvError::DeadLetter(_)), "{fault}");
        assert!(fault.to_string().contains(&**dead), "{fault}");
    }
    drop(tombs);
    slipring::remove(dead).unwrap();
    let message = member.try_recv().unwrap();
    assert_eq!((&*message, message.attempts()), (&b"good"[..], 1));
    assert_eq!(letters(&name), [(0, 1, Reason::MaxAttempts)]);
}

#[test]
fn a_handler_takes_the_place_of_the_queue() {
    let name = TempName::new("handler");
    let others = related_queues(&name);
    let dead = &others[0];
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    queue.producer().unwrap().send_batch(["a", "b"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    member.on_dead_letter(move |letter: &DeadLetter<'_>| {
        let mut seen = sink.lock().unwrap();
        seen.push((letter.sequence, letter.payload.to_vec()));
        if seen.len() == 1 { Err("not yet") } else { Ok(()) }
    });
    let fault = member.recv().unwrap().reject().unwrap_err();
    assert!(fault.to_string().contains("not yet"), "{fault}");
    member.recv().unwrap().reject().unwrap();
    assert_eq!(*seen.lock().unwrap(), [(0, b"a".to_vec()), (0, b"a".to_vec())]);
    assert_eq!(drain(&mut member), [(1, 1, "b".to_owned())]);
    assert!(Queue::open(dead).is_err());
}

#[test]
fn a_consumer_tells_of_each_letter_it_makes() {
    let name = TempName::new("notice");
    let others = related_queues(&name);
    let dead = &others[0];
    let queue = Queue::builder(&name).capacity(8).group(work().max_attempts(1)).create().unwrap();
    let tombs = Queue::builder(dead).capacity(1).payload_size(512).group("dead").create().unwrap();
    queue.producer().unwrap().send_batch(["lost", "failed", "rejected", "good"]).unwrap();
    // Its only attempt ended with a consumer that is gone, so no consumer receives it any more.
    drop(queue.consumer(work()).unwrap().recv().unwrap());
    let mut member = queue.consumer(work()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    member.notice_dead_letters(move |letter| {
        let payload = String::from_utf8(letter.payload.to_vec()).unwrap();
        sink.lock().unwrap().push((letter.sequence, letter.attempts, letter.reason, payload));
    });
    let made = |n: u64, reason, text: &str| (n, 1, reason, text.to_owned());
    assert!(member.recv().unwrap().fail().unwrap());
    // A letter that finds no room does not exist.
    assert!(member.recv().unwrap().reject().is_err());
    assert_eq!(*seen.lock().unwrap(), [made(1, Reason::MaxAttempts, "failed")]);
    tombs.consumer("dead").unwrap().recv().unwrap().ack().unwrap();
    member.on_dead_letter(|_: &DeadLetter<'_>| Ok::<(), String>(()));
    assert_eq!(drain(&mut member), [(3, 1, "good".to_owned())]);
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[1..],
        [made(2, Reason::MaxAttempts, "rejected"), made(0, Reason::MaxAttempts, "lost")]
    );
}

/// A user who may open the queue may open that of its letters, even in a sandbox without membarrier(2).
#[test]
fn queues_of_letters_wake_as_the_queue_does() {
    for mode in [WakeMode::Fence, WakeMode::None] {
        let name = TempName::new("wake-like");
        let others = related_queues(&name);
        let queue = Queue::builder(&name).capacity(8).wake_mode(mode).group(work());
        let queue = queue.create().unwrap();
        queue.producer().unwrap().send("bad").unwrap();
        queue.consumer(work()).unwrap().recv().unwrap().reject().unwrap();
        assert_eq!(DeadLetters::of(&name, &options()).unwrap().requeue(u64::MAX).unwrap(), 1);
        for other in &others[..2] {
            assert_eq!(Queue::open(other).unwrap().wake_mode(), mode, "{}", &**other);
        }
    }
}

#[test]
fn letters_can_be_thrown_away_and_what_is_none_is_named() {
    let name = TempName::new("purge");
    let others = related_queues(&name);
    let dead_name = &others[0];
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    assert!(DeadLetters::of(&name, &options()).is_err(), "there never was one");
    queue.producer().unwrap().send_batch(["a", "b", "c"]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    for _ in 0..3 {
        member.recv().unwrap().reject().unwrap();
    }
    let dead = DeadLetters::of(&name, &options()).unwrap();
    assert_eq!(dead.purge(2).unwrap(), 2);
    assert_eq!(letters(&name), [(2, 1, Reason::Rejected)]);
    let tombs = Queue::open(dead_name).unwrap();
    tombs.producer().unwrap().send("no letter").unwrap();
    let fault = dead.requeue(u64::MAX).unwrap_err();
    assert!(matches!(fault.reason(), RequeueReason::NotALetter { sequence: 3, .. }), "{fault}");
    // The letter before it was sent.
    assert_eq!(fault.done(), 1);
    assert_eq!(drain(&mut member), [(2, 1, "c".to_owned())]);
    let busy = tombs.consumer("dead").unwrap();
    let fault = dead.purge(1).unwrap_err();
    assert!(matches!(fault.reason(), PurgeReason::Join(JoinError::Taken { .. })), "{fault}");
    assert_eq!(fault.done(), 0);
    drop(busy);
    assert_eq!(dead.purge(u64::MAX).unwrap(), 1);
}

/// A queue leads to its letters, but not to those that are in another queue.
#[test]
fn a_queue_gives_its_dead_letters() {
    let name = TempName::new("of-queue");
    let _others = related_queues(&name);
    let queue = Queue::builder(&name).capacity(8).group(work()).create().unwrap();
    assert!(matches!(queue.dead_letters(), Err(OpenError::NotFound { .. })));
    queue.producer().unwrap().send_batch([(1, "a"), (2, "b")]).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    member.recv().unwrap().reject().unwrap();
    member.recv().unwrap().reject().unwrap();
    let letters = queue.dead_letters().unwrap();
    let (mut observer, end) = letters.observe().unwrap();
    let mut seen = Vec::new();
    while observer.position() < end {
        let message = observer.try_recv().unwrap();
        let letter = message.dead_letter().unwrap();
        seen.push((letter.sequence, letter.kind, letter.payload.to_vec()));
    }
    assert_eq!(seen, [(0, 1, b"a".to_vec()), (1, 2, b"b".to_vec())]);
    // A message that is not a dead letter parses as none.
    let mut observer = queue.observer(Start::Oldest).unwrap();
    assert!(observer.try_recv().unwrap().dead_letter().is_none());
    assert_eq!(letters.purge(u64::MAX).unwrap(), 2);
}

#[test]
fn a_group_may_name_its_own_queue_for_dead_letters() {
    let name = TempName::new("target");
    let target = TempName::new("target-own");
    let group = work().dead_letters_to(&*target).max_attempts(1);
    let queue = Queue::builder(&name).capacity(8).group(group).create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    drop(member.recv().unwrap());
    assert!(there(member.try_recv()).is_none());
    let dead = DeadLetters::open(&target, &options()).unwrap();
    assert_eq!(dead.purge(9).unwrap(), 1);
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.max_attempts, group.dead_letters.as_deref()), (Some(1), Some(&*target)));
}

#[test]
fn a_queue_whose_letters_would_have_no_name_says_so_at_once() {
    let name = TempName::long(198);
    let queue = Queue::builder(&name).capacity(8).create().unwrap();
    let refused = queue.add_group(work());
    assert!(matches!(refused, Err(AddGroupError::Group(GroupError::DeadLetterName { .. }))));
    queue.add_group(work().unlimited_attempts()).unwrap();
}

#[test]
fn a_typed_consumer_is_not_shown_what_is_not_of_its_type() {
    let name = TempName::new("typed-retry");
    let others = related_queues(&name);
    let shape = Queue::builder(&name).capacity(8).message::<Pair>().group(work());
    let queue = shape.create().unwrap();
    let pair = Pair { left: 1, right: 2 };
    queue.producer().unwrap().send(&pair).unwrap();
    let mut member = queue.consumer(work()).unwrap();
    member.recv().unwrap().reject().unwrap();
    requeue(&name);
    let retries = Queue::open(&others[1]).unwrap();
    retries.producer().unwrap().send("no").unwrap();
    let message = member.try_recv().unwrap();
    assert_eq!((&*message, message.sequence()), (&pair, 0));
    message.ack().unwrap();
    assert!(there(member.try_recv()).is_none());
    assert_eq!(letters(&name).len(), 1, "what was none of its type");
}

#[test]
fn dead_letters_do_not_come_back_to_where_they_come_from() {
    let name = TempName::new("loop");
    let queue = Queue::builder(&name).capacity(8).create().unwrap();
    for target in [name.to_string(), format!("{}.work.retry", &*name)] {
        let fault = queue.add_group(work().dead_letters_to(target.as_str())).unwrap_err();
        let AddGroupError::Group(GroupError::DeadLetterLoop { target: named, .. }) = fault else {
            panic!("{fault}")
        };
        assert_eq!(named, target);
    }
}

#[test]
fn the_largest_messages_can_be_given_up_as_well() {
    let name = TempName::new("largest");
    let _others = related_queues(&name);
    let shape = Queue::builder(&name).capacity(1).payload_size(1 << 24).group(work());
    let queue = shape.create().unwrap();
    queue.producer().unwrap().send(&vec![7; 1 << 24]).unwrap();
    queue.consumer(work()).unwrap().recv().unwrap().reject().unwrap();
    assert_eq!(letters(&name), [(0, 1, Reason::Rejected)]);
}

#[test]
fn letters_go_into_no_queue_that_is_there_for_something_else() {
    let name = TempName::new("other-use");
    let [dead, ..] = related_queues(&name);
    let queue =
        Queue::builder(&name).capacity(8).group(work().unlimited_attempts()).create().unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    let mut member = queue.consumer(work()).unwrap();
    let mut reject = || member.try_recv().unwrap().reject();
    let not_for_letters = |refused: Result<(), RejectError>| {
        let fault = refused.unwrap_err();
        assert!(fault.to_string().contains(&format!("{:?} carries", &*dead)), "{fault}");
        let RejectError::DeadLetter(fault) = fault else { panic!("{fault}") };
        assert!(matches!(fault.reason(), DeadLetterSendError::NotForLetters { .. }), "{fault}");
        let look = OpenOptions::new().snapshot(&dead).unwrap();
        assert!(look.groups.iter().all(|group| group.name != "dead"));
        slipring::remove(&dead).unwrap();
        look.tail
    };
    let other = || Queue::builder(&dead).payload_size(512);
    // Messages of another use, with and without consumers; a named purpose; a type.
    let used = other().create().unwrap();
    used.producer().unwrap().send("other").unwrap();
    assert_eq!(not_for_letters(reject()), 1);
    other().group("readers").create().unwrap();
    assert_eq!(not_for_letters(reject()), 0);
    other().schema_name("orders").create().unwrap();
    assert_eq!(not_for_letters(reject()), 0);
    other().message::<Pair>().create().unwrap();
    assert_eq!(not_for_letters(reject()), 0);
    // A queue that was made beforehand may be new, or have the group.
    other().create().unwrap();
    reject().unwrap();
    assert_eq!(letters(&name).len(), 1);
    slipring::force_remove(&dead).unwrap();
    queue.producer().unwrap().send("bad").unwrap();
    other().schema_name("graves").group("dead").group("readers").create().unwrap();
    reject().unwrap();
    assert_eq!(letters(&name).len(), 1);
}
