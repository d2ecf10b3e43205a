//! Queues that are watched: which ones, and their looks and glances.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use slipring::{Monitor, OpenError, Snapshot, Stats};

use crate::dead_letters::purpose;
use crate::failure::{Failure, open_failed};
use crate::queue::options;
use crate::reading::no_such_group;
use crate::stop::Stop;

/// Glances a second, and the most between two looks.
const GLANCES: f64 = 40.0;
const MOST_GLANCES: u32 = 400;

/// A monitor of a queue that must exist, after its first look.
pub(crate) fn monitor(name: &str) -> Result<Monitor, Failure> {
    Monitor::open(name, &options()).map_err(|fault| open_failed(name, fault))
}

/// A queue, or one of its groups, as the command line names it: `QUEUE` or `QUEUE/GROUP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) queue: String,
    pub(crate) group: Option<String>,
}

impl From<&str> for Target {
    fn from(text: &str) -> Target {
        match text.split_once('/') {
            Some((queue, group)) => {
                Target { queue: queue.to_owned(), group: Some(group.to_owned()) }
            }
            None => Target { queue: text.to_owned(), group: None },
        }
    }
}

/// The queues that were named, or all of this machine.
#[derive(Debug)]
pub(crate) struct Watched {
    targets: Vec<Target>,
    monitors: BTreeMap<String, Monitor>,
    /// Those that could not be opened at the last look.
    closed: Vec<(String, OpenError)>,
    /// Whether the queues of dead letters of those that were named are watched, too.
    with_letters: bool,
    random: Random,
}

impl Watched {
    /// Takes the first look at each that is there.
    pub(crate) fn open_any(names: &[String]) -> Result<Watched, Failure> {
        let targets = names.iter().map(|name| Target::from(name.as_str())).collect();
        let (monitors, closed, random) = (BTreeMap::new(), Vec::new(), Random::new());
        let mut watched = Watched { targets, monitors, closed, with_letters: false, random };
        watched.open_missing()?;
        Ok(watched)
    }

    /// With what somebody who watches these queues is to look at as well: their dead letters.
    pub(crate) fn with_letters(mut self) -> Watched {
        self.with_letters = true;
        self.open_letters();
        self
    }

    /// The same. Fails if one that was named is not there.
    pub(crate) fn open(names: &[String]) -> Result<Watched, Failure> {
        let mut watched = Watched::open_any(names)?;
        watched.check()?;
        for Target { queue, group } in &watched.targets {
            let Some(group) = group else { continue };
            let known = watched.monitors.get(queue).map(|monitor| &monitor.snapshot().groups);
            let mut known = known.into_iter().flatten().map(|info| info.name.as_str());
            if !known.clone().any(|name| name == group) {
                return Err(no_such_group(queue, group, &mut known));
            }
        }
        Ok(watched)
    }

    fn open_missing(&mut self) -> Result<(), Failure> {
        let names = match self.targets.is_empty() {
            true => slipring::list()?,
            false => self.targets.iter().map(|target| target.queue.clone()).collect(),
        };
        self.closed.clear();
        self.open_all(names);
        if self.with_letters {
            self.open_letters();
        }
        Ok(())
    }

    fn open_letters(&mut self) {
        let named = self.targets.iter().filter_map(|target| self.monitors.get(&target.queue));
        let names: Vec<String> = named.flat_map(|it| dead_letter_queues(it.snapshot())).collect();
        for name in names {
            if self.monitors.contains_key(&name) {
                continue;
            }
            match Monitor::open(&name, &options()) {
                Ok(monitor) if purpose(monitor.snapshot()).is_some() => {
                    self.monitors.insert(name, monitor);
                }
                Ok(_) | Err(OpenError::NotFound { .. }) => {}
                Err(fault) => {
                    self.closed.retain(|(closed, _)| *closed != name);
                    self.closed.push((name, fault));
                }
            }
        }
    }

    fn open_all(&mut self, names: Vec<String>) {
        for name in names {
            if self.monitors.contains_key(&name) {
                continue;
            }
            match Monitor::open(&name, &options()) {
                Ok(monitor) => drop(self.monitors.insert(name, monitor)),
                // Gone since the list was made.
                Err(OpenError::NotFound { .. }) if self.targets.is_empty() => {}
                Err(fault) => self.closed.push((name, fault)),
            }
        }
    }

    /// Fails if a queue that was named could not be opened.
    fn check(&mut self) -> Result<(), Failure> {
        let is_named = |(name, _): &(String, OpenError)| {
            self.targets.iter().any(|target| target.queue == *name)
        };
        match self.closed.iter().position(is_named) {
            Some(at) => {
                let (name, fault) = self.closed.swap_remove(at);
                Err(open_failed(&name, fault))
            }
            None => Ok(()),
        }
    }

    /// Looks at each queue. One that was made anew under its name is another one, and starts over.
    pub(crate) fn look(&mut self) -> Result<(), Failure> {
        let mut gone = Vec::new();
        for (name, monitor) in &mut self.monitors {
            match monitor.look() {
                Ok(_) => {}
                // What else is wrong, the next attempt to open it says.
                Err(_) => gone.push(name.clone()),
            }
        }
        gone.iter().for_each(|name| drop(self.monitors.remove(name)));
        self.open_missing()
    }

    /// Takes a sample of each queue.
    pub(crate) fn glance(&mut self) {
        self.monitors.values_mut().for_each(Monitor::glance);
    }

    /// Moments for glances within `time`: random, with one in each part of it.
    pub(crate) fn moments(&mut self, time: Duration) -> Vec<Duration> {
        let count = ((time.as_secs_f64() * GLANCES) as u32).min(MOST_GLANCES);
        let part = time / count.max(1);
        (0..count).map(|n| part * n + part.mul_f64(self.random.share())).collect()
    }

    /// Waits for `time`, glancing at all queues, and looks at them then. Fails if one that was named is gone.
    pub(crate) fn wait(&mut self, time: Duration, stop: &Stop) -> Result<(), Failure> {
        let start = Instant::now();
        for moment in self.moments(time) {
            stop.sleep(moment.saturating_sub(start.elapsed()))?;
            self.glance();
        }
        stop.sleep(time.saturating_sub(start.elapsed()))?;
        self.look()?;
        self.check()
    }

    /// Queues that were named, or are there, and could not be opened at the last look.
    pub(crate) fn closed(&self) -> &[(String, OpenError)] {
        &self.closed
    }

    /// What is known of each queue, over the last `window` at least one interval long; those that were named first. Of a
    /// queue whose groups were named, those groups.
    pub(crate) fn stats(&self, window: Duration) -> Vec<Stats> {
        let is_named =
            |stats: &Stats| self.targets.iter().any(|target| target.queue == stats.snapshot.name);
        let stats = self.monitors.iter().map(|(name, monitor)| {
            let mut stats = monitor.stats(window);
            let named: Vec<&Target> =
                self.targets.iter().filter(|target| target.queue == *name).collect();
            if !named.is_empty() && named.iter().all(|target| target.group.is_some()) {
                stats.groups.retain(|group| {
                    named.iter().any(|target| target.group.as_ref() == Some(&group.info.name))
                });
            }
            stats
        });
        let mut stats: Vec<Stats> = stats.collect();
        stats.sort_by_key(|stats| !is_named(stats));
        stats
    }
}

/// The queues that the dead letters of a queue go to, those of groups that were removed included, and those that letters are
/// in that were sent again.
fn dead_letter_queues(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let named = snapshot.groups.iter().filter_map(|group| group.dead_letters.clone());
    let again =
        snapshot.groups.iter().map(|group| format!("{}.{}.retry", snapshot.name, group.name));
    named.chain([format!("{}.dead", snapshot.name)]).chain(again)
}

/// Random shares of 1, by SplitMix64. They only keep glances from meeting the beat of a load.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new() -> Random {
        Random(slipring::monotonic_ns() ^ u64::from(std::process::id()) << 40)
    }

    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_after_its_queue() {
        let target = |text| {
            let Target { queue, group } = Target::from(text);
            (queue, group)
        };
        assert_eq!(target("jobs"), ("jobs".to_owned(), None));
        assert_eq!(target("jobs/work"), ("jobs".to_owned(), Some("work".to_owned())));
    }

    #[test]
    fn glances_fall_anywhere() {
        let mut random = Random::new();
        let shares: Vec<f64> = (0..1000).map(|_| random.share()).collect();
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        let low = shares.iter().filter(|share| **share < 0.5).count();
        assert!((300..700).contains(&low), "{low}");
    }
}
