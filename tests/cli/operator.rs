//! An operator who knows nothing but the screen of `top`, 80 columns by 24 lines: five faults, each named there with a command,
//! which is run as it is printed and mends it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::common::TempName;
use super::stats::{Worker, kill_groups, shell, signal_groups};
use super::tool::{Ran, Running, children_of, command, feed, run};

/// What the screen says once.
fn screen(name: &str) -> String {
    let mut top = command(&["top", name, "--once", "--interval", "0.3"]);
    let ran: Ran = top.env("COLUMNS", "80").env("LINES", "24").output().unwrap().into();
    let text = ran.quietly();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.lines().count() <= 24, "{text}");
    text
}

/// In one line, whatever the lines of the screen were.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The commands on a screen, each as it is printed: with its comment, on several lines perhaps.
fn commands(screen: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in screen.lines() {
        let more = commands.last_mut().filter(|_| goes_on);
        match (line.strip_prefix("  do: "), more) {
            (Some(command), _) => commands.push(command.to_owned()),
            (None, Some(last)) => *last += &format!("\n{line}"),
            (None, None) => continue,
        }
        goes_on = line.ends_with(" \\");
    }
    commands
}

/// Looks until the screen says all of this; returns the commands on it.
#[track_caller]
fn shown(name: &str, words: &[&str]) -> Vec<String> {
    let since = Instant::now();
    loop {
        let text = screen(name);
        let line = joined(&text);
        if words.iter().all(|word| line.contains(word)) {
            return commands(&text);
        }
        assert!(since.elapsed() < Duration::from_secs(120), "{words:?} is not on\n{text}");
    }
}

#[track_caller]
fn mended(name: &str) {
    shown(name, &["0 errors, 0 warnings", "nothing is wrong"]);
}

/// What an operator puts into CMD, as the comment of a command that starts a consumer asks for.
const CMD: &str = "cat; echo";

fn obey(line: &str) {
    let ran = Ran::from(shell(line).output().unwrap());
    assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
}

/// Runs a command that starts a consumer, which goes on until it is ended.
fn follow(line: &str) -> Running {
    // The shell itself becomes the program, which then gets the signals.
    let mut shell = shell(&format!("exec {line}"));
    Running::of(
        shell.env("CMD", CMD).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()),
    )
}

/// A letter that a message became waits, which the screen says by itself, until it is thrown away.
#[track_caller]
fn letter_is_looked_at(name: &str) {
    let text = format!("1 dead letter of queue {name:?} waits to be looked at");
    let told = shown(name, &["0 errors, 1 warning", &text]);
    let ran = Ran::from(shell(&told[0]).output().unwrap());
    assert!(ran.quietly().contains("rejected"), "{told:?}");
    obey(&told[2]);
    mended(name);
}

#[test]
fn a_dead_group_that_nobody_reads_for() {
    let name = TempName::new("op-dead");
    run(&["create", &name, "--capacity", "8", "--group", "audit", "--group", "store"]).quietly();
    let fill = || {
        feed(&["send", &name], b"0\n1\n2\n3\n4\n5\n6\n7\n").quietly();
        run(&["recv", &name, "--group", "store", "--count", "8"]).quietly();
        shown(
            &name,
            &["ERROR", "group \"audit\" has no consumer", "8 of 8 slots: the ring is full"],
        )
    };
    let told = fill();
    assert_eq!(told.len(), 3, "{told:?}");
    // Run as it is printed, without a look at its comment, it takes nothing.
    let careless = Ran::from(shell(&told[0]).env_remove("CMD").output().unwrap());
    careless.says(2, &["--exec", "required"]);
    let peeked = Ran::from(shell(&told[1]).output().unwrap());
    assert_eq!(peeked.out, "0\n1\n2\n3\n4\n5\n6\n7\n");
    shown(&name, &["group \"audit\" has no consumer; 8 messages wait"]);
    let reader = follow(&told[0]);
    mended(&name);
    reader.signal(Signal::SIGTERM);
    assert_eq!(reader.finish().out, "0\n1\n2\n3\n4\n5\n6\n7\n");
    obey(&fill()[2]);
    mended(&name);
}

#[test]
fn a_member_that_is_stopped() {
    let name = TempName::new("op-stopped");
    let group = ["--shared-group", "work", "--in-flight", "0"];
    run(&[&["create", &name, "--capacity", "8"], &group[..]].concat()).quietly();
    feed(&["send", &name], b"0\n").quietly();
    let mut worker = Worker::start(&name, "echo; exec sleep 600", &["--shared"]);
    worker.0.lines(1);
    mended(&name);
    let pid = worker.0.pid();
    let text = format!("process {pid} of group \"work\" is stopped and holds message 0");
    worker.0.signal(Signal::SIGSTOP);
    obey(&shown(&name, &["WARNING", &text])[0]);
    mended(&name);
    worker.0.signal(Signal::SIGSTOP);
    // The second command kills the worker, which its command outlives.
    let left = children_of(pid);
    obey(&shown(&name, &[&text])[1]);
    kill_groups(&left);
    // Its message waits for the next consumer now.
    shown(&name, &["group \"work\" has no consumer"]);
}

#[test]
fn a_member_that_is_stopped_with_messages_in_flight() {
    let name = TempName::new("op-in-flight");
    let group = ["--shared-group", "work", "--in-flight", "4"];
    run(&[&["create", &name, "--capacity", "8"], &group[..]].concat()).quietly();
    feed(&["send", &name], b"0\n1\n").quietly();
    let mut worker = Worker::start(&name, "echo; exec sleep 600", &["--shared", "--jobs", "2"]);
    worker.0.lines(2);
    mended(&name);
    worker.0.signal(Signal::SIGSTOP);
    let pid = worker.0.pid();
    let text = format!(
        "process {pid}, consumer 0 of group \"work\" is stopped and has 2 messages in flight"
    );
    let told = shown(&name, &["WARNING", &text, "in flight 2 of 4"]);
    // Its messages come to another consumer, while it still stands.
    assert!(told[1].contains("slipring group evict"), "{told:?}");
    obey(&told[1]);
    shown(&name, &["WARNING", "all consumers of group \"work\" are stopped; 2 messages wait"]);
    let other = run(&["recv", &name, "--group", "work", "--shared", "--count", "2"]);
    assert_eq!(other.out.lines().count(), 2, "{other:?}");
    mended(&name);
}

/// Its worker was stopped, and its command with it, which nobody continues: the worker asks for more time for ever.
#[test]
fn a_message_that_stays_in_flight_while_its_consumer_lives() {
    let name = TempName::new("op-long");
    let group = ["--shared-group", "work", "--in-flight", "4", "--ack-timeout", "2"];
    run(&[&["create", &name, "--capacity", "8"], &group[..]].concat()).quietly();
    feed(&["send", &name], b"0\n").quietly();
    let mut worker = Worker::start(&name, "echo; exec sleep 600", &["--shared"]);
    worker.0.lines(1);
    let pid = worker.0.pid();
    let first = [
        &*format!("oldest in flight: message 0, attempt 1, with process {pid}, consumer 0"),
        "due in",
    ];
    shown(&name, &first);
    let commands = children_of(pid);
    signal_groups(&commands, Signal::SIGSTOP);
    worker.0.signal(Signal::SIGSTOP);
    obey(&shown(&name, &["is stopped and has 1 message in flight", "but none runs"])[0]);
    let long = format!(": message 0 of {}/work, with process {pid}, consumer 0, due in", &*name);
    shown(&name, &["nothing is wrong oldest in flight, ", &long, "renewed"]);
    let listed = run(&["group", "ls", &name]).quietly();
    for words in
        ["; the oldest is 0, received ", "message 0: attempt 1, received ", " s ago, renewed "]
    {
        assert!(listed.contains(words), "{words:?} is not in {listed}");
    }
    // A dead consumer that has nothing is none.
    worker.0.signal(Signal::SIGKILL);
    kill_groups(&commands);
    run(&["recv", &name, "--group", "work", "--shared", "--count", "1"]);
    mended(&name);
    let text = screen(&name);
    assert!(text.contains("0 consumers") && !text.contains("DEAD "), "{text}");
}

#[test]
fn a_message_in_flight_that_fails_again_and_again() {
    let name = TempName::new("op-in-flight-poison");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    let group = ["--shared-group", "work", "--in-flight", "4", "--max-attempts", "0"];
    run(&[&["create", &name, "--capacity", "8"], &group[..]].concat()).quietly();
    feed(&["send", &name], b"poison\nfine\n").quietly();
    let more = ["--shared", "--retry-delay", "0.01"];
    let worker = Worker::start(&name, "test $(cat) = fine", &more);
    let text = "message 0 of group \"work\" was delivered";
    let told = shown(&name, &["WARNING", text, "the group has no limit of attempts"]);
    // The worker goes on beside it.
    assert!(told[1].contains("slipring group reject"), "{told:?}");
    obey(&told[1]);
    letter_is_looked_at(&name);
    drop((worker, letters));
}

/// No other consumer gets at it: the screen says in words what to do.
#[test]
fn a_message_of_a_shared_group_in_the_ring_that_fails_again_and_again() {
    let name = TempName::new("op-shared-poison");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    let group = ["--shared-group", "work", "--in-flight", "0", "--max-attempts", "0"];
    run(&[&["create", &name, "--capacity", "8"], &group[..]].concat()).quietly();
    feed(&["send", &name], b"poison\nfine\n").quietly();
    let mends = std::env::temp_dir().join(&*name);
    let failing = format!("test $(cat) = fine || {{ test -e {} && exit 65; }}", mends.display());
    let worker = Worker::start(&name, &failing, &["--shared", "--retry-delay", "0.01"]);
    let text = "message 0 of group \"work\" was delivered";
    let told = shown(&name, &["WARNING", text, "a command of --exec does so by exit code 65"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(Ran::from(shell(&told[0]).output().unwrap()).out, "poison\n");
    std::fs::write(&mends, "").unwrap();
    letter_is_looked_at(&name);
    std::fs::remove_file(&mends).unwrap();
    drop((worker, letters));
}

/// The commands that are printed for letters in a queue of another name are good for any queue's letters.
#[test]
fn dead_letters_in_a_queue_of_another_name() {
    let name = TempName::new("op-letters");
    let letters = TempName::exactly(format!("{}.lost", &*name));
    let group = ["--shared-group", "work", "--dead-letters", &letters];
    run(&[&["create", &name, "--capacity", "8"], &group[..]].concat()).quietly();
    feed(&["send", &name, "--close"], b"poison\n").quietly();
    let work = ["recv", &name, "--group", "work", "--shared", "--exec"];
    run(&[&work[..], &["exit 65"]].concat()).says(0, &["rejected"]);
    let told = shown(&name, &["0 errors, 1 warning", "1 dead letter waits to be looked at"]);
    let ran = Ran::from(shell(&told[0]).output().unwrap());
    assert!(ran.quietly().contains("rejected"), "{told:?}");
    obey(&told[1]);
    assert_eq!(run(&[&work[..], &["cat"]].concat()).says(0, &["done 1"]).out, "poison");
    mended(&name);
    // What is said of the queue is said of a group of it that is named, too.
    run(&["group", "add", &name, "more", "--max-attempts", "1", "--dead-letters", &letters]);
    run(&["recv", &name, "--group", "more", "--exec", "false"]);
    shown(&format!("{}/work", &*name), &["1 dead letter waits to be looked at"]);
}

/// Whoever reads it as jobs acks letters that nobody has seen: no such command is printed, however full it is.
#[test]
fn a_queue_of_dead_letters_that_is_full() {
    for made_beforehand in [false, true] {
        let name = TempName::new("op-letters-full");
        let letters = TempName::exactly(format!("{}.dead", &*name));
        run(&["create", &name, "--capacity", "4", "--group", "work"]).quietly();
        if made_beforehand {
            let sizes = ["--capacity", "4", "--payload", "1000", "--group", "dead"];
            run(&[&["create", &letters], &sizes[..]].concat()).quietly();
        }
        feed(&["send", &name, "--close"], b"0\n1\n2\n3\n").quietly();
        run(&["recv", &name, "--group", "work", "--exec", "exit 65"]).says(0, &["rejected 4"]);
        let text = format!("4 dead letters of queue {:?} wait to be looked at, and fill", &*name);
        let told = shown(&letters, &["1 error, 0 warnings", "ERROR", &text]);
        let more = TempName::exactly(format!("{}.dead.more", &*name));
        let ways = ["dead ls", "dead requeue", "create", "forward", "dead purge"];
        let of = [&*name, &name, &more, &letters, &name];
        let ways: Vec<String> =
            ways.iter().zip(of).map(|(way, of)| format!("slipring {way} {of}")).collect();
        assert_eq!(told.len(), ways.len(), "{told:?}");
        assert!(told.iter().zip(&ways).all(|(told, way)| told.starts_with(way)), "{told:?}");
        if made_beforehand {
            obey(&told[2]);
            obey(&told[3]);
            mended(&letters);
            let moved = ["dead", "requeue", &name, "--dead-letters", &more];
            assert_eq!(run(&moved).quietly(), "requeued 4 dead letters\n");
        } else {
            obey(&told[1]);
            mended(&letters);
        }
        drop(TempName::exactly(format!("{}.work.retry", &*name)));
    }
}

#[test]
fn dead_letters_that_were_sent_again_and_that_nobody_reads() {
    let name = TempName::new("op-retries");
    let _others = ["dead", "work.retry"].map(|of| TempName::exactly(format!("{}.{of}", &*name)));
    run(&["create", &name, "--capacity", "2", "--group", "work"]).quietly();
    let reject = |lines: &[u8]| {
        feed(&["send", &name], lines).quietly();
        let count = lines.split(|byte| *byte == b'\n').count() - 1;
        let work = ["recv", &name, "--group", "work", "--exec", "exit 65"];
        run(&[&work[..], &["--count", &count.to_string()]].concat()).says(0, &["rejected"]);
    };
    let requeue = || run(&["dead", "requeue", &name, "--count", "1"]).quietly();
    reject(b"0\n1\n");
    requeue();
    let text = |waits| format!("{waits} for group \"work\" of queue {:?}, and none of its", &*name);
    shown(&name, &["0 errors, 2 warnings", &text("1 dead letter that was sent again waits")]);
    requeue();
    let retries = format!("queue \"{}.work.retry\" is full, so requeueing fails", &*name);
    let told = shown(
        &name,
        &["1 error, 0 warnings", &text("2 dead letters that were sent again wait"), &retries],
    );
    assert!(told[0].starts_with(&format!("slipring group ls {}", &*name)), "{told:?}");
    let consumer = follow(&told[1]);
    mended(&name);
    consumer.signal(Signal::SIGTERM);
    assert_eq!(consumer.finish().out, "0\n1\n");
    reject(b"poison\n");
    requeue();
    let worker = Worker::start(&name, "false", &["--retry-delay", "0.01"]);
    let text = "a dead letter that was sent again to group \"work\" of queue";
    let told = shown(&name, &["0 errors, 1 warning", text, "times and never acked"]);
    let seen = Ran::from(shell(&told[0]).output().unwrap());
    assert!(seen.out.starts_with("poison"), "{told:?}");
    drop(worker);
}

/// Nobody is told that nothing is wrong with what was not seen.
#[test]
fn dead_letters_that_cannot_be_looked_at() {
    let name = TempName::new("op-no-letters");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--group", "work"]).quietly();
    std::fs::write(letters.path(), "not a queue").unwrap();
    let text = joined(&screen(&name));
    assert!(text.contains("nothing is wrong with the queues that are shown"), "{text}");
    assert!(text.contains("!! ") && text.contains(&*letters), "{text}");
    run(&["stats", &name, "--interval", "0.1", "--count", "1"]).says(0, &[&letters]);
}

#[test]
fn a_message_that_fails_again_and_again() {
    let name = TempName::new("op-poison");
    let letters = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--capacity", "8", "--group", "work"]).quietly();
    feed(&["send", &name], b"poison\nfine\n").quietly();
    let worker = Worker::start(&name, "test $(cat) = fine", &["--retry-delay", "0.01"]);
    let text = "message 0 of group \"work\" was delivered";
    let told = shown(&name, &["WARNING", text, "the group has no limit of attempts"]);
    let seen = Ran::from(shell(&told[0]).output().unwrap());
    assert_eq!((seen.code, &*seen.out), (Some(0), "poison\n"), "{told:?}");
    obey(&told[1]);
    // The other message waits for a consumer: the command has ended that one.
    obey(&shown(&name, &["1 message waits for it"])[2]);
    letter_is_looked_at(&name);
    drop((worker, letters));
}

#[test]
fn a_ring_that_is_full_since_its_group_is_slow() {
    let name = TempName::new("op-full");
    run(&["create", &name, "--capacity", "8", "--shared-group", "work"]).quietly();
    let worker = Worker::start(&name, "cat > /dev/null; sleep 0.2", &["--shared"]);
    let mut sender = Running::start(&["send", &name]);
    sender.offer("0\n".repeat(200).as_bytes());
    let text = "group \"work\" is slower than the producer: it keeps";
    let told = shown(&name, &["ERROR", text, "the producer waited"]);
    let helper = follow(&told[0]);
    sender.end_input();
    mended(&name);
    helper.signal(Signal::SIGTERM);
    assert!(helper.finish().out.lines().count() > 100);
    assert_eq!(sender.finish().code, Some(0));
    drop(worker);
}

#[test]
fn a_producer_that_is_gone() {
    let name = TempName::new("op-gone");
    run(&["create", &name, "--capacity", "8", "--group", "g"]).quietly();
    let reader = Running::start(&["recv", &name, "--group", "g"]);
    let mut sender = Running::start(&["send", &name]);
    sender.write(b"0\n1\n");
    while !screen(&name).contains("tail 2") {}
    let pid = sender.pid();
    sender.kill();
    let text = format!("the producer, recorded as process {pid}, died after message 1");
    obey(&shown(&name, &["WARNING", &text, "has not closed the queue"])[0]);
    mended(&name);
    assert_eq!(reader.finish().out, "0\n1\n");
}
