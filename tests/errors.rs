//! What errors say: which queue, and everything once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::error::Error;
use std::time::Duration;

use common::TempName;
use slipring::{
    AckError, AckReason, AddGroupError, AttachError, CreateError, DeadLetterSendError, DeadLetters,
    ErrorCode, Group, GroupError, JoinError, OpenError, OpenOptions, OpenOrCreateError,
    ProducerError, Queue, RecvError, RejectError, RemoveError, RemoveGroupError, RequeueError,
    Select, SelectError, SendBatchError, SendError, Start,
};

const SOON: Duration = Duration::from_millis(1);

slipring::message! { struct Order { id: u64 } }

/// An error that has a queue.
trait Named: Error {
    fn named(&self) -> Option<&str>;
}

macro_rules! named {
    ($($error:ty)*) => {$(
        impl Named for $error {
            fn named(&self) -> Option<&str> {
                self.queue()
            }
        }
    )*};
}

named! {
    AddGroupError AttachError CreateError JoinError OpenError OpenOrCreateError ProducerError RecvError RejectError
    RemoveError RemoveGroupError RequeueError SelectError SendBatchError SendError
}

impl Named for AckError {
    fn named(&self) -> Option<&str> {
        Some(self.queue())
    }
}

/// Checks that it names the queue, and that its whole chain says nothing twice.
#[track_caller]
fn complete(fault: impl Named, queue: &str) {
    let text = fault.to_string();
    assert_eq!(fault.named(), Some(queue), "{text}");
    assert!(text.contains(&format!("{queue:?}")), "{text}");
    assert_eq!(text.matches(&format!("{queue:?}")).count(), 1, "{text}");
    let mut said = vec![text];
    for source in std::iter::successors(fault.source(), |fault| (*fault).source()) {
        let text = source.to_string();
        assert!(!said.iter().any(|said| said.contains(&text)), "{said:?} / {text}");
        said.push(text);
    }
}

#[track_caller]
fn failed<T, E>(outcome: Result<T, E>) -> E {
    outcome.map(drop).expect_err("it should have failed")
}

#[test]
fn a_queue_that_cannot_be_made_is_named() {
    let name = TempName::new("unmade");
    let create = |change: fn(slipring::Builder) -> slipring::Builder| {
        failed(change(Queue::builder(&name)).create())
    };
    complete(create(|new| new.capacity(0)), &name);
    complete(create(|new| new.payload_size(0)), &name);
    complete(create(|new| new.schema_name(&"x".repeat(200))), &name);
    complete(create(|new| new.permissions(0o400)), &name);
    complete(create(|new| new.group("g").group("g")), &name);
    complete(create(|new| new.capacity(1 << 24).payload_size(1 << 24)), &name);
    let queue = Queue::builder(&name).create().unwrap();
    complete(create(|new| new), &name);
    complete(failed(Queue::builder(&name).message::<Order>().open_or_create()), &name);
    drop(queue);
}

#[test]
fn a_queue_that_cannot_be_opened_or_removed_is_named() {
    let name = TempName::new("unopened");
    complete(failed(Queue::open(&name)), &name);
    complete(failed(OpenOptions::new().snapshot(&name)), &name);
    complete(failed(slipring::remove(&name)), &name);
    std::fs::write(name.path(), "something else").unwrap();
    complete(failed(Queue::open(&name)), &name);
    std::fs::remove_file(name.path()).unwrap();
    // A directory: the kernel refuses to open it as a queue.
    std::fs::create_dir(name.path()).unwrap();
    let fault = failed(Queue::open(&name));
    assert!(matches!(&fault, OpenError::System(system) if system.queue() == Some(&*name)));
    complete(fault, &name);
    std::fs::remove_dir(name.path()).unwrap();
    let queue = Queue::builder(&name).group("g").create().unwrap();
    complete(failed(Queue::open_typed::<Order>(&name)), &name);
    let producer = queue.producer().unwrap();
    complete(failed(slipring::remove(&name)), &name);
    drop(producer);
}

#[test]
fn a_role_that_cannot_be_had_names_its_queue() {
    let name = TempName::new("unjoined");
    let new = Queue::builder(&name).max_groups(2).max_consumers(1).group("g");
    let queue = new.group(Group::named("s").shared()).create().unwrap();
    let _producer = queue.producer().unwrap();
    complete(failed(queue.producer()), &name);
    let consumer = queue.consumer("g").unwrap();
    complete(failed(queue.consumer("g")), &name);
    complete(failed(queue.remove_group("g")), &name);
    complete(failed(queue.remove_group("h")), &name);
    complete(failed(queue.add_group("g")), &name);
    complete(failed(queue.add_group("h")), &name);
    complete(failed(queue.consumer(Group::named("s").shared())), &name);
    complete(failed(queue.consumer(Group::named("h").existing())), &name);
    drop(consumer);
    let fault = failed(queue.consumer("s"));
    assert!(fault.to_string().contains("is shared, not exclusive"), "{fault}");
    assert!(fault.to_string().contains("Group::shared"), "{fault}");
    complete(fault, &name);
    complete(failed(queue.consumer(Group::named("g").shared())), &name);
    queue.remove_group("g").unwrap();
    complete(failed(queue.add_group(Group::named("g").start(Start::Sequence(1)))), &name);
    let fault = failed(queue.add_group(Group::named("g").dead_letters_to(&*name)));
    assert!(matches!(fault, AddGroupError::Group(GroupError::DeadLetterLoop { .. })), "{fault}");
    slipring::force_remove(&name).unwrap();
    complete(failed(queue.consumer("g")), &name);
    complete(failed(queue.snapshot()), &name);
}

#[test]
fn a_limit_of_attempts_is_1_to_254_or_none() {
    let name = TempName::new("attempts");
    let queue = Queue::builder(&name).group("there").create().unwrap();
    for asked in [0, 255] {
        let group = |name: &str| Group::named(name).max_attempts(asked);
        let refused = |fault: &GroupError| matches!(fault, GroupError::MaxAttempts { asked: n, .. } if *n == asked);
        let other = format!("{}.other", &*name);
        let fault = failed(Queue::builder(&other).group(group("g")).create());
        assert!(matches!(&fault, CreateError::Group(fault) if refused(fault)), "{fault}");
        complete(fault, &other);
        let fault = failed(queue.add_group(group("g")));
        assert!(matches!(&fault, AddGroupError::Group(fault) if refused(fault)), "{fault}");
        assert!(fault.to_string().contains("1 to 254, or Group::unlimited_attempts"), "{fault}");
        assert_eq!(fault.code(), ErrorCode::BadMaxAttempts);
        complete(fault, &name);
        let fault = failed(queue.consumer(group("there")));
        assert!(matches!(&fault, JoinError::Group(fault) if refused(fault)), "{fault}");
    }
    let limits = |group: Group| {
        queue.add_group(&group).unwrap();
        queue.snapshot().unwrap().groups.last().unwrap().max_attempts
    };
    assert_eq!(limits(Group::named("a").max_attempts(1)), Some(1));
    assert_eq!(limits(Group::named("b").shared().max_attempts(254)), Some(254));
    assert_eq!(limits(Group::named("c").shared().unlimited_attempts()), None);
    assert_eq!(limits(Group::named("d").shared()), Some(5));
    assert_eq!(limits(Group::named("e")), None);
}

#[test]
fn a_message_that_cannot_be_sent_names_its_queue() {
    let name = TempName::new("unsent");
    let shape = Queue::builder(&name).capacity(2).payload_size(8).group("g");
    let queue = shape.clone().create().unwrap();
    let mut producer = queue.producer().unwrap();
    complete(failed(producer.try_send(&[0; 9])), &name);
    complete(failed(producer.try_reserve(3)), &name);
    let fault = failed(producer.send_batch_timeout(["a", "b", "c"], SOON));
    assert_eq!(fault.sent(), 2);
    complete(fault, &name);
    let fault = failed(producer.try_send("c"));
    assert!(matches!(&fault, SendError::Full(full) if full.queue() == &*name), "{fault}");
    complete(fault, &name);
    complete(failed(producer.send_timeout("c", SOON)), &name);
    slipring::force_remove(&name).unwrap();
    complete(failed(producer.send("c")), &name);
    drop(producer);
    let unread = shape.clone().create().unwrap();
    unread.producer().unwrap().send("a").unwrap();
    complete(failed(unread.remove_group("g")), &name);
    complete(failed(slipring::remove(&name)), &name);
    slipring::force_remove(&name).unwrap();
    let queue = shape.base_sequence((1 << 56) - 2).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let fault = (0..3).find_map(|_| producer.try_send("d").err()).unwrap();
    assert!(matches!(fault, SendError::Exhausted { .. }), "{fault}");
    complete(fault, &name);
    drop(producer);
    slipring::force_remove(&name).unwrap();
    let queue = Queue::builder(&name).message::<Order>().create().unwrap();
    drop(queue);
    let queue = Queue::open(&name).unwrap();
    complete(failed(queue.producer().unwrap().try_send("short")), &name);
}

#[test]
fn what_cannot_be_received_names_its_queue() {
    let name = TempName::new("unreceived");
    let queue = Queue::builder(&name).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    complete(failed(consumer.recv_timeout(SOON)), &name);
    complete(failed(observer.recv_timeout(SOON)), &name);
    let mut producer = queue.producer().unwrap();
    producer.send("one").unwrap();
    let mut batch = consumer.recv_batch(8).unwrap();
    let fault = failed(batch.ack_through(7));
    assert_eq!(fault.queue(), &*name);
    let AckReason::NotInBatch { queue: of, sequence, batch: left } = fault.reason() else {
        panic!("{fault}")
    };
    assert_eq!((&**of, *sequence, left), (&*name, 7, &(0..1)));
    assert!(fault.to_string().contains("(0 to 0)"), "{fault}");
    complete(fault, &name);
    complete(failed(batch.reject(7)), &name);
    batch.ack_first().unwrap();
    let fault = failed(batch.ack_one(0));
    assert!(fault.to_string().contains("(all of it is acked)"), "{fault}");
    complete(fault, &name);
    // Every ack returns one.
    assert_eq!(size_of::<Result<(), AckError>>(), size_of::<usize>());
    batch.ack().unwrap();
    drop(producer);
    consumer.set_notice_producer_gone(true);
    let fault = failed(consumer.recv());
    assert!(matches!(fault, RecvError::ProducerGone { .. }), "{fault}");
    complete(fault, &name);
    queue.producer().unwrap().close().unwrap();
    complete(failed(consumer.recv()), &name);
    observer.try_recv().unwrap();
    complete(failed(observer.recv()), &name);
    consumer.set_follow(true);
    consumer.set_notice_producer_gone(false);
    let mut select = Select::new();
    select.add(consumer);
    slipring::force_remove(&name).unwrap();
    complete(failed(select.recv()), &name);
}

#[test]
fn a_letter_that_cannot_be_sent_names_both_queues() {
    let name = TempName::new("unsent-letter");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    let queue = Queue::builder(&name).group(Group::named("g").shared()).create().unwrap();
    Queue::builder(&letters).group("dead").create().unwrap();
    queue.producer().unwrap().send("one").unwrap();
    let mut consumer = queue.consumer(Group::named("g").shared()).unwrap();
    // The dead-letter queue has no room for the envelope.
    let fault = failed(consumer.recv().unwrap().reject());
    complete(fault, &name);
    assert_eq!(consumer.try_recv().unwrap().sequence(), 0);
    let dead = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
    dead.queue().producer().unwrap().send("no letter").unwrap();
    complete(failed(dead.requeue(1)), &letters);

    #[derive(Debug, thiserror::Error)]
    #[error("no disk")]
    struct Handler {
        source: std::io::Error,
    }
    consumer.on_dead_letter(|_| Err(Handler { source: std::io::Error::other("it burns") }));
    let fault = failed(consumer.recv().unwrap().reject());
    assert!(fault.to_string().contains("no disk: it burns"), "{fault}");
    complete(fault, &name);
    let refused = DeadLetterSendError::Refused("by itself".into());
    assert!(refused.source().is_none() && refused.to_string().ends_with("by itself"));
}

/// The rule holds for every text of the library's errors, even for those that no test can cause.
#[test]
fn every_text_of_an_error_names_its_queue() {
    // About no queue, about several, or only the text of another error.
    let others = [
        "use 1 to {max}",
        "About(",
        "any queue",
        "all queues",
        "no message now",
        "Whole(",
        "{reason}",
        "{0}",
    ];
    let mut texts = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/error")).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        // thiserror takes a field of that name for a source.
        for field in ["#[source]", " source:"] {
            assert!(!source.contains(field), "a cause is part of the text: see src/error/mod.rs");
        }
        for text in source.split("#[error(").skip(1) {
            let text = text.split(")]").next().unwrap();
            texts += 1;
            let named = text.contains("{queue:?}") || text == "transparent";
            assert!(named || others.iter().any(|other| text.contains(other)), "{text}");
        }
    }
    assert!(texts > 60, "only {texts} found");
}

/// A program that holds the role itself is not told to end a process.
#[test]
fn a_role_that_this_process_holds_is_told_so() {
    let name = TempName::new("own-role");
    let queue = Queue::builder(&name).group("g").create().unwrap();
    let said = |fault: &dyn Error, expected: &str| {
        let text = fault.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("end ") && !text.contains("recorded"), "{text}");
    };
    let producer = queue.producer().unwrap();
    let fault = failed(queue.producer());
    assert!(matches!(fault, ProducerError::Taken { own: true, .. }), "{fault}");
    said(&fault, "in this process");
    said(&failed(slipring::remove(&name)), "is in use by this process: drop its handles first");
    drop(producer);
    let consumer = queue.consumer("g").unwrap();
    let fault = failed(queue.consumer("g"));
    assert!(matches!(fault, JoinError::Taken { own: true, .. }), "{fault}");
    said(&fault, "in this process: drop that consumer first");
    let fault = failed(queue.remove_group("g"));
    let RemoveGroupError::Busy { pids, .. } = &fault else { panic!("{fault}") };
    assert!(pids.has_own() && pids.as_slice() == [Some(std::process::id())]);
    said(&fault, "has live members in this process: drop its handles first");
    said(&failed(slipring::remove(&name)), "is in use by this process: drop its handles first");
    drop(consumer);
    slipring::remove(&name).unwrap();
}
