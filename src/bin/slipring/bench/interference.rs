//! What other programs and the host took from a benchmark.

use std::fs;

use serde::Serialize;

use super::outcome::Runs;
use super::placement::Pins;

/// Preemptions per second of an end that are usual: the kernel's own, and 10 by the parent, which shows the progress.
/// Another program that wants the processor causes hundreds.
const USUAL_PREEMPTIONS: f64 = 50.0;

#[derive(Debug, Serialize)]
pub(crate) struct Interference {
    /// The share of the used processors' time that the host gave to others.
    pub(crate) steal: f64,
    /// Involuntary context switches per second, of the end and the run with most.
    pub(crate) preemptions: f64,
    /// Runs in which an end had more preemptions than usual, out of `runs`. Runs with more processes than processors
    /// do not count.
    pub(crate) preempted_runs: usize,
    pub(crate) runs: usize,
}

impl Interference {
    pub(crate) fn of(steal: f64, runs: &[Runs], pins: &Pins) -> Interference {
        let with_own_processors = runs.iter().filter(|runs| !is_oversubscribed(runs, pins));
        let preemptions: Vec<f64> = with_own_processors
            .flat_map(|runs| &runs.outcomes)
            .map(|run| run.ends().map(|end| end.preemptions_per_second()).fold(0.0, f64::max))
            .collect();
        Interference {
            steal,
            preemptions: preemptions.iter().copied().fold(0.0, f64::max),
            preempted_runs: preemptions.iter().filter(|count| **count > USUAL_PREEMPTIONS).count(),
            runs: preemptions.len(),
        }
    }
}

/// Whether a measurement has more processes than processors.
pub(crate) fn is_oversubscribed(runs: &Runs, pins: &Pins) -> bool {
    runs.outcomes.first().is_some_and(|run| run.consumers.len() + 1 > pins.usable.len())
}

/// The time of some processors up to now, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    steal: u64,
    all: u64,
}

impl Ticks {
    pub(crate) fn now(processors: &[usize]) -> Ticks {
        Ticks::parse(&fs::read_to_string("/proc/stat").unwrap_or_default(), processors)
    }

    /// Each processor has the fields user, nice, system, idle, iowait, irq, softirq and steal: proc_stat(5).
    fn parse(text: &str, processors: &[usize]) -> Ticks {
        let mut ticks = Ticks::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let cpu = words.next().and_then(|word| word.strip_prefix("cpu")?.parse().ok());
            if cpu.is_some_and(|cpu| processors.contains(&cpu)) {
                let times: Vec<u64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
                ticks.all += times.iter().sum::<u64>();
                ticks.steal += times.get(7).copied().unwrap_or(0);
            }
        }
        ticks
    }

    /// The share of the time since `before` that the host took.
    pub(crate) fn steal_since(self, before: Ticks) -> f64 {
        let steal = self.steal.saturating_sub(before.steal) as f64;
        steal / self.all.saturating_sub(before.all).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_time_of_a_processor() {
        let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 10 0 5 80 0 0 0 5 3 3\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        let ticks = Ticks::parse(text, &[0]);
        assert_eq!((ticks.steal, ticks.all), (5, 100));
        assert_eq!(ticks.steal_since(Ticks::default()), 0.05);
        assert_eq!(Ticks::default().steal_since(ticks), 0.0);
    }
}
