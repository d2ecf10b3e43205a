//! From queue to queue: each output is in the second queue once, whatever process is killed.
//!
//! `SLIPRING_KILLS` says how many kills the random test makes (200).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use common::child::{Child, role, tell};
use common::{Rng, TempName};
use slipring::{
    ErrorCode, Group, NewStageError, Outputs, Queue, RecvError, Stage, StageError, Staged, Start,
};

/// Two queues with room for so many messages, and their names.
fn queues(what: &str, capacity: u64) -> (TempName, TempName, Queue, Queue) {
    let (a, b) = (TempName::new(&format!("{what}-a")), TempName::new(&format!("{what}-b")));
    let builder = |name| Queue::builder(name).capacity(capacity).payload_size(24).sources(2);
    let (from, to) = (builder(&a).group("g").create(), builder(&b).group("out").create());
    (a, b, from.unwrap(), to.unwrap())
}

fn stage(from: &Queue, to: &Queue) -> Stage {
    Stage::new(from.consumer("g").unwrap(), to.producer().unwrap()).unwrap()
}

/// What waits in `queue`, as text.
fn received(queue: &Queue) -> Vec<String> {
    let mut consumer = queue.consumer("out").unwrap();
    let batch = consumer.try_recv_batch(64).unwrap();
    let all = batch.iter().map(|message| String::from_utf8(message.to_vec()).unwrap()).collect();
    batch.ack().unwrap();
    all
}

/// Each word of a message is an output.
fn words(message: &[u8], outputs: &mut Outputs) -> Result<(), Infallible> {
    let text = std::str::from_utf8(message).unwrap();
    text.split_whitespace().for_each(|word| outputs.push(word));
    Ok(())
}

#[test]
fn each_message_becomes_none_one_or_several() {
    let (_a, _b, from, to) = queues("several", 8);
    from.producer().unwrap().send_batch(["one", "", "two three four"]).unwrap();
    let mut stage = stage(&from, &to);
    let staged = stage.process(|message, outputs| words(message, outputs)).unwrap();
    assert_eq!((staged.mapped, staged.already_there, staged.published), (3, 0, 4));
    assert_eq!(stage.stream(), from.group_stream("g"));
    assert_ne!(stage.stream(), from.group_stream("h"));
    assert_ne!(stage.stream(), to.group_stream("g"));
    assert!(format!("{}/g", from.name()).starts_with(&stage.stream().label()));
    assert!(!stage.stream().label().is_empty());
    assert_eq!(stage.consumer().depth(), 0);
    let mut consumer = to.consumer("out").unwrap();
    let batch = consumer.try_recv_batch(8).unwrap();
    let positions: Vec<_> = batch.iter().map(|m| m.source().unwrap().position()).collect();
    assert_eq!(positions, [1 << 8 | 255, 3 << 8, 3 << 8 | 1, 3 << 8 | 255]);
}

#[test]
fn a_map_that_fails_stops_at_its_message_and_goes_on_there() {
    let (_a, _b, from, to) = queues("fails", 8);
    from.producer().unwrap().send_batch(["one", "bad", "two"]).unwrap();
    let mut stage = stage(&from, &to);
    let fault = stage.process(|message, outputs| {
        outputs.push(&**message);
        if **message == *b"bad" { Err("not a word") } else { Ok(()) }
    });
    let fault = fault.unwrap_err();
    assert!(matches!(fault, StageError::Map { sequence: 1, .. }), "{fault}");
    assert!(fault.to_string().ends_with("not a word"), "{fault}");
    assert_eq!((fault.code(), fault.queue()), (ErrorCode::MapFailed, Some(from.name())));
    assert_eq!(received(&to), ["one"]);
    let staged = stage.process(|message, outputs| words(message, outputs)).unwrap();
    assert_eq!((staged.mapped, staged.already_there), (2, 0));
    assert_eq!(received(&to), ["bad", "two"]);
}

/// As after a kill between publishing and the ack: the messages come again, and their outputs are there.
#[test]
fn what_is_there_is_not_mapped_again() {
    let (_a, _b, from, to) = queues("again", 8);
    from.producer().unwrap().send_batch(["one", "two"]).unwrap();
    let mut first = stage(&from, &to);
    // The map fails at the second, so that the first alone is done.
    let mut maps = 0;
    let _ = first.process(|message, outputs| {
        maps += 1;
        outputs.push(&**message);
        if maps == 2 { Err("killed") } else { Ok(()) }
    });
    let stream = first.stream();
    drop(first);
    // The second's output, sent by a stage that died before its ack.
    let _ = to.producer().unwrap().send_from(stream, 2 << 8 | 255, "two").unwrap();
    let never = |_: &slipring::Delivery<'_>, _: &mut Outputs| Err("mapped again");
    let staged = stage(&from, &to).process(never).unwrap();
    assert_eq!((staged.mapped, staged.already_there, staged.published), (0, 1, 0));
    assert_eq!(received(&to), ["one", "two"]);
    assert_eq!(from.consumer("g").unwrap().depth(), 0);
}

#[test]
fn a_message_whose_outputs_are_there_in_part_gets_the_others() {
    let (_a, _b, from, to) = queues("part", 8);
    from.producer().unwrap().send("one two three").unwrap();
    let mut first = stage(&from, &to);
    let stream = first.stream();
    let _ = first.process_timeout(Duration::ZERO, |_, _| Err("killed"));
    drop(first);
    for (index, word) in [(0, "one"), (1, "two")] {
        let _ = to.producer().unwrap().send_from(stream, 1 << 8 | index, word).unwrap();
    }
    let mut second = stage(&from, &to);
    // A map that gives fewer than are there cannot be right.
    for few in [&b"one"[..], b"one two"] {
        let fault = second.process(|_, outputs| words(few, outputs)).unwrap_err();
        assert!(matches!(fault, StageError::FewerOutputs { there: 2, .. }), "{fault}");
        assert_eq!(fault.code(), ErrorCode::BadOutputs);
    }
    let staged = second.process(|message, outputs| words(message, outputs)).unwrap();
    assert_eq!((staged.mapped, staged.published), (1, 1));
    assert_eq!(received(&to), ["one", "two", "three"]);
}

#[test]
fn a_message_may_have_256_outputs() {
    let (_a, _b, from, to) = queues("most", 512);
    from.producer().unwrap().send_batch(["256", "257"]).unwrap();
    let mut stage = stage(&from, &to);
    let fault = stage.process(|message, outputs| {
        let count: u32 = std::str::from_utf8(message).unwrap().parse().unwrap();
        (0..count).for_each(|_| outputs.push("x"));
        Ok::<_, Infallible>(())
    });
    let fault = fault.unwrap_err();
    assert!(matches!(fault, StageError::TooManyOutputs { count: 257, sequence: 1, .. }), "{fault}");
    assert_eq!(to.streams().unwrap()[0].last, Some(1 << 8 | 255));
    assert_eq!(to.snapshot().unwrap().tail, 256);
}

#[test]
fn a_group_that_a_stage_cannot_read_is_refused() {
    let (_a, _b, from, to) = queues("refused", 8);
    let new = |group: Group| {
        Stage::new(from.consumer(group).unwrap(), to.producer().unwrap()).unwrap_err()
    };
    let fault = new(Group::named("s").shared().unlimited_attempts());
    assert!(matches!(fault, NewStageError::Shared { .. }), "{fault}");
    assert!(fault.to_string().contains("exclusive"), "{fault}");
    let fault = new(Group::named("m").max_attempts(3));
    assert!(matches!(fault, NewStageError::MaxAttempts { max_attempts: 3, .. }), "{fault}");
    assert_eq!(fault.code(), ErrorCode::NoStage);
    let own = Stage::new(from.consumer("g").unwrap(), from.producer().unwrap()).unwrap_err();
    assert!(matches!(own, NewStageError::SameQueue { .. }), "{own}");
    let name = TempName::new("refused-plain");
    let plain = Queue::builder(&name).create().unwrap();
    let fault = Stage::new(from.consumer("g").unwrap(), plain.producer().unwrap()).unwrap_err();
    assert_eq!(fault.code(), ErrorCode::NoSources);
}

#[test]
fn a_removed_destination_costs_no_message() {
    let (_a, b, from, to) = queues("removed", 8);
    from.producer().unwrap().send("one").unwrap();
    let mut stage = stage(&from, &to);
    slipring::force_remove(&b).unwrap();
    let fault = stage.process(|message, outputs| words(message, outputs)).unwrap_err();
    assert_eq!(fault.code(), ErrorCode::Removed, "{fault}");
    drop(stage);
    assert_eq!(from.consumer("g").unwrap().depth(), 1);
}

/// A queue with a stage's group that has given `count` messages up, and its dead letters. Later messages go through.
fn rejected(a: &TempName, from: &Queue, count: usize) -> ([TempName; 2], slipring::DeadLetters) {
    let related = [".dead", ".g.retry"].map(|end| TempName::exactly(format!("{}{end}", &**a)));
    let mut producer = from.producer().unwrap();
    for n in 0..count {
        producer.send(&format!("bad {n}")).unwrap();
    }
    let mut consumer = from.consumer("g").unwrap();
    (0..count).for_each(|_| consumer.recv().unwrap().reject().unwrap());
    (related, from.dead_letters().unwrap())
}

/// Processes what there is.
fn stage_all(from: &Queue, to: &Queue) -> Staged {
    let mut total = Staged::default();
    let mut stage = stage(from, to);
    loop {
        match stage.process_timeout(Duration::from_millis(200), |m, o| {
            o.push(&**m);
            Ok::<_, Infallible>(())
        }) {
            Ok(staged) => {
                total.mapped += staged.mapped;
                total.already_there += staged.already_there;
            }
            Err(StageError::Recv(RecvError::Timeout { .. })) => return total,
            Err(fault) => panic!("{fault}"),
        }
    }
}

#[test]
fn letters_that_are_sent_again_are_a_stream_of_their_own() {
    let (a, b, from, _) = queues("retries", 8);
    slipring::force_remove(&b).unwrap();
    let to = Queue::builder(&b).capacity(16).payload_size(48).sources(2).group("out");
    let to = to.create().unwrap();
    let (related, letters) = rejected(&a, &from, 3);
    from.producer().unwrap().send("good").unwrap();
    // The message after them is in B: under their first sequences they would be taken for known.
    assert_eq!(stage_all(&from, &to).mapped, 1);
    assert_eq!(letters.requeue(2).unwrap(), 2);
    assert_eq!(stage_all(&from, &to).mapped, 2);
    assert_eq!(received(&to), ["good", "bad 0", "bad 1"]);
    let stream = Queue::open(&related[1]).unwrap().group_stream("g");
    let known = to.streams().unwrap();
    assert_eq!((known[1].stream, known[1].last), (stream, Some(2 << 8 | 255)));
    assert_eq!(known[0].last, Some(4 << 8 | 255));

    // As after a kill between publishing and the ack: it comes again, and its output is there.
    assert_eq!(letters.requeue(1).unwrap(), 1);
    let _ = to.producer().unwrap().send_from(stream, 3 << 8 | 255, "bad 2").unwrap();
    let staged = stage_all(&from, &to);
    assert_eq!((staged.mapped, staged.already_there), (0, 1));
    assert_eq!(received(&to), ["bad 2"]);
    assert_eq!(Queue::open(&related[1]).unwrap().snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn what_was_put_among_the_letters_by_hand_is_no_message_of_the_queue() {
    let (a, _b, from, to) = queues("retries-by-hand", 8);
    let (related, letters) = rejected(&a, &from, 1);
    letters.requeue(1).unwrap();
    assert_eq!(stage_all(&from, &to).mapped, 1);
    let retry = Queue::open(&related[1]).unwrap();
    (0..4).for_each(|n| assert_eq!(retry.producer().unwrap().send("by hand").unwrap(), n + 1));
    assert_eq!(stage_all(&from, &to).mapped, 4);
    // Its sequences there say nothing of those here.
    from.producer().unwrap().send("good").unwrap();
    assert_eq!(stage_all(&from, &to).mapped, 1);
    assert_eq!(received(&to), ["bad 0", "by hand", "by hand", "by hand", "by hand", "good"]);
}

#[test]
fn a_letter_that_is_sent_again_waits_for_a_place_in_the_table() {
    let (a, b, from, _) = queues("retries-full", 8);
    slipring::force_remove(&b).unwrap();
    let to = Queue::builder(&b).capacity(2).payload_size(48).sources(1).group("out");
    let to = to.create().unwrap();
    let (related, letters) = rejected(&a, &from, 1);
    letters.requeue(1).unwrap();
    let fault = stage(&from, &to).process(|m, o| words(m, o)).unwrap_err();
    assert_eq!(fault.code(), ErrorCode::TooManyStreams, "{fault}");
    // It is still there.
    assert_eq!(Queue::open(&related[1]).unwrap().snapshot().unwrap().groups[0].depth, 1);
}

#[test]
fn letters_that_were_sent_again_to_a_shared_group_are_refused() {
    let (a, _b, from, to) = queues("retries-shared", 8);
    from.remove_group("g").unwrap();
    from.add_group(Group::named("g").shared()).unwrap();
    let related = [".dead", ".g.retry"].map(|end| TempName::exactly(format!("{}{end}", &*a)));
    from.producer().unwrap().send("bad").unwrap();
    from.consumer(Group::named("g").shared()).unwrap().recv().unwrap().reject().unwrap();
    from.dead_letters().unwrap().requeue(1).unwrap();
    from.remove_group("g").unwrap();
    from.add_group(Group::named("g").start(Start::Newest)).unwrap();
    // Another letter says that there are some.
    from.producer().unwrap().send("worse").unwrap();
    from.consumer("g").unwrap().recv().unwrap().reject().unwrap();
    from.dead_letters().unwrap().requeue(1).unwrap();
    let fault = stage(&from, &to).process(|m, o| words(m, o)).unwrap_err();
    assert!(matches!(fault, StageError::Requeued { .. }), "{fault}");
    assert!(fault.to_string().contains("when that was shared"), "{fault}");
    assert_eq!(Queue::open(&related[1]).unwrap().snapshot().unwrap().groups[0].depth, 2);
}

#[test]
fn a_wait_for_room_that_is_interrupted_goes_on_where_it_was() {
    let (_a, b, from, _) = queues("room", 8);
    slipring::force_remove(&b).unwrap();
    let to = Queue::builder(&b).capacity(2).payload_size(24).sources(1).group("out");
    let to = to.create().unwrap();
    from.producer().unwrap().send_batch(["1 2 3", "4", "5"]).unwrap();
    let mut stage = stage(&from, &to);
    stage.producer().set_interrupt(|| true);
    let mut all = Vec::new();
    for round in 0..2 {
        let fault = stage.process(|message, outputs| words(message, outputs)).unwrap_err();
        assert_eq!(fault.code(), ErrorCode::Interrupted, "round {round}");
        all.extend(received(&to));
    }
    let staged = stage.process(|message, outputs| words(message, outputs)).unwrap();
    assert_eq!((staged.already_there, staged.mapped, staged.published), (2, 1, 1));
    all.extend(received(&to));
    assert_eq!(all, ["1", "2", "3", "4", "5"]);
}

slipring::message! { struct Price { cents: u64 } }

#[test]
fn typed_queues_have_stages() {
    let (a, b) = (TempName::new("typed-a"), TempName::new("typed-b"));
    let from = Queue::builder(&a).message::<Price>().group("g").create().unwrap();
    let to = Queue::builder(&b).message::<Price>().sources(1).group("out").create().unwrap();
    let mut producer = from.producer().unwrap();
    producer.send(&Price { cents: 7 }).unwrap();
    producer.close().unwrap();
    let mut stage = Stage::new(from.consumer("g").unwrap(), to.producer().unwrap()).unwrap();
    let staged = stage.run(|price, outputs| {
        outputs.push((3, &Price { cents: price.cents * 2 }));
        Ok::<_, Infallible>(())
    });
    assert!(matches!(staged.unwrap(), Staged { mapped: 1, published: 1, .. }));
    let mut consumer = to.consumer("out").unwrap();
    let price = consumer.recv().unwrap();
    assert_eq!((price.cents, price.kind()), (14, 3));
}

/// Outputs of the number `n`: none, one or several.
fn outputs_of(n: u64) -> impl Iterator<Item = (u64, u64)> {
    let count = if n.is_multiple_of(7) { 0 } else { 1 + n % 3 };
    (0..count).map(move |index| (n, index))
}

/// A line that a reader tells: sequence, number, index.
fn parsed(line: String) -> (u64, (u64, u64)) {
    let words: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
    (words[0], (words[1], words[2]))
}

#[test]
fn roles() {
    let Some(words) = role() else { return };
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["feed", a] => feed(a),
        ["stage", a, b] => run_stage(a, b),
        ["read", b] => read(b),
        _ => panic!("{words:?}"),
    }
}

/// Role: sends numbers, each once, in all ways there are, and noise without a source, until it is killed.
fn feed(a: &str) {
    let queue = Queue::open(a).unwrap();
    let mut producer = queue.producer().unwrap();
    let capacity = queue.capacity();
    let mut next = producer.last_position("numbers").unwrap_or(0) + 1;
    for way in next.. {
        producer.send("noise").unwrap();
        let mut stream = producer.stream("numbers").unwrap();
        let count = (1 + way % 5).min(capacity);
        let texts: Vec<_> = (next..next + count).map(|n| n.to_string()).collect();
        match way % 3 {
            0 => texts.iter().zip(next..).for_each(|(text, n)| {
                let _ = stream.send(n, text).unwrap();
            }),
            1 => drop(stream.send_batch((next..).zip(&texts)).unwrap()),
            _ => {
                let mut slots = stream.reserve(next, texts.len()).unwrap();
                for (i, text) in texts.iter().enumerate() {
                    slots.bytes_mut(i).unwrap()[..text.len()].copy_from_slice(text.as_bytes());
                    assert!(slots.set_len(i, text.len()));
                }
                slots.publish();
            }
        }
        next += count;
    }
}

/// Role: the stage; closes B when A is closed.
fn run_stage(a: &str, b: &str) {
    let mut stage = stage(&Queue::open(a).unwrap(), &Queue::open(b).unwrap());
    let map = |message: &[u8], outputs: &mut Outputs| {
        if let Ok(n) = std::str::from_utf8(message).unwrap().parse() {
            outputs_of(n).for_each(|(n, index)| outputs.push(&format!("{n} {index}")));
        }
        Ok::<_, Infallible>(())
    };
    stage.run(|message, outputs| map(message, outputs)).unwrap();
    stage.into_parts().1.close().unwrap();
}

/// Role: tells what is in B, until that is closed.
fn read(b: &str) {
    let queue = Queue::open(b).unwrap();
    let mut consumer = queue.consumer("out").unwrap();
    loop {
        let batch = match consumer.recv_batch(8) {
            Ok(batch) => batch,
            Err(RecvError::Closed { .. }) => return,
            Err(fault) => panic!("{fault}"),
        };
        for message in &batch {
            let text = std::str::from_utf8(&message).unwrap();
            tell(format_args!("{} {text}", message.sequence()));
        }
        batch.ack().unwrap();
    }
}

#[test]
fn in_a_ring_of_1_no_kill_costs_or_repeats_a_message() {
    kill_at_random("kills-1", 1);
}

#[test]
fn in_a_ring_of_2_no_kill_costs_or_repeats_a_message() {
    kill_at_random("kills-2", 2);
}

#[test]
fn in_a_ring_of_64_no_kill_costs_or_repeats_a_message() {
    kill_at_random("kills-64", 64);
}

#[test]
fn in_a_ring_of_4096_no_kill_costs_or_repeats_a_message() {
    kill_at_random("kills-4096", 4096);
}

/// What waits in `queue`, if there is anything.
fn received_now(queue: &Queue) -> Vec<String> {
    let some = queue.snapshot().unwrap().groups[0].depth > 0;
    if some { received(queue) } else { Vec::new() }
}

#[test]
fn no_kill_costs_or_repeats_a_letter_that_is_sent_again() {
    let (a, b) = (TempName::new("kills-letters-a"), TempName::new("kills-letters-b"));
    let related = [".dead", ".g.retry"].map(|end| TempName::exactly(format!("{}{end}", &*a)));
    let builder = |name, capacity| Queue::builder(name).capacity(capacity).payload_size(24);
    let from = builder(&a, 256).group("g").create().unwrap();
    // It is full in the middle of a letter's outputs.
    let to = builder(&b, 4).sources(2).group("out").create().unwrap();
    let mut producer = from.producer().unwrap();
    (0..200).for_each(|n: u64| assert_eq!(producer.send(&n.to_string()).unwrap(), n));
    let mut consumer = from.consumer("g").unwrap();
    (0..200).for_each(|_| consumer.recv().unwrap().reject().unwrap());
    drop((producer, consumer));
    from.dead_letters().unwrap().requeue(200).unwrap();
    let retry = Queue::open(&related[1]).unwrap();
    let left = || retry.snapshot().unwrap().groups[0].depth;
    let (mut rng, mut kills, begun) = (Rng::new(), 0, std::time::Instant::now());
    let mut got = Vec::new();
    while left() > 0 {
        let mut child = Child::start(&format!("stage {} {}", &*a, &*b));
        for _ in 0..rng.next() % 3 {
            thread::sleep(Duration::from_micros(rng.next() % 15_000));
            got.extend(received_now(&to));
        }
        child.kill();
        kills += 1;
        assert!(begun.elapsed().as_secs() < 120, "{} letters after {kills} kills", left());
    }
    got.extend(received_now(&to));
    let expected = (0..200).flat_map(outputs_of).map(|(n, index)| format!("{n} {index}"));
    assert!(got.iter().cloned().eq(expected), "after {kills} kills: {got:?}");
    println!("{kills} kills, {} outputs: each once, in order", got.len());
}

fn kill_at_random(what: &str, capacity: u64) {
    let kills = std::env::var("SLIPRING_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let (a, b, from, _to) = queues(what, capacity);
    let mut rng = Rng::new();
    let roles =
        [format!("feed {}", &*a), format!("stage {} {}", &*a, &*b), format!("read {}", &*b)];
    let mut listeners = Vec::new();
    let mut start = |which: usize| {
        let mut child = Child::start(&roles[which]);
        if which == 2 {
            let mut lines = child.lines();
            let told = move || std::iter::from_fn(|| lines.line()).map(parsed).collect::<Vec<_>>();
            listeners.push(thread::spawn(told));
        }
        child
    };
    let mut children: Vec<_> = (0..roles.len()).map(&mut start).collect();
    for _ in 0..kills {
        thread::sleep(Duration::from_micros(rng.next() % 25_000));
        let which = (rng.next() % 3) as usize;
        children[which].kill();
        children[which] = start(which);
    }
    children[0].kill();
    from.producer().unwrap().close().unwrap();
    children.drain(..).skip(1).for_each(Child::finish);

    // By sequence in B: a reader that was killed tells a message twice, and it must be the same.
    let mut told = BTreeMap::new();
    for (sequence, output) in listeners.into_iter().flat_map(|listener| listener.join().unwrap()) {
        let before = told.insert(sequence, output);
        assert!(before.is_none_or(|before| before == output), "{sequence}: {output:?}");
    }
    assert!(told.keys().copied().eq(0..told.len() as u64));
    let got: Vec<_> = told.into_values().collect();
    let numbers = from.streams().unwrap().first().and_then(|stream| stream.last).unwrap_or(0);
    let expected: Vec<_> = (1..=numbers).flat_map(outputs_of).collect();
    let reordered = got.windows(2).filter(|two| two[0] > two[1]).count();
    let mut once = got.clone();
    once.sort_unstable();
    once.dedup();
    let twice = got.len() - once.len();
    let lost = expected.iter().filter(|output| once.binary_search(output).is_err()).count();
    println!(
        "ring of {capacity}, {kills} kills, {numbers} numbers, {} outputs: lost {lost}, duplicated {twice}, reordered {reordered}",
        expected.len()
    );
    assert_eq!((lost, twice, reordered), (0, 0, 0));
    assert!(got == expected && numbers > 0);
}
