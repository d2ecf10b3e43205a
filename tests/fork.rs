//! A process that forks without exec: the child's copies of the handles refuse, and neither keep nor give up what the
//! parent has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]
#![allow(unsafe_code)]

mod common;

use std::os::fd::AsRawFd;
use std::time::Duration;

use common::child::{Child, hear, role, tell};
use common::fork::{first_failure, fork, status_of};
use common::{TempName, there, words};
use slipring::{ErrorCode, Group, JoinError, ProducerError, Queue, RecvError, SendError, Start};

const SOON: Duration = Duration::from_millis(1);

#[test]
fn handles_that_have_slept_in_vain_refuse_in_a_child() {
    let name = TempName::new("fork-idle");
    let queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let (mut producer, mut consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    // The next wait of each begins with a sleep.
    assert!(matches!(consumer.recv_timeout(SOON), Err(RecvError::Timeout { .. })));
    producer.send("a").unwrap();
    assert!(matches!(producer.send_timeout("b", SOON), Err(SendError::Timeout { .. })));
    let mut idle = queue.consumer(Group::named("late").start(Start::Newest)).unwrap();
    assert!(matches!(idle.recv_timeout(SOON), Err(RecvError::Timeout { .. })));
    let status = fork(|| {
        let checks = [
            matches!(idle.recv(), Err(RecvError::Forked { .. })),
            matches!(consumer.recv(), Err(RecvError::Forked { .. })),
            matches!(producer.send("x"), Err(SendError::Forked { .. })),
        ];
        first_failure(&checks)
    });
    assert_eq!(status, 0);
    assert_eq!(&*consumer.recv().unwrap(), b"a");
}

#[test]
fn handles_refuse_in_a_child() {
    let name = TempName::new("fork-refuse");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let mut member = queue.consumer(Group::named("shared").shared()).unwrap();
    producer.send("before").unwrap();
    let status = fork(|| {
        let forked = |code| code == ErrorCode::Forked;
        let checks = [
            matches!(producer.try_send("x"), Err(SendError::Forked { .. })),
            matches!(producer.send_timeout("x", SOON), Err(SendError::Forked { .. })),
            producer
                .send_batch(["x"])
                .is_err_and(|e| matches!(e.reason(), SendError::Forked { .. })),
            matches!(producer.try_reserve(1), Err(SendError::Forked { .. })),
            matches!(consumer.try_recv(), Err(RecvError::Forked { .. })),
            matches!(consumer.recv_timeout(SOON), Err(RecvError::Forked { .. })),
            matches!(observer.try_recv(), Err(RecvError::Forked { .. })),
            matches!(observer.recv_timeout(SOON), Err(RecvError::Forked { .. })),
            queue.capacity() == 4 && producer.sequence() == 1 && consumer.position() == 0,
            producer.free_slots() == 0 && consumer.depth() == 0,
            member.position() == 0 && member.depth() == 0,
            matches!(member.try_recv(), Err(RecvError::Forked { .. })),
            queue.producer().is_err_and(|e| forked(e.code())),
            queue.consumer("g").is_err_and(|e| forked(e.code())),
            queue.add_group("h").is_err_and(|e| forked(e.code())),
            queue.remove_group("g").is_err_and(|e| forked(e.code())),
            queue.snapshot().is_err_and(|e| forked(e.code())),
        ];
        first_failure(&checks)
    });
    assert_eq!(status, 0);
    // The parent's handles work on.
    producer.send("after").unwrap();
    assert_eq!(&*consumer.recv().unwrap(), b"before");
    assert_eq!(&*observer.recv().unwrap(), b"before");
}

#[test]
fn an_iterator_acks_nothing_in_a_child() {
    let name = TempName::new("fork-iterator");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    queue.producer().unwrap().send_batch(["x", "y"]).unwrap();
    let mut messages = consumer.messages();
    messages.next().unwrap().unwrap();
    let status = fork(|| {
        let checks = [
            messages.ack().is_err_and(|e| e.code() == ErrorCode::Forked && e.queue() == &*name),
            // Once more: the message is still the parent's.
            messages.ack().is_err(),
            matches!(messages.next(), Some(Err(RecvError::Forked { .. }))),
        ];
        first_failure(&checks)
    });
    assert_eq!(status, 0);
    assert_eq!(queue.snapshot().unwrap().groups[0].head, 0);
    messages.ack().unwrap();
    assert_eq!(messages.next().unwrap().unwrap().sequence(), 1);
}

#[test]
fn handles_that_are_dropped_in_a_child_cost_the_parent_nothing() {
    let name = TempName::new("fork-drop");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let observer = queue.observer(Start::Oldest).unwrap();
    producer.send("x").unwrap();
    let file = words::open(&name.path());
    let (p, c) = (&mut Some(producer), &mut Some(consumer));
    let (q, o) = (&mut Some(queue), &mut Some(observer));
    let status = fork(|| {
        // The numbers of descriptors that the handler has closed are used again, by the child's own.
        let own: Vec<_> = (0..8).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        drop((p.take(), c.take(), o.take(), q.take()));
        // SAFETY: asks for the flags of a descriptor, which may be closed.
        let open = |fd: i32| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        first_failure(&own.iter().map(|file| open(file.as_raw_fd())).collect::<Vec<_>>())
    });
    assert_eq!(status, 0);
    assert!(words::lease_is_held(&file, 512), "the producer's lease");
    assert!(words::lease_is_held(&file, 0), "the consumer's lease");
    assert_eq!(
        words::get(&file, words::PRODUCER_PID),
        u64::from(std::process::id()),
        "the producer's pid"
    );
    (producer, consumer) = (p.take().unwrap(), c.take().unwrap());
    producer.send("y").unwrap();
    consumer.recv_batch(2).unwrap().ack().unwrap();
    let again = Queue::open(&name).unwrap();
    assert!(matches!(again.producer(), Err(ProducerError::Taken { .. })));
    drop((producer, consumer));
    again.producer().unwrap();
    again.consumer("g").unwrap();
}

#[test]
fn borrowed_messages_may_be_dropped_in_a_child() {
    let name = TempName::new("fork-lent");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    producer.send_batch(["x", "y"]).unwrap();
    let batch = &mut there(consumer.try_recv_batch(2));
    let reservation = &mut producer.try_reserve(1).ok();
    let status = fork(|| {
        let _ = (batch.take(), reservation.take());
        0
    });
    assert_eq!(status, 0);
    batch.take().unwrap().ack().unwrap();
    assert_eq!(reservation.take().unwrap().publish(), 2);
}

#[test]
fn a_child_opens_the_queue_anew() {
    let name = TempName::new("fork-anew");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let consumer = queue.consumer("g").unwrap();
    let status = fork(|| {
        let checks = || -> Option<[bool; 4]> {
            let own = Queue::open(&name).ok()?;
            let mut producer = own.producer().ok()?;
            let sent = producer.send("from the child").ok()?;
            let mut observer = own.observer(Start::Oldest).ok()?;
            let seen = observer.try_recv().ok()?.len();
            let taken = matches!(own.consumer("g"), Err(JoinError::Taken { .. }));
            let other = own.consumer("h").is_ok();
            Some([sent == 0, seen == 14, taken, other])
        };
        checks().map_or(99, |checks| first_failure(&checks))
    });
    assert_eq!(status, 0);
    let mut consumer = consumer;
    assert_eq!(&*consumer.recv().unwrap(), b"from the child");
    // The child died without leaving: what it held is free.
    queue.producer().unwrap();
    queue.consumer("h").unwrap();
}

#[test]
fn a_grandchild_opens_the_queue_anew() {
    let name = TempName::new("fork-twice");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let status = fork(|| {
        let Ok(own) = Queue::open(&name) else { return 90 };
        let Ok(mut consumer) = own.consumer("g") else { return 91 };
        fork(|| {
            let checks = [
                matches!(producer.try_send("x"), Err(SendError::Forked { .. })),
                matches!(consumer.try_recv(), Err(RecvError::Forked { .. })),
                Queue::open(&name).is_ok_and(|q| q.consumer("h").is_ok()),
                matches!(producer.close(), Err(SendError::Forked { .. })),
            ];
            first_failure(&checks)
        })
    });
    assert_eq!(status, 0);
}

#[test]
fn a_handle_that_is_dropped_frees_its_role_though_a_process_is_being_spawned() {
    let name = TempName::new("fork-spawn");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let consumer = queue.consumer("g").unwrap();
    let (mut gate, end) = std::io::pipe().unwrap();
    // As posix_spawn(3) does: no fork handler runs, so the child has all descriptors until its exec.
    // SAFETY: the child only reads from a pipe and ends through _exit.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    assert!(pid >= 0);
    if pid == 0 {
        drop(end);
        let _ = std::io::Read::read(&mut gate, &mut [0]);
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    }
    // It cannot leave in order, since another process is in a control operation.
    let file = words::open(&name.path());
    words::take_lease(&file, 513);
    drop(consumer);
    drop(file);
    let again = queue.consumer("g").map(drop);
    drop(end);
    assert_eq!(status_of(pid as i32), 0);
    again.unwrap();
}

/// A process that takes all roles and forks; its child then outlives it.
fn parent_that_dies(name: &str) {
    let queue = Queue::open(name).unwrap();
    let _producer = queue.producer().unwrap();
    let _consumer = queue.consumer("g").unwrap();
    let _observer = queue.observer(Start::Oldest).unwrap();
    // SAFETY: the child only reads from its input and ends through _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        tell("forked");
        hear();
        // SAFETY: ends this process.
        unsafe { libc::_exit(0) };
    }
    std::thread::sleep(Duration::from_secs(3600));
}

#[test]
fn a_killed_parent_frees_its_roles_though_its_child_lives() {
    let name = TempName::new("fork-outlive");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    let mut parent = Child::start(&format!("parent {}", &*name));
    parent.expect("forked");
    assert!(
        matches!(queue.producer(), Err(ProducerError::Taken { pid, own: false, .. }) if pid == Some(parent.pid()))
    );
    parent.kill();
    // The grandchild lives: it waits for its input, which ends when `parent` is dropped.
    queue.producer().unwrap();
    queue.consumer("g").unwrap();
    slipring::remove(&name).unwrap();
    parent.say("end");
}

#[test]
fn roles() {
    if let Some(role) = role() {
        parent_that_dies(&role[1]);
    }
}

#[test]
fn a_stream_refuses_in_a_child() {
    let name = TempName::new("fork-stream");
    let queue = Queue::builder(&name).capacity(4).sources(1).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut stream = producer.stream("s").unwrap();
    let _ = stream.send(1, "before").unwrap();
    let status = fork(|| {
        let forked = |code| code == ErrorCode::Forked;
        let checks = [
            stream.last_position().is_none() && format!("{stream:?}").contains("None"),
            stream.send(2, "x").is_err_and(|e| forked(e.code())),
            stream.send_batch([(2, "x")]).is_err_and(|e| forked(e.code())),
            stream.reserve(2, 1).is_err_and(|e| forked(e.code())),
            stream.pass(2).is_err_and(|e| forked(e.code())),
        ];
        first_failure(&checks)
    });
    assert_eq!(status, 0);
    assert_eq!(stream.last_position(), Some(1));
}
