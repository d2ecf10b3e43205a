//! All figures as JSON, for programs.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::message::{CAPACITY, Msg};
use crate::rotation::{Extent, Measured, by_round, unit};
use crate::rows::{Class, Work, absent};
use crate::stats::Summary;
use crate::targets::Judged;

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    payload_bytes: usize,
    capacity: usize,
    runs: usize,
    rounds: usize,
    targets: &'a [Judged],
    rows: Vec<RowReport<'a>>,
    /// Peers that the program was built without, and why.
    absent: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct RowReport<'a> {
    work: Work,
    name: &'a str,
    class: Class,
    step: &'static str,
    ns_per_step: Option<Summary>,
    /// In slices of the work's first row of the same round.
    ratio: Option<Summary>,
    /// Every slice: for each run, for each round.
    slices_ns: Option<&'a Vec<Vec<f64>>>,
    not_run: Option<&'a str>,
}

pub(crate) fn write(
    path: &Path,
    machine: &Machine,
    extent: Extent,
    rows: &[Measured],
    targets: &[Judged],
) -> Result<(), Box<dyn Error>> {
    let row = |it| row_report(rows, it);
    let report = Report {
        machine,
        payload_bytes: size_of::<Msg>(),
        capacity: CAPACITY,
        runs: extent.runs,
        rounds: extent.rounds,
        targets,
        rows: rows.iter().map(row).collect(),
        absent: absent(),
    };
    fs::write(path, serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

fn row_report<'a>(rows: &[Measured], measured: &'a Measured) -> RowReport<'a> {
    let Measured { row, outcome, .. } = measured;
    let unit = unit(rows, row.work);
    RowReport {
        work: row.work,
        name: row.name,
        class: row.class,
        step: row.work.step(),
        ns_per_step: measured.ns(),
        ratio: unit.and_then(|unit| by_round(measured, unit, |ns, unit| ns / unit)),
        slices_ns: outcome.as_ref().ok(),
        not_run: outcome.as_ref().err().map(|reason| &*reason.0),
    }
}
