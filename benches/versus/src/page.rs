//! A page of text and tables: as Markdown for the terminal and the documentation, and as HTML.

use std::fmt::Write;

/// A part of a page.
pub(crate) enum Block {
    Heading(String),
    Text(String),
    Table(Table),
    /// In HTML only.
    Picture(String),
}

/// Rows of cells; the first row is the heading.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Table {
        Table(vec![head.map(str::to_owned).to_vec()])
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() < 2
    }

    /// With aligned columns.
    fn markdown(&self) -> String {
        let columns = self.0[0].len();
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..columns).filter_map(width).map(|it| it.max(3)).collect();
        let line = |row: &[String]| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let rule = vec!["---".to_owned(); columns];
        let mut lines = line(&self.0[0]) + &line(&rule);
        self.0[1..].iter().for_each(|row| lines += &line(row));
        lines
    }

    fn html(&self) -> String {
        let row = |row: &Vec<String>, tag: &str| {
            let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let body: String = self.0[1..].iter().map(|it| row(it, "td")).collect();
        format!("<table>\n{}{body}</table>\n", row(&self.0[0], "th"))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace("**", "")
}

pub(crate) fn markdown(page: &[Block]) -> String {
    let mut text = String::new();
    for block in page {
        let _ = match block {
            Block::Heading(it) => writeln!(text, "## {it}\n"),
            Block::Text(it) => writeln!(text, "{it}\n"),
            Block::Table(it) => writeln!(text, "{}", it.markdown()),
            Block::Picture(_) => Ok(()),
        };
    }
    text
}

const STYLE: &str = "body{font:15px sans-serif;max-width:75em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}\
svg{max-width:100%}";

pub(crate) fn html(title: &str, page: &[Block]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{0}</h1>\n",
        escaped(title)
    );
    for block in page {
        match block {
            Block::Heading(it) => text += &format!("<h2>{}</h2>\n", escaped(it)),
            Block::Text(it) => text += &format!("<p>{}</p>\n", escaped(it)),
            Block::Table(it) => text += &it.html(),
            Block::Picture(it) => text += it,
        }
    }
    text + "</body></html>\n"
}

#[cfg(test)]
mod tests {
    use super::{Block, Table, html, markdown};

    #[test]
    fn a_page_is_markdown_and_html() {
        let mut table = Table::new(["a", "b"]);
        table.row(["1 < 2", "2"].map(str::to_owned));
        let page = [Block::Text("**Warning**: noise.".to_owned()), Block::Table(table)];
        assert_eq!(
            markdown(&page),
            "**Warning**: noise.\n\n| a     | b   |\n| ---   | --- |\n| 1 < 2 | 2   |\n\n"
        );
        let html = html("t", &page);
        assert!(html.contains("<p>Warning: noise.</p>"), "{html}");
        assert!(html.contains("<td>1 &lt; 2</td>"), "{html}");
    }
}
