//! `slipring forward`: from queue to queue, each message once, whatever is killed.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use slipring::Queue;

use super::common::{Rng, TempName};
use super::tool::{Running, TempDir, feed, group, numbers, parsed, run};

/// Two queues; the first has a group "g", the second a group "out", and room for sources.
fn queues(what: &str, capacity: u64) -> (TempName, TempName) {
    let (a, b) = (TempName::new(&format!("{what}-a")), TempName::new(&format!("{what}-b")));
    let builder = |name| Queue::builder(name).capacity(capacity).payload_size(48).sources(2);
    builder(&a).group("g").create().unwrap();
    builder(&b).group("out").create().unwrap();
    (a, b)
}

fn forward<'a>(a: &'a str, b: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["forward", a, "--group", "g", "--to", b], more].concat()
}

fn received(name: &str) -> String {
    run(&["recv", name, "--group", "out", "--timeout", "0"]).says(3, &[]).out
}

#[test]
fn messages_go_on_once_and_in_order() {
    let (a, b) = queues("fwd", 8);
    let send = ["send", &a, "--kind", "5", "--close"];
    feed(&send, b"one\n\ntwo\n").quietly();
    run(&forward(&a, &b, &["-v"])).says(0, &["forwarded 3 messages"]);
    // It stays open: another one may send there.
    let printed = run(&["recv", &b, "--group", "out", "--json", "--count", "3"]).quietly();
    let all: Vec<_> = printed.lines().map(parsed).collect();
    let payloads: Vec<_> = all.iter().map(|message| message["payload"].as_str().unwrap()).collect();
    assert_eq!(payloads, ["one", "", "two"]);
    assert!(all.iter().all(|message| message["kind"] == 5));
    // Started again, there is nothing to do.
    run(&forward(&a, &b, &["--close"])).says(0, &["is closed"]);
    run(&["recv", &b, "--group", "out"]).says(0, &["is closed"]);
}

#[test]
fn a_count_and_a_timeout_end_it() {
    let (a, b) = queues("fwd-count", 8);
    feed(&["send", &a], b"1\n2\n3\n").quietly();
    run(&forward(&a, &b, &["--count", "2"])).quietly();
    assert_eq!(group(&a, "g")["head"], 2);
    run(&forward(&a, &b, &["--timeout", "10ms"])).says(3, &["no message came within 0.01 s"]);
    assert_eq!(received(&b), "1\n2\n3\n");
}

#[test]
fn what_a_command_prints_is_sent_on() {
    let (a, b) = queues("fwd-exec", 8);
    feed(&["send", &a, "--close"], b"one\ntwo\n").quietly();
    let exec = ["--exec", "tr a-z A-Z; echo \" $SLIPRING_SEQUENCE\""];
    run(&forward(&a, &b, &exec)).says(0, &[]);
    assert_eq!(received(&b), "ONE 0\nTWO 1\n");
}

#[test]
fn raw_output_keeps_its_newline() {
    let (a, b) = queues("fwd-raw", 8);
    feed(&["send", &a], b"one\ntwo\n").quietly();
    run(&forward(&a, &b, &["--count", "1", "--exec", "cat; echo", "--raw"])).quietly();
    run(&forward(&a, &b, &["--count", "1", "--exec", "cat; echo"])).quietly();
    assert_eq!(received(&b), "one\n\ntwo\n");
}

#[test]
fn a_command_that_fails_ends_it_and_its_message_stays() {
    let (a, b) = queues("fwd-fails", 8);
    feed(&["send", &a], b"good\nbad\nlater\n").quietly();
    let exec = ["--exec", "read line; echo $line; test $line != bad || exit 7"];
    run(&forward(&a, &b, &exec)).says(1, &["message 1: ", "exit code 7", "stays"]);
    assert_eq!(group(&a, "g")["head"], 1);
    let ran = run(&forward(&a, &b, &[&exec[..], &["--json"]].concat()));
    let fault = &parsed(ran.err.lines().last().unwrap())["error"];
    assert!(fault["text"].as_str().unwrap().contains("message 1: "), "{fault}");
    run(&forward(&a, &b, &["--count", "2"])).quietly();
    assert_eq!(received(&b), "good\nbad\nlater\n");
}

#[test]
fn more_than_a_message_holds_is_refused() {
    let (a, b) = queues("fwd-long", 8);
    feed(&["send", &a], b"one\n").quietly();
    let exec = ["--exec", "yes"];
    run(&forward(&a, &b, &exec)).says(1, &["message 0: ", "48 at most"]);
    assert_eq!(group(&a, "g")["head"], 0);
}

#[test]
fn what_cannot_be_forwarded_is_refused() {
    let (a, b) = queues("fwd-refused", 8);
    run(&forward(&a, &a, &[])).says(2, &["name another one"]);
    run(&["forward", &a, "--group", "none", "--to", &b]).says(4, &["it has g", "group add"]);
    run(&["group", "add", &a, "s", "--shared"]).quietly();
    let shared = ["forward", &a, "--group", "s", "--to", &b];
    run(&shared).says(1, &["is shared", "exclusive"]);
    run(&["group", "add", &a, "m", "--max-attempts", "3"]).quietly();
    run(&["forward", &a, "--group", "m", "--to", &b]).says(1, &["3 attempts"]);
    let plain = TempName::new("fwd-plain");
    run(&["create", &plain, "--group", "out"]).quietly();
    run(&forward(&a, &plain, &[])).says(1, &["have no sources"]);
}

#[test]
fn without_room_it_waits_and_runs_no_command() {
    let (a, b) = queues("fwd-full", 1);
    feed(&["send", &b], b"first\n").quietly();
    let dir = TempDir::new(&a);
    let ran = dir.join("ran");
    let exec = format!("touch {}; cat", ran.display());
    let args = forward(&a, &b, &["--timeout", "100ms", "--exec", &exec]);
    run(&args).says(3, &["no message came within 0.1 s"]);
    feed(&["send", &a], b"second\n").quietly();
    run(&args).says(3, &["is full", "\"out\""]);
    assert!(!ran.exists());
    assert_eq!(received(&b), "first\n");
    run(&[&args[..], &["--count", "1"]].concat()).quietly();
    assert_eq!(received(&b), "second\n");
}

#[test]
fn it_follows_a_queue_that_is_closed_and_opened_again() {
    let (a, b) = queues("fwd-follow", 8);
    feed(&["send", &a, "--close"], b"one\n").quietly();
    let running = Running::start(&forward(&a, &b, &["--follow", "--count", "2"]));
    let one = run(&["recv", &b, "--group", "out", "--count", "1"]).quietly();
    feed(&["send", &a, "--close"], b"two\n").quietly();
    running.finish().quietly();
    assert_eq!((one, received(&b)), ("one\n".to_owned(), "two\n".to_owned()));
}

#[test]
fn a_signal_ends_it_with_the_commands_output_sent() {
    let (a, b) = queues("fwd-drain", 8);
    feed(&["send", &a], b"one\ntwo\n").quietly();
    let exec = ["--exec", "echo begun >&2; sleep 0.5; cat"];
    let mut running = Running::start(&forward(&a, &b, &exec));
    running.wait_for("begun");
    running.signal(Signal::SIGTERM);
    running.finish().says(143, &["forwarded 1 messages"]);
    assert_eq!(group(&a, "g")["head"], 1);
    assert_eq!(received(&b), "one\n");
}

#[test]
fn streams_of_earlier_queues_are_given_up_once_the_ring_has_none_of_them() {
    let (a, b) = (TempName::exactly(format!("f{}", std::process::id())), TempName::new("fwd-old"));
    Queue::builder(&b).capacity(2).sources(2).group("out").create().unwrap();
    for round in 0..4 {
        run(&["create", &a, "--group", "g"]).quietly();
        feed(&["send", &a, "--close"], b"1\n2\n").quietly();
        // Each round overwrites the messages of the one before it; its stream goes in the round after.
        let said = if round < 2 { "is closed" } else { "forgot stream" };
        run(&forward(&a, &b, &[])).says(0, &[said]);
        assert_eq!(received(&b), "1\n2\n");
        run(&["rm", &a]).quietly();
    }
    assert_eq!(Queue::open(&b).unwrap().streams().unwrap().len(), 2);
}

#[test]
fn dead_letters_that_are_sent_again_go_on_as_well() {
    let (a, b) = queues("fwd-dead", 8);
    let related = [".dead", ".g.retry"].map(|end| TempName::exactly(format!("{}{end}", &*a)));
    feed(&["send", &a], b"bad\ngood\n").quietly();
    let reject = ["recv", &a, "--group", "g", "--count", "1", "--exec", "exit 65"];
    run(&reject).says(0, &["rejected 1"]);
    run(&forward(&a, &b, &["--count", "1"])).quietly();
    run(&["dead", "requeue", &a]).quietly();
    run(&forward(&a, &b, &["--timeout", "300ms"])).says(3, &["no message came"]);
    assert_eq!(received(&b), "good\nbad\n");
    run(&forward(&a, &b, &["--timeout", "300ms"])).says(3, &["no message came"]);
    assert_eq!(received(&b), "");
    drop(related);
}

/// Kills of each process; `SLIPRING_KILLS` says another number.
fn kills() -> u64 {
    std::env::var("SLIPRING_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

/// Runs a stage until it ends well, and kills it now and then.
fn keep_forwarding(args: &[&str], mut rng: Rng) {
    let mut left = kills();
    loop {
        let running = Running::start(args);
        if left == 0 {
            running.finish().says(0, &[]);
            return;
        }
        thread::sleep(Duration::from_micros(rng.below(20_000)));
        // It may have ended by itself: then the next one finds nothing to do, and ends, too.
        left -= 1;
        running.kill();
    }
}

#[test]
fn through_two_stages_that_are_killed_nothing_is_lost_or_repeated() {
    let (a, b) = queues("fwd-kill", 64);
    let c = TempName::new("fwd-kill-c");
    Queue::builder(&c).capacity(64).payload_size(48).sources(1).group("out").create().unwrap();
    run(&["group", "add", &b, "g"]).quietly();
    run(&["group", "rm", &b, "out"]).quietly();
    let dir = TempDir::new(&a);
    let file = dir.join("lines");
    let lines = numbers(0..100_000);
    std::fs::write(&file, &lines).unwrap();
    let seeds = [Rng::new(), Rng::new()];
    let got = dir.join("got");
    let out = std::fs::File::create(&got).unwrap();
    let reader = Running::start_into(&["recv", &c, "--group", "out"], Stdio::null(), out);
    thread::scope(|scope| {
        let [first, second] = seeds;
        scope.spawn(|| keep_forwarding(&forward(&a, &b, &["--close"]), first));
        scope.spawn(|| keep_forwarding(&forward(&b, &c, &["--close"]), second));
        run(&["send", &a, file.to_str().unwrap(), "--close"]).quietly();
    });
    reader.finish().says(0, &[]);
    let got = std::fs::read_to_string(&got).unwrap();
    assert!(got == lines, "{} of {} bytes", got.len(), lines.len());
}
