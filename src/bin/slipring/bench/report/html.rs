//! The report as an HTML page: one file that loads no other.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::style::RGBColor;
use serde_json::Value;

use super::Report;
use super::plot::{COLOURS, Plot};
use crate::bench::interference::Interference;
use crate::bench::machine::Machine;
use crate::bench::warnings::Warning;
use crate::failure::Failure;

const STYLE: &str = include_str!("page.css");

/// One page for all reports; `warnings` concern all of them.
pub(super) fn page(
    bench: &str,
    warnings: &[Warning],
    reports: &[Report],
    machine: &Machine,
) -> Result<String, Failure> {
    let reports: Vec<Markup> =
        reports.iter().map(|it| section(it, reports.len() > 1)).collect::<Result<_, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "slipring bench " (bench) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "slipring bench " (bench) }
                (list_of(warnings))
                @for report in reports { (report) }
                h2 { "Machine" }
                (definitions(machine.lines()))
            }
        }
    };
    Ok(page.into_string())
}

fn section(report: &Report, named: bool) -> Result<Markup, Failure> {
    let figures = &report.figures;
    let is_number = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let is_text =
        |column: usize| !figures.rows.iter().flat_map(|row| row.get(column)).all(is_number);
    let plots: Vec<Markup> = report.plots.iter().map(figure).collect::<Result<_, _>>()?;
    Ok(html! {
        @if named { h2 { (report.bench) } }
        p { (report.summary) }
        p { "Placement: " (report.conditions.placement) "." }
        (list_of(&report.conditions.warnings))
        h3 { "Figures" }
        div.scroll {
            table {
                tr {
                    @for (i, heading) in figures.headings.iter().enumerate() {
                        th.text[is_text(i)] { (heading) }
                    }
                }
                @for row in &figures.rows {
                    tr { @for (i, cell) in row.iter().enumerate() { td.text[is_text(i)] { (cell) } } }
                }
            }
        }
        @for note in &report.notes { p { (note) } }
        h3 { "Plots" }
        @for plot in plots { (plot) }
        h3 { "Settings and interference" }
        (definitions(settings(report)))
    })
}

fn list_of(warnings: &[Warning]) -> Markup {
    html! {
        @if !warnings.is_empty() {
            div.warning {
                p { "These figures are unreliable:" }
                ul { @for warning in warnings { li { (warning.text) } } }
            }
        }
    }
}

fn figure(plot: &Plot) -> Result<Markup, Failure> {
    let svg = plot.svg()?;
    let key = |RGBColor(red, green, blue): &RGBColor| {
        let colour = format!("#{red:02X}{green:02X}{blue:02X}");
        html! {
            svg width="36" height="10" {
                polyline points="0,5 36,5" stroke=(colour) stroke-width="2" {}
                circle cx="18" cy="5" r="4" fill=(colour) {}
            }
        }
    };
    Ok(html! {
        figure {
            h4 { (plot.title) }
            div { (PreEscaped(svg)) }
            ul.legend {
                @for (series, colour) in plot.series.iter().zip(COLOURS.iter().cycle()) {
                    li { (key(colour)) (series.name) }
                }
            }
            figcaption { (plot.note) }
        }
    })
}

fn definitions<N: AsRef<str>>(lines: impl IntoIterator<Item = (N, String)>) -> Markup {
    html! {
        dl { @for (name, value) in lines { dt { (name.as_ref()) } dd { (value) } } }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_a_plot_has_its_style() {
        for RGBColor(red, green, blue) in COLOURS {
            let colour = format!("=\"#{red:02X}{green:02X}{blue:02X}\"]");
            assert_eq!(STYLE.matches(&colour).count(), 2, "{colour}");
        }
    }
}
