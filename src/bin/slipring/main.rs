//! The `slipring` program: queues in shared memory, from the command line.

// What can be asked for, and what does it.
mod args;
mod bench;
mod bridge;
mod cmd;
mod demo;
mod metrics;
mod top;

// Queues: how they are opened, joined and read, and what is said of them.
mod dead_letters;
mod group_table;
mod producer_role;
mod queue;
mod reading;
mod room;
mod sent_before;
mod temporary;
mod watched;

// What is printed, and in which form.
mod failure;
mod figures;
mod format;
mod json;
mod table;
mod totals;

// Standard streams and files.
mod file_size;
mod inherited;
mod input;
mod output;
mod partial_write;
mod streams;

// Processes, signals and time.
mod children;
mod histogram;
mod in_flight;
mod pace;
mod stop;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use bench::BenchCommand;
use demo::DemoArgs;
use failure::Failure;

/// A lock-free message queue in shared memory.
///
/// One producer sends, any number of groups receive. Every group gets every message, and a message stays
/// until each group has acked it. Observers (`tail`) watch without a trace.
#[derive(Debug, Parser)]
#[command(name = "slipring", version, after_help = args::EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Open queues of the user with this number as well; a process that can write a queue can garble its
    /// messages.
    /// May be given repeatedly
    #[arg(long, value_name = "UID", global = true)]
    allow_uid: Vec<u32>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Queue(args::Command),
    /// Carry messages to and from RabbitMQ; needs the program slipring-bridge
    #[command(disable_help_flag = true)]
    Bridge {
        /// Its arguments: `slipring bridge --help` lists them
        #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Demonstrate a queue: a producer, consumers of two groups and an observer, each a process of its own
    Demo(DemoArgs),
    /// Benchmark this machine: queues between processes, every message checked
    #[command(subcommand, after_long_help = bench::MEANING)]
    Bench(BenchCommand),
    /// One process of a benchmark
    #[command(hide = true)]
    BenchRole {
        #[arg(value_parser = children::role::<bench::Role>)]
        role: bench::Role,
    },
    /// One process of the demo
    #[command(hide = true)]
    DemoRole {
        #[arg(value_parser = children::role::<demo::Role>)]
        role: demo::Role,
    },
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Command::Queue(command) => cmd::run(command),
            Command::Bridge { args } => bridge::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::DemoRole { role } => demo::run_role(&role),
            Command::Bench(command) => bench::run(&command),
            Command::BenchRole { role } => bench::run_role(&role),
        }
    }
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(fault) => return failure::not_parsed(&fault),
    };
    file_size::survive_limit();
    queue::allow(cli.allow_uid);
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
