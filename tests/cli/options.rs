//! Whose queues are opened, and what a new one has room for.

use std::os::unix::fs::PermissionsExt;

use super::common::TempName;
use super::tool::{Ran, feed, json, run};

/// Makes user 12345 the owner. Only root may: others are told so, and skip.
fn give_away(name: &TempName) -> bool {
    let given = std::os::unix::fs::chown(name.path(), Some(12345), None).is_ok();
    if !given {
        println!("skipped: this user may give no file away");
    }
    given
}

#[test]
fn a_queue_of_another_user_is_opened_if_the_user_is_allowed() {
    let name = TempName::new("foreign");
    run(&["create", &name, "--group", "g", "--mode", "666"]).quietly();
    if !give_away(&name) {
        return;
    }
    let allowed =
        |args: &[&str]| run(&[args, &["--allow-uid", "7", "--allow-uid", "12345"]].concat());
    let refused = |ran: Ran| ran.says(1, &["user 12345", "--allow-uid 12345"]);
    refused(feed(&["send", &name], b"one\n"));
    feed(&["send", &name, "--allow-uid", "12345"], b"one\ntwo\n").quietly();
    feed(&["send", &name, "--create", "--allow-uid", "12345"], b"three\n").quietly();
    let recv = ["recv", &name, "--group", "g", "--count", "1"];
    refused(run(&recv));
    assert_eq!(allowed(&recv).quietly(), "one\n");
    let exec = ["recv", &name, "--group", "g", "--count", "1", "--exec", "cat"];
    refused(run(&exec));
    assert_eq!(allowed(&exec).with_totals_only(), "two");
    refused(run(&["group", "add", &name, "h"]));
    allowed(&["group", "add", &name, "h"]).quietly();
    refused(run(&["group", "rm", &name, "h"]));
    allowed(&["group", "rm", &name, "h", "--force"]).quietly();
    refused(run(&["dead", "purge", "none", "--dead-letters", &name]));
    allowed(&["dead", "purge", "none", "--dead-letters", &name, "--count", "0"]).quietly();
    refused(run(&["rm", &name]));
    allowed(&["rm", &name, "--force"]).quietly();
    assert!(!name.path().exists());
}

#[test]
fn a_full_table_is_told_with_the_option_for_a_larger_one() {
    let name = TempName::new("tables");
    run(&[
        "create",
        &name,
        "--max-groups",
        "1",
        "--max-consumers",
        "1",
        "--shared-group",
        "a",
        "--in-flight",
        "0",
    ])
    .quietly();
    let look = json(&["inspect", &name, "--json"]);
    assert_eq!((look["max_groups"].as_u64(), look["max_consumers"].as_u64()), (Some(1), Some(1)));
    run(&["group", "add", &name, "b"]).says(1, &["all its 1 group records", "--max-groups N"]);
    let worker = ["recv", &name, "--group", "a", "--shared", "--exec", "cat", "--jobs", "2"];
    run(&worker).says(1, &["has 1 consumer records", "--max-consumers N"]);
}

#[test]
fn times_and_sizes_may_have_units() {
    let name = TempName::new("units");
    run(&["create", &name, "--payload", "4KiB", "--group", "g"]).quietly();
    assert_eq!(json(&["inspect", &name, "--json"])["payload_size"], 4096);
    let recv = ["recv", &name, "--group", "g", "--timeout", "50ms"];
    run(&recv).says(3, &["no message came within 0.05 s"]);
    run(&[&recv[..4], &["--timeout", "2 weeks"]].concat()).says(2, &["500ms, 30s or 2m"]);
    run(&["create", "none", "--payload", "1GiB"]).says(2, &["1 to 16777216 (16.0 MiB)"]);
}

#[test]
fn permissions_are_set_exactly() {
    let name = TempName::new("mode");
    let mode = |name: &TempName| name.path().metadata().unwrap().permissions().mode() & 0o7777;
    run(&["create", &name]).quietly();
    assert_eq!(mode(&name), 0o600);
    run(&["rm", &name]).quietly();
    run(&["create", &name, "--mode", "662"]).quietly();
    assert_eq!(mode(&name), 0o662);
    run(&["rm", &name]).quietly();
    feed(&["send", &name, "--create", "--mode", "0640", "--max-groups", "2"], b"").says(0, &[]);
    assert_eq!(mode(&name), 0o640);
    run(&["rm", &name]).quietly();
    for wrong in ["400", "60", "1600", "rw", "888", "-600"] {
        assert_eq!(run(&["create", &name, "--mode", wrong]).code, Some(2), "{wrong}");
    }
    for wrong in ["0", "64"] {
        assert_eq!(run(&["create", &name, "--max-groups", wrong]).code, Some(2), "{wrong}");
    }
    run(&["send", &name, "--mode", "660"]).says(2, &["--mode", "--create"]);
    assert!(!name.path().exists());
}

#[test]
fn root_may_look_at_what_waits_in_another_user_s_queues() {
    let name = TempName::new("root-looks");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--shared-group", "g"]).quietly();
    feed(&["send", &name], b"bad\ngood\n").quietly();
    run(&["recv", &name, "--group", "g", "--shared", "--count", "1", "--exec", "exit 65"]);
    if !(give_away(&name) && give_away(&letters)) {
        return;
    }
    assert_eq!(run(&["peek", &name, "--group", "g"]).quietly(), "good\n");
    assert!(run(&["dead", "ls", &name]).quietly().contains("rejected"));
    assert_eq!(run(&["dead", "show", &name, "0"]).says(0, &["message 0"]).out, "bad");
    assert_eq!(json(&["dead", "show", &name, "--json"])["payload"], "bad");
    // To look is all it may.
    for work in ["purge", "requeue"] {
        run(&["dead", work, &name]).says(1, &["user 12345", "--allow-uid 12345"]);
    }
}
