//! The report of a benchmark: as text, as JSON, and as an HTML page.

mod html;
mod plot;
mod results;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::{BenchArgs, word};
use super::machine::Machine;
use super::runner::{Conditions, Measured, wake_word};
use super::warnings::{self, Warning};
use crate::args::WaitArg;
use crate::failure::{Failure, io_failed};
use crate::json;
use crate::output::print;
use crate::table::{Table, count};
pub(crate) use plot::{Axis, Plot, RATE, Scale, Series, delay_percentiles, throughput_over_time};
pub(crate) use results::{Fanout, Group, Latency, Results, Throughput, Wake};

/// Explains a table of rates.
pub(crate) const RATES_NOTE: &str =
    "Rates and shares are medians of the runs; MIN and MAX are of the rate to their left.";

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) bench: &'static str,
    /// What was measured, in one line.
    #[serde(skip)]
    pub(crate) summary: String,
    pub(crate) settings: Settings,
    #[serde(flatten)]
    pub(crate) conditions: Conditions,
    #[serde(skip)]
    pub(crate) figures: Figures,
    /// Lines below the figures.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
    pub(crate) results: Results,
    #[serde(skip)]
    pub(crate) plots: Vec<Plot>,
}

/// The table of a report.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) headings: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The settings that the figures depend on.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Settings {
    /// Of each run.
    pub(crate) seconds: f64,
    pub(crate) runs: u64,
    /// Bytes of a message.
    pub(crate) payload: u64,
    pub(crate) capacity: u64,
    pub(crate) wait: String,
    /// The processors that processes were pinned to, the producer's first.
    pub(crate) pin: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wake: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<u64>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pause: Option<f64>,
}

impl Settings {
    pub(crate) fn new(
        common: &BenchArgs,
        time: Duration,
        wait: WaitArg,
        measured: &Measured,
    ) -> Settings {
        let first = measured.runs.first().and_then(|runs| runs.outcomes.first());
        Settings {
            seconds: time.as_secs_f64(),
            runs: common.runs(),
            payload: common.payload,
            capacity: common.ring(),
            wait: word(wait),
            pin: measured.pins.clone(),
            wake: first.map(|outcome| wake_word(outcome.wake)),
            ..Settings::default()
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        let Settings { seconds, runs, payload, capacity, wait, wake, .. } = self;
        let wake = wake.map_or(String::new(), |wake| format!(", wake {wake}"));
        let runs = count(*runs, "run", "runs");
        format!(
            "{payload} bytes a message, capacity {capacity}, {runs} of {seconds} s each, wait {wait}{wake}"
        )
    }
}

/// The JSON of one benchmark.
#[derive(Serialize)]
struct Single<'a> {
    machine: &'a Machine,
    #[serde(flatten)]
    report: &'a Report,
}

/// The JSON of several benchmarks.
#[derive(Serialize)]
struct Several<'a> {
    bench: &'static str,
    machine: &'a Machine,
    /// Warnings that concern all benchmarks; each has its own besides.
    warnings: &'a [Warning],
    benchmarks: &'a [Report],
}

impl Report {
    /// What is printed below the machine.
    fn text(&self) -> String {
        let Report { bench, summary, conditions, figures, .. } = self;
        let mut text = format!("{bench}: {summary}\nplacement: {}\n", conditions.placement);
        text.extend(conditions.warnings.iter().map(warning_line));
        let mut table = Table::new(&figures.headings);
        figures.rows.iter().for_each(|row| table.row(row.clone()));
        text += &format!("\n{}", table.text());
        text.extend(self.notes.iter().map(|note| format!("{note}\n")));
        text
    }
}

fn warning_line(warning: &Warning) -> String {
    format!("warning: {}\n", warning.text)
}

/// Prints the reports as text or JSON, and writes the HTML page. A single report has the machine's warnings among its
/// own.
pub(crate) fn publish(
    reports: &mut [Report],
    machine: &Machine,
    args: &BenchArgs,
) -> Result<(), Failure> {
    let mut warnings = warnings::of_machine(machine);
    let mut bench = "all";
    if let [report] = reports {
        report.conditions.warnings.splice(0..0, warnings.drain(..));
        bench = report.bench;
    }
    if let Some(path) = &args.html {
        let page = html::page(bench, &warnings, reports, machine)?;
        fs::write(path, page).map_err(|fault| unwritable(path, &fault))?;
    }
    match reports {
        [report] if args.json => print(&json::line(&Single { machine, report })),
        _ if args.json => print(&json::line(&Several {
            bench,
            machine,
            warnings: &warnings,
            benchmarks: reports,
        })),
        _ => {
            let mut text = machine.text() + "\n";
            text.extend(warnings.iter().map(warning_line));
            text.extend(reports.iter().map(|report| format!("\n{}", report.text())));
            print(&text)
        }
    }
}

/// Fails if the HTML page could not be written, before anything is measured.
pub(crate) fn check_writable(path: &Path) -> Result<(), Failure> {
    let new = !path.exists();
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.map_err(|fault| unwritable(path, &fault))?;
    if new {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

fn unwritable(path: &Path, fault: &std::io::Error) -> Failure {
    io_failed(&format!("write the report {}", path.display()), fault)
        .hint("give --html a file in a directory that exists and can be written")
}
