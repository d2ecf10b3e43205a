//! Dead letters of groups with messages in flight: what makes one, in which order, and what a fault of the dead-letter
//! queue costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::{TempName, there};
use slipring::{DeadLetter, Group, JobError, Queue, Reason, RecvError, Worker};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn queue(name: &str, group: Group) -> Queue {
    let group = group.shared().in_flight(8);
    Queue::builder(name).capacity(8).payload_size(32).group(group).create().unwrap()
}

fn send(queue: &Queue, payloads: &[&str]) {
    let _ = queue.producer().unwrap().send_batch(payloads).unwrap();
}

/// The queue of the dead letters, to be removed with the test.
fn dead(name: &str) -> TempName {
    TempName::exactly(format!("{name}.dead"))
}

/// Sequence, attempts and reason of the letters in a queue, acked.
fn letters(queue: &str) -> Vec<(u64, u8, Reason)> {
    let mut consumer = Queue::open(queue).unwrap().consumer("dead").unwrap();
    let mut all = Vec::new();
    while let Some(received) = there(consumer.try_recv()) {
        let letter = DeadLetter::parse(received.kind(), &received).unwrap();
        assert_eq!(letter.group, "work");
        all.push((letter.sequence, letter.attempts, letter.reason));
        received.ack().unwrap();
    }
    all
}

fn depth(queue: &Queue) -> u64 {
    queue.snapshot().unwrap().groups[0].depth
}

#[test]
fn a_rejected_job_is_a_letter_at_once_from_any_thread() {
    let name = TempName::new("reject");
    let dead = dead(&name);
    let queue = queue(&name, Group::named("work"));
    send(&queue, &["a", "b"]);
    let mut worker = queue.worker("work").unwrap();
    let (told, hears) = channel();
    worker.notice_dead_letters(move |letter| {
        told.send((letter.sequence, letter.payload.to_vec())).unwrap();
    });
    let jobs = worker.recv_batch(2).unwrap();
    // Jobs outlive their worker, and send its letters.
    drop(worker);
    std::thread::scope(|scope| {
        for job in jobs {
            scope.spawn(|| job.reject().unwrap());
        }
    });
    let mut told: Vec<_> = hears.iter().collect();
    told.sort();
    assert_eq!(told, [(0, b"a".to_vec()), (1, b"b".to_vec())]);
    let mut letters = letters(&dead);
    letters.sort_by_key(|letter| letter.0);
    assert_eq!(letters, [(0, 1, Reason::Rejected), (1, 1, Reason::Rejected)]);
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.dead_lettered), (0, 2));
}

#[test]
fn a_failed_job_comes_again_until_its_last_attempt_and_is_a_letter_then() {
    let name = TempName::new("fail");
    let dead = dead(&name);
    let queue = queue(&name, Group::named("work").max_attempts(3));
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    assert!(!worker.recv_timeout(LONG).unwrap().fail().unwrap());
    let since = Instant::now();
    let delay = Duration::from_millis(60);
    let second = worker.recv_timeout(LONG).unwrap();
    assert_eq!(second.attempts(), 2);
    assert!(!second.fail_after(delay).unwrap());
    let third = worker.recv_timeout(LONG).unwrap();
    assert!(since.elapsed() >= delay);
    assert_eq!(third.attempts(), 3);
    // Its delay does not count any more: nobody waits for a letter.
    assert!(third.fail_after(LONG).unwrap());
    assert_eq!(letters(&dead), [(0, 3, Reason::MaxAttempts)]);
    assert_eq!(depth(&queue), 0);
    // Without a limit, a message never becomes a letter.
    let name = TempName::new("fail-for-ever");
    let queue = self::queue(&name, Group::named("work").unlimited_attempts());
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    for attempt in 1..=300u32 {
        let job = worker.recv_timeout(LONG).unwrap();
        assert_eq!(u32::from(job.attempts()), attempt.min(255));
        assert!(!job.fail().unwrap());
    }
}

#[test]
fn a_job_that_was_taken_back_makes_no_letter() {
    let name = TempName::new("evicted-letter");
    let _dead = dead(&name);
    let queue = queue(&name, Group::named("work"));
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    worker.notice_dead_letters(|letter| panic!("{letter:?}"));
    let job = worker.recv().unwrap();
    let _ = queue.evict("work", Duration::ZERO, |_| true).unwrap();
    assert!(matches!(job.reject(), Err(JobError::Evicted { sequence: 0, .. })));
    assert!(Queue::open(&format!("{}.dead", &*name)).is_err());
    let again = worker.recv_timeout(LONG).unwrap();
    assert_eq!(again.attempts(), 2);
    again.ack().unwrap();
}

#[test]
fn a_message_that_is_taken_back_between_its_letter_and_the_ack_comes_again() {
    let name = TempName::new("letter-then-evicted");
    let queue = queue(&name, Group::named("work"));
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    let operator = Queue::open(&name).unwrap();
    worker.on_dead_letter(move |_| operator.evict("work", Duration::ZERO, |_| true).map(|_| ()));
    let fault = worker.recv().unwrap().reject().unwrap_err();
    assert!(matches!(fault, JobError::Evicted { .. }), "{fault}");
    assert_eq!(queue.snapshot().unwrap().groups[0].dead_lettered, 1, "there is a letter");
    worker.on_dead_letter(|_| Ok::<(), std::io::Error>(()));
    worker.recv_timeout(LONG).unwrap().reject().unwrap();
    assert_eq!(depth(&queue), 0);
}

/// Receives until a message comes; while letters cannot be sent, a receive says so.
fn after_faults(worker: &mut Worker) -> (slipring::Job, u32) {
    let mut faults = 0;
    loop {
        match worker.recv_timeout(LONG) {
            Ok(job) => return (job, faults),
            Err(RecvError::DeadLetter(_)) => faults += 1,
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn a_fault_of_the_dead_letter_queue_costs_no_message_and_no_attempt() {
    let name = TempName::new("letter-fault");
    let queue = queue(&name, Group::named("work").max_attempts(2));
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    worker.on_dead_letter(|_| Err(std::io::Error::other("it burns")));
    for _ in 0..3 {
        let (job, _) = after_faults(&mut worker);
        assert_eq!(job.attempts(), 1);
        let fault = job.reject().unwrap_err();
        assert!(matches!(fault, JobError::DeadLetter(_)), "{fault}");
        assert!(fault.to_string().contains("it burns"), "{fault}");
    }
    // The last attempt failed: the command is not run again for a letter that cannot be sent.
    assert!(!worker.recv_timeout(LONG).unwrap().fail().unwrap());
    let last = worker.recv_timeout(LONG).unwrap();
    assert_eq!(last.attempts(), 2);
    assert!(matches!(last.fail(), Err(JobError::DeadLetter(_))));
    send(&queue, &["b"]);
    // Others go on meanwhile.
    let (job, _) = after_faults(&mut worker);
    assert_eq!(&*job, b"b");
    job.ack().unwrap();
    assert!(matches!(worker.recv_timeout(LONG), Err(RecvError::DeadLetter(_))));
    let (told, hears) = channel();
    worker.on_dead_letter(move |letter| {
        told.send((letter.sequence, letter.attempts)).map_err(|_| std::io::Error::other("deaf"))
    });
    // A letter is made by a receive; nothing is received.
    let letter = loop {
        assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
        if let Ok(letter) = hears.try_recv() {
            break letter;
        }
    };
    assert_eq!(letter, (0, 2));
    assert_eq!(depth(&queue), 0);
}

#[test]
fn a_handler_that_panics_loses_nothing() {
    let name = TempName::new("letter-panic");
    let queue = queue(&name, Group::named("work").max_attempts(1));
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    worker.on_dead_letter(|_| -> Result<(), std::io::Error> { panic!("a handler's fault") });
    let job = worker.recv().unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.fail()));
    assert!(caught.is_err());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.recv().is_ok()));
    assert!(caught.is_err(), "the receive makes a letter of it");
    let (told, hears) = channel();
    worker.on_dead_letter(move |letter| {
        told.send(letter.attempts).map_err(|_| std::io::Error::other("deaf"))
    });
    assert!(there(worker.try_recv()).is_none());
    assert_eq!(hears.try_recv(), Ok(1));
    assert_eq!(depth(&queue), 0);
}

#[test]
fn an_attempt_that_is_not_counted_stays_with_its_job() {
    let name = TempName::new("uncount");
    let queue = queue(&name, Group::named("work").max_attempts(2));
    send(&queue, &["a"]);
    let mut worker = queue.worker("work").unwrap();
    for _ in 0..4 {
        let mut job = worker.recv_timeout(LONG).unwrap();
        assert_eq!(job.attempts(), 1);
        job.uncount().unwrap();
        job.uncount().unwrap();
        assert!(job.is_mine() && job.attempts() == 1);
        job.retry_after(Duration::from_millis(5)).unwrap();
    }
    let mut job = worker.recv_timeout(LONG).unwrap();
    job.uncount().unwrap();
    job.extend(LONG).unwrap();
    job.ack().unwrap();
    assert_eq!(depth(&queue), 0);
    let _ = queue.evict("work", Duration::ZERO, |_| true).unwrap();
    assert!(there(worker.try_recv()).is_none());
}

#[test]
fn a_job_knows_how_long_it_has() {
    let name = TempName::new("time-left");
    let queue = queue(&name, Group::named("work").ack_timeout(Duration::from_secs(100)));
    send(&queue, &["a"]);
    let mut job = queue.worker("work").unwrap().recv().unwrap();
    let left = job.time_left().unwrap();
    // The clock of the queue counts in steps of some milliseconds.
    let slack = Duration::from_secs(1);
    assert!(left <= Duration::from_secs(100) + slack && left > Duration::from_secs(20), "{left:?}");
    job.extend(Duration::from_secs(1000)).unwrap();
    let left = job.time_left().unwrap();
    assert!(
        left <= Duration::from_secs(1000) + slack && left > Duration::from_secs(900),
        "{left:?}"
    );
}

#[test]
fn a_letter_in_the_making_keeps_its_time_and_is_not_made_of_a_message_that_was_taken() {
    let name = TempName::new("letter-turns");
    let queue = queue(&name, Group::named("work").ack_timeout(Duration::from_secs(10)));
    send(&queue, &["a", "b"]);
    let mut worker = queue.worker("work").unwrap();
    let (told, hears) = channel();
    let (go, gone) = channel::<()>();
    worker.on_dead_letter(move |letter| {
        told.send(letter.sequence).unwrap();
        gone.recv_timeout(LONG)
    });
    let mut jobs = worker.recv_batch(2).unwrap();
    let (second, mut first) = (jobs.pop().unwrap(), jobs.pop().unwrap());
    first.extend(Duration::from_secs(3600)).unwrap();
    let due = |sequence: u64| {
        let group = queue.snapshot().unwrap().groups.remove(0);
        let messages = group.in_flight.unwrap().messages;
        messages.into_iter().find(|m| m.sequence == sequence).unwrap().due.unwrap()
    };
    std::thread::scope(|scope| {
        let rejects = scope.spawn(|| first.reject());
        assert_eq!(hears.recv_timeout(LONG), Ok(0));
        assert!(due(0) > Duration::from_secs(3000), "{:?}", due(0));
        let waits = scope.spawn(|| second.reject());
        while due(1) < Duration::from_secs(20) {
            std::thread::yield_now();
        }
        // It waits for its turn, and is another member's by then.
        assert_eq!(queue.evict("work", Duration::ZERO, |m| m.sequence == 1).unwrap().evicted, [1]);
        go.send(()).unwrap();
        rejects.join().unwrap().unwrap();
        drop(go);
        assert!(matches!(waits.join().unwrap(), Err(JobError::Evicted { .. })));
    });
    assert!(hears.try_recv().is_err(), "one letter was made");
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
}

#[test]
fn a_receive_ends_in_time_however_many_letters_are_to_be_made() {
    const MESSAGES: u64 = 300;
    let name = TempName::new("letters-many");
    let group = Group::named("work").shared().in_flight(MESSAGES as u32).max_attempts(1);
    let queue = Queue::builder(&name).capacity(512).payload_size(32).group(group).create().unwrap();
    send(&queue, &["x"; MESSAGES as usize]);
    let mut worker = queue.worker("work").unwrap();
    let (told, hears) = channel();
    worker.on_dead_letter(move |letter| told.send(letter.sequence));
    drop(worker.recv_batch(MESSAGES as usize).unwrap());
    assert!(there(worker.try_recv()).is_none());
    let mut letters = hears.try_iter().count() as u64;
    assert!(0 < letters && letters < MESSAGES, "{letters}");
    // A receive that waits asks the time after as many.
    assert!(matches!(worker.recv_timeout(Duration::ZERO), Err(RecvError::Timeout { .. })));
    let more = hears.try_iter().count() as u64;
    assert_eq!(more, letters, "its time was over");
    letters += more;
    // The next ones go on.
    while letters < MESSAGES {
        assert!(matches!(worker.recv_timeout(SHORT), Err(RecvError::Timeout { .. })));
        letters += hears.try_iter().count() as u64;
    }
    assert_eq!((letters, depth(&queue)), (MESSAGES, 0));
}
