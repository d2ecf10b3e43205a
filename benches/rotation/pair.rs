//! One slice: two ends, each pinned to a processor of its own, as two threads or two processes.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use slipring::{Consumer, Content, OpenOptions, Producer, Queue};

use crate::ends::{CAPACITY, Chunk, Line, Msg, ONE_CORE, Put, Single, Take, again};

/// What a slice measures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    RoundTrip,
    Stream,
}

/// Steps before the clock starts: once around the ring, so that every page and line was touched.
const LAP: u64 = CAPACITY as u64;
const GROUP: &str = "bench";

/// Where this fails (a container with one processor), the scheduler decides.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    if !ONE_CORE.load(Ordering::Relaxed) && set.set(core).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

/// Where both meet; spins, since a sleeper that is woken comes late.
fn meet(arrived: &AtomicUsize, all: usize) {
    arrived.fetch_add(1, Ordering::AcqRel);
    while arrived.load(Ordering::Acquire) < all {
        again(true);
    }
}

/// Runs both ends for a lap, then for `n` steps more; nanoseconds per step, from the start of the first to
/// the end of the last. The ends own their handles: side by side in one frame, those of two threads would
/// share cache lines.
fn pair(
    n: u64,
    mut here: impl FnMut(u64, u64) + Send,
    mut there: impl FnMut(u64, u64) + Send,
) -> f64 {
    let arrived = &AtomicUsize::new(0);
    let (start, end) = thread::scope(|scope| {
        let there = scope.spawn(move || {
            pin(1);
            there(0, LAP);
            meet(arrived, 2);
            there(LAP, n);
            Instant::now()
        });
        let here = scope.spawn(move || {
            pin(0);
            here(0, LAP);
            meet(arrived, 2);
            let start = Instant::now();
            here(LAP, n);
            (start, Instant::now())
        });
        let (start, end) = here.join().unwrap();
        (start, end.max(there.join().unwrap()))
    });
    per_step(n, start, end)
}

fn per_step(n: u64, start: Instant, end: Instant) -> f64 {
    (end - start).as_secs_f64() * 1e9 / n as f64
}

/// The sum of the messages `from..from + n`.
fn sum_of(from: u64, n: u64) -> u64 {
    n * from + n * (n - 1) / 2
}

fn ping(put: &mut impl Put, take: &mut impl Take, from: u64, n: u64) {
    for i in from..from + n {
        put.put(i, 1);
        assert_eq!(take.take(1), i, "a round trip brings back what was sent");
    }
}

fn echo(put: &mut impl Put, take: &mut impl Take, n: u64) {
    for _ in 0..n {
        let i = take.take(1);
        put.put(i, 1);
    }
}

fn check(take: &mut impl Take, from: u64, n: u64) {
    assert_eq!(take.take(n), sum_of(from, n), "a stream brings every message once");
}

fn round_trips<P: Put + Send, C: Take + Send>(n: u64, there: (P, C), back: (P, C)) -> f64 {
    let ((mut p1, mut c1), (mut p2, mut c2)) = (there, back);
    let here = move |from, n| ping(&mut p1, &mut c2, from, n);
    pair(n, here, move |_, n| echo(&mut p2, &mut c1, n))
}

fn stream<P: Put + Send, C: Take + Send>(n: u64, (mut put, mut take): (P, C)) -> f64 {
    pair(n, move |from, n| put.put(from, n), move |from, n| check(&mut take, from, n))
}

pub(crate) fn over_line(n: u64) -> f64 {
    let line = || {
        let word = Arc::new(CachePadded::new(AtomicU64::new(0)));
        (Line { word: word.clone(), seen: 0 }, Line { word, seen: 0 })
    };
    round_trips(n, line(), line())
}

pub(crate) fn over_rtrb<P: Put + Send, C: Take + Send>(
    kind: Kind,
    n: u64,
    put: fn(rtrb::Producer<Msg>) -> P,
    take: fn(rtrb::Consumer<Msg>) -> C,
) -> f64 {
    let queue = || {
        let (p, c) = rtrb::RingBuffer::new(CAPACITY);
        (put(p), take(c))
    };
    match kind {
        Kind::RoundTrip => round_trips(n, queue(), queue()),
        Kind::Stream => stream(n, queue()),
    }
}

pub(crate) fn ours<M, P, C>(
    kind: Kind,
    n: u64,
    put: fn(Producer<M>) -> P,
    take: fn(Consumer<M>) -> C,
) -> f64
where
    M: Content + ?Sized,
    P: Put + Send,
    C: Take + Send,
{
    let (one, other) = (Temp::new(), Temp::new());
    let ends = |name: &Temp| (put(producer(&name.0)), take(consumer(&name.0)));
    match kind {
        Kind::RoundTrip => round_trips(n, ends(&one), ends(&other)),
        Kind::Stream => stream(n, ends(&one)),
    }
}

/// A queue that goes away with this value.
struct Temp(String);

impl Temp {
    fn new() -> Temp {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rotation-{}-{n}", std::process::id());
        let builder = Queue::builder(&name).capacity(LAP).message::<Msg>();
        builder.prefault(true).group(GROUP).create().unwrap();
        Temp(name)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = slipring::remove(&self.0, true);
    }
}

fn open<M: Content + ?Sized>(name: &str) -> Queue<M> {
    OpenOptions::new().prefault(true).open(name).unwrap()
}

fn producer<M: Content + ?Sized>(name: &str) -> Producer<M> {
    open(name).producer().unwrap()
}

fn consumer<M: Content + ?Sized>(name: &str) -> Consumer<M> {
    open(name).consumer(GROUP).unwrap()
}

/// The same as [`ours`], with the other end in a child process: it echoes, or receives the stream and
/// says when it is done.
pub(crate) fn in_two_processes(kind: Kind, batch: bool, n: u64) -> f64 {
    let (one, other) = (Temp::new(), Temp::new());
    let mode = match (kind, batch) {
        (Kind::RoundTrip, _) => "echo",
        (Kind::Stream, false) => "stream",
        (Kind::Stream, true) => "batches",
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--child", mode, &one.0, &other.0, &n.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let (one, other) = (&one.0, &other.0);
    let ns = thread::scope(|scope| {
        // A thread of its own, so that only it is pinned.
        let here = scope.spawn(move || {
            pin(0);
            let mut done = Single::eager(consumer::<Msg>(other));
            match mode {
                "echo" => {
                    let mut put = Single::eager(producer::<Msg>(one));
                    timed(n, |from, n| ping(&mut put, &mut done, from, n))
                }
                "stream" => streamed(n, Single::patient(producer::<Msg>(one)), done),
                _ => streamed(n, Chunk(producer::<Msg>(one)), done),
            }
        });
        here.join().unwrap()
    });
    assert!(child.wait().unwrap().success());
    ns
}

fn timed(n: u64, mut steps: impl FnMut(u64, u64)) -> f64 {
    steps(0, LAP);
    let start = Instant::now();
    steps(LAP, n);
    per_step(n, start, Instant::now())
}

/// The child's word that it has everything is part of the time.
fn streamed(n: u64, mut put: impl Put, mut done: impl Take) -> f64 {
    timed(n, |from, n| {
        put.put(from, n);
        assert_eq!(done.take(1), sum_of(from, n), "a stream brings every message once");
    })
}

/// The other end of [`in_two_processes`].
pub(crate) fn child(args: &[String]) -> Result<(), Box<dyn Error>> {
    let [mode, one, other, n] = args else { return Err("MODE ONE OTHER N".into()) };
    let n: u64 = n.parse()?;
    pin(1);
    let mut put = Single::eager(producer::<Msg>(other));
    let laps = [LAP, n];
    match mode.as_str() {
        "echo" => echo(&mut put, &mut Single::eager(consumer::<Msg>(one)), LAP + n),
        "stream" => {
            let mut take = Single::patient(consumer::<Msg>(one));
            laps.iter().for_each(|&n| put.put(take.take(n), 1));
        }
        _ => {
            let mut take = Chunk(consumer::<Msg>(one));
            laps.iter().for_each(|&n| put.put(take.take(n), 1));
        }
    }
    Ok(())
}
