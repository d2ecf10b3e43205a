//! What `--json` prints has one form, whatever the command, its errors and notes included.

use std::collections::BTreeSet;

use serde_json::Value;
use slipring::Queue;

use super::common::TempName;
use super::tool::{Ran, feed, parsed, run};

/// The only line on stderr.
fn told(ran: Ran, code: i32) -> Value {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    parsed(&ran.err)
}

#[test]
fn every_line_is_an_object_with_the_version_of_its_form() {
    let name = TempName::new("json-form");
    let dead = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--group", "g", "--shared-group", "work"]).quietly();
    feed(&["send", &name], b"bad\n\xff\n").quietly();
    let reject = ["recv", &name, "--group", "work", "--shared", "--count", "1", "--exec"];
    run(&[&reject[..], &["exit 65"]].concat()).says(0, &["rejected"]);
    for (args, lines) in [
        (&["ls", "--json"][..], 1),
        (&["inspect", &name, "--json"], 1),
        (&["group", "ls", &name, "--json"], 1),
        (&["group", "ls", &name, "--json", "--watch", "0.01", "--count", "3"], 3),
        (&["stats", &name, "--json", "--interval", "0.01", "--count", "2"], 2),
        (&["dead", "ls", &name, "--json"], 1),
        (&["dead", "show", &name, "--json"], 1),
        (&["streams", "ls", &name, "--json"], 1),
        (&["tail", &name, "--from", "oldest", "--count", "2", "--json"], 2),
        (&["recv", &name, "--group", "g", "--count", "2", "--json"], 2),
    ] {
        let out = run(args).quietly();
        assert_eq!(out.lines().map(parsed).count(), lines, "{args:?} {out}");
    }
    drop(dead);
}

/// All names of members, at any depth.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            names(value, into);
        }),
        Value::Array(values) => values.iter().for_each(|value| names(value, into)),
        _ => {}
    }
}

#[test]
fn every_member_is_described() {
    let reference = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md"));
    let reference = reference.unwrap();
    let (_, chapter) = reference.split_once("\n## JSON\n").unwrap();
    let name = TempName::new("json-members");
    let dead = TempName::exactly(format!("{}.dead", &*name));
    let bad = TempName::new("json-bad");
    let create = ["create", &name, "--group", "g", "--shared-group", "work", "--sources", "1"];
    run(&create).quietly();
    let places = TempName::new("json-places");
    run(&["create", &places, "--shared-group", "work", "--in-flight", "4"]).quietly();
    feed(&["send", &name, "--source", "input:seq"], b"bad\n\xff\n").quietly();
    let reject = ["recv", &name, "--group", "work", "--shared", "--count", "1", "--exec"];
    run(&[&reject[..], &["exit 65"]].concat()).says(0, &["rejected"]);
    std::fs::write(bad.path(), vec![7; 8192]).unwrap();
    let queue = Queue::open(&name).unwrap();
    let consumer = queue.consumer("g").unwrap();
    let mut found = BTreeSet::new();
    for args in [
        &["ls"][..],
        &["inspect", &name],
        &["group", "ls", &name, "--watch", "--count", "1"],
        &["stats", "--interval", "0.01", "--count", "1"],
        &["dead", "ls", &name],
        &["streams", "ls", &name],
        &["tail", &name, "--from", "oldest", "--count", "2"],
        &["recv", &name, "--group", "work", "--shared", "--count", "1"],
        &["inspect", "there-is-none"],
    ] {
        let ran = run(&[args, &["--json"]].concat());
        ran.out.lines().chain(ran.err.lines()).for_each(|line| names(&parsed(line), &mut found));
    }
    drop((consumer, dead));
    let missing: Vec<_> =
        found.iter().filter(|name| !chapter.contains(&format!("`{name}`"))).collect();
    assert!(found.len() > 50 && missing.is_empty(), "{missing:?} of {}", found.len());
}

#[test]
fn times_are_rfc_3339() {
    let name = TempName::new("json-times");
    run(&["create", &name]).quietly();
    let look = parsed(&run(&["inspect", &name, "--json"]).quietly());
    let (created, now) = (look["created_at"].as_str().unwrap(), look["time"].as_str().unwrap());
    for time in [created, now] {
        let form: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(form, "9999-99-99T99:99:99.999Z");
    }
    // Of one form, they have the order of their texts.
    assert!(created <= now && created[..4] >= *"2026", "{created} {now}");
}

#[test]
fn an_error_is_an_object_with_its_number_name_and_what_helps() {
    let name = TempName::new("json-error");
    let ran = run(&["inspect", &name, "--json"]);
    assert_eq!(ran.out, "");
    let error = &told(ran, 4)["error"];
    assert_eq!((&error["number"], &error["name"]), (&200.into(), &"no-such-queue".into()));
    assert_eq!(error["exit_code"], 4);
    assert!(error["text"].as_str().unwrap().starts_with("there is no queue"), "{error}");
    assert!(error["hints"][0].as_str().unwrap().starts_with("slipring create"), "{error}");

    run(&["create", &name, "--group", "g"]).quietly();
    let recv = ["recv", &name, "--group", "g", "--json"];
    let error = &told(run(&[&recv[..], &["--timeout", "0"]].concat()), 3)["error"];
    assert_eq!((&error["number"], &error["name"]), (&801.into(), &"recv-timeout".into()));

    // An argument that is refused while they are read, and one that is refused later.
    let error = &told(run(&[&recv[..], &["--raw"]].concat()), 2)["error"];
    assert_eq!((&error["name"], error.get("number")), (&"usage".into(), None));
    let error = &told(run(&[&recv[..], &["--capacity", "8"]].concat()), 2)["error"];
    assert_eq!((&error["name"], &error["exit_code"]), (&"usage".into(), &2.into()));
}

#[test]
fn what_is_told_besides_is_an_object_with_a_note() {
    let name = TempName::new("json-note");
    run(&["create", &name, "--group", "g", "--capacity", "4"]).quietly();
    feed(&["send", &name, "--close"], b"0\n").quietly();
    let note = told(run(&["recv", &name, "--group", "g", "--json"]), 0);
    let text = note["note"].as_str().unwrap();
    assert!(text.starts_with("queue") && text.contains("is closed"), "{text}");
}
