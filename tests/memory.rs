//! Memory: too little of it, who may read and write it, and options for it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::TempName;
use common::child::{Child, role, tell};
use nix::sys::stat::{Mode, umask};
use slipring::{CreateError, OpenOptions, Queue, Start};

/// The objects that have a temporary name or `name`.
fn left_over(name: &str) -> Vec<String> {
    let all = std::fs::read_dir("/dev/shm").unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|object| object.ends_with(name)).collect()
}

#[test]
fn a_queue_larger_than_the_machine_is_refused_with_figures() {
    let name = TempName::new("huge");
    let shape = Queue::builder(&name).capacity(1 << 24).payload_size(1 << 24);
    let fault = shape.create().unwrap_err();
    let CreateError::NoRoom { need, machine, .. } = fault else { panic!("{fault}") };
    assert!(need > 1 << 48);
    let free = machine.bytes().expect("Linux tells what is available");
    assert!(free < need);
    assert!(fault.to_string().contains(&free.to_string()));
    assert!(fault.to_string().contains(&need.to_string()));
    assert_eq!(left_over(&name), [""; 0]);
}

const SMALL_FILE_SYSTEM: [&str; 5] =
    ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /dev/shm && exec \"$0\" \"$@\""];

/// Role, on a /dev/shm of one megabyte of its own.
fn fill_the_file_system() {
    let large = Queue::builder("large").capacity(4096).payload_size(1000);
    let fault = large.create().unwrap_err();
    let CreateError::NoRoom { need, file_system, .. } = fault else { panic!("{fault}") };
    assert!(need > 4 << 20);
    assert_eq!(file_system.bytes(), Some(1 << 20));
    let objects = || std::fs::read_dir("/dev/shm").unwrap().count();
    assert_eq!(objects(), 0);
    let half = |name| Queue::builder(name).capacity(512).payload_size(1000).create();
    half("first").unwrap();
    let fault = half("second").unwrap_err();
    assert!(matches!(fault, CreateError::NoRoom { .. }), "{fault}");
    assert_eq!(objects(), 1);
    // Allocated memory stays usable to its last byte, though nothing else is free.
    let free = 1024 - 513;
    std::fs::write("/dev/shm/rest", vec![1; free << 10]).unwrap_err();
    let queue = Queue::open("first").unwrap();
    let mut producer = queue.producer().unwrap();
    for _ in 0..600 {
        producer.send(&[1; 1000]).unwrap();
    }
    tell("done");
}

#[test]
fn a_full_file_system_is_an_error_and_leaves_nothing() {
    let probe = [&SMALL_FILE_SYSTEM[1..], &["true"]].concat();
    if !Command::new("unshare").args(probe).status().is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot mount in a namespace of its own");
        return;
    }
    let mut child = Child::start_under(&SMALL_FILE_SYSTEM, "fill");
    child.expect("done");
    child.finish();
}

/// What /proc/self/maps says about the mappings of `path`.
fn protections(path: &Path) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let of_path = maps.lines().filter(|line| line.ends_with(path.to_str().unwrap()));
    of_path.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
}

#[test]
fn an_observer_cannot_write() {
    let name = TempName::new("read-only");
    drop(Queue::builder(&name).capacity(2).create().unwrap());
    let observer = OpenOptions::new().observe(&name, Start::Oldest).unwrap();
    assert_eq!(protections(&name.path()), ["r--s"]);
    let queue = Queue::open(&name).unwrap();
    let second = queue.observer(Start::Oldest).unwrap();
    let mut all = protections(&name.path());
    all.sort();
    assert_eq!(all, ["r--s", "r--s", "rw-s"]);
    drop((queue, observer, second));
    assert_eq!(protections(&name.path()), [""; 0]);
}

/// Role: creates queues under umasks, which belong to the whole process.
fn create_under_umasks() {
    for mask in [0o000, 0o077, 0o022, 0o777] {
        umask(Mode::from_bits_truncate(mask));
        for (asked, bits) in [(None, 0o600), (Some(0o660), 0o660), (Some(0o644), 0o644)] {
            let name = TempName::new("umask");
            let shape = Queue::builder(&name).capacity(1);
            let shape = asked.map_or(shape.clone(), |mode| shape.permissions(mode));
            let created = shape.create();
            if mask == 0o777 && !nix::unistd::geteuid().is_root() {
                continue;
            }
            drop(created.unwrap());
            let mode = std::fs::metadata(name.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, bits, "umask {mask:o}");
        }
    }
    tell("done");
}

#[test]
fn permissions_are_exact_whatever_the_umask() {
    let mut child = Child::start("umasks");
    child.expect("done");
    child.finish();
}

#[test]
fn memory_is_brought_in_and_kept_in() {
    let name = TempName::new("prefault");
    let shape = Queue::builder(&name).capacity(64).payload_size(4000).prefault(true);
    let queue = shape.create().unwrap();
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let own = maps.split_once(name.path().to_str().unwrap()).unwrap().1;
    let figure = |key: &str| -> usize {
        let line = own.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(figure("Rss:"), figure("Size:"));
    assert!(figure("Rss:") * 1024 >= queue.snapshot().unwrap().bytes);
    // A child of a fork without handlers finds no mapping ("dc": do not copy).
    let flags = own.lines().find(|line| line.starts_with("VmFlags:")).unwrap();
    assert!(flags.split_whitespace().any(|flag| flag == "dc"), "{flags}");
    OpenOptions::new().prefault(true).open(&name).unwrap();
    match OpenOptions::new().mlock(true).open(&name) {
        Ok(_) => {}
        Err(fault) => assert!(fault.to_string().contains("RLIMIT_MEMLOCK"), "{fault}"),
    }
}

const WITHOUT_LOCKED_MEMORY: [&str; 3] = [
    "sh",
    "-c",
    "ulimit -l 0 && exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$0\" \"$@\"",
];

/// Role, as a user who may lock no memory.
fn lock_in_vain() {
    let name = TempName::new("mlock");
    let fault = Queue::builder(&name).mlock(true).create().unwrap_err();
    assert!(fault.to_string().contains("RLIMIT_MEMLOCK, ulimit -l"), "{fault}");
    assert_eq!(left_over(&name), [""; 0]);
    drop(Queue::builder(&name).create().unwrap());
    assert!(OpenOptions::new().mlock(true).open(&name).is_err());
    tell("done");
}

#[test]
fn memory_that_may_not_be_locked_is_an_error_that_says_what_to_do() {
    let own = std::env::current_exe().unwrap();
    let probe = [&WITHOUT_LOCKED_MEMORY[1..], &[own.to_str().unwrap(), "--list"]].concat();
    let probe = Command::new("sh").args(probe).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: cannot become a user without privileges (setpriv(1))");
        return;
    }
    let mut child = Child::start_under(&WITHOUT_LOCKED_MEMORY, "lock");
    child.expect("done");
    child.finish();
}

#[test]
fn roles() {
    match role().as_ref().map(|role| role[0].as_str()) {
        None => {}
        Some("fill") => fill_the_file_system(),
        Some("umasks") => create_under_umasks(),
        Some("lock") => lock_in_vain(),
        Some(unknown) => panic!("no role {unknown}"),
    }
}
