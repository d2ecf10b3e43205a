//! A stream that has an end: everybody ends with it.

use super::common::TempName;
use super::tool::{Running, feed, json, numbers, run};

#[test]
fn readers_end_when_a_closed_queue_is_worked_off() {
    let name = TempName::new("end");
    let groups = ["--group", "a", "--group", "b", "--group", "c", "--shared", "w"];
    run(&[&["create", &name][..], &groups].concat()).quietly();
    let readers = [
        &["recv", &name, "--group", "a"][..],
        &["recv", &name, "--group", "b", "--timeout", "60"],
        &["tail", &name, "--from", "oldest"],
        &["recv", &name, "--group", "c", "--no-ack", "--timeout", "60"],
    ];
    let readers = readers.map(Running::start);
    let members = [(); 2].map(|()| Running::start(&["recv", &name, "--group", "w", "--shared"]));
    feed(&["send", &name, "--close"], numbers(0..1000).as_bytes()).quietly();
    for reader in readers {
        assert!(reader.finish().quietly() == numbers(0..1000));
    }
    let parts = members.map(|member| member.finish().quietly());
    let mut seen: Vec<u64> = parts.iter().flat_map(|part| part.lines()).map(number).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..1000));
    // Late ones, too.
    let late = run(&["recv", &name, "--group", "late"]);
    assert_eq!(late.says(0, &["made group"]).out, numbers(0..1000));
    assert_eq!(run(&["tail", &name]).quietly(), "");
    assert_eq!(run(&["recv", &name, "--group", "a"]).quietly(), "");
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
    assert_eq!((&look["closed"], &look["closed_at"]), (&true.into(), &2.into()));
    let text = run(&["inspect", &name]).quietly();
    assert!(text.contains("closed at message 2"), "{text}");
    assert_eq!(run(&["recv", &name, "--group", "g"]).quietly(), "0\n1\n");
    feed(&["send", &name], b"3\n").quietly();
    let look = json(&["inspect", &name, "--json"]);
    assert_eq!((&look["closed"], &look["closed_at"]), (&false.into(), &serde_json::Value::Null));
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
    run(&["create", &name, "--shared", "w"]).quietly();
    // Fails once each.
    let command = "[ $SLIPRING_ATTEMPTS -gt 1 ] && [ $(cat) != bad ]";
    let args = ["recv", &name, "--group", "w", "--shared", "--jobs", "3", "--verbose"];
    let args = [&args[..], &["--retry-delay", "0.05", "--exec", command]].concat();
    let workers = [Running::start(&args), Running::start(&args)];
    feed(&["send", &name, "--close"], b"0\n1\n2\n3\n4\n").quietly();
    for worker in workers {
        worker.finish().says(0, &["done"]);
    }
    assert_eq!(json(&["groups", &name, "--json"])[0]["depth"], 0);
    assert_eq!(json(&["groups", &name, "--json"])[0]["acked"], 5);
}
