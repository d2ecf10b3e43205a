//! On which processors the two ends run, and how far apart these are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use serde::Serialize;

use super::args::PinArg;
use super::machine::of_processor;
use super::outcome::{Runs, Said};
use super::spread::Spread;
use super::worker;
use crate::failure::Failure;

/// Nanoseconds of a round trip from which on the ends are far, and up to which.
const FAR: f64 = 90.0;
const FAR_MOST: f64 = 250.0;

/// Round trips in a slice, of which the fastest counts: a slice in which another program had the processor does not.
const TRIPS: u64 = 500;
const SLICES: usize = 40;
/// How long it may take.
const LONGEST: Duration = Duration::from_millis(60);
/// Looks at the line between two looks at the clock.
const PATIENCE: u32 = 4096;

/// The processors of the processes: the producer's first. Those beyond run where they like.
#[derive(Debug)]
pub(crate) struct Pins {
    pub(crate) list: Vec<usize>,
    /// All that the program may run on.
    pub(crate) usable: Vec<usize>,
}

impl Pins {
    /// For so many processes. Fails on what --pin cannot mean here.
    pub(crate) fn choose(pin: &PinArg, processes: usize) -> Result<Pins, Failure> {
        let usable = worker::processors()?;
        let list = match pin {
            PinArg::None => Vec::new(),
            // One end alone on a processor is no reason to keep the other from it.
            PinArg::Auto if usable.len() < 2 => Vec::new(),
            PinArg::Auto => {
                let core = |cpu| of_processor(cpu, "topology/thread_siblings_list");
                apart(&usable, core).into_iter().take(processes).collect()
            }
            PinArg::List(list) => list.clone(),
        };
        if let Some(cpu) = list.iter().find(|cpu| !usable.contains(cpu)) {
            let text = format!("--pin: there is no processor {cpu} that this process may run on");
            let here: Vec<String> = usable.iter().map(usize::to_string).collect();
            return Err(Failure::Usage(format!("{text}\n  choose from {}", here.join(","))));
        }
        Ok(Pins { list, usable })
    }

    /// The processors of the two ends, if both are pinned.
    pub(crate) fn ends(&self) -> Option<(usize, usize)> {
        match self.list[..] {
            [producer, consumer, ..] => Some((producer, consumer)),
            _ => None,
        }
    }

    /// Those that the measurements use.
    pub(crate) fn used(&self) -> &[usize] {
        if self.ends().is_some() { &self.list } else { &self.usable }
    }
}

/// The first processor of each core, then the others.
fn apart(processors: &[usize], core: impl Fn(usize) -> String) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let (mut list, others): (Vec<usize>, Vec<usize>) =
        processors.iter().partition(|cpu| seen.insert(core(**cpu)));
    list.extend(others);
    list
}

/// Nanoseconds that a cache line takes from one processor to another and back, with nothing else. None if the
/// two never had their processors at the same time.
pub(crate) fn round_trip(here: usize, there: usize) -> Result<Option<f64>, Failure> {
    let line = CachePadded::new(AtomicU64::new(0));
    let over = CachePadded::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let answers = scope.spawn(|| {
            worker::pin(there)?;
            loop {
                // Acquire and Release: as a queue's ends would, with the stores and loads of `ask`.
                let asked = line.load(Ordering::Acquire);
                if asked % 2 == 1 {
                    line.store(asked + 1, Ordering::Release);
                } else if over.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
        });
        let asks = scope.spawn(|| {
            let fastest = worker::pin(here).map(|()| fastest_slice(&line));
            // Whatever became of it, the other thread ends. Relaxed, as its load: nothing else hangs on it.
            over.store(true, Ordering::Relaxed);
            fastest
        });
        let fastest = joined(asks.join())?;
        joined(answers.join())?;
        Ok(fastest)
    })
}

fn joined<T>(ended: thread::Result<Result<T, Failure>>) -> Result<T, Failure> {
    ended
        .unwrap_or_else(|_| Err(Failure::failed("cannot measure how far apart the processors are")))
}

fn fastest_slice(line: &AtomicU64) -> Option<f64> {
    let since = Instant::now();
    let mut fastest: Option<f64> = None;
    let mut number = 0;
    for _ in 0..SLICES {
        let begin = Instant::now();
        for _ in 0..TRIPS {
            number += 2;
            if !ask(line, number, since) {
                return fastest;
            }
        }
        let trip = begin.elapsed().as_nanos() as f64 / TRIPS as f64;
        fastest = Some(fastest.map_or(trip, |before| before.min(trip)));
    }
    fastest
}

/// One round trip, to `number`. False if it takes too long.
fn ask(line: &AtomicU64, number: u64, since: Instant) -> bool {
    // Release, and Acquire below: see the other end, in `round_trip`.
    line.store(number - 1, Ordering::Release);
    let mut looks = 0u32;
    while line.load(Ordering::Acquire) != number {
        looks += 1;
        if looks == PATIENCE {
            if since.elapsed() > LONGEST {
                return false;
            }
            looks = 0;
        }
    }
    true
}

/// How far apart two processors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Placement {
    Near,
    Far,
    Remote,
}

impl Placement {
    /// By a round trip in nanoseconds.
    pub(crate) fn of(trip: f64) -> Placement {
        match trip {
            _ if trip < FAR => Placement::Near,
            _ if trip <= FAR_MOST => Placement::Far,
            _ => Placement::Remote,
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Placement::Near => "near",
            Placement::Far => "far",
            Placement::Remote => "remote",
        })
    }
}

/// Where the producer and the first consumer ran.
#[derive(Debug, Serialize)]
pub(crate) struct Ends {
    /// The processors on which it was seen, of all runs; likewise the consumer's.
    pub(crate) producer: BTreeSet<usize>,
    pub(crate) consumer: BTreeSet<usize>,
    /// Whether both were pinned.
    pub(crate) pinned: bool,
    /// By the median round trip; none where the ends are not on two processors that are known.
    pub(crate) placement: Option<Placement>,
    /// Nanoseconds, before each round of runs.
    pub(crate) round_trip: Option<Spread>,
}

impl Ends {
    pub(crate) fn of(pins: &Pins, trips: Vec<f64>, runs: &[Runs]) -> Ends {
        let outcomes = || runs.iter().flat_map(|runs| &runs.outcomes);
        let trips = (!trips.is_empty()).then(|| Spread::of(trips));
        Ends {
            producer: outcomes().flat_map(|outcome| outcome.producer.processors()).collect(),
            consumer: outcomes()
                .flat_map(|outcome| outcome.consumers.iter().take(1).flat_map(Said::processors))
                .collect(),
            pinned: pins.ends().is_some(),
            placement: trips.as_ref().map(|trips| Placement::of(trips.median)),
            round_trip: trips,
        }
    }

    /// The processor that both ends ran on, if they were seen on no other.
    pub(crate) fn only_processor(&self) -> Option<usize> {
        let only = self.producer.first().filter(|_| self.producer.len() == 1);
        only.copied().filter(|_| self.producer == self.consumer)
    }

    /// Whether some runs may have been of another placement than others.
    pub(crate) fn moved(&self) -> bool {
        let trips = self.round_trip.as_ref();
        trips.is_some_and(|trips| Placement::of(trips.least) != Placement::of(trips.most))
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |seen: &BTreeSet<usize>| {
            let list: Vec<String> = seen.iter().map(usize::to_string).collect();
            let many = if seen.len() == 1 { "" } else { "s" };
            format!("processor{many} {}", list.join(", "))
        };
        let (producer, consumer) = (named(&self.producer), named(&self.consumer));
        let pinned = if self.pinned { "pinned" } else { "not both pinned" };
        write!(out, "producer on {producer}, consumer on {consumer}, {pinned}")?;
        match (self.placement, &self.round_trip) {
            (Some(placement), Some(trips)) => {
                let trips = trips.text(|trip| format!("{trip:.0}"));
                write!(out, "; {placement}: one cache line takes {trips} ns to and fro")
            }
            _ if self.only_processor().is_some() => out.write_str("; both on one"),
            _ => out.write_str("; how far apart is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_begins_at_90_ns_and_ends_at_250() {
        let seen = [1.0, 89.9, 90.0, 250.0, 250.1].map(Placement::of);
        let (near, far) = (Placement::Near, Placement::Far);
        assert_eq!(seen, [near, near, far, far, Placement::Remote]);
    }

    #[test]
    fn the_two_ends_have_different_cores_if_there_are_two() {
        let pairs = |cpu: usize| (cpu / 2).to_string();
        assert_eq!(apart(&[0, 1, 2, 3], pairs), [0, 2, 1, 3]);
        assert_eq!(apart(&[5, 4], |_| "unknown".to_owned()), [5, 4]);
    }

    #[test]
    fn a_placement_that_changes_is_seen() {
        let ends = |trips: Vec<f64>| {
            let pins = Pins { list: vec![3, 4], usable: vec![3, 4] };
            Ends::of(&pins, trips, &[])
        };
        assert!(ends(vec![60.0, 150.0, 155.0]).moved());
        assert_eq!(ends(vec![60.0, 150.0, 155.0]).placement, Some(Placement::Far));
        assert!(!ends(vec![140.0, 150.0]).moved() && !ends(vec![]).moved());
        assert_eq!(ends(vec![]).placement, None);
    }
}
