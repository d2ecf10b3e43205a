//! Headers that lie and files that are something else: each gets an error of its own kind, and nothing crashes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::os::unix::fs::FileExt;

use common::{Rng, TempName, words};
use slipring::{OpenError, OpenOptions, Queue, RemoveError, Start};

fn small(name: &str) -> Queue {
    let shape = Queue::builder(name).capacity(4).payload_size(16).max_groups(2).max_consumers(2);
    shape.group("g").create().unwrap()
}

/// Opens in every way; all must fail alike. Returns the error.
fn refusal(name: &str) -> OpenError {
    let all = OpenOptions::new();
    let open = Queue::open(name).map(drop).unwrap_err();
    let observe = all.observe(name, Start::Oldest).map(drop).unwrap_err();
    let snapshot = all.snapshot(name).map(drop).unwrap_err();
    assert_eq!(open.to_string(), observe.to_string());
    assert_eq!(open.to_string(), snapshot.to_string());
    open
}

#[test]
fn each_header_field_that_is_off_is_named() {
    // Offset, bytes, and what the error says; the checksum is corrected except for the first three.
    let u32 = |n: u32| n.to_le_bytes().to_vec();
    let u64 = |n: u64| n.to_le_bytes().to_vec();
    let cases: Vec<(u64, Vec<u8>, &str)> = vec![
        (0, b"slipping".to_vec(), "NotAQueue"),
        (8, u32(0), "found: 0, supported: 1 }"),
        (2040, u64(0), "its checksum does not match"),
        (12, u32(1), "slot format 1"),
        (12, u32(2), "slot format 2"),
        (16, u64(4), "\"times of publication (feature bit 2)\""),
        (16, u64(12), "\"times of publication (feature bit 2), feature bit 3\""),
        // Bits 0 and 1 are known, and ask for cells and for a table of streams.
        (16, u64(1), "\"number of cells\""),
        (16, u64(2), "\"number of streams\""),
        (16, u64(1 << 63), "\"feature bit 63\""),
        (32, u64(0), "\"capacity\""),
        (32, u64(3), "\"capacity\""),
        (32, u64(u64::MAX), "\"capacity\""),
        (32, u64(8), "\"total size\""),
        (40, u64(0), "\"payload size\""),
        (40, u64(u64::MAX), "\"payload size\""),
        (40, u64(17), "\"fingerprint\""),
        (40, u64(64), "\"slot stride\""),
        (48, u64(0), "\"payload offset\""),
        (56, u64(0), "\"slot stride\""),
        (64, u32(0), "\"group table size\""),
        (64, u32(64), "\"group table size\""),
        (64, u32(1), "\"consumer table offset\""),
        (68, u32(0), "\"consumer table size\""),
        (68, u32(256), "\"consumer table size\""),
        (68, u32(1), "\"slots offset\""),
        (72, u64(u64::MAX), "\"base sequence\""),
        (80, u64(0), "\"control offset\""),
        (88, u64(u64::MAX), "\"group table offset\""),
        (96, u64(128), "\"consumer table offset\""),
        (104, u64(1 << 40), "\"slots offset\""),
        (112, u64(1 << 40), "\"total size\""),
        (120, u32(3), "wake mode 3"),
        (120, u32(u32::MAX), "wake mode 4294967295"),
        (124, u32(201), "\"queue name\""),
        (124, u32(u32::MAX), "\"queue name\""),
        (128, u32(129), "\"schema name\""),
        (132, u32(449), "\"schema fields\""),
        (72, u64(7), "\"fingerprint\""),
        (120, u32(0), "\"fingerprint\""),
        (136, u64(7), "\"fingerprint\""),
        (144, u64(7), "\"fingerprint\""),
        (176, vec![0xff], "\"queue name\""),
        (952, u64(1), "\"number of cells\""),
        (960, u64(64), "\"cell stride\""),
        (968, u64(1 << 20), "\"cells offset\""),
        (976, u64(1), "\"number of streams\""),
        (984, u64(1 << 20), "\"stream table offset\""),
    ];
    for (i, (at, bytes, says)) in cases.into_iter().enumerate() {
        let name = TempName::new("header");
        drop(small(&name));
        let file = words::open(&name.path());
        file.write_all_at(&bytes, at).unwrap();
        if i >= 3 {
            words::seal(&file);
        }
        let fault = format!("{:?}", refusal(&name));
        assert!(fault.contains(says), "offset {at}: {fault}");
        assert!(slipring::list().unwrap().contains(&name.to_string()));
        assert!(matches!(slipring::remove(&name), Err(RemoveError::Unreadable { .. })));
        slipring::force_remove(&name).unwrap();
        assert!(!name.path().exists());
    }
}

#[test]
fn any_bit_of_the_header_that_flips_is_noticed() {
    let name = TempName::new("flip");
    drop(small(&name));
    let file = words::open(&name.path());
    let mut rng = Rng::new();
    for _ in 0..300 {
        let at = rng.below(words::HEADER / 8) * 8;
        let word = words::get(&file, at);
        words::set(&file, at, word ^ 1 << rng.below(64));
        refusal(&name);
        words::set(&file, at, word);
    }
    Queue::open(&name).unwrap();
}

#[test]
fn a_file_of_another_length_is_refused_with_both_lengths() {
    let name = TempName::new("length");
    drop(small(&name));
    let file = words::open(&name.path());
    let total = file.metadata().unwrap().len();
    for len in
        [8, words::HEADER - 1, words::HEADER, words::HEADER + 1, total - 1, total + 1, total + 4096]
    {
        // What was cut off reads as zeros later, so the header is written again each time.
        let header = words::bytes(&file, 0, words::HEADER as usize);
        file.set_len(len).unwrap();
        let fault = refusal(&name);
        let OpenError::WrongSize { expected, found, .. } = fault else { panic!("{len}: {fault}") };
        assert_eq!(
            (expected, found),
            (if len < words::HEADER { words::HEADER } else { total }, len)
        );
        file.set_len(total).unwrap();
        file.write_all_at(&header, 0).unwrap();
    }
    Queue::open(&name).unwrap();
}

#[test]
fn what_is_not_a_queue_is_not_opened() {
    let name = TempName::new("text");
    std::fs::write(name.path(), "a text\n".repeat(1000)).unwrap();
    assert!(matches!(refusal(&name), OpenError::NotAQueue { .. }));
    assert!(matches!(slipring::remove(&name), Err(RemoveError::Unreadable { .. })));
    assert!(matches!(Queue::builder(&name).create(), Err(slipring::CreateError::Exists { .. })));

    let pipe = TempName::new("pipe");
    nix::unistd::mkfifo(&pipe.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let fault = refusal(&pipe);
    assert!(matches!(fault, OpenError::NotAQueue { .. }), "{fault}");

    let empty = TempName::new("empty");
    std::fs::write(empty.path(), "").unwrap();
    assert!(matches!(refusal(&empty), OpenError::NotAQueue { .. }));

    let directory = TempName::new("directory");
    std::fs::create_dir(directory.path()).unwrap();
    assert!(Queue::open(&directory).is_err());
    assert!(OpenOptions::new().snapshot(&directory).is_err());

    // A link could lead to a file that another user chose.
    let (link, queue) = (TempName::new("link"), TempName::new("target"));
    drop(small(&queue));
    std::os::unix::fs::symlink(queue.path(), link.path()).unwrap();
    assert!(matches!(refusal(&link), OpenError::System(_)));

    let nothing = TempName::new("nothing");
    assert!(matches!(refusal(&nothing), OpenError::NotFound { .. }));
    for bad in ["", "a/b", "../x", "a\0b", &"x".repeat(201)] {
        assert!(matches!(refusal(bad), OpenError::Name(_)));
    }
}

#[test]
fn a_foreign_owner_is_refused_unless_allowed() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    let name = TempName::new("owner");
    drop(small(&name));
    std::os::unix::fs::chown(name.path(), Some(12345), None).unwrap();
    let fault = Queue::open(&name).unwrap_err();
    assert!(matches!(fault, OpenError::ForeignOwner { uid: 12345, .. }), "{fault}");
    assert!(matches!(
        OpenOptions::new().allow_owner(12346).open(&name),
        Err(OpenError::ForeignOwner { uid: 12345, .. })
    ));
    // Root may read it.
    assert_eq!(OpenOptions::new().snapshot(&name).unwrap().capacity, 4);
    OpenOptions::new().observe(&name, Start::Oldest).unwrap();
    let queue = OpenOptions::new().allow_owner(12345).open(&name).unwrap();
    queue.producer().unwrap().try_send("x").unwrap();
    queue.consumer("g").unwrap().try_recv().unwrap().ack().unwrap();
    queue.observer(Start::Oldest).unwrap().try_recv().unwrap();
}

#[test]
fn a_table_of_streams_that_cannot_be_is_refused() {
    for (streams, says) in [
        (0u64, "\"number of streams\""),
        (128, "\"number of streams\""),
        (u64::MAX, "\"number of streams\""),
        (4, "\"slots offset\""),
        (2, "\"fingerprint\""),
    ] {
        let name = TempName::new("streams");
        drop(slipring::Queue::builder(&name).sources(1).create().unwrap());
        let file = words::open(&name.path());
        file.write_all_at(&streams.to_le_bytes(), 976).unwrap();
        words::seal(&file);
        let fault = format!("{:?}", refusal(&name));
        assert!(fault.contains(says), "{streams}: {fault}");
        slipring::force_remove(&name).unwrap();
    }
}
