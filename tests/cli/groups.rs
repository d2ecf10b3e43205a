//! What is said of groups and their members.

use slipring::{Group, Queue};

use super::common::TempName;
use super::tool::{Running, feed, group, parsed, run};

#[test]
fn members_show_what_they_hold() {
    let name = TempName::new("holds");
    run(&["create", &name, "--shared-group", "work", "--in-flight", "0", "--group", "audit"])
        .quietly();
    feed(&["send", &name], b"0\n1\n2\n3\n").quietly();
    let queue = Queue::open(&name).unwrap();
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    member.recv().unwrap().ack().unwrap();
    let batch = member.recv_batch(2).unwrap();
    let pid = std::process::id();
    let out = run(&["group", "ls", &name]).quietly();
    for words in [&format!("  process {pid} holds 1 to 2, attempt 1; acked 1\n"), "no consumer"] {
        assert!(out.contains(words), "{words:?} in {out}");
    }
    let work = group(&name, "work");
    assert_eq!(
        (&work["head"], &work["depth"], &work["unacked"]),
        (&3.into(), &3.into(), &2.into())
    );
    assert_eq!((&work["mode"], &work["acked"]), (&"shared".into(), &1.into()));
    let seen = &work["members"][0];
    assert_eq!((&seen["claimed"], &seen["attempts"]), (&serde_json::json!([1, 3]), &1.into()));
    assert_eq!((&seen["pid"], &seen["live"]), (&pid.into(), &true.into()));
    assert!(seen.get("unchanged_ms").is_none());
    drop(batch);
    // Its totals stay when it is gone, and what it held, until another takes that.
    drop(member);
    let out = run(&["group", "ls", &name]).quietly();
    assert!(out.contains(&format!("  process {pid} (dead) holds 1 to 2, attempt 1;")), "{out}");
    let work = group(&name, "work");
    assert_eq!((&work["acked"], &work["members"][0]["live"]), (&1.into(), &false.into()));
}

#[test]
fn whoever_takes_a_dead_members_range_is_shown_with_it() {
    let name = TempName::new("heir");
    run(&[
        "create",
        &name,
        "--payload",
        "200000",
        "--capacity",
        "4",
        "--shared-group",
        "work",
        "--in-flight",
        "0",
    ])
    .quietly();
    // More than a pipe holds.
    feed(&["send", &name], &[b'x'; 200_000]).quietly();
    let queue = Queue::open(&name).unwrap();
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    drop(member.recv().unwrap());
    drop(member);
    let heir = Running::start(&["recv", &name, "--group", "work", "--shared", "--count", "1"]);
    let held_by =
        |pid: u32| {
            let members = group(&name, "work")["members"].clone();
            members.as_array().unwrap().iter().any(|member| {
                member["claimed"] == serde_json::json!([0, 1]) && member["pid"] == pid
            })
        };
    while !held_by(heir.pid()) {
        std::thread::yield_now();
    }
    let line = format!("process {} holds 0, attempt 2;", heir.pid());
    let out = run(&["group", "ls", &name]).quietly();
    assert!(out.contains(&line), "{out}");
    heir.finish().quietly();
    let out = run(&["group", "ls", &name]).quietly();
    assert!(out.contains("no consumer"), "{out}");
    let work = group(&name, "work");
    assert_eq!((&work["acked"], &work["redelivered"]), (&1.into(), &1.into()));
}

#[test]
fn a_watcher_says_for_how_long_nothing_has_moved() {
    let name = TempName::new("watch");
    run(&["create", &name, "--shared-group", "work", "--in-flight", "0", "--group", "audit"])
        .quietly();
    feed(&["send", &name], b"0\n1\n").quietly();
    let queue = Queue::open(&name).unwrap();
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    let mut idle = queue.consumer("audit").unwrap();
    let message = member.recv().unwrap();
    let mut watcher = Running::start(&["group", "ls", &name, "--json", "--watch", "0.05"]);
    let mut unchanged = |group: &str| {
        let line = watcher.lines(1).remove(0);
        let groups = parsed(&line)["groups"].take();
        let found = groups.as_array().unwrap().iter().find(|found| found["name"] == group);
        found.unwrap()["members"][0]["unchanged_ms"].as_u64()
    };
    assert_eq!(unchanged("work"), Some(0));
    let first = unchanged("work").unwrap();
    assert!(first >= 50, "{first}");
    assert_eq!(unchanged("audit"), None);
    let later = unchanged("work").unwrap();
    assert!(later >= first + 100, "{later}");
    message.ack().unwrap();
    let taken = member.recv().unwrap();
    let mut now = later;
    while now >= later {
        now = unchanged("work").unwrap();
    }
    taken.ack().unwrap();
    while unchanged("work").is_some() {}
    // One that was delivered and not acked stands at the head.
    drop(idle.recv().unwrap());
    while unchanged("audit").is_none_or(|time| time == 0) {}
    watcher.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(watcher.finish().code, Some(130));
}

#[test]
fn what_was_delivered_and_does_not_count_is_shown_as_not_tried() {
    let name = TempName::new("not-tried");
    run(&["create", &name, "--shared-group", "work", "--in-flight", "0", "--group", "audit"])
        .quietly();
    feed(&["send", &name], b"0\n").quietly();
    let queue = Queue::open(&name).unwrap();
    let mut shared = queue.consumer(Group::named("work").shared()).unwrap();
    let mut exclusive = queue.consumer("audit").unwrap();
    let (mut held, mut stood_at) = (shared.recv().unwrap(), exclusive.recv().unwrap());
    held.uncount();
    stood_at.uncount();
    let out = run(&["group", "ls", &name]).quietly();
    for words in [" holds 0, not tried", " at 0, not tried"] {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
}

#[test]
fn a_watcher_prints_the_table_as_often_as_it_is_told() {
    let name = TempName::new("tables");
    run(&["create", &name, "--shared-group", "work", "--in-flight", "0"]).quietly();
    feed(&["send", &name], b"0\n").quietly();
    let queue = Queue::open(&name).unwrap();
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    let message = member.recv().unwrap();
    let out = run(&["group", "ls", &name, "--watch", "--count", "3"]).quietly();
    assert_eq!(out.matches("GROUP ").count(), 3, "{out}");
    assert_eq!(out.matches("holds 0, attempt 1").count(), 3, "{out}");
    assert!(out.contains(", for at least 2 s") && !out.contains("at least 0 s"), "{out}");
    drop(message);
    for wrong in [&["--count", "3"][..], &["--watch", "0"], &["--watch", "soon"]] {
        assert_eq!(run(&[&["group", "ls", &name], wrong].concat()).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_watcher_of_a_queue_that_goes_says_so() {
    let name = TempName::new("goes");
    run(&["create", &name]).quietly();
    let mut watcher = Running::start(&["group", "ls", &name, "--watch", "0.05"]);
    watcher.wait_for("slipring group add");
    run(&["rm", &name]).quietly();
    watcher.finish().says(4, &["there is no queue"]);
}
