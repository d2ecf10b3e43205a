//! Keeps the evidence for the orderings together: places in the code, the table of mutants, the models and
//! docs/ordering.md.
//!
//! `SLIPRING_WRITE=1 cargo test --test evidence` writes what docs/ordering.md takes from the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// Text of all files under `dir` with this ending, one after the other.
fn text_under(dir: &str, ending: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(path(dir)).unwrap() {
        let name = format!("{dir}/{}", entry.unwrap().file_name().into_string().unwrap());
        if path(&name).is_dir() {
            text += &text_under(&name, ending);
        } else if name.ends_with(ending) {
            text += &read(&name);
        }
    }
    text
}

/// A row of tests/loom/mutants.md.
struct Mutant {
    name: String,
    /// Pairs and steps of docs/ordering.md.
    parts: Vec<String>,
    killers: Vec<String>,
    switches: Vec<String>,
    panics: Vec<String>,
    quick: bool,
}

fn mutants() -> Vec<Mutant> {
    let table = read("tests/loom/mutants.md");
    let rows = table.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let words = |cell: &str| cell.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mutants: Vec<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let [_, name, parts, wrong, killers, switches, panics, quick, _] = cells[..] else {
                panic!("not seven cells: {row}");
            };
            assert!(!wrong.is_empty(), "{name} does not say what goes wrong");
            assert!(["yes", ""].contains(&quick), "{name} is quick, or not: {quick:?}");
            let parts = parts.split(", ").map(str::to_owned).collect();
            let switches = words(if switches.is_empty() { name } else { switches });
            let (killers, panics) = (words(killers), words(panics));
            let (name, quick) = (name.to_owned(), quick == "yes");
            Mutant { name, parts, killers, switches, panics, quick }
        })
        .collect();
    assert!(mutants.len() >= 180);
    mutants
}

/// Names of the tests in a text.
fn tests_in(text: &str) -> BTreeSet<String> {
    let tests = text.split("#[test]\n").skip(1).map(str::trim_start);
    let names = tests.filter_map(|test| test.strip_prefix("fn ")?.split_once('('));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The names that `order!`, `step!` and `mutant!` give to places.
fn places(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let strings = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_name = |word: &&str| {
        word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    strings.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn every_mutant_is_a_place_in_the_code_and_every_place_is_a_mutant() {
    let folders = ["src/ring", "src/layout", "src/sync", "src/producer"]
        .map(|folder| text_under(folder, ".rs"));
    let mut here = places(&(folders.concat() + &read("src/batch/mod.rs")));
    here.extend(places(&text_under("tests/loom/mutants", ".patch")));
    let mut named = BTreeSet::new();
    for mutant in mutants() {
        for name in mutant.switches {
            assert!(here.contains(&name), "{}: {name:?} is no place in the code", mutant.name);
            named.insert(name);
        }
    }
    let unknown: Vec<_> = here.difference(&named).collect();
    assert!(unknown.is_empty(), "not in tests/loom/mutants.md: {unknown:?}");
}

#[test]
fn every_patch_is_a_mutant() {
    let names: BTreeSet<_> = mutants().into_iter().map(|mutant| mutant.name).collect();
    for entry in fs::read_dir(path("tests/loom/mutants")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".patch").expect("a patch");
        assert!(names.contains(name), "{name} is not in tests/loom/mutants.md");
    }
}

#[test]
fn every_mutant_has_killers_that_exist_and_says_how_they_fail() {
    let mut seen = BTreeSet::new();
    let models = tests_in(&text_under("tests/loom", ".rs"));
    let units = tests_in(&text_under("src", ".rs"));
    for mutant in mutants() {
        let name = &mutant.name;
        assert!(seen.insert(name.clone()), "{name} is there twice");
        assert!(!mutant.killers.is_empty(), "nothing kills {name}");
        for killer in &mutant.killers {
            let exists = match killer.split_once(':') {
                None => models.contains(killer),
                Some(("lib", test)) => test.rsplit("::").next().is_some_and(|t| units.contains(t)),
                Some((file, test)) => tests_in(&read(&format!("tests/{file}.rs"))).contains(test),
            };
            assert!(exists, "{name}: there is no {killer}");
        }
        let known = ["assertion", "race", "deadlock", "endless", "overflow"];
        let how = &mutant.panics;
        assert!(!how.is_empty(), "{name} does not say how it fails");
        assert!(how.iter().all(|how| known.contains(&how.as_str())), "{name} fails by {how:?}?");
    }
}

/// Without what is there already.
fn joined<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name.as_str()) {
            seen.push(name);
        }
    }
    seen.join(", ")
}

/// docs/ordering.md, with what follows from the table of mutants: in tables with the columns `models` and `mutants`,
/// these two by the part in the first one; and the line of the form `180 mutants, 166 of them quick`.
fn generated(account: &str) -> String {
    let mutants = mutants();
    let mut of_part: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in &mutants {
        for part in &mutant.parts {
            of_part.entry(part).or_default().push(mutant);
        }
    }
    let quick = mutants.iter().filter(|mutant| mutant.quick).count();
    let mut columns = None;
    let mut text = String::new();
    for line in account.lines() {
        let mut cells: Vec<_> = line.split('|').map(|cell| cell.trim().to_owned()).collect();
        let at = |name: &str| cells.iter().position(|cell| cell == name);
        if !line.starts_with('|') {
            columns = None;
            if line.contains(" mutants, ") && line.ends_with(" of them quick") {
                text += &format!("{} mutants, {quick} of them quick\n", mutants.len());
                continue;
            }
        } else if let (Some(models), Some(names)) = (at("models"), at("mutants")) {
            columns = Some((models, names));
        } else if let Some((models, names)) = columns
            && !line.starts_with("| ---")
        {
            let here = of_part.remove(cells[1].as_str()).unwrap_or_default();
            cells[models] = joined(here.iter().flat_map(|mutant| &mutant.killers));
            cells[names] = joined(here.iter().map(|mutant| &mutant.name));
            text += &format!("{}\n", cells.join(" | ").trim());
            continue;
        }
        text += line;
        text += "\n";
    }
    assert!(of_part.is_empty(), "no row of docs/ordering.md: {:?}", of_part.keys());
    text
}

#[test]
fn the_account_of_the_orderings_is_that_of_the_table() {
    let account = read("docs/ordering.md");
    let now = generated(&account);
    assert!(now.contains(" of them quick\n"), "docs/ordering.md does not say how many there are");
    if account == now {
        return;
    }
    if std::env::var_os("SLIPRING_WRITE").is_some() {
        // By a rename, since another test reads it at the same time.
        let (new, old) = (path("docs/.ordering.md"), path("docs/ordering.md"));
        fs::write(&new, now).unwrap();
        fs::rename(new, old).unwrap();
        return;
    }
    let stale: Vec<_> = account.lines().zip(now.lines()).filter(|(old, new)| old != new).collect();
    panic!("stale: run SLIPRING_WRITE=1 cargo test --test evidence\n{stale:#?}");
}

#[test]
fn the_account_of_the_orderings_names_every_model() {
    let account = read("docs/ordering.md");
    let models = tests_in(&text_under("tests/loom", ".rs"));
    let missing: Vec<_> =
        models.iter().filter(|name| !account.contains(&format!("\n| {name} |"))).collect();
    assert!(missing.is_empty(), "not in docs/ordering.md: {missing:?}");
    let count = format!("\n| all {} |", models.len());
    assert!(account.contains(&count), "docs/ordering.md does not say {count:?}");
}
