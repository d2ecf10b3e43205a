//! The layout as another program sees it: every byte of a segment at its literal offset, as docs/layout.md has it. A
//! change that makes this test fail makes old and new programs misread each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use common::words::{self, fnv1a};
use common::{TempName, message};
use slipring::{DeadLetters, Group, OpenOptions, Queue, Retention, Start, WakeMode};

/// The expected bytes of a segment; all others are zero.
struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        assert!(self.0[at..at + bytes.len()].iter().all(|byte| *byte == 0), "{at} is put twice");
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn u64(&mut self, at: usize, word: u64) {
        self.put(at, &word.to_le_bytes());
    }

    fn u32(&mut self, at: usize, word: u32) {
        self.put(at, &word.to_le_bytes());
    }

    fn assert_is(&self, file: &[u8]) {
        assert_eq!(self.0.len(), file.len());
        let off: Vec<_> = (0..file.len()).filter(|at| self.0[*at] != file[*at]).collect();
        assert!(off.is_empty(), "bytes at these offsets are not as documented: {off:?}");
    }
}

#[test]
fn every_byte_of_a_segment_is_where_it_was() {
    let name = TempName::new("golden");
    let shape = Queue::builder(&name).capacity(3).payload_size(50).schema_name("text");
    let shape = shape.wake_mode(WakeMode::Fence);
    let shape = shape.max_groups(2).max_consumers(3).base_sequence(1000).group("audit");
    let queue = shape.group(Group::named("brief").retention(Retention::Release)).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("audit").unwrap();
    let _other = queue.consumer("brief").unwrap();
    let long: [u8; 50] = std::array::from_fn(|i| i as u8 + 1);
    producer.send((7, &b"first"[..])).unwrap();
    producer.send("second").unwrap();
    producer.send((u32::MAX, &long[..])).unwrap();
    let mut batch = consumer.recv_batch(3).unwrap();
    batch.ack_first().unwrap();
    drop(batch);
    consumer.recv().unwrap().ack().unwrap();

    let file = words::open(&name.path());
    let mut image = Image(vec![0; 6016]);
    // Config.
    image.put(0, b"slipring");
    image.u32(8, 1);
    image.u64(32, 4);
    image.u64(40, 50);
    image.u64(48, 16);
    image.u64(56, 128);
    image.u32(64, 2);
    image.u32(68, 3);
    image.u64(72, 1000);
    image.u64(80, 2048);
    image.u64(88, 3200);
    image.u64(96, 4736);
    image.u64(104, 5504);
    image.u64(112, 6016);
    image.u32(120, 2);
    image.u32(124, name.len() as u32);
    image.u32(128, 4);
    // Version to "must understand", capacity to wake mode, schema hash, cells and streams.
    let deciding = [8..24, 32..124, 136..144, 952..992].map(|fields| &image.0[fields]).concat();
    image.u64(144, fnv1a(&deciding));
    for (at, len) in [(152, 16), (168, 8)] {
        // Instance and time differ between queues.
        let own = words::bytes(&file, at, len);
        assert!(own.iter().any(|byte| *byte != 0));
        image.put(at as usize, &own);
    }
    image.put(176, name.as_bytes());
    image.put(376, b"text");
    let sum = fnv1a(&image.0[..2040]);
    image.u64(2040, sum);
    // Control: tail, limit, marks of groups and records, producer's pid, epoch and bytes so far.
    let pid = u64::from(std::process::id());
    image.u64(2048, 1003);
    image.u64(2176, 1003);
    image.u64(2560, 2);
    image.u64(2568, 2);
    image.u64(2816, pid);
    image.u64(2824, 1);
    image.u64(2944, 5 + 6);
    // Groups: state, generation, traits, flags, began, name, head, delivered up to, attempts.
    image.u64(3200, 2);
    image.u64(3208, 2);
    image.u64(3216, 5 << 16);
    image.u64(3224, 1);
    image.u64(3256, 1000);
    image.put(3264, b"audit");
    image.u64(3584, 1002 << 8 | 255);
    image.u64(3712, 1003);
    image.u64(3720, 1001 << 8 | 2);
    // The producer woke possible sleepers, here and below.
    image.u32(3864, 4);
    image.u64(3968, 2);
    image.u64(3976, 2);
    image.u64(3984, 5 << 16 | 1 << 8);
    image.u64(3992, 1);
    image.u64(4024, 1000);
    image.put(4032, b"brief");
    image.u64(4352, 1000 << 8 | 255);
    image.u64(4488, u64::MAX);
    image.u32(4632, 4);
    // Consumer records: start, attempts, pid, epoch, acked, redelivered.
    image.u64(4736, 0);
    image.u64(4752, u64::MAX);
    image.u64(4760, pid);
    image.u64(4768, 1);
    image.u64(4864, 2);
    image.u64(4872, 1);
    image.u64(4992, 1 << 2);
    image.u64(5008, u64::MAX);
    image.u64(5016, pid);
    image.u64(5024, 1);
    image.u64(5248, 63 << 2);
    image.u64(5264, u64::MAX);
    // Slots: stamp, length and kind, payload. 1000 & 3 is 0.
    for (at, stamp, meta, payload) in [
        (5504, 1001, 5 | 7 << 32, &b"first"[..]),
        (5632, 1002, 6, b"second"),
        (5760, 1003, 50 | u64::from(u32::MAX) << 32, &long),
    ] {
        image.u64(at, stamp);
        image.u64(at + 8, meta);
        image.put(at + 16, payload);
    }
    image.assert_is(&words::bytes(&file, 0, 6016));
    assert_eq!(file.metadata().unwrap().len(), 6016);

    // Leases: records 0 and 1, producer 512; no control operation is under way.
    let held: Vec<u64> = (0..1024).filter(|byte| words::lease_is_held(&file, *byte)).collect();
    assert_eq!(held, [0, 1, 512]);

    // Leaving stores this.
    drop((consumer, producer));
    assert_eq!(words::get(&file, 4736), 63 << 2);
    assert_eq!(words::get(&file, 2816), 0);
    assert_eq!(words::get(&file, 2944), 5 + 6 + 50);

    // The state, and the closing sequence.
    queue.producer().unwrap().close().unwrap();
    assert_eq!((words::get(&file, 2832), words::get(&file, 2840)), (1, 1003));
    drop(queue.producer().unwrap());
    assert_eq!(words::get(&file, 2832), 0);
}

#[test]
fn a_queue_says_how_waiters_are_woken() {
    for (number, mode) in [(0, WakeMode::None), (1, WakeMode::Membarrier), (2, WakeMode::Fence)] {
        let name = TempName::new("golden-wake");
        let queue = Queue::builder(&name).wake_mode(mode).create().unwrap();
        let fallback = mode == WakeMode::Membarrier && queue.wake_mode() == WakeMode::Fence;
        let number = if fallback { 2 } else { number };
        assert_eq!(words::get32(&words::open(&name.path()), 120), number);
        assert_eq!(Queue::open(&name).unwrap().wake_mode(), queue.wake_mode());
    }
}

#[test]
fn a_full_queue_is_counted_and_a_slot_is_taken_again() {
    let name = TempName::new("golden-full");
    let shape = Queue::builder(&name).capacity(2).payload_size(8).max_groups(1).max_consumers(1);
    let queue = shape.group("g").create().unwrap();
    let file = words::open(&name.path());
    // Control, one group, one record, two slots of 64 bytes.
    let slots = 2048 + 1152 + 768 + 256;
    assert_eq!(file.metadata().unwrap().len(), slots + 128);
    let mut producer = queue.producer().unwrap();
    producer.send("12345678").unwrap();
    producer.send("b").unwrap();
    producer.try_send("c").unwrap_err();
    producer.try_send("c").unwrap_err();
    assert_eq!(words::get(&file, 2176), 2, "the limit");
    queue.consumer("g").unwrap().recv().unwrap().ack().unwrap();
    producer.try_send("c").unwrap();
    assert_eq!(words::get(&file, 2952), 2, "times full");
    assert_eq!(words::get(&file, 2048), 3, "the tail");
    assert_eq!(words::get(&file, slots), 3, "the stamp of sequence 2");
    // Bytes after the message are left over, and mean nothing.
    assert_eq!(words::bytes(&file, slots + 16, 1), b"c");
    let reservation = producer.try_reserve(1);
    assert!(reservation.is_err());
    if queue.wake_mode() != WakeMode::None {
        // It polls for a while before it sleeps, and on a busy machine may never get to sleep.
        while words::get32(&file, 2432) & 1 == 0 {
            producer.send_timeout("d", Duration::from_millis(20)).unwrap_err();
        }
        assert_eq!(words::get(&file, 2440), 3 + 1 - 2, "the gate that it wants");
    }
    queue.consumer("g").unwrap().recv().unwrap().ack().unwrap();
    let reservation = producer.try_reserve(1).unwrap();
    assert_eq!(words::get(&file, slots + 64), 0, "a slot that is being written has no stamp");
    drop(reservation);
    assert_eq!(words::get(&file, 2048), 3);
}

#[test]
fn what_a_shared_group_and_its_members_say_is_where_it_was() {
    let name = TempName::new("golden-shared");
    let dead = TempName::exactly(format!("{}.letters", &*name));
    let group = || Group::named("work").shared();
    let shape = Queue::builder(&name).capacity(8).payload_size(8).max_groups(1).max_consumers(3);
    let shape = shape.group(group().max_attempts(7).dead_letters_to(&*dead));
    let queue = shape.create().unwrap();
    let file = words::open(&name.path());
    let (group_at, record_at) = (3200, |record: u64| 3200 + 768 + 256 * record);
    let mut producer = queue.producer().unwrap();
    producer.send_batch(["a", "b", "c", "d", "e", "f"]).unwrap();
    let mut first = queue.consumer(group()).unwrap();
    let mut second = queue.consumer(group()).unwrap();
    let name_len = "work".len() as u64;
    assert_eq!(words::get(&file, group_at + 16), 1 | name_len << 16 | 7 << 24, "traits");
    assert_eq!(words::get(&file, group_at + 128), dead.len() as u64);
    assert_eq!(words::bytes(&file, group_at + 136, dead.len()), dead.as_bytes());
    let mut batch = first.recv_batch(3).unwrap();
    batch.ack_first().unwrap();
    let mut rejecting = second.recv_batch(2).unwrap();
    assert_eq!(words::get(&file, group_at + 384), 5 << 8 | 1, "the head names its last claimer");
    assert_eq!(words::get(&file, record_at(0)), 1 << 8 | 2, "holds from 1 on");
    assert_eq!(words::get(&file, record_at(0) + 8), 3, "up to, not including, 3");
    drop(batch);
    drop(first.recv_batch(3).unwrap());
    assert_eq!(
        words::get(&file, record_at(0) + 16),
        1 << 8 | 2,
        "message 1 has its second delivery"
    );
    rejecting.reject(3).unwrap();
    rejecting.ack().unwrap();
    assert_eq!(words::get(&file, record_at(1)), 5 << 8, "idle, of group 0");
    let counters = |at: u64| [0, 8, 16].map(|word| words::get(&file, at + word));
    assert_eq!(counters(record_at(1) + 128), [2, 0, 1], "acked, redelivered, dead-lettered");
    assert_eq!(words::get(&file, group_at + 32), 0, "nothing was sent again");
    DeadLetters::open(&dead, &OpenOptions::new()).unwrap().requeue(1).unwrap();
    assert_eq!(words::get(&file, group_at + 32), 1);
    let _retries = TempName::exactly(format!("{}.work.retry", &*name));
    drop((first, second));
    assert_eq!(
        words::get(&file, record_at(0)),
        1 << 8 | 2,
        "who leaves keeps nobody's messages back"
    );
    assert_eq!(words::get(&file, record_at(1)), 5 << 8 | 63 << 2);
    assert_eq!(counters(group_at + 640), [3, 1, 1], "totals of those who left");
}

#[test]
fn a_dead_letter_has_its_envelope_after_the_payload() {
    let name = TempName::new("golden-letter");
    let dead = TempName::exactly(format!("{}.dead", &*name));
    let group = || Group::named("work").shared();
    let queue = Queue::builder(&name).capacity(4).payload_size(10).group(group()).create().unwrap();
    queue.producer().unwrap().send((9, "payload")).unwrap();
    queue.consumer(group()).unwrap().recv().unwrap().reject().unwrap();
    let letters = Queue::open(&dead).unwrap();
    assert_eq!(letters.payload_size(), 10 + 296);
    let mut consumer = letters.consumer("dead").unwrap();
    let letter = consumer.recv().unwrap();
    assert_eq!(letter.kind(), 9);
    let mut image = Image(vec![0; 7 + 296]);
    image.put(0, b"payload");
    // Sequence 0, then the time, which differs between letters.
    image.put(7 + 8, &letter[15..23]);
    image.put(7 + 16, &[1, 2, 1, name.len() as u8, 4]);
    image.put(7 + 24, name.as_bytes());
    image.put(7 + 224, b"work");
    image.put(7 + 288, b"deadltr\0");
    image.assert_is(&letter);
}

slipring::message! {
    /// Pins how a message's fields are hashed.
    struct Tick {
        instrument: u32,
        flags: u32,
        price: i64,
    }
}

#[test]
fn a_typed_queue_says_what_it_carries() {
    let name = TempName::new("golden-typed");
    Queue::builder(&name).message::<Tick>().capacity(1).create().unwrap();
    let file = words::open(&name.path());
    let mut text = Vec::new();
    for (field, kind, offset) in
        [("instrument", "u32", 0u64), ("flags", "u32", 4), ("price", "i64", 8)]
    {
        text.extend_from_slice(field.as_bytes());
        text.push(0);
        text.extend_from_slice(kind.as_bytes());
        text.push(0);
        text.extend_from_slice(&offset.to_le_bytes());
    }
    assert_eq!(words::get(&file, 136), fnv1a(&text));
    assert_eq!(words::get(&file, 40), 16);
    let fields = "instrument: u32 @0\nflags: u32 @4\nprice: i64 @8\n";
    assert_eq!(words::get32(&file, 132) as usize, fields.len());
    let mut stored = vec![0; fields.len()];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut stored, 504).unwrap();
    assert_eq!(stored, fields.as_bytes());
    assert_eq!(words::get32(&file, 128), 4);
    assert_eq!(words::bytes(&file, 376, 5), b"Tick\0");
}

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1.segment");

/// Makes the fixture, for a new layout version only: an existing fixture is never made anew.
fn write_fixture() {
    let name = TempName::exactly("fixture-v1");
    let shape = Queue::builder(&name).capacity(4).payload_size(16).max_groups(2).max_consumers(2);
    // A mode that every kernel has.
    let shape = shape.wake_mode(WakeMode::Fence);
    let queue = shape.schema_name("stored").group("half").group("unread").create().unwrap();
    let mut producer = queue.producer().unwrap();
    for number in 0..3 {
        producer.send((number as u32 + 10, &message(number, 16)[..])).unwrap();
    }
    let mut consumer = queue.consumer("half").unwrap();
    let mut batch = consumer.recv_batch(2).unwrap();
    batch.ack_first().unwrap();
    drop(batch);
    drop((producer, consumer));
    std::fs::copy(name.path(), FIXTURE).unwrap();
}

/// `SLIPRING_WRITE_FIXTURE=1 cargo test --test golden a_stored_segment` writes the file first.
#[test]
fn a_stored_segment_of_this_layout_version_is_still_understood() {
    if std::env::var_os("SLIPRING_WRITE_FIXTURE").is_some() {
        assert!(!Path::new(FIXTURE).exists(), "remove {FIXTURE} first, if it is meant");
        write_fixture();
    }
    let stored = std::fs::read(FIXTURE).unwrap();
    assert_eq!(stored.len(), 5504);
    let name = TempName::new("stored");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(name.path()).unwrap();
    std::io::Write::write_all(&mut file, &stored).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let snapshot = OpenOptions::new().snapshot(&name).unwrap();
    assert_eq!((snapshot.version, snapshot.capacity, snapshot.payload_size), (1, 4, 16));
    assert_eq!((snapshot.schema_name.as_str(), snapshot.tail), ("stored", 3));
    assert_eq!((snapshot.producer.epoch, snapshot.producer.live), (1, false));
    let groups: Vec<_> =
        snapshot.groups.iter().map(|g| (g.name.as_str(), g.head, g.depth, g.unacked)).collect();
    assert_eq!(groups, [("half", 1, 2, 1), ("unread", 0, 3, 0)]);

    let queue = Queue::open(&name).unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    for number in 0..3 {
        let seen = observer.try_recv().unwrap();
        assert_eq!((seen.sequence(), u64::from(seen.kind())), (number, number + 10));
        assert_eq!(*seen, *message(number, 16));
    }
    let mut half = queue.consumer("half").unwrap();
    assert!(half.resumed());
    for (number, attempts) in [(1, 2), (2, 1)] {
        let received = half.recv().unwrap();
        assert_eq!((received.sequence(), received.attempts()), (number, attempts));
        assert_eq!(*received, *message(number, 16));
        received.ack().unwrap();
    }
    assert_eq!(queue.consumer("unread").unwrap().recv_batch(9).unwrap().len(), 3);
    assert_eq!(queue.producer().unwrap().send("x").unwrap(), 3);
}

#[test]
fn every_byte_of_sources_is_where_it_was() {
    let name = TempName::new("golden-sources");
    let shape = Queue::builder(&name).capacity(4).payload_size(45).max_groups(1).max_consumers(1);
    let queue = shape.sources(3).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let feed = slipring::StreamId::new(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let _ = producer.send_from("a", 5, "x").unwrap();
    let _ = producer.send_from(feed, 7, "y").unwrap();
    producer.send("z").unwrap();
    let _ = producer.send_from(feed, 9, (3, "w")).unwrap();
    let file = std::fs::read(name.path()).unwrap();
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    // Config: must understand, stride, slots, streams and where they are.
    let (table, slots) = (3200 + 768 + 256, 4480);
    let config = [16, 56, 104, 976, 984].map(word);
    assert_eq!(config, [2, 128, slots as u64, 3, table as u64]);
    // The second entry: id, last, start, state, label.
    let entry: Vec<_> = (0..8).map(|i| word(table + 64 + 8 * i)).collect();
    assert_eq!(entry, [0x090a_0b0c_0d0e_0f10, 0x0102_0304_0506_0708, 9, 7, 1, 0, 0, 0]);
    assert_eq!(&file[table + 40..table + 64], b"a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    // The number of the stream in the meta word, and the position after the payload's 45 bytes, which end in a word.
    let slot = |n: usize| [word(slots + 128 * n + 8), word(slots + 128 * n + 64)];
    assert_eq!(slot(0), [1 | 1 << 25, 5]);
    assert_eq!(slot(1), [1 | 2 << 25, 7]);
    assert_eq!(slot(2)[0], 1, "no stream");
    assert_eq!(slot(3), [1 | 2 << 25 | 3 << 32, 9]);
}

#[test]
fn every_byte_of_a_message_in_flight_is_where_it_was() {
    let name = TempName::new("golden-flight");
    let work = Group::named("work").shared().in_flight(2).ack_timeout(Duration::from_secs(30));
    let shape = Queue::builder(&name).capacity(4).payload_size(45).max_groups(2).max_consumers(1);
    let shape = shape.sources(3).group(Group::named("first").shared().in_flight(1)).group(&work);
    let queue = shape.spare_cells(2).create().unwrap();
    let _ = queue.producer().unwrap().send_from("a", 5, (7, "xyz")).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let job = worker.recv().unwrap();
    let file = std::fs::read(name.path()).unwrap();
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let (slots, cells) = (3200 + 2 * 768 + 256 + 256, 3200 + 2 * 768 + 256 + 256 + 4 * 128);
    // Config: must understand, slots, cells, their stride, and where they are.
    let config = [16, 104, 952, 960, 968].map(word);
    assert_eq!(config, [3, slots as u64, 5, 128, cells as u64]);
    assert_eq!(file.len(), cells + 5 * 128);
    // Groups: ack timeout, extent.
    assert_eq!([word(3240), word(3248)], [0, 1 << 32]);
    assert_eq!([word(4008), word(4016)], [30_000_000_000, 1 | 2 << 32]);
    // The consumer record: start, claimed at, holds.
    let record = 3200 + 2 * 768;
    assert_eq!([word(record), word(record + 40), word(record + 152)], [1 << 8 | 1 << 2, 0, 1]);
    // The second group's first cell: generation 2 after it was emptied for the group, one delivery, held by record 0.
    let cell = cells + 128;
    assert_eq!(word(cell) >> 54, 2);
    assert_eq!(word(cell) & ((1 << 18) - 1), 1 << 10 | 2);
    let (due, received) = (word(cell) >> 18 & ((1 << 36) - 1), word(cell + 24));
    // The tick of the receive had begun, and the clock may lag by 10 ms.
    assert_eq!(due - received, 30_000_000_000_u64.div_ceil(1 << 22) + 1 + 3);
    // Sequence, meta with the stream, payload, position.
    assert_eq!([word(cell + 8), word(cell + 16)], [0, 3 | 1 << 25 | 7 << 32]);
    assert_eq!((&file[cell + 32..cell + 35], word(cell + 80)), (&b"xyz"[..], 5));
    job.ack().unwrap();
    let file = std::fs::read(name.path()).unwrap();
    let word = u64::from_le_bytes(file[cell..cell + 8].try_into().unwrap());
    assert_eq!(word, 3 << 54, "empty, and the next generation");
    // A dead letter that was sent again: delayed, nobody's, due at once; a mark at its sequence, and no stream.
    let dead = TempName::exactly(format!("{}.dead", &*name));
    let _ = queue.producer().unwrap().send_from("a", 6, (8, "again")).unwrap();
    worker.recv().unwrap().reject().unwrap();
    drop(worker);
    slipring::DeadLetters::open(&dead, &Default::default()).unwrap().requeue(1).unwrap();
    let file = std::fs::read(name.path()).unwrap();
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let cell = (cell..cell + 256).step_by(128).find(|cell| word(*cell) & 3 == 3).unwrap();
    assert_eq!(word(cell) & ((1 << 54) - 1), 255 << 2 | 3);
    assert_eq!([word(cell + 8), word(cell + 16)], [1 | 1 << 63, 5 | 8 << 32]);
    assert_eq!(&file[cell + 32..cell + 37], b"again");
}
