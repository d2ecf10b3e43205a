//! What a benchmark found: for people, as JSON, and as a page.

mod html;
mod machine;
mod plot;

use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::args::BenchArgs;
use crate::failure::{Failure, io_failed};
use crate::output::print;
use crate::table::Table;
pub(crate) use machine::Machine;
pub(crate) use plot::{Axis, Plot, Scale, Series, percentiles};

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) bench: &'static str,
    /// One line: what was measured.
    pub(crate) summary: String,
    /// What the figures depend on, by name.
    pub(crate) settings: Value,
    pub(crate) table: Table,
    /// An object per measurement.
    pub(crate) results: Vec<Value>,
    pub(crate) plots: Vec<Plot>,
}

impl Report {
    pub(crate) fn publish(&self, machine: &Machine, args: &BenchArgs) -> Result<(), Failure> {
        if let Some(path) = &args.html {
            fs::write(path, html::page(self, machine)).map_err(|fault| unwritable(path, &fault))?;
        }
        if args.json {
            let value = json!({
                "bench": self.bench,
                "machine": machine.value(),
                "settings": self.settings,
                "results": self.results,
            });
            return print(&format!("{value}\n"));
        }
        let (bench, summary, machine) = (self.bench, &self.summary, machine.text());
        print(&format!("{bench}: {summary}\n{machine}\n\n{}", self.table.text()))
    }
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

/// Names and values of a distribution's quantiles.
fn quantiles(histogram: &Histogram<u64>) -> [(&'static str, u64); 6] {
    let at = |quantile| histogram.value_at_quantile(quantile);
    [
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("p99_9", at(0.999)),
        ("p99_99", at(0.9999)),
        ("max", histogram.max()),
    ]
}

/// The heading for [`times`].
pub(crate) const TIMES: [&str; 7] = ["COUNT", "P50", "P90", "P99", "P99.9", "P99.99", "MAX"];

/// A distribution of nanoseconds as cells.
pub(crate) fn times(histogram: &Histogram<u64>) -> Vec<String> {
    let count = std::iter::once(crate::table::grouped(histogram.len()));
    count.chain(quantiles(histogram).map(|(_, value)| crate::table::nanoseconds(value))).collect()
}

/// A distribution of nanoseconds as an object.
pub(crate) fn distribution(histogram: &Histogram<u64>) -> Value {
    let mut value = json!({ "count": histogram.len(), "mean": histogram.mean() });
    if let Some(object) = value.as_object_mut() {
        object.extend(quantiles(histogram).map(|(name, value)| (name.to_owned(), value.into())));
    }
    value
}

/// Bytes per second, for a cell.
pub(crate) fn bytes_per_second(rate: f64, payload: u64) -> String {
    crate::table::bytes(rate * payload as f64)
}
