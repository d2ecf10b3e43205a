//! A run's figures as a table, as JSON and as a plot.

use std::error::Error;

use plotters::prelude::*;
use serde::Serialize;

use crate::run::{Found, Noise};
use crate::theory::{Case, Figures, Model};

/// A run may be off by so many standard deviations.
pub(crate) const BOUND: f64 = 4.0;

/// A case, what was expected of it, and what was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) case: Case,
    pub(crate) messages: usize,
    /// Of a run of this length.
    pub(crate) deviation: Figures,
    /// Of these messages on a machine that loses no time.
    pub(crate) ideal: Figures,
    pub(crate) found: Found,
}

impl Outcome {
    /// Names of the figures that are further from the formulas than was allowed.
    pub(crate) fn outside(&self) -> Vec<&'static str> {
        let (formula, found) = (self.case.formula().list(), self.found.figures.list());
        let deviation = self.deviation.list();
        let rows = formula.into_iter().zip(found).zip(deviation).zip(Figures::NAMES);
        // What is not known is not within.
        let within =
            |found: f64, formula: f64, deviation| (found - formula).abs() <= BOUND * deviation;
        let outside =
            rows.filter(|(((formula, found), deviation), _)| !within(*found, *formula, *deviation));
        outside.map(|(_, name)| name).collect()
    }
}

fn time(seconds: f64) -> String {
    let micro = seconds * 1e6;
    match micro {
        ..10.0 => format!("{micro:.1} us"),
        ..1000.0 => format!("{micro:.0} us"),
        _ => format!("{:.2} ms", micro / 1e3),
    }
}

/// Markdown.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| model | P/C | Q: formula | `Stats` | ideal | D: formula | `Stats` | stamped | P/C: `Stats` | C, 1/s: formula | `Stats` |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for it in outcomes {
        let (formula, found, ideal) = (it.case.formula(), it.found.figures, it.ideal);
        let bound = it.deviation.list().map(|deviation| BOUND * deviation);
        let [waiting, delay, _, _, service_rate, utilisation] = bound;
        text += &format!(
            "| {} | {:.3} ± {utilisation:.3} | {:.3} ± {waiting:.3} | {:.3} | {:.3} | {} ± {} | {} | {} | {:.3} | {:.0} ± {service_rate:.0} | {:.0} |\n",
            it.case.model.name(),
            formula.utilisation,
            formula.waiting,
            found.waiting,
            ideal.waiting,
            time(formula.delay),
            time(delay),
            time(found.delay),
            time(it.found.stamped),
            found.utilisation,
            formula.service_rate,
            found.service_rate,
        );
    }
    text
}

/// What the machine added, as a table of Markdown.
pub(crate) fn noise(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| model | P/C | messages | samples | sent late: mean | p99 | most | served longer: mean | p99 | most |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for it in outcomes {
        let of = |noise: Noise| [noise.mean, noise.p99, noise.most].map(time).join(" | ");
        text += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            it.case.model.name(),
            it.case.rho,
            it.messages,
            it.found.samples,
            of(it.found.late),
            of(it.found.longer),
        );
    }
    text
}

#[derive(Debug, Serialize)]
struct Runs<'a> {
    v: u32,
    bench: &'static str,
    bound: f64,
    runs: &'a [Outcome],
}

/// Times are in seconds, rates per second.
pub(crate) fn as_json(runs: &[Outcome]) -> Result<String, Box<dyn Error>> {
    let runs = Runs { v: 1, bench: "queueing", bound: BOUND, runs };
    Ok(serde_json::to_string_pretty(&runs)? + "\n")
}

const SIZE: (u32, u32) = (860, 460);
/// Right of this the curves leave the plot.
const LAST: f64 = 0.95;

fn colour(model: Model) -> RGBColor {
    match model {
        Model::Exponential => RGBColor(0x05, 0x50, 0xae),
        Model::Constant => RGBColor(0xbc, 0x4c, 0x00),
    }
}

/// Mean delay, in mean service times, over the utilisation: the formulas as curves, what `Stats` found as points, and how far
/// from the curve a run may be as bars.
pub(crate) fn plot(outcomes: &[Outcome]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(15)
            .x_label_area_size(50)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..1.0, 0.0..16.0)?;
        chart
            .configure_mesh()
            .x_desc("utilisation P/C")
            .y_desc("mean delay D, in mean service times")
            .label_style(("sans-serif", 15))
            .light_line_style(WHITE)
            .draw()?;
        for model in [Model::Exponential, Model::Constant] {
            let colour = colour(model);
            let curve = (1..=400).map(|n| f64::from(n) / 400.0).filter(|rho| *rho < LAST);
            let curve = curve.map(|rho| (rho, model.waiting(rho) / rho)).filter(|at| at.1 <= 16.0);
            chart
                .draw_series(LineSeries::new(curve, colour.stroke_width(2)))?
                .label(format!("{}: the formula as a line, Stats as points", model.name()))
                .legend(move |(x, y)| Circle::new((x + 10, y), 4, colour.filled()));
            for it in outcomes.iter().filter(|it| it.case.model == model) {
                let (rho, service) = (it.case.rho, it.case.service);
                let (formula, bound) = (it.case.formula().delay, BOUND * it.deviation.delay);
                let [low, high] = [formula - bound, formula + bound].map(|time| time / service);
                for bar in [
                    [(rho, low), (rho, high)],
                    [(rho - 0.008, low), (rho + 0.008, low)],
                    [(rho - 0.008, high), (rho + 0.008, high)],
                ] {
                    let line = colour.mix(0.6).stroke_width(1);
                    chart.draw_series([PathElement::new(bar.to_vec(), line)])?;
                }
                let point = (rho, it.found.figures.delay / service);
                chart.draw_series([Circle::new(point, 4, colour.filled())])?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 15))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}
