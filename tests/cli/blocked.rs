//! What a blocked sender says about the consumers that hold its queue.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::{Group, OpenOptions, Queue, SendError};

use super::common::TempName;
use super::tool::{Running, children_of, feed, run};

/// All that a sender says of a full queue.
fn explanation(name: &str, last: &str) -> String {
    let mut sender = Running::start(&["send", name]);
    sender.write(b"a\nb\nc\nd\ne\nf\n");
    let mut text = String::new();
    while !text.contains(last) {
        text += &sender.wait_for("");
        text += "\n";
    }
    sender.kill();
    text
}

fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("kill") || line.contains("(kill")
}

/// What ends the consumer of the test in its namespace, whatever happens.
struct Elsewhere(std::process::Child);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_pid_of_another_namespace_stands_in_no_command() {
    let unshare = ["unshare", "--pid", "--fork", "--kill-child"];
    let works = Command::new(unshare[0]).args(&unshare[1..]).arg("true").status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot make a pid namespace with unshare(1)");
        return;
    }
    let name = TempName::new("elsewhere");
    run(&["create", &name, "--capacity", "2", "--group", "g"]).quietly();
    let mut wrapper = Command::new(unshare[0]);
    wrapper.args(&unshare[1..]).arg(env!("CARGO_BIN_EXE_slipring"));
    wrapper.args(["recv", &name, "--group", "g"]).stdin(Stdio::null()).stdout(Stdio::null());
    let wrapper = Elsewhere(wrapper.spawn().unwrap());
    let pid_there = || {
        let look = OpenOptions::new().snapshot(&name).unwrap();
        look.groups[0].members.iter().find(|member| member.live).and_then(|member| member.pid)
    };
    let pid = loop {
        match pid_there() {
            Some(pid) => break pid,
            None => std::thread::yield_now(),
        }
    };
    // In its namespace it is the first process.
    assert_eq!(pid, 1);
    let outside = Pid::from_raw(children_of(wrapper.0.id())[0] as i32);
    kill(outside, Signal::SIGSTOP).unwrap();
    let text = explanation(&name, "where it runs");
    assert!(text.contains("recorded as process 1, perhaps of"), "{text}");
    assert!(!text.lines().any(is_command), "{text}");
}

/// A worker that holds a message. Its command, which would outlive it, is killed with it.
struct Holder(Running);

impl Drop for Holder {
    fn drop(&mut self) {
        for command in children_of(self.0.pid()) {
            let _ = kill(Pid::from_raw(-(command as i32)), Signal::SIGKILL);
        }
    }
}

#[test]
fn of_a_shared_group_the_holder_at_the_gate_is_named_and_idle_members_are_not() {
    let name = TempName::new("gate");
    run(&["create", &name, "--capacity", "4", "--shared-group", "g", "--in-flight", "0"]).quietly();
    let queue = Queue::open(&name).unwrap();
    let _idle = queue.consumer(Group::named("g").shared()).unwrap();
    // The second in the table has the oldest message.
    let hold = ["recv", &name, "--group", "g", "--shared", "--exec", "echo; sleep 600"];
    let mut first = Holder(Running::start(&hold));
    feed(&["send", &name], b"0\n").quietly();
    first.0.lines(1);
    let mut second = Holder(Running::start(&hold));
    feed(&["send", &name], b"1\n").quietly();
    second.0.lines(1);
    // The test's own pid is in the queue's name.
    let text = explanation(&name, "Later messages").replace(&*name, "NAME");
    let (gate, later) = (first.0.pid(), second.0.pid());
    for words in [
        &format!("process {gate}, is slow, or stopped (kill -CONT {gate})"),
        &format!("\n  kill {gate}\n"),
        &format!("consumers recorded as {later}."),
    ] {
        assert!(text.contains(words.as_str()), "{words:?} is not in {text}");
    }
    assert!(!text.contains(&std::process::id().to_string()), "{text}");
    // And so in the library.
    let mut producer = queue.producer().unwrap();
    let full = loop {
        match producer.try_send("more") {
            Ok(_) => {}
            Err(SendError::Full(full)) => break full,
            Err(fault) => panic!("{fault}"),
        }
    };
    assert_eq!(full.pids().collect::<Vec<_>>(), [Some(gate), Some(later)]);
    assert_eq!((full.sequence(), full.consumers()), (0, 3));
}

#[test]
fn where_nobody_holds_anything_another_consumer_is_what_helps() {
    let name = TempName::new("nobody-holds");
    run(&["create", &name, "--capacity", "2", "--shared-group", "g", "--in-flight", "0"]).quietly();
    let queue = Queue::open(&name).unwrap();
    let _idle = queue.consumer(Group::named("g").shared()).unwrap();
    let text = explanation(&name, "slipring recv");
    assert!(text.contains("none of its live consumers (1) holds it"), "{text}");
    assert!(text.contains(&format!("slipring recv {} --group g --shared", &*name)), "{text}");
    assert!(!text.lines().any(is_command), "{text}");
}

/// Another consumer would get nothing, so none is proposed.
#[test]
fn where_all_places_in_flight_are_in_use_their_holders_are_named_and_what_helps() {
    let name = TempName::new("no-place");
    let group = ["--shared-group", "g", "--in-flight", "2"];
    run(&[&["create", &name, "--capacity", "2"], &group[..]].concat()).quietly();
    let hold = ["recv", &name, "--group", "g", "--shared", "--jobs", "2"];
    let hold = [&hold[..], &["--exec", "echo; exec sleep 600"]].concat();
    let mut holder = Holder(Running::start(&hold));
    feed(&["send", &name], b"0\n1\n").quietly();
    holder.0.lines(2);
    let list = format!("\n  slipring group ls {}  # shows", &*name);
    let text = explanation(&name, "until when");
    let pid = holder.0.pid();
    let full = format!(
        "all its 2 places for messages in flight are in use, 2 by process {pid}, consumer 0;"
    );
    assert!(text.contains(&full) && text.contains(&list), "{text}");
    assert!(!text.contains("slipring recv") && !text.contains("none of its"), "{text}");
    holder.0.signal(Signal::SIGSTOP);
    let text = explanation(&name, "kill -KILL");
    for words in [
        &format!(
            "process {pid}, consumer 0 of group \"g\" is stopped and has 2 messages in flight"
        ),
        &format!("\n  kill -CONT {pid}  # continues it"),
        &list,
    ] {
        assert!(text.contains(words.as_str()), "{words:?} is not in {text}");
    }
}

#[test]
fn of_an_exclusive_group_the_gentlest_command_comes_first() {
    let name = TempName::new("gentle");
    run(&["create", &name, "--capacity", "2", "--group", "g"]).quietly();
    let work = ["recv", &name, "--group", "g", "--exec", "echo; sleep 600"];
    let mut holder = Holder(Running::start(&work));
    feed(&["send", &name], b"0\n").quietly();
    holder.0.lines(1);
    let text = explanation(&name, "--force");
    let next = "the group's next consumer goes on with its messages.";
    assert!(text.contains(&format!("{next}\n  kill {}\n", holder.0.pid())), "{text}");
}
