//! All figures as JSON, for programs.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::message::{CAPACITY, Msg};
use crate::placement::Placement;
use crate::rotation::{Measured, Rounds, ratio, unit};
use crate::rows::{Class, Work, absent};
use crate::stats::Summary;
use crate::targets::{Judged, Lost};

#[derive(Serialize)]
struct Report<'a> {
    machine: &'a Machine,
    payload_bytes: usize,
    capacity: usize,
    rounds: usize,
    /// Of the works of the rounds, those in which the processors moved, which are left out.
    moved: usize,
    lost: &'a [Lost],
    targets: &'a [Judged],
    rows: Vec<RowReport<'a>>,
    /// Peers that are not there, and why.
    absent: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct RowReport<'a> {
    work: Work,
    name: &'a str,
    class: Class,
    step: &'static str,
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
        payload_bytes: size_of::<Msg>(),
        capacity: CAPACITY,
        rounds: rounds.count,
        moved: rounds.moved,
        lost,
        targets,
        rows: rows.iter().map(|it| row_report(rows, it)).collect(),
        absent: absent(),
    };
    fs::write(path, serde_json::to_string_pretty(&report)?)?;
    Ok(())
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
        step: row.work.step(),
        placements: Placement::ALL.iter().filter_map(placed).collect(),
        not_run: measured.not_run(),
    }
}
