//! What is no fault of a message is no attempt of it: a stop, streams that are gone, a system that refuses.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use slipring::{Group, Queue, Reason};

use super::super::common::TempName;
use super::super::tool::{Ran, Running, TempDir, children_of, command, feed, groups, numbers, run};
use super::{KINDS, Work, touch, until};

/// Restarts of a worker, more than a message has attempts.
const RESTARTS: usize = 6;

impl Work {
    /// All that is left is done now, and each message comes with these attempts.
    fn comes_with(&self, attempts: &[u8]) {
        let count = attempts.len().to_string();
        let out = self.run("echo $SLIPRING_ATTEMPTS", &["--count", &count]).with_totals_only();
        let lines: String = attempts.iter().map(|n| format!("{n}\n")).collect();
        assert_eq!((out, self.depth()), (lines, 0));
        assert!(!self.has_letters());
    }

    /// Whether there ever was a dead letter.
    fn has_letters(&self) -> bool {
        Path::new(&format!("/dev/shm/slipring.{}.dead", &*self.name)).exists()
    }
}

#[test]
fn a_reader_that_goes_away_leaves_the_rest_untried() {
    for work in Work::both("exec-head", &numbers(0..5)) {
        let dir = TempDir::new(&work.name);
        let (began, go) = (dir.join("began"), dir.join("go"));
        let second = format!("touch {}; {}", began.display(), until(&go));
        let command = format!("[ $SLIPRING_SEQUENCE = 0 ] || {{ {second}; }}; cat; echo");
        let mut worker = work.start(&command, &["--retry-delay", "0"]);
        assert_eq!(worker.lines(1), ["0"]);
        while !began.exists() {
            std::thread::yield_now();
        }
        worker.close_output();
        touch(&go);
        assert_eq!(worker.finish().quietly(), "");
        work.comes_with(&[1; 4]);
    }
}

#[test]
fn without_a_reader_nothing_is_taken() {
    for work in Work::both("exec-unread", "") {
        let mut worker = work.start("exit 1", &["--retry-delay", "0"]);
        worker.close_output();
        assert_eq!(worker.finish().quietly(), "");
    }
}

#[test]
fn commands_that_cannot_complain_are_not_to_blame() {
    for work in Work::both("exec-stderr", "job\n") {
        let line = "\"$@\" 2>&1 >/dev/null | :; echo ${PIPESTATUS[0]}";
        let mut shell = Command::new("bash");
        shell.args(["-c", line, "bash", env!("CARGO_BIN_EXE_slipring")]);
        // It waits until the reader has gone.
        let command =
            "while (echo . >&3) 3>&2 2>/dev/null; do sleep 0.01; done; echo complaint >&2; exit 1";
        let args = work.args(command, &["--retry-delay", "0"]);
        let ran: Ran = shell.args(args).output().unwrap().into();
        assert_eq!(ran.out, "1\n", "{ran:?}");
        work.comes_with(&[1]);
    }
}

/// A file system of its own for the output, and the worker in it.
const SMALL: &str = "mount -t tmpfs -o size=16k tmpfs \"$0\" && exec \"$@\" > \"$0/out\"";

#[test]
fn a_full_disk_is_no_attempt() {
    let probe = ["-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"];
    if !Command::new("unshare").args(probe).status().is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot mount in a namespace of its own");
        return;
    }
    for work in Work::both("exec-full-disk", "a\nb\n") {
        let dir = TempDir::new(&work.name);
        let command = "head -c 100000 /dev/zero";
        for _ in 0..RESTARTS {
            let mut worker = Command::new("unshare");
            worker.args(["-m", "sh", "-c", SMALL]).arg(&*dir).arg(env!("CARGO_BIN_EXE_slipring"));
            worker.args(work.args(command, &["--retry-delay", "0"]));
            let ran: Ran = worker.output().unwrap().into();
            ran.says(1, &["not counted", "no space is left for standard output", "done 0,"]);
        }
        work.comes_with(&[1, 1]);
    }
}

#[test]
fn a_stop_of_worker_and_command_is_no_attempt() {
    for work in Work::both("exec-stop", "job\n") {
        for round in 0..RESTARTS {
            let mut worker = work.start("echo $SLIPRING_ATTEMPTS; exec sleep 60", &[]);
            assert_eq!(worker.lines(1), ["1"]);
            let pid = Pid::from_raw(children_of_job(&worker) as i32);
            if round % 2 == 0 {
                worker.signal(Signal::SIGTERM);
                kill(pid, Signal::SIGTERM).unwrap();
            } else {
                // The signal reaches the command first.
                worker.signal(Signal::SIGSTOP);
                kill(pid, Signal::SIGTERM).unwrap();
                worker.signal(Signal::SIGTERM);
                worker.signal(Signal::SIGCONT);
            }
            let words =
                ["killed by SIGTERM; not counted, since this worker was told to stop", "done 0,"];
            worker.finish().says(143, &words);
        }
        work.comes_with(&[1]);
    }
}

/// The command that a worker's only job runs: its threads have children of their own.
fn children_of_job(worker: &Running) -> u32 {
    *children_of(worker.pid()).last().unwrap()
}

#[test]
fn a_signal_to_the_process_group_of_a_worker_leaves_its_command() {
    for work in Work::both("exec-group", "job\n") {
        let dir = TempDir::new(&work.name);
        let wait = until(&dir.join("go"));
        let mut worker = command(&work.args(&format!("echo at work; {wait}"), &[]));
        let mut worker = Running::of(worker.process_group(0));
        assert_eq!(worker.lines(1), ["at work"]);
        kill(Pid::from_raw(-(worker.pid() as i32)), Signal::SIGINT).unwrap();
        worker.wait_for("waiting for 1 command; again to end at once");
        touch(&dir.join("go"));
        worker.finish().says(130, &["done 1,", "unfinished 0,"]);
    }
}

#[test]
fn whatever_a_command_says_when_it_is_told_to_stop_is_no_attempt() {
    for work in Work::both("exec-stop-codes", "job\n") {
        let dir = TempDir::new(&work.name);
        for code in [1, 143, 64] {
            let wait = until(&dir.join("go"));
            let mut worker =
                work.start(&format!("echo $SLIPRING_ATTEMPTS; {wait}; exit {code}"), &[]);
            assert_eq!(worker.lines(1), ["1"]);
            worker.signal(Signal::SIGTERM);
            worker.wait_for("waiting for 1 command; again to end at once");
            touch(&dir.join("go"));
            worker.finish().says(143, &["not counted", "done 0, retried 0", "unfinished 1,"]);
            std::fs::remove_file(dir.join("go")).unwrap();
        }
        // What it says of the message counts, as ever.
        let mut worker = work.start(&format!("echo; {}; exit 65", until(&dir.join("go"))), &[]);
        worker.lines(1);
        worker.signal(Signal::SIGTERM);
        worker.wait_for("waiting for 1 command");
        touch(&dir.join("go"));
        worker.finish().says(143, &["exit code 65; rejected", "rejected 1"]);
        assert_eq!(work.letters(), [(0, 1, Reason::Rejected)]);
    }
}

#[test]
fn what_is_killed_after_a_stop_is_no_attempt() {
    for work in Work::both("exec-stop-kill", "job\n") {
        let dir = TempDir::new(&work.name);
        let command =
            format!("echo $SLIPRING_ATTEMPTS; exec >/dev/null 2>&1; {}", until(&dir.join("go")));
        for round in 0..RESTARTS {
            let mut worker = work.start(&command, &[]);
            assert_eq!(worker.lines(1), ["1"]);
            worker.signal(Signal::SIGTERM);
            worker.wait_for("waiting for 1 command; again to end at once");
            if round % 2 == 0 {
                worker.kill();
            } else {
                // At once it would be the same request.
                std::thread::sleep(Duration::from_secs(1));
                worker.signal(Signal::SIGTERM);
                worker.finish().says(143, &[]);
            }
        }
        drop(dir);
        work.comes_with(&[1]);
    }
}

#[test]
fn what_the_system_refuses_for_a_while_is_waited_for() {
    for work in Work::both("exec-descriptors", "first\n") {
        let mut worker = work.start("cat; echo \" $SLIPRING_ATTEMPTS\"", &[]);
        assert_eq!(worker.lines(1), ["first 1"]);
        let limit = |soft: &str| {
            let (pid, nofile) = (worker.pid().to_string(), format!("--nofile={soft}:1024"));
            let status = Command::new("prlimit").args(["--pid", &pid, &nofile]).status().unwrap();
            assert!(status.success());
        };
        limit("3");
        feed(&["send", &work.name], b"second").quietly();
        let line = worker.wait_for("not counted, again in");
        assert!(line.contains("message 1: cannot"), "{line}");
        worker.wait_for("not counted, again in 0.2 s");
        let (pid, nofile) = (worker.pid().to_string(), "--nofile=1024:1024");
        assert!(Command::new("prlimit").args(["--pid", &pid, nofile]).status().unwrap().success());
        assert_eq!(worker.lines(1), ["second 1"]);
        worker.signal(Signal::SIGTERM);
        worker.finish().says(143, &["done 2, retried 0"]);
    }
}

/// A user who has no process.
fn another_user() -> u32 {
    static USERS: AtomicU32 = AtomicU32::new(0);
    let users = 2 * std::process::id() + USERS.fetch_add(1, Ordering::Relaxed) % 2;
    20_000 + users % 30_000
}

/// What starts a program as that user. `None` if this one may not do that.
fn as_user(user: u32, args: &[&str]) -> Option<Command> {
    let user = format!("--reuid={user}");
    let setpriv = || {
        let mut setpriv = Command::new("setpriv");
        setpriv.args([&user, "--clear-groups"]);
        setpriv
    };
    if !setpriv().arg("true").status().is_ok_and(|status| status.success()) {
        println!("skipped: this user may not become another one");
        return None;
    }
    let mut command = setpriv();
    command.args(args);
    Some(command)
}

impl Work {
    /// Starts a worker as that user, who may have so many processes and threads.
    fn start_as(&self, user: u32, most: u32, command: &str, more: &[&str]) -> Option<Running> {
        let most = format!("--nproc={most}:1000");
        let mut worker = as_user(user, &["prlimit", &most, env!("CARGO_BIN_EXE_slipring")])?;
        worker.args(self.args(command, &[&["--allow-uid", "0"], more].concat()));
        worker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Some(Running::of(&mut worker))
    }
}

fn allow_processes(user: u32, worker: &Running) {
    let pid = worker.pid().to_string();
    let mut prlimit = as_user(user, &["prlimit", "--pid", &pid, "--nproc=1000:1000"]).unwrap();
    assert!(prlimit.status().unwrap().success());
}

#[test]
fn a_worker_goes_on_with_the_jobs_that_it_can_start() {
    let user = another_user();
    for (kind, places) in KINDS {
        // What fails for lack of others is tried again.
        let options = ["--in-flight", places, "--mode", "666", "--max-attempts", "0"];
        let work = Work::with(&format!("exec-threads-{kind}"), "0\n1\n2\n3\n", &options);
        let dir = TempDir::new(&work.name);
        std::fs::set_permissions(&*dir, Permissions::from_mode(0o777)).unwrap();
        // Each waits for all.
        let all: Vec<String> = (0..4).map(|n| until(&dir.join(n.to_string()))).collect();
        let command = format!("touch {}/$SLIPRING_SEQUENCE; {}", dir.display(), all.join("; "));
        // Itself and two jobs, or one and a command, which fails for lack of others.
        let more = ["--jobs", "4", "--retry-delay", "0.1"];
        let Some(mut worker) = work.start_as(user, 3, &command, &more) else { return };
        let line = worker.wait_for("cannot start a job");
        assert!(line.contains(" of 4 jobs work, and it tries again"), "{line}");
        allow_processes(user, &worker);
        worker.wait_for("all 4 jobs work");
        while work.depth() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        worker.signal(Signal::SIGTERM);
        worker.finish().says(143, &["done 4,", "rejected 0, given up 0, unfinished 0,"]);
    }
}

#[test]
fn a_shell_that_cannot_be_started_for_a_while_is_waited_for() {
    let work = Work::with("exec-no-process", "job\n", &["--mode", "666"]);
    let user = another_user();
    let Some(mut worker) = work.start_as(user, 1, "echo done", &["--count", "1"]) else { return };
    worker.wait_for("cannot run sh for --exec: Resource temporarily unavailable");
    allow_processes(user, &worker);
    assert_eq!(worker.lines(1), ["done"]);
    assert_eq!((worker.finish().code, work.depth()), (Some(0), 0));
}

#[test]
fn a_shell_that_has_gone_ends_the_worker() {
    for work in Work::both("exec-shell-gone", "a\nb\n") {
        let dir = TempDir::new(&work.name);
        let shell = dir.join("sh");
        std::os::unix::fs::symlink("/bin/sh", &shell).unwrap();
        let line = format!("/bin/rm -f {}; echo $SLIPRING_ATTEMPTS", shell.display());
        let mut worker = command(&work.args(&line, &[]));
        let ran: Ran = worker.env("PATH", &*dir).output().unwrap().into();
        let ran = ran.says(1, &["cannot run sh for --exec", "done 1,"]);
        assert_eq!(ran.out, "1\n");
        work.comes_with(&[1]);
    }
}

#[test]
fn what_had_its_last_attempt_before_is_told_and_counted() {
    let name = TempName::new("exec-given-up");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--shared-group", "w", "--in-flight", "0", "--max-attempts", "1"])
        .quietly();
    let lose_one = || {
        feed(&["send", &name], b"lost").quietly();
        let queue = Queue::open(&name).unwrap();
        drop(queue.consumer(Group::named("w").shared()).unwrap().recv().unwrap());
    };
    let recv = ["recv", &name, "--group", "w", "--shared", "--timeout", "0.3"];
    let told = |n: u64| format!("message {n}: it was delivered 1 time and never acked; given up");
    let worker = [&recv[..], &["--exec", "echo worked"]].concat();
    lose_one();
    let ran = run(&worker).says(3, &[&told(0), "done 0, retried 0, rejected 0, given up 1"]);
    assert_eq!(ran.out, "");
    lose_one();
    run(&[&worker[..], &["--count", "1", "-v"]].concat()).says(0, &[&told(1), "given up 1"]);
    lose_one();
    assert_eq!(run(&recv).says(3, &[&told(2)]).out, "");
}

#[test]
fn a_group_is_made_only_if_that_is_asked_for() {
    let work = Work::of("exec-typo", "job\n");
    let args = ["recv", &work.name, "--group", "v", "--shared", "--exec", "cat", "--count", "1"];
    let add = format!("slipring group add {} v --shared", &*work.name);
    run(&args).says(4, &["has no group \"v\"; it has w", &add, "--create"]);
    assert_eq!(groups(&work.name).as_array().unwrap().len(), 1);
    let ran = run(&[&args[..], &["--create"]].concat()).says(0, &["made group \"v\""]);
    assert_eq!(ran.out, "job");
    // It exists now.
    run(&[&args[..], &["--timeout", "0.1"]].concat()).says(3, &["done 0,"]);
}

#[test]
fn totals_are_told_however_it_ends() {
    for work in Work::both("exec-totals", "a\nb\n") {
        let removes = format!("{} rm --force {}", env!("CARGO_BIN_EXE_slipring"), &*work.name);
        work.run("true", &["--timeout", "0.1"]).says(3, &["done 2,", "unfinished 0,"]);
        feed(&["send", &work.name, "--close"], b"c\n").quietly();
        work.run("true", &[]).says(0, &["done 1,"]);
        feed(&["send", &work.name], b"d\n").quietly();
        work.run(&removes, &[]).says(1, &["done 1,", "removed"]);
    }
}

/// Three messages of which the second kills its worker, which the others would survive.
fn kills_its_workers(what: &str, limit: u8, places: &str) {
    let limited = ["--max-attempts", &limit.to_string(), "--in-flight", places];
    let work = Work::with(what, "good\nbad\ngood\n", &limited);
    let dir = TempDir::new(&work.name);
    // The others need longer than it does, and end with their worker.
    let good = format!(
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; kill -0 $PPID || exit; done; touch {}/$SLIPRING_SEQUENCE",
        dir.display()
    );
    let command =
        format!("read line; case $line in good) {good};; *) sleep 0.2; kill -9 $PPID;; esac");
    for _ in 0..20 {
        let args = ["--jobs", "3", "--timeout", "0.1"];
        work.run(&command, &args);
        if work.depth() == 0 {
            break;
        }
    }
    assert_eq!(work.letters(), [(1, limit, Reason::MaxAttempts)]);
    assert!(dir.join("0").exists() && dir.join("2").exists());
}

#[test]
fn a_message_that_kills_its_workers_takes_none_along() {
    for (kind, places) in KINDS {
        kills_its_workers(&format!("exec-poison-{kind}"), 5, places);
        kills_its_workers(&format!("exec-poison-twice-{kind}"), 2, places);
    }
}

#[test]
fn a_suspect_that_waits_for_another_is_not_delivered_meanwhile() {
    let work = Work::with("exec-suspects", "a\nb\n", &["--max-attempts", "2", "--in-flight", "0"]);
    let queue = Queue::open(&work.name).unwrap();
    // As if two had died with one each.
    let join = || queue.consumer(Group::named("w").shared()).unwrap();
    let (mut one, mut two) = (join(), join());
    drop((one.recv().unwrap(), two.recv().unwrap()));
    drop((one, two));
    let dir = TempDir::new(&work.name);
    let command = format!("echo; {}", until(&dir.join("go")));
    let mut worker = work.start(&command, &["--jobs", "2", "--count", "2", "--verbose"]);
    worker.lines(1);
    std::thread::sleep(std::time::Duration::from_secs(1));
    touch(&dir.join("go"));
    worker.finish().says(0, &["done 2, retried 0"]);
    // Once each, and again when the other was done.
    assert_eq!((work.figure("redelivered"), work.has_letters()), (3, false));
}
