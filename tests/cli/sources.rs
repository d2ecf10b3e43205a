//! Queues whose messages say where they come from.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::common::{Rng, TempName};
use super::tool::{Ran, Running, TempDir, command, feed, json, numbers, parsed, run};

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

/// Overwrites what is in the ring of a queue of 4.
fn overwrite(name: &str) {
    received(name);
    feed(&["send", name, "--timeout", "10"], b"x\nx\nx\nx\n").quietly();
    received(name);
}

#[test]
fn the_streams_of_a_queue_are_listed() {
    let name = queue("listed", "4");
    let none = run(&["streams", "ls", &name]).says(0, &["has no streams yet, and room for 2"]);
    assert_eq!(none.out, "");
    feed(&send(&name), b"1\n2\n3\n").quietly();
    overwrite(&name);
    feed(&["send", &name, "--source", "a name of more than 24 bytes:seq"], b"1\n2\n").quietly();
    let shown = run(&["streams", "ls", &name]).quietly();
    assert_eq!(shown, run(&["streams", &name]).quietly());
    let rows: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NUMBER", "NAME", "ID", "START", "LAST", "IN-RING", "IN-FLIGHT"]);
    let id = slipring::StreamId::named("numbers").to_string();
    assert_eq!(rows[1], ["1", "numbers", &id, "1", "3", "0", "0"]);
    assert!(rows.len() == 3 && rows[2].ends_with(&["1", "2", "2", "0"]), "{shown}");
    let shown = json(&["streams", "ls", &name, "--json"]);
    assert_eq!((&shown["queue"], &shown["max_streams"]), (&Value::from(&*name), &2.into()));
    let first = json!({"number": 1, "id": id, "label": "numbers", "start": 1, "last": 3, "in_ring": 0, "in_flight": 0});
    assert_eq!((&shown["streams"][0], shown["streams"].as_array().unwrap().len()), (&first, 2));
    assert_eq!(shown["streams"][1]["label"], "a name of more than 24 b");

    let plain = TempName::new("plain");
    run(&["create", &plain]).quietly();
    run(&["streams", &plain]).says(0, &["have no sources", "--sources N"]);
    run(&["streams", "ls", "there-is-none"]).says(4, &["slipring create"]);
    run(&["streams"]).says(2, &["Usage"]);
}

#[test]
fn a_stream_is_forgotten_and_its_sender_begins_anew() {
    let name = queue("forgotten", "4");
    feed(&send(&name), b"1\n2\n").quietly();
    feed(&["send", &name, "--source", "other:seq"], b"1\n").quietly();
    received(&name);
    let forget = |stream: &str| run(&["streams", "forget", &name, stream]);
    forget("numbers").says(1, &["\"numbers\" are still in the ring", "4 messages"]);
    overwrite(&name);
    // All are looked up before one is forgotten.
    run(&["streams", "forget", &name, "numbers", "nubmers"])
        .says(1, &["no stream \"nubmers\"", "slipring streams ls"]);
    let id = slipring::StreamId::named("other").to_string();
    let said = run(&["streams", "forget", &name, "numbers", &id, "other"]).quietly();
    let [first, second] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(first.starts_with("forgot stream \"numbers\" ("), "{said}");
    let end = "its last position was 2; a sender that still uses it begins anew";
    assert!(first.ends_with(end) && second.contains(&id), "{said}");
    assert_eq!(json(&["streams", &name, "--json"])["streams"], json!([]));
    feed(&send(&name), b"1\n2\n").quietly();
    assert_eq!(received(&name), "1\n2\n");
}

#[test]
fn of_two_streams_with_one_name_the_id_says_which() {
    let name = queue("two-of-a-name", "4");
    let from = TempName::exactly(format!("t{}", std::process::id()));
    let label = format!("{}/g", &*from);
    for _ in 0..2 {
        run(&["create", &from, "--group", "g"]).quietly();
        feed(&["send", &from, "--close"], b"1\n").quietly();
        run(&["forward", &from, "--group", "g", "--to", &name]).says(0, &["is closed"]);
        run(&["rm", &from]).quietly();
    }
    overwrite(&name);
    let ids = json(&["streams", &name, "--json"])["streams"].clone();
    let id = ids[1]["id"].as_str().unwrap();
    run(&["streams", "forget", &name, &label]).says(1, &["2 streams", "by its id", id]);
    run(&["streams", "forget", &name, id]).quietly();
    run(&["streams", "forget", &name, &label]).quietly();
}

#[test]
fn a_passed_position_is_where_the_sender_goes_on() {
    let name = queue("passed", "4");
    feed(&send(&name), b"1\n2\n").quietly();
    let pass = |position: &str| run(&["streams", "pass", &name, "numbers", position]);
    let said = pass("4").quietly();
    assert!(said.starts_with("passed positions 3 to 4 of stream \"numbers\" ("), "{said}");
    for lower in ["4", "1"] {
        pass(lower).says(1, &["does not rise", "position 4"]);
    }
    pass("0").says(2, &["POSITION"]);
    run(&["streams", "pass", &name, "nubmers", "9"]).says(1, &["no stream \"nubmers\""]);
    feed(&send(&name), b"1\n2\n3\n4\n5\n").quietly();
    assert_eq!(received(&name), "1\n2\n5\n");
}

#[test]
fn a_look_at_the_streams_takes_no_role_and_a_change_leaves_a_closed_queue_closed() {
    let name = queue("roles", "4");
    feed(&[&send(&name)[..], &["--close"]].concat(), b"1\n").quietly();
    run(&["streams", "pass", &name, "numbers", "2"]).quietly();
    run(&["streams", "forget", &name, "numbers"]).says(1, &["in the ring"]);
    assert_eq!(json(&["inspect", &name, "--json"])["closed"], true);
    let queue = slipring::Queue::open(&name).unwrap();
    let producer = queue.producer().unwrap();
    run(&["streams", &name]).quietly();
    for change in [&["forget", &name, "numbers"][..], &["pass", &name, "numbers", "9"]] {
        let args = [&["streams"], change, &["--timeout", "10ms"]].concat();
        run(&args).says(3, &["another sender", "one at a time"]);
    }
    drop(producer);
    // It was opened again by that sender.
    run(&["streams", "pass", &name, "numbers", "9"]).quietly();
    assert_eq!(json(&["inspect", &name, "--json"])["closed"], false);
}

#[test]
fn json_says_where_a_message_comes_from() {
    let name = queue("said", "4");
    feed(&send(&name), b"one\n").quietly();
    feed(&["send", &name], b"plain\n").quietly();
    let id = slipring::StreamId::named("numbers").to_string();
    let source = json!({"stream": id, "label": "numbers", "position": 1});
    for args in [
        &["tail", &name, "--from", "oldest", "--count", "2"][..],
        &["peek", &name, "--group", "g"],
        &["recv", &name, "--group", "g", "--count", "2"],
    ] {
        let out = run(&[args, &["--json"]].concat()).quietly();
        let lines: Vec<_> = out.lines().map(parsed).collect();
        assert_eq!((&lines[0]["source"], lines[1].get("source")), (&source, None), "{out}");
    }
}

#[test]
fn a_command_is_told_where_its_message_comes_from() {
    let name = queue("told", "4");
    feed(&send(&name), b"one\n").quietly();
    feed(&["send", &name], b"plain\n").quietly();
    // A worker that was started by another one's command.
    let tell = "echo \"$(cat) ${SLIPRING_STREAM-none} ${SLIPRING_POSITION-none}\"";
    let worker = ["recv", &name, "--group", "g", "--count", "2", "--exec", tell];
    let mut worker = command(&worker);
    worker.env("SLIPRING_STREAM", "another").env("SLIPRING_POSITION", "7");
    let out = Ran::from(worker.output().unwrap()).with_totals_only();
    let id = slipring::StreamId::named("numbers");
    assert_eq!(out, format!("one {id} 1\nplain none none\n"));
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
