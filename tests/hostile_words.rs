//! Words that a hostile or broken process may leave in the segment: they cause errors, and never a panic, a hang or an
//! access outside the segment. Debug builds check the arithmetic, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::{Rng, TempName, there, words};
use slipring::{
    Consumer, DeadLetter, Group, Monitor, Observer, OpenOptions, Producer, Queue, RecvError,
    Retention, Start,
};

#[test]
fn a_tail_that_cannot_be_never_lends_out_more_than_the_ring() {
    let name = TempName::new("far-tail");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    queue.producer().unwrap().send("x").unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    words::set(&words::open(&name.path()), words::TAIL, 1 << 40);
    for _ in 0..3 {
        assert!(matches!(consumer.try_recv_batch(99), Err(RecvError::Corrupt { .. })));
    }
    words::set(&words::open(&name.path()), words::TAIL, 1);
    assert_eq!(consumer.try_recv_batch(99).unwrap().len(), 1);
}

#[test]
fn an_observer_may_ask_for_any_sequence() {
    let name = TempName::new("any-sequence");
    let queue = Queue::builder(&name).capacity(4).create().unwrap();
    queue.producer().unwrap().try_send("x").unwrap();
    for seq in [u64::MAX, u64::MAX - 1, 1 << 56, (1 << 56) - 1, 1 << 40] {
        let mut observer = queue.observer(Start::Sequence(seq)).unwrap();
        for _ in 0..3 {
            assert!(there(observer.try_recv()).is_none());
        }
        assert_eq!(observer.missed(), 0);
    }
}

#[test]
fn an_observer_survives_any_tail() {
    for tail in [u64::MAX, u64::MAX - 4, 1 << 63, 1 << 56, (1 << 56) - 1] {
        let name = TempName::new("any-tail");
        let queue = Queue::builder(&name).capacity(4).create().unwrap();
        let mut before = queue.observer(Start::Oldest).unwrap();
        words::set(&words::open(&name.path()), words::TAIL, tail);
        let mut after = queue.observer(Start::Newest).unwrap();
        for _ in 0..40 {
            assert!(there(before.try_recv()).is_none());
            assert!(there(after.try_recv()).is_none());
        }
    }
}

#[test]
fn sequence_numbers_are_used_up_not_reused() {
    const NONE: u64 = (1 << 56) - 1;
    for left in [0, 1, 2, 3, 5, 40] {
        let name = TempName::new("exhausted");
        let queue = Queue::builder(&name).capacity(16).create().unwrap();
        // As if that many messages had been sent.
        let file = words::open(&name.path());
        words::set(&file, words::TAIL, NONE - 1 - left);
        words::set(&file, words::LIMIT, NONE - 1 - left);
        let mut producer = queue.producer().unwrap();
        let mut sent = 0;
        let fault = loop {
            match producer.try_send("x") {
                Ok(seq) => assert_eq!(seq, NONE - 1 - left + sent),
                Err(fault) => break fault,
            }
            sent += 1;
        };
        assert!(matches!(fault, slipring::SendError::Exhausted { .. }), "{fault}");
        // The last one has the number below the reserved one.
        assert_eq!(sent, left + 1);
        let fault = producer.send_batch(["x"; 3]).unwrap_err();
        assert_eq!(fault.sent(), 0);
    }
}

#[test]
fn a_producer_survives_any_words_it_takes_over() {
    for at in [words::TAIL, words::LIMIT, words::PAYLOAD_BYTES, words::TIMES_FULL] {
        let name = TempName::new("take-over");
        let queue = Queue::builder(&name).capacity(2).group("g").create().unwrap();
        let file = words::open(&name.path());
        words::set(&file, at, u64::MAX);
        let mut producer = match queue.producer() {
            Err(slipring::ProducerError::Corrupt { .. }) => continue,
            joined => joined.unwrap(),
        };
        for _ in 0..4 {
            let _ = producer.try_send("some bytes");
            let _ = producer.try_reserve(2).map(|reservation| reservation.publish());
        }
        let _ = queue.snapshot().unwrap();
    }
}

/// Every handle that a process can have on a queue.
struct Handles {
    queue: Queue,
    producer: Option<Producer>,
    consumers: Vec<Consumer>,
    observer: Option<Observer>,
    monitor: Monitor,
}

const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
const SHORT: Duration = Duration::from_micros(200);

fn hostile(rng: &mut Rng, old: u64) -> u64 {
    match rng.below(12) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX - rng.below(20),
        3 => (1 << 56) - rng.below(20),
        4 => 1 << rng.below(64),
        5 => old.wrapping_add(rng.below(20)),
        6 => old.wrapping_sub(rng.below(20)),
        7 => old ^ 1 << rng.below(64),
        8 => rng.below(300) << 8 | rng.below(256),
        9 => u64::MAX << 8 | rng.below(256),
        10 => rng.below(4),
        _ => rng.next(),
    }
}

fn use_up(observer: &mut Observer) -> u64 {
    let seen = observer.try_recv();
    seen.map_or(0, |message| message.len() as u64 + message.missed())
}

/// Dead letters go nowhere: the name of their queue may be garbage, too.
fn without_letters(mut consumer: Consumer) -> Consumer {
    consumer.on_dead_letter(|_: &DeadLetter<'_>| Ok::<(), String>(()));
    consumer
}

impl Handles {
    fn act(&mut self, rng: &mut Rng) {
        let bytes = [7; 24];
        let bytes = &bytes[..rng.below(25) as usize];
        let group = GROUPS[rng.below(4) as usize];
        match rng.below(16) {
            0 => drop(self.queue.snapshot()),
            6 if rng.below(2) == 0 => {
                self.monitor.glance();
                self.monitor.look().unwrap();
                let stats = self.monitor.stats(Duration::from_secs(60));
                assert!(stats.used <= 8 && stats.publish_rate.value().is_none_or(f64::is_finite));
                std::hint::black_box(stats.findings());
            }
            1 => drop(self.queue.add_group(group)),
            2 if rng.below(2) == 0 => drop(self.queue.force_remove_group(group)),
            2 => drop(self.queue.remove_group(group)),
            3 => {
                let gone = self.producer.take();
                if rng.below(2) == 0 {
                    drop(gone.map(Producer::close));
                } else {
                    drop(gone);
                }
                self.producer = self.queue.producer().ok();
            }
            4 if !self.consumers.is_empty() => {
                let gone = rng.below(self.consumers.len() as u64) as usize;
                drop(self.consumers.swap_remove(gone).leave());
            }
            4 | 5 => {
                let start = [Start::Oldest, Start::Newest, Start::Sequence(rng.next())];
                let keep = [Retention::Hold, Retention::Release][rng.below(2) as usize];
                let group = Group::named(group).start(start[rng.below(3) as usize]);
                let group = match (group.retention(keep), rng.below(4) as u8) {
                    (group, 0) => group.unlimited_attempts(),
                    (group, limit) => group.max_attempts(limit),
                };
                let group = if rng.below(2) == 0 { group.shared() } else { group };
                self.consumers.extend(self.queue.consumer(group).ok().map(without_letters));
            }
            6 => {
                let start = [Start::Oldest, Start::Newest, Start::Sequence(rng.next())];
                let start = start[rng.below(3) as usize];
                self.observer = self.queue.observer(start).ok();
            }
            7..10 => {
                let Some(producer) = &mut self.producer else { return };
                match rng.below(4) {
                    0 => drop(producer.try_send_batch(&mut [bytes; 5].iter().copied())),
                    1 => drop(producer.send_timeout(bytes, SHORT)),
                    2 => {
                        let slots = rng.below(10) as usize;
                        if let Ok(mut reservation) = producer.try_reserve(slots) {
                            reservation.set_len(0, 3);
                            reservation.publish_first(rng.below(10) as usize);
                        }
                    }
                    _ => drop(producer.try_send((9, bytes))),
                }
            }
            10..14 => {
                if self.consumers.is_empty() {
                    return;
                }
                let at = rng.below(self.consumers.len() as u64) as usize;
                let consumer = &mut self.consumers[at];
                if rng.below(4) == 0 {
                    drop(consumer.recv_into_timeout(&mut Vec::new(), SHORT));
                    return;
                }
                let max = [1, 3, usize::MAX][rng.below(3) as usize];
                if let Ok(mut batch) = consumer.try_recv_batch(max) {
                    let read: u64 = batch.iter().flat_map(|m| m.to_vec()).map(u64::from).sum();
                    std::hint::black_box(read);
                    assert!(batch.len() <= 8);
                    for _ in 0..rng.below(9) {
                        match rng.below(5) {
                            0 => drop(batch.ack_one(rng.below(20))),
                            1 => drop(
                                batch.first().map(|m| m.sequence()).map(|seq| batch.reject(seq)),
                            ),
                            _ => batch.ack_first().unwrap(),
                        }
                    }
                    if rng.below(4) == 0 {
                        drop(batch.release());
                    }
                }
            }
            _ => drop(self.observer.as_mut().map(use_up)),
        }
    }
}

#[test]
fn hostile_words_in_shared_memory_are_survived() {
    let mut rng = Rng::new();
    for _ in 0..60 {
        let name = TempName::new("hostile-words");
        let shape = Queue::builder(&name).capacity(8).payload_size(24).control_timeout(SHORT);
        let queue = shape.max_groups(3).max_consumers(4).group("a").create().unwrap();
        let file = words::open(&name.path());
        let words_in_file = file.metadata().unwrap().len() / 8;
        let (producer, observer) = (queue.producer().ok(), queue.observer(Start::Oldest).ok());
        let shared = || Group::named("b").shared();
        let consumers = [Group::named("a"), shared(), shared()];
        let consumers =
            consumers.map(|group| without_letters(queue.consumer(group).unwrap())).into();
        let monitor = Monitor::open(&name, &OpenOptions::new()).unwrap();
        let mut handles = Handles { queue, producer, consumers, observer, monitor };
        for _ in 0..300 {
            if rng.below(3) == 0 {
                // Words that decide more are hit more often: those of the control block, and the heads.
                let at = match rng.below(4) {
                    0 => words::HEADER + 128 * rng.below(8) + 8 * rng.below(4),
                    // Start, end and attempts of consumer records.
                    3 => words::GROUPS + words::GROUP * 3 + 256 * rng.below(4) + 8 * rng.below(3),
                    1 => {
                        words::GROUPS
                            + words::GROUP * rng.below(3)
                            + 128 * (rng.below(4) + 2)
                            + 8 * rng.below(2)
                    }
                    _ => words::HEADER + 8 * rng.below(words_in_file - words::HEADER / 8),
                };
                let word = hostile(&mut rng, words::get(&file, at));
                words::set(&file, at, word);
            }
            handles.act(&mut rng);
        }
    }
}
