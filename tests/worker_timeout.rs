//! The time that jobs have: what changes it, and what comes after it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{TempName, there};
use nix::time::{ClockId, clock_gettime};
use slipring::{
    AckTimeoutError, ErrorCode, Group, GroupError, Job, JobError, Queue, RecvError, Worker,
};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn queue(name: &str, group: Group) -> Queue {
    Queue::builder(name).capacity(8).payload_size(32).group(group).create().unwrap()
}

fn work() -> Group {
    Group::named("work").shared().in_flight(8)
}

fn ack_timeout(queue: &Queue) -> Option<Duration> {
    queue.snapshot().unwrap().groups[0].in_flight.as_ref().unwrap().ack_timeout
}

#[test]
fn a_group_gets_an_ack_timeout_for_what_is_received_later() {
    let name = TempName::new("set-timeout");
    let queue = queue(&name, work());
    let _ = queue.producer().unwrap().send_batch(["a", "b"]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut before = worker.recv().unwrap();
    assert_eq!((worker.ack_timeout(), before.time_left()), (None, None));
    queue.set_ack_timeout("work", Some(SECOND)).unwrap();
    let after = worker.recv().unwrap();
    assert_eq!((worker.ack_timeout(), ack_timeout(&queue)), (Some(SECOND), Some(SECOND)));
    assert!(after.time_left().unwrap() < LONG);
    // A hung thread of this process has it: the same member takes it again.
    let again = worker.recv_timeout(LONG).unwrap();
    assert_eq!((again.sequence(), again.attempts()), (1, 2));
    assert!(matches!(after.ack(), Err(JobError::Evicted { sequence: 1, .. })));
    assert!(before.is_mine());
    before.extend(SECOND).unwrap();
    assert_eq!(before.time_left(), None, "received without a timeout, it has none");
    again.ack().unwrap();
    before.ack().unwrap();
}

#[test]
fn an_ack_timeout_is_taken_away_and_made_shorter() {
    let name = TempName::new("shorter-timeout");
    let queue = queue(&name, work().ack_timeout(1000 * SECOND));
    let _ = queue.producer().unwrap().send_batch(["a", "b", "c"]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let long = worker.recv().unwrap();
    queue.set_ack_timeout("work", None).unwrap();
    let never = worker.recv().unwrap();
    assert!(long.time_left().unwrap() > LONG);
    assert_eq!((never.time_left(), worker.ack_timeout(), ack_timeout(&queue)), (None, None, None));
    queue.set_ack_timeout("work", Some(SECOND)).unwrap();
    let short = worker.recv().unwrap();
    assert!(short.time_left().unwrap() < LONG);
    let again = worker.recv_timeout(LONG).unwrap();
    assert_eq!(again.sequence(), 2);
    assert!(
        !short.is_mine() && long.is_mine() && never.is_mine(),
        "what was received before keeps its time"
    );
}

/// However the clock is read, and whatever a tick of it is: of the first delivery, and of one that comes again.
#[test]
fn no_delivery_is_cut_short() {
    // A whole number of ticks.
    let timeout = Duration::from_nanos(240 << 22);
    let name = TempName::new("whole-timeout");
    let queue = queue(&name, work().ack_timeout(timeout).unlimited_attempts());
    let _ = queue.producer().unwrap().send("a").unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut next = || loop {
        let asked = Instant::now();
        match worker.try_recv() {
            Ok(job) => break (job, asked),
            Err(RecvError::Empty) => thread::yield_now(),
            Err(fault) => panic!("{fault}"),
        }
    };
    let (mut held, mut began) = next();
    for round in 0..4 {
        let (again, _) = next();
        let lasted = began.elapsed();
        assert!(lasted >= timeout, "a delivery of {timeout:?} lasted {lasted:?}");
        assert!(!held.is_mine());
        // In other parts of a tick.
        thread::sleep(Duration::from_micros(900 * round));
        again.give_back().unwrap();
        (held, began) = next();
    }
    held.ack().unwrap();
}

#[test]
fn an_ack_timeout_that_cannot_be_is_refused() {
    let name = TempName::new("bad-timeout");
    let queue = queue(&name, work());
    queue.add_group(Group::named("plain").shared()).unwrap();
    let set = |group: &str, timeout| queue.set_ack_timeout(group, Some(timeout)).unwrap_err();
    let short = set("work", Duration::from_millis(999));
    assert!(matches!(short, AckTimeoutError::Group(GroupError::AckTimeout { .. })), "{short}");
    assert_eq!(short.code(), ErrorCode::BadInFlight);
    assert!(matches!(set("plain", SECOND), AckTimeoutError::NotInFlight { .. }));
    assert!(matches!(set("other", SECOND), AckTimeoutError::NotFound { .. }));
    assert_eq!(ack_timeout(&queue), None);
    let name = TempName::new("no-timeout");
    let without = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let fault = without.set_ack_timeout("g", None).unwrap_err();
    assert!(matches!(fault, AckTimeoutError::NotInFlight { .. }), "{fault}");
}

#[test]
fn a_batch_is_filled_with_what_is_due_where_attempts_have_no_limit() {
    let name = TempName::new("due-batch");
    let group = work().unlimited_attempts();
    let queue = queue(&name, group);
    let _ = queue.producer().unwrap().send_batch(["a", "b", "c", "d", "e"]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    drop(worker.recv_batch(5).unwrap());
    let sequences = |jobs: &[slipring::Job]| -> Vec<u64> {
        let mut sequences: Vec<_> = jobs.iter().map(slipring::Job::sequence).collect();
        sequences.sort_unstable();
        sequences
    };
    let (first, second) = (worker.recv_batch(3).unwrap(), worker.recv_batch(3).unwrap());
    let mut all = sequences(&first);
    assert_eq!((first.len(), second.len()), (3, 2));
    all.extend(sequences(&second));
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4]);
    assert!(first.iter().chain(&second).all(|job| job.attempts() == 2));
    assert!(there(worker.try_recv_batch(3)).is_none());
}

#[test]
fn what_is_due_comes_one_by_one_where_attempts_have_a_limit() {
    // A message that ends its members would count attempts of those that it comes with.
    let name = TempName::new("due-single");
    let queue = queue(&name, work().max_attempts(3));
    let _ = queue.producer().unwrap().send_batch(["a", "b", "c"]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    drop(worker.recv_batch(3).unwrap());
    for _ in 0..3 {
        let jobs = worker.recv_batch(3).unwrap();
        assert_eq!(jobs.len(), 1);
        jobs.into_iter().for_each(|job| job.ack().unwrap());
    }
    assert!(there(worker.try_recv_batch(3)).is_none());
}

#[test]
fn messages_that_are_held_for_longer_than_the_ring_lasts_leave_room() {
    // Each thousandth is held while ten rings pass.
    const RING: u64 = 64;
    let name = TempName::new("held-long");
    let shape = Queue::builder(&name).capacity(RING).payload_size(32);
    let queue = shape.group(Group::named("work").shared().in_flight(256)).create().unwrap();
    let (mut producer, mut worker) = (queue.producer().unwrap(), queue.worker("work").unwrap());
    let mut held = std::collections::VecDeque::new();
    let mut longest = 0;
    for sent in 0..20_000u64 {
        assert_eq!(producer.try_send(&sent.to_le_bytes()).unwrap(), sent);
        if sent % 32 != 31 {
            continue;
        }
        for job in worker.recv_batch(32).unwrap() {
            match job.sequence() % 1000 {
                0 => held.push_back(job),
                _ => job.ack().unwrap(),
            }
        }
        while let Some(job) = held.pop_front_if(|job| job.sequence() + 10 * RING <= sent) {
            longest = longest.max(sent - job.sequence());
            job.ack().unwrap();
        }
    }
    assert!(longest >= 10 * RING);
    drop(held);
    let group = &queue.snapshot().unwrap().groups[0];
    assert!(group.depth <= 1, "{group:?}");
}

/// A message is evicted, and its place has many others before its first owner's ack comes. All have the longest time that there
/// is: by the group, or by an extension.
#[test]
fn a_late_ack_of_the_longest_timeout_is_none_of_another_message() {
    for extends in [false, true] {
        let name = TempName::new("longest");
        let timeout = if extends { LONG } else { Duration::MAX };
        let group = Group::named("work").shared().in_flight(1).unlimited_attempts();
        let queue = queue(&name, group.ack_timeout(timeout));
        let (mut producer, mut worker) = (queue.producer().unwrap(), queue.worker("work").unwrap());
        let mut receive = || {
            let mut job = worker.recv().unwrap();
            if extends {
                job.extend(Duration::MAX).unwrap();
            }
            assert!(job.time_left().unwrap() > 400 * 24 * 3600 * SECOND);
            job
        };
        let _ = producer.send("first").unwrap();
        let first = receive();
        assert_eq!(queue.evict("work", Duration::ZERO, |_| true).unwrap().evicted, [0]);
        // In later steps of the clock.
        thread::sleep(Duration::from_millis(20));
        receive().ack().unwrap();
        for sequence in 1..1100 {
            assert_eq!(producer.send("other").unwrap(), sequence);
            let job = receive();
            assert!(!first.is_mine(), "after {sequence} messages");
            job.ack().unwrap();
        }
    }
}

/// The tick of the clock by which messages are due.
fn tick() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
    (time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64) >> 22
}

/// The extension of an evicted job ends when the time of a message does that was received later: 511 messages later the cell's
/// word is the same, but the job is not that message's.
#[test]
fn a_late_ack_of_an_extended_job_is_none_of_a_later_message() {
    let name = TempName::new("extended-late");
    let group = work().in_flight(1).ack_timeout(SECOND).unlimited_attempts();
    let queue = queue(&name, group);
    let (mut producer, mut worker) = (queue.producer().unwrap(), queue.worker("work").unwrap());
    let mut receive = |worker: &mut Worker| {
        let _ = producer.send("a").unwrap();
        worker.recv().unwrap()
    };
    let in_one_tick = |worker: &mut Worker, receive: &mut dyn FnMut(&mut Worker) -> Job| loop {
        let (before, mut job) = (tick(), receive(worker));
        job.extend(2 * SECOND).unwrap();
        if tick() == before {
            return (before, job);
        }
        job.ack().unwrap();
    };
    let (begin, old) = in_one_tick(&mut worker, &mut receive);
    assert_eq!(queue.evict("work", Duration::ZERO, |_| true).unwrap().evicted, [old.sequence()]);
    worker.recv().unwrap().ack().unwrap();
    (0..510).for_each(|_| receive(&mut worker).ack().unwrap());
    // A tick has 2^22 ns.
    let ticks = |time: Duration| (time.as_nanos() as u64).div_ceil(1 << 22);
    while tick() < begin + ticks(2 * SECOND) - ticks(SECOND) {}
    let mut later = receive(&mut worker);
    assert!(!old.is_mine());
    assert!(matches!(old.ack(), Err(JobError::Evicted { .. })), "it has acked another message");
    later.extend(SECOND).unwrap();
    later.ack().unwrap();
}
