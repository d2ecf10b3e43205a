//! Two members of a group, each in a thread on a processor of its own. The first also fills the queue, before the clock
//! starts. How far the processors are apart shows a bare round trip of a cache line, before and after.

use std::hint::spin_loop;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use slipring::Group;

use crate::ends::{Ends, Receiving};
use crate::{CAPACITY, PAYLOADS, ROUNDS, median};

/// Round trips of a cache line that are timed.
const TRIPS: usize = 20_000;

/// Two threads meet here. They spin, because a thread that sleeps wakes late.
#[derive(Default)]
struct Meeting(AtomicUsize);

impl Meeting {
    /// Returns when both threads have called it equally often.
    fn meet(&self) {
        // AcqRel and Acquire: each sees what the other did before.
        let all = (self.0.fetch_add(1, Ordering::AcqRel) + 1).next_multiple_of(2);
        while self.0.load(Ordering::Acquire) < all {
            spin_loop();
        }
    }
}

/// The first two processors that this process may use.
fn processors() -> Option<[usize; 2]> {
    let mask = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let mut ours = (0..CpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false));
    Some([ours.next()?, ours.next()?])
}

fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

/// What a variant is called, and how many messages its members receive at a time.
type Variant = (Ends, usize);

pub(crate) fn run() {
    let Some(cpus) = processors() else {
        println!("members: not run, there is one processor");
        return;
    };
    pin(cpus[0]);
    println!("| bytes | members | at a time | ns per message | by the channel |");
    println!("| ---: | --- | ---: | ---: | ---: |");
    let mut before = round_trip(cpus[1]);
    for payload in PAYLOADS {
        measure(payload, cpus[1]);
        let after = round_trip(cpus[1]);
        println!("| {payload} | a bare round trip of a line | | {before:.0} to {after:.0} | |");
        before = after;
    }
}

/// Nanoseconds of a bare round trip.
fn round_trip(there: usize) -> f64 {
    let lines = [Meeting::default(), Meeting::default()];
    let [go, back] = &lines;
    let wait = |line: &Meeting, trip| {
        while line.0.load(Ordering::Acquire) != trip {
            spin_loop();
        }
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            pin(there);
            for trip in 1..=2 * TRIPS {
                wait(go, trip);
                back.0.store(trip, Ordering::Release);
            }
        });
        let mut begin = Instant::now();
        for trip in 1..=2 * TRIPS {
            if trip == TRIPS + 1 {
                begin = Instant::now();
            }
            go.0.store(trip, Ordering::Release);
            wait(back, trip);
        }
        begin.elapsed().as_nanos() as f64 / TRIPS as f64
    })
}

fn measure(payload: usize, there: usize) {
    let message = vec![7; payload];
    let ring = || Group::named("bench").shared();
    let cells = || ring().in_flight(256);
    let mut variants: [Variant; 5] = [
        (Ends::channel("crossbeam-channel", 2), 1),
        (Ends::queue("in the ring", payload, ring(), 2), 1),
        (Ends::queue("in flight", payload, cells(), 2), 1),
        (Ends::queue("in the ring", payload, ring(), 2), 32),
        (Ends::queue("in flight", payload, cells(), 2), 32),
    ];
    // The second member of each, for the other thread.
    let others = variants.each_mut().map(|(ends, batch)| (ends.members.pop().unwrap(), *batch));
    let times = rounds(&mut variants, others, &message, there);
    for (which, (ends, batch)) in variants.iter().enumerate() {
        let ratios = times[which].iter().zip(&times[0]).map(|(time, channel)| time / channel);
        let (time, ratio) = (median(times[which].clone()), median(ratios.collect()));
        println!("| {payload} | {} | {batch} | {time:.0} | {ratio:.2} |", ends.name);
    }
}

/// Nanoseconds per message of each variant in each round, from the start of both members until the last has found nothing.
fn rounds<const N: usize>(
    variants: &mut [Variant; N],
    mut others: [(Receiving, usize); N],
    message: &[u8],
    there: usize,
) -> [Vec<f64>; N] {
    let meeting = &Meeting::default();
    let other = &Mutex::new((0, Instant::now()));
    let mut times = [(); N].map(|()| Vec::new());
    let turns = || (0..ROUNDS).flat_map(|round| (0..N).map(move |turn| (round + turn) % N));
    thread::scope(|scope| {
        scope.spawn(move || {
            pin(there);
            for which in turns() {
                let (member, batch) = &mut others[which];
                meeting.meet();
                let count = member.empty(*batch);
                *other.lock().unwrap() = (count, Instant::now());
                meeting.meet();
            }
        });
        for which in turns() {
            let (ends, batch) = &mut variants[which];
            ends.fill(message);
            meeting.meet();
            let begin = Instant::now();
            let count = ends.members[0].empty(*batch);
            let end = Instant::now();
            meeting.meet();
            let (count_there, end_there) = *other.lock().unwrap();
            assert_eq!(count + count_there, CAPACITY);
            let time = end.max(end_there) - begin;
            times[which].push(time.as_nanos() as f64 / CAPACITY as f64);
        }
    });
    times
}
