//! Codes of errors: fixed numbers and names, in the library and in docs/errors.md.
//!
//! `SLIPRING_WRITE=1 cargo test --test codes` writes the table of docs/errors.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use slipring::ErrorCode;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
/// The marks around the table there.
const BEGIN: &str = "<!-- codes -->\n";
const END: &str = "<!-- end of codes -->\n";

fn source(file: &str) -> String {
    fs::read_to_string(format!("{ROOT}/src/error/{file}")).unwrap()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != ':' && c != '_').filter(|w| !w.is_empty())
}

/// The errors with a code of their own, as src/error/coded.rs has them: `OpenError::NotFound`, `AckReason::Forked`.
fn errors() -> BTreeMap<String, Vec<String>> {
    let mut errors = BTreeMap::<String, Vec<String>>::new();
    let mut before = "";
    for part in source("coded.rs").split("=> ErrorCode::").collect::<Vec<_>>() {
        let error = words(before).filter(|word| word.starts_with(|c: char| c.is_uppercase()));
        let error = error.last().map(str::to_owned);
        if let Some(code) = words(part).next().filter(|_| !before.is_empty()) {
            errors.entry(code.to_owned()).or_default().push(error.unwrap());
        }
        before = part;
    }
    errors
}

/// The table for docs/errors.md.
fn table() -> String {
    let errors = errors();
    let mut table =
        String::from("| number | name | errors | means | what to do |\n|---|---|---|---|---|\n");
    for code in ErrorCode::all() {
        let of = errors.get(&format!("{code:?}")).unwrap_or_else(|| panic!("no error has {code}"));
        let of: Vec<_> = of.iter().map(|error| format!("`{error}`")).collect();
        let (number, of) = (code.number(), of.join(", "));
        table +=
            &format!("| {number} | `{code}` | {of} | {} | {} |\n", code.meaning(), code.remedy());
    }
    table
}

#[test]
fn the_account_of_the_codes_is_what_the_library_has() {
    let doc = fs::read_to_string(DOC).unwrap();
    let (head, rest) = doc.split_once(BEGIN).expect("the table's begin");
    let (old, tail) = rest.split_once(END).expect("the table's end");
    let now = table();
    // Rewriting the table changes no number and no name, and loses none.
    let names: BTreeMap<u16, &str> =
        ErrorCode::all().map(|code| (code.number(), code.name())).collect();
    for row in old.lines().skip(2) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (number, name) = (cells[1].parse().unwrap(), cells[2].trim_matches('`'));
        assert_eq!(names.get(&number), Some(&name), "a code's number and name stay for ever");
    }
    if old == now {
        return;
    }
    if std::env::var_os("SLIPRING_WRITE").is_some() {
        fs::write(DOC, format!("{head}{BEGIN}{now}{END}{tail}")).unwrap();
        return;
    }
    panic!("docs/errors.md is stale: run SLIPRING_WRITE=1 cargo test --test codes");
}

#[test]
fn numbers_and_names_are_unlike_and_numbers_rise() {
    let numbers: Vec<u16> = ErrorCode::all().map(ErrorCode::number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b) && numbers[0] > 0, "{numbers:?}");
    let names: BTreeSet<&str> = ErrorCode::all().map(ErrorCode::name).collect();
    assert_eq!(names.len(), numbers.len());
    for code in ErrorCode::all() {
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(code.name().chars().all(plain), "{code}");
        assert!(code.meaning().ends_with('.') && code.remedy().ends_with('.'), "{code}");
        assert_eq!(ErrorCode::from_number(code.number()), Some(code));
    }
    assert_eq!(ErrorCode::from_number(0), None);
}

/// The names of all error types.
fn types() -> BTreeSet<String> {
    let mut types = BTreeSet::from(["GeometryError".to_owned()]);
    for entry in fs::read_dir(format!("{ROOT}/src/error")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let by_hand = text.split("impl std::error::Error for ").skip(1);
        types.extend(by_hand.filter_map(|text| text.split_whitespace().next()).map(str::to_owned));
        for derived in text.split("#[derive(").skip(1).filter(|text| {
            text.split_once(')').is_some_and(|(traits, _)| traits.ends_with("Error"))
        }) {
            let (_, rest) = derived.split_once("\npub ").expect("a public type");
            types.insert(words(rest).nth(1).unwrap().to_owned());
        }
    }
    assert!(types.len() > 20, "{types:?}");
    types
}

#[test]
fn every_public_error_has_a_code() {
    let coded = source("coded.rs");
    for name in types() {
        let own = coded.contains(&format!("\nimpl {name} {{"))
            || coded.contains(&format!("    {name} =>"));
        assert!(own, "{name} has no code()");
    }
}

#[test]
fn every_public_error_tells_its_queue() {
    let named = source("named.rs");
    // These have a method of their own; the others are about a name or a figure, before there is a queue.
    let own = ["AckError", "DeadLetterError", "SystemError"];
    let of_none = ["GeometryError", "NameError"];
    for name in types() {
        let told = words(&named).any(|word| word.trim_end_matches(':') == name)
            || own.contains(&&*name)
            || of_none.contains(&&*name);
        assert!(told, "{name} has no queue()");
    }
}
