//! What this process was started with: its standard streams, and signals that it is to ignore.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::common::TempName;
use super::tool::{
    Limit, Ran, Running, TempDir, command, feed, groups, ignoring, json, limited, numbers, run,
};

/// Runs it from a shell with a redirection.
fn redirected(args: &[&str], how: &str) -> Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" {how}"), env!("CARGO_BIN_EXE_slipring")]);
    let shell = shell.args(args).stdin(Stdio::null());
    shell.output().unwrap().into()
}

#[test]
fn without_an_output_nothing_is_taken() {
    let name = TempName::new("noout");
    run(&["create", &name, "--shared-group", "g"]).quietly();
    feed(&["send", &name, "--close"], b"one\n").quietly();
    let state = || {
        let mut look = json(&["inspect", &name, "--json"]);
        look["time"].take();
        look
    };
    let before = state();
    for (how, what) in
        [(">&-", "standard output is closed"), ("1</dev/null", "not open for writing")]
    {
        for args in [
            &["recv", &name, "--group", "g", "--shared"][..],
            &["peek", &name, "--group", "g"],
            &["recv", &name, "--group", "g", "--shared", "--exec", "true"],
            &["recv", &name, "--group", "other"],
            &["tail", &name, "--from", "oldest"],
            &["ls"],
            &["inspect", &name],
            &["group", "ls", &name],
            &["group", "ls", &name, "--watch", "--count", "1"],
            &["dead", "ls", &name],
            &["dead", "ls", &name, "--json"],
            &["dead", "show", &name],
            &["dead", "purge", &name],
            &["dead", "requeue", &name],
            &["demo", "--seconds", "0", "--count", "1"],
            &["bench", "wake"],
        ] {
            let ran = redirected(args, how).says(1, &[what, "> /dev/null"]);
            assert_eq!(ran.out, "", "{args:?}");
        }
    }
    let new = TempName::new("noout");
    redirected(&["recv", &new, "--group", "g", "--create"], ">&-").says(1, &["is closed"]);
    assert!(!new.path().exists());
    assert_eq!(state(), before);
    // What throws its output away on purpose may do so.
    redirected(&["recv", &name, "--group", "g", "--shared"], ">/dev/null").says(0, &[]);
    redirected(&["ls"], "1<>/dev/null").quietly();
}

#[test]
fn without_an_input_nothing_is_closed() {
    let name = TempName::new("noin");
    run(&["create", &name, "--group", "g"]).quietly();
    let closed = || json(&["inspect", &name, "--json"])["closed"].as_bool().unwrap();
    for how in ["<&-", "0>/dev/null"] {
        redirected(&["send", &name, "--close"], how).says(1, &["standard input is", "< /dev/null"]);
        assert!(!closed());
    }
    let new = TempName::new("noin");
    redirected(&["send", &new, "--create"], "<&-").says(1, &["is closed"]);
    assert!(!new.path().exists());
    // A file needs no standard input, and no input is an input.
    redirected(&["send", &name, "/dev/null"], "<&-").quietly();
    redirected(&["send", &name, "--close"], "0<>/dev/null").quietly();
    assert!(closed());
}

#[test]
fn nothing_takes_the_place_of_a_closed_stderr() {
    let name = TempName::new("noerr");
    run(&["create", &name, "--capacity", "2"]).quietly();
    // It warns, on stderr, that there is no group.
    let segment = std::fs::read(name.path()).unwrap().len();
    assert_eq!(redirected(&["send", &name, "/dev/null"], "2>&-").code, Some(0));
    assert_eq!(std::fs::read(name.path()).unwrap().len(), segment);
    run(&["inspect", &name]).quietly();
    run(&["group", "add", &name, "g"]).quietly();
    feed(&["send", &name], b"one\n").quietly();
    let ran = redirected(&["recv", &name, "--group", "g", "--count", "1", "--verbose"], "2>&-");
    assert_eq!((ran.code, &*ran.out), (Some(0), "one\n"));
}

#[test]
fn an_output_that_takes_nothing_is_an_error_everywhere() {
    let name = TempName::new("full");
    run(&["create", &name, "--shared-group", "g"]).quietly();
    feed(&["send", &name], b"bad\nleft\n").quietly();
    let worker = ["recv", &name, "--group", "g", "--shared", "--count", "1", "--exec", "exit 65"];
    run(&worker).says(0, &["rejected"]);
    let _letters = TempName::exactly(format!("{}.dead", &*name));
    for args in [
        &["peek", &name, "--group", "g"][..],
        &["recv", &name, "--group", "g", "--shared"],
        &["tail", &name, "--from", "oldest", "--count", "1"],
        &["ls"],
        &["ls", "--json"],
        &["inspect", &name],
        &["group", "ls", &name],
        &["group", "ls", &name, "--watch", "--json"],
        &["dead", "ls", &name],
        &["dead", "ls", &name, "--json"],
        &["dead", "show", &name],
    ] {
        redirected(args, ">/dev/full").says(1, &["cannot write to standard output: No space"]);
    }
    assert_eq!(groups(&name)[0]["acked"], 1);
}

#[test]
fn a_signal_that_was_ignored_stays_so() {
    let name = TempName::new("nohup");
    run(&["create", &name, "--group", "g"]).quietly();
    for (ignored, other, code) in [
        (Signal::SIGINT, Signal::SIGTERM, 143),
        (Signal::SIGTERM, Signal::SIGHUP, 129),
        (Signal::SIGHUP, Signal::SIGINT, 130),
    ] {
        let mut reader = command(&["recv", &name, "--group", "g"]);
        let mut reader = Running::of(ignoring(&mut reader, ignored));
        for text in ["one", "two", "three"] {
            feed(&["send", &name], format!("{text}\n").as_bytes()).quietly();
            assert_eq!(reader.lines(1), [text], "{ignored}");
            reader.signal(ignored);
        }
        reader.signal(other);
        reader.finish().says(code, &["received 3 messages"]);
    }
}

#[test]
fn lines_of_two_receivers_are_not_torn() {
    let name = TempName::new("torn");
    let groups = ["a", "b", "c", "d"].map(|group| ["--group", group]).concat();
    run(&[&["create", &name, "--capacity", "16384"], &groups[..]].concat()).quietly();
    // 97 bytes and a newline: no power of two is a multiple.
    let text: String = (0..10_000).map(|number| format!("{number:097}\n")).collect();
    feed(&["send", &name, "--close"], text.as_bytes()).quietly();
    for (groups, form) in [(["a", "b"], &[][..]), (["c", "d"], &["--json"])] {
        let (from, to) = std::io::pipe().unwrap();
        let receivers = groups.map(|group| {
            let args = ["recv", &name, "--group", group];
            let mut command = command(&[&args[..], form].concat());
            Running::of(command.stdout(to.try_clone().unwrap()))
        });
        drop(to);
        let mut seen = vec![0; 10_000];
        for got in BufReader::new(from).lines() {
            let got = got.unwrap();
            let text = got.split("\"payload\":\"").last().unwrap().trim_end_matches("\"}");
            let number = text.parse::<usize>().ok().filter(|_| text.len() == 97);
            let place = number.and_then(|number| seen.get_mut(number));
            *place.unwrap_or_else(|| panic!("torn: {got:?}")) += 1;
        }
        for receiver in receivers {
            receiver.finish().says(0, &[]);
        }
        assert!(seen.iter().all(|times| *times == 2));
    }
}

/// Receives into a file until it may not grow any more.
fn fill(name: &str, file: File, limit: u64) -> Ran {
    let mut reader = command(&["recv", name, "--group", "g", "--timeout", "0.05"]);
    let reader = ignoring(reader.stdout(file), Signal::SIGXFSZ);
    limited(reader, Limit::FileSize, limit).output().unwrap().into()
}

#[test]
fn a_file_that_cannot_grow_ends_with_a_whole_message() {
    let dir = TempDir::new(&TempName::new("half"));
    let path = dir.join("out");
    let append = || File::options().append(true).create(true).open(&path).unwrap();
    let expected = numbers(100_000..100_400);
    for appends in [false, true] {
        let name = TempName::new("half");
        run(&["create", &name, "--group", "g"]).quietly();
        feed(&["send", &name], expected.as_bytes()).quietly();
        let _ = std::fs::remove_file(&path);
        let file = if appends { append() } else { File::create(&path).unwrap() };
        // 142 lines and six bytes.
        fill(&name, file, 1000).says(1, &["cannot write", "6 bytes of one more were cut off"]);
        let kept = std::fs::read_to_string(&path).unwrap();
        assert_eq!(kept, numbers(100_000..100_142));
        // What was not acked comes again, and each line is whole.
        fill(&name, append(), 1 << 20).says(3, &[]);
        let all = std::fs::read_to_string(&path).unwrap();
        assert_eq!(all, kept + &expected);
    }
}

#[test]
fn half_a_message_in_a_file_of_others_is_left_and_told() {
    let dir = TempDir::new(&TempName::new("others"));
    let path = dir.join("out");
    let name = TempName::new("others");
    run(&["create", &name, "--group", "g"]).quietly();
    feed(&["send", &name], numbers(100_000..100_400).as_bytes()).quietly();
    let append = || File::options().append(true).create(true).open(&path).unwrap();
    let _other = append();
    let how = format!("truncate -s 994 {path:?}");
    fill(&name, append(), 1000).says(1, &["half a message, 6 bytes", &how]);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1000);
    assert_eq!(groups(&name)[0]["acked"], 0);
}
