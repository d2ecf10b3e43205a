//! Words of messages in flight that a hostile or broken process may leave in the segment: cells, extents, the hint when
//! something is due, what a dead member says that it holds. They cause errors or delays, and never a panic, a hang or an
//! access outside the segment. Debug builds check the arithmetic, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::fs::File;
use std::time::Duration;

use common::{Rng, TempName, there, words};
use slipring::{
    DeadLetter, DeadLetters, Group, Job, JoinError, Monitor, OpenOptions, Producer, Queue,
    RecvError, RequeueReason, Worker,
};

/// Waited for only by a test that fails.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_micros(200);

/// Words of the queue's configuration: bytes from cell to cell, and where the first one is.
const CELL_STRIDE: u64 = 960;
const CELLS_AT: u64 = 968;
/// In a group's record.
const STATE: u64 = 0;
const TRAITS: u64 = 16;
const ACK_TIMEOUT: u64 = 40;
const EXTENT: u64 = 48;
const HEAD: u64 = 384;
const NEXT_DUE: u64 = 528;
/// With the group's other wait word.
const CELL_WORD: u64 = 664;

const EMPTY: u64 = 0;
const RESERVED: u64 = 1;
const HELD: u64 = 2;
const DELAYED: u64 = 3;

/// A cell's word without a generation.
fn word(state: u64, owner: u64, attempts: u64, due: u64) -> u64 {
    due << 18 | attempts << 10 | owner << 2 | state
}

const NEVER: u64 = (1 << 36) - 1;

fn cell(file: &File, i: u64) -> u64 {
    words::get(file, CELLS_AT) + i * words::get(file, CELL_STRIDE)
}

/// The consumer record `i` of a queue for so many groups.
fn record(groups: u64, i: u64) -> u64 {
    words::GROUPS + groups * words::GROUP + 256 * i
}

fn work(places: u32) -> Group {
    Group::named("work").shared().in_flight(places)
}

fn queue(name: &str, group: &Group) -> Queue {
    let shape = Queue::builder(name).capacity(4).payload_size(24);
    shape.max_groups(2).max_consumers(3).group(group).create().unwrap()
}

fn send(queue: &Queue, n: usize) {
    let mut producer = queue.producer().unwrap();
    for _ in 0..n {
        let _ = producer.send("x").unwrap();
    }
}

#[test]
fn garbage_in_next_due_delays_a_message_by_one_look() {
    let name = TempName::new("far-due");
    let queue = queue(&name, &work(2));
    let file = words::open(&name.path());
    send(&queue, 1);
    let mut worker = queue.worker("work").unwrap();
    worker.recv().unwrap().give_back().unwrap();
    words::set(&file, words::GROUPS + NEXT_DUE, u64::MAX);
    let job = worker.recv_timeout(LONG).unwrap();
    assert_eq!(job.attempts(), 2);
    job.ack().unwrap();
}

#[test]
fn a_cell_of_a_member_that_cannot_be_is_taken_when_it_is_due() {
    let name = TempName::new("no-owner");
    let queue = queue(&name, &work(4));
    let file = words::open(&name.path());
    for (i, owner) in [3, 254, 255].into_iter().enumerate() {
        words::set(&file, cell(&file, i as u64), word(HELD, owner, 1, 0));
    }
    // Nobody's, and reserved: lost to the group, and nothing else.
    words::set(&file, cell(&file, 3), word(RESERVED, 200, 0, 0));
    let mut worker = queue.worker("work").unwrap();
    let jobs: Vec<Job> = (0..3).map(|_| worker.recv_timeout(LONG).unwrap()).collect();
    assert!(jobs.iter().all(|job| job.attempts() == 2 && job.is_empty()));
    send(&queue, 1);
    assert!(there(worker.try_recv()).is_none());
    assert!(worker.is_full());
    drop(jobs);
    // The message that was sent, and the others for the third time.
    let mut attempts: Vec<u8> = (0..4)
        .map(|_| worker.recv_timeout(LONG).unwrap())
        .map(|job| {
            let attempts = job.attempts();
            job.ack().unwrap();
            attempts
        })
        .collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 3, 3, 3]);
}

#[test]
fn an_ack_timeout_that_no_clock_reaches_is_one_of_a_year() {
    let name = TempName::new("far-timeout");
    let group = work(1).ack_timeout(Duration::MAX);
    let queue = queue(&name, &group);
    let year = Duration::from_secs(365 * 24 * 3600);
    let mut worker = queue.worker("work").unwrap();
    assert!(worker.ack_timeout().unwrap() > year);
    send(&queue, 1);
    let job = worker.recv_timeout(LONG).unwrap();
    assert!(job.time_left().is_some_and(|left| left > Duration::from_secs(3600)));
    job.ack().unwrap();
}

#[test]
fn a_cell_that_is_never_due_waits_for_an_operator() {
    let name = TempName::new("never-due");
    let queue = queue(&name, &work(1).ack_timeout(Duration::from_secs(1)));
    let file = words::open(&name.path());
    words::set(&file, cell(&file, 0), word(HELD, 2, 1, NEVER));
    send(&queue, 1);
    let mut worker = queue.worker("work").unwrap();
    assert!(matches!(worker.recv_timeout(3 * SHORT), Err(RecvError::Timeout { .. })));
    assert_eq!(queue.evict("work", Duration::ZERO, |_| true).unwrap().evicted, [0]);
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
}

#[test]
fn a_length_in_a_cell_is_cut() {
    let name = TempName::new("long-cell");
    let queue = queue(&name, &work(1));
    let file = words::open(&name.path());
    for meta in [u64::MAX, u64::from(u32::MAX), 25] {
        words::set(&file, cell(&file, 0) + 16, meta);
        words::set(&file, cell(&file, 0), word(DELAYED, 255, 1, 0));
        let mut worker = queue.worker("work").unwrap();
        let job = worker.recv_timeout(LONG).unwrap();
        assert!(job.len() <= 24);
        job.ack().unwrap();
    }
}

#[test]
fn an_extent_outside_of_the_table_is_damage() {
    for (first, count) in [(0, 3), (2, 1), (u32::MAX, u32::MAX), (1, u32::MAX), (u32::MAX, 1)] {
        let name = TempName::new("bad-extent");
        let queue = queue(&name, &work(2));
        let file = words::open(&name.path());
        let mut before = queue.worker("work").unwrap();
        let extent = words::GROUPS + EXTENT;
        words::set(&file, extent, u64::from(first) | u64::from(count) << 32);
        let fault = queue.worker("work").unwrap_err();
        assert!(matches!(fault, JoinError::Corrupt { .. }), "{fault}");
        assert!(queue.evict("work", Duration::ZERO, |_| true).is_err());
        assert!(queue.snapshot().unwrap().groups[0].in_flight.is_none());
        // A group that is made later gets none of the cells that are in doubt, or all those that are there.
        let more = Group::named("more").shared().in_flight(2);
        drop(queue.add_group(more));
        // A member that has joined keeps to the cells it knows.
        send(&queue, 1);
        let job = before.recv_timeout(LONG).unwrap();
        job.ack().unwrap();
    }
}

#[test]
fn a_dead_member_with_more_messages_than_cells_is_damage() {
    let name = TempName::new("no-cells");
    let queue = queue(&name, &work(2));
    let file = words::open(&name.path());
    let mut worker = queue.worker("work").unwrap();
    send(&queue, 2);
    let jobs = worker.try_recv_batch(2).unwrap();
    // As if a member had died that has claimed both and has no cell.
    let dead = record(2, 1);
    words::set(&file, words::GROUP_MARK + 8, 3);
    words::set(&file, dead + 8, 2);
    words::set(&file, dead, 2);
    let fault = worker.recv_timeout(LONG).map(drop).unwrap_err();
    assert!(matches!(fault, RecvError::Corrupt { .. }), "{fault}");
    words::set(&file, dead, 2 << 8);
    jobs.into_iter().for_each(|job| job.ack().unwrap());
}

#[test]
fn a_requeue_gets_the_place_that_a_dead_one_had_reserved() {
    const HOLDS: u64 = 152;
    let name = TempName::new("reserved");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let queue = queue(&name, &work(1));
    let file = words::open(&name.path());
    send(&queue, 1);
    queue.worker("work").unwrap().recv().unwrap().reject().unwrap();
    // As if a process had died that was sending a letter again; and no member is there, or comes, to look after it.
    let dead = record(2, 1);
    words::set(&file, words::GROUP_MARK + 8, 2);
    words::set(&file, dead + HOLDS, 2);
    words::set(&file, dead, 0);
    let generation = words::get(&file, cell(&file, 0)) >> 54 << 54;
    words::set(&file, cell(&file, 0), generation | word(RESERVED, 1, 0, 0));
    let options = OpenOptions::new().control_timeout(Duration::from_millis(100));
    assert_eq!(DeadLetters::of(&name, &options).unwrap().requeue(1).unwrap(), 1);
    assert!(queue.worker("work").unwrap().recv_timeout(LONG).unwrap().requeued());
}

#[test]
fn a_letter_counts_beside_a_message_of_the_ring_that_has_its_sequence() {
    let name = TempName::new("same-sequence");
    let queue = queue(&name, &work(2));
    let file = words::open(&name.path());
    send(&queue, 2);
    // As if a member had died that has claimed both and moved none; the second one's letter has been sent again.
    words::set(&file, words::GROUP_MARK + 8, 1);
    words::set(&file, record(2, 0) + 8, 2);
    words::set(&file, record(2, 0), 2);
    words::set(&file, words::GROUPS + HEAD, 2 << 8);
    words::set(&file, cell(&file, 0) + 8, 1 << 63 | 1);
    words::set(&file, cell(&file, 0), word(DELAYED, 255, 0, 0));
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.unacked), (3, 3));
}

fn hostile(rng: &mut Rng, old: u64) -> u64 {
    match rng.below(10) {
        0 => EMPTY,
        1 => u64::MAX,
        2 => old.wrapping_add(rng.below(20)),
        3 => old ^ 1 << rng.below(64),
        4 => 1 << rng.below(64),
        // A cell's word, of owners that can be and cannot.
        5..8 => {
            let owner = [rng.below(4), rng.below(256), 255][rng.below(3) as usize];
            let due = [0, NEVER, rng.below(1 << 36)][rng.below(3) as usize];
            word(rng.below(4), owner, rng.below(256), due) | rng.below(1024) << 54
        }
        // An extent.
        8 => rng.below(6) | rng.below(6) << 32,
        _ => rng.next(),
    }
}

/// Words that say where messages in flight are, and whose.
fn place(rng: &mut Rng, file: &File) -> u64 {
    let group = words::GROUPS + words::GROUP * rng.below(3);
    let record = record(3, rng.below(4));
    match rng.below(8) {
        0 => group + [ACK_TIMEOUT, EXTENT][rng.below(2) as usize],
        1 => group + [NEXT_DUE, CELL_WORD][rng.below(2) as usize],
        // Start, end, attempts, claimed at, holds.
        2 => record + [0, 8, 16, 40, 152][rng.below(5) as usize],
        3 => group + HEAD,
        _ => cell(file, rng.below(8)) + 8 * rng.below(4),
    }
}

struct Handles {
    queue: Queue,
    producer: Option<Producer>,
    workers: Vec<Worker>,
    jobs: Vec<Job>,
    monitor: Monitor,
}

/// Dead letters go nowhere: the name of their queue may be garbage, too.
fn without_letters(mut worker: Worker) -> Worker {
    worker.on_dead_letter(|_: &DeadLetter<'_>| Ok::<(), String>(()));
    worker
}

impl Handles {
    fn act(&mut self, rng: &mut Rng) {
        let name = ["work", "more", "none"][rng.below(3) as usize];
        let delay = [Duration::ZERO, SHORT, Duration::MAX][rng.below(3) as usize];
        match rng.below(16) {
            0 => drop(self.queue.snapshot()),
            1 => {
                self.monitor.look().unwrap();
                std::hint::black_box(self.monitor.stats(Duration::from_secs(60)).findings());
            }
            2 => drop(self.queue.evict(name, delay, |_| true)),
            3 => {
                let group = Group::named(name).shared().in_flight(1 + rng.below(4) as u32);
                let timed = [Duration::from_secs(1), Duration::MAX][rng.below(2) as usize];
                let group = if rng.below(2) == 0 { group } else { group.ack_timeout(timed) };
                let group = if rng.below(2) == 0 { group.max_attempts(3) } else { group };
                self.workers.extend(self.queue.worker(group).ok().map(without_letters));
            }
            4 if rng.below(4) == 0 => {
                let _ = self.queue.force_remove_group(name);
            }
            4 if !self.workers.is_empty() => {
                let gone = rng.below(self.workers.len() as u64) as usize;
                drop(self.workers.swap_remove(gone));
            }
            5..8 => {
                let Some(producer) = &mut self.producer else { return };
                drop(producer.try_send_batch(&mut [[7; 24].as_slice(); 3].into_iter()));
            }
            8..12 => {
                if self.workers.is_empty() {
                    return;
                }
                let at = rng.below(self.workers.len() as u64) as usize;
                let worker = &mut self.workers[at];
                let jobs = match rng.below(4) {
                    0 => worker.recv_batch_timeout(3, SHORT),
                    1 => worker.try_recv_batch(usize::MAX),
                    _ => worker.try_recv().map(|job| vec![job]),
                };
                for job in jobs.into_iter().flatten() {
                    assert!(job.len() <= 24);
                    std::hint::black_box((job.attempts(), job.sequence(), job.time_left()));
                    self.jobs.push(job);
                }
            }
            _ => {
                let Some(mut job) = self.jobs.pop() else { return };
                match rng.below(8) {
                    0 => drop(job.give_back()),
                    1 => drop(job.retry_after(delay)),
                    2 => drop(job.fail_after(delay)),
                    3 => {
                        drop(job.extend(delay));
                        drop(job.uncount());
                        std::hint::black_box((job.is_mine(), job.time_left()));
                    }
                    4 => drop(job),
                    _ => drop(job.ack()),
                }
            }
        }
    }
}

#[test]
fn hostile_words_of_messages_in_flight_are_survived() {
    let mut rng = Rng::new();
    for _ in 0..60 {
        let name = TempName::new("hostile-cells");
        let shape = Queue::builder(&name).capacity(8).payload_size(24).control_timeout(SHORT);
        let shape = shape.max_groups(3).max_consumers(4).spare_cells(4).group(work(4));
        let queue = shape.create().unwrap();
        let file = words::open(&name.path());
        let producer = queue.producer().ok();
        let workers = [(); 2].map(|()| without_letters(queue.worker("work").unwrap())).into();
        let monitor = Monitor::open(&name, &OpenOptions::new()).unwrap();
        let mut handles = Handles { queue, producer, workers, jobs: Vec::new(), monitor };
        for _ in 0..300 {
            if rng.below(3) == 0 {
                let at = place(&mut rng, &file);
                let word = hostile(&mut rng, words::get(&file, at));
                words::set(&file, at, word);
            }
            handles.act(&mut rng);
        }
    }
}

#[test]
fn a_requeue_refuses_a_group_with_places_that_no_worker_could_join() {
    let name = TempName::new("requeue-garbled");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let queue = queue(&name, &work(2));
    let mut worker = queue.worker("work").unwrap();
    send(&queue, 1);
    worker.recv().unwrap().reject().unwrap();
    let file = words::open(&name.path());
    let traits = words::get(&file, words::GROUPS + TRAITS);
    // Exclusive, of an unknown mode, and in an unknown state.
    for (at, word) in [(TRAITS, traits & !0xff), (TRAITS, traits | 0xff), (STATE, 3), (STATE, 9)] {
        let before = words::get(&file, words::GROUPS + at);
        words::set(&file, words::GROUPS + at, word);
        let (tells, told) = std::sync::mpsc::channel();
        let of = name.to_string();
        std::thread::spawn(move || {
            let letters = DeadLetters::of(&of, &OpenOptions::new()).unwrap();
            let _ = tells.send(letters.requeue(1).unwrap_err());
        });
        let fault = told.recv_timeout(LONG).expect("a requeue ends");
        assert!(matches!(fault.reason(), RequeueReason::UnknownMode { .. }), "{fault}");
        words::set(&file, words::GROUPS + at, before);
    }
    // The letter has stayed.
    let letters = DeadLetters::of(&name, &OpenOptions::new()).unwrap();
    assert_eq!(letters.requeue(9).unwrap(), 1);
    worker.recv_timeout(LONG).unwrap().ack().unwrap();
}
