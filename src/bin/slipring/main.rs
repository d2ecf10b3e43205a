//! The `slipring` program: queues in shared memory, from the command line.

mod args;
mod bench;
mod cmd;
mod crew;
mod demo;
mod failure;
mod file_size;
mod format;
mod handover;
mod inherited;
mod input;
mod mend;
mod output;
mod room;
mod steady;
mod stop;
mod streams;
mod table;
mod temporary;
mod totals;
mod trust;
mod turn;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    file_size::survive_limit();
    trust::allow(cli.allow_uid);
    match cmd::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
