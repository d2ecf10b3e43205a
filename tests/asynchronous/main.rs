//! Futures, streams and readiness handles, on several executors, while processes are killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod cancel;
#[path = "../common/mod.rs"]
mod common;
mod executors;
mod fork;
mod messages;
mod processes;
mod readiness;
mod workers;

use common::child::role;

/// Not a test: what the processes that the tests start do.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    match role[0].as_str() {
        "hold" => processes::hold(&role[1]),
        "idle" => processes::idle(&role[1]),
        "without-waitv" => processes::without_waitv(&role[1]),
        "without-thread" => processes::without_thread(&role[1]),
        unknown => panic!("no role {unknown}"),
    }
}
