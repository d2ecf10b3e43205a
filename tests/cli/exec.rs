//! `recv --exec`: a worker that runs a command for each message.

mod endings;
mod in_flight;
mod surroundings;

use std::path::Path;

use nix::sys::signal::Signal;
use slipring::{DeadLetter, DeadLetters, Group, OpenOptions, Queue, Reason};

use super::common::TempName;
use super::tool::{Ran, Running, TempDir, command, feed, groups, run};

/// For groups without and with places for messages in flight.
const KINDS: [(&str, &str); 2] = [("held", "0"), ("cells", "16")];

/// A queue with the shared group `w` that holds these lines, and its queues of dead letters and retries.
struct Work {
    name: TempName,
    _others: [TempName; 2],
}

impl Work {
    /// One whose messages stay in the ring until they are acked.
    fn of(what: &str, lines: &str) -> Work {
        Work::with(what, lines, &["--in-flight", "0"])
    }

    /// One of each kind.
    fn both(what: &str, lines: &str) -> [Work; 2] {
        KINDS.map(|(kind, places)| {
            Work::with(&format!("{what}-{kind}"), lines, &["--in-flight", places])
        })
    }

    fn with(what: &str, lines: &str, options: &[&str]) -> Work {
        let name = TempName::new(what);
        let other = |suffix| TempName::exactly(format!("{}.{suffix}", &*name));
        let _others = [other("dead"), other("w.retry")];
        run(&[&["create", &name, "--shared-group", "w"], options].concat()).quietly();
        feed(&["send", &name, "--kind", "7"], lines.as_bytes()).quietly();
        Work { name, _others }
    }

    fn args<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let args = ["recv", &self.name, "--group", "w", "--shared", "--exec", command];
        [&args[..], more].concat()
    }

    fn run(&self, command: &str, more: &[&str]) -> Ran {
        run(&self.args(command, more))
    }

    fn start(&self, command: &str, more: &[&str]) -> Running {
        Running::start(&self.args(command, more))
    }

    /// Messages that are not done.
    fn depth(&self) -> u64 {
        self.figure("depth")
    }

    /// What is shown of the group under this name.
    fn figure(&self, name: &str) -> u64 {
        groups(&self.name)[0][name].as_u64().unwrap()
    }

    fn dead_letters(&self) -> DeadLetters {
        DeadLetters::of(&self.name, &OpenOptions::new()).unwrap()
    }

    /// Sequence, attempts and reason of all dead letters.
    fn letters(&self) -> Vec<(u64, u8, Reason)> {
        let dead = self.dead_letters();
        let (mut observer, end) = dead.observe().unwrap();
        let mut found = Vec::new();
        while observer.position() < end {
            let seen = observer.try_recv().unwrap();
            let letter = DeadLetter::parse(seen.kind(), &seen).unwrap();
            found.push((letter.sequence, letter.attempts, letter.reason));
        }
        found
    }
}

/// Shell code that waits for a file. It gives up with its directory, so that it does not outlive the test.
fn until(file: &Path) -> String {
    let (file, dir) = (file.display(), file.parent().unwrap().display());
    format!("until [ -e {file} ]; do [ -d {dir} ] || exit 1; sleep 0.02; done")
}

fn touch(file: &Path) {
    std::fs::write(file, "").unwrap();
}

#[test]
fn the_message_is_on_stdin_and_what_is_known_of_it_in_the_environment() {
    for work in Work::both("exec-env", "one\ntwo\n") {
        let tell = "cat; echo \" $SLIPRING_QUEUE $SLIPRING_GROUP $SLIPRING_SEQUENCE $SLIPRING_ATTEMPTS $SLIPRING_KIND\"";
        let out = work.run(tell, &["--count", "2"]).with_totals_only();
        let name = &*work.name;
        assert_eq!(out, format!("one {name} w 0 1 7\ntwo {name} w 1 1 7\n"));
        assert_eq!(work.depth(), 0);
    }
}

#[test]
fn a_command_need_not_read_its_message() {
    let name = TempName::new("exec-unread");
    run(&["create", &name, "--capacity", "4", "--payload", "1000000", "--group", "g"]).quietly();
    feed(&["send", &name], &[b'x'; 1_000_000]).quietly();
    feed(&["send", &name], &[b'x'; 1_000_000]).quietly();
    let exec = |command| run(&["recv", &name, "--group", "g", "--count", "1", "--exec", command]);
    assert_eq!(exec(":").with_totals_only(), "");
    assert_eq!(exec("wc -c").with_totals_only().trim(), "1000000");
}

#[test]
fn a_bad_message_is_a_dead_letter_at_once() {
    for work in Work::both("exec-bad", "good\nbad\ngood\n") {
        let command = "read line; echo $line; [ $line = good ] || exit 65";
        let ran = work.run(command, &["--count", "3", "--verbose"]);
        let ran =
            ran.says(0, &["message 1, attempt 1: exit code 65; rejected", "done 2, retried 0"]);
        assert_eq!(ran.out, "good\nbad\ngood\n");
        assert_eq!(work.letters(), [(1, 1, Reason::Rejected)]);
        assert_eq!(work.depth(), 0);
    }
}

#[test]
fn what_fails_is_tried_again_until_it_is_given_up() {
    let work = Work::of("exec-fail", "first\nsecond\nthird\n");
    let command = "read line; echo $line $SLIPRING_ATTEMPTS
        case $line$SLIPRING_ATTEMPTS in first*) exit 3;; second1) kill -9 $$;; esac";
    let more = ["--retry-delay", "0.001", "--verbose", "--count"];
    let ran = work.run(command, &[&more[..], &["1"]].concat()).says(
        0,
        &[
            "message 0, attempt 1: exit code 3; again in 0.001 s",
            "message 0, attempt 4: exit code 3; again in 0.008 s",
            "message 0, attempt 5: exit code 3; given up",
            "done 0, retried 4, rejected 0, given up 1",
        ],
    );
    assert_eq!(ran.out, "first 1\nfirst 2\nfirst 3\nfirst 4\nfirst 5\n");
    // The letter is there, and no other message was touched.
    assert_eq!(work.letters(), [(0, 5, Reason::MaxAttempts)]);
    assert_eq!(work.depth(), 2);
    let ran = work.run(command, &[&more[..], &["2"]].concat());
    let ran = ran.says(0, &["message 1, attempt 1: killed by SIGKILL; again", "done 2, retried 1"]);
    assert_eq!(ran.out, "second 1\nsecond 2\nthird 1\n");
}

#[test]
fn a_group_with_one_consumer_may_try_for_ever() {
    let name = TempName::new("exec-exclusive");
    run(&["create", &name, "--group", "g"]).quietly();
    feed(&["send", &name], b"stubborn\n").quietly();
    let command = "echo $SLIPRING_ATTEMPTS; [ $SLIPRING_ATTEMPTS -gt 9 ]";
    let args = ["recv", &name, "--group", "g", "--count", "1", "--retry-delay", "0"];
    let ran = run(&[&args[..], &["--exec", command]].concat()).says(0, &["attempt 9"]);
    assert!(ran.out.ends_with("\n9\n10\n"), "{}", ran.out);
}

#[test]
fn a_letter_that_was_sent_again_is_tried_as_often_as_before() {
    let work = Work::of("exec-requeue", "again\n");
    work.run("exit 65", &["--count", "1"]).says(0, &["rejected"]);
    assert_eq!(work.dead_letters().requeue(1).unwrap(), 1);
    let command = "cat; echo \" $SLIPRING_SEQUENCE $SLIPRING_ATTEMPTS $SLIPRING_KIND\"; exit 1";
    let ran = work.run(command, &["--count", "1", "--retry-delay", "0"]);
    let tries: String = (1..=5).map(|n| format!("again 0 {n} 7\n")).collect();
    assert_eq!(ran.says(0, &["given up"]).out, tries);
    assert_eq!(work.letters(), [(0, 5, Reason::MaxAttempts)]);
}

#[test]
fn jobs_run_at_once() {
    for work in Work::both("exec-jobs", "a\nb\nc\nd\n") {
        let dir = TempDir::new(&work.name);
        // Each of the first three ends only once all three have begun.
        let all: Vec<String> = (0..3).map(|n| until(&dir.join(n.to_string()))).collect();
        let command = format!("touch {}/$SLIPRING_SEQUENCE; {}", dir.display(), all.join("; "));
        work.run(&command, &["--jobs", "3", "--count", "3"]).with_totals_only();
        assert_eq!(work.depth(), 1);
        // There is work for one of them only.
        work.run(":", &["--jobs", "3", "--count", "1"]).with_totals_only();
        assert_eq!(work.depth(), 0);
    }
}

#[test]
fn a_killed_worker_leaves_its_message_to_another() {
    for work in Work::both("exec-kill", "job\n") {
        let dir = TempDir::new(&work.name);
        let command = format!("echo $SLIPRING_ATTEMPTS; {}", until(&dir.join("go")));
        let mut first = work.start(&command, &[]);
        assert_eq!(first.lines(1), ["1"]);
        let second = work.start(&command, &["--count", "1"]);
        first.kill();
        touch(&dir.join("go"));
        assert_eq!(second.finish().with_totals_only(), "2\n");
        assert_eq!(work.depth(), 0);
    }
}

#[test]
fn after_a_signal_what_runs_may_end_and_nothing_else_begins() {
    for work in Work::both("exec-term", "0\n1\n2\n3\n") {
        let dir = TempDir::new(&work.name);
        // In a process group of its own, so that Ctrl-C does not reach it.
        let group = "[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] || exit 65";
        let command = format!("{group}; echo began; {}; echo ended", until(&dir.join("go")));
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let mut worker = work.start(&command, &[]);
            assert_eq!(worker.lines(1), ["began"]);
            worker.signal(signal);
            std::thread::sleep(std::time::Duration::from_millis(100));
            touch(&dir.join("go"));
            let ran = worker.finish().says(128 + signal as i32, &["done 1, retried 0"]);
            assert_eq!(ran.out, "ended\n");
            std::fs::remove_file(dir.join("go")).unwrap();
        }
        assert_eq!(work.depth(), 1);
    }
}

#[test]
fn a_second_signal_ends_the_worker_and_not_its_command() {
    for work in Work::both("exec-twice", "job\n") {
        let dir = TempDir::new(&work.name);
        let (go, done) = (dir.join("go"), dir.join("done"));
        let quiet = "echo began; exec >/dev/null 2>&1";
        let command = format!("{quiet}; {}; touch {}", until(&go), done.display());
        let mut worker = work.start(&command, &[]);
        assert_eq!(worker.lines(1), ["began"]);
        worker.signal(Signal::SIGTERM);
        std::thread::sleep(std::time::Duration::from_secs(1));
        worker.signal(Signal::SIGTERM);
        worker.finish().says(143, &[]);
        assert_eq!(work.depth(), 1);
        touch(&go);
        while !done.exists() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn two_signals_at_once_are_one() {
    for work in Work::both("exec-one-signal", "job\n") {
        let dir = TempDir::new(&work.name);
        let quiet = "echo began; exec 2>/dev/null";
        let command = format!("{quiet}; {}; echo ended", until(&dir.join("go")));
        let mut worker = work.start(&command, &[]);
        assert_eq!(worker.lines(1), ["began"]);
        // As timeout(1) does, which signals its child and then its process group; of two like signals one may get lost.
        for signal in [Signal::SIGSTOP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCONT] {
            worker.signal(signal);
        }
        worker.wait_for("waiting for 1 command");
        touch(&dir.join("go"));
        let ran = worker.finish();
        assert!([Some(130), Some(143)].contains(&ran.code), "{ran:?}");
        assert!(ran.err.contains("done 1, retried 0"), "{}", ran.err);
        assert_eq!((ran.out.as_str(), work.depth()), ("ended\n", 0));
    }
}

#[test]
fn who_stops_a_worker_that_has_failed_is_told_what_it_waits_for() {
    for work in Work::both("exec-stop-failed", "waits\nbad\nbad\n") {
        let dead = format!("{}.dead", &*work.name);
        run(&["create", &dead, "--capacity", "1", "--payload", "500", "--group", "dead"]).quietly();
        let dir = TempDir::new(&work.name);
        let command = format!("[ $(cat) = waits ] || exit 65; {}", until(&dir.join("go")));
        let mut worker = work.start(&command, &["--jobs", "2"]);
        worker.wait_for("waiting for 1 command; no more is taken");
        worker.signal(Signal::SIGTERM);
        worker.wait_for("waiting for 1 command; again to end at once");
        touch(&dir.join("go"));
        let ran = worker.finish().says(1, &["done 1,", "is full"]);
        assert!(!ran.err.contains("waiting"), "{}", ran.err);
    }
}

#[test]
fn a_signal_ends_the_wait_for_another_try() {
    let work = Work::of("exec-wait", "job\n");
    let mut worker = work.start("exit 1", &["--retry-delay", "86400"]);
    worker.wait_for("again in 3600 s");
    worker.signal(Signal::SIGTERM);
    worker.finish().says(143, &["done 0, retried 1, rejected 0, given up 0, unfinished 1, in"]);
    assert_eq!(work.run("echo $SLIPRING_ATTEMPTS", &["--count", "1"]).with_totals_only(), "2\n");
}

#[test]
fn time_runs_out_only_while_nothing_is_at_work() {
    for work in Work::both("exec-timeout", "job\n") {
        let command = "sleep 0.3; [ $SLIPRING_ATTEMPTS = 2 ]";
        let more = ["--timeout", "0.05", "--retry-delay", "0.3", "--jobs", "2", "--verbose"];
        work.run(command, &more).says(3, &["no message came within 0.05 s", "done 1, retried 1"]);
        assert_eq!(work.depth(), 0);
    }
}

#[test]
fn without_a_shell_no_message_is_taken() {
    for work in Work::both("exec-shell", "job\n") {
        let ran: Ran = command(&work.args("cat", &[])).env("PATH", "/").output().unwrap().into();
        ran.says(1, &["cannot run sh"]);
        work.run("if", &[]).says(2, &["cannot read the command"]);
        assert_eq!(
            work.run("echo $SLIPRING_ATTEMPTS", &["--count", "1"]).with_totals_only(),
            "1\n"
        );
    }
}

/// It would succeed, and ack every message.
#[test]
fn a_blank_command_is_refused_and_takes_nothing() {
    for work in Work::both("exec-blank", "job\n") {
        for command in ["", " ", "\n\t "] {
            work.run(command, &["--count", "1"]).says(2, &["--exec", "a command is required"]);
            let forward =
                ["forward", &work.name, "--to", &work.name, "--group", "w", "--exec", command];
            run(&forward).says(2, &["--exec", "a command is required"]);
        }
        assert_eq!((work.depth(), work.figure("acked")), (1, 0));
    }
}

#[test]
fn an_error_of_the_queue_ends_all_jobs_and_is_told_once() {
    for work in Work::both("exec-removed", "job\n") {
        let mut worker = work.start("echo began", &["--jobs", "4"]);
        worker.lines(1);
        run(&["rm", &work.name, "--force"]).quietly();
        let ran = worker.finish().says(1, &["removed"]);
        assert_eq!(ran.err.matches("error").count(), 1, "{}", ran.err);
    }
}

#[test]
fn a_letter_that_finds_no_room_ends_the_worker() {
    for work in Work::both("exec-full", "a\nb\nc\n") {
        let dead = format!("{}.dead", &*work.name);
        run(&["create", &dead, "--capacity", "1", "--payload", "500", "--group", "dead"]).quietly();
        let ran = work.run("exit 65", &["--jobs", "3"]).says(1, &["is full", &dead]);
        assert_eq!(ran.err.matches("error").count(), 1, "{}", ran.err);
        assert_eq!(work.letters().len(), 1);
        assert_eq!(work.depth(), 2);
    }
}

#[test]
fn more_jobs_than_places_are_told_both_numbers() {
    let name = TempName::new("exec-places");
    run(&["create", &name, "--shared-group", "w", "--in-flight", "0", "--max-consumers", "2"])
        .quietly();
    let args = ["recv", &name, "--group", "w", "--shared", "--exec", "true", "--jobs", "3"];
    run(&args).says(1, &["2 consumer records, all in use (2 by live consumers)"]);
    run(&["recv", &name, "--group", "w", "--max-consumers", "2"]).says(2, &["add --create"]);
}

#[test]
fn jobs_work_off_what_one_of_them_took_over() {
    let work = Work::of("taken-over", &"x\n".repeat(20));
    let queue = Queue::open(&work.name).unwrap();
    let mut member = queue.consumer(Group::named("w").shared()).unwrap();
    assert_eq!(member.recv_batch(20).unwrap().len(), 20);
    // As if it had died with all of them.
    drop(member);
    let ran = work.run("true", &["--jobs", "4", "--count", "20", "--timeout", "2", "--verbose"]);
    ran.says(0, &["done 20,"]);
    assert_eq!(work.depth(), 0);
}
