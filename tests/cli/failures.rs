use super::common::TempName;
use super::tool::{feed, run};

#[test]
fn an_unknown_queue_comes_with_the_command_that_makes_it() {
    let name = TempName::new("unknown");
    let create = format!("slipring create {} --capacity", &*name);
    for args in [
        &["send", &name][..],
        &["recv", &name, "--group", "g"],
        &["peek", &name, "--group", "g"],
        &["tail", &name],
        &["inspect", &name],
        &["group", "ls", &name, "--json"],
        &["group", "add", &name, "g"],
        &["group", "rm", &name, "g"],
    ] {
        let ran = run(args).says(4, &["there is no queue", &create]);
        let creates = matches!(args[0], "send" | "recv");
        assert_eq!(ran.err.contains("--create"), creates, "{args:?}");
        assert_eq!(ran.out, "");
    }
    run(&["rm", &name]).says(4, &["there is no queue", "slipring ls"]);
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let name = TempName::new("usage");
    for args in [
        &[][..],
        &["swim"],
        &["create"],
        &["create", "a/b"],
        &["create", &name, "--capacity", "0"],
        &["create", &name, "--payload", "16777217"],
        &["create", &name, "--group", "not a name"],
        &["send", &name, "--rate", "0"],
        &["send", &name, "--batch", "0"],
        &["send", &name, "--size", "8"],
        &["recv", &name],
        &["recv", &name, "--group", "g", "--from", "yesterday"],
        &["recv", &name, "--group", "g", "--timeout", "-1"],
        &["recv", &name, "--group", "g", "--json", "--raw"],
        &["send", &name, "--capacity", "8"],
        &["recv", &name, "--group", "g", "--create", "--exec", "cat", "--raw"],
        &["recv", &name, "--group", "g", "--create", "--exec", "cat", "--json"],
        &["recv", &name, "--group", "g", "--no-ack"],
        &["peek", &name],
        &["peek", &name, "--group", "g", "--json", "--raw"],
        &["recv", &name, "--group", "g", "--create", "--exec", "cat", "--batch", "1"],
        &["recv", &name, "--group", "g", "--create", "--exec", "cat", "--jobs", "2"],
        &["recv", &name, "--group", "g", "--create", "--shared", "--exec", "cat", "--jobs", "256"],
        &["recv", &name, "--group", "g", "--create", "--shared", "--jobs", "2"],
        &["recv", &name, "--group", "g", "--create", "--retry-delay", "2"],
        &["recv", &name, "--group", "g", "--create", "--exec", ""],
        &["recv", &name, "--group", "g", "--create", "--exec", "if"],
    ] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
    assert!(!name.path().exists());
}

#[test]
fn the_flag_of_recv_leads_to_the_option_of_create() {
    let name = TempName::new("option");
    run(&["create", &name, "--shared", "g"]).says(2, &["exists: '--shared-group'"]);
}

#[test]
fn a_queue_that_exists_is_not_made_again() {
    let name = TempName::new("twice");
    run(&["create", &name]).quietly();
    run(&["create", &name]).says(1, &["exists already", "slipring rm"]);
    run(&["group", "add", &name, "g"]).quietly();
    run(&["group", "add", &name, "g"]).says(1, &["exists already"]);
    run(&["group", "rm", &name, "h"]).says(4, &["no group", "slipring group ls"]);
}

#[test]
fn a_line_that_does_not_fit_is_named() {
    let name = TempName::new("long");
    run(&["create", &name, "--payload", "4", "--group", "g"]).quietly();
    feed(&["send", &name], b"1234\n\n12345\n6\n").says(1, &["line 3 ", "4 bytes", "--truncate"]);
    feed(&["send", &name, "--truncate"], b"abcdef\ng\nhijkl").quietly();
    let out = run(&["recv", &name, "--group", "g", "--count", "5"]).quietly();
    assert_eq!(out, "1234\n\nabcd\ng\nhijk\n");
}

#[test]
fn a_piece_of_a_record_is_refused_with_its_place() {
    let name = TempName::new("piece");
    run(&["create", &name, "--payload", "4", "--group", "g"]).quietly();
    feed(&["send", &name, "--raw"], b"abcdefghij").says(1, &["byte 8 has 2 of 4"]);
    feed(&["send", &name, "--raw", "--size", "5"], b"").says(2, &["--size 5"]);
    assert_eq!(
        run(&["recv", &name, "--group", "g", "--count", "2", "--raw"]).quietly(),
        "abcdefgh"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let name = TempName::new("nofile");
    run(&["create", &name]).quietly();
    run(&["send", &name, "/nonexistent/file"]).says(1, &["/nonexistent/file"]);
    run(&["demo", "/nonexistent/file"]).says(1, &["/nonexistent/file"]);
}

#[test]
fn waiting_in_vain_has_a_code_of_its_own() {
    let name = TempName::new("vain");
    run(&["create", &name, "--group", "g"]).quietly();
    let recv = ["recv", &name, "--group", "g", "--timeout", "0.05"];
    run(&recv).says(3, &["no message came within 0.05 s"]);
    run(&["tail", &name, "--timeout", "0.05"]).says(3, &["no message came"]);
    feed(&["send", &name], b"one\n").quietly();
    assert_eq!(run(&recv).says(3, &[]).out, "one\n");
    assert_eq!(run(&["recv", &name, "--group", "g", "--count", "0"]).quietly(), "");
}

#[test]
fn a_queue_of_another_shape_than_asked_for_is_used_with_a_word() {
    let name = TempName::new("shape");
    let send = |shape: &[&str]| feed(&[&["send", &name, "--create"], shape].concat(), b"x\n");
    send(&["--capacity", "60", "--payload", "8"]).says(0, &["has no group"]);
    let same = send(&["--capacity", "60"]);
    assert!(!same.err.contains("keeps its shape"), "{same:?}");
    let other = send(&["--capacity", "128", "--payload", "16", "--mode", "640"]);
    other.says(0, &["its capacity is 64, not 128", "payload size is 8, not 16", "is 600, not 640"]);
}

#[test]
fn a_group_of_the_other_mode_comes_with_the_flag_that_joins_it() {
    let name = TempName::new("mode");
    run(&["create", &name, "--group", "one", "--shared-group", "many"]).quietly();
    let recv = |group: &str, flags: &[&str]| {
        run(&[&["recv", &name, "--timeout", "0", "--group", group], flags].concat())
    };
    recv("many", &[]).says(1, &["is shared, not exclusive", "--shared joins it"]);
    recv("one", &["--shared"]).says(1, &["is exclusive, not shared", "leave out --shared"]);
}
