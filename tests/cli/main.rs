//! The `slipring` program, as a user at a shell meets it: its failures first.
//!
//! The process that is killed on purpose is in kill.rs; `tests/kill_resume.sh` does the same by hand,
//! longer.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod blocked;
mod bridge;
mod close;
mod dead;
mod demo;
mod exec;
mod failures;
mod forward;
mod groups;
mod in_flight;
mod json;
mod kill;
mod limits;
mod memory;
mod metrics;
mod operator;
mod options;
mod policy;
mod readme;
mod receive;
mod removal;
mod send;
mod show;
mod sources;
mod stats;
mod streams;
mod tool;
mod top;
mod turns;
