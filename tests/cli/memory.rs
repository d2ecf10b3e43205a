//! Whatever comes in, memory stays bounded, and a signal ends it.

use std::fs::File;
use std::process::Stdio;

use nix::sys::signal::Signal;

use super::common::TempName;
use super::tool::{Limit, Ran, Running, TempDir, command, limited, run};

/// Address space that is enough for the program and a small queue.
const ENOUGH: u64 = 128 << 20;
/// More than that.
const HUGE: u64 = 512 << 20;

/// Sends a file of zeros, of which the disk has none.
fn send_zeros(name: &str, args: &[&str], size: u64) -> Ran {
    let dir = TempDir::new(name);
    let path = dir.join("zeros");
    File::create(&path).unwrap().set_len(size).unwrap();
    let args = [&["send", name, path.to_str().unwrap(), "--verbose"], args].concat();
    let mut sender = command(&args);
    limited(&mut sender, Limit::Memory, ENOUGH).output().unwrap().into()
}

#[test]
fn a_line_that_is_larger_than_all_memory_is_cut() {
    let name = TempName::new("hugeline");
    run(&["create", &name, "--payload", "16", "--group", "g"]).quietly();
    let sent = send_zeros(&name, &["--truncate"], HUGE);
    sent.says(0, &["sent 1 messages, 16 B"]);
    send_zeros(&name, &[], HUGE).says(1, &["line 1 is longer than the 16 bytes"]);
    assert_eq!(
        run(&["recv", &name, "--group", "g", "--count", "1"]).quietly(),
        "\0".repeat(16) + "\n"
    );
}

#[test]
fn no_more_records_are_gathered_than_the_ring_takes() {
    let name = TempName::new("hugerecords");
    run(&["create", &name, "--payload", "1048576", "--capacity", "4", "--group", "g"]).quietly();
    let mut reader = Running::start_into(
        &["recv", &name, "--group", "g", "--raw"],
        Stdio::null(),
        File::options().write(true).open("/dev/null").unwrap(),
    );
    let sent = send_zeros(&name, &["--raw", "--batch", "65536", "--close"], HUGE);
    sent.says(0, &["sent 512 messages, 512.0 MiB"]);
    reader.close_output();
    reader.finish().quietly();
}

#[test]
fn a_line_without_end_goes_out_cut_and_a_signal_ends_its_sender() {
    for (args, signal, code) in [
        (&["--truncate"][..], Signal::SIGINT, 130),
        (&["--truncate", "--batch", "1"], Signal::SIGTERM, 143),
        (&["--raw", "--wait", "spin"], Signal::SIGINT, 130),
    ] {
        let name = TempName::new("endless");
        run(&["create", &name, "--payload", "3", "--group", "g"]).quietly();
        let mut sender = command(&[&["send", &name, "/dev/zero"], args].concat());
        let sender = Running::of(limited(&mut sender, Limit::Memory, ENOUGH));
        // The input goes on while the message is there.
        let recv = ["recv", &name, "--group", "g", "--count", "1", "--timeout", "60"];
        assert_eq!(run(&recv).quietly(), "\0\0\0\n");
        sender.signal(signal);
        sender.finish().says(code, &["sent "]);
    }
}

#[test]
fn the_demo_keeps_no_more_of_a_file_than_it_sends() {
    let dir = TempDir::new(&TempName::new("manylines"));
    let path = dir.join("lines");
    // Each of these lines would become 80 bytes.
    std::fs::write(&path, vec![b'\n'; 8 << 20]).unwrap();
    let args = ["demo", path.to_str().unwrap(), "--count", "1000", "--seconds", "0"];
    let mut demo = command(&args);
    let ran: Ran = limited(&mut demo, Limit::Memory, ENOUGH).output().unwrap().into();
    ran.says(0, &[]);
}
