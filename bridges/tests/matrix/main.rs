//! Kills and other faults of the bridge, the broker, the link between them and the local processes, one scenario after the other,
//! against a private RabbitMQ. Each scenario sends numbered messages
//!
//!     producer -> local queue A -> slipring-bridge out -> RabbitMQ -> slipring-bridge in -> local queue B -> collector
//!
//! and compares what the broker held, and what B had, with what was sent.
//!
//!     cargo test --test matrix                       the short form
//!     cargo test --test matrix -- --long             more messages and faults, classic and quorum queues
//!     cargo test --test matrix -- kill-out --repeat 20
//!     cargo test --test matrix -- --mutants          each mutant of the bridge must be caught
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod collector;
#[path = "../common/mod.rs"]
mod common;
mod faults;
mod mutants;
mod pipeline;
mod roles;
mod scenarios;
mod supervisor;

use std::process::ExitCode;

use clap::Parser;

/// Faults of everything between two queues, and what they lose, repeat or reorder: nothing
#[derive(Debug, Parser)]
struct Options {
    /// Only scenarios whose name has this in it.
    filter: Vec<String>,
    /// More messages and faults, and each scenario with each kind of queue.
    #[arg(long)]
    long: bool,
    /// Each scenario that often.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Runs each mutant of the bridge against the scenario that must catch it.
    #[arg(long)]
    mutants: bool,
    #[arg(long)]
    list: bool,
    // Of the test runner; without effect here.
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<u32>,
    #[arg(long, hide = true)]
    exact: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|first| first == "role") {
        roles::play(&args[2..]);
        return ExitCode::SUCCESS;
    }
    common::judge::check_the_judge();
    let options = Options::parse();
    if options.list {
        scenarios::list(&options);
        return ExitCode::SUCCESS;
    }
    let good = if options.mutants { mutants::run() } else { scenarios::run(&options) };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
