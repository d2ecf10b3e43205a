//! Looks at a queue, and what they say together.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use super::ages::Ages;
use super::figure::{Figure, Unknown};
use super::processes::{ProcessInfo, ProcessState, Processes};
use super::rates::{Between, ConsumerStats, GroupStats, Stats};
use super::samples::{Known, Samples};
use crate::attach::Mapped;
use crate::error::{AttachError, OpenError, SystemError};
use crate::group::Mode;
use crate::info::InFlightMessage;
use crate::queue::OpenOptions;
use crate::segment::LeaseFile;
use crate::snapshot::{GroupInfo, MemberInfo, Snapshot};

/// Watches a queue from a read-only mapping. It takes no role and no lease and stores nothing, so nothing in the queue
/// tells that it is watched, and read permission is enough.
///
/// A *look* ([`Monitor::look`]) reads everything, asks the kernel which processes live, and is remembered: two looks
/// give rates. A *glance* ([`Monitor::glance`]) makes no system call, and tells what share of the time something was so:
/// how busy consumers are, how long messages take, how long the producer was blocked. Take some dozens of them between
/// two looks, at random moments: at equal intervals they could meet the same moment of a load that has a beat.
///
/// ```
/// # let name = format!("doc-monitor-{}", std::process::id());
/// use slipring::{Figure, Monitor, OpenOptions, Queue};
/// use std::time::Duration;
///
/// let queue = Queue::builder(&name).capacity(64).group("work").create()?;
/// let mut monitor = Monitor::open(&name, &OpenOptions::new())?;
/// monitor.look()?;
/// queue.producer()?.send("a message")?;
/// monitor.look()?;
///
/// let stats = monitor.stats(Duration::from_secs(1));
/// assert_eq!((stats.published, stats.groups[0].ready), (1, 1));
/// assert!(matches!(stats.publish_rate, Figure::Measured(rate) if rate > 0.0));
/// # slipring::force_remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor {
    mapped: Mapped,
    file: LeaseFile,
    /// The last look, whole.
    last: Snapshot,
    time: SystemTime,
    /// Oldest first, without those that are older than any window.
    looks: VecDeque<Look>,
    /// Since the last look.
    samples: Samples,
    known: Vec<Known>,
    ages: Ages,
    published: u64,
    blocked: Duration,
    totals: HashMap<u64, Totals>,
    holds: HashMap<Consumer, Seen>,
    processes: Processes,
}

/// What is remembered of a look.
#[derive(Debug)]
struct Look {
    at: Instant,
    published: u64,
    payload_bytes: u64,
    blocked: Duration,
    groups: HashMap<u64, Point>,
    acked: HashMap<Consumer, u64>,
    /// Between the look before and this one, which is the last of them.
    samples: Samples,
}

/// A group at a look.
#[derive(Clone, Copy, Debug)]
struct Point {
    totals: Totals,
    depth: u64,
    span: u64,
    whole: bool,
}

/// Totals of a group: the highest that were seen. Those of a consumer that leaves are nowhere for a moment.
#[derive(Clone, Copy, Debug)]
struct Totals {
    done: u64,
    /// When `done` was first what it is.
    done_at: Instant,
    redelivered: u64,
    dead_lettered: u64,
}

/// A consumer: instance of its group, record, how often that was taken.
type Consumer = (u64, u8, u64);

/// The oldest message that a consumer holds.
#[derive(Clone, Copy, Debug)]
struct Seen {
    seq: u64,
    attempts: u8,
    since: Instant,
}

/// The longest window of [`Monitor::stats`].
const LONGEST: Duration = Duration::from_secs(60);

impl Monitor {
    /// Maps the queue called `name` read-only, and takes the first look. Root may watch every user's queues.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn open(name: &str, options: &OpenOptions) -> Result<Monitor, OpenError> {
        let (mapped, file) = options.map_read_only(name)?;
        let last = Snapshot::take(&mapped, &file)?;
        let mut monitor = Monitor {
            time: SystemTime::now(),
            looks: VecDeque::new(),
            samples: Samples::default(),
            known: Vec::new(),
            ages: Ages::default(),
            published: 0,
            blocked: Duration::ZERO,
            totals: HashMap::new(),
            holds: HashMap::new(),
            processes: Processes::default(),
            mapped,
            file,
            last,
        };
        monitor.remember(Instant::now());
        Ok(monitor)
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        self.mapped.name.as_str()
    }

    /// Looks at everything, and remembers it. It does not wait, and makes a system call for each consumer and some
    /// more for each process.
    ///
    /// # Errors
    /// [`AttachError::Removed`] if the queue has lost its name: a queue that has the name now is another one.
    /// [`AttachError::Forked`] in a process that was forked off. Else if the kernel refuses a call.
    pub fn look(&mut self) -> Result<&Snapshot, AttachError> {
        let queue = self.mapped.name.shared();
        if self.file.forked() {
            return Err(AttachError::Forked { queue: queue.clone() });
        }
        let check = |source| SystemError::new(queue, "check the queue's file", source);
        if self.file.removed().map_err(check)? {
            return Err(AttachError::Removed { queue: queue.clone() });
        }
        self.last = Snapshot::take(&self.mapped, &self.file)?;
        self.time = SystemTime::now();
        self.remember(Instant::now());
        Ok(&self.last)
    }

    /// Takes a sample for the figures that are shares of time. It reads some words, and makes no system call. It sees the
    /// groups that the last look has seen.
    pub fn glance(&mut self) {
        self.samples.glance(self.mapped.view(), &self.known);
    }

    /// The queue's state at the last look.
    pub fn snapshot(&self) -> &Snapshot {
        &self.last
    }

    fn remember(&mut self, at: Instant) {
        let last = &self.last;
        self.processes.look(at, self.mapped.id(), last);
        self.published = self.published.max(last.tail.saturating_sub(last.base));
        self.blocked = self.blocked.max(last.producer.blocked);
        let oldest = last.groups.iter().filter_map(|group| oldest(last, group)).min();
        self.ages.note(at, last.tail, oldest.unwrap_or(last.tail));
        let mut samples = std::mem::take(&mut self.samples);
        samples.look(last);
        self.known = Known::of(last);

        let before = std::mem::take(&mut self.totals);
        for group in &last.groups {
            let seen = before.get(&group.instance);
            self.totals.insert(group.instance, Totals::of(group, seen, at));
        }
        let before = std::mem::take(&mut self.holds);
        for (group, member) in consumers(last) {
            let Some((seq, attempts)) = holds(group, member) else { continue };
            let consumer = (group.instance, member.record, member.epoch);
            let same = before.get(&consumer).filter(|s| (s.seq, s.attempts) == (seq, attempts));
            let since = same.map_or(at, |seen| seen.since);
            self.holds.insert(consumer, Seen { seq, attempts, since });
        }
        let point = |group: &GroupInfo| {
            let (depth, span, whole) = (group.depth, group.span, group.whole);
            let totals = self.totals.get(&group.instance).copied();
            Some((group.instance, Point { totals: totals?, depth, span, whole }))
        };
        let acked = consumers(last)
            .map(|(group, member)| ((group.instance, member.record, member.epoch), member.acked));
        self.looks.push_back(Look {
            at,
            published: self.published,
            payload_bytes: last.producer.payload_bytes,
            blocked: self.blocked,
            groups: last.groups.iter().filter_map(point).collect(),
            acked: acked.collect(),
            samples,
        });
        while self.looks.get(1).is_some_and(|second| at.duration_since(second.at) >= LONGEST) {
            self.looks.pop_front();
        }
    }

    /// What the looks of the last `window` say, 60 s at most: between the last look and the oldest one within that time
    /// before it. If there is none, then the look before the last one.
    pub fn stats(&self, window: Duration) -> Stats {
        let Monitor { last: snapshot, .. } = self;
        let now = self.looks.back();
        let at = now.map_or_else(Instant::now, |look| look.at);
        let earlier = self.looks.len().saturating_sub(1);
        let first = self.looks.iter().position(|look| at.duration_since(look.at) <= window);
        // The last look alone is within a window that is shorter than the time between looks.
        let first = first.unwrap_or(0).min(earlier.saturating_sub(1));
        let mut samples = Samples::default();
        self.looks.iter().skip(first + 1).for_each(|look| samples.merge(&look.samples));
        let then = self.looks.get(first).filter(|look| look.at < at);
        let seconds = then.map(|then| at.duration_since(then.at).as_secs_f64());
        let pair = then.zip(now).zip(seconds);
        let rate = |of: fn(&Look) -> u64| match pair {
            None => Figure::Unknown(Unknown::OneLook),
            Some(((then, now), seconds)) => {
                Figure::Measured(of(now).saturating_sub(of(then)) as f64 / seconds)
            }
        };
        let publish_rate = rate(|look| look.published);
        let groups: Vec<GroupStats> =
            snapshot.groups.iter().map(|group| self.group(group, at, pair, &samples)).collect();
        Stats {
            time: self.time,
            window: then.map(|then| at.duration_since(then.at)),
            samples: samples.count,
            published: self.published,
            publish_rate,
            byte_rate: byte_rate(snapshot, publish_rate, rate(|look| look.payload_bytes)),
            used: snapshot.span().min(snapshot.capacity),
            full_in: first_full(&groups),
            blocked_total: self.blocked,
            blocked: blocked(pair),
            producer: self.processes.producer().cloned().unwrap_or_else(absent),
            groups,
            snapshot: snapshot.clone(),
        }
    }

    fn group(
        &self,
        info: &GroupInfo,
        at: Instant,
        pair: Option<((&Look, &Look), f64)>,
        samples: &Samples,
    ) -> GroupStats {
        let snapshot = &self.last;
        let live = info.members.iter().filter(|member| member.live).count();
        // A group that was made since the first look has one point only.
        let points = pair.and_then(|((then, now), seconds)| {
            let of = |look: &Look| look.groups.get(&info.instance).copied();
            Some((of(then)?, of(now)?, now.published.saturating_sub(then.published), seconds))
        });
        let between = points.map(|(then, now, published, seconds)| Between {
            seconds,
            published: published as f64,
            done: now.totals.done.saturating_sub(then.totals.done) as f64,
            depth_growth: now.depth as f64 - then.depth as f64,
            span_growth: now.span as f64 - then.span as f64,
            whole: then.whole && now.whole,
            blocked: blocked(pair).value().is_some_and(|share| share > 0.0),
            samples: samples.group(info.instance),
            consumers: live,
            shared: info.mode != Some(Mode::Exclusive),
            depth: info.depth,
            span: info.span,
            capacity: snapshot.capacity,
        });
        let totals = self.totals.get(&info.instance);
        let rate = |of: fn(&Totals) -> u64| match points {
            None => Figure::Unknown(Unknown::OneLook),
            Some((then, now, _, seconds)) => {
                Figure::Measured(of(&now.totals).saturating_sub(of(&then.totals)) as f64 / seconds)
            }
        };
        let (least, most) =
            oldest(snapshot, info).map_or((None, None), |seq| self.ages.of(at, seq));
        // Times of messages in flight are in the segment, and were there before the first look.
        let least = info
            .in_flight
            .iter()
            .flat_map(|it| &it.messages)
            .filter_map(|m| m.received)
            .fold(least, |least, received| {
                Some(least.map_or(received, |least| least.max(received)))
            });
        let total = |of: fn(&Totals) -> u64| totals.map_or(0, of);
        GroupStats {
            ready: info.depth.saturating_sub(info.unacked),
            unacked: info.unacked,
            done: total(|totals| totals.done),
            redelivered: total(|totals| totals.redelivered),
            dead_lettered: total(|totals| totals.dead_lettered),
            consumers: live,
            throughput: of(&between, Between::throughput),
            redelivery_rate: rate(|totals| totals.redelivered),
            dead_letter_rate: rate(|totals| totals.dead_lettered),
            busy: of(&between, Between::busy),
            service_rate: of(&between, Between::service_rate),
            utilisation: of(&between, Between::utilisation),
            delay: of(&between, Between::delay),
            wait: of(&between, Between::wait),
            work: of(&between, Between::work),
            backlog: of(&between, Between::backlog),
            full_in: match info.span < snapshot.capacity {
                true => of(&between, Between::full_in),
                false => Figure::Measured(Duration::ZERO),
            },
            empty_in: match info.depth {
                0 => Figure::Measured(Duration::ZERO),
                _ => of(&between, Between::empty_in),
            },
            oldest_age: least.map_or(Figure::Unknown(Unknown::NothingWaits), Figure::AtLeast),
            oldest_age_at_most: most.filter(|_| least.is_some()),
            no_ack_for: totals
                .filter(|_| info.depth > 0)
                .map(|totals| at.saturating_duration_since(totals.done_at)),
            members: info.members.iter().map(|m| self.consumer(info, m, at, pair)).collect(),
            info: info.clone(),
        }
    }

    fn consumer(
        &self,
        group: &GroupInfo,
        info: &MemberInfo,
        at: Instant,
        pair: Option<((&Look, &Look), f64)>,
    ) -> ConsumerStats {
        let consumer = (group.instance, info.record, info.epoch);
        let held = self.holds.get(&consumer);
        let in_flight = in_flight_of(group, info);
        let first = in_flight.clone().min_by_key(|message| message.sequence);
        // One that was delivered before was first received by another consumer, perhaps.
        let received = first.filter(|m| m.attempts == 1 && Some(m.sequence) == held.map(|h| h.seq));
        let received = received.and_then(|message| message.received).unwrap_or_default();
        let ack_rate = pair.and_then(|((then, now), seconds)| {
            // One that has joined since has counted from 0.
            let before = then.acked.get(&consumer).copied().unwrap_or(0);
            Some(now.acked.get(&consumer)?.saturating_sub(before) as f64 / seconds)
        });
        ConsumerStats {
            process: self.processes.consumer(info.record).cloned().unwrap_or_else(absent),
            holds: held.map(|held| held.seq),
            attempts: held.map_or(0, |held| held.attempts),
            held_for: held.map(|held| at.saturating_duration_since(held.since).max(received)),
            in_flight: in_flight.clone().filter(|message| !is_moved(info, message)).count() as u64,
            due: match info.live {
                true => in_flight.clone().filter_map(|message| message.due).min(),
                // Others take what a dead one has at once.
                false => in_flight.clone().next().map(|_| Duration::ZERO),
            },
            overdue: in_flight.filter(|message| message.is_overdue()).count() as u64,
            ack_rate: ack_rate.map_or(Figure::Unknown(Unknown::OneLook), Figure::Measured),
            info: info.clone(),
        }
    }
}

impl Totals {
    fn of(group: &GroupInfo, seen: Option<&Totals>, at: Instant) -> Totals {
        let fresh = Totals { done: 0, done_at: at, redelivered: 0, dead_lettered: 0 };
        let seen = seen.copied().unwrap_or(fresh);
        // Words that do not belong together may say too much, which would stay.
        let (done, done_at) = match group.whole && group.done > seen.done {
            true => (group.done, at),
            false => (seen.done, seen.done_at),
        };
        let redelivered = group.redelivered.max(seen.redelivered);
        let dead_lettered = group.dead_lettered.max(seen.dead_lettered);
        Totals { done, done_at, redelivered, dead_lettered }
    }
}

fn consumers(snapshot: &Snapshot) -> impl Iterator<Item = (&GroupInfo, &MemberInfo)> {
    snapshot.groups.iter().flat_map(|group| group.members.iter().map(move |m| (group, m)))
}

/// The oldest message that a consumer holds, with its attempts: of an exclusive group's, the head, if it was delivered.
fn holds(group: &GroupInfo, member: &MemberInfo) -> Option<(u64, u8)> {
    let delivered = group.mode == Some(Mode::Exclusive) && member.live && group.unacked > 0;
    let at_head = delivered.then_some(group.head);
    let in_ring = member.claimed.as_ref().map(|claimed| claimed.start).or(at_head);
    let in_flight = in_flight_of(group, member).map(|message| (message.sequence, message.attempts));
    // What it is moving from the ring into cells is in both: as in its cell it has its attempts.
    in_flight
        .min()
        .into_iter()
        .chain(in_ring.map(|seq| (seq, member.attempts)))
        .min_by_key(|it| it.0)
}

/// Whether a member is still moving this message from the ring to its place, so that it is in both.
fn is_moved(member: &MemberInfo, message: &InFlightMessage) -> bool {
    let in_ring = member.claimed.as_ref().is_some_and(|range| range.contains(&message.sequence));
    in_ring && !message.requeued
}

/// The messages in flight that a member has.
fn in_flight_of<'i>(
    group: &'i GroupInfo,
    member: &MemberInfo,
) -> impl Iterator<Item = &'i InFlightMessage> + Clone + use<'i> {
    let record = member.record;
    let in_flight = group.in_flight.iter().flat_map(|in_flight| &in_flight.messages);
    in_flight.filter(move |message| message.record == Some(record))
}

/// The oldest message that a group has not acked: in the ring, or in flight beside it.
fn oldest(snapshot: &Snapshot, group: &GroupInfo) -> Option<u64> {
    let in_ring = (group.span > 0).then(|| snapshot.tail.saturating_sub(group.span));
    let in_flight = group.in_flight.iter().flat_map(|in_flight| &in_flight.messages);
    in_flight.map(|message| message.sequence).chain(in_ring).min()
}

fn absent() -> ProcessInfo {
    ProcessInfo::unproved(ProcessState::Absent)
}

fn of<T>(between: &Option<Between>, figure: fn(&Between) -> Figure<T>) -> Figure<T> {
    between.as_ref().map_or(Figure::Unknown(Unknown::OneLook), figure)
}

fn byte_rate(snapshot: &Snapshot, publish_rate: Figure, counted: Figure) -> Figure {
    if snapshot.schema_hash != 0 {
        return publish_rate.map(|rate| rate * snapshot.payload_size as f64);
    }
    match (publish_rate, counted) {
        (Figure::Measured(rate), Figure::Measured(bytes)) if rate > 0.0 && bytes == 0.0 => {
            Figure::Unknown(Unknown::Lags)
        }
        (_, Figure::Measured(bytes)) => Figure::Estimated(bytes),
        (_, counted) => counted,
    }
}

/// When the first of the groups has filled the ring.
fn first_full(groups: &[GroupStats]) -> Figure<Duration> {
    let known = groups.iter().map(|group| group.full_in).filter(|time| time.value().is_some());
    let first = known.min_by_key(|time| time.value());
    first
        .or_else(|| groups.first().map(|group| group.full_in))
        .unwrap_or(Figure::Unknown(Unknown::NotGrowing))
}

/// The share of the time between two looks in which producers waited for room.
fn blocked(looks: Option<((&Look, &Look), f64)>) -> Figure {
    let Some(((then, now), seconds)) = looks else { return Figure::Unknown(Unknown::OneLook) };
    let time = now.blocked.saturating_sub(then.blocked).as_secs_f64();
    Figure::Measured((time / seconds).min(1.0))
}
