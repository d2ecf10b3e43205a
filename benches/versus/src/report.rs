//! All figures as JSON, for programs.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::placement::Placement;
use crate::rotation::{Measured, Rounds, ratio, unit};
use crate::rows::{Class, Work, absent};
use crate::stats::Summary;
use crate::targets::{Judged, Lost};

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    rounds: usize,
    /// Of the works of the rounds, those in which the processors moved, which are left out.
    moved: usize,
    lost: &'a [Lost],
    targets: &'a [Judged],
    works: Vec<WorkReport>,
    rows: Vec<RowReport<'a>>,
    /// Peers that are not there, and why.
    absent: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct WorkReport {
    work: Work,
    title: &'static str,
    /// What the figures are per.
    step: &'static str,
    payload_bytes: usize,
    /// Messages that a ring holds.
    capacity: usize,
    note: Option<String>,
}

#[derive(Serialize)]
struct RowReport<'a> {
    work: Work,
    name: &'a str,
    class: Class,
    /// For each placement that occurred.
    placements: Vec<Placed<'a>>,
    not_run: Option<&'a str>,
}

#[derive(Serialize)]
struct Placed<'a> {
    placement: Placement,
    columns: Vec<Column>,
    /// Every slice: its round, and the columns in nanoseconds.
    slices_ns: Vec<(usize, &'a [f64])>,
}

#[derive(Serialize)]
struct Column {
    name: &'static str,
    ns: Option<Summary>,
    /// The row that the ratio is to.
    by: Option<&'static str>,
    ratio: Option<Summary>,
}

pub(crate) fn write(
    path: &Path,
    machine: &Machine,
    rounds: &Rounds,
    rows: &[Measured],
    targets: &[Judged],
    lost: &[Lost],
) -> Result<(), Box<dyn Error>> {
    let report = Report {
        machine,
        rounds: rounds.count,
        moved: rounds.moved,
        lost,
        targets,
        works: works(rows),
        rows: rows.iter().map(|it| row_report(rows, it)).collect(),
        absent: absent(),
    };
    fs::write(path, serde_json::to_string_pretty(&report)?)?;
    Ok(())
}

/// Those that have rows.
fn works(rows: &[Measured]) -> Vec<WorkReport> {
    let there = |work: &Work| rows.iter().any(|it| it.row.work == *work);
    let report = |work: Work| WorkReport {
        work,
        title: work.title(),
        step: work.step(),
        payload_bytes: work.payload(),
        capacity: work.capacity(),
        note: work.note(),
    };
    Work::ALL.into_iter().filter(there).map(report).collect()
}

fn row_report<'a>(rows: &[Measured], measured: &'a Measured) -> RowReport<'a> {
    let row = &measured.row;
    let placed = |&placement: &Placement| {
        let slices_ns = measured.all(placement);
        if slices_ns.is_empty() {
            return None;
        }
        let unit = unit(rows, row.work, placement);
        let column = |(index, &name): (usize, &&'static str)| Column {
            name,
            ns: measured.ns(index, placement),
            by: unit.map(|unit| unit.row.name),
            ratio: unit.and_then(|unit| ratio((measured, index), (unit, index), placement)),
        };
        let columns = row.work.columns().iter().enumerate().map(column).collect();
        Some(Placed { placement, columns, slices_ns })
    };
    RowReport {
        work: row.work,
        name: row.name,
        class: row.class,
        placements: Placement::ALL.iter().filter_map(placed).collect(),
        not_run: measured.not_run(),
    }
}
