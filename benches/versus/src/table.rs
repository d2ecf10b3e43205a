//! The tables, as Markdown: they go into the documentation as they are.

use crate::rotation::{Extent, Measured, by_round, unit};
use crate::rows::{Work, absent};
use crate::stats::Summary;
use crate::targets::Judged;
use crate::transport::NotRun;

/// Rows of cells, with columns as wide as they need to be.
struct Table(Vec<Vec<String>>);

impl Table {
    fn new(head: &[&str]) -> Table {
        let line = head.iter().map(|_| "---".to_owned()).collect();
        Table(vec![head.iter().map(|&cell| cell.to_owned()).collect(), line])
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    fn print(&self) {
        let columns = self.0[0].len();
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..columns).filter_map(width).collect();
        for row in &self.0 {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        println!();
    }
}

/// Three digits that count, or whole numbers.
fn number(value: f64) -> String {
    match value.abs() {
        it if it < 9.995 => format!("{value:.2}"),
        it if it < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn spread(summary: &Summary, unit: &str) -> String {
    let [low, high] = summary.spread;
    format!("{} to {}{unit}", number(low), number(high))
}

/// What was measured, work by work.
pub(crate) fn print_rows(rows: &[Measured], extent: Extent) {
    let Extent { runs, rounds, .. } = extent;
    println!("Medians of {runs} runs of {rounds} rounds.\n");
    for work in Work::ALL {
        print_work(rows, work);
    }
    print_not_run(rows);
}

fn print_not_run(rows: &[Measured]) {
    println!("Not run:\n");
    for (peer, reason) in absent() {
        println!("- {peer}: {reason}");
    }
    for Measured { row, outcome, .. } in rows {
        if let Err(NotRun(reason)) = outcome {
            println!("- {}, {}: {reason}", row.work.title(), row.name);
        }
    }
    println!();
}

fn print_work(rows: &[Measured], work: Work) {
    let Some(unit) = unit(rows, work).filter(|unit| unit.ran()) else { return };
    let ns = format!("ns per {}", work.step());
    let mut table =
        Table::new(&[work.title(), &ns, "ratio", "lowest to highest run", "p10", "p90"]);
    for measured in rows.iter().filter(|row| row.row.work == work) {
        let ratio = by_round(measured, unit, |ns, unit| ns / unit);
        let (Some(ns), Some(ratio)) = (measured.ns(), ratio) else { continue };
        table.row([
            measured.row.name.to_owned(),
            number(ns.of_runs.p50),
            number(ratio.of_runs.p50),
            spread(&ratio, ""),
            number(ratio.of_runs.p10),
            number(ratio.of_runs.p90),
        ]);
    }
    table.print();
}

pub(crate) fn print_targets(targets: &[Judged]) {
    let head = ["work", "required", "goal", "measured", "lowest to highest run", ""];
    let mut table = Table::new(&head);
    for it in targets {
        let (value, spread) = match &it.measured {
            Some(measured) => (number(measured.of_runs.p50) + it.unit, spread(measured, it.unit)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let [target, required, goal] = [it.target, &it.required, &it.goal].map(str::to_owned);
        table.row([target, required, goal, value, spread, it.verdict.clone()]);
    }
    table.print();
}
