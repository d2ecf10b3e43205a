use std::process::Command;
use std::time::{Duration, Instant};

use slipring::{
    AddGroupError, ControlError, DeadLetters, Group, JoinError, OpenOptions, ProducerError, Queue,
    ReleaseError, RemoveGroupError, Start,
};

use crate::common::child::{Child, hear, tell};
use crate::common::{TempName, there, words};
use crate::stream::LONG;

/// Byte of the control lease.
const CONTROL: u64 = 513;

/// Role: holds the lease of `byte`, as a process in the middle of an operation does.
pub(crate) fn hold(name: &str, byte: u64) {
    let file = words::open(format!("/dev/shm/slipring.{name}").as_ref());
    words::take_lease(&file, byte);
    words::set(&file, words::HOLDER, u64::from(std::process::id()));
    tell("held");
    hear();
}

/// Role: receives for `group`, and reports what it is refused.
pub(crate) fn member(name: &str, group: &str) {
    let queue = Queue::open(name).unwrap();
    let mut consumer = queue.consumer(group).unwrap();
    let refused = matches!(queue.producer(), Err(ProducerError::Taken { .. }));
    tell(format_args!("joined {refused}"));
    let received = consumer.recv_timeout(LONG).unwrap();
    tell(String::from_utf8_lossy(&received));
    hear();
}

#[test]
fn a_death_with_the_control_lease_blocks_no_process() {
    let name = TempName::new("kill-control");
    Queue::builder(&name).capacity(4).create().unwrap();
    let at_once = OpenOptions::new().control_timeout(Duration::ZERO);
    let queue = at_once.open(&name).unwrap();
    let mut holder = Child::start(&format!("hold {} {CONTROL}", &*name));
    holder.expect("held");
    assert!(matches!(queue.producer(), Err(ProducerError::Control(ControlError::Timeout { .. }))));
    holder.kill();
    queue.producer().unwrap();
    queue.consumer("g").unwrap();
    queue.remove_group("g").unwrap();
}

#[test]
fn a_stopped_holder_of_the_control_lease_is_named_and_holds_up_no_message() {
    let name = TempName::new("stop-control");
    Queue::builder(&name).capacity(4).create().unwrap();
    let timeout = Duration::from_millis(40);
    let queue = OpenOptions::new().control_timeout(timeout).open(&name).unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let mut holder = Child::start(&format!("hold {} {CONTROL}", &*name));
    holder.expect("held");
    holder.stop();
    let times_out = |fault: &ControlError| {
        let ControlError::Timeout { pid, waited_ms, .. } = fault else { panic!("{fault}") };
        assert_eq!((*pid, *waited_ms), (Some(holder.pid()), 40));
        assert!(fault.to_string().contains(&format!("recorded as {}:", holder.pid())));
    };
    let since = Instant::now();
    let Err(AddGroupError::Control(fault)) = queue.add_group("h") else { panic!("added") };
    times_out(&fault);
    assert!(since.elapsed() >= timeout);
    let Err(RemoveGroupError::Control(fault)) = queue.remove_group("g") else { panic!("removed") };
    times_out(&fault);
    let Err(ProducerError::Control(fault)) = queue.producer() else { panic!("taken") };
    times_out(&fault);
    let Err(JoinError::Control(fault)) = queue.consumer("h") else { panic!("joined") };
    times_out(&fault);
    // Processes with roles go on, even with a full queue and a dropped handle.
    for round in 0..10u64 {
        for i in 0..4 {
            assert_eq!(producer.send("x").unwrap(), round * 4 + i);
        }
        assert!(producer.try_send("x").is_err());
        assert_eq!(consumer.recv_batch(9).unwrap().len(), 4);
        while there(consumer.try_recv()).map(|received| received.ack().unwrap()).is_some() {}
        assert_eq!(observer.recv().unwrap().sequence(), round * 4);
        while there(observer.try_recv()).is_some() {}
    }
    assert_eq!(queue.snapshot().unwrap().tail, 40);
    drop(consumer);
    holder.kill();
    // It could not report that it left, and is found gone all the same.
    assert_eq!(queue.consumer("g").unwrap().position(), 40);
}

/// Also of a message that was sent again, and lies in a queue of its own.
#[test]
fn leaving_and_releasing_wait_as_long_as_the_control_timeout() {
    let name = TempName::new("leave-control");
    let retry = TempName::exactly(format!("{}.work.retry", &*name));
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let work = || Group::named("work").shared();
    Queue::builder(&name).capacity(4).group(work()).create().unwrap();
    let options = OpenOptions::new().control_timeout(Duration::from_millis(40));
    let queue = options.open(&name).unwrap();
    let mut producer = queue.producer().unwrap();
    let mut member = queue.consumer(work()).unwrap();
    producer.send("job").unwrap();
    member.recv().unwrap().reject().unwrap();
    DeadLetters::of(&name, &options).unwrap().requeue(1).unwrap();
    let times_out = |of: &TempName, fault: ControlError| {
        let ControlError::Timeout { queue, waited_ms, .. } = fault else { panic!("{fault}") };
        assert_eq!((&*queue, waited_ms), (&**of, 40));
    };
    let refused = |released: Result<(), ReleaseError>| match released {
        Err(ReleaseError::Control(fault)) => fault,
        other => panic!("{other:?}"),
    };
    let held = |name: &TempName| {
        let mut holder = Child::start(&format!("hold {} {CONTROL}", &**name));
        holder.expect("held");
        holder
    };
    let again = member.recv_batch(1).unwrap();
    assert!(again.requeued());
    let holder = held(&retry);
    times_out(&retry, refused(again.release()));
    drop(holder);
    member.recv().unwrap().ack().unwrap();
    producer.send("job").unwrap();
    let holder = held(&name);
    times_out(&name, refused(member.recv_batch(1).unwrap().release()));
    times_out(&name, member.leave().unwrap_err());
    drop(holder);
    // The next member gets what it held.
    assert!(queue.consumer(work()).unwrap().recv().unwrap().redelivered());
}

#[test]
fn a_group_that_its_maker_left_half_made_goes_away() {
    let name = TempName::new("half-made");
    let shape = Queue::builder(&name).capacity(2).max_groups(1).max_consumers(1);
    let queue = shape.create().unwrap();
    let file = words::open(&name.path());
    let half_made = || {
        // Group mark, the group's state JOINING, its head 0; the control lease is free.
        words::set(&file, words::GROUP_MARK, 1);
        words::set(&file, words::GROUPS, 1);
        words::set(&file, words::GROUPS + 384, 255);
    };
    let mut producer = queue.producer().unwrap();
    half_made();
    for _ in 0..5 {
        // A producer of a full queue frees it, since no other process may come.
        producer.send_timeout("x", LONG).unwrap();
    }
    assert_eq!(words::get(&file, words::GROUPS), 0);
    half_made();
    // So does a process that takes the control lease: the table has room for one group only.
    queue.add_group("g").unwrap();
}

#[test]
fn a_process_in_another_pid_namespace_takes_part_and_is_kept_apart() {
    let wrapper = ["unshare", "--pid", "--fork", "--kill-child"];
    let works = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot make a pid namespace with unshare(1)");
        return;
    }
    let name = TempName::new("namespace");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut member = Child::start_under(&wrapper, &format!("member {} g", &*name));
    member.expect("joined true");
    // It recorded the pid of its own namespace, which means nothing here; the lease does.
    assert!(matches!(queue.consumer("g"), Err(JoinError::Taken { own: false, .. })));
    assert!(matches!(queue.remove_group("g"), Err(RemoveGroupError::Busy { .. })));
    producer.send("across").unwrap();
    member.expect("across");
    member.kill();
    // The wrapper is dead; its child is killed with it, but may take a moment.
    let mut consumer = loop {
        match queue.consumer("g") {
            Ok(consumer) => break consumer,
            Err(JoinError::Taken { .. }) => std::thread::yield_now(),
            Err(fault) => panic!("{fault}"),
        }
    };
    let received = consumer.recv().unwrap();
    assert!(received.redelivered());
    received.ack().unwrap();
}
