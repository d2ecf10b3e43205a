//! The surroundings of a process: limits, users, namespaces.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;
mod file_size;
mod users;
