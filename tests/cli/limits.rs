//! What the system does not allow: sizes of files.

use std::fs;
use std::process::Command;

use super::common::TempName;
use super::tool::{Ran, feed, numbers, run};

/// Runs a line of the shell with files of at most so many blocks of 1024 bytes; `$S` is the program.
fn limited(blocks: u64, line: &str) -> Ran {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit -f {blocks}; {line}")]);
    shell.env("S", env!("CARGO_BIN_EXE_slipring")).stdin(std::process::Stdio::null());
    shell.output().unwrap().into()
}

/// Objects of creations that are under way, or were left behind, of this size.
fn temporaries(size: u64) -> usize {
    let all = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap());
    let ours = all.filter(|e| e.file_name().to_string_lossy().starts_with("slipring-new."));
    ours.filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() == size)).count()
}

#[test]
fn a_queue_larger_than_a_file_may_be_is_refused_with_both_sizes() {
    let name = TempName::new("fsize");
    let before = temporaries(0);
    let ran = limited(64, &format!("$S create {} --group g", &*name));
    ran.says(1, &["RLIMIT_FSIZE", "ulimit -f", "allows this process 65536", "a file of 5"]);
    assert!(!name.path().exists());
    assert!(temporaries(0) <= before, "a temporary was left");
    // Smaller ones can be made.
    limited(64, &format!("$S create {} --capacity 64", &*name)).quietly();
}

#[test]
fn a_message_larger_than_a_file_may_be_is_worked_on_all_the_same() {
    let name = TempName::new("fsize-exec");
    let payload = ["--payload", "500000", "--capacity", "4", "--group", "g"];
    run(&[&["create", &name][..], &payload].concat()).quietly();
    feed(&["send", &name], &[b"x".repeat(400_000), b"\nsmall".to_vec()].concat()).quietly();
    // The command sees the limit that it inherits, and no handler or ignored signal of the worker's.
    let command = "wc -c; grep -E SigCgt\\|SigIgn /proc/self/status";
    let line = format!("$S recv {} --group g --count 2 --exec '{command}'", &*name);
    let ran = limited(64, &line);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let out: Vec<_> = ran.out.lines().collect();
    assert_eq!((out[0], out[3]), ("400000", "5"));
    for line in [1, 2].map(|at| out[at]) {
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(mask >> (libc::SIGXFSZ - 1) & 1, 0, "{line}");
    }
}

#[test]
fn a_command_may_leave_a_large_message_unread() {
    let name = TempName::new("fsize-unread");
    let payload = ["--payload", "500000", "--capacity", "4", "--group", "g"];
    run(&[&["create", &name][..], &payload].concat()).quietly();
    feed(&["send", &name], &b"x".repeat(400_000)).quietly();
    limited(64, &format!("$S recv {} --group g --count 1 --exec true", &*name)).with_totals_only();
}

#[test]
fn a_letter_that_needs_too_large_a_queue_stays_a_message() {
    let name = TempName::new("fsize-letter");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--shared-group", "g"]).quietly();
    feed(&["send", &name], b"bad").quietly();
    let worker = format!("$S recv {} --group g --shared --count 1 --exec 'exit 65'", &*name);
    let ran = limited(64, &worker)
        .says(1, &["dead-letter queue", "RLIMIT_FSIZE", "allows this process 65536"]);
    assert!(!ran.err.contains("slipring info"), "there is no such queue: {}", ran.err);
    assert!(!letters.path().exists());
    let worker = ["recv", &name, "--group", "g", "--shared", "--count", "1", "--exec", "exit 65"];
    run(&worker);
    assert_eq!(run(&["dead", "show", &name]).says(0, &["message 0"]).out, "bad");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_its_messages_stay() {
    let name = TempName::new("fsize-out");
    run(&["create", &name, "--group", "g"]).quietly();
    feed(&["send", &name], numbers(0..2000).as_bytes()).quietly();
    let file = std::env::temp_dir().join(format!("slipring-{}", &*name));
    let line = format!("$S recv {} --group g --count 2000 > {}", &*name, file.display());
    let ran = limited(1, &line);
    fs::remove_file(&file).unwrap();
    ran.says(1, &["File too large", "RLIMIT_FSIZE"]);
    let out = run(&["recv", &name, "--group", "g", "--count", "1"]);
    assert!(out.out.trim().parse::<u64>().unwrap() < 1024, "{out:?}");
}
