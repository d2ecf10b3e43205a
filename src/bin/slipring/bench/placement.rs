//! On which processors the two ends run, and how far apart these processors are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use serde::Serialize;

use super::args::PinArg;
use super::outcome::Outcome;
use super::processors::{self, core_of};
use super::spread::Spread;
use crate::failure::Failure;

/// Round trips of a cache line, in nanoseconds: below `FAR` the processors are near, above `REMOTE` remote.
const FAR: f64 = 90.0;
const REMOTE: f64 = 250.0;

/// Round trips in a slice. The fastest slice counts: in another one, another program may have had the processor.
const TRIPS: u64 = 500;
const SLICES: usize = 40;
/// The measurement ends after this time.
const LONGEST: Duration = Duration::from_millis(60);
/// Loads of the cache line between two readings of the clock.
const LOADS: u32 = 4096;

/// The processors that processes are pinned to.
#[derive(Debug)]
pub(crate) struct Pins {
    /// The producer's first, then the consumers'. Further processes are not pinned.
    pub(crate) list: Vec<usize>,
    /// All that the program may run on.
    pub(crate) usable: Vec<usize>,
}

impl Pins {
    /// Chooses a processor for each process. Fails if --pin names one that is not usable.
    pub(crate) fn choose(pin: &PinArg, processes: usize) -> Result<Pins, Failure> {
        let usable = processors::usable()?;
        let list = match pin {
            PinArg::None => Vec::new(),
            // There is nothing to choose.
            PinArg::Auto if usable.len() < 2 => Vec::new(),
            PinArg::Auto => cores_first(&usable, core_of).into_iter().take(processes).collect(),
            PinArg::List(list) => list.clone(),
        };
        if let Some(cpu) = list.iter().find(|cpu| !usable.contains(cpu)) {
            let text = format!("--pin: this process cannot run on a processor {cpu}");
            let usable: Vec<String> = usable.iter().map(usize::to_string).collect();
            return Err(Failure::usage(format!("{text}\n  choose from {}", usable.join(","))));
        }
        Ok(Pins { list, usable })
    }

    /// The processors of the producer and the first consumer, if both are pinned.
    pub(crate) fn ends(&self) -> Option<(usize, usize)> {
        match self.list[..] {
            [producer, consumer, ..] => Some((producer, consumer)),
            _ => None,
        }
    }

    /// The processors that the measurements use.
    pub(crate) fn used(&self) -> &[usize] {
        if self.ends().is_some() { &self.list } else { &self.usable }
    }
}

/// The first processor of each core, then the others.
fn cores_first(processors: &[usize], core: impl Fn(usize) -> String) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let (mut list, others): (Vec<usize>, Vec<usize>) =
        processors.iter().partition(|cpu| seen.insert(core(**cpu)));
    list.extend(others);
    list
}

/// Nanoseconds in which a cache line goes from one processor to another and back. `None` if the two threads never ran
/// at the same time.
pub(crate) fn round_trip(here: usize, there: usize) -> Result<Option<f64>, Failure> {
    let line = CachePadded::new(AtomicU64::new(0));
    let over = CachePadded::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let answers = scope.spawn(|| {
            processors::pin(there)?;
            loop {
                // Acquire and Release as in a queue; they pair with the store and the load in `ask`.
                let asked = line.load(Ordering::Acquire);
                if asked % 2 == 1 {
                    line.store(asked + 1, Ordering::Release);
                } else if over.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
        });
        let asks = scope.spawn(|| {
            let fastest = processors::pin(here).map(|()| fastest_slice(&line));
            // Ends the other thread in any case. Relaxed: the flag publishes no other data.
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

/// Makes one round trip, up to `number`. Returns `false` if the measurement takes too long.
fn ask(line: &AtomicU64, number: u64, since: Instant) -> bool {
    // Release, and Acquire below: they pair with the other thread's load and store in `round_trip`.
    line.store(number - 1, Ordering::Release);
    let mut loads = 0u32;
    while line.load(Ordering::Acquire) != number {
        loads += 1;
        if loads == LOADS {
            if since.elapsed() > LONGEST {
                return false;
            }
            loads = 0;
        }
    }
    true
}

/// How far apart two processors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distance {
    Near,
    Far,
    Remote,
}

impl Distance {
    /// By a round trip in nanoseconds.
    pub(crate) fn of(trip: f64) -> Distance {
        match trip {
            _ if trip < FAR => Distance::Near,
            _ if trip <= REMOTE => Distance::Far,
            _ => Distance::Remote,
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Distance::Near => "near",
            Distance::Far => "far",
            Distance::Remote => "remote",
        })
    }
}

/// Where the two ends ran: the producer and the first consumer.
#[derive(Debug, Serialize)]
pub(crate) struct Placement {
    /// The processors on which an end was seen, in all runs.
    pub(crate) producer: BTreeSet<usize>,
    pub(crate) consumer: BTreeSet<usize>,
    /// Whether both ends were pinned.
    pub(crate) pinned: bool,
    /// By the median round trip; null unless the ends are pinned to two processors.
    pub(crate) distance: Option<Distance>,
    /// In nanoseconds, measured before each round of runs.
    pub(crate) round_trip: Option<Spread>,
}

impl Placement {
    pub(crate) fn of<'a>(
        pins: &Pins,
        trips: Vec<f64>,
        outcomes: impl Iterator<Item = &'a Outcome>,
    ) -> Placement {
        let round_trip = (!trips.is_empty()).then(|| Spread::of(trips));
        let (mut producer, mut consumer) = (BTreeSet::new(), BTreeSet::new());
        for outcome in outcomes {
            for (seen, end) in [&mut producer, &mut consumer].into_iter().zip(outcome.ends()) {
                seen.extend(&end.processors);
            }
        }
        let pinned = pins.ends().is_some();
        let distance = round_trip.as_ref().map(|trips| Distance::of(trips.median));
        Placement { producer, consumer, pinned, distance, round_trip }
    }

    /// The processor that both ends ran on, if they were seen on no other.
    pub(crate) fn only_processor(&self) -> Option<usize> {
        let only = self.producer.first().filter(|_| self.producer.len() == 1);
        only.copied().filter(|_| self.producer == self.consumer)
    }

    /// Whether the distance may have differed from run to run.
    pub(crate) fn changed(&self) -> bool {
        let trips = self.round_trip.as_ref();
        trips.is_some_and(|trips| Distance::of(trips.min) != Distance::of(trips.max))
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |seen: &BTreeSet<usize>| {
            let list: Vec<String> = seen.iter().map(usize::to_string).collect();
            let plural = if seen.len() == 1 { "" } else { "s" };
            format!("processor{plural} {}", list.join(", "))
        };
        let (producer, consumer) = (named(&self.producer), named(&self.consumer));
        let pinned = if self.pinned { "both pinned" } else { "not both pinned" };
        write!(out, "producer on {producer}, consumer on {consumer}, {pinned}")?;
        match (self.distance, &self.round_trip) {
            (Some(distance), Some(trips)) => {
                let trips = trips.text(|trip| format!("{trip:.0}"));
                write!(out, "; {distance}: a round trip of a cache line takes {trips} ns")
            }
            _ if self.only_processor().is_some() => out.write_str("; the same processor"),
            _ => out.write_str("; distance unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_is_from_90_to_250_ns() {
        let seen = [1.0, 89.9, 90.0, 250.0, 250.1].map(Distance::of);
        let (near, far) = (Distance::Near, Distance::Far);
        assert_eq!(seen, [near, near, far, far, Distance::Remote]);
    }

    #[test]
    fn the_two_ends_have_different_cores_if_there_are_two() {
        let pairs = |cpu: usize| (cpu / 2).to_string();
        assert_eq!(cores_first(&[0, 1, 2, 3], pairs), [0, 2, 1, 3]);
        assert_eq!(cores_first(&[5, 4], |_| "unknown".to_owned()), [5, 4]);
    }

    #[test]
    fn a_distance_that_changes_is_detected() {
        let placement = |trips: Vec<f64>| {
            let pins = Pins { list: vec![3, 4], usable: vec![3, 4] };
            Placement::of(&pins, trips, std::iter::empty())
        };
        assert!(placement(vec![60.0, 150.0, 155.0]).changed());
        assert_eq!(placement(vec![60.0, 150.0, 155.0]).distance, Some(Distance::Far));
        assert!(!placement(vec![140.0, 150.0]).changed() && !placement(vec![]).changed());
        assert_eq!(placement(vec![]).distance, None);
    }
}
