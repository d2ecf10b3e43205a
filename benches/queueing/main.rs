//! What `Stats` says of a queue whose figures are known: messages that arrive at random, served one by one for times that are
//! random (M/M/1) or constant (M/D/1), at several utilisations. docs/queueing.md says what it shows.
//!
//!     cargo bench --features cli --bench queueing -- --json FILE --plot FILE
//!
//! It takes two processors for about four minutes. Bounds are known before a run: the standard deviation of each figure over
//! runs of that length on a machine that loses no time. It ends with 1 if a figure is outside of them.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs)]

mod report;
mod run;
mod theory;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use report::Outcome;
use theory::{Case, Model};

/// Runs from whose spread the bounds come.
const BOUNDS_FROM: u32 = 400;

#[derive(Debug, Parser)]
struct Args {
    /// Utilisations, above 0 and below 1
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.3,0.5,0.7,0.8,0.9")]
    rho: Vec<f64>,
    /// Mean service time in microseconds
    #[arg(long, default_value_t = 250.0)]
    service: f64,
    /// Seconds between the two looks of a run, 50 at most
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Of the random times
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the figures here
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the plot here, as SVG
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Short runs, which only show that it works: bounds are not judged
    #[arg(long)]
    smoke: bool,
    /// As cargo passes it: without it, as in `cargo test --benches`, runs are short
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let args = Args::parse();
    let smoke = args.smoke || !args.bench;
    let seconds = if smoke { 0.3 } else { args.seconds.clamp(1.0, 50.0) };
    let mut outcomes = Vec::new();
    for model in [Model::Exponential, Model::Constant] {
        for rho in args.rho.iter().copied().filter(|rho| *rho > 0.0 && *rho < 1.0) {
            let case = Case {
                model,
                rho,
                service: args.service * 1e-6,
                warm_up: seconds / 20.0,
                window: seconds,
                glances: 2000.0,
                seed: args.seed,
            };
            let (plan, deviation) =
                (case.plan(), case.deviation(if smoke { 20 } else { BOUNDS_FROM }));
            let (ideal, found) = (plan.figures(), run::run(&plan)?);
            let outcome = Outcome { case, messages: plan.messages.len(), deviation, ideal, found };
            eprintln!("{} at {rho}: outside of the bounds: {:?}", model.name(), outcome.outside());
            outcomes.push(outcome);
        }
    }
    println!("{}\n{}", report::table(&outcomes), report::noise(&outcomes));
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", report::as_json(&outcomes)))?;
    }
    if let Some(path) = &args.plot {
        std::fs::write(path, report::plot(&outcomes).map_err(|fault| fault.to_string())?)?;
    }
    let outside = outcomes.iter().filter(|outcome| !outcome.outside().is_empty()).count();
    let fails = outside > 0 && !smoke;
    println!("{} of {} runs are within the bounds", outcomes.len() - outside, outcomes.len());
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
