//! Owners that a user namespace does not map.

#![allow(unsafe_code)]

use std::fs;

use nix::sched::{CloneFlags, unshare};
use slipring::{OpenError, OpenOptions, Queue, Start};

use crate::common::TempName;
use crate::common::fork::{first_failure, fork};

/// The exit status of a child that could not get a namespace.
const REFUSED: i32 = 99;

/// Runs `child` in a user namespace of its own, which maps no user, as user `uid` of the outside. Reports it if the
/// kernel has no namespaces.
fn in_user_namespace(uid: u32, child: impl FnOnce() -> i32) -> Option<i32> {
    let status = fork(|| {
        let user = nix::unistd::Uid::from_raw(uid);
        if user != nix::unistd::geteuid() && nix::unistd::setresuid(user, user, user).is_err() {
            return REFUSED;
        }
        if unshare(CloneFlags::CLONE_NEWUSER).is_err() { REFUSED } else { child() }
    });
    if status == REFUSED {
        println!("skipped: this process may not change its user, or have a user namespace");
        return None;
    }
    Some(status)
}

fn make(what: &str) -> TempName {
    let name = TempName::new(what);
    let queue = Queue::builder(&name).group("g").permissions(0o666).create().unwrap();
    queue.producer().unwrap().send("one").unwrap();
    name
}

fn is_unknown<T>(opened: Result<T, OpenError>) -> bool {
    matches!(opened, Err(OpenError::UnknownOwner { .. }))
}

#[test]
fn who_is_unknown_is_not_taken_for_this_user() {
    let name = make("unmapped");
    let outcome = in_user_namespace(12345, || {
        // Both this process and the queue's owner appear as the overflow uid.
        let me = nix::unistd::geteuid().as_raw();
        first_failure(&[
            is_unknown(Queue::open(&name)),
            // Allowing that uid would allow every user.
            is_unknown(OpenOptions::new().allow_owner(me).open(&name)),
            is_unknown(OpenOptions::new().snapshot(&name)),
            is_unknown(OpenOptions::new().observe(&name, Start::Oldest)),
        ])
    });
    assert!(outcome.is_none_or(|status| status == 0), "{outcome:?}");
}

#[test]
fn one_s_own_queues_are_one_s_own_in_a_namespace_that_knows_nobody() {
    let name = make("own-unmapped");
    let me = nix::unistd::geteuid().as_raw();
    let outcome = in_user_namespace(me, || {
        let Ok(queue) = Queue::open(&name) else { return 1 };
        let received = queue.consumer("g").map(|mut consumer| match consumer.recv() {
            Ok(message) => &*message == b"one",
            Err(_) => false,
        });
        first_failure(&[true, received.unwrap_or(false)])
    });
    assert!(outcome.is_none_or(|status| status == 0), "{outcome:?}");
}

#[test]
fn root_of_a_namespace_is_not_root_over_who_is_unknown_there() {
    let name = make("namespace-root");
    let outcome = in_user_namespace(12345, || {
        // SAFETY: takes numbers only. A change of the user had hidden this process's files in /proc from it.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
        let mapped = fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/uid_map", "0 12345 1"));
        let root = nix::unistd::geteuid().is_root();
        first_failure(&[mapped.is_ok() && root, is_unknown(OpenOptions::new().snapshot(&name))])
    });
    assert!(outcome.is_none_or(|status| status == 0), "{outcome:?}");
}
