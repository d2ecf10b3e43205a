//! Roles that pass from one language to the other, by a leave or by a death.

use serde_json::json;
use slipring::{Group, JoinError, Queue, Retention};

use crate::common::TempName;
use crate::common::child::Child;
use crate::{LONGEST, Python, has_python, nothing_is_left, send};

#[test]
fn messages_of_a_killed_python_come_again_to_this_library_and_back() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-killed");
    let shape = Queue::builder(&name).capacity(16).payload_size(LONGEST);
    let queue = shape.group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    (0..6).for_each(|n| send(&mut producer, n));

    let mut python = Python::consumer(&name, "g", &["--hold", "3"]);
    (0..3).for_each(|sequence| python.expect_sent(0, sequence, Some(1)));
    python.kill();
    // The first comes for the second time; the others, one by one, each become the first.
    let mut receiver = Child::start(&format!("receive {} 2", &*name));
    receiver.expect("0 2");
    receiver.expect("1 2");
    receiver.finish();

    // Python again, twice: it goes on counting.
    for attempts in [3, 4] {
        let mut python = Python::consumer(&name, "g", &["--hold", "2"]);
        let first = if attempts == 3 { 2 } else { 3 };
        python.expect_sent(0, 2, Some(first));
        python.expect_sent(0, 3, Some(if attempts == 3 { 1 } else { 2 }));
        python.kill();
    }
    let mut consumer = queue.consumer("g").unwrap();
    let received = consumer.recv().unwrap();
    assert_eq!((received.sequence(), received.attempts()), (2, 4));
    drop(received);
    drop(consumer);

    // And from here to Python, to the end.
    let mut python = Python::consumer(&name, "g", &[]);
    for (sequence, attempts) in [(2, 5), (3, 2), (4, 1), (5, 1)] {
        python.expect_sent(0, sequence, Some(attempts));
    }
    producer.close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": 6 })));
    python.finish();
    let group = queue.snapshot().unwrap().groups.remove(0);
    assert_eq!((group.acked, group.depth), (6, 0));
    // What the library received again: 0, 1 and 2. Python: 2, then 2 and 3, then 2 and 3.
    assert_eq!(group.redelivered, 3 + 5);
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn a_limit_of_attempts_counts_deliveries_to_python() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-limit");
    let group = || Group::named("g").max_attempts(2);
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).group(group());
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    (0..2).for_each(|n| send(&mut producer, n));
    for attempts in 1..=2 {
        let mut python = Python::consumer(&name, "g", &["--hold", "1"]);
        python.expect_sent(0, 0, Some(attempts));
        python.kill();
    }
    // It cannot send dead letters, so it leaves that one to who can.
    let python = Python::consumer(&name, "g", &["--hold", "1"]);
    python.fail("gives message 0 up");
    let mut consumer = queue.consumer(group()).unwrap();
    let received = consumer.recv().unwrap();
    assert_eq!((received.sequence(), received.attempts()), (1, 1));
    received.ack().unwrap();
    drop(consumer);
    assert_eq!(queue.snapshot().unwrap().groups[0].dead_lettered, 1);
    drop(TempName::exactly(format!("{}.dead", &*name)));
    drop((producer, queue));
    nothing_is_left(name);
}

#[test]
fn the_role_of_an_exclusive_consumer_is_one_in_both_languages() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-role");
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST);
    let shape = shape.group("g").group(Group::named("work").shared());
    let queue = shape.create().unwrap();

    let mut other = Child::start(&format!("join {} 0", &*name));
    other.expect("joined");
    let taken = format!("exclusive group \"g\" already: process {}", other.pid());
    Python::start(&["consume", &name, "g"]).fail(&taken);
    other.finish();

    let python = Python::consumer(&name, "g", &["--hold", "0"]);
    let pid = python.process.id();
    match queue.consumer("g").map(drop) {
        Err(JoinError::Taken { pid: Some(holder), .. }) => assert_eq!(holder, pid),
        other => panic!("{other:?}"),
    }
    let members = &queue.snapshot().unwrap().groups[0].members;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].pid, members[0].live), (Some(pid), true));
    python.finish();
    drop(queue.consumer("g").unwrap());

    Python::start(&["consume", &name, "nobody"]).fail("has no group \"nobody\"");
    Python::start(&["consume", &name, "work"]).fail("whose mode is shared");
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn a_group_that_goes_with_its_last_member_goes_with_python() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-release");
    let brief = Group::named("brief").retention(Retention::Release);
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).group(brief);
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    (0..4).for_each(|n| send(&mut producer, n));
    assert!(producer.try_send("full").is_err());
    Python::consumer(&name, "brief", &["--hold", "0"]).finish();
    assert_eq!(queue.snapshot().unwrap().groups, []);
    producer.try_send("there is room").unwrap();
    drop((producer, queue));
    nothing_is_left(name);
}
