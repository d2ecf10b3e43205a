//! Lines over axes, as SVG whose colours are the page's.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::bench::delays::is_supported;

/// Styles of series; a further one looks like the first.
pub(super) const STYLES: usize = 6;
const WIDTH: f64 = 860.0;
/// Where the lines are drawn.
const LEFT: f64 = 90.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 45.0;
const BOTTOM: f64 = 325.0;
/// The legend below has this many entries in a row, with this much room each.
const ENTRIES: usize = 3;
const ENTRY_WIDTH: f64 = (RIGHT - LEFT) / ENTRIES as f64;
const ENTRY_HEIGHT: f64 = 20.0;
/// The length of a line in the legend.
const SAMPLE: f64 = 36.0;
/// From the axis to the first row of the legend.
const LEGEND: f64 = 62.0;
/// Marks on a line, at most.
const MARKS_MAX: usize = 25;

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
    /// Logarithmic, of microseconds.
    Times,
    /// Logarithmic, with these values named and no others.
    LogAt(Vec<f64>),
    /// Of quantiles, so that each further nine takes as much room as the one before.
    Quantiles,
}

impl Scale {
    /// Logarithmic, with these values named.
    pub(crate) fn log_at(values: &[u64]) -> Scale {
        let mut values: Vec<f64> = values.iter().map(|value| *value as f64).collect();
        values.sort_by(f64::total_cmp);
        Scale::LogAt(values)
    }

    /// A value of it as people write it.
    fn text(&self, value: f64) -> String {
        match self {
            Scale::Quantiles => ((value * 1e7).round() / 1e5).to_string(),
            Scale::Times => short(value, &[(1e6, " s"), (1e3, " ms"), (1.0, " µs"), (1e-3, " ns")]),
            _ => short(value, &[(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")]),
        }
    }
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

/// The quantiles of a distribution of nanoseconds, in microseconds.
pub(crate) fn delay_percentiles(name: &str, histogram: &Histogram<u64>) -> Series {
    let quantiles = (0..=100).map(|i| 1.0 - 10f64.powf(-f64::from(i) / 20.0));
    let known = quantiles.filter(|quantile| is_supported(*quantile, histogram.len()));
    let point = |quantile| (quantile, histogram.value_at_quantile(quantile) as f64 / 1e3);
    let points = if histogram.is_empty() { Vec::new() } else { known.map(point).collect() };
    Series { name: name.to_owned(), points }
}

/// A value's place between two ends of the axis, and what stands along it.
struct Ruler {
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
    scale: Scale,
}

impl Ruler {
    fn new(scale: &Scale, values: impl Iterator<Item = f64> + Clone) -> Ruler {
        let highest = values.clone().fold(0.0, f64::max);
        let lowest = values.filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
        let ticks = match scale {
            Scale::Linear => linear_ticks(highest),
            Scale::Times => log_ticks(lowest.min(highest), highest),
            Scale::LogAt(at) => at.clone(),
            Scale::Quantiles => quantile_ticks(highest),
        };
        let mut ruler = Ruler { from: 0.0, to: 1.0, ticks: Vec::new(), scale: scale.clone() };
        ruler.ticks =
            ticks.iter().map(|value| (ruler.stretch(*value), scale.text(*value))).collect();
        let ends = (ruler.ticks.first(), ruler.ticks.last());
        if let (Some((from, _)), Some((to, _))) = ends {
            // A single value stands in the middle.
            (ruler.from, ruler.to) =
                if to > from { (*from, *to) } else { (from - 1.0, from + 1.0) };
        }
        ruler
    }

    fn stretch(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Times | Scale::LogAt(_) => value.max(1e-12).log10(),
            Scale::Quantiles => -(1.0 - value).max(1e-9).log10(),
        }
    }

    fn place(&self, value: f64) -> f64 {
        self.between(self.stretch(value))
    }

    fn between(&self, stretched: f64) -> f64 {
        ((stretched - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

fn linear_ticks(highest: f64) -> Vec<f64> {
    let rough = if highest > 0.0 { highest / 5.0 } else { 1.0 };
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let count = (highest / step).ceil().clamp(1.0, 10.0) as u32;
    (0..=count).map(|i| f64::from(i) * step).collect()
}

/// Up to the first that is not below the highest.
fn quantile_ticks(highest: f64) -> Vec<f64> {
    let ticks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
    let count = ticks.iter().position(|tick| *tick >= highest).unwrap_or(ticks.len() - 1) + 1;
    ticks.into_iter().take(count.max(2)).collect()
}

/// From the power of ten below to the one above; with 2 and 5 if there are few.
fn log_ticks(lowest: f64, highest: f64) -> Vec<f64> {
    let (lowest, highest) = if highest > 0.0 { (lowest, highest) } else { (1.0, 10.0) };
    let from = lowest.log10().floor() as i32;
    let to = (highest.log10().ceil() as i32).max(from + 1);
    let steps: &[f64] = if to - from <= 3 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (from..to).map(|power| 10f64.powi(power));
    let ticks = powers.flat_map(|power| steps.iter().map(move |step| step * power));
    ticks.chain([10f64.powi(to)]).collect()
}

/// 1500000 as 1.5 M; the units from the largest to the smallest.
fn short(value: f64, units: &[(f64, &str)]) -> String {
    // A power of ten may lie a little below itself.
    let fits = |(unit, _): &&(f64, &str)| value >= unit * (1.0 - 1e-9);
    let (unit, suffix) = units.iter().find(fits).or(units.last()).unwrap_or(&(1.0, ""));
    format!("{}{suffix}", (value / unit * 1e4).round() / 1e4)
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Ruler::new(&self.x.scale, points().map(|point| point.0));
        let y = Ruler::new(&self.y.scale, points().map(|point| point.1));
        let title = escape(self.title);
        let rows = self.series.len().div_ceil(ENTRIES) as f64;
        let height = BOTTOM + LEGEND + rows * ENTRY_HEIGHT;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"22\">{title}</text>\n"
        );
        self.axes(&mut svg, &x, &y);
        for (i, series) in self.series.iter().enumerate() {
            self.draw(&mut svg, i, series, &x, &y);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String, x: &Ruler, y: &Ruler) {
        // Writing to a String does not fail, here and below.
        for (at, label) in &y.ticks {
            let at = down(y.between(*at));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        for (at, label) in &x.ticks {
            let at = across(x.between(*at));
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\
                 <text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                BOTTOM + 18.0
            );
        }
        let (middle, half) = (across(0.5), down(0.5));
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{BOTTOM}\" y2=\"{BOTTOM}\"/>\
             <line class=\"axis\" x1=\"{LEFT}\" x2=\"{LEFT}\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>\n\
             <text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {half}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 40.0,
            escape(self.x.name),
            escape(self.y.name)
        );
    }

    /// A line, its marks, and its entry in the legend.
    fn draw(&self, svg: &mut String, i: usize, series: &Series, x: &Ruler, y: &Ruler) {
        let style = i % STYLES;
        let name = escape(&series.name);
        let place = |(at, value): &(f64, f64)| (across(x.place(*at)), down(y.place(*value)));
        let places = series.points.iter().map(place);
        let line: String =
            places.clone().map(|(at, value)| format!("{at:.1},{value:.1} ")).collect();
        let _ = writeln!(svg, "<polyline class=\"line s{style}\" points=\"{}\"/>", line.trim_end());
        let step = series.points.len().div_ceil(MARKS_MAX).max(1);
        for ((at, value), point) in places.zip(&series.points).step_by(step) {
            let (shown_at, shown) = (self.x.scale.text(point.0), self.y.scale.text(point.1));
            mark(svg, style, at, value, &format!("{name}: {shown} at {shown_at}"));
        }
        let at = LEFT + ENTRY_WIDTH * (i % ENTRIES) as f64;
        let row = BOTTOM + LEGEND + ENTRY_HEIGHT * (i / ENTRIES) as f64;
        let middle = row - 4.0;
        let _ = writeln!(
            svg,
            "<line class=\"line s{style}\" x1=\"{at:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text x=\"{:.1}\" y=\"{row:.1}\">{name}</text>",
            at + SAMPLE,
            at + SAMPLE + 8.0
        );
        mark(svg, style, at + SAMPLE / 2.0, middle, &name);
    }
}

fn across(part: f64) -> f64 {
    LEFT + part * (RIGHT - LEFT)
}

fn down(part: f64) -> f64 {
    BOTTOM - part * (BOTTOM - TOP)
}

/// A mark of another shape for each of three series in turn.
fn mark(svg: &mut String, style: usize, x: f64, y: f64, title: &str) {
    let path = match style % 3 {
        0 => "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        1 => "M-3.5 -3.5h7v7h-7z",
        _ => "M0 -4.5l4.5 8h-9z",
    };
    let _ = writeln!(
        svg,
        "<path class=\"m{style}\" transform=\"translate({x:.1} {y:.1})\" d=\"{path}\"><title>{title}</title></path>"
    );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(linear_ticks(9.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(linear_ticks(0.0), [0.0, 1.0]);
        assert_eq!(log_ticks(0.3, 7.0), [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        assert_eq!(log_ticks(1.0, 20_000.0), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(quantile_ticks(0.98), [0.0, 0.5, 0.9, 0.99]);
        assert_eq!(quantile_ticks(0.0), [0.0, 0.5]);
    }

    #[test]
    fn values_are_short_and_have_their_unit() {
        let shown = [0.1, 0.0, 5.0, 1500.0, 2e6, 1e9].map(|value| Scale::Linear.text(value));
        assert_eq!(shown, ["0.1", "0", "5", "1.5 k", "2 M", "1 G"]);
        let shown = [0.01, 1.0, 10f64.powi(3), 2e6, 0.0].map(|value| Scale::Times.text(value));
        assert_eq!(shown, ["10 ns", "1 µs", "1 ms", "2 s", "0 ns"]);
        assert_eq!([0.5, 0.99999].map(|value| Scale::Quantiles.text(value)), ["50", "99.999"]);
    }

    #[test]
    fn what_has_no_points_is_a_plot_nonetheless() {
        let axis = |scale| Axis { name: "t, s", scale };
        for scale in [Scale::Linear, Scale::Times, Scale::LogAt(vec![1.0]), Scale::Quantiles] {
            let series = vec![Series { name: "a<b".into(), points: Vec::new() }];
            let (x, y) = (axis(scale.clone()), axis(scale));
            let plot = Plot { title: "T", x, y, series, note: String::new() };
            let svg = plot.svg();
            assert!(svg.contains("a&lt;b") && !svg.contains("NaN"), "{svg}");
        }
    }
}
