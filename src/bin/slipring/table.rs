//! Aligned tables and numbers for people.

use std::fmt::Write;

/// Rows of cells under a heading. Cells that begin with a digit are numbers, and aligned right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Table {
        Table { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &Vec<String>, i: usize| row.get(i).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|i| self.rows.iter().map(|row| cell(row, i).chars().count()).max().unwrap_or(0))
            .collect();
        let numbers: Vec<bool> = (0..columns)
            .map(|i| {
                let mut cells = self.rows.iter().skip(1).map(|row| cell(row, i));
                cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (i, (&width, &number)) in widths.iter().zip(&numbers).enumerate() {
                let gap = if i == 0 { "" } else { "  " };
                let cell = cell(row, i);
                // Writing to a String does not fail.
                let _ = match number {
                    true => write!(line, "{gap}{cell:>width$}"),
                    false => write!(line, "{gap}{cell:<width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves a number above one.
pub(crate) fn bytes(count: f64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| count >= f64::from(1u32 << shift)) {
        Some((unit, shift)) => format!("{:.1} {unit}", count / f64::from(1u32 << shift)),
        None => format!("{count:.0} B"),
    }
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
    fn numbers_stand_right_and_words_left() {
        let mut table = Table::new(&["name", "n"]);
        table.row(vec!["a".into(), "100".into()]);
        table.row(vec!["long".into(), "7".into()]);
        assert_eq!(table.text(), "name    n\na     100\nlong    7\n");
    }
}
