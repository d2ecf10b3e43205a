//! Another language on the same queue: the reader and the consumer in tests/python, which were written from
//! docs/layout.md alone, with this library on the other side. What fails here may be that document.
//!
//! Without python3 these tests say so and pass, unless SLIPRING_NEEDS_PYTHON is set, as in the gate.

// tests/python knows the memory order of x86-64 only, and refuses to run elsewhere.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use common::child::{Child, hear, role, tell};
use common::{TempName, message, words};
use serde_json::{Value, json};
use slipring::{Group, JoinError, OpenError, OpenOptions, Queue, RecvError, Retention, WakeMode};

const TOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/tool.py");
const MODES: [WakeMode; 3] = [WakeMode::None, WakeMode::Membarrier, WakeMode::Fence];
/// Bytes of the longest message here.
const LONGEST: usize = 100;

/// Whether there is a python3.
fn has_python() -> bool {
    let runs =
        Command::new("python3").arg("--version").output().is_ok_and(|out| out.status.success());
    let needed = std::env::var_os("SLIPRING_NEEDS_PYTHON").is_some();
    assert!(runs || !needed, "python3 is missing, and SLIPRING_NEEDS_PYTHON is set");
    if !runs {
        eprintln!("skipped: python3 is missing, so nothing was tested");
    }
    runs
}

/// A python3 that runs tests/python/tool.py. It is killed when this is dropped.
struct Python {
    process: std::process::Child,
    input: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Python {
    fn start(args: &[&str]) -> Python {
        let mut command = Command::new("python3");
        // Without -B, it would write its bytecode beside the source.
        command.args(["-B", TOOL]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Python { input: process.stdin.take(), process, lines }
    }

    /// Starts a consumer, which has joined when this returns.
    fn consumer(queue: &str, group: &str, more: &[&str]) -> Python {
        let mut python = Python::start(&[&["consume", queue, group], more].concat());
        let joined = python.line().unwrap_or_else(|| panic!("{}", python.complaint()));
        assert!(joined["joined"].is_u64(), "{joined}");
        python
    }

    /// What it prints next; `None` once it has ended.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).unwrap();
        (read > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    fn expect(&mut self, expected: &Value) {
        assert_eq!(self.line().unwrap_or_else(|| panic!("{}", self.complaint())), *expected);
    }

    /// Its next line must be the message of this sequence, of those that `send` sends from `base` on.
    fn expect_sent(&mut self, base: u64, sequence: u64, attempts: Option<u64>) {
        self.expect(&sent(sequence - base, sequence, attempts));
    }

    fn say(&mut self, text: &str) {
        writeln!(self.input.as_mut().unwrap(), "{text}").unwrap();
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Waits for its end, which must be a success.
    fn finish(mut self) {
        self.input = None;
        assert_eq!(self.line(), None);
        let complaint = self.complaint();
        assert!(self.process.wait().unwrap().success(), "{complaint}");
    }

    /// Waits for its end, which must be a failure that says `text`.
    fn fail(mut self, text: &str) {
        self.input = None;
        let complaint = self.complaint();
        assert_eq!(self.line(), None);
        assert_eq!(self.process.wait().unwrap().code(), Some(1), "{complaint}");
        assert!(complaint.starts_with("error: ") && complaint.contains(text), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What Python says of a queue.
fn show(queue: &str) -> Value {
    let mut python = Python::start(&["show", queue]);
    let shown = python.line().unwrap_or_else(|| panic!("{}", python.complaint()));
    python.finish();
    shown
}

fn kind(n: u64) -> u32 {
    (n as u32).wrapping_mul(0x0101_0101)
}

/// How Python prints a message.
fn printed(sequence: u64, attempts: Option<u64>, kind: u32, payload: &[u8]) -> Value {
    let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "sequence": sequence, "attempts": attempts, "kind": kind, "payload": hex })
}

/// The same of message `n` of a test.
fn sent(n: u64, sequence: u64, attempts: Option<u64>) -> Value {
    printed(sequence, attempts, kind(n), &message(n, LONGEST))
}

/// Sends message `n` of a test.
fn send(producer: &mut slipring::Producer, n: u64) {
    producer.send((kind(n), &message(n, LONGEST)[..])).unwrap();
}

/// Removes the queue, and looks that nothing of its name is left.
fn nothing_is_left(name: TempName) {
    let own = format!("slipring.{}", &*name);
    drop(name);
    let files = std::fs::read_dir("/dev/shm").unwrap();
    let left: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    let left: Vec<_> =
        left.iter().filter(|file| file.to_string_lossy().starts_with(&own)).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Not a test: what the processes of this library do.
#[test]
fn roles() {
    let Some(role) = role() else { return };
    let (what, name, n) = (role[0].as_str(), role[1].as_str(), role[2].parse::<u64>().unwrap());
    let queue = Queue::open(name).unwrap();
    match what {
        "send-and-close" => {
            let mut producer = queue.producer().unwrap();
            tell("attached");
            (0..n).for_each(|n| send(&mut producer, n));
            producer.close().unwrap();
        }
        // Prints what it receives, and acks it.
        "receive" => {
            let mut consumer = queue.consumer("g").unwrap();
            for _ in 0..n {
                let received = consumer.recv().unwrap();
                tell(format!("{} {}", received.sequence(), received.attempts()));
                received.ack().unwrap();
            }
        }
        "join" => {
            let consumer = queue.consumer("g").unwrap();
            tell("joined");
            hear();
            drop(consumer);
        }
        role => panic!("there is no role {role}"),
    }
}

#[test]
fn python_consumes_what_a_producer_sends_and_ends_with_it() {
    const BASE: u64 = 1000;
    const SENT: u64 = 200;
    if !has_python() {
        return;
    }
    for mode in MODES {
        let name = TempName::new("python-consumes");
        let shape = Queue::builder(&name).capacity(8).payload_size(LONGEST).base_sequence(BASE);
        let queue = shape.wake_mode(mode).group("g").create().unwrap();
        // It waits before the first message comes, and the producer waits for its acks, many times.
        let mut python = Python::consumer(&name, "g", &[]);
        let mut producer = Child::start(&format!("send-and-close {} {SENT}", &*name));
        producer.expect("attached");
        for n in 0..SENT {
            python.expect_sent(BASE, BASE + n, Some(1));
        }
        assert_eq!(python.line(), Some(json!({ "closed": BASE + SENT })));
        python.finish();
        producer.finish();
        let snapshot = queue.snapshot().unwrap();
        let group = &snapshot.groups[0];
        assert_eq!((group.head, group.depth, group.unacked), (BASE + SENT, 0, 0));
        assert_eq!((group.acked, group.redelivered, group.members.len()), (SENT, 0, 0));
        drop(queue);
        nothing_is_left(name);
    }
}

/// The longest message, the shortest, and one that just fits a line.
#[test]
fn python_reads_messages_of_every_size() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-sizes");
    let queue = Queue::builder(&name).capacity(4).payload_size(5000).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut python = Python::consumer(&name, "g", &[]);
    for (n, size) in [0, 1, 47, 48, 49, 4096, 4999, 5000].into_iter().enumerate() {
        let payload: Vec<u8> = (0..size).map(|i| (i * 7 + n) as u8).collect();
        let kind = u32::MAX - n as u32;
        producer.send((kind, &payload[..])).unwrap();
        python.expect(&printed(n as u64, Some(1), kind, &payload));
    }
    producer.close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": 8 })));
    python.finish();
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn python_observes_each_message_that_is_there_and_counts_the_others() {
    const BASE: u64 = 1000;
    const CAPACITY: u64 = 64;
    if !has_python() {
        return;
    }
    // With a group that keeps everything, across the ring's end: 1000 & 63 is 40.
    let name = TempName::new("python-observes");
    let shape = Queue::builder(&name).capacity(CAPACITY).payload_size(LONGEST);
    let queue = shape.base_sequence(BASE).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut python = Python::start(&["observe", &name]);
    assert_eq!(python.line(), Some(json!({ "from": BASE })));
    for n in 0..CAPACITY {
        send(&mut producer, n);
        python.expect_sent(BASE, BASE + n, None);
    }
    producer.close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": BASE + CAPACITY, "missed": 0 })));
    python.finish();
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.acked), (CAPACITY, 0), "an observer changes nothing");
    drop(queue);
    nothing_is_left(name);

    // Without groups nothing waits for it, and some slots are taken back already for what was to come.
    let name = TempName::new("python-misses");
    let queue = Queue::builder(&name).capacity(CAPACITY).payload_size(LONGEST).create().unwrap();
    let mut producer = queue.producer().unwrap();
    const SENT: u64 = 5 * CAPACITY + 7;
    (0..SENT).for_each(|n| send(&mut producer, n));
    producer.close().unwrap();
    let mut python = Python::start(&["observe", &name]);
    let from = SENT - CAPACITY;
    assert_eq!(python.line(), Some(json!({ "from": from })));
    let first = python.line().unwrap()["sequence"].as_u64().unwrap();
    assert!(first < from + 16, "{first}: no more than 16 are taken back");
    for sequence in first + 1..SENT {
        python.expect_sent(0, sequence, None);
    }
    assert_eq!(python.line(), Some(json!({ "closed": SENT, "missed": first - from })));
    python.finish();
    drop(queue);
    nothing_is_left(name);
}

/// The producer waits for nobody, so it overwrites what the observer is about to read.
#[test]
fn python_observes_only_whole_messages_beside_a_producer_that_overwrites() {
    const SENT: u64 = 30_000;
    if !has_python() {
        return;
    }
    let name = TempName::new("python-lapped");
    let queue = Queue::builder(&name).capacity(16).payload_size(LONGEST).create().unwrap();
    let mut python = Python::start(&["observe", &name]);
    assert_eq!(python.line(), Some(json!({ "from": 0 })));
    let mut producer = Child::start(&format!("send-and-close {} {SENT}", &*name));
    producer.expect("attached");
    let (mut seen, mut next) = (0, 0);
    let end = loop {
        let line = python.line().unwrap_or_else(|| panic!("{}", python.complaint()));
        let Some(sequence) = line["sequence"].as_u64() else { break line };
        assert!(sequence >= next, "{sequence} after {next}");
        assert_eq!(line, sent(sequence, sequence, None));
        (seen, next) = (seen + 1, sequence + 1);
    };
    assert_eq!(end, json!({ "closed": SENT, "missed": SENT - seen }));
    python.finish();
    producer.finish();
    drop(queue);
    nothing_is_left(name);
}

/// A producer that has said that it sleeps, and is stopped then, so that it cannot find the room by itself.
#[test]
fn an_ack_by_python_takes_the_producers_bit_and_counts_a_wake_up() {
    if !has_python() {
        return;
    }
    for mode in [WakeMode::Membarrier, WakeMode::Fence] {
        let name = TempName::new("python-space");
        let shape = Queue::builder(&name).capacity(8).payload_size(LONGEST).wake_mode(mode);
        let queue = shape.group("g").create().unwrap();
        let file = words::open(&name.path());
        let mut producer = Child::start(&format!("send-and-close {} 20", &*name));
        producer.expect("attached");
        let asleep = || words::get32(&file, words::SPACE) & 1 == 1;
        loop {
            while !asleep() {
                std::thread::yield_now();
            }
            producer.stop();
            if asleep() {
                break;
            }
            producer.go_on();
        }
        let before = words::get32(&file, words::SPACE);
        // A quarter of the ring is worth a wake-up: the second ack makes it.
        assert_eq!(words::get(&file, words::WANTED), 2);
        let mut python = Python::consumer(&name, "g", &["--paced"]);
        for sequence in 0..20 {
            // Then it has acked what comes before this one.
            python.expect_sent(0, sequence, Some(1));
            let word = words::get32(&file, words::SPACE);
            match sequence {
                0 | 1 => assert_eq!(word, before),
                2..7 => assert_eq!(word, (before & !1) + 4),
                7 => producer.go_on(),
                _ => {}
            }
            python.say("");
        }
        assert_eq!(python.line(), Some(json!({ "closed": 20 })));
        python.finish();
        producer.finish();
        drop(queue);
        nothing_is_left(name);
    }
}

/// Who sleeps where the producer does, without an end of its own: only a wake-up ends it.
#[test]
#[allow(unsafe_code)]
fn an_ack_by_python_wakes_who_sleeps_at_the_space_word() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-wakes");
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).wake_mode(WakeMode::Fence);
    let queue = shape.group("g").create().unwrap();
    (0..4).for_each(|n| send(&mut queue.producer().unwrap(), n));
    let file = words::open(&name.path());
    let len = 4096;
    // SAFETY: a mapping of its own, of a file that is longer, and that nobody cuts.
    let at = unsafe {
        let (all, fd) =
            (libc::PROT_READ | libc::PROT_WRITE, std::os::fd::AsRawFd::as_raw_fd(&file));
        libc::mmap(std::ptr::null_mut(), len, all, libc::MAP_SHARED, fd, 0)
    };
    assert_ne!(at, libc::MAP_FAILED);
    // The gate that is wanted, then the bit, as the producer does it.
    words::set(&file, words::WANTED, 4);
    std::os::unix::fs::FileExt::write_all_at(&file, &1u32.to_le_bytes(), words::SPACE).unwrap();
    let address = at as usize + words::SPACE as usize;
    let sleeper = std::thread::spawn(move || {
        let limit = libc::timespec { tv_sec: 600, tv_nsec: 0 };
        // SAFETY: the word is mapped until this thread has ended.
        let woken = unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, 1, &limit) };
        (woken, std::io::Error::last_os_error().raw_os_error())
    });
    let mut python = Python::consumer(&name, "g", &[]);
    for sequence in 0..4 {
        python.expect_sent(0, sequence, Some(1));
    }
    let (woken, error) = sleeper.join().unwrap();
    // Or the word was another before it slept.
    assert!(woken == 0 || error == Some(libc::EAGAIN), "{error:?}");
    assert_eq!(words::get32(&file, words::SPACE), 4);
    // SAFETY: mapped above, and nobody uses it any more.
    assert_eq!(unsafe { libc::munmap(at, len) }, 0);
    queue.producer().unwrap().close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": 4 })));
    python.finish();
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn messages_of_a_killed_python_come_again_to_this_library_and_back() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-killed");
    let shape = Queue::builder(&name).capacity(16).payload_size(LONGEST);
    let queue = shape.group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    (0..6).for_each(|n| send(&mut producer, n));

    let mut python = Python::consumer(&name, "g", &["--hold", "3"]);
    (0..3).for_each(|sequence| python.expect_sent(0, sequence, Some(1)));
    python.kill();
    // The first comes for the second time; the others, one by one, each become the first.
    let mut receiver = Child::start(&format!("receive {} 2", &*name));
    receiver.expect("0 2");
    receiver.expect("1 2");
    receiver.finish();

    // Python again, twice: it goes on counting.
    for attempts in [3, 4] {
        let mut python = Python::consumer(&name, "g", &["--hold", "2"]);
        let first = if attempts == 3 { 2 } else { 3 };
        python.expect_sent(0, 2, Some(first));
        python.expect_sent(0, 3, Some(if attempts == 3 { 1 } else { 2 }));
        python.kill();
    }
    let mut consumer = queue.consumer("g").unwrap();
    let received = consumer.recv().unwrap();
    assert_eq!((received.sequence(), received.attempts()), (2, 4));
    drop(received);
    drop(consumer);

    // And from here to Python, to the end.
    let mut python = Python::consumer(&name, "g", &[]);
    for (sequence, attempts) in [(2, 5), (3, 2), (4, 1), (5, 1)] {
        python.expect_sent(0, sequence, Some(attempts));
    }
    producer.close().unwrap();
    assert_eq!(python.line(), Some(json!({ "closed": 6 })));
    python.finish();
    let group = queue.snapshot().unwrap().groups.remove(0);
    assert_eq!((group.acked, group.depth), (6, 0));
    // What the library received again: 0, 1 and 2. Python: 2, then 2 and 3, then 2 and 3.
    assert_eq!(group.redelivered, 3 + 5);
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn a_limit_of_attempts_counts_deliveries_to_python() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-limit");
    let group = || Group::named("g").max_attempts(2);
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).group(group());
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    (0..2).for_each(|n| send(&mut producer, n));
    for attempts in 1..=2 {
        let mut python = Python::consumer(&name, "g", &["--hold", "1"]);
        python.expect_sent(0, 0, Some(attempts));
        python.kill();
    }
    // It cannot send dead letters, so it leaves that one to who can.
    let python = Python::consumer(&name, "g", &["--hold", "1"]);
    python.fail("gives message 0 up");
    let mut consumer = queue.consumer(group()).unwrap();
    let received = consumer.recv().unwrap();
    assert_eq!((received.sequence(), received.attempts()), (1, 1));
    received.ack().unwrap();
    drop(consumer);
    assert_eq!(queue.snapshot().unwrap().groups[0].dead_lettered, 1);
    drop(TempName::exactly(format!("{}.dead", &*name)));
    drop((producer, queue));
    nothing_is_left(name);
}

#[test]
fn the_role_of_an_exclusive_consumer_is_one_in_both_languages() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-role");
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST);
    let shape = shape.group("g").group(Group::named("work").shared());
    let queue = shape.create().unwrap();

    let mut other = Child::start(&format!("join {} 0", &*name));
    other.expect("joined");
    let taken = format!("exclusive group \"g\" already: process {}", other.pid());
    Python::start(&["consume", &name, "g"]).fail(&taken);
    other.finish();

    let python = Python::consumer(&name, "g", &["--hold", "0"]);
    let pid = python.process.id();
    match queue.consumer("g").map(drop) {
        Err(JoinError::Taken { pid: Some(holder), .. }) => assert_eq!(holder, pid),
        other => panic!("{other:?}"),
    }
    let members = &queue.snapshot().unwrap().groups[0].members;
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].pid, members[0].live), (Some(pid), true));
    python.finish();
    drop(queue.consumer("g").unwrap());

    Python::start(&["consume", &name, "nobody"]).fail("has no group \"nobody\"");
    Python::start(&["consume", &name, "work"]).fail("whose mode is shared");
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn a_group_that_goes_with_its_last_member_goes_with_python() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-release");
    let brief = Group::named("brief").retention(Retention::Release);
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).group(brief);
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    (0..4).for_each(|n| send(&mut producer, n));
    assert!(producer.try_send("full").is_err());
    Python::consumer(&name, "brief", &["--hold", "0"]).finish();
    assert_eq!(queue.snapshot().unwrap().groups, []);
    producer.try_send("there is room").unwrap();
    drop((producer, queue));
    nothing_is_left(name);
}

slipring::message! {
    /// Fields for people to read.
    struct Tick {
        instrument: u32,
        flags: u32,
        price: i64,
    }
}

#[test]
fn python_shows_groups_and_texts_as_a_snapshot_does() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-shows");
    let letters = TempName::new("python-letters");
    let work = || Group::named("work").shared().max_attempts(7).dead_letters_to(&*letters);
    let shape = Queue::builder(&name).capacity(16).payload_size(LONGEST).base_sequence(50);
    let shape = shape.schema_name("lines of text").group("g").group(work()).group("late");
    let queue = shape.group(Group::named("brief").retention(Retention::Release)).create().unwrap();
    let compare = || {
        let (shown, snapshot) = (show(&name), queue.snapshot().unwrap());
        let head = json!([
            shown["capacity"],
            shown["payload_size"],
            shown["base"],
            shown["tail"],
            shown["closed_at"]
        ]);
        let (capacity, size) = (snapshot.capacity, snapshot.payload_size);
        assert_eq!(head, json!([capacity, size, snapshot.base, snapshot.tail, snapshot.closed_at]));
        assert_eq!(shown["schema_name"], snapshot.schema_name);
        let groups = snapshot.groups.iter().enumerate().map(|(index, group)| {
            let members = group.members.iter();
            let members: Vec<_> = members
                .map(|member| json!({ "record": member.record, "pid": member.pid, "live": member.live }))
                .collect();
            let retention = if group.retention == Retention::Hold { "hold" } else { "release" };
            let mode = if group.mode == Some(slipring::Mode::Shared) { "shared" } else { "exclusive" };
            json!({
                "index": index, "name": group.name, "began": group.began, "head": group.head, "mode": mode,
                "retention": retention, "max_attempts": group.max_attempts, "dead_letters": group.dead_letters,
                "depth": group.depth, "span": group.span, "acked": group.acked,
                "redelivered": group.redelivered, "dead_lettered": group.dead_lettered, "members": members,
            })
        });
        assert_eq!(shown["groups"], groups.collect::<Value>());
        shown
    };
    compare();
    let mut producer = queue.producer().unwrap();
    (0..12).for_each(|n| send(&mut producer, n));
    let mut consumer = queue.consumer("g").unwrap();
    consumer.recv().unwrap().ack().unwrap();
    drop(consumer.recv().unwrap());
    consumer.recv().unwrap().ack().unwrap();
    let mut first = queue.consumer(work()).unwrap();
    let mut second = queue.consumer(work()).unwrap();
    let held = first.recv_batch(3).unwrap();
    second.recv_batch(4).unwrap().ack().unwrap();
    second.recv().unwrap().reject().unwrap();
    let shown = compare();
    let work = &shown["groups"][1];
    assert_eq!(json!([work["depth"], work["span"], work["dead_lettered"]]), json!([7, 12, 1]));
    assert_eq!(work["members"].as_array().unwrap().len(), 2);
    held.ack().unwrap();
    drop((first, second, consumer));
    producer.close().unwrap();
    assert_eq!(compare()["closed_at"], 62);
    drop(queue);
    nothing_is_left(name);
    nothing_is_left(letters);

    let name = TempName::new("python-typed");
    let queue = Queue::builder(&name).message::<Tick>().create().unwrap();
    let shown = show(&name);
    let snapshot = OpenOptions::new().snapshot(&name).unwrap();
    assert_eq!(shown["schema_name"], "Tick");
    assert_eq!(shown["schema_fields"], "instrument: u32 @0\nflags: u32 @4\nprice: i64 @8\n");
    assert_eq!(shown["schema_fields"], snapshot.schema_fields);
    assert_eq!(shown["schema_hash"], snapshot.schema_hash);
    drop(queue);
    nothing_is_left(name);
}

#[test]
fn python_refuses_what_it_does_not_know() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-refuses");
    let shape = || Queue::builder(&name).capacity(4).payload_size(LONGEST).group("g");
    let u32 = |n: u32| n.to_le_bytes().to_vec();
    let u64 = |n: u64| n.to_le_bytes().to_vec();
    let cases: &[(u64, Vec<u8>, &str)] = &[
        (0, b"slipping".to_vec(), "is no queue"),
        (8, u32(2), "layout version 2"),
        (12, u32(1), "slot format 1"),
        (16, u64(1), "bit 0 (messages in flight beside the ring)"),
        (16, u64(1 << 63 | 2), "bit 1 (sources of messages), bit 63 (unknown)"),
        (32, u64(3), "capacity"),
        (32, u64(8), "total size"),
        (40, u64(0), "payload size"),
        (56, u64(64), "stride"),
        (64, u32(64), "number of group"),
        (96, u64(128), "offset"),
        (104, u64(1 << 40), "offset"),
        (112, u64(1 << 40), "total size"),
        (72, u64(7), "fingerprint"),
        (120, u32(3), "wake mode 3"),
        (124, u32(201), "name"),
        (952, u64(1), "reserved"),
    ];
    for (at, bytes, complaint) in cases {
        let queue = shape().create().unwrap();
        let file = words::open(&name.path());
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, *at).unwrap();
        words::seal(&file);
        for command in [&["show", &*name][..], &["consume", &name, "g"]] {
            Python::start(command).fail(complaint);
        }
        // This library refuses it as well.
        assert!(!matches!(Queue::open(&name).map(drop).unwrap_err(), OpenError::NotFound { .. }));
        drop(queue);
        std::fs::remove_file(name.path()).unwrap();
    }

    let queue = shape().create().unwrap();
    let file = words::open(&name.path());
    words::set(&file, 2040, 0);
    Python::start(&["show", &name]).fail("checksum");
    words::seal(&file);
    drop(queue);
    for len in [file.metadata().unwrap().len() - 128, 4096, 2047, 0] {
        file.set_len(len).unwrap();
        Python::start(&["observe", &name]).fail("truncated");
    }
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::fchown(&file, Some(12345), None).unwrap();
        assert_eq!(file.metadata().unwrap().uid(), 12345);
        Python::start(&["show", &name]).fail("belongs to user 12345");
    }
    std::fs::remove_file(name.path()).unwrap();
    Python::start(&["show", &name]).fail("there is no queue");
    std::os::unix::fs::symlink("/dev/zero", name.path()).unwrap();
    Python::start(&["show", &name]).fail("symbolic link");
    Python::start(&["show", "a/b"]).fail("no queue's name");
    nothing_is_left(name);
}

/// It sleeps then, and finds the end by a wake-up or at the bound of its sleep.
#[test]
fn python_ends_when_a_queue_is_closed_or_removed_while_it_waits() {
    if !has_python() {
        return;
    }
    for mode in MODES {
        for removed in [false, true] {
            let name = TempName::new("python-ends");
            let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).wake_mode(mode);
            let queue = shape.group("g").create().unwrap();
            let mut python = Python::consumer(&name, "g", &[]);
            let mut observer = Python::start(&["observe", &name]);
            assert_eq!(observer.line(), Some(json!({ "from": 0 })));
            if queue.wake_mode() != WakeMode::None {
                let file = words::open(&name.path());
                while words::get32(&file, words::GROUPS + 664) & 1 == 0 {
                    std::thread::yield_now();
                }
                assert_eq!(words::get32(&file, words::DATA) & 1, 1);
            }
            if removed {
                std::fs::remove_file(name.path()).unwrap();
                python.fail("was removed");
                observer.fail("was removed");
            } else {
                queue.producer().unwrap().close().unwrap();
                assert_eq!(python.line(), Some(json!({ "closed": 0 })));
                python.finish();
                assert_eq!(observer.line(), Some(json!({ "closed": 0, "missed": 0 })));
                observer.finish();
                let end = queue.consumer("g").unwrap().try_recv().map(drop);
                assert!(matches!(end, Err(RecvError::Closed { .. })), "{end:?}");
            }
            drop(queue);
            nothing_is_left(name);
        }
    }
}
