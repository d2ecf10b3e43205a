//! Sleepers and wakers, in processes of their own.

use std::fs;
use std::time::{Duration, Instant};

use slipring::{Group, OpenError, Queue, WakeMode};

use crate::common::child::{Child, processor_time, tell};
use crate::common::limits::{Filter, filter};
use crate::common::{TempName, words};
use crate::stream::LONG;

/// Bit 0: some consumer sleeps.
const DATA: u64 = words::DATA;
/// Offsets of the words at which the consumers of the first group, and the producer, sleep. Bit 0: there is a sleeper;
/// from bit 2 on they count wake-ups, except those by consumers.
const WAIT: u64 = words::GROUPS + 664;
const ROOM: u64 = words::ROOM;
/// Bit 1: the producer has set bit 0 again, for sleepers that it left asleep.
const LEFT_ASLEEP: u32 = 3;
/// The threshold: the gate at which the producer is to be woken, stored before it sleeps.
const THRESHOLD: u64 = words::THRESHOLD;

/// Both wake modes with sleeps.
const MODES: [WakeMode; 2] = [WakeMode::Membarrier, WakeMode::Fence];

/// Role: opens the queue `name` and makes another one, without membarrier.
pub(crate) fn without_membarrier(name: &str) {
    if !filter(Filter::Without(libc::SYS_membarrier)) {
        return tell("no filter");
    }
    let fault = Queue::open(name).map(drop).unwrap_err();
    assert!(matches!(fault, OpenError::System(_)), "{fault:?}");
    tell(fault);
    // A process that only reads wakes nobody.
    slipring::OpenOptions::new().snapshot(name).unwrap();
    let other = TempName::new("fallback");
    let queue = Queue::builder(&other).create().unwrap();
    tell(queue.wake_mode());
    assert_eq!(Queue::open(&other).unwrap().wake_mode(), WakeMode::Fence);
}

#[test]
fn without_membarrier_new_queues_use_fences_and_others_are_refused() {
    let name = TempName::new("membarrier");
    let queue = Queue::builder(&name).create().unwrap();
    if queue.wake_mode() != WakeMode::Membarrier {
        println!("skipped: this kernel refuses membarrier(2)");
        return;
    }
    let mut child = Child::start(&format!("without-membarrier {}", &*name));
    let line = child.line().unwrap();
    if line == "no filter" {
        println!("skipped: this system lets nobody filter system calls");
        return;
    }
    let doing = "cannot register with membarrier(2), which the queue's wake mode needs: ";
    assert!(line.contains(doing), "{line}");
    child.expect("fence");
    child.finish();
}

fn shared() -> Group {
    Group::named("work").shared().unlimited_attempts()
}

/// Role: joins, and takes `count` messages.
pub(crate) fn take(name: &str, count: u64) {
    let queue = Queue::open(name).unwrap();
    let mut member = queue.consumer(shared()).unwrap();
    tell("joined");
    for _ in 0..count {
        member.recv().unwrap().ack().unwrap();
    }
    tell("taken");
}

/// Role: sends `count` messages.
pub(crate) fn give(name: &str, count: u64) {
    let queue = Queue::open(name).unwrap();
    let mut producer = queue.producer().unwrap();
    tell("attached");
    for _ in 0..count {
        producer.send("x").unwrap();
    }
    tell("given");
}

/// Role: joins an exclusive group, and takes `count` messages, each in its time.
pub(crate) fn take_slowly(name: &str, count: u64) {
    let queue = Queue::open(name).unwrap();
    let mut consumer = queue.consumer("slow").unwrap();
    tell("joined");
    for _ in 0..count {
        consumer.recv().unwrap().ack().unwrap();
        std::thread::sleep(Duration::from_micros(500));
    }
    tell("taken");
}

/// Role: sends one message, and then `count` more during which any system call kills it. They are fewer than 256, the
/// messages between two checks of the queue's name.
pub(crate) fn give_silently(name: &str, count: u64) {
    let queue = Queue::open(name).unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send("x").unwrap();
    if !filter(Filter::Only(libc::SYS_write)) {
        return tell("no filter");
    }
    for _ in 0..count {
        producer.send("x").unwrap();
    }
    tell("given");
    // It cannot even end, except by a signal.
    loop {
        std::hint::spin_loop();
    }
}

/// Waits until all threads of the process sleep. They do when they have reported, and have polled for their message for
/// a while.
fn wait_until_asleep(child: &Child) {
    let since = Instant::now();
    let tasks = format!("/proc/{}/task", child.pid());
    let asleep = |path: std::path::PathBuf| {
        let stat = fs::read_to_string(path.join("stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    };
    // Twice: the first time it may have slept for another reason.
    for _ in 0..2 {
        while !fs::read_dir(&tasks).unwrap().all(|task| asleep(task.unwrap().path())) {
            assert!(since.elapsed() < LONG, "it never sleeps");
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// `SLIPRING_SLEEPERS` says how many are killed in each mode (200).
#[test]
fn sleepers_that_are_killed_cost_one_wake_up_and_then_nothing() {
    const AT_ONCE: usize = 10;
    let kills = std::env::var("SLIPRING_SLEEPERS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    for mode in MODES {
        let name = TempName::new("killed-sleepers");
        let shape = Queue::builder(&name).wake_mode(mode).group(shared());
        let queue = shape.create().unwrap();
        let file = words::open(&name.path());
        let mut killed = 0;
        while killed < kills {
            let take = format!("take {} 1", &*name);
            let mut members: Vec<_> = (0..AT_ONCE).map(|_| Child::start(&take)).collect();
            for member in &mut members {
                member.expect("joined");
                wait_until_asleep(member);
            }
            members.iter_mut().for_each(Child::kill);
            killed += AT_ONCE;
        }
        for word in [DATA, WAIT] {
            assert_eq!(words::get32(&file, word) & 1, 1, "the dead have left word that they sleep");
        }
        let mut producer = queue.producer().unwrap();
        let wakes = || words::get32(&file, WAIT) / 4;
        let taken_over = wakes();
        for _ in 0..100 {
            producer.send("x").unwrap();
        }
        assert_eq!(
            wakes(),
            taken_over + 1,
            "the first message wakes nobody, the others do not try"
        );
        for word in [DATA, WAIT] {
            assert_eq!(words::get32(&file, word) & LEFT_ASLEEP, 0);
        }
        drop(producer);
        let mut child = Child::start(&format!("give-silently {} 200", &*name));
        match child.line().as_deref() {
            Some("given") => {}
            Some("no filter") => println!("skipped: nobody may filter system calls"),
            line => panic!("a publication asked something of the kernel: {line:?}"),
        }
        println!("{mode}: {killed} sleepers killed");
    }
}

/// Each message is for one of them; several that come at once are for several.
#[test]
fn a_message_wakes_one_sleeper() {
    const MEMBERS: usize = 8;
    for mode in MODES {
        let name = TempName::new("one-of-many");
        let queue = Queue::builder(&name).wake_mode(mode).group(shared()).create().unwrap();
        let file = words::open(&name.path());
        let take = format!("take {} 1", &*name);
        let mut members: Vec<_> = (0..MEMBERS).map(|_| Child::start(&take)).collect();
        for member in &mut members {
            member.expect("joined");
            wait_until_asleep(member);
        }
        let mut producer = queue.producer().unwrap();
        members.iter().for_each(wait_until_asleep);
        producer.send("for one").unwrap();
        assert_eq!(words::get32(&file, WAIT) & LEFT_ASLEEP, LEFT_ASLEEP, "the others sleep on");
        producer.reserve(MEMBERS - 1).unwrap().publish();
        for mut member in members {
            member.expect("taken");
            member.finish();
        }
    }
}

/// An iterator may be slow with its next message: the last one must not wait for that.
#[test]
fn a_batch_wakes_a_sleeper_before_it_goes_on() {
    for mode in MODES {
        let name = TempName::new("slow-batch");
        let queue = Queue::builder(&name).wake_mode(mode).group(shared()).create().unwrap();
        let file = words::open(&name.path());
        let mut consumer = Child::start(&format!("take {} 1", &*name));
        consumer.expect("joined");
        wait_until_asleep(&consumer);
        let mut producer = queue.producer().unwrap();
        let slept = words::get32(&file, WAIT);
        let messages = ["first", "second"].into_iter().inspect(|message| {
            if *message == "second" {
                // Does the first one have it by now? Nothing else wakes it here.
                consumer.expect("taken");
                assert!(words::get32(&file, WAIT) > slept, "it was woken");
            }
        });
        assert_eq!(producer.send_batch(messages).unwrap(), 2);
        consumer.finish();
    }
}

#[test]
fn a_sleeper_is_woken_and_uses_no_processor() {
    for mode in MODES {
        let name = TempName::new("asleep");
        let queue = Queue::builder(&name).capacity(8).wake_mode(mode).group(shared());
        drop(queue.create().unwrap());
        let file = words::open(&name.path());
        let idle = |child: &Child, what: &str| {
            wait_until_asleep(child);
            let (since, before) = (Instant::now(), processor_time(child));
            std::thread::sleep(Duration::from_secs(1));
            let used = processor_time(child) - before;
            println!("{mode}: a sleeping {what} used {used} s in {:?}", since.elapsed());
            assert!(used < 0.05 * since.elapsed().as_secs_f64(), "a sleeping {what} used {used} s");
        };
        let mut consumer = Child::start(&format!("take {} 100", &*name));
        consumer.expect("joined");
        idle(&consumer, "consumer");
        assert_eq!(words::get32(&file, DATA) & 1, 1);
        consumer.stop();
        // The ring, and no more.
        let mut producer = Child::start(&format!("give {} 100", &*name));
        producer.expect("attached");
        wait_until_asleep(&producer);
        idle(&producer, "producer");
        assert_eq!(words::get32(&file, ROOM) & 1, 1);
        let space = words::get32(&file, ROOM);
        consumer.go_on();
        producer.expect("given");
        consumer.expect("taken");
        assert!(words::get32(&file, ROOM) > space, "an ack has woken the producer");
        producer.finish();
        consumer.finish();
    }
}

#[test]
fn a_slow_consumer_wakes_the_producer_once_in_a_quarter_of_the_ring() {
    const CAPACITY: u64 = 64;
    const COUNT: u64 = 20 * CAPACITY;
    for mode in MODES {
        let name = TempName::new("quarters");
        let queue = Queue::builder(&name).capacity(CAPACITY).wake_mode(mode).group("slow");
        drop(queue.create().unwrap());
        let file = words::open(&name.path());
        let mut producer = Child::start(&format!("give {} {COUNT}", &*name));
        producer.expect("attached");
        wait_until_asleep(&producer);
        assert_eq!(words::get32(&file, ROOM) & 1, 1);
        assert_eq!(words::get(&file, THRESHOLD), CAPACITY / 4, "of the first {CAPACITY} messages");
        let mut consumer = Child::start(&format!("take-slowly {} {COUNT}", &*name));
        consumer.expect("joined");
        producer.expect("given");
        consumer.expect("taken");
        let wakes = u64::from(words::get32(&file, ROOM) / 4);
        println!("{mode}: {wakes} wake-ups, {COUNT} acks");
        // The producer sleeps when the ring is full, so its thresholds are a quarter of the ring apart. Each allows a
        // wake-up, and another one if the producer sets its bit again just then. On a machine so slow that every sleep
        // ends by its bound, no wake-up at all would be right.
        assert!(wakes <= 2 * COUNT / (CAPACITY / 4), "{wakes} wake-ups, {COUNT} acks");
        producer.finish();
        consumer.finish();
    }
}
