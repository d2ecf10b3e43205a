//! slipring and its peers, side by side.
//!
//! Every transport does the same work in short slices, in rotation. Each slice is divided by the reference slice of the
//! same round, and the quantiles of these ratios are the result. `docs/performance.md` in the main folder explains why,
//! and has the results.
//!
//! - **Placements.** A bare round trip before and after the rows of each work shows how far apart the two processors
//!   are: near below 90 ns, far up to 250 ns, remote above that. All slices in between belong to that placement. If the
//!   two round trips disagree, these slices are discarded. Each placement has its own tables and verdicts.
//! - **Limits.** No single bare hand-off is the fastest everywhere. So there are several, and rows are divided by the
//!   one with the lowest median in their placement. The same holds for the ring without crash safety. If a queue is
//!   faster than its limit, the limit is wrong, and its target is not judged.
//! - **Verdicts** need twelve rounds in a placement, and both quartiles of the ratios on one side of the bound.
//! - **Batches and single messages are separate.** In a work, either all rows use batches of 32, or none does.
//! - **One thread, warm lines**: half a ring is sent, then received. Slices and `send_batch` send 32 messages that
//!   exist already, like rtrb's `push_entire_slice`. Messages written in place are compared with rtrb's chunks, which
//!   are written in place as well.
//! - **Latency** is from before a message is sent until a polling consumer has it, at a fixed rate. The same loop with
//!   one word in a cache line instead of a queue shows the machine's part of it. A loop that only waits for the clock
//!   shows stolen time.
//!
//! - [`transport`]: what a peer implements; [`peers`]: the peers, one file each
//! - [`works`]: what is measured; [`pair`], [`alone`], [`two_processes`]: in which threads and processes
//! - [`rows`]: all rows of the table; [`rotation`]: runs them; [`placement`]: how far apart the two ends are
//! - [`stats`], [`targets`], [`table`], [`page`], [`report`], [`plots`]: reports of the figures

mod alone;
mod cpus;
mod leftovers;
mod machine;
mod message;
mod page;
mod pair;
mod peers;
mod placement;
mod plots;
mod report;
mod rotation;
mod rows;
mod stats;
mod table;
mod targets;
mod ticks;
mod transport;
mod two_processes;
mod works;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::machine::Machine;
use crate::page::Block;
use crate::rotation::{Extent, Measured};
use crate::rows::{Class, Row};
use crate::two_processes::OtherEnd;

/// Measures slipring and its peers side by side, and reports which targets are met.
#[derive(Parser)]
struct Cli {
    /// How long to measure, in minutes
    #[arg(long, default_value_t = 6.0, value_parser = minutes, conflicts_with = "quick")]
    minutes: f64,
    /// Measure for a minute in short slices, for a preview; do not publish these figures
    #[arg(long)]
    quick: bool,
    /// Run one very short slice of each row, to check that all messages arrive; measures nothing
    #[arg(long)]
    smoke: bool,
    /// Only rows whose name or work contains this, and the rows that they are divided by
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Write all figures to this file
    #[arg(long, value_name = "FILE", conflicts_with = "smoke")]
    json: Option<PathBuf>,
    /// Write the report with plots as an HTML page
    #[arg(long, value_name = "FILE", conflicts_with = "smoke")]
    html: Option<PathBuf>,
    /// Write a plot of each work with peers into this folder
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
    let mut machine = Machine::read();
    let first: Vec<Block> = machine.lines().into_iter().map(Block::Text).collect();
    print!("{}", page::markdown(&first));
    let (rows, rounds) = rotation::measure(chosen(cli.only.as_deref()), cli.extent());
    leftovers::sweep();
    if cli.smoke {
        print_smoke(&rows);
        return Ok(());
    }
    machine.finish(rounds.moved as f64 / rounds.placed.max(1) as f64);
    let (targets, lost) = (targets::judge(&rows), targets::lost(&rows));
    let report = table::page(&machine, &rounds, &rows, &targets, &lost);
    print!("{}", page::markdown(&report));
    if let Some(path) = &cli.json {
        report::write(path, &machine, &rounds, &rows, &targets, &lost)?;
    }
    let plots = plots::draw(&rows)?;
    if let Some(folder) = &cli.plots {
        plots::write(folder, &plots)?;
    }
    if let Some(path) = &cli.html {
        let pictures = plots.into_iter().map(|(_, svg)| Block::Picture(svg));
        let all: Vec<Block> = first.into_iter().chain(report).chain(pictures).collect();
        fs::write(path, page::html("slipring and its peers", &all))?;
    }
    Ok(())
}

impl Cli {
    fn extent(&self) -> Extent {
        let minutes = if self.quick { 0.75 } else { self.minutes };
        Extent {
            time: Duration::from_secs_f64(60.0 * minutes),
            slice: Duration::from_millis(if self.quick { 2 } else { 6 }),
            smoke: self.smoke,
        }
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|it| (0.1..=1000.0).contains(it));
    minutes.ok_or_else(|| "expected minutes, 0.1 to 1000".to_owned())
}

/// Rows whose name or work contains this, and the rows that they are divided by: the first row of the work, and its
/// limits.
fn chosen(only: Option<&str>) -> Vec<Row> {
    let mut rows = rows::all();
    let Some(only) = only else { return rows };
    let wanted = |row: &Row| row.name.contains(only) || row.work.title().contains(only);
    let works: Vec<_> = rows.iter().filter(|row| wanted(row)).map(|row| row.work).collect();
    let mut seen = Vec::new();
    rows.retain(|row| {
        let first = !seen.contains(&row.work);
        seen.push(row.work);
        let unit = works.contains(&row.work) && (first || row.class == Class::Limit);
        unit || wanted(row)
    });
    rows
}

fn print_smoke(rows: &[Measured]) {
    for measured in rows {
        let outcome = match measured.not_run() {
            None => "every message arrived as it was sent",
            Some(reason) => &format!("not run: {reason}"),
        };
        println!("{}, {}: {outcome}", measured.row.work.title(), measured.row.name);
    }
    for (peer, reason) in rows::absent() {
        println!("{peer}: not run: {reason}");
    }
}
