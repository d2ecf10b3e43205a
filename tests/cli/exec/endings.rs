//! The end of a command: of its shell, and of what the shell has started.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::super::common::TempName;
use super::super::tool::{Ran, TempDir, children_of, feed, lives, run};
use super::{KINDS, Work, until};

/// A script in `dir` that is no shell's last command, so that it runs beside its shell.
fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("job");
    std::fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Shell code that notes in `dir` that an earlier one is at work still. After SIGTERM it has a second's work to finish; before
/// that it does `first`.
fn finishes(dir: &Path, first: &str) -> String {
    let dir = dir.display();
    format!(
        "trap stop=1 TERM
        exec 9> {dir}/alone; flock -n 9 || echo attempt $SLIPRING_ATTEMPTS >> {dir}/overlaps
        echo $$ > {dir}/$SLIPRING_ATTEMPTS
        {first}
        for i in $(seq 300); do [ $stop ] && break; sleep 0.1; done
        sleep 1; echo finished >&2\n"
    )
}

/// The process that the script of this attempt was.
fn pid_of(dir: &Path, attempt: u8) -> u32 {
    let (path, since) = (dir.join(attempt.to_string()), Instant::now());
    loop {
        assert!(since.elapsed() < Duration::from_secs(60), "attempt {attempt} has not begun");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(pid) = text.strip_suffix('\n') {
            return pid.parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}

#[test]
fn a_message_is_not_tried_again_before_the_process_group_of_its_command_has_ended() {
    let forms = ["JOB; echo $?", "m=$(cat); JOB $m", "cat | JOB"];
    for ((kind, places), form) in KINDS.into_iter().flat_map(|kind| forms.map(|form| (kind, form)))
    {
        let options = ["--in-flight", places, "--max-attempts", "2"];
        let work = Work::with(&format!("end-group-{kind}"), "job\n", &options);
        let dir = TempDir::new(&work.name);
        let job = script(&dir, &finishes(&dir, ":"));
        let command = form.replace("JOB", job.to_str().unwrap());
        let more = ["--job-timeout", "2", "--retry-delay", "0.01", "--count", "1"];
        work.run(&command, &more).says(0, &["its time was over", "given up 1"]);
        assert!(!dir.join("overlaps").exists() && !lives(pid_of(&dir, 2)), "{form}");
    }
}

#[test]
fn what_ignores_sigterm_in_the_process_group_is_killed_before_the_next_try() {
    for work in Work::both("end-stubborn", "job\n") {
        let dir = TempDir::new(&work.name);
        let stubborn = "trap '' TERM; for i in $(seq 300); do sleep 0.1; done";
        let job =
            script(&dir, &format!("echo $$ > {}/$SLIPRING_ATTEMPTS; {stubborn}", dir.display()));
        // One that is killed may be a zombie.
        let look = format!(
            "case $(cat /proc/$(cat {})/stat 2>/dev/null) in ''|*') Z '*);; *) echo overlap;; esac",
            dir.join("1").display()
        );
        let command = format!(
            "[ $SLIPRING_ATTEMPTS = 1 ] || {{ {look}; exit 0; }}; {}; echo $?",
            job.display()
        );
        let more = ["--job-timeout", "2", "--retry-delay", "0.01", "--count", "1", "--verbose"];
        let ran = work.run(&command, &more).says(0, &["its time was over", "done 1,"]);
        assert_eq!(ran.out, "");
        assert!(!lives(pid_of(&dir, 1)));
    }
}

#[test]
fn a_message_is_its_workers_while_its_command_is_being_ended() {
    let work = Work::with("end-extend", "job\n", &["--in-flight", "16", "--ack-timeout", "3"]);
    let dir = TempDir::new(&work.name);
    let job = script(&dir, &finishes(&dir, ":").replace("sleep 1;", "sleep 4;"));
    let mut worker = work.start(
        &format!("{}; echo $?", job.display()),
        &["--job-timeout", "0.5", "--retry-delay", "3600"],
    );
    let pid = pid_of(&dir, 1);
    // It would take the message.
    let other = work.start("echo stolen", &["--follow"]);
    worker.wait_for("its time was over (--job-timeout), killed by SIGTERM; again in 3600 s");
    assert!(!lives(pid));
    for worker in [worker, other] {
        worker.signal(Signal::SIGTERM);
        assert_eq!(worker.finish().out, "");
    }
    assert_eq!(work.figure("redelivered"), 0);
}

/// The program in a container that was given the host's /proc, or none; `None` if this user cannot have a pid namespace.
fn where_proc_does_not_tell() -> Option<Command> {
    let namespace = |program: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--kill-child", program]);
        unshare
    };
    if !namespace("true").status().is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot have a pid namespace");
        return None;
    }
    Some(namespace(env!("CARGO_BIN_EXE_slipring")))
}

#[test]
fn where_proc_does_not_tell_a_process_group_is_killed() {
    let Some(mut worker) = where_proc_does_not_tell() else { return };
    let work = Work::with("end-no-proc", "job\n", &["--in-flight", "16"]);
    let dir = TempDir::new(&work.name);
    let job = script(&dir, "trap '' TERM; for i in $(seq 300); do sleep 0.1; done; echo survived");
    let command = format!("[ $SLIPRING_ATTEMPTS = 2 ] || {}; echo $?", job.display());
    let more = ["--job-timeout", "2", "--retry-delay", "0.01", "--count", "1", "--verbose"];
    let ran: Ran = worker.args(work.args(&command, &more)).output().unwrap().into();
    let ran = ran.says(0, &["its time was over", "done 1,"]);
    assert_eq!(ran.out, "0\n");
}

/// Nobody ends what a stop has left, and nobody sees its end: the worker waits a second for it.
#[test]
fn a_stop_of_a_whole_service_ends_where_proc_does_not_tell() {
    let Some(mut worker) = where_proc_does_not_tell() else { return };
    let work = Work::with("end-no-proc-stop", "job\n", &["--in-flight", "16"]);
    let dir = TempDir::new(&work.name);
    // The shell tells its worker and itself to end.
    let command = format!("echo > {}/begun; kill -TERM $PPID $$; sleep 60", dir.display());
    let ran: Ran = worker.args(work.args(&command, &["--verbose"])).output().unwrap().into();
    assert!(dir.join("begun").exists() && ran.err.contains("done 0,"), "{}", ran.err);
    assert_eq!(work.depth(), 1);
}

/// The name of a process is any bytes, and /proc cuts it at 15, perhaps inside a character.
#[test]
fn a_process_with_a_name_of_any_bytes_is_none_of_the_command() {
    let work = Work::with("end-names", "job\n", &["--in-flight", "16"]);
    let dir = TempDir::new(&work.name);
    let other = dir.join(std::ffi::OsStr::from_bytes(b"\xffnobody"));
    std::fs::copy("/bin/sleep", &other).unwrap();
    let mut other = Command::new(&other).arg("120").spawn().unwrap();
    // A stop of a whole service, after which nothing is left to be ended.
    work.run("kill -TERM $PPID $$", &["--verbose"]).says(143, &["done 0,"]);
    assert!(other.try_wait().unwrap().is_none(), "the worker has waited for it");
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(work.depth(), 1);
}

#[test]
fn what_is_left_of_the_command_of_an_evicted_message_is_ended() {
    let work = Work::with("end-evicted", "job\n", &["--in-flight", "16", "--ack-timeout", "0"]);
    let dir = TempDir::new(&work.name);
    let job = script(&dir, &finishes(&dir, ":"));
    let command = format!("[ $SLIPRING_ATTEMPTS = 2 ] || {}; echo $?", job.display());
    let worker = work.start(&command, &["--jobs", "2", "--count", "1", "--verbose"]);
    let pid = pid_of(&dir, 1);
    run(&["group", "evict", &work.name, "w", "--all"]).quietly();
    worker.finish().says(0, &["ended, since it was taken back", "done 1, retried 0"]);
    assert!(!lives(pid));
}

#[test]
fn a_shell_that_a_signal_ends_leaves_its_message_to_no_other_while_its_job_runs() {
    for work in Work::both("end-shell", "job\n") {
        let dir = TempDir::new(&work.name);
        let job = script(&dir, &finishes(&dir, "kill -KILL $PPID"));
        let command = format!("[ $SLIPRING_ATTEMPTS = 3 ] || {}; echo $?", job.display());
        let more = ["--retry-delay", "0.01", "--count", "1", "--verbose"];
        work.run(&command, &more).says(0, &["killed by SIGKILL; again", "done 1, retried 2"]);
        assert!(!dir.join("overlaps").exists());
    }
}

#[test]
fn a_stop_of_a_whole_service_waits_for_what_its_commands_have_started() {
    for work in Work::both("end-service", "job\n") {
        let dir = TempDir::new(&work.name);
        // Longer than a command has that is told to end by its worker.
        let job = script(&dir, &finishes(&dir, ":").replace("sleep 1;", "sleep 6;"));
        let worker = work.start(&format!("{}; echo $?", job.display()), &[]);
        let pid = pid_of(&dir, 1);
        let shell = *children_of(worker.pid()).last().unwrap();
        // As a supervisor does that signals all of a service.
        worker.signal(Signal::SIGTERM);
        killpg(Pid::from_raw(shell as i32), Signal::SIGTERM).unwrap();
        let ran = worker.finish().says(143, &["unfinished 1,"]);
        let at = |word| ran.err.find(word).unwrap();
        assert!(at("finished\n") < at("killed by SIGTERM; not counted"), "{}", ran.err);
        assert!(!lives(pid));
        assert_eq!(
            work.run("echo $SLIPRING_ATTEMPTS", &["--count", "1"]).with_totals_only(),
            "1\n"
        );
    }
}

#[test]
fn what_a_command_leaves_that_ends_by_itself_lives_on() {
    for work in Work::both("end-daemon", "job\n") {
        let dir = TempDir::new(&work.name);
        // Not the one that the command waits for.
        let job =
            script(&dir, &format!("exec >/dev/null 2>&1; {}; sleep 60", until(&dir.join("go"))));
        let command = format!(
            "{} & echo $! > {}/$SLIPRING_ATTEMPTS; [ $SLIPRING_ATTEMPTS = 2 ]",
            job.display(),
            dir.display()
        );
        let more = ["--retry-delay", "0.01", "--count", "1", "--job-timeout", "60", "--verbose"];
        work.run(&command, &more).says(0, &["exit code 1; again", "done 1, retried 1"]);
        for attempt in [1, 2] {
            let pid = pid_of(&dir, attempt);
            assert!(lives(pid));
            signal(pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn forward_waits_for_what_a_signal_has_left_of_a_command() {
    let (from, to) = (TempName::new("end-forward"), TempName::new("end-forward-to"));
    run(&["create", &from, "--group", "g"]).quietly();
    run(&["create", &to, "--group", "g", "--sources", "4"]).quietly();
    feed(&["send", &from], b"job\n").quietly();
    let dir = TempDir::new(&from);
    let job = script(&dir, &finishes(&dir, "exec >/dev/null 2>&1; kill -KILL $PPID"));
    let command = format!("{}; echo $?", job.display());
    let forward = ["forward", &from, "--group", "g", "--to", &to, "--exec", &command];
    run(&forward).says(1, &["killed by SIGKILL; the message stays"]);
    assert!(!lives(pid_of(&dir, 1)));
}
