//! `top` on a terminal: a real one, by tmux(1), where that is installed.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use slipring::{Group, Queue};

use super::common::TempName;
use super::tool::{Running, TempDir, feed, json, parsed, run};

/// A tmux server of its own, with one window that a program runs in. It ends when this is dropped.
struct Screen {
    dir: TempDir,
}

impl Screen {
    /// `None` where there is no tmux.
    fn start(test: &str, args: &[&str], columns: u16, lines: u16) -> Option<Screen> {
        let there = Command::new("tmux").arg("-V").stdout(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            println!("skipped: there is no tmux here");
            return None;
        }
        let screen = Screen { dir: TempDir::new(&format!("{test}-{}", std::process::id())) };
        let (columns, lines) = (columns.to_string(), lines.to_string());
        // The shell stays, so that what is printed after the program's end can be read.
        let program = env!("CARGO_BIN_EXE_slipring");
        let line = format!("{program} {}; echo ended $?; exec cat", args.join(" "));
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &lines, &line]);
        Some(screen)
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.dir.join("socket")).args(args);
        let ran = tmux.env("LC_ALL", "C.UTF-8").env_remove("TMUX").output().unwrap();
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn resize(&self, columns: &str, lines: &str) {
        self.tmux(&["resize-window", "-x", columns, "-y", lines]);
    }

    /// Waits until all of this is on the screen.
    #[track_caller]
    fn shows(&self, words: &[&str]) -> String {
        let since = Instant::now();
        loop {
            let text = self.text();
            if words.iter().all(|word| text.contains(word)) {
                return text;
            }
            assert!(since.elapsed() < Duration::from_secs(120), "{words:?} is not on\n{text}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut tmux = Command::new("tmux");
        let _ = tmux.arg("-S").arg(self.dir.join("socket")).arg("kill-server").output();
    }
}

#[test]
fn top_obeys_keys_and_follows_the_size_of_its_terminal() {
    let name = TempName::new("top");
    run(&[
        "create",
        &name,
        "--capacity",
        "8",
        "--group",
        "audit",
        "--shared-group",
        "work",
        "--in-flight",
        "0",
    ])
    .quietly();
    feed(&["send", &name], b"0\n1\n2\n3\n4\n5\n6\n7\n").quietly();
    let queue = Queue::open(&name).unwrap();
    let mut member = queue.consumer(Group::named("work").shared()).unwrap();
    let held = member.recv_batch(2).unwrap();
    let args = ["top", &name, "--interval", "0.2"];
    let Some(screen) = Screen::start("top-keys", &args, 80, 24) else { return };
    let text = screen.shows(&["slipring top", "1 queue", "ERROR", "100%", "audit", "work"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    screen.shows(&["do: slipring recv", "the ring is full"]);
    // The member's row: its pid, and what it holds.
    screen.press(&["/", "w", "o", "r", "k", "Enter"]);
    screen.shows(&["0 warnings  /work"]);
    screen.press(&["Enter"]);
    screen.shows(&[
        "esc back",
        &std::process::id().to_string(),
        "0..1",
        "depth 8 = 6 ready + 2 unacked",
    ]);
    screen.press(&["Escape"]);
    screen.shows(&["q quit"]);
    screen.press(&["?"]);
    screen.shows(&["look twice, or half, as often"]);
    screen.press(&["?", "+"]);
    screen.shows(&["every 0.1 s"]);
    screen.press(&["p"]);
    screen.shows(&["PAUSED"]);
    screen.press(&["p", "s"]);
    screen.shows(&["sort (name)"]);
    screen.resize("140", "50");
    let text = screen.shows(&["CAPACITY", "PRODUCER", "EVENTS", "RECORD"]);
    assert!(text.lines().any(|line| line.chars().count() > 100), "{text}");
    screen.resize("30", "6");
    screen.shows(&["too small"]);
    screen.resize("80", "24");
    screen.shows(&["UNACKED", "q quit"]);
    drop(held);
    screen.press(&["q"]);
    // It leaves the terminal as it was.
    let text = screen.shows(&["ended 0"]);
    assert!(!text.contains("slipring top"), "{text}");
}

#[test]
fn top_goes_on_when_a_queue_vanishes_and_comes_back() {
    let name = TempName::new("top-gone");
    run(&["create", &name, "--group", "g"]).quietly();
    let args = ["top", &name, "--interval", "0.1"];
    let Some(screen) = Screen::start("top-gone", &args, 100, 30) else { return };
    screen.shows(&["1 queue,", "nothing is wrong"]);
    run(&["rm", &name]).quietly();
    screen.shows(&["is gone; waiting", "0 queues"]);
    run(&["create", &name, "--group", "again"]).quietly();
    screen.press(&["e"]);
    screen.shows(&["1 queue,", "again", "the queue is gone", "the queue was made"]);
    screen.press(&["C-c"]);
    screen.shows(&["ended 0"]);
}

#[test]
fn top_restores_the_terminal_after_a_signal() {
    let name = TempName::new("top-signal");
    run(&["create", &name, "--group", "g"]).quietly();
    let Some(screen) = Screen::start("top-signal", &["top", &name], 80, 24) else { return };
    screen.shows(&["nothing is wrong"]);
    let pid = screen.tmux(&["list-panes", "-F", "#{pane_pid}"]);
    let children = super::tool::children_of(pid.trim().parse().unwrap());
    let top = nix::unistd::Pid::from_raw(children[0] as i32);
    nix::sys::signal::kill(top, nix::sys::signal::Signal::SIGTERM).unwrap();
    let text = screen.shows(&["ended 143"]);
    assert!(!text.contains("nothing is wrong"), "{text}");
}

#[test]
fn top_works_without_a_terminal() {
    let name = TempName::new("top-once");
    run(&["create", &name, "--capacity", "8", "--group", "audit"]).quietly();
    feed(&["send", &name], b"0\n1\n").quietly();
    let once = run(&["top", &name, "--once", "--interval", "0.1"]).quietly();
    for words in ["slipring top", "audit", "WARNING", "do: slipring recv"] {
        assert!(once.contains(words), "{words:?} is not in {once}");
    }
    assert!(!once.contains('\x1b'), "{once}");
    let look = json(&["top", &name, "--json", "--once", "--interval", "0.1"]);
    assert_eq!(look["queues"][0]["groups"][0]["ready"], 2);
    let mut going = Running::start(&["top", &name, "--json", "--interval", "0.1"]);
    going.lines(2).iter().for_each(|line| assert_eq!(parsed(line)["queues"][0]["name"], *name));
    drop(going);
    run(&["top", &name]).says(2, &["no", "terminal", "--once", "--json"]);
    run(&["top", "there-is-none", "--once"]).says(4, &["there is no queue"]);
}
