//! A stream that has an end: all its readers end with it.

use super::common::TempName;
use super::tool::{Running, feed, groups, json, numbers, run};

#[test]
fn readers_end_when_a_closed_queue_is_worked_off() {
    let name = TempName::new("end");
    let groups = ["--group", "a", "--group", "b", "--group", "c", "--shared-group", "w"];
    run(&[&["create", &name][..], &groups].concat()).quietly();
    let readers = [
        &["recv", &name, "--group", "a"][..],
        &["recv", &name, "--group", "b", "--timeout", "60"],
        &["tail", &name, "--from", "oldest"],
        &["peek", &name, "--group", "c", "--timeout", "60"],
    ];
    let readers = readers.map(Running::start);
    let members = [(); 2].map(|()| Running::start(&["recv", &name, "--group", "w", "--shared"]));
    feed(&["send", &name, "--close"], numbers(0..1000).as_bytes()).quietly();
    for reader in readers {
        // Some may find it closed already, and say so.
        assert!(reader.finish().says(0, &[]).out == numbers(0..1000));
    }
    let parts = members.map(|member| member.finish().says(0, &[]).out);
    let mut seen: Vec<u64> = parts.iter().flat_map(|part| part.lines()).map(number).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..1000));
    // Late ones, too.
    let late = run(&["recv", &name, "--group", "late", "--create"]);
    assert_eq!(late.says(0, &["made group", "is closed", "--follow"]).out, numbers(0..1000));
    assert_eq!(run(&["tail", &name]).says(0, &["is closed", "--follow"]).out, "");
    assert_eq!(run(&["recv", &name, "--group", "a"]).says(0, &["is closed"]).out, "");
    // Fewer than were asked for is a failure.
    for args in
        [&["recv", &name, "--group", "few", "--create"][..], &["tail", &name, "--from", "oldest"]]
    {
        let args = [args, &["--count", "1001"]].concat();
        let out = run(&args).says(1, &["closed after 1000 of 1001", "--follow"]).out;
        assert_eq!(out, numbers(0..1000));
    }
    let args = ["recv", &name, "--group", "jobs", "--create", "--count", "1001", "--exec", "true"];
    run(&args).says(1, &["closed after 1000 of 1001"]);
}

fn number(line: &str) -> u64 {
    line.parse().unwrap()
}

#[test]
fn a_closed_queue_says_so_until_it_is_opened_again() {
    let name = TempName::new("shut");
    run(&["create", &name, "--group", "g"]).quietly();
    feed(&["send", &name, "--close", "--count", "2"], b"0\n1\n2\n").quietly();
    let look = json(&["inspect", &name, "--json"]);
    assert_eq!((&look["closed"], &look["end"]), (&true.into(), &2.into()));
    let text = run(&["inspect", &name]).quietly();
    assert!(text.contains("closed at message 2"), "{text}");
    assert_eq!(run(&["recv", &name, "--group", "g"]).says(0, &["is closed"]).out, "0\n1\n");
    // With --follow they stay for the next sender.
    let follow = ["recv", &name, "--group", "h", "--create", "--count", "3", "--follow"];
    let mut follower = Running::start(&follow);
    let mut watcher = Running::start(&["tail", &name, "--from", "oldest", "--follow"]);
    assert_eq!(follower.lines(2), ["0", "1"]);
    assert_eq!(watcher.lines(2), ["0", "1"]);
    feed(&["send", &name], b"3\n").quietly();
    assert_eq!(follower.lines(1), ["3"]);
    assert_eq!(watcher.lines(1), ["3"]);
    follower.finish().says(0, &["made group"]);
    let look = json(&["inspect", &name, "--json"]);
    assert_eq!((&look["closed"], &look["end"]), (&false.into(), &serde_json::Value::Null));
    let args = ["recv", &name, "--group", "g", "--timeout", "0.05"];
    assert_eq!(run(&args).says(3, &[]).out, "3\n");
}

#[test]
fn a_sender_that_fails_does_not_close() {
    let name = TempName::new("broken");
    run(&["create", &name, "--payload", "4", "--group", "g"]).quietly();
    feed(&["send", &name, "--close"], b"ok\ntoo long\n").says(1, &["line 2"]);
    assert_eq!(json(&["inspect", &name, "--json"])["closed"], false);
    let mut sender = Running::start(&["send", &name, "--close"]);
    let mut reader = Running::start(&["recv", &name, "--group", "g"]);
    sender.write(b"more\n");
    assert_eq!(reader.lines(2), ["ok", "more"]);
    sender.signal(nix::sys::signal::Signal::SIGTERM);
    sender.finish().says(143, &[]);
    assert_eq!(json(&["inspect", &name, "--json"])["closed"], false);
    feed(&["send", &name, "--close"], b"").quietly();
    reader.finish().quietly();
}

#[test]
fn workers_end_when_all_jobs_are_done() {
    let name = TempName::new("jobs");
    let _others = ["dead", "w.retry"].map(|of| TempName::exactly(format!("{}.{of}", &*name)));
    run(&["create", &name, "--shared-group", "w"]).quietly();
    // Fails once each.
    let command = "[ $SLIPRING_ATTEMPTS -gt 1 ] && [ $(cat) != bad ]";
    let args = ["recv", &name, "--group", "w", "--shared", "--jobs", "3", "--verbose"];
    let args = [&args[..], &["--retry-delay", "0.05", "--exec", command]].concat();
    let workers = [Running::start(&args), Running::start(&args)];
    feed(&["send", &name, "--close"], b"0\n1\n2\n3\n4\n").quietly();
    for worker in workers {
        worker.finish().says(0, &["done"]);
    }
    assert_eq!(groups(&name)[0]["depth"], 0);
    assert_eq!(groups(&name)[0]["acked"], 5);
}
