//! The report as a page: one file that needs no other.

use std::fmt::Write;

use serde_json::Value;

use super::{Machine, Report};

/// Colours follow the reader's choice of light or dark. Each series has marks and, so that one shows below another,
/// dashes of its own.
const STYLE: &str = "
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #656d76; --grid: #d8dee4;
  --s0: #0550ae; --s1: #bc4c00; --s2: #1a7f37; --s3: #8250df; --s4: #bf3989; --s5: #6e5a00; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --text: #e6edf3; --soft: #9198a1;
  --grid: #30363d; --s0: #79c0ff; --s1: #ffa657; --s2: #7ee787; --s3: #d2a8ff; --s4: #ff9bce; --s5: #e3c341; } }
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem .75rem; border-bottom: 1px solid var(--grid); }
th { color: var(--soft); font-weight: 600; text-align: left; } td { font-variant-numeric: tabular-nums; }
.number { text-align: right; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 2rem 0; overflow-x: auto; } figcaption { color: var(--soft); }
svg { width: 100%; min-width: 40rem; height: auto; } svg text { fill: var(--text); font-size: 13px; }
svg .title { font-size: 16px; font-weight: 600; } svg .tick { fill: var(--soft); }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke-width: 2; }
";

pub(super) fn page(report: &Report, machine: &Machine) -> String {
    let (bench, summary) = (escape(report.bench), escape(&report.summary));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>slipring bench {bench}</title>\n\
         <style>{STYLE}{}</style>\n</head>\n<body>\n<h1>slipring bench {bench}</h1>\n<p>{summary}</p>\n",
        series_style()
    );
    // Writing to a String does not fail.
    let _ = write!(page, "<h2>Figures</h2>\n<div class=\"scroll\">{}</div>\n", table(report));
    page.push_str("<h2>Plots</h2>\n");
    for plot in &report.plots {
        let note = escape(&plot.note);
        let _ =
            write!(page, "<figure>\n{}<figcaption>{note}</figcaption>\n</figure>\n", plot.svg());
    }
    let _ = write!(page, "<h2>Machine</h2>\n{}", list(&machine.lines()));
    let settings = report.settings.as_object().into_iter().flatten();
    let settings: Vec<_> = settings.map(|(name, value)| setting(name, value)).collect();
    let _ = write!(page, "<h2>Settings</h2>\n{}</body>\n</html>\n", list(&settings));
    page
}

fn setting<'a>(name: &'a str, value: &Value) -> (&'a str, String) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => return (name, "none".to_owned()),
        Value::Array(list) => list.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
        // 1.0 as 1.
        Value::Number(number) => number.as_f64().map_or_else(String::new, |it| it.to_string()),
        other => other.to_string(),
    };
    let unit = match name {
        "payload" => " bytes",
        "batch" | "capacity" => " messages",
        "pause" | "seconds" => " s",
        "rate" => " messages/s",
        _ => "",
    };
    (name, text + unit)
}

const DASHES: [&str; super::plot::STYLES] = ["none", "8 4", "3 3", "12 3 3 3", "6 2", "1 3"];

fn series_style() -> String {
    let style = |(i, dashes): (usize, &&str)| {
        format!(
            "svg .s{i} {{ stroke: var(--s{i}); stroke-dasharray: {dashes}; }} svg .m{i} {{ fill: var(--s{i}); }}\n"
        )
    };
    DASHES.iter().enumerate().map(style).collect()
}

fn table(report: &Report) -> String {
    let numbers = report.table.numbers();
    let mut text = String::from("<table>\n");
    for (i, row) in report.table.cells().enumerate() {
        let tag = if i == 0 { "th" } else { "td" };
        let cells = row.iter().zip(&numbers).map(|(cell, number)| {
            let class = if *number { " class=\"number\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escape(cell))
        });
        let _ = writeln!(text, "<tr>{}</tr>", cells.collect::<String>());
    }
    text.push_str("</table>");
    text
}

fn list(lines: &[(&str, String)]) -> String {
    let line = |(name, value): &(&str, String)| {
        format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value))
    };
    format!("<dl>\n{}</dl>\n", lines.iter().map(line).collect::<String>())
}

pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}
