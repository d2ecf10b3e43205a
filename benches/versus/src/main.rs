//! slipring and its peers, side by side.
//!
//! Every transport does the same work in short slices, in rotation; each slice is divided by the reference
//! slice of its own round, and the quantiles of these ratios are the result. `docs/performance.md` in the
//! main folder tells why, and has the results.
//!
//! - [`transport`]: what a peer has to bring; [`peers`]: the peers, a file each
//! - [`works`]: what is measured; [`pair`], [`alone`], [`two_processes`]: who runs it, and where
//! - [`rows`]: all rows of the table; [`rotation`]: runs them
//! - [`stats`], [`targets`], [`table`], [`report`], [`plots`]: what becomes of the figures

mod alone;
mod cpus;
mod leftovers;
mod machine;
mod message;
mod pair;
mod peers;
mod plots;
mod report;
mod rotation;
mod rows;
mod stats;
mod table;
mod targets;
mod transport;
mod two_processes;
mod works;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::machine::Machine;
use crate::rotation::{Extent, Measured};
use crate::rows::Row;
use crate::two_processes::OtherEnd;

/// Measures slipring and its peers side by side, and says which targets are met.
#[derive(Parser)]
struct Cli {
    /// Slices of each row in a run
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Runs; their median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// One very short slice of each row, to see that all messages arrive; measures nothing
    #[arg(long)]
    smoke: bool,
    /// Only rows whose name holds this, and those that they are measured by
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Writes all figures to this file
    #[arg(long, value_name = "FILE", conflicts_with = "smoke")]
    json: Option<PathBuf>,
    /// Writes a plot of each work with peers into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "smoke")]
    plots: Option<PathBuf>,
    #[command(flatten)]
    other_end: OtherEnd,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    cpus::choose();
    if two_processes::other_end(&cli.other_end) {
        return Ok(());
    }
    leftovers::sweep_at_any_end()?;
    let mut machine = Machine::look();
    machine.print();
    let extent = Extent { runs: cli.runs.into(), rounds: cli.rounds.into(), smoke: cli.smoke };
    let rows = rotation::measure(chosen(cli.only.as_deref()), extent);
    leftovers::sweep();
    if cli.smoke {
        print_smoke(&rows);
        return Ok(());
    }
    machine.look_at_load();
    let targets = targets::judge(&rows);
    table::print_rows(&rows, extent);
    table::print_targets(&targets);
    if let Some(path) = &cli.json {
        report::write(path, &machine, extent, &rows, &targets)?;
    }
    if let Some(folder) = &cli.plots {
        plots::write(folder, &rows)?;
    }
    Ok(())
}

fn chosen(only: Option<&str>) -> Vec<Row> {
    let mut rows = rows::all();
    let Some(only) = only else { return rows };
    let wanted = |row: &Row| row.name.contains(only);
    let works: Vec<_> = rows.iter().filter(|row| wanted(row)).map(|row| row.work).collect();
    let mut units = Vec::new();
    rows.retain(|row| {
        let unit = works.contains(&row.work) && !units.contains(&row.work);
        units.push(row.work);
        unit || wanted(row)
    });
    rows
}

fn print_smoke(rows: &[Measured]) {
    for measured in rows {
        let outcome = match &measured.outcome {
            Ok(_) => "every message arrived as it was sent",
            Err(reason) => &format!("not run: {}", reason.0),
        };
        println!("{}, {}: {outcome}", measured.row.work.title(), measured.row.name);
    }
    for (peer, reason) in rows::absent() {
        println!("{peer}: not run: {reason}");
    }
}
