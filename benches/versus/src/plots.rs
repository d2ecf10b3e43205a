//! The ratios as pictures.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::rotation::{Measured, by_round, unit};
use crate::rows::{Class, Work};
use crate::stats::Summary;

type Bar<'a> = (&'a str, Class, Summary);

/// Writes a plot of each work that has peers.
pub(crate) fn write(folder: &Path, rows: &[Measured]) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for (work, file) in [
        (Work::RoundTrip, "round-trip.svg"),
        (Work::Stream, "stream.svg"),
        (Work::Compete, "compete.svg"),
    ] {
        if let Some(unit) = unit(rows, work).filter(|unit| unit.ran()) {
            let of_work = rows.iter().filter(|row| row.row.work == work);
            let bar = |it: &'_ Measured| {
                let ratio = by_round(it, unit, |ns, unit| ns / unit)?;
                Some((it.row.name, it.row.class, ratio))
            };
            let mut bars: Vec<Bar> = of_work.filter_map(bar).collect();
            bars.sort_by(|(.., a), (.., b)| a.of_runs.p50.total_cmp(&b.of_runs.p50));
            let axis = format!("ns per {}, divided by that of: {}", work.step(), unit.row.name);
            plot(&folder.join(file), work.title(), &axis, &bars)?;
        }
    }
    Ok(())
}

fn colour(class: Class) -> RGBColor {
    match class {
        Class::Limit => RGBColor(110, 110, 110),
        Class::Threads => RGBColor(110, 160, 200),
        Class::Shared => RGBColor(70, 150, 90),
        Class::Kernel => RGBColor(190, 150, 80),
        Class::Ours => RGBColor(200, 60, 60),
    }
}

/// From p10 to p90 a line, at the median a point; the fastest on top.
fn plot(path: &Path, title: &str, axis: &str, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let lowest = bars.iter().map(|(.., it)| it.of_runs.p10).fold(1.0, f64::min) * 0.8;
    let highest = bars.iter().map(|(.., it)| it.of_runs.p90).fold(1.0, f64::max) * 1.25;
    let area = SVGBackend::new(path, (860, 110 + 22 * bars.len() as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{title}: p10, median, p90; less is better"), ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(45)
        .y_label_area_size(310)
        .build_cartesian_2d((lowest..highest).log_scale(), (0..bars.len()).into_segmented())?;
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
        .x_label_formatter(&|ratio| format!("{ratio}"))
        .label_style(("sans-serif", 13))
        .light_line_style(WHITE)
        .draw()?;
    for (place, (_, class, Summary { of_runs: it, .. })) in bars.iter().rev().enumerate() {
        let (at, colour) = (SegmentValue::CenterOf(place), colour(*class));
        let line = vec![(it.p10, at.clone()), (it.p90, at.clone())];
        chart.draw_series([PathElement::new(line, colour.stroke_width(3))])?;
        chart.draw_series([Circle::new((it.p50, at), 5, colour.filled())])?;
    }
    chart.draw_series(LineSeries::new(
        [(1.0, SegmentValue::Exact(0)), (1.0, SegmentValue::Exact(bars.len()))],
        BLACK.mix(0.4),
    ))?;
    area.present()?;
    Ok(())
}
