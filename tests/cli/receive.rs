use nix::sys::signal::Signal;
use slipring::{Group, Queue};

use super::common::{TempName, there};
use super::tool::{Running, feed, group, groups, numbers, parsed, run};

fn head(name: &str, of: &str) -> u64 {
    group(name, of)["head"].as_u64().unwrap()
}

#[test]
fn what_goes_in_comes_out_for_every_group() {
    let name = TempName::new("identity");
    run(&["create", &name, "--capacity", "1024", "--group", "a", "--group", "b"]).quietly();
    let lines = numbers(0..200_000);
    let args = |group| ["recv", &name, "--group", group, "--count", "200000"];
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| run(&args("a")).quietly());
        let b = scope.spawn(|| run(&args("b")).quietly());
        feed(&["send", &name], lines.as_bytes()).quietly();
        (a.join().unwrap(), b.join().unwrap())
    });
    assert!(a == lines && b == lines);
}

#[test]
fn records_come_out_as_they_went_in() {
    let name = TempName::new("raw");
    run(&["create", &name, "--payload", "7", "--group", "g"]).quietly();
    let path = std::env::temp_dir().join(format!("slipring-{}", &*name));
    let bytes: Vec<u8> = (0..700u32).map(|i| (i * 31 % 128) as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let sent = run(&["send", &name, path.to_str().unwrap(), "--raw"]);
    std::fs::remove_file(&path).unwrap();
    sent.quietly();
    let out = run(&["recv", &name, "--group", "g", "--raw", "--count", "100"]).quietly();
    assert!(out.as_bytes() == bytes);
}

#[test]
fn json_has_sequence_kind_and_payload() {
    let name = TempName::new("json");
    run(&["create", &name, "--group", "g"]).quietly();
    feed(&["send", &name, "--kind", "5"], b"\"text\"\n\xff\xfe\n").quietly();
    for command in [
        &["tail", &name, "--from", "oldest", "--count", "2", "--json"][..],
        &["recv", &name, "--group", "g", "--count", "2", "--json"],
    ] {
        let out = run(command).quietly();
        let lines: Vec<_> = out.lines().map(parsed).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["sequence"], &lines[0]["kind"]), (&0.into(), &5.into()));
        assert_eq!(lines[0]["payload"], "\"text\"");
        assert_eq!(lines[1]["payload_base64"], "//4=");
        assert!(lines[1].get("payload").is_none());
    }
}

#[test]
fn a_new_group_is_announced_and_an_old_one_resumes() {
    let name = TempName::new("resume");
    run(&["create", &name, "--group", "keep"]).quietly();
    feed(&["send", &name], numbers(0..10).as_bytes()).quietly();
    let create = ["recv", &name, "--create", "--group"];
    let ran = run(&[&create[..], &["g", "--from", "4", "--count", "2"]].concat());
    let ran = ran.says(0, &["made group \"g\"", "message 4", "slipring group rm"]);
    assert_eq!(ran.out, "4\n5\n");
    let ran = run(&[&create[..], &["g", "--from", "oldest", "--count", "2"]].concat());
    assert_eq!(ran.says(0, &["resumes at message 6"]).out, "6\n7\n");
    assert_eq!(run(&["recv", &name, "--group", "g", "--count", "2"]).quietly(), "8\n9\n");
    run(&[&create[..], &["h", "--from", "11"]].concat()).says(1, &["not published yet"]);
    let newest = ["n", "--from", "newest", "--timeout", "0"];
    assert_eq!(run(&[&create[..], &newest].concat()).says(3, &["message 10"]).out, "");
}

#[test]
fn a_group_is_made_only_if_that_is_asked_for() {
    let name = TempName::new("typo");
    run(&["create", &name, "--group", "audit", "--shared-group", "work"]).quietly();
    let words = ["no group \"adit\"; it has audit, work", "group add", "adit", "--create"];
    let ran = run(&["recv", &name, "--group", "adit", "--timeout", "0"]).says(4, &words);
    assert!(!ran.err.contains("adit --shared"), "{ran:?}");
    let shared = ["recv", &name, "--group", "wrk", "--shared"];
    run(&shared).says(4, &["no group \"wrk\"", "wrk --shared"]);
    assert_eq!(groups(&name).as_array().unwrap().len(), 2);
    // What is for a new group only has no use without one.
    for (option, value) in [("--from", "newest"), ("--max-attempts", "3"), ("--dead-letters", "d")]
    {
        let args = ["recv", &name, "--group", "audit", option, value];
        run(&args).says(2, &["only a new group takes", option, "add --create"]);
    }
}

#[test]
fn a_look_takes_nothing() {
    let name = TempName::new("look");
    run(&["create", &name, "--group", "g"]).quietly();
    feed(&["send", &name], numbers(0..5).as_bytes()).quietly();
    assert_eq!(run(&["recv", &name, "--group", "g", "--count", "1"]).quietly(), "0\n");
    let look = ["peek", &name, "--group", "g"];
    for _ in 0..2 {
        assert_eq!(run(&look).quietly(), numbers(1..5));
    }
    assert_eq!(run(&[&look[..], &["--count", "2"]].concat()).quietly(), numbers(1..3));
    let ran = run(&[&look[..], &["--timeout", "0.05"]].concat());
    assert_eq!(ran.says(3, &[]).out, numbers(1..5));
    run(&["peek", &name, "--group", "h"]).says(4, &["no group \"h\"; it has g"]);
    let out = run(&["recv", &name, "--group", "g", "--json", "--count", "4"]).quietly();
    assert_eq!(out.matches("\"attempts\":1").count(), 4);
    assert_eq!(run(&look).quietly(), "");
}

#[test]
fn a_look_shows_what_members_hold_dead_or_alive_in_order_and_once() {
    let name = TempName::new("held");
    run(&["create", &name, "--capacity", "16", "--shared-group", "work", "--in-flight", "0"])
        .quietly();
    feed(&["send", &name], numbers(0..12).as_bytes()).quietly();
    let queue = Queue::open(&name).unwrap();
    let member = || queue.consumer(Group::named("work").shared()).unwrap();
    let (mut dead, mut live, mut quick) = (member(), member(), member());
    drop(dead.recv_batch(3).unwrap());
    quick.recv_batch(2).unwrap().ack().unwrap();
    let mut batch = live.recv_batch(4).unwrap();
    batch.ack_first().unwrap();
    drop(dead);
    let look = ["peek", &name, "--group", "work"];
    let unacked = [numbers(0..3), numbers(6..12)].concat();
    for _ in 0..2 {
        assert_eq!(run(&look).quietly(), unacked);
    }
    assert_eq!(run(&[&look[..], &["--count", "4"]].concat()).quietly(), "0\n1\n2\n6\n");
    let ran = run(&[&look[..], &["--timeout", "0.05"]].concat());
    assert_eq!(ran.says(3, &[]).out, unacked);
    // The first slots have been written again.
    batch.ack().unwrap();
    while let Some(message) = there(quick.try_recv()) {
        message.ack().unwrap();
    }
    feed(&["send", &name], numbers(12..20).as_bytes()).quietly();
    assert_eq!(run(&look).quietly(), numbers(12..20));
}

#[test]
fn a_reader_that_goes_ends_it_quietly_and_without_an_ack() {
    let name = TempName::new("gone");
    run(&["create", &name, "--group", "g"]).quietly();
    for command in [&["recv", &name, "--group", "g"][..], &["tail", &name]] {
        let mut reader = Running::start(command);
        reader.close_output();
        // Also if nothing is sent any more.
        reader.finish().quietly();
    }
    let mut reader = Running::start(&["recv", &name, "--group", "g", "--batch", "1"]);
    feed(&["send", &name], b"0\n").quietly();
    assert_eq!(reader.lines(1), ["0"]);
    while head(&name, "g") == 0 {
        std::thread::yield_now();
    }
    reader.signal(Signal::SIGSTOP);
    reader.close_output();
    feed(&["send", &name], b"1\n").quietly();
    reader.signal(Signal::SIGCONT);
    reader.finish().quietly();
    assert_eq!(run(&["recv", &name, "--group", "g", "--count", "1"]).quietly(), "1\n");
}

#[test]
fn only_what_was_written_is_acked() {
    let name = TempName::new("unread");
    run(&["create", &name, "--capacity", "65536", "--group", "g"]).quietly();
    // More than a pipe holds, without a reader.
    feed(&["send", &name], numbers(0..50_000).as_bytes()).quietly();
    let reader = Running::start(&["recv", &name, "--group", "g", "--batch", "100"]);
    let mut seen = 0;
    loop {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = head(&name, "g");
        if now > 0 && now == seen {
            break;
        }
        seen = now;
    }
    reader.signal(Signal::SIGINT);
    let ran = reader.finish();
    // It may have gone on for a moment, now that its output is read.
    let seen = head(&name, "g");
    let ran = ran.says(130, &[&format!("received {} messages", thousands(seen))]);
    assert!(ran.out.starts_with(&numbers(0..seen)), "acked before it was written");
    let reader = Running::start(&["recv", &name, "--group", "g", "--batch", "100"]);
    reader.kill();
    let rest = (50_000 - head(&name, "g")).to_string();
    let out = run(&["recv", &name, "--group", "g", "--count", &rest]).quietly();
    assert!(numbers(0..50_000).ends_with(&out));
}

fn thousands(n: u64) -> String {
    if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) }
}

#[test]
fn a_signal_ends_a_reader_with_its_totals() {
    let name = TempName::new("sigrecv");
    run(&["create", &name, "--group", "g"]).quietly();
    for (command, did) in [
        (&["recv", &name, "--group", "g"][..], "received 1 messages"),
        (&["tail", &name, "--from", "1"], "saw 1 messages"),
    ] {
        let mut reader = Running::start(command);
        feed(&["send", &name], b"0\n").quietly();
        reader.lines(1);
        reader.signal(Signal::SIGINT);
        reader.finish().says(130, &[did]);
    }
    assert_eq!(head(&name, "g"), 1);
}

#[test]
fn an_observer_says_what_it_missed() {
    let name = TempName::new("missed");
    run(&["create", &name, "--capacity", "4"]).quietly();
    let mut watcher = Running::start(&["tail", &name, "--from", "0", "--count", "5"]);
    feed(&["send", &name], b"0\n").says(0, &["warning"]);
    assert_eq!(watcher.lines(1), ["0"]);
    watcher.signal(Signal::SIGSTOP);
    feed(&["send", &name], numbers(1..21).as_bytes()).says(0, &["warning"]);
    watcher.signal(Signal::SIGCONT);
    let ran = watcher.finish().says(0, &["missed 16 messages"]);
    assert_eq!(ran.out, numbers(17..21));
}
