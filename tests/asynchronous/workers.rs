//! Workers whose waits are futures, or told by a descriptor.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use slipring::{Group, Job, Queue, RecvError};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::common::TempName;

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);

fn queue(name: &str, places: u32) -> Queue {
    let group = Group::named("work").shared().in_flight(places);
    Queue::builder(name).capacity(8).payload_size(32).group(group).create().unwrap()
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap()
}

#[test]
fn jobs_are_tasks_of_their_own_and_the_end_comes_after_them() {
    let name = TempName::new("async-worker");
    let queue = queue(&name, 4);
    runtime().block_on(async {
        let mut worker = queue.worker("work").unwrap().into_async();
        let producer = tokio::task::spawn_blocking({
            let mut producer = queue.producer().unwrap();
            move || {
                for number in 0..100u64 {
                    let _ = producer.send(&number.to_le_bytes()).unwrap();
                }
                producer.close().unwrap();
            }
        });
        let mut done = Vec::new();
        loop {
            match timeout(LONG, worker.recv()).await.unwrap() {
                // More than places: a receive waits for a task's ack.
                Ok(job) => done.push(tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let number = u64::from_le_bytes((*job).try_into().unwrap());
                    job.ack().unwrap();
                    number
                })),
                Err(RecvError::Closed { .. }) => break,
                Err(fault) => panic!("{fault}"),
            }
        }
        producer.await.unwrap();
        let mut numbers = Vec::new();
        for task in done {
            numbers.push(task.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    });
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn a_future_that_waits_for_a_cell_is_woken_by_an_ack_and_by_what_comes_again() {
    let name = TempName::new("async-full");
    let queue = queue(&name, 1);
    runtime().block_on(async {
        let mut worker = queue.worker("work").unwrap().into_async();
        let _ = queue.producer().unwrap().send_batch(["a", "b"]).unwrap();
        let first = worker.recv().await.unwrap();
        let waits = tokio::spawn(async move {
            let job = timeout(LONG, worker.recv()).await.unwrap().unwrap();
            (worker, job)
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        first.ack().unwrap();
        let (mut worker, second) = waits.await.unwrap();
        assert_eq!(&*second, b"b");
        let waits = tokio::spawn(async move { timeout(LONG, worker.recv()).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(30)).await;
        second.give_back().unwrap();
        let again = waits.await.unwrap().unwrap();
        assert_eq!((&*again, again.attempts()), (&b"b"[..], 2));
        again.ack().unwrap();
    });
}

#[test]
fn a_future_that_is_dropped_has_received_nothing() {
    let name = TempName::new("async-cancel");
    let queue = queue(&name, 4);
    runtime().block_on(async {
        let mut worker = queue.worker("work").unwrap().into_async();
        assert!(timeout(Duration::from_millis(5), worker.recv_batch(4)).await.is_err());
        let _ = queue.producer().unwrap().send_batch(["a", "b"]).unwrap();
        let jobs = timeout(LONG, worker.recv_batch(4)).await.unwrap().unwrap();
        assert_eq!(jobs.iter().map(Job::attempts).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(worker.get_ref().jobs(), 2);
        assert!(worker.get_mut().try_recv().is_err_and(|fault| matches!(fault, RecvError::Empty)));
        drop(jobs);
        worker.into_sync().recv_timeout(LONG).unwrap().ack().unwrap();
    });
}

#[test]
fn a_descriptor_tells_when_a_worker_is_worth_trying() {
    let name = TempName::new("ready-worker");
    let queue = queue(&name, 1);
    let mut worker = queue.worker("work").unwrap().with_readiness().unwrap();
    let mut next = |held: Option<Job>| {
        // A try that finds nothing makes it unreadable; what comes then makes it readable.
        assert!(matches!(worker.try_recv(), Err(RecvError::Empty)));
        match held {
            Some(job) => job.ack().unwrap(),
            None => drop(queue.producer().unwrap().send_batch(["a", "b"]).unwrap()),
        }
        loop {
            let mut fds = [PollFd::new(worker.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::from(60_000u16)).unwrap(), 1);
            match worker.try_recv() {
                Err(RecvError::Empty) => {}
                job => break job.unwrap(),
            }
        }
    };
    let first = next(None);
    assert_eq!(&*first, b"a");
    // All places are in use: an ack is what it waits for.
    let second = next(Some(first));
    assert_eq!(&*second, b"b");
}
