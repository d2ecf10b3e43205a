//! Side by side on a noisy machine: short slices of every transport in rotation (A B C ... A B C ...), so
//! that a drift of the machine hits all alike; each slice is divided by the reference slice of its own
//! round, and the quantiles of those ratios are what counts.
//!
//! `cargo bench --bench rotation -- ROUNDS` (40 if not given; `--test`: one short round). Round trips are
//! measured in those of a bare cache line, streams in chunks of 32 through rtrb. Every slice checks what
//! arrived.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "rotation/ends.rs"]
mod ends;
#[path = "rotation/pair.rs"]
mod pair;

use std::error::Error;
use std::sync::atomic::Ordering;

use ends::{Chunk, InPlace, Msg, ONE_CORE, Single, Waiting};
use pair::Kind::{self, RoundTrip, Stream};
use pair::{child, in_two_processes, ours, over_line, over_rtrb};
use slipring::Producer;

/// A row of the table, and its slices so far in ns per step.
struct Row {
    name: &'static str,
    kind: Kind,
    slice: fn(u64) -> f64,
    ns: Vec<f64>,
}

/// The first row of each kind is the reference of the others.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |kind, name, slice| rows.push(Row { name, kind, slice, ns: Vec::new() });
    let mut trip = |name, slice| row(RoundTrip, name, slice);
    trip("round trip: bare cache line", over_line);
    trip("round trip: rtrb", |n| over_rtrb(RoundTrip, n, Single::eager, Single::eager));
    trip("round trip: slipring", |n| {
        ours(RoundTrip, n, Single::<Producer<Msg>>::eager, Single::eager)
    });
    trip("round trip: slipring, bytes", |n| {
        ours(RoundTrip, n, Single::<Producer>::eager, Single::eager)
    });
    trip("round trip: slipring, waiting calls", |n| ours(RoundTrip, n, Waiting, Waiting));
    trip("round trip: slipring, two processes", |n| in_two_processes(RoundTrip, false, n));
    let mut stream = |name, slice| row(Stream, name, slice);
    stream("stream: rtrb, chunks of 32", |n| over_rtrb(Stream, n, Chunk, Chunk));
    stream("stream: rtrb, one by one", |n| over_rtrb(Stream, n, Single::patient, Single::patient));
    stream("stream: slipring, batches of 32", |n| ours(Stream, n, Chunk, Chunk));
    stream("stream: slipring, 32 in place", |n| ours(Stream, n, InPlace, Chunk));
    stream("stream: slipring, one by one", |n| {
        ours(Stream, n, Single::<Producer<Msg>>::patient, Single::patient)
    });
    stream("stream: slipring, one by one, bytes", |n| {
        ours(Stream, n, Single::<Producer>::patient, Single::patient)
    });
    stream("stream: slipring, one by one, waiting calls", |n| ours(Stream, n, Waiting, Waiting));
    stream("stream: slipring, batches, two processes", |n| in_two_processes(Stream, true, n));
    stream("stream: slipring, one by one, two processes", |n| in_two_processes(Stream, false, n));
    rows
}

/// Steps of one slice: a few milliseconds, so that a round sees one state of the machine.
fn steps(kind: Kind, short: bool) -> u64 {
    match (kind, short) {
        (_, true) => 32 * 10,
        (RoundTrip, false) => 4_000,
        (Stream, false) => 32 * 4_000,
    }
}

fn quantiles(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [10, 50, 90].map(|percent| figures[(figures.len() - 1) * percent / 100])
}

fn print(rows: &[Row]) {
    println!("{:44} {:>24}    {:>20}", "", "ns: p10, p50, p90", "ratio: p10, p50, p90");
    for row in rows {
        let reference = rows.iter().find(|other| other.kind == row.kind).expect("it is one itself");
        let ratios = row.ns.iter().zip(&reference.ns).map(|(ns, unit)| ns / unit).collect();
        let ([a, b, c], [x, y, z]) = (quantiles(row.ns.clone()), quantiles(ratios));
        println!("{:44} {a:8.1}{b:8.1}{c:8.1}    {x:6.2} {y:6.2} {z:6.2}", row.name);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    ONE_CORE.store(std::thread::available_parallelism()?.get() == 1, Ordering::Relaxed);
    if let [first, rest @ ..] = &args[..]
        && first == "--child"
    {
        return child(rest);
    }
    let asked = args.iter().find_map(|arg| arg.parse::<usize>().ok());
    // Cargo says --bench when it means it; a run as a test says --test, or nothing.
    let measure = args.iter().any(|arg| arg == "--bench") || asked.is_some();
    let short = !measure || args.iter().any(|arg| arg == "--test");
    let mut rows = rows();
    for _ in 0..if short { 1 } else { asked.unwrap_or(40).max(1) } {
        for row in &mut rows {
            row.ns.push((row.slice)(steps(row.kind, short)));
        }
    }
    print(&rows);
    Ok(())
}
