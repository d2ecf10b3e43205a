//! Workers of a group with messages in flight.

use std::time::Duration;

use nix::sys::signal::Signal;
use slipring::{Job, Queue, Reason};

use super::super::common::TempName;
use super::super::tool::{Ran, Running, TempDir, children_of, command, feed, group, run};
use super::{Work, touch, until};

/// Long enough for anything, and waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);

fn work(what: &str, lines: &str, more: &[&str]) -> Work {
    Work::with(what, lines, &[&["--in-flight", "16"], more].concat())
}

impl Work {
    /// Waits until so many messages wait for another try.
    fn wait_until_delayed(&self, count: usize) {
        let delayed = || {
            let messages = group(&self.name, "w")["in_flight"]["messages"].clone();
            let all = messages.as_array().unwrap().iter();
            all.filter(|message| message["record"].is_null()).count()
        };
        while delayed() != count {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn all_jobs_of_a_worker_are_one_consumer() {
    let work = work("cells-one", "a\nb\nc\n", &["--max-consumers", "1"]);
    let dir = TempDir::new(&work.name);
    let all: Vec<String> = (0..3).map(|n| until(&dir.join(n.to_string()))).collect();
    let command = format!("touch {}/$SLIPRING_SEQUENCE; {}", dir.display(), all.join("; "));
    work.run(&command, &["--jobs", "3", "--count", "3"]).with_totals_only();
    assert_eq!(work.depth(), 0);
}

#[test]
fn a_message_that_waits_for_another_try_leaves_its_job() {
    let work = work("cells-free", "bad\ngood\ngood\n", &[]);
    let command = "[ $(cat) = good ] || exit 3";
    let mut worker = work.start(command, &["--retry-delay", "3600"]);
    worker.wait_for("message 0, attempt 1: exit code 3; again in 3600 s");
    work.wait_until_delayed(1);
    while work.depth() > 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    worker.signal(Signal::SIGTERM);
    worker.finish().says(143, &["done 2, retried 1, rejected 0, given up 0, unfinished 0,"]);
    // Any worker may take it, once an operator says that it is due.
    let shown = run(&["group", "ls", &work.name]).quietly();
    assert!(
        shown.contains("1 of 16 in flight") && shown.contains("1 waits to be delivered again, in "),
        "{shown}"
    );
}

#[test]
fn what_fails_comes_again_to_any_worker_until_it_is_given_up() {
    let work = work("cells-fail", "first\nsecond\n", &[]);
    let command = "read line; echo $line $SLIPRING_ATTEMPTS
        case $line$SLIPRING_ATTEMPTS in first*) exit 3;; second1) kill -9 $$;; esac";
    let more = ["--retry-delay", "0.001", "--verbose", "--count", "2", "--jobs", "2"];
    let ran = work.run(command, &more).says(
        0,
        &[
            "message 0, attempt 1: exit code 3; again in 0.001 s",
            "message 0, attempt 4: exit code 3; again in 0.008 s",
            "message 0, attempt 5: exit code 3; given up",
            "message 1, attempt 1: killed by SIGKILL; again",
            "done 1, retried 5, rejected 0, given up 1",
        ],
    );
    let mut lines: Vec<&str> = ran.out.lines().collect();
    lines.sort_unstable();
    let first = ["first 1", "first 2", "first 3", "first 4", "first 5"];
    assert_eq!(lines, [&first[..], &["second 1", "second 2"]].concat());
    assert_eq!(work.letters(), [(0, 5, Reason::MaxAttempts)]);
    assert_eq!(work.depth(), 0);
}

#[test]
fn a_message_is_its_workers_for_as_long_as_its_command_runs() {
    let work = work("cells-extend", "long\n", &["--ack-timeout", "1"]);
    let mut worker = work.start("echo began; sleep 3; echo ended", &["--count", "1"]);
    assert_eq!(worker.lines(1), ["began"]);
    // It would take the message.
    work.run("echo stolen", &["--timeout", "3"]).says(3, &["done 0,"]);
    assert_eq!(worker.finish().with_totals_only(), "ended\n");
    assert_eq!((work.depth(), work.figure("redelivered")), (0, 0));
}

#[test]
fn a_worker_obeys_an_ack_timeout_that_is_changed_while_it_runs() {
    let work = work("cells-changed", "long\n", &["--ack-timeout", "1h"]);
    let mut worker = work.start("cat; echo; sleep 3; echo ended", &["--follow", "--verbose"]);
    assert_eq!(worker.lines(2), ["long", "ended"]);
    run(&["group", "set", &work.name, "w", "--ack-timeout", "1"]).quietly();
    feed(&["send", &work.name], b"longer\n").quietly();
    assert_eq!(worker.lines(1), ["longer"]);
    // It would take the message.
    work.run("echo stolen", &["--timeout", "3"]).says(3, &["done 0,"]);
    assert_eq!(worker.lines(1), ["ended"]);
    worker.signal(Signal::SIGTERM);
    worker.finish().says(143, &["done 2, retried 0, rejected 0, given up 0, unfinished 0,"]);
}

#[test]
fn a_stopped_workers_message_goes_to_another_and_its_own_end_is_too_late() {
    let work = work("cells-stop", "job\n", &["--ack-timeout", "1"]);
    let dir = TempDir::new(&work.name);
    let command = format!("echo $SLIPRING_ATTEMPTS; {}", until(&dir.join("go")));
    let mut stopped = work.start(&command, &["--verbose"]);
    assert_eq!(stopped.lines(1), ["1"]);
    stopped.signal(Signal::SIGSTOP);
    let who = format!("process {}, consumer ", stopped.pid());
    let shown = || {
        let shown = run(&["group", "ls", &work.name]).quietly();
        assert!(
            shown.contains(&who) && shown.contains("message 0: attempt 1, received "),
            "{shown}"
        );
        shown.contains("(stopped) has 1 in flight")
    };
    // The signal takes its time.
    while !shown() {}
    let mut other = work.start(&command, &["--count", "1"]);
    assert_eq!(other.lines(1), ["2"]);
    touch(&dir.join("go"));
    assert_eq!(other.finish().with_totals_only(), "");
    assert_eq!(work.depth(), 0);
    // Its command has ended as well, and waits for it.
    let ended = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.contains(") Z ")
    };
    while !children_of(stopped.pid()).iter().all(ended) {
        std::thread::yield_now();
    }
    stopped.signal(Signal::SIGCONT);
    stopped.wait_for("message 0, attempt 1: exit code 0; too late");
    stopped.signal(Signal::SIGTERM);
    stopped
        .finish()
        .says(143, &["done 0, retried 0, rejected 0, given up 0, taken back 1, unfinished 0,"]);
    assert_eq!(work.figure("acked"), 1);
}

#[test]
fn the_command_of_a_message_that_an_operator_takes_back_is_ended() {
    let work = work("cells-evicted", "job\n", &["--ack-timeout", "0"]);
    let command = "echo $SLIPRING_ATTEMPTS; [ $SLIPRING_ATTEMPTS = 2 ] || exec sleep 60";
    let mut worker = work.start(command, &["--count", "1", "--verbose"]);
    assert_eq!(worker.lines(1), ["1"]);
    run(&["group", "evict", &work.name, "w", "--all"]).quietly();
    let ran = worker.finish().says(
        0,
        &["killed by SIGTERM; ended, since it was taken back", "done 1, retried 0", "taken back 1"],
    );
    assert_eq!(ran.out, "2\n");
}

#[test]
fn a_command_that_runs_for_too_long_is_ended_and_has_failed() {
    for work in Work::both("job-timeout", "job\n") {
        let stubborn = "trap '' TERM; sleep 20 & wait; sleep 20";
        let command = format!(
            "case $SLIPRING_ATTEMPTS in 1) exec sleep 60;; 2) trap 'exit 0' TERM; sleep 60 & wait;; 3) {stubborn};; esac"
        );
        let more = ["--job-timeout", "0.2", "--retry-delay", "0.01", "--count", "1", "--verbose"];
        work.run(&command, &more).says(
            0,
            &[
                "attempt 1: its time was over (--job-timeout), killed by SIGTERM; again",
                "attempt 2: its time was over (--job-timeout), exit code 0; again",
                "attempt 3: its time was over (--job-timeout), killed by SIGKILL; again",
                "done 1, retried 3",
            ],
        );
    }
}

#[test]
fn options_that_do_nothing_in_a_group_are_wrong_usage() {
    let exec = ["--count", "1", "--extend-every"];
    let held = Work::of("extend-held", "job\n");
    held.run("true", &[&exec[..], &["1"]].concat())
        .says(2, &["no messages in flight", "leave it out"]);
    let forever = work("extend-forever", "job\n", &["--ack-timeout", "0"]);
    forever.run("true", &[&exec[..], &["1"]].concat()).says(2, &["no ack timeout", "leave it out"]);
    let timed = work("extend-timed", "job\n", &["--ack-timeout", "1.5"]);
    timed
        .run("true", &[&exec[..], &["1"]].concat())
        .says(2, &["at most 0.75 s, half of the ack timeout, which is 1.5 s"]);
    assert!(run(&["group", "ls", &timed.name]).quietly().contains("ack timeout 1.5 s"));
    // Nothing is made then.
    let new = TempName::new("extend-new");
    let made = ["recv", &new, "--group", "w", "--create", "--exec", "true", "--extend-every", "20"];
    run(&made).says(2, &["no messages in flight"]);
    run(&[&made[..], &["--shared"]].concat()).says(2, &["at most 15 s", "which is 30 s"]);
    run(&["info", &new]).says(4, &["no queue"]);
    for work in [&held, &forever] {
        let made =
            ["recv", &work.name, "--group", "new", "--create", "--shared", "--ack-timeout", "2"];
        let made = [&made[..], &["--exec", "true", "--extend-every", "2"]].concat();
        run(&made).says(2, &["--extend-every"]);
        assert!(!run(&["group", "ls", &work.name]).quietly().contains("new"));
    }
    for work in [held, forever, timed] {
        assert_eq!((work.depth(), work.figure("unacked")), (1, 0));
    }
    let name = TempName::new("no-exec");
    for option in ["--extend-every", "--job-timeout"] {
        run(&["recv", &name, "--group", "w", option, "1"]).says(2, &["--exec"]);
    }
}

#[test]
fn suspects_that_wait_for_another_occupy_no_job_and_are_left_to_other_workers() {
    let work = work("cells-suspects", "a\nb\nc\n", &["--max-attempts", "2"]);
    let queue = Queue::open(&work.name).unwrap();
    // As if three had died with one each.
    let mut worker = queue.worker("w").unwrap();
    drop(worker.recv_batch(3).unwrap());
    drop(worker);
    let dir = TempDir::new(&work.name);
    // It gives up if what follows does not come.
    let wait = format!(
        "for i in $(seq 600); do [ -e {} ] && break; sleep 0.1; done",
        dir.join("go").display()
    );
    let command = format!("echo $SLIPRING_ATTEMPTS; [ $(cat) = quick ] || {{ {wait}; }}");
    let start = |more: &[&str]| work.start(&command, &[&["--verbose"], more].concat());
    let mut one = start(&["--jobs", "2"]);
    assert_eq!(one.lines(1), ["2"]);
    // Its other job works on what is no suspect.
    for _ in 0..3 {
        feed(&["send", &work.name], b"quick\n").quietly();
        assert_eq!(one.lines(1), ["1"]);
    }
    let messages = || group(&work.name, "w")["in_flight"]["messages"].as_array().unwrap().clone();
    let waiting = messages().into_iter().filter(|message| message["record"].is_null());
    // Nobody has them, and what the worker does meanwhile is no attempt of theirs.
    assert_eq!(
        waiting.map(|message| message["attempts"].as_u64()).collect::<Vec<_>>(),
        [Some(1); 2]
    );
    let mut other = start(&["--count", "1"]);
    assert_eq!(other.lines(1), ["2"]);
    assert!(!dir.join("go").exists());
    touch(&dir.join("go"));
    other.finish().says(0, &["done 1, retried 0"]);
    assert_eq!(one.lines(1), ["2"]);
    while work.depth() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    one.signal(Signal::SIGTERM);
    one.finish().says(143, &["done 5, retried 0"]);
}

#[test]
fn jobs_longer_than_the_ring_hold_no_sender() {
    let work = Work::with("cells-long", "", &["--in-flight", "16", "--capacity", "2"]);
    let dir = TempDir::new(&work.name);
    let command = format!("[ $(cat) = short ] || {{ echo began; {}; }}", until(&dir.join("go")));
    let mut worker = work.start(&command, &["--jobs", "2", "--verbose"]);
    feed(&["send", &work.name], b"long\n").quietly();
    assert_eq!(worker.lines(1), ["began"]);
    // Many times what the ring holds, while one is at work.
    feed(&["send", &work.name, "--close", "--timeout", "60"], "short\n".repeat(50).as_bytes())
        .quietly();
    while work.depth() > 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
    touch(&dir.join("go"));
    worker.finish().says(0, &["done 51, retried 0"]);
}

fn lines(count: usize) -> String {
    (0..count).map(|n| format!("{n}\n")).collect()
}

#[test]
fn what_is_printed_is_acked_and_what_is_not_is_given_back_untried() {
    let work = work("cells-recv", &lines(10), &[]);
    let recv = ["recv", &work.name, "--group", "w", "--shared"];
    let out = run(&[&recv[..], &["--count", "4", "--batch", "3"]].concat()).quietly();
    assert_eq!(out, lines(4));
    let full = std::fs::File::create("/dev/full").unwrap();
    let ran: Ran = command(&recv).stdout(full).output().unwrap().into();
    ran.says(1, &["No space left on device"]);
    let out = run(&[&recv[..], &["--count", "1", "--json"]].concat()).quietly();
    assert!(out.contains("\"sequence\":4") && out.contains("\"attempts\":1"), "{out}");
    let ran = run(&[&recv[..], &["--timeout", "0.2"]].concat())
        .says(3, &["no message came within 0.2 s"]);
    assert_eq!(ran.out, (5..10).map(|n| format!("{n}\n")).collect::<String>());
    feed(&["send", &work.name, "--close"], b"last\n").quietly();
    assert_eq!(run(&recv).says(0, &["is closed"]).out, "last\n");
    assert_eq!(work.depth(), 0);
}

#[test]
fn a_reader_that_hangs_loses_what_it_has_not_read_and_one_that_is_slow_does_not() {
    // More than a pipe holds, one by one.
    let size = 100_000;
    let name = TempName::new("cells-slow");
    let create = ["create", &name, "--payload", "100000", "--capacity", "8", "--shared-group", "w"];
    run(&[&create[..], &["--in-flight", "8", "--ack-timeout", "1"]].concat()).quietly();
    let line = vec![b'x'; size];
    let all = [&line[..], b"\n", &line, b"\n", &line, b"\n"].concat();
    feed(&["send", &name], &all).quietly();
    let recv = ["recv", &name, "--group", "w", "--shared"];
    let queue = Queue::open(&name).unwrap();
    let figure = |of: &str| group(&name, "w")[of].as_u64().unwrap();
    // It reads a part every half a second, which takes longer than the ack timeout.
    let slow = format!(
        "'{}' {} --count 3 | while head -c 40000 | grep -q x; do sleep 0.4; done",
        env!("CARGO_BIN_EXE_slipring"),
        recv.join(" ")
    );
    assert!(std::process::Command::new("sh").args(["-c", &slow]).status().unwrap().success());
    assert_eq!((figure("acked"), figure("redelivered")), (3, 0));
    feed(&["send", &name], &all).quietly();
    let mut hangs = Running::start(&[&recv[..], &["--count", "3"]].concat());
    while figure("unacked") < 3 {
        std::thread::yield_now();
    }
    let mut other = queue.worker("w").unwrap();
    let taken: Vec<Job> = (0..3).map(|_| other.recv_timeout(LONG).unwrap()).collect();
    assert!(taken.iter().all(|job| job.attempts() == 2 && job.len() == size));
    for job in taken {
        job.ack().unwrap();
    }
    let read = hangs.lines(1);
    assert_eq!(read[0].len(), size);
    feed(&["send", &name], &all).quietly();
    hangs.finish().says(0, &["3 messages, from 3 on: too late, taken back before the ack"]);
}
