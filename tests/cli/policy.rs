//! When a group gives messages up, and where they go then.

use super::common::TempName;
use super::tool::{feed, groups, run};

/// Limit, if there is one, and dead-letter queue of each group.
fn policies(name: &str) -> Vec<(String, Option<u64>, String)> {
    let groups = groups(name);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let policy = |group: &serde_json::Value| {
        let limit = group["max_attempts"].as_u64();
        (text(&group["name"]), limit, text(&group["dead_letters"]))
    };
    groups.as_array().unwrap().iter().map(policy).collect()
}

#[test]
fn groups_have_the_policy_that_they_were_made_with() {
    let (name, plain) = (TempName::new("policy"), TempName::new("plain"));
    let default = |name: &str| format!("{name}.dead");
    run(&["create", &plain, "--group", "a", "--shared-group", "b"]).quietly();
    let expected =
        [("a".to_owned(), None, default(&plain)), ("b".to_owned(), Some(5), default(&plain))];
    assert_eq!(policies(&plain), expected);
    let make = ["create", &name, "--group", "a", "--shared-group", "b", "--max-attempts", "3"];
    run(&[&make[..], &["--dead-letters", "graves"]].concat()).quietly();
    run(&["group", "add", &name, "c", "--shared", "--max-attempts", "0"]).quietly();
    run(&["group", "add", &name, "d", "--dead-letters", "tombs"]).quietly();
    let receive = ["recv", &name, "--create", "--group", "e", "--shared", "--max-attempts", "254"];
    run(&[&receive[..], &["--timeout", "0"]].concat()).says(3, &["made group"]);
    let expected =
        [("a", Some(3), "graves"), ("b", Some(3), "graves"), ("c", None, ""), ("d", None, "tombs")];
    let mut expected = expected.map(|(group, n, to)| (group.to_owned(), n, to.to_owned())).to_vec();
    expected.push(("e".to_owned(), Some(254), String::new()));
    for (_, _, to) in &mut expected {
        if to.is_empty() {
            *to = default(&name);
        }
    }
    assert_eq!(policies(&name), expected);
    let out = run(&["group", "ls", &name]).quietly();
    assert!(out.contains("dead letters go to tombs"), "{out}");
}

#[test]
fn a_group_that_exists_keeps_its_policy_and_says_so() {
    let name = TempName::new("keeps");
    run(&["create", &name, "--shared-group", "work"]).quietly();
    feed(&["send", &name], b"0\n1\n").quietly();
    let before = policies(&name);
    let receive = ["recv", &name, "--group", "work", "--shared", "--create", "--count", "1"];
    let flags = ["--max-attempts", "9", "--dead-letters", "graves", "--from", "newest"];
    let ran = run(&[&receive[..], &flags].concat()).says(
        0,
        &[
            "starts at message 0",
            "only a new group takes --from and --max-attempts and --dead-letters",
        ],
    );
    assert_eq!(ran.out, "0\n");
    let ran = run(&[&receive[..], &flags[..2]].concat());
    ran.says(0, &["only a new group takes --max-attempts"]);
    assert_eq!(policies(&name), before);
}

#[test]
fn a_policy_that_cannot_be_is_wrong_usage() {
    let name = TempName::new("nopolicy");
    for args in [
        &["create", &name, "--group", "g", "--max-attempts", "255"][..],
        &["create", &name, "--group", "g", "--max-attempts", "-1"],
        &["create", &name, "--group", "g", "--dead-letters", "a/b"],
    ] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
    run(&["create", &name, "--max-attempts", "3"]).says(2, &["--group or --shared-group"]);
    assert!(!name.path().exists());
    run(&["create", &name]).quietly();
    let add = ["group", "add", &name, "g", "--dead-letters", ""];
    run(&add).says(2, &["is not a queue name"]);
}

/// The queue for its dead letters has five bytes more than its own name.
#[test]
fn a_name_too_long_for_its_dead_letters_is_told_with_what_helps() {
    let name = TempName::long(196);
    let letters = TempName::new("short");
    let create = ["create", &name, "--shared-group", "g"];
    let words =
        ["dead letters of group \"g\"", "has 201 bytes, and 200 are allowed", "--dead-letters"];
    run(&create).says(2, &words);
    assert!(!name.path().exists());
    run(&[&create[..], &["--dead-letters", &letters]].concat()).quietly();
    let add = ["group", "add", &name, "h", "--shared", "--in-flight", "0"];
    run(&add).says(2, &words[1..]);
    run(&[&add[..], &["--max-attempts", "0"]].concat()).quietly();
}
