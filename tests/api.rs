//! What a user of the library relies on, within one process.

mod common;

use std::time::Duration;

use common::{TempName, there};
use slipring::{
    CreateError, ErrorCode, Full, Group, JoinError, ProducerError, Queue, RecvError,
    RemoveGroupError, Retention, SendError, Start,
};

fn pids(full: &Full) -> Vec<Option<u32>> {
    full.pids().collect()
}

#[test]
fn messages_arrive_in_order_with_their_kinds() {
    let name = TempName::new("order");
    let queue = Queue::builder(&name).capacity(4).payload_size(16).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    for round in 0..10u32 {
        for i in 0..4u32 {
            let text = format!("{}", round * 4 + i);
            let seq = producer.try_send((i, text.as_bytes())).unwrap();
            assert_eq!(seq, u64::from(round * 4 + i));
        }
        let batch = consumer.try_recv_batch(100).unwrap();
        assert_eq!(batch.len(), 4);
        for (i, message) in (0u32..).zip(&batch) {
            assert_eq!(message.kind(), i);
            assert_eq!(&*message, format!("{}", round * 4 + i).as_bytes());
            assert!(!message.redelivered());
        }
        batch.ack().unwrap();
    }
    assert!(there(consumer.try_recv_batch(1)).is_none());
}

#[test]
fn a_full_queue_names_its_group_and_consumer() {
    let name = TempName::new("full");
    let queue = Queue::builder(&name).capacity(2).group("slow").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.try_send("a").unwrap();
    producer.try_send("b").unwrap();
    let Err(SendError::Full(full)) = producer.try_send("c") else { panic!("there was room") };
    assert_eq!((full.group(), full.sequence(), pids(&full)), ("slow", 0, vec![]));
    let mut consumer = queue.consumer("slow").unwrap();
    let Err(SendError::Timeout(full)) = producer.send_timeout("c", Duration::from_millis(5)) else {
        panic!("there was room")
    };
    assert_eq!(pids(&full), [Some(std::process::id())]);
    consumer.recv().unwrap().ack().unwrap();
    assert_eq!(producer.try_send("c").unwrap(), 2);
}

#[test]
fn a_queue_that_is_full_again_names_the_consumer_that_came_meanwhile() {
    let name = TempName::new("full-again");
    let queue = Queue::builder(&name).capacity(2).group("slow").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["a", "b"]).unwrap();
    let Err(SendError::Full(full)) = producer.try_send("c") else { panic!("there was room") };
    assert_eq!(pids(&full), []);
    let mut consumer = queue.consumer("slow").unwrap();
    consumer.recv().unwrap().ack().unwrap();
    producer.try_send("c").unwrap();
    let Err(SendError::Full(full)) = producer.try_send("d") else { panic!("there was room") };
    assert_eq!((full.sequence(), pids(&full)), (1, vec![Some(std::process::id())]));
}

#[test]
fn where_attempts_have_a_limit_redelivery_is_one_at_a_time_and_counted() {
    let name = TempName::new("again");
    let group = Group::named("g").max_attempts(9);
    let queue = Queue::builder(&name).capacity(8).group(group).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1", "2", "3"]).unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut batch = consumer.recv_batch(3).unwrap();
    batch.ack_first().unwrap();
    drop(batch);
    for (attempt, handle) in [(2, 0), (3, 1)] {
        if handle == 1 {
            drop(consumer);
            consumer = queue.consumer("g").unwrap();
            assert!(consumer.resumed());
        }
        let batch = consumer.recv_batch(10).unwrap();
        assert_eq!(batch.len(), 1);
        let message = batch.first().unwrap();
        assert_eq!((message.sequence(), message.attempts()), (1, attempt));
        drop(batch);
    }
    let again: Vec<_> = (0..3)
        .map(|_| {
            let message = consumer.recv().unwrap();
            let seen = (message.sequence(), message.attempts());
            message.ack().unwrap();
            seen
        })
        .collect();
    assert_eq!(again, [(1, 4), (2, 2), (3, 1)]);
}

#[test]
fn roles_exclude_each_other_and_name_the_holder() {
    let name = TempName::new("roles");
    let queue = Queue::builder(&name).capacity(2).create().unwrap();
    let other = Queue::open(&name).unwrap();
    let producer = queue.producer().unwrap();
    let me = std::process::id();
    assert!(matches!(other.producer(), Err(ProducerError::Taken { pid, .. }) if pid == Some(me)));
    let consumer = queue.consumer("g").unwrap();
    assert!(matches!(other.consumer("g"), Err(JoinError::Taken { pid, .. }) if pid == Some(me)));
    assert!(matches!(other.remove_group("g"), Err(RemoveGroupError::Busy { .. })));
    drop((producer, consumer));
    other.producer().unwrap();
    other.consumer("g").unwrap();
    other.remove_group("g").unwrap();
    assert!(matches!(other.remove_group("g"), Err(RemoveGroupError::NotFound { .. })));
}

#[test]
fn a_group_that_releases_goes_with_its_last_member() {
    let name = TempName::new("release");
    let queue = Queue::builder(&name).capacity(2).create().unwrap();
    let group = Group::named("brief").retention(Retention::Release).start(Start::Newest);
    let consumer = queue.consumer(&group).unwrap();
    assert_eq!(queue.snapshot().unwrap().groups.len(), 1);
    drop(consumer);
    assert_eq!(queue.snapshot().unwrap().groups.len(), 0);
}

#[test]
fn an_observer_counts_exactly_what_it_missed() {
    let name = TempName::new("observer");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let mut seen = 0;
    for burst in [1u64, 4, 9, 2, 30] {
        for _ in 0..burst {
            producer.send("x").unwrap();
        }
        let mut missed = 0;
        while let Some(message) = there(observer.try_recv()) {
            seen += 1;
            missed += message.missed();
        }
        assert_eq!(missed, burst.saturating_sub(4));
        assert_eq!(seen + observer.missed(), producer.sequence());
    }
}

#[test]
fn a_reservation_publishes_only_when_told() {
    let name = TempName::new("reserve");
    let queue = Queue::builder(&name).capacity(4).payload_size(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut reservation = producer.try_reserve(3).unwrap();
    reservation.bytes_mut(0).unwrap()[..2].copy_from_slice(b"no");
    drop(reservation);
    assert!(there(consumer.try_recv()).is_none());
    let mut reservation = producer.try_reserve(3).unwrap();
    for i in 0..3 {
        reservation.bytes_mut(i).unwrap()[0] = i as u8;
        assert!(reservation.set_len(i, 1) && reservation.set_kind(i, 7));
    }
    assert!(!reservation.set_len(0, 9) && reservation.bytes_mut(3).is_none());
    assert_eq!(reservation.publish_first(2), 0);
    let batch = consumer.try_recv_batch(9).unwrap();
    let seen: Vec<_> = batch.iter().map(|m| (m.kind(), m.to_vec())).collect();
    assert_eq!(seen, [(7, vec![0]), (7, vec![1])]);
    batch.ack().unwrap();
    assert!(matches!(producer.try_reserve(5), Err(SendError::TooMany { capacity: 4, .. })));
}

#[test]
fn a_snapshot_counts_what_was_published_before_the_tail_followed() {
    let name = TempName::new("walk");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let mut producer = queue.producer().unwrap();
    // A batch moves the tail once, at its end; here a consumer checks before each message.
    let messages = (0..4).map(|i| {
        assert_eq!(queue.snapshot().unwrap().tail, i);
        "x"
    });
    producer.send_batch(messages).unwrap();
    assert_eq!(queue.snapshot().unwrap().tail, 4);
}

#[test]
fn a_removed_queue_is_noticed() {
    let name = TempName::new("removed");
    let queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    producer.try_send("last").unwrap();
    assert!(slipring::remove(&name).is_err());
    slipring::force_remove(&name).unwrap();
    assert!(matches!(producer.send("never"), Err(SendError::Removed { .. })));
    consumer.recv().unwrap().ack().unwrap();
    assert!(matches!(consumer.recv(), Err(RecvError::Removed { .. })));
    assert!(queue.producer().is_err());
}

#[test]
fn sequences_end_before_the_reserved_one() {
    // The second one has more room than there are sequences.
    for capacity in [4, 64] {
        let name = TempName::new("end");
        let last = (1 << 56) - 2;
        let queue = Queue::builder(&name).capacity(capacity).base_sequence(last - 5).group("g");
        let queue = queue.create().unwrap();
        let mut producer = queue.producer().unwrap();
        let mut consumer = queue.consumer("g").unwrap();
        for seq in last - 5..=last {
            assert_eq!(producer.try_send("x").unwrap(), seq);
            let message = consumer.recv().unwrap();
            assert_eq!(message.sequence(), seq);
            message.ack().unwrap();
        }
        assert!(matches!(producer.try_send("x"), Err(SendError::Exhausted { .. })));
        assert!(matches!(producer.send("x"), Err(SendError::Exhausted { .. })));
        assert!(there(consumer.try_recv()).is_none());
    }
}

#[test]
fn a_queue_whose_groups_cannot_be_declared_is_not_made() {
    let name = TempName::new("declare");
    let refuse = |builder: slipring::Builder| {
        let error = builder.create().unwrap_err();
        let refused = matches!(error, CreateError::Group(_) | CreateError::GroupTwice { .. });
        assert!(refused, "{error}");
        assert!(!name.path().exists());
    };
    let builder = Queue::builder(&name).max_groups(2);
    refuse(builder.clone().group("a").group("a"));
    refuse(builder.clone().group("a").group("b").group("c"));
    refuse(builder.group(Group::named("a").start(Start::Sequence(1))));
}

#[test]
fn a_batch_that_just_fits_does_not_wait_for_more_room() {
    let name = TempName::new("fits");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    assert_eq!(producer.send_batch(["0", "1", "2", "3"]).unwrap(), 4);
    assert_eq!(producer.send_batch(std::iter::empty::<&str>()).unwrap(), 0);
}

#[test]
fn messages_sent_before_the_callers_iterator_panics_stay_sent() {
    let name = TempName::new("panic");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let panics = ["0"].into_iter().chain(std::iter::once_with(|| panic!("the caller's")));
    let caught =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| producer.send_batch(panics)));
    assert!(caught.is_err());
    assert_eq!(producer.try_send("1").unwrap(), 1);
    let mut consumer = queue.consumer("g").unwrap();
    let batch = consumer.recv_batch(9).unwrap();
    let seen: Vec<_> = batch.iter().map(|message| message.to_vec()).collect();
    assert_eq!(seen, [b"0", b"1"]);
}

#[test]
fn an_observer_may_be_told_to_wait_for_the_end_of_all_sequences() {
    let name = TempName::new("future");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    queue.producer().unwrap().send("x").unwrap();
    let mut observer = queue.observer(Start::Sequence(u64::MAX)).unwrap();
    assert!(there(observer.try_recv()).is_none());
    assert_eq!(observer.missed(), 0);
}

#[test]
fn a_releasing_group_that_nobody_joined_yet_keeps_its_messages() {
    let name = TempName::new("declared");
    let group = Group::named("later").retention(Retention::Release);
    let queue = Queue::builder(&name).capacity(2).group(&group).create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1"]).unwrap();
    assert!(matches!(producer.try_send("2"), Err(SendError::Full(_))));
    let mut consumer = queue.consumer(&group).unwrap();
    assert_eq!(&*consumer.recv().unwrap(), b"0");
}

#[test]
fn a_releasing_group_that_takes_an_old_ones_place_keeps_its_messages() {
    let name = TempName::new("declared-again");
    let group = Group::named("later").retention(Retention::Release);
    let queue = Queue::builder(&name).capacity(2).max_groups(1).group(&group).create().unwrap();
    // Gone with its last member.
    drop(queue.consumer(&group).unwrap());
    queue.add_group(&group).unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["0", "1"]).unwrap();
    assert!(matches!(producer.try_send("2"), Err(SendError::Full(_))));
    assert_eq!(&*queue.consumer(&group).unwrap().recv().unwrap(), b"0");
}

#[test]
fn a_group_that_takes_an_old_ones_place_counts_from_nothing() {
    let name = TempName::new("counts-again");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let queue = Queue::builder(&name).capacity(2).max_groups(1).group("old").create().unwrap();
    queue.producer().unwrap().send("0").unwrap();
    queue.consumer("old").unwrap().recv().unwrap().reject().unwrap();
    let counted = || {
        let groups = queue.snapshot().unwrap().groups;
        (groups[0].acked, groups[0].redelivered, groups[0].dead_lettered)
    };
    assert_eq!(counted(), (1, 0, 1));
    queue.remove_group("old").unwrap();
    queue.add_group("new").unwrap();
    assert_eq!(counted(), (0, 0, 0));
}

#[test]
fn a_pipe_in_the_place_of_a_queue_is_refused_at_once() {
    let name = TempName::new("pipe");
    let made = std::process::Command::new("mkfifo").arg(name.path()).status().unwrap();
    assert!(made.success());
    let refused = |error| matches!(error, slipring::OpenError::NotAQueue { .. });
    assert!(refused(Queue::open(&name).unwrap_err()));
    assert!(refused(slipring::OpenOptions::new().snapshot(&name).unwrap_err()));
}

#[test]
fn a_builder_of_bytes_is_cloned() {
    let name = TempName::new("clone");
    let shape = Queue::builder(&name).capacity(8).payload_size(20).group("g");
    let queue = shape.clone().create().unwrap();
    assert_eq!((queue.capacity(), queue.payload_size()), (8, 20));
    assert!(matches!(shape.create(), Err(CreateError::Exists { .. })));
}

#[test]
fn a_full_queue_names_the_group_that_has_the_place_now() {
    let name = TempName::new("renamed");
    let queue = Queue::builder(&name).capacity(1).group("before").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.try_send("0").unwrap();
    for holder in ["before", "after"] {
        if holder == "after" {
            queue.force_remove_group("before").unwrap();
            queue.add_group("after").unwrap();
        }
        let Err(SendError::Full(full)) = producer.try_send("1") else { panic!("there was room") };
        assert_eq!(full.group(), holder);
    }
}

#[test]
fn a_queue_that_was_there_tells_what_it_has_otherwise() {
    let name = TempName::new("shape");
    let there = Queue::builder(&name).capacity(50).payload_size(8).group("g").spare_cells(3);
    there.create().unwrap();
    let same = there.open_or_create().unwrap();
    assert_eq!(there.differences(&same).unwrap(), []);
    // What was not asked for is no difference.
    assert_eq!(Queue::builder(&name).differences(&same).unwrap(), []);
    let other = Queue::builder(&name).capacity(128).payload_size(8).permissions(0o660);
    let other = other.group(Group::named("g").shared()).group("h").spare_cells(8);
    let queue = other.open_or_create().unwrap();
    let told: Vec<String> =
        other.differences(&queue).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "its capacity is 64, not 128",
            "its number of places in flight is 3, not 8",
            "its mode is 600, not 660",
            "its group \"g\" is exclusive, not shared",
            "it has no group \"h\"",
        ]
    );
}

#[test]
fn a_group_says_where_it_began_however_far_it_is() {
    let name = TempName::new("began");
    let shape = Queue::builder(&name).capacity(4).base_sequence(100).group("all");
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["a", "b", "c"]).unwrap();
    queue.add_group(Group::named("new").start(Start::Newest)).unwrap();
    queue.add_group(Group::named("asked").start(Start::Sequence(101))).unwrap();
    let mut all = queue.consumer("all").unwrap();
    for _ in 0..2 {
        all.recv().unwrap().ack().unwrap();
    }
    let groups = queue.snapshot().unwrap().groups;
    let began: Vec<_> = groups.iter().map(|g| (g.name.as_str(), g.began, g.head)).collect();
    assert_eq!(began, [("all", 100, 102), ("new", 103, 103), ("asked", 101, 101)]);
}

#[test]
fn handles_know_their_names() {
    let name = TempName::new("names");
    let queue = Queue::builder(&name).group("store").create().unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer("store").unwrap());
    let observer = queue.observer(Start::Oldest).unwrap();
    let names = [producer.queue_name(), consumer.queue_name(), observer.queue_name()];
    assert_eq!(names, [&*name; 3]);
    assert_eq!(consumer.group_name(), "store");
}

#[test]
fn free_slots_are_those_that_can_be_sent_without_waiting() {
    let name = TempName::new("free-slots");
    let queue = Queue::builder(&name).capacity(16).create().unwrap();
    let mut producer = queue.producer().unwrap();
    assert_eq!(producer.free_slots(), 16);
    for _ in 0..20 {
        producer.try_send("x").unwrap();
    }
    // They wait for no group.
    assert_eq!(producer.free_slots(), 16);
    let shared = || Group::named("shared").shared();
    queue.add_group(shared().start(Start::Newest)).unwrap();
    let mut exclusive = queue.consumer(Group::named("g").start(Start::Newest)).unwrap();
    let (mut first, mut second) = (queue.consumer(shared()), queue.consumer(shared()));
    let (first, second) = (first.as_mut().unwrap(), second.as_mut().unwrap());
    producer.send_batch(["x"; 10]).unwrap();
    assert_eq!(producer.free_slots(), 6);
    exclusive.recv_batch(10).unwrap().ack().unwrap();
    let mut held = first.recv_batch(3).unwrap();
    second.recv_batch(7).unwrap().ack().unwrap();
    assert_eq!(producer.free_slots(), 6, "what a member holds keeps all behind it");
    held.ack_first().unwrap();
    assert_eq!(producer.free_slots(), 7);
    held.ack().unwrap();
    assert_eq!(producer.free_slots(), 16);
    for left in (0..16).rev() {
        producer.try_send("x").unwrap();
        assert_eq!(producer.free_slots(), left);
    }
    assert!(matches!(producer.try_send("x"), Err(SendError::Full(_))));
}

#[test]
fn depth_is_what_waits_for_a_group() {
    let name = TempName::new("depth");
    let shared = || Group::named("shared").shared();
    let queue = Queue::builder(&name).capacity(16).group("g").group(shared()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let (mut exclusive, mut first) =
        (queue.consumer("g").unwrap(), queue.consumer(shared()).unwrap());
    let second = queue.consumer(shared()).unwrap();
    assert_eq!((exclusive.depth(), second.depth()), (0, 0));
    producer.send_batch(["x"; 10]).unwrap();
    assert_eq!((exclusive.depth(), second.depth()), (10, 10));
    let mut batch = exclusive.recv_batch(4).unwrap();
    batch.ack_first().unwrap();
    drop(batch);
    // Redelivered messages wait, too.
    assert_eq!(exclusive.depth(), 9);
    let held = first.recv_batch(4).unwrap();
    // It does not wait for other messages than the one in it.
    assert_eq!(second.depth(), 6);
    assert_eq!(queue.snapshot().unwrap().groups.iter().map(|g| g.depth).max(), Some(10));
    held.ack().unwrap();
    assert_eq!((first.depth(), second.depth()), (6, 6));
}

#[test]
fn a_group_that_is_to_exist_is_joined_and_not_made() {
    let name = TempName::new("existing");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let join = |group: &str| queue.consumer(Group::named(group).existing());
    let alone = join("audit").unwrap_err().to_string();
    assert!(alone.contains("it has no groups"), "{alone}");
    queue.add_group("audit").unwrap();
    queue.add_group(Group::named("store").existing()).unwrap();
    let fault = join("adit").unwrap_err();
    assert_eq!(fault.code(), ErrorCode::NoSuchGroup);
    let text = fault.to_string();
    assert!(text.contains(&*name) && text.contains("no group \"adit\""), "{text}");
    assert!(text.contains("it has \"audit\", \"store\""), "{text}");
    let JoinError::NoSuchGroup { known, .. } = fault else { panic!("{text}") };
    assert_eq!(known.as_slice(), ["audit", "store"]);
    // Nothing is made; an existing group is joined.
    let groups = queue.snapshot().unwrap().groups;
    assert_eq!(groups.iter().map(|group| &*group.name).collect::<Vec<_>>(), ["audit", "store"]);
    assert!(!join("audit").unwrap().made_group());
}

#[test]
fn a_receive_of_at_most_0_messages_is_one_of_1() {
    let name = TempName::new("at-most-0");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    assert!(matches!(consumer.try_recv_batch(0), Err(RecvError::Empty)));
    producer.send_batch(["a", "b", "c", "d"]).unwrap();
    for _ in 0..2 {
        let mut batch = consumer.try_recv_batch(0).unwrap();
        assert_eq!((batch.len(), batch.grow(0).unwrap()), (1, 0));
        batch.ack().unwrap();
        let batch = consumer.recv_batch(0).unwrap();
        assert_eq!(batch.len(), 1);
        batch.ack().unwrap();
    }
}
