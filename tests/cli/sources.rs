//! Queues whose messages say where they come from.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::common::{Rng, TempName};
use super::tool::{Running, TempDir, feed, json, numbers, parsed, run};

#[test]
fn a_queue_is_made_with_sources_and_shows_them() {
    let name = TempName::new("sources");
    run(&["create", &name, "--sources", "3"]).quietly();
    assert_eq!(json(&["inspect", &name, "--json"])["max_streams"], 3);
    let shown = run(&["inspect", &name]).quietly();
    assert!(shown.contains("sources   of 3 streams at most"), "{shown}");
    let plain = TempName::new("plain");
    run(&["create", &plain]).quietly();
    assert_eq!(json(&["inspect", &plain, "--json"])["max_streams"], 0);
    assert!(!run(&["inspect", &plain]).quietly().contains("sources"));
    for wrong in ["0", "128", "-1"] {
        let args = ["create", "none", &format!("--sources={wrong}")];
        run(&args).says(2, &["--sources"]);
    }
}

fn queue(what: &str, capacity: &str) -> TempName {
    let name = TempName::new(what);
    let group = ["--group", "g"];
    let create = ["create", &name, "--sources", "2", "--capacity", capacity];
    run(&[&create[..], &group].concat()).quietly();
    name
}

fn received(name: &str) -> String {
    run(&["recv", name, "--group", "g", "--timeout", "0"]).says(3, &[]).out
}

fn send(name: &str) -> [&str; 4] {
    ["send", name, "--source", "numbers:seq"]
}

#[test]
fn an_input_that_is_sent_again_goes_on_where_it_ended() {
    let name = queue("resume", "64");
    let lines = numbers(0..30);
    feed(&[&send(&name)[..], &["--count", "10"]].concat(), lines.as_bytes()).quietly();
    // What is passed over has no part in the pace: at this rate it would take hours.
    let more = ["--count", "11", "--rate", "0.001", "-v"];
    feed(&[&send(&name)[..], &more].concat(), lines.as_bytes())
        .says(0, &["sent 1 messages", "10 lines before them were there already"]);
    let again = [&send(&name)[..], &["--json", "-v"]].concat();
    let ran = feed(&again, lines.as_bytes()).says(0, &[]);
    assert_eq!(
        parsed(ran.err.lines().last().unwrap())["note"],
        "11 lines before them were there already"
    );
    feed(&send(&name), lines.as_bytes()).quietly();
    // Other inputs and plain sends beside it.
    feed(&["send", &name, "--source", "other:seq"], b"a\nb\n").quietly();
    feed(&["send", &name], b"plain\n").quietly();
    feed(&send(&name), format!("{lines}30\n").as_bytes()).quietly();
    assert_eq!(received(&name), format!("{lines}a\nb\nplain\n30\n"));
}

#[test]
fn another_input_of_the_same_name_is_refused() {
    let name = queue("another", "8");
    feed(&send(&name), b"1\n2\n3\n").quietly();
    let refused = |input: &[u8], words: &[&str]| {
        feed(&send(&name), input).says(1, words).says(1, &["another input"]);
    };
    refused(b"1\n2\nthree\n4\n", &["line 3 is not message 3 of source \"numbers\""]);
    refused(b"1\n2\n", &["the input ends after line 2", "has 3 of them"]);
    refused(b"", &["the input ends after line 0"]);
    // The message is found among others, too.
    feed(&["send", &name], b"plain\n").quietly();
    refused(b"1\n2\nthree\n4\n", &["line 3 is not message 3"]);
    feed(&send(&name), b"1\n2\n3\n4\n").quietly();
    assert_eq!(received(&name), "1\n2\n3\nplain\n4\n");
}

#[test]
fn half_a_line_is_refused_and_the_lines_before_it_are_sent() {
    let name = queue("half", "8");
    feed(&send(&name), b"10\n20\n3").says(1, &["line 3", "no newline", "whole lines only"]);
    // Also among the lines that are there.
    feed(&send(&name), b"10\n2").says(1, &["line 2", "no newline"]);
    feed(&send(&name), b"10\n20\n30\n").quietly();
    assert_eq!(received(&name), "10\n20\n30\n");
}

#[test]
fn what_cannot_have_a_source_is_told() {
    let plain = TempName::new("plain");
    run(&["create", &plain, "--group", "g"]).quietly();
    feed(&send(&plain), b"1\n").says(1, &["have no sources", "--sources N"]);
    for wrong in ["numbers", ":seq", "numbers:position", ""] {
        run(&["send", &plain, "--source", wrong]).says(2, &["numbers:seq"]);
    }
    let full = queue("full-table", "8");
    for source in ["a:seq", "b:seq"] {
        feed(&["send", &full, "--source", source], b"1\n").quietly();
    }
    feed(&send(&full), b"1\n").says(1, &["room for 2 streams", "\"a\"", "\"b\""]);
    assert_eq!(received(&full), "1\n1\n");
}

#[test]
fn a_full_queue_ends_it_after_the_timeout_and_it_goes_on() {
    let name = queue("full", "4");
    let lines = numbers(0..10);
    let timed = [&send(&name)[..], &["--timeout", "10ms", "-v"]].concat();
    feed(&timed, lines.as_bytes()).says(3, &["sent 4 messages"]);
    assert_eq!(received(&name), numbers(0..4));
    feed(&timed, lines.as_bytes()).says(3, &["sent 4 messages", "4 lines before them"]);
    assert_eq!(received(&name), numbers(4..8));
    feed(&timed, lines.as_bytes()).says(0, &["sent 2 messages"]);
    assert_eq!(received(&name), numbers(8..10));
}

/// How often the sender is killed; `SLIPRING_KILLS` says another number.
fn kills() -> u64 {
    std::env::var("SLIPRING_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

#[test]
fn a_sender_that_is_killed_and_started_again_sends_each_line_once() {
    let name = queue("killed", "64");
    let dir = TempDir::new(&name);
    let (file, got) = (dir.join("lines"), dir.join("got"));
    let lines = numbers(0..200_000);
    fs::write(&file, &lines).unwrap();
    let args = [&send(&name)[..], &[file.to_str().unwrap(), "--close"]].concat();
    let reader =
        ["recv", &name, "--group", "g", "--follow", "--count", "200000", "--timeout", "60"];
    let reader = Running::start_into(&reader, Stdio::null(), fs::File::create(&got).unwrap());
    let mut rng = Rng::new();
    let mut died = 0;
    for _ in 0..kills() {
        let sender = Running::start(&args);
        thread::sleep(Duration::from_micros(rng.below(20_000)));
        died += u64::from(sender.kill().signal() == Some(9));
    }
    assert!(died > 0);
    run(&args).says(0, &[]);
    reader.finish().says(0, &[]);
    let got = fs::read_to_string(&got).unwrap();
    assert!(got == lines, "{} of {} bytes", got.len(), lines.len());
    let beyond = run(&["recv", &name, "--group", "g"]).says(0, &["is closed"]);
    assert_eq!(beyond.out, "");
}
