//! The `slipring-bridge` program: messages between queues of this machine and message brokers.

#![cfg_attr(not(feature = "rabbitmq"), allow(dead_code, reason = "a broker needs it"))]

// What can be asked for.
mod bridge;
#[cfg(feature = "tls")]
mod certificates;
mod check;
mod dry_run;
mod options;
mod run;
mod secret;
mod values;

// The engine, which knows no broker.
mod engine;
mod envelope;
mod fault;
mod identity;
mod mutants;
mod sink;
mod source;

// Brokers.
mod file;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(not(feature = "rabbitmq"))]
#[path = "without_rabbitmq.rs"]
mod rabbitmq;

// What is told.
mod failure;
mod listener;
mod metrics;
mod reporter;
mod status;
mod stop;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use check::How;
use failure::Failure;
use options::{InOptions, OutOptions};
use run::{Bridge, Plan};
use stop::Stop;

const EXIT_CODES: &str = "Exit codes: 0 done: the queue is closed and all is confirmed, or --count is reached; 1 failed, 2 wrong \
usage, 3 timed out (--timeout), 4 no such queue or group, 5 refused by the broker (credentials, permissions), 6 a message can \
never be taken; after Ctrl-C or SIGTERM 130 or 143, as in a shell.";

/// Bridges between queues of this machine and message brokers.
#[derive(Debug, Parser)]
#[command(name = "slipring-bridge", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Open queues of the user with this number as well; a process that can write a queue can garble its messages.
    /// May be given repeatedly
    #[arg(long, value_name = "UID", global = true)]
    allow_uid: Vec<u32>,
    /// Print notes and errors as JSON objects, one a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send what a group of a queue receives to a broker
    #[command(after_help = EXIT_CODES)]
    Out {
        #[command(flatten)]
        options: Box<OutOptions>,
        #[command(flatten)]
        listen: ListenArg,
    },
    /// Receive from a broker, and send to a queue
    #[command(after_help = EXIT_CODES)]
    In {
        #[command(flatten)]
        options: Box<InOptions>,
        #[command(flatten)]
        listen: ListenArg,
    },
    /// Run the bridges that a file describes, all at once; the first that fails ends all
    #[command(after_help = EXIT_CODES)]
    Run {
        /// The file: TOML, with an [[out]] or [[in]] for each bridge, whose keys are the options with underscores
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Check whether the bridges that a file describes could work; takes no message, and makes nothing
    #[command(after_help = EXIT_CODES)]
    Check {
        /// The file, as for `run`
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Connect to no broker
        #[arg(long)]
        offline: bool,
    },
}

#[derive(Args, Debug)]
struct ListenArg {
    /// Tell figures over HTTP here, under /metrics, in Prometheus' text format
    #[arg(long, value_name = "ADDR:PORT", env = "SLIPRING_BRIDGE_LISTEN")]
    listen: Option<SocketAddr>,
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if let Command::Out { options, .. } = &cli.command
        && options.dry_run
    {
        return dry_run::run(options, &cli.allow_uid);
    }
    let (stop, allowed) = (Stop::on_signals()?, &cli.allow_uid);
    match &cli.command {
        Command::Out { options, listen } => {
            run::run([Bridge::Out(options)].into_iter(), listen.listen, allowed, &stop)
        }
        Command::In { options, listen } => {
            run::run([Bridge::In(options)].into_iter(), listen.listen, allowed, &stop)
        }
        Command::Run { file } => {
            let plan = Plan::read(file)?;
            run::run(plan.bridges(), plan.metrics.listen, allowed, &stop)
        }
        Command::Check { file, offline } => {
            let how = How { offline: *offline, json: cli.json, allowed };
            check::run(file, how, &stop)
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.json {
        failure::use_json();
    }
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
