//! The report as an HTML page: one file that loads no other.

use std::fmt::Write;

use serde_json::Value;

use super::Report;
use super::plot::{STYLES, escape};
use crate::bench::interference::Interference;
use crate::bench::machine::Machine;
use crate::bench::warnings::Warning;

/// Light or dark as the reader prefers. Each series has marks and dashes of its own, so that lines on top of each other
/// can be told apart.
const STYLE: &str = "
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --soft: #656d76; --grid: #d8dee4;
  --s0: #0550ae; --s1: #bc4c00; --s2: #1a7f37; --s3: #8250df; --s4: #bf3989; --s5: #6e5a00; }
@media (prefers-color-scheme: dark) { :root { --back: #12161c; --text: #e6edf3; --soft: #9198a1;
  --grid: #30363d; --s0: #79c0ff; --s1: #ffa657; --s2: #7ee787; --s3: #d2a8ff; --s4: #ff9bce; --s5: #e3c341; } }
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } h3 { font-size: 1.05rem; margin-top: 2rem; }
.warning { border-left: 4px solid var(--s1); padding: .1rem 1rem; }
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

/// One page for all reports; `warnings` concern all of them.
pub(super) fn page(
    bench: &str,
    warnings: &[Warning],
    reports: &[Report],
    machine: &Machine,
) -> String {
    let bench = escape(bench);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>slipring bench {bench}</title>\n\
         <style>{STYLE}{}</style>\n</head>\n<body>\n<h1>slipring bench {bench}</h1>\n",
        series_style()
    );
    page.push_str(&warned(warnings));
    for report in reports {
        section(&mut page, report, reports.len() > 1);
    }
    // Writing to a String does not fail, here and below.
    let _ = write!(page, "<h2>Machine</h2>\n{}</body>\n</html>\n", list(&machine.lines()));
    page
}

fn section(page: &mut String, report: &Report, named: bool) {
    if named {
        let _ = writeln!(page, "<h2>{}</h2>", escape(report.bench));
    }
    let (summary, placement) =
        (escape(&report.summary), escape(&report.conditions.placement.to_string()));
    let warned = warned(&report.conditions.warnings);
    let _ = write!(page, "<p>{summary}</p>\n<p>Placement: {placement}.</p>\n{warned}");
    let _ = write!(page, "<h3>Figures</h3>\n<div class=\"scroll\">{}</div>\n", table(report));
    for note in &report.notes {
        let _ = writeln!(page, "<p>{}</p>", escape(note));
    }
    page.push_str("<h3>Plots</h3>\n");
    for plot in &report.plots {
        let note = escape(&plot.note);
        let _ =
            write!(page, "<figure>\n{}<figcaption>{note}</figcaption>\n</figure>\n", plot.svg());
    }
    let _ = write!(page, "<h3>Settings and interference</h3>\n{}", list(&settings(report)));
}

fn warned(warnings: &[Warning]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let item = |warning: &Warning| format!("<li>{}</li>\n", escape(&warning.text));
    let items: String = warnings.iter().map(item).collect();
    format!(
        "<div class=\"warning\"><p>These figures are unreliable:</p>\n<ul>\n{items}</ul></div>\n"
    )
}

fn settings(report: &Report) -> Vec<(String, String)> {
    let Interference { steal, preemptions, .. } = &report.conditions.interference;
    let mut lines = vec![
        ("preemptions of an end".to_owned(), format!("at most {preemptions:.0} a second")),
        ("steal".to_owned(), format!("{:.2} % of the processors' time", steal * 100.0)),
    ];
    let settings = serde_json::to_value(&report.settings).unwrap_or_default();
    let settings = settings.as_object().into_iter().flatten();
    lines.extend(settings.map(|(name, value)| (name.clone(), setting(name, value))));
    lines
}

fn setting(name: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => return "none".to_owned(),
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
    text + unit
}

const DASHES: [&str; STYLES] = ["none", "8 4", "3 3", "12 3 3 3", "6 2", "1 3"];

fn series_style() -> String {
    let style = |(i, dashes): (usize, &&str)| {
        format!(
            "svg .s{i} {{ stroke: var(--s{i}); stroke-dasharray: {dashes}; }} svg .m{i} {{ fill: var(--s{i}); }}\n"
        )
    };
    DASHES.iter().enumerate().map(style).collect()
}

fn table(report: &Report) -> String {
    let headings =
        report.figures.headings.iter().map(|heading| format!("<th>{}</th>", escape(heading)));
    let mut text = format!("<table>\n<tr>{}</tr>\n", headings.collect::<String>());
    for row in &report.figures.rows {
        let cells = row.iter().map(|cell| {
            let number = cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            let class = if number { " class=\"number\"" } else { "" };
            format!("<td{class}>{}</td>", escape(cell))
        });
        let _ = writeln!(text, "<tr>{}</tr>", cells.collect::<String>());
    }
    text.push_str("</table>");
    text
}

fn list(lines: &[(impl AsRef<str>, String)]) -> String {
    let line = |(name, value): &(_, String)| {
        format!("<dt>{}</dt><dd>{}</dd>\n", escape(AsRef::as_ref(name)), escape(value))
    };
    format!("<dl>\n{}</dl>\n", lines.iter().map(line).collect::<String>())
}
