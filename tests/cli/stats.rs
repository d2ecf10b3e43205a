//! What `stats` says of a queue: its figures, what is wrong with it, and commands that mend that.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use slipring::{Group, Queue};

use super::common::TempName;
use super::tool::{Ran, Running, children_of, feed, json, lives, parsed, run};

/// What is said of a queue after watching it for so long.
fn stats(name: &str, interval: &str) -> Value {
    let look = json(&["stats", name, "--json", "--interval", interval, "--count", "1"]);
    look["queues"][0].clone()
}

fn finding(name: &str, kind: &str, interval: &str) -> Option<Value> {
    let findings = stats(name, interval)["findings"].take();
    findings.as_array().unwrap().iter().find(|found| found["finding"] == kind).cloned()
}

/// Looks until there is such a finding.
#[track_caller]
fn found(name: &str, kind: &str) -> Value {
    let since = Instant::now();
    loop {
        match finding(name, kind, "0.2") {
            Some(finding) => return finding,
            None => assert!(since.elapsed() < Duration::from_secs(120), "{}", stats(name, "0.2")),
        }
    }
}

/// Looks until there is none any more.
#[track_caller]
fn mended(name: &str, kind: &str) {
    let since = Instant::now();
    while let Some(finding) = finding(name, kind, "0.2") {
        assert!(since.elapsed() < Duration::from_secs(120), "{finding}");
    }
}

fn remedy(finding: &Value, n: usize) -> &str {
    finding["remedies"][n]["command"].as_str().unwrap()
}

/// A shell that finds the program.
pub(super) fn shell(line: &str) -> Command {
    let program = std::path::PathBuf::from(env!("CARGO_BIN_EXE_slipring"));
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", line]);
    shell.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
    shell
}

fn obey(line: &str) -> Ran {
    let ran = Ran::from(shell(line).output().unwrap());
    assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
    ran
}

#[test]
fn figures_are_shown_for_people_and_for_programs() {
    let name = TempName::new("stats");
    run(&[
        "create",
        &name,
        "--capacity",
        "64",
        "--group",
        "audit",
        "--shared-group",
        "work",
        "--in-flight",
        "0",
    ])
    .quietly();
    feed(&["send", &name], b"0\n1\n2\n3\n").quietly();
    run(&["recv", &name, "--group", "audit", "--count", "3"]).quietly();
    let queue = Queue::open(&name).unwrap();
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    let batch = member.recv_batch(2).unwrap();

    let look = stats(&name, "0.2");
    assert_eq!(
        (&look["published"], &look["used"], &look["capacity"]),
        (&4.into(), &4.into(), &64.into())
    );
    assert_eq!(look["publish_rate"], serde_json::json!({"value": 0.0, "kind": "measured"}));
    assert_eq!(look["blocked"], serde_json::json!({"value": 0.0, "kind": "measured"}));
    let unknown = serde_json::json!({"value": null, "kind": "unknown", "why": "not-growing"});
    assert_eq!(look["full_in_us"], unknown);
    let [audit, work] = &look["groups"].as_array().unwrap()[..] else { panic!("{look}") };
    assert_eq!(
        (&audit["ready"], &audit["unacked"], &audit["done"]),
        (&1.into(), &0.into(), &3.into())
    );
    assert_eq!(
        (&work["ready"], &work["unacked"], &work["done"]),
        (&2.into(), &2.into(), &0.into())
    );
    let holder = &work["members"][0];
    assert_eq!((&holder["state"], &holder["holds"]), (&"alive".into(), &0.into()));
    assert_eq!(holder["pid_here"], std::process::id());
    assert!(holder["held_us"].as_u64().unwrap() >= 200_000, "{holder}");

    let table = run(&["stats", &name, "--interval", "0.2", "--count", "2"]).quietly();
    assert_eq!(table.matches("QUEUE/GROUP").count(), 2, "{table}");
    let line = table.lines().find(|line| line.contains("/work")).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    // No service rate and no delay can be told of what stands still.
    let expected = ["0.0", "0.0", "2", "2", "6%", "0%", "1"];
    assert_eq!(&cells[1..8], expected, "{table}");
    // A group by its name, alone.
    let target = format!("{}/audit", &*name);
    let table = run(&["stats", &target, "--interval", "0.1", "--count", "1"]).quietly();
    assert!(table.contains(&target) && !table.contains("/work"), "{table}");
    run(&["stats", &format!("{}/none", &*name)]).says(4, &["has no group \"none\""]);
    run(&["stats", "there-is-none"]).says(4, &["there is no queue"]);
    drop(batch);
}

#[test]
fn a_rate_is_what_was_sent() {
    let name = TempName::new("stats-rate");
    run(&["create", &name, "--group", "g"]).quietly();
    let mut watcher = Running::start(&["stats", &name, "--json", "--interval", "0.5"]);
    // From now on it has seen the queue empty.
    watcher.lines(1);
    feed(&["send", &name], b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n").quietly();
    let mut sent = 0.0;
    while sent < 9.99 {
        let look = parsed(&watcher.lines(1)[0])["queues"][0].take();
        let seconds = look["window_us"].as_f64().unwrap() / 1e6;
        sent += look["publish_rate"]["value"].as_f64().unwrap() * seconds;
    }
    assert!(sent < 10.01, "{sent}");
    watcher.signal(Signal::SIGINT);
    assert_eq!(watcher.finish().code, Some(130));
}

#[test]
fn a_watched_queue_that_goes_ends_the_watching() {
    let name = TempName::new("stats-goes");
    run(&["create", &name]).quietly();
    let mut watcher = Running::start(&["stats", &name, "--interval", "0.05"]);
    watcher.lines(1);
    run(&["rm", &name]).quietly();
    watcher.finish().says(4, &["there is no queue"]);
}

#[test]
fn a_dead_group_that_holds_the_ring_is_found_and_mended() {
    let name = TempName::new("dead-group");
    run(&["create", &name, "--capacity", "4", "--group", "audit", "--group", "store"]).quietly();
    feed(&["send", &name], b"0\n1\n2\n3\n").quietly();
    run(&["recv", &name, "--group", "store", "--count", "4"]).quietly();
    let finding = found(&name, "no-consumer");
    let text = finding["text"].as_str().unwrap();
    assert_eq!((&finding["group"], &finding["severity"]), (&"audit".into(), &"error".into()));
    assert!(text.contains("4 of 4 slots: the ring is full"), "{text}");
    // One command reads on until it is stopped, one shows what there is, and one drops it.
    let mut reader = shell(&format!("exec {}", remedy(&finding, 0)));
    reader.env("CMD", "cat; echo");
    let reader = Running::of(
        reader.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()),
    );
    mended(&name, "no-consumer");
    reader.signal(Signal::SIGTERM);
    assert_eq!(reader.finish().out, "0\n1\n2\n3\n");
    feed(&["send", &name], b"4\n").quietly();
    let finding = found(&name, "no-consumer");
    assert_eq!(obey(remedy(&finding, 1)).out, "4\n");
    obey(remedy(&finding, 2));
    let left = stats(&name, "0.1")["groups"].take();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["name"]), (1, &"store".into()));
}

/// Ends commands, each of which leads a process group.
pub(super) fn kill_groups(commands: &[u32]) {
    signal_groups(commands, Signal::SIGKILL);
}

pub(super) fn signal_groups(commands: &[u32], signal: Signal) {
    for command in commands {
        let group = nix::unistd::Pid::from_raw(-(*command as i32));
        let _ = nix::sys::signal::kill(group, signal);
    }
}

/// A worker of the group "work" that has a message. Its commands, which would outlive it, are killed with it.
pub(super) struct Worker(pub(super) Running);

impl Worker {
    pub(super) fn start(name: &str, command: &str, more: &[&str]) -> Worker {
        let args = ["recv", name, "--group", "work", "--exec", command];
        Worker(Running::start(&[&args, more].concat()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        kill_groups(&children_of(self.0.pid()));
    }
}

#[test]
fn a_stopped_member_is_found_and_continued() {
    let name = TempName::new("stopped-member");
    run(&["create", &name, "--capacity", "4", "--shared-group", "work", "--in-flight", "0"])
        .quietly();
    feed(&["send", &name], b"0\n").quietly();
    let mut worker = Worker::start(&name, "echo; exec sleep 600", &["--shared"]);
    worker.0.lines(1);
    assert_eq!(finding(&name, "consumer-stopped", "0.1"), None);
    worker.0.signal(Signal::SIGSTOP);
    let finding = found(&name, "consumer-stopped");
    let text = finding["text"].as_str().unwrap();
    assert!(text.contains(&format!("process {} of group", worker.0.pid())), "{text}");
    assert!(text.contains("holds message 0"), "{text}");
    obey(remedy(&finding, 0));
    mended(&name, "consumer-stopped");
    worker.0.signal(Signal::SIGSTOP);
    // The remedy kills the worker, which its command outlives.
    let commands = children_of(worker.0.pid());
    obey(remedy(&found(&name, "consumer-stopped"), 1));
    mended(&name, "consumer-stopped");
    kill_groups(&commands);
}

#[test]
fn a_message_in_a_loop_is_found_and_becomes_a_dead_letter() {
    let name = TempName::new("loop");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--group", "work"]).quietly();
    feed(&["send", &name], b"poison\nfine\n").quietly();
    let worker = Worker::start(&name, "test $(cat) = fine", &["--retry-delay", "0.01"]);
    let finding = found(&name, "message-in-loop");
    let text = finding["text"].as_str().unwrap();
    assert!(text.contains("message 0 of group \"work\"") && text.contains("no limit"), "{text}");
    assert_eq!(obey(remedy(&finding, 0)).out, "poison\n");
    obey(remedy(&finding, 1));
    mended(&name, "message-in-loop");
    assert!(run(&["dead", "ls", &name]).quietly().contains("rejected"));
    drop((worker, letters));
}

#[test]
fn a_consumer_that_hangs_in_a_full_ring_is_found_and_ended() {
    let name = TempName::new("hangs");
    run(&["create", &name, "--capacity", "4", "--shared-group", "work", "--in-flight", "0"])
        .quietly();
    let mut hangs = Worker::start(&name, "cat; echo; exec sleep 600", &["--shared"]);
    feed(&["send", &name], b"0\n").quietly();
    hangs.0.lines(1);
    let other = Running::start(&["recv", &name, "--group", "work", "--shared"]);
    let mut sender = Running::start(&["send", &name]);
    sender.write(b"1\n2\n3\n4\n");
    let Some(finding) = finding(&name, "consumer-hangs", "6") else {
        panic!("{}", stats(&name, "0.1"))
    };
    let (text, pid) = (finding["text"].as_str().unwrap(), hangs.0.pid());
    assert!(
        text.contains(&format!("process {pid} of group \"work\" has held message 0")),
        "{text}"
    );
    assert!(text.contains("4 of 4 slots: the ring is full; the depth is 1"), "{text}");
    assert_eq!(
        (&finding["severity"], remedy(&finding, 0)),
        (&"error".into(), &*format!("kill {pid}"))
    );
    // A worker waits for its commands, which outlive it.
    let commands = children_of(pid);
    obey(remedy(&finding, 1));
    assert_eq!(sender.finish().code, Some(0));
    mended(&name, "consumer-hangs");
    kill_groups(&commands);
    assert!(!lives(pid));
    drop(other);
}

#[test]
fn a_producer_that_is_gone_is_found_and_the_queue_is_closed_for_it() {
    let name = TempName::new("producer-gone");
    run(&["create", &name, "--group", "g"]).quietly();
    let mut sender = Running::start(&["send", &name]);
    sender.write(b"0\n1\n");
    while stats(&name, "0.05")["published"] != 2 {}
    assert_eq!(finding(&name, "producer-died", "0.1"), None);
    let pid = sender.pid();
    sender.kill();
    let finding = found(&name, "producer-died");
    let text = finding["text"].as_str().unwrap();
    assert!(text.contains(&format!("process {pid}, died after message 1")), "{text}");
    obey(remedy(&finding, 0));
    mended(&name, "producer-died");
    // Consumers end now.
    assert_eq!(run(&["recv", &name, "--group", "g"]).says(0, &["is closed"]).out, "0\n1\n");
}

#[test]
fn a_group_that_is_slower_than_its_producer_is_told_with_what_helps() {
    let name = TempName::new("slow");
    run(&["create", &name, "--capacity", "8", "--shared-group", "work", "--in-flight", "0"])
        .quietly();
    let worker = Worker::start(&name, "cat > /dev/null; sleep 0.05", &["--shared"]);
    let mut sender = Running::start(&["send", &name]);
    sender.offer("0\n".repeat(2000).as_bytes());
    let finding = found(&name, "group-slow");
    let text = finding["text"].as_str().unwrap();
    assert!(text.contains("is slower than the producer"), "{text}");
    assert!(remedy(&finding, 0).ends_with("--group work --shared --exec \"$CMD\""), "{finding}");
    drop((worker, sender));
}
