use nix::sys::signal::Signal;

use super::tool::{Ran, Running, children_of, lives};

/// The queue of the demo that ran as this process.
fn queue_of(pid: u32) -> std::path::PathBuf {
    format!("/dev/shm/slipring.demo-{pid}").into()
}

fn demo(args: &[&str]) -> Ran {
    let running = Running::start(&[&["demo", "--count", "20000"], args].concat());
    let pid = running.pid();
    let ran = running.finish();
    assert!(!queue_of(pid).exists());
    ran
}

#[test]
fn the_demo_shows_that_every_group_received_every_message() {
    let ran = demo(&["--seconds", "1", "--rate", "1000"]);
    let ran = ran.says(0, &["full speed: 20,000 messages", "paced: 1,000 messages"]);
    for group in ["audit", "dashboard"] {
        let proof =
            format!("{group}: 21,000 of 21,000 messages, each once, in order, checksums good");
        assert!(ran.out.contains(&proof), "{}", ran.out);
    }
    for word in ["P99.9", "MISSED", "observer"] {
        assert!(ran.out.contains(word), "{}", ran.out);
    }
}

#[test]
fn the_demo_sends_a_file() {
    let path = std::env::temp_dir().join(format!("slipring-demo-{}", std::process::id()));
    std::fs::write(&path, "one\ntwo\n").unwrap();
    let ran = demo(&["--seconds", "0", path.to_str().unwrap()]);
    std::fs::write(&path, "").unwrap();
    let empty = demo(&[path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    ran.says(0, &[]);
    empty.says(1, &["no lines"]);
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let mut running = Running::start(&["demo", "--count", "1000", "--seconds", "600"]);
    let pid = running.pid();
    running.wait_for("paced");
    let children = children_of(pid);
    assert_eq!(children.len(), 4);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().code, Some(130));
    assert!(!queue_of(pid).exists());
    assert!(children.iter().all(|&child| !lives(child)));
}

#[test]
fn the_next_demo_removes_the_queue_of_a_killed_one() {
    let mut running = Running::start(&["demo", "--count", "1000", "--seconds", "600"]);
    let pid = running.pid();
    running.wait_for("paced");
    let children = children_of(pid);
    running.kill();
    while children.iter().any(|&child| lives(child)) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    demo(&["--seconds", "0"]).says(0, &[]);
    assert!(!queue_of(pid).exists());
}
