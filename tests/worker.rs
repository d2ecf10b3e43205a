//! Messages in flight beside the ring: workers and their jobs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::child::{Child, hear, role, tell};
use common::{TempName, there, words};
use slipring::{
    CreateError, DeadLetter, Group, GroupError, Job, JobError, JoinError, Queue, RecvError, Worker,
};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);
/// For a wait in vain.
const SHORT: Duration = Duration::from_millis(50);

fn work(places: u32) -> Group {
    Group::named("work").shared().in_flight(places)
}

fn queue(name: &str, capacity: u64, group: &Group) -> Queue {
    Queue::builder(name).capacity(capacity).payload_size(32).group(group).create().unwrap()
}

fn send(queue: &Queue, numbers: std::ops::Range<u64>) {
    let mut producer = queue.producer().unwrap();
    for number in numbers {
        let _ = producer.send(number.to_string().as_bytes()).unwrap();
    }
}

fn numbers(jobs: &[Job]) -> Vec<u64> {
    jobs.iter().map(|job| str::from_utf8(job).unwrap().parse().unwrap()).collect()
}

#[test]
fn jobs_leave_the_ring_and_are_acked_in_any_order_by_any_thread() {
    let name = TempName::new("worker");
    let queue = queue(&name, 4, &work(16));
    let mut worker = queue.worker("work").unwrap();
    assert_eq!((worker.in_flight_max(), worker.ack_timeout()), (16, None));
    let mut jobs = Vec::new();
    // Three times what the ring holds, none of it acked.
    for round in 0..3 {
        send(&queue, 4 * round..4 * round + 4);
        jobs.extend(worker.recv_batch(8).unwrap());
    }
    assert_eq!(numbers(&jobs), (0..12).collect::<Vec<_>>());
    assert!(jobs.iter().enumerate().all(|(i, job)| job.sequence() == i as u64));
    assert!(jobs.iter().all(|job| job.attempts() == 1 && job.is_mine()));
    let group = &queue.snapshot().unwrap().groups[0];
    let in_flight = group.in_flight.as_ref().unwrap();
    assert_eq!((group.depth, group.unacked, group.span), (12, 12, 0));
    assert_eq!((in_flight.max, in_flight.messages.len(), in_flight.ack_timeout), (16, 12, None));
    assert!(in_flight.messages.iter().all(|m| m.attempts == 1 && m.due.is_none()));
    assert!(in_flight.messages.iter().all(|m| m.record == Some(group.members[0].record)));
    jobs.reverse();
    std::thread::scope(|scope| {
        for job in jobs {
            scope.spawn(move || job.ack().unwrap());
        }
    });
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.acked), (0, 12));
    assert_eq!(worker.jobs(), 0);
    assert!(matches!(worker.try_recv(), Err(RecvError::Empty)) && !worker.is_full());
}

#[test]
fn a_full_table_holds_the_members_back_and_an_ack_wakes_them() {
    let name = TempName::new("full");
    let queue = queue(&name, 8, &work(2));
    send(&queue, 0..3);
    let mut worker = queue.worker("work").unwrap();
    let mut jobs = worker.recv_batch(8).unwrap();
    assert_eq!(numbers(&jobs), [0, 1]);
    assert!(there(worker.try_recv()).is_none() && worker.is_full());
    let last = jobs.pop().unwrap();
    let third = std::thread::scope(|scope| {
        let waits = scope.spawn(|| worker.recv_timeout(LONG).unwrap());
        last.ack().unwrap();
        waits.join().unwrap()
    });
    assert_eq!(&*third, b"2");
}

#[test]
fn a_sender_is_told_that_the_places_are_in_use() {
    let name = TempName::new("told");
    let queue = queue(&name, 2, &work(1));
    let mut worker = queue.worker("work").unwrap();
    let mut producer = queue.producer().unwrap();
    let mut jobs = Vec::new();
    let fault = loop {
        jobs.extend(there(worker.try_recv()));
        if let Err(fault) = producer.try_send("a") {
            break fault;
        }
    };
    let text = fault.to_string();
    assert!(
        text.contains("consumers (1) do not receive it: its places for messages in flight"),
        "{text}"
    );
    assert_eq!(jobs.len(), 1);
}

/// A queue of which the worker has one message in its one place, and another one waits in the ring. Then it is abandoned.
fn one_more_than_places(name: &str, abandon: impl FnOnce(&mut Worker)) {
    let queue = queue(name, 8, &work(1));
    send(&queue, 0..2);
    let mut worker = queue.worker("work").unwrap();
    let job = worker.recv().unwrap();
    abandon(&mut worker);
    let waited = worker.recv_timeout(SHORT);
    assert!(matches!(waited, Err(RecvError::Timeout { .. })), "{waited:?}");
    job.ack().unwrap();
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
}

#[test]
fn what_waits_for_a_place_comes_before_the_producer_is_gone() {
    one_more_than_places(&TempName::new("gone"), |worker| worker.set_notice_producer_gone(true));
}

#[test]
fn what_waits_for_a_place_comes_before_the_queue_is_removed() {
    let name = TempName::new("removed");
    one_more_than_places(&name, |_| slipring::force_remove(&name).unwrap());
}

/// Others may be stopped for good, and nobody can take what they have from them by a name that is gone.
#[test]
fn a_worker_without_jobs_is_told_that_the_queue_is_removed() {
    let name = TempName::new("removed-idle");
    let queue = queue(&name, 8, &work(1));
    send(&queue, 0..2);
    let (mut busy, mut idle) = (queue.worker("work").unwrap(), queue.worker("work").unwrap());
    let _job = busy.recv().unwrap();
    slipring::force_remove(&name).unwrap();
    let told = idle.recv_timeout(LONG);
    assert!(matches!(told, Err(RecvError::Removed { .. })), "{told:?}");
}

#[test]
fn what_is_due_comes_before_the_producer_is_gone_however_many_letters_come_first() {
    let name = TempName::new("letters-first");
    let queue = queue(&name, 128, &work(128).max_attempts(2));
    let (mut worker, mut other) = (queue.worker("work").unwrap(), queue.worker("work").unwrap());
    worker.on_dead_letter(|_| Ok::<_, std::io::Error>(()));
    // A worker that has waited in vain sleeps at once the next time.
    assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    send(&queue, 0..70);
    drop(other.try_recv_batch(128).unwrap());
    let exhausted: Vec<_> = (0..70).map(|_| other.try_recv().unwrap()).collect();
    assert!(exhausted.iter().all(|job| job.attempts() == 2));
    send(&queue, 70..71);
    let fresh = other.try_recv().unwrap();
    drop(exhausted);
    drop(fresh);
    worker.set_notice_producer_gone(true);
    assert_eq!(worker.recv_timeout(LONG).unwrap().sequence(), 70);
}

#[test]
fn a_worker_that_waits_for_a_place_wakes_a_sender_for_any_room() {
    let name = TempName::new("any-room");
    let queue = queue(&name, 8, &work(1));
    send(&queue, 0..2);
    let mut worker = queue.worker("work").unwrap();
    let _job = worker.recv().unwrap();
    // A sender that sleeps until there is more room than this worker makes.
    let file = words::open(&name.path());
    words::set(&file, words::THRESHOLD, 8);
    words::set(&file, words::ROOM, 1);
    assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    assert_eq!(words::get32(&file, words::ROOM), 4, "woken once");
}

#[test]
fn what_is_dropped_or_given_back_comes_again_and_counts() {
    let name = TempName::new("back");
    let queue = queue(&name, 8, &work(4));
    send(&queue, 0..2);
    let mut worker = queue.worker("work").unwrap();
    drop(worker.recv().unwrap());
    // The one that came again is in turn with the ring.
    let mut seen: Vec<_> = (0..2).map(|_| worker.recv_timeout(LONG).unwrap()).collect();
    seen.sort_by_key(Job::sequence);
    assert_eq!(seen.iter().map(Job::attempts).collect::<Vec<_>>(), [2, 1]);
    let second = seen.pop().unwrap();
    let mut second = second;
    second.uncount().unwrap();
    drop(second);
    let second = worker.recv_timeout(LONG).unwrap();
    assert_eq!((second.sequence(), second.attempts()), (1, 1), "no attempt was made");
    let since = Instant::now();
    second.retry_after(Duration::from_millis(80)).unwrap();
    let second = worker.recv_timeout(LONG).unwrap();
    assert!(since.elapsed() >= Duration::from_millis(80));
    assert_eq!((second.sequence(), second.attempts()), (1, 2));
    assert!(second.was_delayed() && !seen[0].was_delayed());
    assert!(second.redelivered());
}

#[test]
fn a_message_that_has_had_its_last_attempt_becomes_a_dead_letter() {
    let name = TempName::new("letter");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    let queue = queue(&name, 8, &work(4).max_attempts(2));
    send(&queue, 0..1);
    let mut worker = queue.worker("work").unwrap();
    for attempt in 1..=2 {
        let job = worker.recv_timeout(LONG).unwrap();
        assert_eq!(job.attempts(), attempt);
        job.give_back().unwrap();
    }
    assert!(there(worker.try_recv()).is_none());
    let mut dead = Queue::open(&letters).unwrap().consumer("dead").unwrap();
    let received = dead.recv_timeout(LONG).unwrap();
    let letter = DeadLetter::parse(received.kind(), &received).unwrap();
    assert_eq!((letter.sequence, letter.attempts, letter.payload), (0, 2, &b"0"[..]));
    assert_eq!(queue.snapshot().unwrap().groups[0].dead_lettered, 1);
}

#[test]
fn suspects_are_left_to_others_and_nothing_else_is() {
    let name = TempName::new("worker-suspects");
    let queue = queue(&name, 16, &work(16).max_attempts(3));
    let mut one = queue.worker("work").unwrap();
    // Of two attempts nobody knows how they went.
    let suspect = |worker: &mut Worker, number| {
        send(&queue, number..number + 1);
        for attempt in 1..=2 {
            let job = worker.recv_timeout(LONG).unwrap();
            assert_eq!((job.sequence(), job.attempts()), (number, attempt));
        }
    };
    suspect(&mut one, 0);
    one.set_skip_suspects(Some(3));
    assert!(matches!(one.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    send(&queue, 1..2);
    for attempt in 1..=3 {
        let job = one.recv_timeout(LONG).unwrap();
        assert_eq!((job.sequence(), job.attempts(), job.was_delayed()), (1, attempt, attempt > 1));
        if attempt < 3 {
            job.retry_after(Duration::from_millis(1)).unwrap();
        } else {
            job.ack().unwrap();
        }
    }
    let job = queue.worker("work").unwrap().recv_timeout(LONG).unwrap();
    assert_eq!((job.sequence(), job.attempts()), (0, 3));
    drop(job);
    // It has had its last attempt, so nobody works on it any more.
    let letters = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&letters);
    one.on_dead_letter(move |letter: &DeadLetter<'_>| {
        count.fetch_add(letter.sequence + 1, Ordering::Relaxed);
        Ok::<_, RecvError>(())
    });
    assert!(matches!(one.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
    assert_eq!(letters.load(Ordering::Relaxed), 1);
    one.set_skip_suspects(None);
    suspect(&mut one, 2);
    assert_eq!(one.recv_timeout(LONG).unwrap().attempts(), 3);
}

#[test]
fn a_closed_queue_is_over_once_all_jobs_are_acked() {
    let name = TempName::new("over");
    let queue = queue(&name, 8, &work(4));
    let mut producer = queue.producer().unwrap();
    producer.send("last").unwrap();
    producer.close().unwrap();
    let (mut one, mut other) = (queue.worker("work").unwrap(), queue.worker("work").unwrap());
    let job = one.recv().unwrap();
    assert!(there(other.try_recv()).is_none(), "it comes again if that member dies");
    job.ack().unwrap();
    assert!(matches!(other.recv(), Err(RecvError::Closed { .. })));
}

#[test]
fn a_job_outlives_its_worker_which_leaves_after_it() {
    let name = TempName::new("outlives");
    let queue = queue(&name, 8, &work(4));
    send(&queue, 0..1);
    let mut worker = queue.worker("work").unwrap();
    let job = worker.recv().unwrap();
    drop(worker);
    let live = |queue: &Queue| queue.snapshot().unwrap().groups[0].members.len();
    assert_eq!(live(&queue), 1);
    job.ack().unwrap();
    assert_eq!(live(&queue), 0);
    queue.remove_group("work").unwrap();
}

#[test]
fn a_group_with_places_is_joined_by_workers_alone_and_others_by_consumers() {
    let name = TempName::new("kinds");
    let queue = queue(&name, 8, &work(4));
    queue.add_group(Group::named("plain").shared()).unwrap();
    let refused = queue.consumer(Group::named("work").shared()).unwrap_err();
    assert!(matches!(refused, JoinError::InFlight { has: true, .. }));
    assert!(refused.to_string().contains("Queue::worker"), "{refused}");
    let refused = queue.worker("plain").unwrap_err();
    assert!(matches!(refused, JoinError::InFlight { has: false, .. }));
    assert!(refused.to_string().contains("Queue::consumer"), "{refused}");
    assert!(matches!(queue.worker("new"), Err(JoinError::InFlight { has: false, .. })));
    assert_eq!(queue.snapshot().unwrap().groups.len(), 2, "nothing was made");
}

#[test]
fn places_are_counted_when_a_queue_is_created() {
    let name = TempName::new("places");
    let shape = Queue::builder(&name).capacity(8).group(work(4)).spare_cells(3);
    let queue = shape.create().unwrap();
    let other = |places| Group::named("other").shared().in_flight(places);
    let fault = queue.worker(other(4)).unwrap_err();
    let JoinError::Group(GroupError::NoCells { wanted, free, longest, .. }) = fault else {
        panic!("{fault}")
    };
    assert_eq!((wanted, free, longest), (4, 3, 3));
    assert_eq!(queue.worker(other(3)).unwrap().in_flight_max(), 3);
    queue.remove_group("work").unwrap();
    // The places of a group that is gone, with nothing in them.
    let mut worker = queue.worker(work(4)).unwrap();
    assert!(there(worker.try_recv()).is_none());
    let bad = |group: Group| {
        let name = TempName::new("bad-places");
        match Queue::builder(&name).group(group).create() {
            Err(CreateError::Group(fault)) => fault,
            created => panic!("{created:?}"),
        }
    };
    let exclusive = Group::named("g").in_flight(1);
    assert!(matches!(bad(exclusive), GroupError::InFlight { asked: 1, .. }));
    assert!(matches!(bad(work(0)), GroupError::InFlight { asked: 0, .. }));
    let alone = Group::named("g").shared().ack_timeout(LONG);
    assert!(matches!(bad(alone), GroupError::InFlight { asked: 0, .. }));
    let short = work(1).ack_timeout(Duration::from_millis(999));
    assert!(matches!(bad(short), GroupError::AckTimeout { .. }));
}

#[test]
fn an_operator_takes_messages_back() {
    let name = TempName::new("evict");
    let queue = queue(&name, 8, &work(4));
    send(&queue, 0..3);
    let mut hung = queue.worker("work").unwrap();
    let mut jobs = hung.recv_batch(3).unwrap();
    let mut other = queue.worker("work").unwrap();
    assert!(there(other.try_recv()).is_none(), "without a timeout, they stay");
    let done = queue.evict("work", Duration::ZERO, |message| message.sequence != 1).unwrap();
    assert_eq!((done.evicted, done.taking), (vec![0, 2], vec![]));
    let seen: BTreeSet<_> = (0..2)
        .map(|_| other.recv_timeout(LONG).unwrap())
        .map(|job| {
            let seen = (job.sequence(), job.attempts());
            job.ack().unwrap();
            seen
        })
        .collect();
    assert_eq!(seen, [(0, 2), (2, 2)].into());
    assert!(!jobs[0].is_mine() && jobs[1].is_mine());
    assert!(matches!(jobs[0].extend(LONG), Err(JobError::Evicted { sequence: 0, .. })));
    let fault = jobs.pop().unwrap().ack().unwrap_err();
    assert!(matches!(fault, JobError::Evicted { sequence: 2, .. }), "{fault}");
    jobs.pop().unwrap().ack().unwrap();
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn an_operator_ends_delays() {
    let name = TempName::new("retry-now");
    let queue = queue(&name, 8, &work(4));
    send(&queue, 0..4);
    let mut worker = queue.worker("work").unwrap();
    let mut jobs = worker.recv_batch(4).unwrap();
    let held = jobs.pop().unwrap();
    for mut job in jobs {
        if job.sequence() == 1 {
            job.uncount().unwrap();
        }
        job.retry_after(LONG).unwrap();
    }
    let ended = queue.retry_now("work", |message| message.sequence != 2).unwrap();
    assert_eq!(ended, [0, 1], "one that a member has does not wait");
    assert_eq!(queue.retry_now("work", |message| message.sequence != 2).unwrap(), []);
    let seen: BTreeSet<_> = (0..2)
        .map(|_| worker.try_recv().unwrap())
        .map(|job| {
            // It was given back by its member: its delay ended early, but nobody died with it.
            let seen = (job.sequence(), job.attempts(), job.was_delayed());
            job.ack().unwrap();
            seen
        })
        .collect();
    assert_eq!(seen, [(0, 2, true), (1, 1, true)].into());
    assert!(there(worker.try_recv()).is_none() && held.is_mine());
    held.ack().unwrap();
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 1);
}

#[test]
fn a_member_that_sleeps_is_woken_by_the_end_of_a_delay() {
    let name = TempName::new("retry-wakes");
    let queue = queue(&name, 8, &work(4));
    send(&queue, 0..1);
    let mut worker = queue.worker("work").unwrap();
    worker.recv().unwrap().retry_after(Duration::from_secs(24 * 3600)).unwrap();
    std::thread::scope(|scope| {
        let woken = scope.spawn(|| worker.recv().unwrap().ack().unwrap());
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(queue.retry_now("work", |_| true).unwrap(), [0]);
        woken.join().unwrap();
    });
}

#[test]
fn a_worker_that_takes_messages_from_the_ring_does_not_pass_for_a_stopped_one() {
    let name = TempName::new("evict-busy");
    let queue = queue(&name, 8, &work(8));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut producer, mut worker) =
                (queue.producer().unwrap(), queue.worker("work").unwrap());
            while !over.load(Ordering::Relaxed) {
                for _ in 0..8 {
                    let _ = producer.try_send("job");
                }
                for job in there(worker.try_recv_batch(8)).into_iter().flatten() {
                    let _ = job.ack();
                }
            }
        });
        let deadline = Instant::now() + Duration::from_millis(500);
        let mut taking = 0;
        while Instant::now() < deadline {
            let done = queue.evict("work", Duration::ZERO, |_| true).unwrap();
            taking += done.taking.len();
        }
        over.store(true, Ordering::Relaxed);
        // A busy machine may keep the thread from running for that long, but not often.
        assert!(taking < 3, "{taking}");
    });
}

#[test]
fn an_operator_takes_one_message_out_of_turn() {
    let name = TempName::new("take");
    let queue = queue(&name, 8, &work(4));
    send(&queue, 0..4);
    let mut first = queue.worker("work").unwrap();
    let mut jobs = first.recv_batch(3).unwrap();
    jobs.pop().unwrap().retry_after(LONG).unwrap();
    let mut other = queue.worker("work").unwrap();
    // From the member that has it, and long before it is due again.
    for sequence in [1, 2] {
        let job = other.take(sequence).unwrap().unwrap();
        assert_eq!(
            (job.sequence(), job.attempts(), &*job),
            (sequence, 2, sequence.to_string().as_bytes())
        );
        job.ack().unwrap();
        assert!(other.take(sequence).unwrap().is_none());
    }
    assert!(other.take(3).unwrap().is_none(), "it is in the ring");
    assert!(jobs[0].is_mine() && !jobs[1].is_mine());
    let fault = jobs.pop().unwrap().ack().unwrap_err();
    assert!(matches!(fault, JobError::Evicted { sequence: 1, .. }), "{fault}");
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 2);
}

/// The roles that this binary plays as a child.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    let queue = Queue::open(&role[1]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let count: usize = role[2].parse().unwrap();
    let jobs = worker.recv_batch(count).unwrap();
    if role[0] == "wait" {
        assert!(worker.recv_timeout(Duration::from_millis(100)).is_err());
    }
    tell(jobs.len());
    // Told to go on after it was stopped.
    hear();
    let acked = jobs.into_iter().map(Job::ack).filter(Result::is_ok).count();
    tell(acked);
    hear();
}

#[test]
fn a_killed_workers_messages_go_to_another_one_at_once() {
    let name = TempName::new("killed");
    let queue = queue(&name, 8, &work(8));
    send(&queue, 0..5);
    let mut killed = Child::start(&format!("work {} 3", &*name));
    killed.expect("3");
    let mut worker = queue.worker("work").unwrap();
    let fresh = worker.recv_batch(8).unwrap();
    assert_eq!(numbers(&fresh), [3, 4]);
    killed.kill();
    let mut again: Vec<_> = (0..3).map(|_| worker.recv_timeout(LONG).unwrap()).collect();
    again.sort_by_key(Job::sequence);
    assert_eq!(numbers(&again), [0, 1, 2]);
    assert!(again.iter().all(|job| job.attempts() == 2));
}

/// Also if it is the last of many, and the first call of another one does not wait.
#[test]
fn a_first_call_finds_what_one_of_many_has_left() {
    let name = TempName::new("one-of-many");
    let shape = Queue::builder(&name).capacity(32).payload_size(32).max_consumers(32);
    let queue = shape.group(work(32)).create().unwrap();
    send(&queue, 0..21);
    let mut busy: Vec<Worker> = (0..20).map(|_| queue.worker("work").unwrap()).collect();
    let _jobs: Vec<_> = busy.iter_mut().map(|worker| worker.recv().unwrap()).collect();
    let mut killed = Child::start(&format!("work {} 1", &*name));
    killed.expect("1");
    killed.kill();
    let mut worker = queue.worker("work").unwrap();
    assert_eq!(worker.recv_timeout(Duration::ZERO).unwrap().sequence(), 20);
}

/// A worker that finds nothing for a while says that it has no message, but only if its jobs are gone.
#[test]
fn a_message_of_a_worker_that_has_waited_comes_again_after_its_death() {
    let name = TempName::new("waited");
    let queue = queue(&name, 8, &work(8));
    send(&queue, 0..1);
    let mut waited = Child::start(&format!("wait {} 1", &*name));
    waited.expect("1");
    waited.kill();
    let mut worker = queue.worker("work").unwrap();
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
}

#[test]
fn a_stopped_workers_messages_go_to_another_one_after_the_ack_timeout() {
    let name = TempName::new("stopped");
    let queue = queue(&name, 8, &work(8).ack_timeout(Duration::from_secs(1)));
    send(&queue, 0..3);
    let mut stopped = Child::start(&format!("work {} 3", &*name));
    stopped.expect("3");
    let since = Instant::now();
    stopped.stop();
    let mut worker = queue.worker("work").unwrap();
    let mut again: Vec<_> = (0..3).map(|_| worker.recv_timeout(LONG).unwrap()).collect();
    // The first message was received before the clock was read here.
    assert!(since.elapsed() >= Duration::from_millis(500), "{:?}", since.elapsed());
    again.sort_by_key(Job::sequence);
    assert_eq!(numbers(&again), [0, 1, 2]);
    assert!(again.iter().all(|job| job.attempts() == 2));
    // It goes on, and its acks change nothing.
    stopped.go_on();
    stopped.say("ack");
    stopped.expect("0");
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 3);
    for job in again {
        job.ack().unwrap();
    }
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}
