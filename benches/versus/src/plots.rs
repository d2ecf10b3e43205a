//! Plots of the ratios.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::placement::Placement;
use crate::rotation::{Measured, ratio, unit};
use crate::rows::{Class, Work};
use crate::stats::Summary;

type Bar<'a> = (&'a str, Class, Summary);

/// A plot of each work that has peers, in each placement that occurred: the file's name and content.
pub(crate) fn draw(rows: &[Measured]) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut plots = Vec::new();
    for (work, file) in [
        (Work::RoundTrip, "round-trip"),
        (Work::Stream, "stream"),
        (Work::Singles, "stream-one-by-one"),
        (Work::Compete, "compete"),
    ] {
        for placement in [Placement::Near, Placement::Far, Placement::Remote] {
            let Some(unit) = unit(rows, work, placement) else { continue };
            let of_work = rows.iter().filter(|row| row.row.work == work);
            let bar = |it: &'_ Measured| {
                let ratio = ratio((it, 0), (unit, 0), placement)?;
                Some((it.row.name, it.row.class, ratio))
            };
            let mut bars: Vec<Bar> = of_work.filter_map(bar).collect();
            if bars.is_empty() {
                continue;
            }
            bars.sort_by(|(.., a), (.., b)| a.p50.total_cmp(&b.p50));
            let axis = format!("ns per {}, divided by that of: {}", work.step(), unit.row.name);
            let title = format!("{}, {}", work.title(), placement.name());
            let mut svg = String::new();
            plot(&mut svg, &title, &axis, &bars)?;
            plots.push((format!("{file}-{}.svg", placement.name()), svg));
        }
    }
    Ok(plots)
}

/// Writes the plots into this folder.
pub(crate) fn write(folder: &Path, plots: &[(String, String)]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for (name, svg) in plots {
        fs::write(folder.join(name), svg)?;
    }
    Ok(())
}

/// The legend: each class of rows, its description, and its width in pixels.
const LEGEND: [(Class, &str, i32); 6] = [
    (Class::Ours, "slipring", 100),
    (Class::Shared, "other queues in shared memory", 240),
    (Class::Threads, "queues for threads", 160),
    (Class::Kernel, "through the kernel", 160),
    (Class::Limit, "limit", 80),
    (Class::NoQueue, "no queue", 0),
];

fn colour(class: Class) -> RGBColor {
    match class {
        Class::Limit => RGBColor(60, 60, 60),
        Class::NoQueue => RGBColor(160, 160, 160),
        Class::Threads => RGBColor(110, 160, 200),
        Class::Shared => RGBColor(70, 150, 90),
        Class::Kernel => RGBColor(190, 150, 80),
        Class::Ours => RGBColor(200, 60, 60),
    }
}

/// The label of a value on the axis; empty unless its first digit is 1, 2 or 5.
fn tick(ratio: f64) -> String {
    let power = 10f64.powf((ratio * (1.0 + 1e-9)).log10().floor());
    match (ratio / power).round() {
        digit @ (1.0 | 2.0 | 5.0) => format!("{}", (digit * power * 1e6).round() / 1e6),
        _ => String::new(),
    }
}

/// Draws a line from p10 to p90 and a point at the median for each bar, the fastest on top, and the legend below.
fn plot(svg: &mut String, title: &str, axis: &str, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let lowest = bars.iter().map(|(.., it)| it.p10).fold(1.0, f64::min) * 0.8;
    let highest = bars.iter().map(|(.., it)| it.p90).fold(1.0, f64::max) * 1.25;
    let last = bars.len().saturating_sub(1);
    let height = 140 + 22 * bars.len() as u32;
    let area = SVGBackend::with_string(svg, (940, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{title}: p10, median, p90; less is better"), ("sans-serif", 17))
        .margin(10)
        .margin_bottom(40)
        .x_label_area_size(45)
        .y_label_area_size(370)
        .build_cartesian_2d((lowest..highest).log_scale(), (0..last).into_segmented())?;
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => {
            bars.iter().rev().nth(*place).map_or(String::new(), |(name, ..)| (*name).to_owned())
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .x_desc(axis)
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .x_label_formatter(&|ratio| tick(*ratio))
        .label_style(("sans-serif", 13))
        .light_line_style(WHITE)
        .draw()?;
    for (place, (_, class, it)) in bars.iter().rev().enumerate() {
        let (at, colour) = (SegmentValue::CenterOf(place), colour(*class));
        let line = vec![(it.p10, at.clone()), (it.p90, at.clone())];
        chart.draw_series([PathElement::new(line, colour.stroke_width(3))])?;
        chart.draw_series([Circle::new((it.p50, at), 5, colour.filled())])?;
    }
    chart.draw_series(LineSeries::new(
        [(1.0, SegmentValue::Exact(0)), (1.0, SegmentValue::Last)],
        BLACK.mix(0.4),
    ))?;
    let mut at = (20, height as i32 - 20);
    for (class, meaning, width) in LEGEND {
        area.draw(&Circle::new(at, 5, colour(class).filled()))?;
        area.draw(&Text::new(meaning, (at.0 + 10, at.1 - 5), ("sans-serif", 13)))?;
        at.0 += width;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tick;

    #[test]
    fn ticks_are_short_and_few() {
        assert_eq!(
            [0.1, 0.2, 0.30000000000000004, 1.0, 1000.0].map(tick),
            ["0.1", "0.2", "", "1", "1000"]
        );
    }
}
