//! Several processes: one is killed, one sleeps, some may not make the system calls that they want.

use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};
use std::{fs, thread};

use futures::executor::block_on;
use futures::future::{join_all, poll_immediate};
use slipring::{Group, Queue, RecvError};

use crate::common::TempName;
use crate::common::child::{Child, hear, processor_time, tell};
use crate::common::limits::{Filter, filter};

fn shared() -> Group {
    Group::named("work").shared()
}

/// Role: takes a message and keeps it.
pub(crate) fn hold(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut member = queue.consumer(shared()).unwrap().into_async();
    let _message = block_on(member.recv()).unwrap();
    tell("holds");
    hear();
}

#[test]
fn what_a_killed_member_held_comes_to_one_that_awaits() {
    let name = TempName::new("async-killed");
    let queue: Queue = Queue::builder(&name).capacity(8).group(shared()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut child = Child::start(&format!("hold {}", &*name));
    producer.send("x").unwrap();
    child.expect("holds");
    let mut member = queue.consumer(shared()).unwrap().into_async();
    let mut receives = pin!(member.recv());
    assert!(block_on(poll_immediate(receives.as_mut())).is_none());
    child.kill();
    let message = block_on(receives).unwrap();
    assert_eq!((message.sequence(), message.attempts()), (0, 2));
    message.ack().unwrap();
}

/// Role: awaits a message at each of three queues.
pub(crate) fn idle(name: &str) {
    let consumers = (0..3).map(|n| {
        let queue = Queue::open(&format!("{name}-{n}")).unwrap();
        queue.consumer("g").unwrap().into_async()
    });
    let mut consumers: Vec<_> = consumers.collect();
    let waits = consumers.iter_mut().map(|consumer| async {
        consumer.recv().await.unwrap().ack().unwrap();
    });
    block_on(join_all(waits));
    tell("received");
}

#[test]
fn a_process_that_awaits_uses_no_processor_and_is_woken() {
    let name = TempName::new("async-idle");
    let names: Vec<_> = (0..3).map(|n| TempName::exactly(format!("{}-{n}", &*name))).collect();
    let make = |name: &TempName| -> Queue { Queue::builder(name).group("g").create().unwrap() };
    let queues: Vec<_> = names.iter().map(make).collect();
    let mut child = Child::start(&format!("idle {}", &*name));
    let waiters = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", child.pid())).unwrap();
        let waits = |path: &PathBuf| {
            fs::read_to_string(path.join("comm")).is_ok_and(|name| name == "slipring-wait\n")
        };
        tasks.map(|task| task.unwrap().path()).filter(waits).collect::<Vec<_>>()
    };
    while waiters().is_empty() {
        thread::yield_now();
    }
    let (since, before) = (Instant::now(), processor_time(&child));
    thread::sleep(Duration::from_secs(1));
    let used = processor_time(&child) - before;
    println!("a process that awaits used {used} s in {:?}", since.elapsed());
    assert!(used < 0.05 * since.elapsed().as_secs_f64(), "used {used} s");
    let [waiter] = &waiters()[..] else { panic!("not one thread for all") };
    let status = fs::read_to_string(waiter.join("status")).unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
    let blocked = u64::from_str_radix(blocked, 16).unwrap();
    assert!(blocked >> (libc::SIGTERM - 1) & 1 == 1, "signals are for the program's own threads");
    for queue in &queues {
        queue.producer().unwrap().send("x").unwrap();
    }
    child.expect("received");
    child.finish();
}

/// Role: awaits where the kernel refuses to sleep at several words.
pub(crate) fn without_waitv(name: &str) {
    if !filter(Filter::Without(libc::SYS_futex_waitv)) {
        return tell("no filter");
    }
    let queue = Queue::open(name).unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let mut receives = pin!(consumer.recv());
    assert!(block_on(poll_immediate(receives.as_mut())).is_none());
    tell("waits");
    block_on(receives).unwrap().ack().unwrap();
    tell("received");
}

#[test]
fn without_a_sleep_at_several_words_messages_come_all_the_same() {
    let name = TempName::new("async-waitv");
    let queue: Queue = Queue::builder(&name).group("g").create().unwrap();
    let mut child = Child::start(&format!("without-waitv {}", &*name));
    if child.line().as_deref() == Some("no filter") {
        println!("skipped: this system lets nobody filter system calls");
        return;
    }
    queue.producer().unwrap().send("x").unwrap();
    child.expect("received");
    child.finish();
}

/// Role: awaits where no thread can be started.
pub(crate) fn without_thread(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut consumer = queue.consumer("g").unwrap().into_async();
    let mut producer = queue.producer().unwrap();
    // Both calls that the C library may use.
    let calls = [libc::SYS_clone3, libc::SYS_clone];
    if !calls.into_iter().all(|call| filter(Filter::Without(call))) {
        return tell("no filter");
    }
    let fault = block_on(consumer.recv()).map(drop).unwrap_err();
    assert!(matches!(fault, RecvError::System(_)), "{fault:?}");
    tell(fault);
    // A message that is there is received all the same.
    producer.send("x").unwrap();
    block_on(consumer.recv()).unwrap().ack().unwrap();
}

#[test]
fn without_a_thread_a_wait_is_an_error() {
    let name = TempName::new("async-thread");
    let _queue: Queue = Queue::builder(&name).group("g").create().unwrap();
    let mut child = Child::start(&format!("without-thread {}", &*name));
    let line = child.line().unwrap();
    if line == "no filter" {
        println!("skipped: this system lets nobody filter system calls");
        return;
    }
    assert!(line.contains("cannot start the thread that sleeps for all"), "{line}");
    child.finish();
}
