//! Line plots, as SVG.

use std::error::Error;
use std::ops::Range;

use hdrhistogram::Histogram;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use crate::bench::delays::is_supported;
use crate::failure::Failure;
use crate::table::{grouped, nanoseconds};

const SIZE: (u32, u32) = (860, 340);
/// The most marks on a line.
const MARKS_MAX: usize = 25;

/// The style sheet finds lines by these colours, and gives them dashes and the colours of light or dark mode. A seventh
/// series looks like the first.
pub(super) const COLOURS: [RGBColor; 6] = [
    RGBColor(0x05, 0x50, 0xae),
    RGBColor(0xbc, 0x4c, 0x00),
    RGBColor(0x1a, 0x7f, 0x37),
    RGBColor(0x82, 0x50, 0xdf),
    RGBColor(0xbf, 0x39, 0x89),
    RGBColor(0x6e, 0x5a, 0x00),
];
const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
const AXES: RGBColor = RGBColor(0x65, 0x6d, 0x76);

#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
    /// A sentence below it.
    pub(crate) note: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// With the unit.
    pub(crate) name: &'static str,
    pub(crate) scale: Scale,
}

#[derive(Clone, Debug)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// Logarithmic, of nanoseconds.
    Times,
    /// Logarithmic, with these values named and no others.
    LogAt(Vec<f64>),
    /// Of quantiles, so that each further nine takes as much room as the one before.
    Quantiles,
}

#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn new(name: &str) -> Series {
        Series { name: name.to_owned(), points: Vec::new() }
    }
}

impl Axis {
    /// For [`delay_percentiles`].
    pub(crate) fn percentiles() -> Axis {
        Axis { name: "percentile of the messages, %", scale: Scale::Quantiles }
    }
}

/// The name of an axis of rates.
pub(crate) const RATE: &str = "messages per second";

/// A plot of rates, from lines with their names.
pub(crate) fn throughput_over_time(
    lines: impl IntoIterator<Item = (String, Vec<(f64, f64)>)>,
) -> Plot {
    Plot {
        title: "Throughput over time",
        x: Axis { name: "time since the first message, s", scale: Scale::Linear },
        y: Axis { name: RATE, scale: Scale::Linear },
        series: lines.into_iter().map(|(name, points)| Series { name, points }).collect(),
        note: "C of the first consumer, from sample to sample, in the run with the median service rate."
            .to_owned(),
    }
}

/// The quantiles of a distribution of nanoseconds.
pub(crate) fn delay_percentiles(name: &str, histogram: &Histogram<u64>) -> Series {
    let quantiles = (0..=100).map(|i| 1.0 - 10f64.powf(-f64::from(i) / 20.0));
    let known = quantiles.filter(|quantile| is_supported(*quantile, histogram.len()));
    let point = |quantile| (quantile, histogram.value_at_quantile(quantile) as f64);
    let points = if histogram.is_empty() { Vec::new() } else { known.map(point).collect() };
    Series { name: name.to_owned(), points }
}

impl Scale {
    /// Logarithmic, with these values named.
    pub(crate) fn log_at(values: &[u64]) -> Scale {
        Scale::LogAt(values.iter().map(|value| *value as f64).collect())
    }

    /// A value as text.
    fn text(&self, value: f64) -> String {
        match self {
            Scale::Times => nanoseconds(value.round() as u64),
            Scale::Quantiles => ((value * 1e7).round() / 1e5).to_string(),
            _ if value < 1000.0 => ((value * 1e4).round() / 1e4).to_string(),
            _ => grouped(value.round() as u64),
        }
    }

    /// Where a value is on the axis.
    fn position(&self, value: f64) -> f64 {
        match self {
            Scale::Linear => value,
            Scale::Times | Scale::LogAt(_) => value.max(1e-3).log10(),
            Scale::Quantiles => -(1.0 - value).max(1e-9).log10(),
        }
    }

    /// The values with a label, from the lower end of the axis to the upper.
    fn ticks(&self, values: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
        let highest = values.clone().fold(0.0, f64::max);
        match self {
            Scale::Linear => linear_ticks(highest),
            Scale::Times => {
                log_ticks(values.filter(|it| *it > 0.0).fold(highest, f64::min), highest)
            }
            Scale::LogAt(values) => values.clone(),
            Scale::Quantiles => {
                let ticks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
                let last = ticks.iter().position(|tick| *tick >= highest).unwrap_or(ticks.len());
                ticks.into_iter().take(last.max(1) + 1).collect()
            }
        }
    }
}

/// One axis of a plot.
struct Ruler<'a> {
    scale: &'a Scale,
    ticks: Vec<f64>,
}

impl Ranged for Ruler<'_> {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let Range { start: first, end: last } = self.range();
        let [value, first, last] = [*value, first, last].map(|it| self.scale.position(it));
        // A single value is in the middle.
        let part = if last > first { (value - first) / (last - first) } else { 0.5 };
        start + (part.clamp(0.0, 1.0) * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light points are the unnamed ones between the bold ones: none.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        let end = |tick: Option<&f64>| tick.copied().unwrap_or(0.0);
        end(self.ticks.first())..end(self.ticks.last())
    }
}

fn linear_ticks(highest: f64) -> Vec<f64> {
    let rough = if highest > 0.0 { highest / 5.0 } else { 1.0 };
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let count = (highest / step).ceil().clamp(1.0, 10.0) as u32;
    (0..=count).map(|i| f64::from(i) * step).collect()
}

/// From the power of ten below `lowest` to the one above `highest`; with 2 and 5 if there are few.
fn log_ticks(lowest: f64, highest: f64) -> Vec<f64> {
    let (lowest, highest) = if highest > 0.0 { (lowest, highest) } else { (1.0, 10.0) };
    let from = lowest.log10().floor() as i32;
    let to = (highest.log10().ceil() as i32).max(from + 1);
    let steps: &[f64] = if to - from <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (from..to).map(|power| 10f64.powi(power));
    let ticks = powers.flat_map(|power| steps.iter().map(move |step| step * power));
    ticks.chain([10f64.powi(to)]).collect()
}

impl Plot {
    pub(super) fn svg(&self) -> Result<String, Failure> {
        let mut svg = String::new();
        let drawn = self.draw(&mut svg);
        drawn.map_err(|fault| Failure::failed(format!("cannot draw {:?}: {fault}", self.title)))?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (x, y) = (&self.x.scale, &self.y.scale);
        let x_ruler = Ruler { scale: x, ticks: x.ticks(points().map(|it| it.0)) };
        let y_ruler = Ruler { scale: y, ticks: y.ticks(points().map(|it| it.1)) };
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin_top(10)
            .margin_right(25)
            .x_label_area_size(50)
            .y_label_area_size(95)
            .build_cartesian_2d(x_ruler, y_ruler)?;
        chart
            .configure_mesh()
            .x_desc(self.x.name)
            .y_desc(self.y.name)
            .x_label_formatter(&|at| x.text(*at))
            .y_label_formatter(&|at| y.text(*at))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(AXES)
            .label_style(("sans-serif", 16))
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let line = series.points.iter().copied();
            let marks = line.clone().step_by(series.points.len().div_ceil(MARKS_MAX).max(1));
            chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
            chart.draw_series(marks.map(|at| Circle::new(at, 4, colour.filled())))?;
        }
        area.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(linear_ticks(9.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(linear_ticks(0.0), [0.0, 1.0]);
        assert_eq!(log_ticks(0.3, 7.0), [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        assert_eq!(log_ticks(1.0, 20_000.0), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        let quantiles = |highest| Scale::Quantiles.ticks([highest].into_iter());
        assert_eq!(quantiles(0.98), [0.0, 0.5, 0.9, 0.99]);
        assert_eq!(quantiles(0.0), [0.0, 0.5]);
    }

    #[test]
    fn a_plot_without_points_has_its_axes() {
        let axis = |scale| Axis { name: "t, s", scale };
        for scale in [Scale::Linear, Scale::Times, Scale::LogAt(vec![1.0]), Scale::Quantiles] {
            let series = vec![Series { name: "a<b".into(), points: Vec::new() }];
            let (x, y) = (axis(scale.clone()), axis(scale));
            let plot = Plot { title: "T", x, y, series, note: String::new() };
            let svg = plot.svg().unwrap();
            assert!(svg.contains("t, s") && !svg.contains("NaN"), "{svg}");
        }
    }
}
