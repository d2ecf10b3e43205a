//! What a monitor tells of a known load: exact where it counts, unknown where it cannot know, and without a trace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use common::TempName;
use common::child::{Child, hear, role, tell};
use slipring::{
    AttachError, Figure, Group, GroupStats, Monitor, OpenOptions, ProcessState, Queue, Stats,
    Unknown, WakeMode,
};

/// Any two looks of a test are closer.
const WINDOW: Duration = Duration::from_secs(60);

fn monitor(name: &str) -> Monitor {
    Monitor::open(name, &OpenOptions::new()).unwrap()
}

fn looked(monitor: &mut Monitor) -> Stats {
    monitor.look().unwrap();
    monitor.stats(WINDOW)
}

fn group<'s>(stats: &'s Stats, name: &str) -> &'s GroupStats {
    stats.groups.iter().find(|group| group.info.name == name).unwrap()
}

/// A measured rate as a count of messages in the window.
#[track_caller]
fn counted(stats: &Stats, rate: Figure) -> u64 {
    let Figure::Measured(rate) = rate else { panic!("{rate:?}") };
    let count = rate * stats.window.unwrap().as_secs_f64();
    assert!((count - count.round()).abs() < 1e-6, "{count}");
    count.round() as u64
}

/// Glances until `done`, for as long as that takes.
fn glance_until(monitor: &mut Monitor, mut done: impl FnMut(&mut Monitor) -> bool) {
    let since = Instant::now();
    while !done(monitor) {
        assert!(since.elapsed() < Duration::from_secs(120), "it takes too long");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn counts_and_rates_are_exact() {
    let name = TempName::new("exact");
    let work = Group::named("work").shared();
    let builder = Queue::builder(&name).capacity(64).payload_size(8).group("audit").group(work);
    let queue = builder.create().unwrap();
    let mut monitor = monitor(&name);
    let first = monitor.stats(WINDOW);
    assert_eq!((first.window, first.publish_rate), (None, Figure::Unknown(Unknown::OneLook)));
    assert_eq!(group(&first, "work").throughput, Figure::Unknown(Unknown::OneLook));

    let mut producer = queue.producer().unwrap();
    producer.send_batch(vec!["12345678"; 40]).unwrap();
    let mut audit = queue.consumer("audit").unwrap();
    audit.recv_batch(25).unwrap().ack().unwrap();
    let mut one = queue.consumer(Group::named("work").shared()).unwrap();
    let mut two = queue.consumer(Group::named("work").shared()).unwrap();
    let held = one.recv_batch(4).unwrap();
    two.recv_batch(3).unwrap().ack().unwrap();
    let also = two.recv_batch(2).unwrap();
    let second = looked(&mut monitor);
    assert_eq!((second.published, counted(&second, second.publish_rate)), (40, 40));
    // The oldest that "work" has not acked is the first of all.
    assert_eq!(second.used, 40);
    let work = group(&second, "work");
    assert_eq!((work.ready, work.unacked, work.done), (31, 6, 3));
    assert_eq!(counted(&second, work.throughput), 3);
    assert_eq!((work.consumers, work.info.span), (2, 40));
    let holds: Vec<_> = work.members.iter().map(|member| member.holds).collect();
    assert_eq!(holds, [Some(0), Some(7)]);
    assert_eq!(counted(&second, work.members[1].ack_rate), 3);
    let audit = group(&second, "audit");
    assert_eq!((audit.ready, audit.unacked, audit.done), (15, 0, 25));
    assert_eq!(counted(&second, audit.throughput), 25);

    held.ack().unwrap();
    drop(also);
    let third = looked(&mut monitor);
    assert_eq!(counted(&third, third.publish_rate), 40);
    // What was dropped without an ack is still its consumer's.
    assert_eq!(group(&third, "work").done, 7);
    // Between the last two looks alone.
    let last = monitor.stats(Duration::ZERO);
    assert_eq!(counted(&last, last.publish_rate), 0);
    assert_eq!(counted(&last, group(&last, "work").throughput), 4);
}

/// A load in which each sample finds the same: then the means are exact as well.
#[test]
fn delays_and_service_rates_follow_from_a_steady_load() {
    let name = TempName::new("steady");
    let queue = Queue::builder(&name).capacity(64).group("g").create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    producer.send_batch(["0", "1", "2"]).unwrap();
    let mut monitor = monitor(&name);
    for _ in 0..100 {
        producer.send("next").unwrap();
        let message = consumer.recv().unwrap();
        monitor.glance();
        message.ack().unwrap();
    }
    producer.send("next").unwrap();
    let message = consumer.recv().unwrap();
    let stats = looked(&mut monitor);
    message.ack().unwrap();
    let seconds = stats.window.unwrap().as_secs_f64();
    let g = group(&stats, "g");
    // Looks included: a hundred glances, and the look at the end; three messages ready and one received in each.
    assert_eq!((stats.samples, g.ready, g.unacked), (101, 3, 1));
    assert_eq!(counted(&stats, g.throughput), 100);
    assert_eq!((g.busy, g.service_rate), (Figure::Estimated(1.0), g.throughput));
    let is = |figure: Figure<Duration>, messages: f64| {
        let Figure::Estimated(time) = figure else { panic!("{figure:?}") };
        let expected = messages * seconds / 100.0;
        assert!((time.as_secs_f64() - expected).abs() < 1e-6, "{time:?} is not {expected} s");
    };
    is(g.delay, 4.0);
    is(g.wait, 3.0);
    is(g.work, 1.0);
    is(g.backlog, 4.0);
    // It grew by one message that was received: it is never idle, so its load is what it can do, or more.
    assert_eq!(g.utilisation, Figure::AtLeast(1.0));
}

#[test]
fn utilisation_is_the_busy_share_of_a_group_that_keeps_up() {
    let name = TempName::new("keeps-up");
    let queue = Queue::builder(&name).capacity(64).group("g").create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    let mut monitor = monitor(&name);
    for _ in 0..60 {
        producer.send("next").unwrap();
        let message = consumer.recv().unwrap();
        monitor.glance();
        message.ack().unwrap();
        monitor.glance();
        monitor.glance();
        monitor.glance();
    }
    // 60 of 241 samples find it busy: enough to tell its speed from the share.
    let stats = looked(&mut monitor);
    let g = group(&stats, "g");
    let (busy, rate) = (60.0 / 241.0, stats.publish_rate.value().unwrap());
    assert_eq!(g.busy, Figure::Estimated(busy));
    let Figure::Estimated(service_rate) = g.service_rate else { panic!("{:?}", g.service_rate) };
    assert!((service_rate - rate / busy).abs() < 1e-6 * service_rate);
    let Figure::Estimated(utilisation) = g.utilisation else { panic!("{:?}", g.utilisation) };
    assert!((utilisation - busy).abs() < 1e-9);
    assert_eq!(g.empty_in, Figure::Measured(Duration::ZERO));
    assert_eq!(g.oldest_age, Figure::Unknown(Unknown::NothingWaits));
}

/// Nothing was found waiting: that is no delay of 0.
#[test]
fn a_delay_too_short_for_the_samples_is_not_known() {
    let name = TempName::new("short");
    let queue = Queue::builder(&name).capacity(64).group("g").create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    let mut monitor = monitor(&name);
    for _ in 0..60 {
        producer.send("next").unwrap();
        consumer.recv().unwrap().ack().unwrap();
        monitor.glance();
    }
    let stats = looked(&mut monitor);
    let g = group(&stats, "g");
    assert_eq!(counted(&stats, g.throughput), 60);
    assert_eq!(g.delay, Figure::Unknown(Unknown::FewSamples));
    assert_eq!(
        (g.busy, g.service_rate.unknown()),
        (Figure::Estimated(0.0), Some(Unknown::FewSamples))
    );
}

#[test]
fn what_cannot_be_known_says_why() {
    let name = TempName::new("unknown");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut monitor = monitor(&name);
    let stats = looked(&mut monitor);
    let g = group(&stats, "g");
    assert_eq!(g.service_rate, Figure::Unknown(Unknown::NoConsumer));
    assert_eq!(g.utilisation, Figure::Unknown(Unknown::NoConsumer));
    assert_eq!(g.delay, Figure::Unknown(Unknown::FewSamples));
    assert_eq!(stats.full_in, Figure::Unknown(Unknown::NotGrowing));
    let _consumer = queue.consumer("g").unwrap();
    looked(&mut monitor);
    (0..10).for_each(|_| monitor.glance());
    let stats = looked(&mut monitor);
    let g = group(&stats, "g");
    assert_eq!(g.service_rate, Figure::Unknown(Unknown::Idle));
    assert_eq!(g.delay, Figure::Unknown(Unknown::Idle));
    queue.producer().unwrap().send("stuck").unwrap();
    (0..10).for_each(|_| monitor.glance());
    monitor.look().unwrap();
    let stats = monitor.stats(Duration::ZERO);
    let g = group(&stats, "g");
    // A consumer that takes nothing, though something is there all the time, serves nothing.
    assert_eq!(
        (g.service_rate, g.backlog.unknown()),
        (Figure::Measured(0.0), Some(Unknown::Stalled))
    );
    assert_eq!(g.delay, Figure::Unknown(Unknown::Stalled));
}

#[test]
fn a_ring_that_fills_says_when_it_is_full() {
    let name = TempName::new("fills");
    let queue = Queue::builder(&name).capacity(64).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut monitor = monitor(&name);
    producer.send_batch(["0"; 16]).unwrap();
    let stats = looked(&mut monitor);
    let Figure::Estimated(full_in) = stats.full_in else { panic!("{:?}", stats.full_in) };
    let expected = stats.window.unwrap() * 3;
    assert!(full_in.abs_diff(expected) < Duration::from_micros(1), "{full_in:?} {expected:?}");
    assert_eq!(group(&stats, "g").empty_in, Figure::Unknown(Unknown::NotShrinking));
    producer.send_batch(["0"; 48]).unwrap();
    let stats = looked(&mut monitor);
    assert_eq!((stats.used, stats.full_in), (64, Figure::Measured(Duration::ZERO)));
    queue.consumer("g").unwrap().recv_batch(16).unwrap().ack().unwrap();
    monitor.look().unwrap();
    let stats = monitor.stats(Duration::ZERO);
    let Figure::Estimated(empty) = group(&stats, "g").empty_in else { panic!("{stats:?}") };
    assert!(empty.abs_diff(stats.window.unwrap() * 3) < Duration::from_micros(1));
}

#[test]
fn the_time_that_a_producer_waits_for_room_is_measured() {
    for mode in [WakeMode::Fence, WakeMode::None] {
        let name = TempName::new("blocked");
        let builder = Queue::builder(&name).capacity(8).wake_mode(mode).group("g");
        let queue = builder.create().unwrap();
        let mut producer = queue.producer().unwrap();
        producer.send_batch(["0"; 8]).unwrap();
        let mut monitor = monitor(&name);
        assert_eq!(looked(&mut monitor).blocked, Figure::Measured(0.0));
        thread::scope(|scope| {
            let sends = scope.spawn(move || {
                producer.send("9").unwrap();
                producer
            });
            glance_until(&mut monitor, |m| m.look().unwrap().producer.blocked_for.is_some());
            // It waits all the time between two looks, but for what lies between a look and the reading of its clock.
            glance_until(&mut monitor, |m| {
                thread::sleep(Duration::from_millis(20));
                m.look().unwrap();
                m.stats(Duration::ZERO).blocked.value().is_some_and(|share| share > 0.9)
            });
            let stats = monitor.stats(Duration::ZERO);
            let lasts = stats.snapshot.producer.blocked_for.unwrap();
            assert!(lasts >= Duration::from_millis(20) && stats.blocked_total >= lasts);
            queue.consumer("g").unwrap().recv().unwrap().ack().unwrap();
            let producer = sends.join().unwrap();
            let after = looked(&mut monitor);
            assert_eq!(after.snapshot.producer.blocked_for, None);
            assert!(after.blocked_total >= lasts);
            // A wait that fails counts as well.
            let mut producer = producer;
            let waited = producer.send_timeout("10", Duration::from_millis(50));
            assert!(matches!(waited, Err(slipring::SendError::Timeout(_))));
            let later = looked(&mut monitor).blocked_total;
            assert!(later >= after.blocked_total + Duration::from_millis(20), "{later:?}");
            monitor.look().unwrap();
            assert_eq!(monitor.stats(Duration::ZERO).blocked, Figure::Measured(0.0));
        });
    }
}

/// It was killed in a wait: that wait ends with it.
#[test]
fn a_dead_producer_is_not_blocked() {
    let name = TempName::new("blocked-dead");
    let queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let mut producer = Child::start(&format!("producer {}", &*name));
    producer.expect("sent");
    producer.say("");
    let mut monitor = monitor(&name);
    glance_until(&mut monitor, |m| m.look().unwrap().producer.blocked_for.is_some());
    producer.kill();
    let dead = looked(&mut monitor);
    assert_eq!(dead.snapshot.producer.blocked_for, None);
    let _next = queue.producer().unwrap();
    assert_eq!(looked(&mut monitor).snapshot.producer.blocked_for, None);
}

#[test]
fn totals_never_step_back() {
    let name = TempName::new("totals");
    let work = Group::named("work").shared().max_attempts(2);
    let queue = Queue::builder(&name).capacity(64).group(work.clone()).create().unwrap();
    let letters = TempName::exactly(format!("{}.dead", &*name));
    let mut monitor = monitor(&name);
    let mut seen = (0, 0, 0, 0);
    let mut check = |monitor: &mut Monitor| {
        let stats = looked(monitor);
        let g = group(&stats, "work");
        let now = (stats.published, g.done, g.redelivered, g.dead_lettered);
        let (a, b) = (seen, now);
        assert!(a.0 <= b.0 && a.1 <= b.1 && a.2 <= b.2 && a.3 <= b.3, "{a:?} then {b:?}");
        seen = now;
        now
    };
    for round in 1..=3 {
        // Another producer each time: the role is taken over.
        queue.producer().unwrap().send_batch(["0"; 8]).unwrap();
        let mut member = queue.consumer(work.clone()).unwrap();
        member.recv_batch(5).unwrap().ack().unwrap();
        member.recv().unwrap().reject().unwrap();
        drop(member.recv().unwrap());
        assert_eq!(member.recv().unwrap().attempts(), 2);
        check(&mut monitor);
        let mut other = queue.consumer(work.clone()).unwrap();
        // It leaves with a message that came twice already; its counts go to the group.
        drop(member);
        check(&mut monitor);
        while let Ok(message) = other.recv_timeout(Duration::from_millis(200)) {
            message.ack().unwrap();
        }
        let (published, done, redelivered, dead) = check(&mut monitor);
        assert_eq!((published, done), (8 * round, 8 * round));
        assert_eq!((redelivered >= round, dead >= round), (true, true));
    }
    let before = looked(&mut monitor);
    queue.remove_group("work").unwrap();
    looked(&mut monitor);
    queue.add_group(work.start(slipring::Start::Newest)).unwrap();
    let after = looked(&mut monitor);
    let (before, after) = (group(&before, "work"), group(&after, "work"));
    assert_ne!(before.info.instance, after.info.instance);
    assert_eq!((after.done, after.redelivered, after.dead_lettered), (0, 0, 0));
    assert_eq!(after.throughput, Figure::Unknown(Unknown::OneLook));
    drop(letters);
}

/// The file's bytes, and what locks of it this process has.
fn trace(name: &TempName) -> (Vec<u8>, Vec<String>) {
    let inode = format!(":{} ", fs::metadata(name.path()).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let locks = locks.lines().filter(|line| line.contains(&inode)).map(str::to_owned);
    (fs::read(name.path()).unwrap(), locks.collect())
}

#[test]
fn watching_leaves_no_trace() {
    let name = TempName::new("trace");
    {
        let work = Group::named("work").shared();
        let queue = Queue::builder(&name).capacity(8).group("g").group(work).create().unwrap();
        queue.producer().unwrap().send_batch(["0"; 8]).unwrap();
        drop(queue.consumer("g").unwrap().recv().unwrap());
    }
    let mut permissions = fs::metadata(name.path()).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o400);
    fs::set_permissions(name.path(), permissions).unwrap();
    let before = trace(&name);
    let mut monitor = monitor(&name);
    for _ in 0..100 {
        monitor.glance();
        monitor.look().unwrap();
        monitor.stats(WINDOW);
    }
    assert!(trace(&name) == before, "the segment or its locks have changed");
    assert_eq!(before.1, [] as [String; 0]);
    // Mapped once, and for reading only.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_queue = maps.lines().filter(|line| line.ends_with(&format!("slipring.{}", &*name)));
    let modes: Vec<_> = of_queue.map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(modes, ["r--s"]);
}

#[test]
fn the_age_of_the_oldest_message_counts_from_the_look_that_found_it() {
    let name = TempName::new("age");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let mut monitor = monitor(&name);
    let (sent, mut producer) = (Instant::now(), queue.producer().unwrap());
    producer.send("0").unwrap();
    monitor.look().unwrap();
    let found = Instant::now();
    thread::sleep(Duration::from_millis(30));
    producer.send("1").unwrap();
    let stats = looked(&mut monitor);
    let g = group(&stats, "g");
    let Figure::AtLeast(least) = g.oldest_age else { panic!("{:?}", g.oldest_age) };
    let most = g.oldest_age_at_most.unwrap();
    assert!(least >= Duration::from_millis(30) && least <= sent.elapsed(), "{least:?}");
    assert!(most >= least && most >= found.elapsed().saturating_sub(sent.elapsed()), "{most:?}");
    assert!(g.no_ack_for.unwrap() >= Duration::from_millis(30));
    queue.consumer("g").unwrap().recv_batch(1).unwrap().ack().unwrap();
    let stats = looked(&mut monitor);
    let later = group(&stats, "g").oldest_age.value().unwrap();
    assert!(later < g.oldest_age.value().unwrap() + found.elapsed(), "{later:?}");
    assert!(group(&stats, "g").no_ack_for.unwrap() < Duration::from_secs(60));
}

#[test]
fn a_queue_that_is_gone_says_so() {
    let name = TempName::new("gone");
    let queue = Queue::builder(&name).capacity(8).create().unwrap();
    let mut monitor = monitor(&name);
    slipring::remove(&name).unwrap();
    assert!(matches!(monitor.look(), Err(AttachError::Removed { .. })));
    drop(queue);
    // Another queue of that name is another one.
    let again = Queue::builder(&name).capacity(8).create().unwrap();
    assert!(matches!(monitor.look(), Err(AttachError::Removed { .. })));
    let other = Monitor::open(&name, &OpenOptions::new()).unwrap();
    assert_ne!(other.snapshot().instance, monitor.snapshot().instance);
    drop(again);
}

/// Roles of this test binary.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    let [kind, name] = &role[..] else { panic!("{role:?}") };
    let queue = Queue::open(name).unwrap();
    match kind.as_str() {
        "member" => {
            let mut member = queue.consumer(Group::named("work").shared()).unwrap();
            let _held = member.recv().unwrap();
            tell("holds");
            hear();
        }
        _ => {
            let mut producer = queue.producer().unwrap();
            producer.send("0").unwrap();
            tell("sent");
            hear();
            // Without a consumer it waits for ever in a ring of one.
            let _ = producer.send("1");
        }
    }
}

#[test]
fn a_stopped_process_is_told_from_a_dead_one() {
    let name = TempName::new("stopped");
    let work = Group::named("work").shared();
    Queue::builder(&name).capacity(8).group(work).create().unwrap();
    let mut producer = Child::start(&format!("producer {}", &*name));
    producer.expect("sent");
    let mut member = Child::start(&format!("member {}", &*name));
    member.expect("holds");
    let mut monitor = monitor(&name);
    let mut states = || {
        let stats = looked(&mut monitor);
        let member = &group(&stats, "work").members[0];
        (stats.producer.state, member.process.clone(), member.holds)
    };
    let (sends, holder, holds) = states();
    assert_eq!((sends, holder.state, holds), (ProcessState::Alive, ProcessState::Alive, Some(0)));
    assert_eq!(holder.pid_here, Some(member.pid()));
    assert!(holder.command.unwrap().starts_with("stats"));
    member.stop();
    producer.stop();
    let (sends, holder, _) = states();
    assert_eq!((sends, holder.state), (ProcessState::Stopped, ProcessState::Stopped));
    member.go_on();
    producer.go_on();
    // The kernel continues a process when it next runs it.
    glance_until(&mut Monitor::open(&name, &OpenOptions::new()).unwrap(), |_| {
        let (sends, holder, _) = states();
        (sends, holder.state) == (ProcessState::Alive, ProcessState::Alive)
    });
    member.kill();
    producer.kill();
    let (sends, holder, holds) = states();
    assert_eq!((sends, holder.state, holds), (ProcessState::Dead, ProcessState::Dead, Some(0)));
    assert_eq!(holder.pid_here, None);
}

/// Skipped where no pid namespace can be made.
#[test]
fn of_a_process_in_another_pid_namespace_only_its_life_is_known() {
    let wrapper = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let works = std::process::Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").output();
    if !works.is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: no pid namespace can be made here");
        return;
    }
    let name = TempName::new("namespace");
    let work = Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(8).group(work).create().unwrap();
    queue.producer().unwrap().send("0").unwrap();
    let mut member = Child::start_under(&wrapper, &format!("member {}", &*name));
    member.expect("holds");
    let mut monitor = monitor(&name);
    let stats = looked(&mut monitor);
    let process = &group(&stats, "work").members[0].process;
    assert_eq!((process.state, process.pid_here), (ProcessState::Unseen, None));
}
