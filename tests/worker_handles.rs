//! Workers as handles: what they tell of their group, when their waits end, and what a fork leaves of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::{Duration, Instant};

use common::fork::{first_failure, fork};
use common::{TempName, there};
use slipring::{Group, JobError, JoinError, Queue, RecvError, message};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn work() -> Group {
    Group::named("work").shared().in_flight(4)
}

fn queue(name: &str) -> Queue {
    Queue::builder(name).capacity(8).payload_size(32).group(work()).create().unwrap()
}

#[test]
fn a_worker_tells_where_its_group_stands() {
    let name = TempName::new("stands");
    let queue = Queue::builder(&name).capacity(8).spare_cells(4).create().unwrap();
    let mut worker = queue.worker(work()).unwrap();
    assert_eq!((worker.made_group(), worker.resumed()), (true, false));
    assert_eq!((worker.position(), worker.depth()), (0, 0));
    let _ = queue.producer().unwrap().send_batch(["a", "b", "c"]).unwrap();
    assert_eq!((worker.position(), worker.depth()), (0, 3));
    let jobs = worker.recv_batch(2).unwrap();
    assert_eq!((worker.position(), worker.depth(), worker.jobs()), (2, 1, 2));
    drop((jobs, worker));
    let worker = queue.worker("work").unwrap();
    assert_eq!((worker.made_group(), worker.resumed()), (false, true));
    assert_eq!((worker.queue_name(), worker.group_name()), (&*name, "work"));
}

/// A worker uses the memory of a message again, once its job is gone.
#[test]
fn a_job_keeps_its_message_while_others_come_and_go() {
    let name = TempName::new("keeps");
    let group = Group::named("work").shared().in_flight(256);
    let queue = Queue::builder(&name).capacity(64).payload_size(32).group(&group).create().unwrap();
    let (mut producer, mut worker) = (queue.producer().unwrap(), queue.worker(group).unwrap());
    // Of other lengths, too, and longer and shorter than what was there before.
    let content = |n: u64| vec![n as u8; (n % 33) as usize];
    let (mut kept, mut n) = (Vec::new(), 0);
    for batch in 1..=24 {
        let _ = producer.send_batch(&(n..n + batch).map(content).collect::<Vec<_>>()).unwrap();
        for job in worker.recv_batch(batch as usize).unwrap() {
            assert_eq!((job.sequence(), &*job), (n, &*content(n)));
            if n.is_multiple_of(7) {
                kept.push(job)
            } else {
                job.ack().unwrap()
            }
            n += 1;
        }
        assert_eq!(worker.jobs(), kept.len() as u64);
    }
    // Frees the memory that no job has.
    assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    drop(worker);
    assert_eq!(kept.len(), 43);
    for job in kept {
        assert_eq!(&*job, &*content(job.sequence()));
        job.ack().unwrap();
    }
}

#[test]
fn what_is_known_of_a_job_is_that_of_its_own_message() {
    let name = TempName::new("own-message");
    let queue = Queue::builder(&name).capacity(8).payload_size(32).sources(1).group(work());
    let queue = queue.create().unwrap();
    let (mut producer, mut worker) = (queue.producer().unwrap(), queue.worker("work").unwrap());
    // One job at a time, so that all have the same memory.
    let _ = producer.stream("feed").unwrap().send(7, "sourced").unwrap();
    let job = worker.recv().unwrap();
    assert_eq!(job.source().map(|source| source.position()), Some(7));
    job.retry_after(SHORT).unwrap();
    let job = worker.recv_timeout(LONG).unwrap();
    assert_eq!((job.attempts(), job.was_delayed()), (2, true));
    job.ack().unwrap();
    let _ = producer.send("plain").unwrap();
    let job = worker.recv().unwrap();
    assert_eq!((&*job, job.attempts()), (&b"plain"[..], 1));
    assert_eq!((job.source(), job.was_delayed(), job.redelivered()), (None, false, false));
    job.ack().unwrap();
}

#[test]
fn a_worker_waits_until_its_deadline_or_for_an_interrupt() {
    let name = TempName::new("deadline");
    let queue = queue(&name);
    let mut worker = queue.worker("work").unwrap();
    let end = Instant::now() + SHORT;
    assert!(matches!(worker.recv_deadline(end), Err(RecvError::Timeout { .. })));
    assert!(Instant::now() >= end);
    let end = Instant::now() + SHORT;
    assert!(matches!(worker.recv_batch_deadline(8, end), Err(RecvError::Timeout { .. })));
    assert!(matches!(worker.recv_batch_timeout(8, SHORT), Err(RecvError::Timeout { .. })));
    worker.set_interrupt(|| true);
    assert!(matches!(worker.recv(), Err(RecvError::Interrupted { .. })));
    let _ = queue.producer().unwrap().send("a").unwrap();
    let job = worker.recv_deadline(Instant::now() + LONG).unwrap();
    assert_eq!(&*job, b"a");
}

#[test]
fn a_worker_that_follows_waits_for_the_next_producer() {
    let name = TempName::new("follow");
    let queue = queue(&name);
    queue.producer().unwrap().close().unwrap();
    let mut worker = queue.worker("work").unwrap();
    assert!(matches!(worker.recv(), Err(RecvError::Closed { .. })));
    worker.set_follow(true);
    assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    let received = std::thread::scope(|scope| {
        let waits = scope.spawn(|| worker.recv_timeout(LONG).unwrap());
        let _ = queue.producer().unwrap().send("next").unwrap();
        waits.join().unwrap()
    });
    assert_eq!(&*received, b"next");
}

#[test]
fn a_worker_can_notice_that_the_producer_is_gone() {
    let name = TempName::new("gone");
    let queue = queue(&name);
    let mut worker = queue.worker("work").unwrap();
    worker.set_notice_producer_gone(true);
    assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })), "none was there");
    let mut producer = queue.producer().unwrap();
    let _ = producer.send("a").unwrap();
    assert!(matches!(worker.recv_timeout(LONG).map(drop), Ok(())));
    drop(producer);
    // What comes again comes first.
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
    assert!(matches!(worker.recv_timeout(LONG), Err(RecvError::ProducerGone { .. })));
    let _producer = queue.producer().unwrap();
    assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
}

#[test]
fn a_worker_notices_that_its_queue_was_removed() {
    let name = TempName::new("removed");
    let queue = queue(&name);
    let _ = queue.producer().unwrap().send("a").unwrap();
    let mut worker = queue.worker("work").unwrap();
    worker.check_removed().unwrap();
    slipring::force_remove(&name).unwrap();
    assert!(matches!(worker.check_removed(), Err(RecvError::Removed { .. })));
    // What is there can still be received, and its end is noticed by polling alone, too.
    worker.try_recv().unwrap().ack().unwrap();
    let fault = loop {
        match worker.try_recv() {
            Err(RecvError::Empty) => {}
            other => break other.unwrap_err(),
        }
    };
    assert!(matches!(fault, RecvError::Removed { .. }), "{fault}");
    assert!(matches!(worker.recv(), Err(RecvError::Removed { .. })));
}

message! {
    /// A typed job.
    struct Resize {
        image: u64,
        width: u32,
        height: u32,
    }
}

#[test]
fn typed_jobs_are_the_messages_themselves() {
    let name = TempName::new("typed");
    let group = work().max_attempts(1);
    let shape = Queue::builder(&name).capacity(8).message::<Resize>().group(group);
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    let _ = producer.send(&Resize { image: 7, width: 640, height: 480 }).unwrap();
    let mut worker = Queue::open_typed::<Resize>(&name).unwrap().worker("work").unwrap();
    let job = worker.recv().unwrap();
    assert_eq!((job.image, job.content().width, job.height), (7, 640, 480));
    worker.on_dead_letter(|letter| match letter.payload {
        [7, 0, 0, 0, 0, 0, 0, 0, 0x80, 2, 0, 0, 0xe0, 1, 0, 0] => Ok(()),
        other => Err(std::io::Error::other(format!("{other:?}"))),
    });
    assert!(job.fail().unwrap());
    assert!(there(worker.try_recv()).is_none());
}

#[test]
fn a_forked_child_cannot_touch_the_jobs_of_its_parent() {
    let name = TempName::new("fork");
    let queue = queue(&name);
    let _ = queue.producer().unwrap().send_batch(["a", "b"]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    // Taken in the child, where that changes its own memory alone.
    let (mut job, mut other) = (Some(worker.recv().unwrap()), Some(worker.recv().unwrap()));
    // The next wait begins with a sleep.
    let mut idle = queue.worker("work").unwrap();
    assert!(matches!(idle.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    let status = fork(|| {
        let (Some(mut mine), Some(rejected)) = (job.take(), other.take()) else { return 100 };
        let forked = |fault: JobError| matches!(fault, JobError::Forked { .. });
        let checks = [
            mine.extend(LONG).is_err_and(forked),
            mine.uncount().is_err_and(forked),
            !mine.is_mine() && mine.time_left().is_none(),
            rejected.reject().is_err_and(forked),
            matches!(worker.try_recv(), Err(RecvError::Forked { .. })),
            matches!(worker.recv(), Err(RecvError::Forked { .. })),
            matches!(idle.recv(), Err(RecvError::Forked { .. })),
            matches!(worker.check_removed(), Err(RecvError::Forked { .. })),
            (worker.position(), worker.depth()) == (0, 0),
            mine.ack().is_err_and(forked),
        ];
        first_failure(&checks)
    });
    assert_eq!(status, 0, "the number of the check that does not hold");
    let (job, other) = (job.unwrap(), other.unwrap());
    assert!(job.is_mine() && other.is_mine());
    job.ack().unwrap();
    other.ack().unwrap();
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.members.len()), (0, 2));
}

#[test]
fn a_job_that_was_taken_back_fits_no_later_message_of_its_place() {
    let name = TempName::new("laps");
    let group = Group::named("work").shared().in_flight(1);
    let queue = Queue::builder(&name).capacity(8).payload_size(32).group(&group).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut worker = queue.worker("work").unwrap();
    producer.send("first").unwrap();
    let old = worker.recv().unwrap();
    assert_eq!(queue.evict("work", Duration::ZERO, |_| true).unwrap().evicted, [0]);
    worker.recv().unwrap().ack().unwrap();
    // Words of cells have the time in units of 4 ms.
    std::thread::sleep(SHORT);
    // More often than a cell's generations come round.
    for _ in 0..1200 {
        producer.send("later").unwrap();
        let job = worker.recv().unwrap();
        assert!(!old.is_mine());
        job.ack().unwrap();
    }
    assert!(matches!(old.ack(), Err(JobError::Evicted { sequence: 0, .. })));
}

#[test]
fn a_consumer_of_a_group_for_workers_leaves_no_group_behind() {
    let name = TempName::new("for-workers");
    let queue = Queue::builder(&name).capacity(8).spare_cells(4).create().unwrap();
    assert!(matches!(queue.consumer(work()), Err(JoinError::InFlight { has: true, .. })));
    assert!(queue.snapshot().unwrap().groups.is_empty());
}

message! {
    /// A message that is larger than a thread's stack.
    struct Frame {
        rows: [[u64; 1024]; 256],
    }
}

#[test]
fn a_job_may_be_larger_than_the_stack() {
    let name = TempName::new("frame");
    let group = Group::named("work").shared().in_flight(2);
    let queue = Queue::builder(&name).capacity(2).message::<Frame>().group(group).create().unwrap();
    queue.producer().unwrap().try_reserve(1).unwrap().publish();
    let mut worker = queue.worker("work").unwrap();
    // Of 2 MiB, as large as the message.
    let received = std::thread::spawn(move || {
        let job = worker.recv().unwrap();
        assert_eq!(job.content().rows[255][1023], 0);
        job.ack().unwrap();
    });
    received.join().unwrap();
}
