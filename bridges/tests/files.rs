//! The program with files in place of a broker: what is the same for every broker, without one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use slipring::{Group, Queue};

/// A queue and files of a test, which go away.
struct Place {
    queue: String,
    folder: PathBuf,
}

impl Place {
    fn new(what: &str) -> Place {
        let queue = format!("test-bridge-{what}-{}", std::process::id());
        let folder = std::env::temp_dir().join(&queue);
        fs::create_dir(&folder).unwrap();
        Place { queue, folder }
    }

    fn create(&self, capacity: u64, sources: usize) -> Queue {
        let builder = Queue::builder(&self.queue).capacity(capacity).payload_size(64).group("g");
        match sources {
            0 => builder.create().unwrap(),
            sources => builder.sources(sources).create().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn url(&self, name: &str) -> String {
        format!("file:{}", self.file(name).display())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn out(&self, more: &[&str]) -> Command {
        let to = self.url("out");
        command(&[&["out", &self.queue, "--group", "g", "--to", &to], more].concat())
    }

    fn in_(&self, more: &[&str]) -> Command {
        let from = self.url("in");
        command(&[&["in", &from, "--to", &self.queue], more].concat())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        for name in [self.queue.clone(), format!("{}.dead", self.queue)] {
            let _ = slipring::force_remove(&name);
        }
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring-bridge"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[track_caller]
fn says(command: Command, code: i32, words: &[&str]) -> String {
    let (found, out, err) = run(command);
    assert_eq!(found, code, "{err}");
    words.iter().for_each(|word| assert!(err.contains(word), "{word:?} is not in {err:?}"));
    out
}

/// The messages that wait for the group.
fn waiting(queue: &Queue) -> Vec<String> {
    let mut consumer = queue.consumer("g").unwrap();
    let mut found = Vec::new();
    while let Ok(message) = consumer.try_recv() {
        found.push(String::from_utf8(message.to_vec()).unwrap());
        message.ack().unwrap();
    }
    found
}

#[test]
fn a_closed_queue_is_sent_and_acked_whole() {
    let place = Place::new("out");
    let queue = place.create(4096, 0);
    let lines: Vec<String> = (0..3000).map(|n| format!("line {n}")).collect();
    let mut producer = queue.producer().unwrap();
    producer.send_slice(&lines).unwrap();
    producer.close().unwrap();
    says(place.out(&["--window", "7"]), 0, &["connected to file:"]);
    assert!(place.read("out").lines().eq(lines.iter()));
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn a_line_that_a_kill_has_cut_is_no_message() {
    let place = Place::new("torn");
    let queue = place.create(16, 0);
    let mut producer = queue.producer().unwrap();
    producer.send("two").unwrap();
    producer.close().unwrap();
    place.write("out", "one\nhalf of a li");
    says(place.out(&[]), 0, &[]);
    assert_eq!(place.read("out"), "one\ntwo\n");
}

#[test]
fn a_message_of_two_lines_stops_it_after_those_before_or_becomes_a_dead_letter() {
    let place = Place::new("poison");
    let queue = place.create(16, 0);
    let mut producer = queue.producer().unwrap();
    producer.send_slice(&["one", "two\nlines", "three"]).unwrap();
    producer.close().unwrap();
    says(place.out(&[]), 6, &["message 1 of queue", "newline", "--poison dead-letter"]);
    assert_eq!(place.read("out"), "one\n");
    assert_eq!(queue.snapshot().unwrap().groups[0].head, 1);
    says(place.out(&["--poison", "dead-letter"]), 0, &["made a dead letter of message 1"]);
    assert_eq!(place.read("out"), "one\nthree\n");
    let letters = Queue::open(&format!("{}.dead", place.queue)).unwrap();
    assert_eq!(letters.snapshot().unwrap().tail, 1);
}

#[test]
fn a_group_with_a_limit_of_attempts_is_refused() {
    let place = Place::new("limit");
    let queue = place.create(16, 0);
    queue.add_group(Group::named("limited").max_attempts(3)).unwrap();
    let to = place.url("out");
    let args = ["out", &place.queue, "--group", "limited", "--to", &to];
    says(command(&args), 1, &["after 3 deliveries", "slipring group add"]);
}

#[test]
fn lines_are_in_a_queue_with_sources_once_however_often_they_are_sent() {
    let place = Place::new("once");
    let queue = place.create(4096, 2);
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    place.write("in", &lines[..lines.find("500\n").unwrap()]);
    says(place.in_(&[]), 0, &[]);
    place.write("in", &lines);
    says(place.in_(&[]), 0, &[]);
    says(place.in_(&[]), 0, &[]);
    assert!(waiting(&queue).into_iter().eq((0..1000).map(|n| n.to_string())));
}

#[test]
fn without_sources_they_are_there_each_time() {
    let place = Place::new("again");
    let queue = place.create(64, 0);
    place.write("in", "a\nb\n");
    says(place.in_(&[]), 0, &[]);
    says(place.in_(&[]), 0, &[]);
    assert_eq!(waiting(&queue), ["a", "b", "a", "b"]);
}

#[test]
fn a_last_line_without_a_newline_is_refused_after_those_before() {
    let place = Place::new("cut");
    let queue = place.create(64, 2);
    place.write("in", "a\nb\nhal");
    says(place.in_(&[]), 5, &["last line has no newline"]);
    assert_eq!(waiting(&queue), ["a", "b"]);
}

#[test]
fn a_message_that_is_too_long_here_stops_it() {
    let place = Place::new("long");
    let queue = place.create(64, 2);
    place.write("in", &format!("a\n{}\nb\n", "x".repeat(65)));
    says(place.in_(&[]), 6, &["message 2 of stream", "65 bytes", "takes 64"]);
    says(place.in_(&["--poison", "dead-letter"]), 0, &["rejected message 2"]);
    assert_eq!(waiting(&queue), ["a", "b"]);
}

#[test]
fn an_envelope_comes_back_as_what_it_was() {
    let place = Place::new("envelope");
    let queue = place.create(64, 0);
    let payload = |queue: &Queue| queue.snapshot().unwrap().tail;
    place.write("in", "a\n");
    says(place.in_(&["--format", "envelope"]), 6, &["bytes, and the queue takes 64"]);
    drop(queue);
    slipring::force_remove(&place.queue).unwrap();
    let create = ["--create", "--payload", "4KiB", "--group", "g", "--format", "envelope"];
    says(place.in_(&create), 0, &[]);
    let queue = Queue::open(&place.queue).unwrap();
    assert_eq!(payload(&queue), 1);
    queue.producer().unwrap().close().unwrap();
    says(place.out(&["--format", "envelope"]), 0, &[]);
    assert_eq!(place.read("out"), "a\n");
}

#[test]
fn a_signal_ends_it_with_what_was_sent_acked() {
    let place = Place::new("signal");
    let queue = place.create(64, 0);
    queue.producer().unwrap().send_slice(&["a", "b"]).unwrap();
    let mut child = place.out(&[]).spawn().unwrap();
    let since = Instant::now();
    while queue.snapshot().unwrap().groups[0].depth > 0 {
        assert!(since.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(place.read("out"), "a\nb\n");
}

#[test]
fn counts_and_timeouts_end_it() {
    let place = Place::new("ends");
    let queue = place.create(64, 0);
    queue.producer().unwrap().send_slice(&["a", "b", "c"]).unwrap();
    says(place.out(&["--count", "2"]), 0, &[]);
    assert_eq!(place.read("out"), "a\nb\n");
    says(place.out(&["--timeout", "0.2"]), 3, &["no message came"]);
    assert_eq!(place.read("out"), "a\nb\nc\n");
}

#[test]
fn nobody_needs_to_read_what_it_says() {
    let place = Place::new("unread");
    let queue = place.create(64, 0);
    let mut producer = queue.producer().unwrap();
    producer.send_slice(&["a", "b"]).unwrap();
    producer.close().unwrap();
    let unread = || Stdio::from(std::io::pipe().unwrap().1);
    let mut dry_run = place.out(&["--dry-run"]);
    assert!(dry_run.stdout(unread()).status().unwrap().success());
    let mut out = place.out(&[]);
    assert!(out.stdout(unread()).stderr(unread()).status().unwrap().success());
    assert_eq!(place.read("out"), "a\nb\n");
    let url = place.url("out");
    place.write("plan", &format!("[[out]]\nqueue='{}'\ngroup='g'\nto='{url}'\n", place.queue));
    let mut check = command(&["check", place.file("plan").to_str().unwrap()]);
    assert!(check.stdout(unread()).status().unwrap().success());
    // An error keeps its exit code.
    let mut wrong = command(&["check", place.file("none").to_str().unwrap()]);
    assert_eq!(wrong.stderr(unread()).status().unwrap().code(), Some(2));
}

/// A terminal of 80 columns, and the program that has it as its standard error.
struct Terminal {
    child: std::process::Child,
    screen: fs::File,
    seen: String,
}

impl Terminal {
    fn of(mut command: Command) -> Terminal {
        let size = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let nix::pty::OpenptyResult { master, slave } = nix::pty::openpty(&size, None).unwrap();
        let child = command.env("TERM", "xterm").stderr(slave).spawn().unwrap();
        // The command has the other end as long as it lives.
        drop(command);
        Terminal { child, screen: master.into(), seen: String::new() }
    }

    fn wait_for(&mut self, words: &str) {
        let mut bytes = [0; 4096];
        while !self.seen.contains(words) {
            let count = self.screen.read(&mut bytes).unwrap_or(0);
            assert!(count > 0, "{words:?} was never shown: {:?}", self.seen);
            self.seen += &String::from_utf8_lossy(&bytes[..count]);
        }
    }
}

#[test]
fn a_terminal_shows_how_far_it_is_and_a_bar_towards_the_count() {
    let place = Place::new("terminal");
    let queue = place.create(64, 0);
    let mut producer = queue.producer().unwrap();
    producer.send_slice(&["a", "b"]).unwrap();
    let mut terminal = Terminal::of(place.out(&["--count", "3"]));
    // Notes have lines of their own.
    terminal.wait_for("connected to file:");
    terminal.wait_for(" 2/3 ");
    terminal.wait_for("connected 1/1, waiting 0");
    producer.send("c").unwrap();
    assert!(terminal.child.wait().unwrap().success());
    let mut terminal = Terminal::of(place.out(&["--count", "1", "--timeout", "60"]));
    producer.send("d").unwrap();
    assert!(terminal.child.wait().unwrap().success());
    terminal.wait_for("connected to file:");
    // Without a count there is no end to draw.
    let mut terminal = Terminal::of(place.out(&[]));
    producer.send("e").unwrap();
    terminal.wait_for(" 1 ");
    terminal.wait_for("connected 1/1, waiting 0");
    producer.close().unwrap();
    assert!(terminal.child.wait().unwrap().success());
    assert!(!terminal.seen.contains("1/0"));
}

#[test]
fn a_dry_run_shows_what_would_be_sent_and_changes_nothing() {
    let place = Place::new("dry");
    let queue = place.create(64, 0);
    queue.producer().unwrap().send_slice(&[(7, "a"), (0, "bc")]).unwrap();
    let before = queue.snapshot().unwrap();
    let out = says(place.out(&["--dry-run"]), 0, &[]);
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["kind"], &lines[0]["previous"]), (&7.into(), &serde_json::Value::Null));
    assert_eq!((&lines[1]["bytes"], &lines[1]["previous"]), (&2.into(), &1.into()));
    assert_eq!(lines[1]["message_id"], format!("{}-2", queue.group_stream("g")));
    assert_eq!(queue.snapshot().unwrap(), before);
    assert!(!place.file("out").exists());
}

#[test]
fn a_file_runs_several_bridges_and_check_says_what_is_wrong() {
    let place = Place::new("run");
    let queue = place.create(64, 2);
    queue.add_group("h").unwrap();
    place.write("in", "a\nb\n");
    let (name, from) = (&place.queue, place.url("in"));
    let (one, two) = (place.url("one"), place.url("two"));
    place.write(
        "plan.toml",
        &format!(
            "[[out]]\nqueue='{name}'\ngroup='g'\nto='{one}'\ncount=2\n[[out]]\nqueue='{name}'\ngroup='h'\nto='{two}'\n\
             count=2\n[[in]]\nurl='{from}'\nto='{name}'\n"
        ),
    );
    let plan = place.file("plan.toml").display().to_string();
    let out = says(command(&["check", &plan]), 0, &[]);
    assert!(out.contains("ok    sources") && !out.contains("WRONG"), "{out}");
    says(command(&["run", &plan]), 0, &[]);
    assert_eq!((place.read("one"), place.read("two")), ("a\nb\n".into(), "a\nb\n".into()));

    place.write("plan.toml", &format!("[[out]]\nqueue='{name}-none'\ngroup='g'\nto='{one}'\n"));
    let out = says(command(&["check", &plan, "--offline", "--json"]), 4, &["\"exit_code\":4"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["bridges"][0]["ok"], false);
    says(command(&["run", &plan]), 4, &["there is no queue"]);
    place.write("plan.toml", "[[out]]\nqeue='q'\n");
    says(command(&["run", &plan]), 2, &["qeue"]);
}

#[test]
fn what_cannot_be_is_wrong_usage_and_says_why() {
    let place = Place::new("usage");
    let _queue = place.create(16, 0);
    let out = |to: &str, more: &[&str]| {
        command(&[&["out", &place.queue, "--group", "g", "--to", to], more].concat())
    };
    says(out("amqp://u:secret@h", &[]), 2, &["must not have a password", "--password-env"]);
    says(out("http://h", &[]), 2, &["amqp://HOST:PORT/VHOST"]);
    says(out("amqp://h", &["--user", "u"]), 2, &["no password"]);
    says(out("amqp://h", &["--password-env", "NOT_THERE"]), 2, &["NOT_THERE"]);
    says(out("amqp://h", &["--exchange", "x", "--declare", "quorum"]), 2, &["--declare"]);
    says(command(&["in", "amqp://h", "--to", &place.queue]), 2, &["--from"]);
}
