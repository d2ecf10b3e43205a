//! Many that send to one queue.

use std::process;

use nix::sys::signal::Signal;
use slipring::Queue;

use super::common::TempName;
use super::tool::{Running, feed, run};

#[test]
fn twenty_that_send_at_once_all_send() {
    let name = TempName::new("twenty");
    run(&["create", &name, "--group", "g"]).quietly();
    let mut senders: Vec<Running> = (0..20)
        .map(|number| {
            let mut sender = Running::start(&["send", &name]);
            sender.write(format!("job {number}\n").as_bytes());
            sender
        })
        .collect();
    // No input has ended yet: they have all been there at once.
    senders.iter_mut().for_each(Running::end_input);
    for sender in senders {
        assert!(sender.finish().says(0, &[]).out.is_empty());
    }
    let out = run(&["recv", &name, "--group", "g", "--count", "20"]).quietly();
    let mut jobs: Vec<&str> = out.lines().collect();
    jobs.sort_unstable();
    let mut all: Vec<String> = (0..20).map(|number| format!("job {number}")).collect();
    all.sort_unstable();
    assert_eq!(jobs, all);
}

#[test]
fn a_sender_that_waits_for_another_says_so_and_can_be_stopped() {
    let name = TempName::new("waits");
    let queue = Queue::builder(&name).capacity(8).group("g").create().unwrap();
    let held = queue.producer().unwrap();
    let mut stopped = Running::start(&["send", &name]);
    let mut patient = Running::start(&["send", &name]);
    for sender in [&mut stopped, &mut patient] {
        let line = sender.wait_for("waiting");
        let me = format!("process {}", process::id());
        assert!(line.contains("one at a time") && line.contains(&me), "{line}");
    }
    stopped.signal(Signal::SIGINT);
    stopped.finish().says(130, &[]);
    patient.write(b"job\n");
    drop(held);
    patient.finish().says(0, &[]);
    assert_eq!(queue.snapshot().unwrap().tail, 1);
}

#[test]
fn the_time_that_a_sender_waits_can_be_bounded() {
    let name = TempName::new("bounded");
    let queue = Queue::builder(&name).capacity(1).group("g").create().unwrap();
    let held = queue.producer().unwrap();
    for timeout in ["0", "0.05"] {
        let ran = run(&["send", &name, "--timeout", timeout]);
        ran.says(3, &["another sender", "one at a time"]);
    }
    drop(held);
    let full = feed(&["send", &name, "--timeout", "0.05"], b"0\n1\n");
    full.says(3, &["full", "\"g\""]);
    assert_eq!(queue.snapshot().unwrap().tail, 1);
}
