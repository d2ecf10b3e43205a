//! A queue that loses its name while the program uses it.

use std::fs;

use nix::sys::signal::Signal;
use slipring::Queue;

use super::common::TempName;
use super::tool::{Running, numbers, run};

/// A sender that has sent message 0 and waits for more.
fn sender(name: &TempName, flags: &[&str]) -> Running {
    run(&["create", name, "--capacity", "4096", "--group", "g"]).quietly();
    let mut sender = Running::start(&[&["send", name], flags].concat());
    sender.write(b"0\n");
    let queue = Queue::open(name).unwrap();
    while queue.snapshot().unwrap().tail == 0 {
        std::thread::yield_now();
    }
    sender
}

fn rm(name: &TempName) {
    fs::remove_file(name.path()).unwrap();
}

#[test]
fn a_sender_at_the_end_of_its_input_says_that_the_queue_is_gone() {
    for flags in [&["-v"][..], &["-v", "--close"]] {
        let name = TempName::new("gone-end");
        let mut sender = sender(&name, flags);
        rm(&name);
        sender.offer(numbers(1..100).as_bytes());
        let ran = sender.finish().says(1, &["has been removed", "sent since"]);
        assert!(ran.err.contains("message"), "{}", ran.err);
    }
}

#[test]
fn a_sender_that_waits_for_input_learns_by_itself() {
    for flags in [&[][..], &["--rate", "0.01"]] {
        let name = TempName::new("gone-pause");
        let mut sender = sender(&name, flags);
        sender.write(b"1\n");
        rm(&name);
        // Its input stays open.
        sender.wait_for("has been removed");
        sender.finish().says(1, &[]);
    }
}

#[test]
fn nothing_goes_silently_into_a_queue_that_was_replaced() {
    let name = TempName::new("gone-new");
    let mut sender = sender(&name, &["-v"]);
    run(&["rm", &name, "--force"]).quietly();
    run(&["create", &name, "--group", "g"]).quietly();
    sender.offer(numbers(1..4000).as_bytes());
    let ran = sender.finish().says(1, &["has been removed", "sent since"]);
    // Each message that it counts as sent is one of those that it says may be lost.
    let sent = ran.err.split("sent ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let lost = match sent.replace(',', "").parse::<u64>().unwrap() {
        1 => "message 0 was sent since".to_owned(),
        sent => format!("messages 0 to {} were sent since", sent - 1),
    };
    assert!(ran.err.contains(&lost), "{}", ran.err);
    let new = Queue::open(&name).unwrap();
    assert_eq!(new.snapshot().unwrap().tail, 0);
}

#[test]
fn a_sender_that_is_told_to_stop_says_it_too() {
    let name = TempName::new("gone-stop");
    let sender = sender(&name, &["--rate", "0.01"]);
    sender.signal(Signal::SIGSTOP);
    rm(&name);
    sender.signal(Signal::SIGINT);
    sender.signal(Signal::SIGCONT);
    sender.finish().says(1, &["has been removed"]);
}

#[test]
fn a_receiver_that_has_what_it_was_to_get_says_that_the_queue_is_gone() {
    let worker = &["--exec", "cat; echo"][..];
    for (closes, worker) in [(false, &[][..]), (true, &[]), (false, worker), (true, worker)] {
        let name = TempName::new("gone-recv");
        let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
        let mut producer = queue.producer().unwrap();
        let count = if closes { &[][..] } else { &["--count", "2"] };
        let args = [&["recv", &name, "--group", "g"], count, worker].concat();
        let mut receiver = Running::start(&args);
        producer.send("one").unwrap();
        assert_eq!(receiver.lines(1), ["one"]);
        receiver.signal(Signal::SIGSTOP);
        rm(&name);
        producer.send("two").unwrap();
        if closes {
            producer.close().unwrap_err();
        }
        receiver.signal(Signal::SIGCONT);
        let ran = receiver.finish().says(1, &["has been removed"]);
        assert_eq!(ran.out, "two\n");
    }
}
