//! The judge finds what a broken queue would leave. Each act of sabotage spoils a state, and must be found and named
//! correctly.

#![cfg(target_arch = "x86_64")]

use std::process::{Command, Output};

fn steps(args: &[&str]) -> (Output, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_steps")).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    (out, text)
}

/// A member of `work` has died in its claim, and the consumer of `store` holds a message and lives.
const CLAIM: [&str; 4] = ["--operation", "claim, shared", "--change", "4"];
/// The consumer of `store` has died with a claim, and only an observer lives.
const ALONE: [&str; 4] = ["--operation", "ack, exclusive", "--change", "0"];

/// A member of `work` has died before it left, and has counted what it acked.
const LEAVER: [&str; 4] = ["--operation", "leave, shared, and what it counted", "--change", "0"];

/// A producer of a stream has died after its second message.
const STREAM: [&str; 4] = ["--operation", "send from a stream", "--change", "20"];

#[track_caller]
fn is_found(act: &str, state: [&str; 4], finds: &str) {
    for order in ["consumers", "producer"] {
        let args = [&state[..], &["--order", order, "--sabotage", act]].concat();
        let (out, text) = steps(&args);
        assert_eq!(out.status.code(), Some(1), "{act} was not found:\n{text}{out:?}");
        assert!(text.contains(finds), "{act} was taken for something else:\n{text}");
        assert!(text.contains("  again: cargo run"), "nothing tells how to have it again:\n{text}");
    }
}

#[test]
fn what_nobody_has_spoilt_is_right() {
    for state in [CLAIM, ALONE, LEAVER, STREAM] {
        let (out, text) = steps(&state);
        assert!(out.status.success(), "{text}{out:?}");
        assert!(text.contains("| 2 | 0 |"), "two kills, no violation:\n{text}");
    }
}

#[test]
fn a_lost_message_is_found() {
    is_found("unpublish", CLAIM, "store lost: message 10 is not in its slot");
    is_found("skip", CLAIM, "4 is lost: store never acked it");
    is_found("forget", CLAIM, "4 is lost: work never acked it");
}

#[test]
fn a_message_that_is_not_whole_is_found() {
    is_found("garble", CLAIM, "store lost: message 10 is not whole");
    is_found("garble-acked", CLAIM, "observer: message 3 is not whole");
}

#[test]
fn a_message_that_comes_twice_is_found() {
    is_found("repeat", CLAIM, "store has acked 3, and it comes again");
    is_found("double", CLAIM, "work gets 4 twice");
    is_found("unmark", ALONE, "store was given 4, and it comes again unmarked");
}

#[test]
fn whoever_is_blocked_is_found() {
    is_found("keep-producer", CLAIM, "a new producer: ");
    is_found("keep-control", ALONE, "has been in the middle of a control operation");
    is_found("hold", CLAIM, "are live, and");
    is_found("lose-group", ALONE, "a new producer: there is room for");
}

#[test]
fn a_wrong_count_is_found() {
    is_found("miscount", LEAVER, "were acked or came again, and");
}

#[test]
fn a_wrong_source_is_found() {
    is_found("unsource", STREAM, "is from None, and was sent from Some");
    is_found("lower-last", STREAM, "lines has 1 as its last position");
    is_found("raise-last", STREAM, "lines has 4294967296 as its last position");
}

#[test]
fn what_is_left_behind_is_found() {
    is_found("litter", ALONE, r#"left behind: ["slipring-left"]"#);
}

#[test]
fn an_operation_that_is_not_there_is_an_error() {
    let (out, _) = steps(&["--operation", "pray"]);
    assert_eq!(out.status.code(), Some(2));
}
