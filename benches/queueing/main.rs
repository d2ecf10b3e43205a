//! What `Stats` says of a queue whose figures are known: messages that arrive at random, served one by one for times that are
//! random (M/M/1) or constant (M/D/1), at several utilisations. docs/queueing.md says what it shows.
//!
//!     cargo bench --features cli --bench queueing -- --json FILE --plot FILE
//!
//! It takes nine minutes, and little of a processor. Bounds are known before a run: the standard deviation of each figure over
//! runs of that length on a machine that loses no time. It ends with 1 if a figure is outside of them.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs)]

mod report;
mod run;
mod theory;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use report::Outcome;
use theory::{Case, Model};

/// Runs from whose spread the bounds come.
const BOUNDS_FROM: u32 = 100;

#[derive(Debug, Parser)]
struct Args {
    /// Utilisations, above 0 and below 1
    #[arg(long, value_delimiter = ',', default_value = "0.3,0.5,0.7,0.8,0.9")]
    rho: Vec<f64>,
    /// Mean service time in microseconds
    #[arg(long, default_value_t = 4000.0)]
    service: f64,
    /// Seconds of a window, between two looks
    #[arg(long, default_value_t = 50.0)]
    seconds: f64,
    /// Windows of a run
    #[arg(long, default_value_t = 10)]
    windows: u32,
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

type Error = Box<dyn std::error::Error + Send + Sync>;

fn measured(case: Case, smoke: bool) -> Result<Outcome, Error> {
    let plan = case.plan();
    let found = run::run(&plan)?;
    // After the run, which it would disturb. It depends on the case alone.
    let deviation = case.deviation(if smoke { 20 } else { BOUNDS_FROM });
    Ok(Outcome { case, messages: plan.messages.len(), deviation, ideal: plan.figures(), found })
}

fn main() -> Result<ExitCode, Error> {
    let args = Args::parse();
    let smoke = args.smoke || !args.bench;
    let seconds = if smoke { 0.5 } else { args.seconds.clamp(1.0, 50.0) };
    let models = [Model::Exponential, Model::Constant].into_iter();
    let rhos = args.rho.iter().copied().filter(|rho| *rho > 0.0 && *rho < 1.0);
    let cases = models.flat_map(|model| rhos.clone().map(move |rho| (model, rho)));
    let cases: Vec<Case> = cases
        .map(|(model, rho)| Case {
            model,
            rho,
            service: args.service * 1e-6,
            warm_up: seconds / 10.0,
            window: seconds,
            windows: if smoke { 1 } else { args.windows.max(1) },
            glances: 200.0,
            seed: args.seed,
        })
        .collect();
    // Side by side: they sleep most of the time.
    let outcomes = thread::scope(|scope| {
        let runs: Vec<_> =
            cases.iter().map(|case| scope.spawn(|| measured(*case, smoke))).collect();
        let ended = runs.into_iter().map(|run| run.join().map_err(|_| "a run panicked".into()));
        ended.map(|run| run.and_then(|run| run)).collect::<Result<Vec<Outcome>, Error>>()
    });
    let outcomes = outcomes?;
    let told = |fault: Box<dyn std::error::Error>| fault.to_string();
    if let Some(path) = &args.json {
        std::fs::write(path, report::as_json(&outcomes).map_err(told)?)?;
    }
    println!("{}\n{}", report::table(&outcomes), report::noise(&outcomes));
    if let Some(path) = &args.plot {
        std::fs::write(path, report::plot(&outcomes).map_err(told)?)?;
    }
    let outside = outcomes.iter().filter(|outcome| !outcome.outside().is_empty()).count();
    let fails = outside > 0 && !smoke;
    println!("{} of {} runs are within the bounds", outcomes.len() - outside, outcomes.len());
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
