//! Counts the instructions of the operations in `benches`, per message, and holds them against `limits.json`.
//!
//! `--write-limits` stores what was counted. `cargo bench` in this folder counts as well, and compares with the
//! count before; its profiles are for callgrind_annotate.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::error::Error;
use std::fs;
use std::process::{Command, ExitCode, Stdio};

use instructions::MESSAGES;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Value};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/limits.json");
/// What may come on top: a part, and at least half an instruction.
const TOLERANCE: f64 = 0.02;
const AT_LEAST: f64 = 0.5;
/// The same, where another compiler made the code.
const OTHER_COMPILER: f64 = 0.15;
/// The least of so many counts is the count: consumers that look around by the clock, every 2 ms, do so in some
/// runs more often than in others.
const RUNS: usize = 5;

/// By name of the operation.
type Counts = BTreeMap<String, f64>;

#[derive(Debug, Deserialize, Serialize)]
struct Limits {
    rustc: String,
    arch: String,
    instructions_per_message: Counts,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match &args[..] {
        [] => check(),
        ["--write-limits"] => write(),
        _ => Err("the only argument there is: --write-limits".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), Box<dyn Error>> {
    let mut least = Counts::new();
    for _ in 0..RUNS {
        lower(&mut least, count()?);
    }
    for count in least.values_mut() {
        *count = (*count * 10.0).round() / 10.0;
    }
    let limits =
        Limits { rustc: compiler()?, arch: ARCH.to_owned(), instructions_per_message: least };
    fs::write(LIMITS, format!("{}\n", serde_json::to_string_pretty(&limits)?))?;
    println!("wrote {LIMITS}");
    Ok(())
}

fn check() -> Result<(), Box<dyn Error>> {
    let limits: Limits = serde_json::from_str(&fs::read_to_string(LIMITS)?)?;
    if limits.arch != ARCH {
        print!("{}", table(&count()?, &Counts::new(), 0.0));
        println!("not checked: the limits are those of {}", limits.arch);
        return Ok(());
    }
    let here = compiler()?;
    let part = if here == limits.rustc { TOLERANCE } else { OTHER_COMPILER };
    let stored = &limits.instructions_per_message;
    let (mut least, mut faults) = (Counts::new(), Vec::new());
    for _ in 0..RUNS {
        lower(&mut least, count()?);
        faults = judge(&least, stored, part);
        if faults.is_empty() {
            break;
        }
    }
    print!("{}", table(&least, stored, part));
    if here != limits.rustc {
        let percent = OTHER_COMPILER * 100.0;
        let made = &limits.rustc;
        println!("the limits were counted with rustc {made}, this is {here}: {percent} % allowed");
    }
    if faults.is_empty() {
        return Ok(());
    }
    let faults = faults.join("\n  ");
    let write =
        "cargo run --release --manifest-path benches/instructions/Cargo.toml -- --write-limits";
    Err(format!(
        "not within its limits:\n  {faults}\nIf that is meant, and worth it, store the new counts: {write}"
    )
    .into())
}

/// What is wrong, a line each.
fn judge(counts: &Counts, limits: &Counts, part: f64) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, &count) in counts {
        match limits.get(name) {
            None => faults.push(format!("{name}: there is no limit for it")),
            Some(&stored) if count > limit(stored, part) => faults.push(format!(
                "{name}: {count:.1} instructions per message; stored are {stored}, {:.1} are allowed",
                limit(stored, part)
            )),
            Some(_) => {}
        }
    }
    let gone = limits.keys().filter(|name| !counts.contains_key(*name));
    faults.extend(gone.map(|name| format!("{name}: has a limit, but was not counted")));
    faults
}

fn limit(stored: f64, part: f64) -> f64 {
    stored + (stored * part).max(AT_LEAST)
}

fn table(counts: &Counts, limits: &Counts, part: f64) -> String {
    let mut text = format!("{:24}{:>9}{:>9}{:>9}\n", "per message", "counted", "stored", "allowed");
    for (name, count) in counts {
        text += &format!("{name:24}{count:9.1}");
        if let Some(&stored) = limits.get(name) {
            let allowed = limit(stored, part);
            let fell = *count < stored - (stored * part).max(AT_LEAST);
            let note = if fell { "  fell: --write-limits keeps it there" } else { "" };
            text += &format!("{stored:9.1}{allowed:9.1}{note}");
        }
        text.push('\n');
    }
    text
}

fn lower(least: &mut Counts, counts: Counts) {
    for (name, count) in counts {
        let known = least.entry(name).or_insert(count);
        *known = known.min(count);
    }
}

/// One run of all operations.
fn count() -> Result<Counts, Box<dyn Error>> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    if !valgrind.is_ok_and(|it| it.status.success()) {
        return Err("nothing was counted, valgrind is missing: apt-get install valgrind".into());
    }
    let out = Command::new("cargo")
        .args(["bench", "--quiet", "--locked", "--bench", "operations", "--bench", "in_flight"])
        .args(["--", "--output-format=json"])
        .current_dir(FOLDER)
        .stderr(Stdio::inherit())
        .output()?;
    if !out.status.success() {
        return Err("cargo bench failed".into());
    }
    let counts = Deserializer::from_slice(&out.stdout).into_iter::<Value>();
    counts
        .map(|value| counted(&value?).ok_or("gungraun's JSON is not as expected".into()))
        .collect()
}

fn counted(value: &Value) -> Option<(String, f64)> {
    let text = |name: &str| value.get(name)?.as_str();
    let name = format!("{}, {}", text("function_name")?, text("id")?).replace('_', " ");
    let count = value.pointer("/profiles/0/data/total/metrics/Ir/values/new")?.as_u64()?;
    Some((name, count as f64 / MESSAGES as f64))
}

/// The compiler's version.
fn compiler() -> Result<String, Box<dyn Error>> {
    let out = Command::new("rustc").arg("--version").current_dir(FOLDER).output()?;
    let text = String::from_utf8(out.stdout)?;
    Ok(text.split(' ').nth(1).ok_or("rustc does not tell its version")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, f64)]) -> Counts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn more_than_is_allowed_is_a_fault_and_less_is_none() {
        let stored = counts(&[("send", 100.0)]);
        let judge = |count| judge(&counts(&[("send", count)]), &stored, TOLERANCE);
        assert!(judge(50.0).is_empty() && judge(102.0).is_empty());
        let fault = "send: 102.1 instructions per message; stored are 100, 102.0 are allowed";
        assert_eq!(judge(102.1), [fault]);
    }

    #[test]
    fn an_operation_without_a_limit_is_a_fault_and_so_is_the_reverse() {
        let faults = judge(&counts(&[("send", 1.0)]), &counts(&[("recv", 1.0)]), TOLERANCE);
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn the_least_of_several_counts_is_kept() {
        let mut least = counts(&[("send", 2.0), ("recv", 1.0)]);
        lower(&mut least, counts(&[("send", 1.5), ("recv", 3.0)]));
        assert_eq!(least, counts(&[("send", 1.5), ("recv", 1.0)]));
    }
}
