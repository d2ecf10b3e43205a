use nix::sys::signal::Signal;

use super::common::TempName;
use super::tool::{Running, feed, numbers, run};

#[test]
fn a_queue_without_a_group_is_warned_of_once() {
    let name = TempName::new("nogroup");
    let add = format!("slipring group add {}", &*name);
    let lines = numbers(0..1000);
    let ran = feed(&["send", &name, "--create", "--batch", "10"], lines.as_bytes());
    let ran = ran.says(0, &["warning", "no consumer will get", &add]);
    assert_eq!(ran.err.matches("warning").count(), 1);
    run(&["group", "add", &name, "g"]).quietly();
    feed(&["send", &name], b"heard\n").quietly();
}

#[test]
fn a_sender_that_waits_names_who_holds_it_and_what_frees_it() {
    let name = TempName::new("held");
    run(&["create", &name, "--capacity", "2", "--group", "slow"]).quietly();
    let mut sender = Running::start(&["send", &name]);
    sender.write(b"0\n1\n2\n");
    let line = sender.wait_for("blocked");
    assert!(line.contains("\"slow\"") && line.contains("message 0"), "{line}");
    sender.wait_for(&format!("slipring recv {} --group slow", &*name));
    sender.wait_for(&format!("slipring group rm {} slow", &*name));
    assert_eq!(run(&["recv", &name, "--group", "slow", "--count", "3"]).quietly(), "0\n1\n2\n");
    sender.finish().quietly();
}

#[test]
fn a_sender_names_the_consumer_that_holds_it() {
    let name = TempName::new("stopped");
    run(&["create", &name, "--capacity", "2", "--group", "slow"]).quietly();
    feed(&["send", &name], b"0\n").quietly();
    let mut reader = Running::start(&["recv", &name, "--group", "slow"]);
    assert_eq!(reader.lines(1), ["0"]);
    reader.signal(Signal::SIGSTOP);
    let mut sender = Running::start(&["send", &name]);
    sender.write(b"1\n2\n3\n4\n5\n");
    sender.wait_for("blocked");
    let line = sender.wait_for("kill -CONT");
    assert!(line.contains(&reader.pid().to_string()), "{line}");
    reader.signal(Signal::SIGCONT);
    sender.finish().says(0, &["slipring group rm"]);
    assert_eq!(reader.lines(5), ["1", "2", "3", "4", "5"]);
}

#[test]
fn what_is_there_goes_out_when_the_input_pauses() {
    let name = TempName::new("pause");
    run(&["create", &name, "--group", "g"]).quietly();
    let mut reader = Running::start(&["recv", &name, "--group", "g"]);
    let mut sender = Running::start(&["send", &name, "--batch", "256"]);
    // Each answer is waited for: with a batch that had to be full this would hang.
    for text in ["one", "two", "three"] {
        sender.write(format!("{text}\n").as_bytes());
        assert_eq!(reader.lines(1), [text]);
    }
    sender.write(b"no newline");
    sender.finish().quietly();
    assert_eq!(reader.lines(1), ["no newline"]);
}

#[test]
fn a_sender_can_be_told_how_many_and_how_fast() {
    let name = TempName::new("paced");
    run(&["create", &name, "--group", "g"]).quietly();
    let since = std::time::Instant::now();
    let lines = numbers(0..1000);
    let args = ["send", &name, "--count", "21", "--rate", "100", "--kind", "7", "--verbose"];
    feed(&args, lines.as_bytes()).says(0, &["sent 21 messages"]);
    // The 21st is due 200 ms after the first.
    assert!(since.elapsed().as_millis() >= 200);
    let out = run(&["recv", &name, "--group", "g", "--json", "--count", "21"]).quietly();
    assert_eq!(out.matches("\"kind\":7").count(), 21);
}

#[test]
fn a_signal_ends_a_sender_with_its_totals() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let name = TempName::new("sigsend");
        run(&["create", &name, "--group", "g", "--capacity", "8"]).quietly();
        let mut sender = Running::start(&["send", &name]);
        sender.write(numbers(0..20).as_bytes());
        sender.wait_for("blocked");
        sender.signal(signal);
        sender.finish().says(code, &["sent 8 messages"]);
        let out = run(&["recv", &name, "--group", "g", "--count", "8"]).quietly();
        assert_eq!(out, numbers(0..8));
        run(&["rm", &name]).quietly();
    }
}
