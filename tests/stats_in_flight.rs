//! What a monitor tells of messages in flight beside the ring, and what is wrong with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::TempName;
use common::child::{Child, hear, role, tell};
use slipring::{
    ConsumerStats, Figure, Finding, FindingKind, Group, GroupStats, Monitor, OpenOptions, Queue,
    Severity, Stats,
};

/// Any two looks of a test are closer.
const WINDOW: Duration = Duration::from_secs(60);

fn work(places: u32) -> Group {
    Group::named("work").shared().in_flight(places)
}

fn queue(name: &str, capacity: u64, group: &Group) -> Queue {
    Queue::builder(name).capacity(capacity).payload_size(32).group(group).create().unwrap()
}

fn monitor(name: &str) -> Monitor {
    Monitor::open(name, &OpenOptions::new()).unwrap()
}

fn looked(monitor: &mut Monitor) -> (Stats, GroupStats) {
    monitor.look().unwrap();
    let stats = monitor.stats(WINDOW);
    let group = stats.groups[0].clone();
    (stats, group)
}

/// Looks until there is such a finding, or until there is none.
#[track_caller]
fn finding(monitor: &mut Monitor, kind: FindingKind, there: bool) -> Option<Finding> {
    let since = Instant::now();
    loop {
        let (stats, _) = looked(monitor);
        let found = stats.findings().into_iter().find(|finding| finding.kind == kind);
        if found.is_some() == there {
            return found;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "{:?}", stats.findings());
        thread::sleep(Duration::from_millis(20));
    }
}

fn commands(finding: &Finding) -> Vec<&str> {
    finding.remedies.iter().map(|remedy| remedy.command.as_str()).collect()
}

/// The roles that this binary plays as a child.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    let mut worker = Queue::open(&role[1]).unwrap().worker("work").unwrap();
    if role[0] == "takes" {
        tell("there");
        // Until it is killed.
        loop {
            for job in worker.try_recv_batch(256).into_iter().flatten() {
                job.ack().unwrap();
            }
        }
    }
    let jobs = worker.recv_batch(role[2].parse().unwrap()).unwrap();
    tell(jobs.len());
    hear();
    jobs.into_iter().for_each(|job| drop(job.ack()));
}

#[test]
fn messages_in_flight_are_counted_with_who_has_them_since_when_and_until_when() {
    let name = TempName::new("figures");
    let timeout = Duration::from_secs(30);
    let queue = queue(&name, 16, &work(8).ack_timeout(timeout));
    queue.producer().unwrap().send_batch(["message"; 6]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut jobs = worker.recv_batch(4).unwrap();
    jobs.remove(2).retry_after(Duration::from_secs(600)).unwrap();
    jobs.remove(0).ack().unwrap();
    thread::sleep(Duration::from_millis(100));
    // Opened after they were received, which the segment tells, in steps of some milliseconds.
    let mut monitor = monitor(&name);
    for _ in 0..10 {
        monitor.glance();
    }
    let (_, group) = looked(&mut monitor);
    assert_eq!((group.ready, group.unacked, group.done, group.info.span), (2, 3, 1, 2));
    let in_flight = group.info.in_flight.as_ref().unwrap();
    assert_eq!((in_flight.max, in_flight.messages.len()), (8, 3));
    assert_eq!((in_flight.delayed(), in_flight.overdue(), in_flight.is_full()), (1, 0, false));
    let [member] = &group.members[..] else { panic!("{:?}", group.members) };
    assert_eq!((member.in_flight, member.overdue, member.attempts), (2, 0, 1));
    assert_eq!(member.holds, Some(1));
    assert!(member.held_for.unwrap() >= Duration::from_millis(70), "{:?}", member.held_for);
    let due = member.due.unwrap();
    assert!(due <= timeout && due > Duration::ZERO, "{due:?}");
    // The oldest message is in flight, and was sent before it was received.
    let Figure::AtLeast(age) = group.oldest_age else { panic!("{:?}", group.oldest_age) };
    assert!(age >= Duration::from_millis(70), "{age:?}");
    assert_eq!(group.busy, Figure::Estimated(1.0));
    drop(jobs);
    while let Ok(job) = worker.try_recv() {
        job.ack().unwrap();
    }
    let (stats, group) = looked(&mut monitor);
    assert_eq!((group.ready, group.unacked, group.done), (0, 1, 5));
    // One waits for its next delivery, of a member that has nothing.
    assert_eq!((group.members[0].holds, group.members[0].due), (None, None));
    assert_eq!(stats.findings(), []);
}

/// However the messages move from the ring into places meanwhile.
#[test]
fn a_look_counts_no_message_twice() {
    const MESSAGES: u64 = 1024;
    let name = TempName::new("twice");
    let queue = queue(&name, MESSAGES, &work(MESSAGES as u32));
    let mut producer = queue.producer().unwrap();
    (0..MESSAGES).for_each(|_| _ = producer.send("a").unwrap());
    let mut worker = queue.worker("work").unwrap();
    std::thread::scope(|scope| {
        let received = scope.spawn(move || -> Vec<_> {
            let slowly = || std::thread::sleep(Duration::from_micros(20));
            (0..MESSAGES).map(|_| worker.recv().inspect(|_| slowly()).unwrap()).collect()
        });
        while !received.is_finished() {
            let group = queue.snapshot().unwrap().groups.remove(0);
            assert!(!group.whole || (group.depth, group.done) == (MESSAGES, 0), "{group:?}");
        }
        let jobs = received.join().unwrap();
        jobs.into_iter().for_each(|job| job.ack().unwrap());
    });
}

#[test]
fn a_stopped_member_is_told_with_what_it_has_until_that_is_taken_back() {
    let name = TempName::new("stopped");
    let queue = queue(&name, 16, &work(8));
    queue.producer().unwrap().send_batch(["message"; 5]).unwrap();
    let mut stopped = Child::start(&format!("work {} 3", &*name));
    stopped.expect("3");
    let mut monitor = monitor(&name);
    assert_eq!(looked(&mut monitor).0.findings(), []);
    stopped.stop();
    let found = finding(&mut monitor, FindingKind::ConsumerStopped, true).unwrap();
    let pid = stopped.pid();
    assert_eq!((found.severity, found.group.as_deref()), (Severity::Warning, Some("work")));
    let record = looked(&mut monitor).1.members[0].info.record;
    // By the number that commands take, too.
    let text = format!(
        "process {pid}, consumer {record} of group \"work\" is stopped and has 3 messages in flight"
    );
    assert!(found.text.starts_with(&text), "{}", found.text);
    assert!(found.text.contains("message 0 for at least"), "{}", found.text);
    assert!(found.text.contains("the group has no ack timeout"), "{}", found.text);
    // A timeout that is set later is not that of what was received before.
    queue.set_ack_timeout("work", Some(Duration::from_secs(30))).unwrap();
    let later = finding(&mut monitor, FindingKind::ConsumerStopped, true).unwrap();
    assert!(later.text.contains("as received without an ack timeout"), "{}", later.text);
    queue.set_ack_timeout("work", None).unwrap();
    assert_eq!(
        commands(&found),
        [
            format!("kill -CONT {pid}"),
            format!("slipring group evict {} work --member {record}", &*name),
            // No other consumer is there to take them.
            format!("slipring recv {} --group work --shared --exec \"$CMD\"", &*name),
            format!("kill -KILL {pid}"),
        ]
    );
    // What the second one does.
    let done = queue.evict("work", Duration::ZERO, |message| message.record == Some(record));
    assert_eq!(done.unwrap().evicted, [0, 1, 2]);
    // It is the only one, so nobody takes them.
    let found = looked(&mut monitor).0.findings().remove(0);
    let text = "all consumers of group \"work\" are stopped; 5 messages wait for it";
    assert!(found.text.starts_with(text), "{}", found.text);
    assert_eq!(commands(&found)[0], format!("kill -CONT {pid}"));
    let _other = queue.worker("work").unwrap();
    finding(&mut monitor, FindingKind::ConsumerStopped, false);
}

#[test]
fn a_group_without_a_free_place_is_told_with_who_has_them() {
    let name = TempName::new("full");
    let queue = queue(&name, 4, &work(3));
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["message"; 3]).unwrap();
    let mut hangs = Child::start(&format!("work {} 2", &*name));
    hangs.expect("2");
    let mut worker = queue.worker("work").unwrap();
    worker.recv().unwrap().retry_after(Duration::from_secs(600)).unwrap();
    let mut monitor = monitor(&name);
    producer.send_batch(["message"; 4]).unwrap();
    assert!(worker.try_recv().is_err() && worker.is_full());
    let (stats, group) = looked(&mut monitor);
    // All that a member holds is beside the ring, so it is not said to keep the ring full.
    assert_eq!((group.ready, group.info.span), (4, 4));
    let [found] = &stats.findings()[..] else { panic!("{:?}", stats.findings()) };
    assert_eq!((found.kind, found.severity), (FindingKind::InFlightFull, Severity::Error));
    for words in [
        "group \"work\" receives nothing: all its 3 places",
        &format!("2 by process {}, consumer 0 and 1 by messages that wait", hangs.pid()),
        "wait for their next delivery, the first for 600 s",
        "4 messages wait in the ring",
        "4 of 4 slots: the ring is full",
    ] {
        assert!(found.text.contains(words), "{words:?} is not in {}", found.text);
    }
    let retry = format!("slipring group retry {} work --all", &*name);
    assert_eq!(commands(found), [&format!("slipring group ls {}", &*name), &retry]);
    // Who has held its messages for long is taken to hang.
    let since = Instant::now();
    let found = loop {
        let found = finding(&mut monitor, FindingKind::InFlightFull, true).unwrap();
        if found.remedies.len() > 2 {
            break found;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "{found:?}");
    };
    assert!(since.elapsed() >= Duration::from_secs(4), "{:?}", since.elapsed());
    assert!(commands(&found)[1].starts_with("slipring group evict "), "{found:?}");
    assert_eq!(commands(&found)[2], format!("kill {}", hangs.pid()));
    let of_hangs = |members: &[ConsumerStats]| {
        members.iter().find(|member| member.holds == Some(0)).map(|member| member.due)
    };
    assert_eq!(of_hangs(&looked(&mut monitor).1.members), Some(None), "there is no ack timeout");
    hangs.kill();
    let due_now = Some(Some(Duration::ZERO));
    assert_eq!(of_hangs(&looked(&mut monitor).1.members), due_now, "others take them at once");
    for _ in 0..6 {
        worker.recv_timeout(WINDOW).unwrap().ack().unwrap();
    }
    finding(&mut monitor, FindingKind::InFlightFull, false);
}

#[test]
fn a_group_all_of_whose_messages_wait_is_told_how_to_let_them_go_on() {
    let name = TempName::new("brake");
    let queue = queue(&name, 4, &work(2));
    queue.producer().unwrap().send_batch(["message"; 4]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    for job in worker.recv_batch(2).unwrap() {
        job.retry_after(Duration::from_secs(600)).unwrap();
    }
    queue.producer().unwrap().send_batch(["message"; 2]).unwrap();
    let found = monitor(&name).stats(WINDOW).findings();
    let [found] = &found[..] else { panic!("{found:?}") };
    let by =
        "places for messages in flight are in use, 2 by messages that wait for their next delivery";
    assert!(found.text.contains(by), "{}", found.text);
    assert_eq!(commands(found)[1], format!("slipring group retry {} work --all", &*name));
    // What that command does.
    assert_eq!(queue.retry_now("work", |_| true).unwrap(), [0, 1]);
    assert_eq!([0, 1].map(|_| worker.try_recv().unwrap().attempts()), [2, 2]);
}

/// It is stopped again and again until it happens to have reserved places, and not yet claimed messages for them.
#[test]
fn a_member_that_is_stopped_with_reserved_places_is_told() {
    const PLACES: u32 = 64;
    let name = TempName::new("reserved");
    let queue = Queue::builder(&name).capacity(256).payload_size(32).group(work(PLACES));
    let queue = queue.create().unwrap();
    let mut stopped = Child::start(&format!("takes {}", &*name));
    stopped.expect("there");
    let over = AtomicBool::new(false);
    let reserved = thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = queue.producer().unwrap();
            while !over.load(Ordering::Relaxed) {
                let _ = producer.send_timeout("message", Duration::from_millis(10));
            }
        });
        let since = Instant::now();
        let reserved = loop {
            let uneven = since.elapsed().subsec_micros() % 911;
            thread::sleep(Duration::from_micros(1000 + u64::from(uneven)));
            stopped.stop();
            let group = queue.snapshot().unwrap().groups.remove(0);
            let reserved = group.in_flight.unwrap().reserved_by(group.members[0].record);
            if reserved > 0 && group.members[0].claimed.is_none() {
                break reserved;
            }
            assert!(since.elapsed() < Duration::from_secs(300), "never stopped there");
            stopped.go_on();
        };
        over.store(true, Ordering::Relaxed);
        reserved
    });
    // Something waits, and nobody gets it if no place is left.
    let _ = queue.producer().unwrap().try_send("message");
    let (stats, group) = looked(&mut monitor(&name));
    let [member] = &group.members[..] else { panic!("{:?}", group.members) };
    assert!(member.info.taking.is_some(), "{:?}", member.info);
    let in_flight = group.info.in_flight.unwrap();
    assert_eq!(in_flight.is_full(), reserved + in_flight.messages.len() as u32 == PLACES);
    let (pid, record) = (stopped.pid(), member.info.record);
    let text = format!(
        "process {pid}, consumer {record} of group \"work\" is stopped while it takes messages, with {reserved} of 64 places \
         for messages in flight reserved"
    );
    let found = stats.findings();
    let found = found.iter().find(|found| found.kind == FindingKind::ConsumerStopped).unwrap();
    assert!(found.text.starts_with(&text), "{}", found.text);
    assert_eq!(commands(found)[0], format!("kill -CONT {pid}"));
    assert_eq!(commands(found).last().unwrap(), &format!("kill -KILL {pid}"));
    // What that command does.
    stopped.kill();
    let mut worker = queue.worker("work").unwrap();
    while let Ok(job) = worker.recv_timeout(Duration::from_secs(1)) {
        job.ack().unwrap();
    }
    let group = queue.snapshot().unwrap().groups.remove(0);
    assert_eq!((group.depth, group.in_flight.unwrap().reserved), (0, vec![]));
}

/// Its consumer asks for more time, for a command that hangs perhaps.
#[test]
fn one_look_tells_that_all_places_have_been_in_use_for_long() {
    let name = TempName::new("one-look");
    let queue = queue(&name, 8, &work(2).ack_timeout(Duration::from_secs(600)));
    queue.producer().unwrap().send_batch(["message"; 3]).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let jobs = worker.recv_batch(2).unwrap();
    assert_eq!(monitor(&name).stats(WINDOW).findings(), []);
    thread::sleep(Duration::from_millis(5100));
    let found = monitor(&name).stats(WINDOW).findings();
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.kind, found.severity), (FindingKind::InFlightFull, Severity::Warning));
    let evict = format!("slipring group evict {} work --sequence 0", &*name);
    assert_eq!(commands(found), [format!("slipring group ls {}", &*name), evict]);
    // What that command does.
    queue.evict("work", Duration::ZERO, |message| message.sequence == 0).unwrap();
    assert_eq!(worker.recv_timeout(WINDOW).unwrap().sequence(), 0);
    drop(jobs);
}

#[test]
fn a_message_past_its_ack_timeout_that_nobody_takes_is_told() {
    let name = TempName::new("overdue");
    let queue = queue(&name, 8, &work(4).ack_timeout(Duration::from_secs(1)));
    queue.producer().unwrap().send("message").unwrap();
    let mut hangs = Child::start(&format!("work {} 1", &*name));
    hangs.expect("1");
    let mut monitor = monitor(&name);
    let found = finding(&mut monitor, FindingKind::ConsumerHangs, true).unwrap();
    let text = format!(
        "process {}, consumer 0 of group \"work\" has 1 message in flight past the ack timeout of 1.0 s",
        hangs.pid()
    );
    assert!(found.text.starts_with(&text), "{}", found.text);
    assert_eq!(looked(&mut monitor).1.members[0].overdue, 1);
    let starts = format!("slipring recv {} --group work --shared --exec \"$CMD\"", &*name);
    assert_eq!(commands(&found)[0], starts);
    // What that command does.
    queue.worker("work").unwrap().recv_timeout(WINDOW).unwrap().ack().unwrap();
    finding(&mut monitor, FindingKind::ConsumerHangs, false);
    hangs.say("ack");
    hangs.finish();
}

#[test]
fn a_message_in_flight_that_comes_again_and_again_is_told() {
    let name = TempName::new("loop");
    let queue = queue(&name, 8, &work(4).unlimited_attempts());
    queue.producer().unwrap().send("poison").unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut monitor = monitor(&name);
    for _ in 0..3 {
        assert_eq!(looked(&mut monitor).0.findings(), []);
        worker.recv_timeout(WINDOW).unwrap().give_back().unwrap();
    }
    let found = finding(&mut monitor, FindingKind::MessageInLoop, true).unwrap();
    assert!(found.text.contains("message 0 of group \"work\" was delivered 3 times"), "{found:?}");
    let commands = commands(&found);
    assert_eq!(commands[0], format!("slipring peek {} --group work --sequence 0", &*name));
    assert_eq!(commands[1], format!("slipring group reject {} work --sequence 0", &*name));
}
