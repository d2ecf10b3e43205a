//! What a benchmark found: for people, as JSON, and as a page.

mod html;
mod plot;

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::machine::Machine;
use super::placement::Ends;
use super::warnings::{Disturbance, Warning};
use super::{fanout, group, latency, throughput, wake};
use crate::bench::args::BenchArgs;
use crate::failure::{Failure, io_failed};
use crate::output::print;
use crate::table::Table;
pub(crate) use plot::{Axis, Plot, Scale, Series, percentiles};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) bench: &'static str,
    /// One line: what was measured.
    #[serde(skip)]
    pub(crate) summary: String,
    /// What the figures depend on, by name.
    pub(crate) settings: Settings,
    pub(crate) ends: Ends,
    pub(crate) disturbance: Disturbance,
    pub(crate) warnings: Vec<Warning>,
    #[serde(skip)]
    pub(crate) table: Table,
    /// Lines below the table.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
    pub(crate) results: Results,
    #[serde(skip)]
    pub(crate) plots: Vec<Plot>,
}

/// What all measurements of a benchmark have in common.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Settings {
    /// Of a run.
    pub(crate) seconds: f64,
    pub(crate) runs: u64,
    /// Bytes.
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

/// An object per measurement.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Results {
    Latency(Vec<latency::Found>),
    Throughput(Vec<throughput::Found>),
    Fanout(Vec<fanout::Found>),
    Group(Vec<group::Found>),
    Wake(Vec<wake::Found>),
}

/// One benchmark with its machine, as JSON.
#[derive(Serialize)]
struct Single<'a> {
    machine: &'a Machine,
    #[serde(flatten)]
    report: &'a Report,
}

/// Several, as JSON.
#[derive(Serialize)]
struct Several<'a> {
    bench: &'static str,
    machine: &'a Machine,
    /// What spoils all of them; each has its own besides.
    warnings: &'a [Warning],
    benchmarks: &'a [Report],
}

impl Report {
    /// What it prints below the machine.
    fn text(&self) -> String {
        let Report { bench, summary, ends, .. } = self;
        let mut text = format!("{bench}: {summary}\nends: {ends}\n");
        text.extend(self.warnings.iter().map(warned));
        text += &format!("\n{}", self.table.text());
        text.extend(self.notes.iter().map(|note| format!("{note}\n")));
        text
    }
}

fn warned(warning: &Warning) -> String {
    format!("warning: {}\n", warning.text)
}

/// One report, which has the machine's warnings as well; or several.
pub(crate) fn publish(
    reports: &mut [Report],
    machine: &Machine,
    args: &BenchArgs,
) -> Result<(), Failure> {
    let mut warnings = machine.warnings();
    let mut bench = "all";
    if let [report] = reports {
        report.warnings.splice(0..0, warnings.drain(..));
        bench = report.bench;
    }
    if let Some(path) = &args.html {
        let page = html::page(bench, &warnings, reports, machine);
        fs::write(path, page).map_err(|fault| unwritable(path, &fault))?;
    }
    match reports {
        [report] if args.json => print_json(&Single { machine, report }),
        _ if args.json => {
            print_json(&Several { bench, machine, warnings: &warnings, benchmarks: reports })
        }
        _ => {
            let mut text = machine.text() + "\n";
            text.extend(warnings.iter().map(warned));
            text.extend(reports.iter().map(|report| format!("\n{}", report.text())));
            print(&text)
        }
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|fault| Failure::Failed(format!("cannot make JSON of the figures: {fault}")))?;
    print(&format!("{text}\n"))
}

/// Fails if the report cannot be written later, before anything was measured.
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

/// Bytes per second, for a cell.
pub(crate) fn bytes_per_second(rate: f64, payload: u64) -> String {
    crate::table::bytes(rate * payload as f64)
}
