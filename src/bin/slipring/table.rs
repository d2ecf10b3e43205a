//! Aligned tables and numbers for people.

use bytesize::ByteSize;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement};
use indicatif::HumanCount;

/// Rows of cells under a heading. Cells that begin with a digit, or with a bound's mark before it, are numbers,
/// and aligned right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    /// Whole lines below it.
    below: Vec<String>,
}

impl Row {
    fn cell(&self, i: usize) -> &str {
        self.cells.get(i).map_or("", String::as_str)
    }
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Table {
        let mut table = Table { rows: Vec::new() };
        table.row(heading.iter().map(|cell| (*cell).to_owned()).collect());
        table
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row { cells, below: Vec::new() });
    }

    /// Adds a line below the last row, indented.
    pub(crate) fn below(&mut self, line: String) {
        if let Some(row) = self.rows.last_mut() {
            row.below.push(line);
        }
    }

    /// Which columns hold numbers.
    fn numbers(&self) -> Vec<bool> {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let is_number =
            |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit() || "-≥<>".contains(c));
        let all = |i| self.rows.iter().skip(1).all(|row| is_number(row.cell(i)));
        (0..columns).map(all).collect()
    }

    pub(crate) fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.add_rows(self.rows.iter().map(|row| &row.cells));
        for (i, number) in self.numbers().into_iter().enumerate() {
            if let Some(column) = table.column_mut(i) {
                column.set_padding((if i == 0 { 0 } else { 2 }, 0));
                column.set_cell_alignment(if number {
                    CellAlignment::Right
                } else {
                    CellAlignment::Left
                });
            }
        }
        let mut text = String::new();
        for (line, row) in table.lines().zip(&self.rows) {
            text.extend([line.trim_end(), "\n"]);
            text.extend(row.below.iter().map(|line| format!("  {line}\n")));
        }
        text
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

/// Bytes in the largest unit that leaves a number above one.
pub(crate) fn bytes(count: f64) -> String {
    ByteSize(count as u64).to_string()
}

/// So many seconds in the unit that people would choose.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

/// So many nanoseconds in the unit that leaves a number of up to four digits.
pub(crate) fn nanoseconds(count: u64) -> String {
    match count {
        0..1000 => format!("{count} ns"),
        1000..1_000_000 => format!("{:.1} µs", count as f64 / 1e3),
        _ => format!("{:.2} ms", count as f64 / 1e6),
    }
}

/// So many of something, in words.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A pid as it was recorded.
pub(crate) fn pid(number: Option<u32>) -> String {
    number.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let seen = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(seen, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn short_times_have_their_unit() {
        let seen = [999, 1000, 999_900, 1_234_567].map(nanoseconds);
        assert_eq!(seen, ["999 ns", "1.0 µs", "999.9 µs", "1.23 ms"]);
    }

    #[test]
    fn durations_have_two_or_three_digits() {
        let seen = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(duration);
        assert_eq!(seen, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(&["name", "n"]);
        table.row(vec!["a".into(), "100".into()]);
        table.below("a line that is longer than the columns".into());
        table.row(vec!["long".into(), "7".into()]);
        let line = "  a line that is longer than the columns";
        assert_eq!(table.text(), format!("name    n\na     100\n{line}\nlong    7\n"));
    }
}
