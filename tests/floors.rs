//! What the compiler does not check: modules use lower floors only, atomics come from one place, and each
//! atomic operation says what its order is for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How far above an atomic operation its comment may be.
const NEAR: usize = 12;

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
    files
}

/// The library's files, relative to src, with their text.
fn library() -> Vec<(String, String)> {
    let src = Path::new(ROOT).join("src");
    let files = files_under(&src).into_iter().map(|path| {
        let name = path.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let files: Vec<_> = files.filter(|(name, _)| !name.starts_with("bin/")).collect();
    assert!(files.len() > 20);
    files
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line))
}

/// The modules of the library in the order of lib.rs; blocks of `mod` lines are one floor.
fn floors() -> BTreeMap<String, usize> {
    let lib = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    let mut floor = 0;
    for line in lib.lines() {
        if let Some(module) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            floors.insert(module.to_owned(), floor);
        } else if line.is_empty() {
            floor += 1;
        }
    }
    floors.remove("models");
    assert!(floors.len() >= 18 && floors["seq"] < floors["queue"]);
    floors
}

/// The modules that a line of code names by `crate::`, `use crate::{...}` included.
fn used(line: &str) -> BTreeSet<&str> {
    let ident = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let mut modules = BTreeSet::new();
    for (at, _) in line.match_indices("crate::") {
        let own = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_$\"".contains(c));
        let rest = &line[at + "crate::".len()..];
        assert!(!rest.starts_with('{'), "name each module in a line of its own: {line}");
        if own {
            modules.insert(&rest[..ident(rest).unwrap_or(rest.len())]);
        }
    }
    modules
}

#[test]
fn no_module_uses_a_higher_floor() {
    let floors = floors();
    let mut checked = 0;
    for (name, text) in library() {
        let module = name.split('/').next().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let own = floors[module];
        for (at, line) in code(&text) {
            for other in used(line) {
                let Some(floor) = floors.get(other) else { continue };
                assert!(*floor <= own, "src/{name}:{at} uses {other}, which is above {module}");
                checked += 1;
            }
        }
    }
    assert!(checked > 80, "only {checked} uses found");
}

#[test]
fn atomics_come_from_one_place_and_seq_cst_is_for_fences() {
    for (name, text) in library() {
        for (at, line) in code(&text) {
            let atomic = line.contains("std::sync::atomic") || line.contains("core::sync::atomic");
            let allowed = name.starts_with("sync/") || name == "sys/fork.rs";
            assert!(!atomic || allowed, "src/{name}:{at}: take atomics from crate::sync");
            let rest = line.replace("fence(Ordering::SeqCst)", "");
            let allowed = name == "sync/mocked.rs" || !rest.contains("SeqCst");
            assert!(allowed, "src/{name}:{at}: SeqCst is for fences");
        }
    }
}

#[test]
fn every_pair_has_two_sides() {
    let mut sides: BTreeMap<String, usize> = BTreeMap::new();
    for (_, text) in library() {
        for line in text.lines().filter(|line| is_comment(line) && !line.starts_with("//! |")) {
            let labels = line.split(|c: char| !c.is_alphanumeric());
            let is_label = |word: &&str| {
                word.len() == 2
                    && word.starts_with(['P', 'G', 'C', 'W'])
                    && word.as_bytes()[1].is_ascii_digit()
            };
            for label in labels.filter(is_label) {
                *sides.entry(label.to_owned()).or_default() += 1;
            }
        }
    }
    assert!(sides.len() >= 12, "{sides:?}");
    let ring = fs::read_to_string(Path::new(ROOT).join("src/ring/mod.rs")).unwrap();
    for (label, sides) in sides {
        assert!(sides >= 2, "pair {label} is named once: who is on the other side?");
        let listed = ring.contains(&format!("| {label} |")) || label.starts_with('G');
        assert!(listed, "pair {label} is not in the table of src/ring/mod.rs");
    }
}

#[test]
fn every_atomic_operation_says_why_its_order_is_enough() {
    let mut checked = 0;
    for (name, text) in library() {
        // The places where the atomics themselves, or orders, are made; what they do is their users' affair.
        if ["sync/mocked.rs", "sync/mutants.rs"].contains(&name.as_str()) {
            continue;
        }
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in
            code(&text).filter(|(_, line)| line.contains("Ordering::") || line.contains("order!("))
        {
            if line.trim_start().starts_with("use ") || line.contains("pub(crate) use") {
                continue;
            }
            let above = &lines[at.saturating_sub(NEAR + 1)..at];
            let orders = ["Relaxed", "Acquire", "Release", "SeqCst"];
            let said = above.iter().filter(|line| is_comment(line));
            let said = said.flat_map(|line| orders.map(|order| line.contains(order)));
            assert!(said.into_iter().any(|said| said), "src/{name}:{at} has no word on its order");
            checked += 1;
        }
    }
    assert!(checked > 90, "only {checked} operations found");
}

#[test]
fn files_stay_readable() {
    for dir in ["src", "tests"] {
        for path in files_under(&Path::new(ROOT).join(dir)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines: split it", path.display());
        }
    }
}
