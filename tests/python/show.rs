//! What Python shows of a queue, and what it refuses.

use std::os::unix::fs::{FileExt, MetadataExt};

use serde_json::{Value, json};
use slipring::{Group, OpenError, OpenOptions, Queue, Retention};

use crate::common::{TempName, words};
use crate::{LONGEST, Python, has_python, nothing_is_left, send, show};

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
        (16, u64(1 << 63 | 6), "bit 2 (times of publication), bit 63 (unknown)"),
        (16, u64(2), "number of streams"),
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
        file.write_all_at(bytes, *at).unwrap();
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
    for len in [file.metadata().unwrap().len() - 128, 4096, 2047] {
        file.set_len(len).unwrap();
        Python::start(&["observe", &name]).fail("truncated");
    }
    file.set_len(0).unwrap();
    Python::start(&["observe", &name]).fail("is no queue");
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

#[test]
fn python_shows_where_messages_come_from() {
    if !has_python() {
        return;
    }
    let name = TempName::new("python-sources");
    let shape = Queue::builder(&name).capacity(4).payload_size(LONGEST).sources(3);
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    let _ = producer.send_from("feed", 7, "a").unwrap();
    producer.send("b").unwrap();
    let _ = producer.send_from("other", 1 << 60, "c").unwrap();
    let shown = show(&name);
    let known = queue.streams().unwrap();
    let streams = known.iter().map(|info| {
        let (last, start) = (info.last.unwrap_or(0), info.start.unwrap_or(0));
        json!({
            "id": info.stream.to_string(), "label": info.stream.label(), "last": last, "start": start
        })
    });
    assert_eq!(shown["streams"], streams.collect::<Value>());
    assert_eq!(known.len(), 2);
    let mut python = Python::start(&["observe", &name]);
    python.line().unwrap();
    let mut source = || python.line().unwrap()["source"].clone();
    assert_eq!(source(), json!([known[0].stream.to_string(), 7]));
    assert_eq!(source(), Value::Null);
    assert_eq!(source(), json!([known[1].stream.to_string(), 1u64 << 60]));
    producer.close().unwrap();
    python.line().unwrap();
    python.finish();
    drop(queue);
    nothing_is_left(name);
}
