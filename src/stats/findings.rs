//! What is wrong with a queue, and the command that mends it: one judgement for everything that shows or reports it.

use std::time::Duration;

use super::processes::ProcessState;
use super::rates::{ConsumerStats, GroupStats, Stats};
use crate::group::Mode;

/// Something that keeps a queue from working as it should, or soon will.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// How bad it is now.
    pub severity: Severity,
    /// The group that it is about; `None`: the queue as a whole.
    pub group: Option<String>,
    /// One line for people: what is wrong, with the names and figures that show it.
    pub text: String,
    /// Commands that mend it, the gentlest first. Empty where no command that is safe to print does.
    pub remedies: Vec<Remedy>,
}

/// A command for a shell, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// The command.
    pub command: String,
    /// What it does.
    pub effect: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Something stands still because of it.
    Error,
    /// It will stand still, or somebody should know.
    Warning,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// Messages wait for a group that no live process reads for.
    NoConsumer,
    /// A consumer is stopped, and messages wait for it.
    ConsumerStopped,
    /// A consumer keeps one message for long, and with it most of the ring; or messages in flight past their ack timeout.
    ConsumerHangs,
    /// All of a group's places for messages in flight are in use, so it receives nothing.
    InFlightFull,
    /// A message is delivered again and again.
    MessageInLoop,
    /// The ring is full, or soon will be, because a group is slower than the producer.
    GroupSlow,
    /// The producer is stopped.
    ProducerStopped,
    /// The producer died without closing the queue.
    ProducerDied,
    /// Dead letters come, or wait to be looked at.
    DeadLetters,
}

impl FindingKind {
    /// A word for programs. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::NoConsumer => "no-consumer",
            FindingKind::ConsumerStopped => "consumer-stopped",
            FindingKind::ConsumerHangs => "consumer-hangs",
            FindingKind::InFlightFull => "in-flight-full",
            FindingKind::MessageInLoop => "message-in-loop",
            FindingKind::GroupSlow => "group-slow",
            FindingKind::ProducerStopped => "producer-stopped",
            FindingKind::ProducerDied => "producer-died",
            FindingKind::DeadLetters => "dead-letters",
        }
    }
}

impl Severity {
    /// A word for programs. It never changes.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A consumer that has held a message for less is not said to hang.
pub(super) const HANGS_AFTER: Duration = Duration::from_secs(5);
/// A ring that is full later than this is no news.
const SOON: Duration = Duration::from_secs(60);
/// A producer that waits for this part of the time is held up.
const BLOCKED: f64 = 0.2;
/// What that does. Without CMD the command is refused, and takes nothing.
const STARTS: &str = "starts a consumer; first set CMD to the command that handles a message";
/// Deliveries of a message from which on it counts as in a loop.
pub(super) const LOOP: u8 = 3;

impl Stats {
    /// What is wrong with the queue, the worst first; nothing if all is well.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> = self.groups.iter().flat_map(|g| self.of_group(g)).collect();
        found.extend(self.of_producer());
        found.sort_by_key(|finding| finding.severity);
        found
    }

    pub(super) fn queue(&self) -> &str {
        &self.snapshot.name
    }

    /// Whether this group keeps the ring full.
    pub(super) fn fills(&self, group: &GroupStats) -> bool {
        group.info.span >= self.snapshot.capacity
    }

    pub(super) fn slots(&self, group: &GroupStats) -> String {
        let (span, capacity) = (group.info.span, self.snapshot.capacity);
        let waits = if self.fills(group) { ": the ring is full" } else { "" };
        format!("{span} of {capacity} slots{waits}")
    }

    /// What waits for a group, and what of the ring that keeps.
    fn waiting(&self, group: &GroupStats) -> String {
        let waits = messages(group.info.depth, "waits for it", "wait for it");
        let keeps = if group.info.depth == 1 { "keeps" } else { "keep" };
        match group.info.span {
            // All of it is in flight.
            0 => waits,
            _ => format!("{waits} and {keeps} {}", self.slots(group)),
        }
    }

    fn of_group(&self, group: &GroupStats) -> Vec<Finding> {
        if let Some(found) = self.of_letters(group) {
            return found;
        }
        let ring = group.members.iter().filter_map(|member| looped_in_ring(group, member));
        let looped = ring.chain(looped_in_flight(group));
        let mut found: Vec<Finding> = looped.map(|looped| self.looped(group, &looped)).collect();
        let stopped = group.members.iter().filter_map(|member| self.stopped(group, member));
        let before = found.len();
        found.extend(stopped);
        if found.len() == before {
            found.extend(self.all_stopped(group));
        }
        if group.consumers == 0 {
            found.extend(self.no_consumer(group));
        } else if found.len() == before {
            // What is stopped or loops is slow for that reason.
            let hangs = self.hangs(group).or_else(|| self.overdue(group));
            found.extend(hangs.or_else(|| self.slow(group)));
        }
        found.extend(self.new_letters(group));
        found
    }

    pub(super) fn finding(
        &self,
        kind: FindingKind,
        severity: Severity,
        group: Option<&GroupStats>,
        text: String,
        remedies: Vec<Remedy>,
    ) -> Finding {
        Finding {
            kind,
            severity,
            group: group.map(|group| group.info.name.clone()),
            text,
            remedies,
        }
    }

    /// A command that starts a consumer. As it is printed, it acks nothing: a message that is acked and not handled is lost.
    pub(super) fn start(&self, group: &GroupStats) -> Remedy {
        Stats::start_of(self.queue(), group)
    }

    /// The same, for the group of this name and mode of another queue.
    pub(super) fn start_of(queue: &str, group: &GroupStats) -> Remedy {
        let shared = if is_shared(group) { " --shared" } else { "" };
        let name = &group.info.name;
        remedy(format!("slipring recv {queue} --group {name}{shared} --exec \"$CMD\""), STARTS)
    }

    fn no_consumer(&self, group: &GroupStats) -> Option<Finding> {
        if group.info.depth == 0 || group.info.name.is_empty() {
            return None;
        }
        let (queue, name) = (self.queue(), &group.info.name);
        let letters = match group.info.exhausted() {
            0 => String::new(),
            1 => ", 1 of them to become a dead letter".to_owned(),
            some => format!(", {some} of them to become dead letters"),
        };
        let text = format!("group {name:?} has no consumer; {}{letters}", self.waiting(group));
        let mut remedies = vec![self.start(group)];
        remedies.extend(self.room_for_exhausted(group));
        remedies.extend([
            remedy(
                format!("slipring peek {queue} --group {name} --count 10"),
                "shows what waits, and takes nothing",
            ),
            remedy(
                format!("slipring group rm {queue} {name} --force"),
                "drops the group and what waits for it",
            ),
        ]);
        let severity = if self.fills(group) { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::NoConsumer, severity, Some(group), text, remedies))
    }

    fn stopped(&self, group: &GroupStats, member: &ConsumerStats) -> Option<Finding> {
        if member.process.state != ProcessState::Stopped || group.info.depth == 0 {
            return None;
        }
        let pid = member.process.pid_here?;
        if let Some(found) = self.stopped_in_flight(group, member, pid) {
            return Some(found);
        }
        // A stopped member of a shared group that holds nothing is in nobody's way.
        let held = match member.holds {
            Some(seq) => format!("holds message {seq}"),
            None if is_shared(group) => return None,
            None => "has received none of them".to_owned(),
        };
        let text = format!(
            "{} of group {:?} is stopped and {held}; the group keeps {}",
            who(group, member),
            group.info.name,
            self.slots(group)
        );
        let then = if is_shared(group) {
            "ends it: another consumer of the group gets what it holds"
        } else {
            "ends it: the group's next consumer goes on"
        };
        let remedies = vec![
            remedy(format!("kill -CONT {pid}"), "continues it"),
            remedy(format!("kill -KILL {pid}"), then),
        ];
        let severity = if self.fills(group) { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::ConsumerStopped, severity, Some(group), text, remedies))
    }

    /// A shared group whose members are all stopped, without holding a message.
    fn all_stopped(&self, group: &GroupStats) -> Option<Finding> {
        let live = group.members.iter().filter(|member| member.info.live);
        let stopped = |member: &ConsumerStats| {
            let pid = member.process.pid_here?;
            (member.process.state == ProcessState::Stopped).then(|| pid.to_string())
        };
        let pids: Vec<String> = live.map(stopped).collect::<Option<_>>()?;
        if pids.is_empty() || group.info.depth == 0 {
            return None;
        }
        let (name, waiting) = (&group.info.name, self.waiting(group));
        let text = format!("all consumers of group {name:?} are stopped; {waiting}");
        let remedies = vec![
            remedy(format!("kill -CONT {}", pids.join(" ")), "continues them"),
            self.start(group),
        ];
        let severity = if self.fills(group) { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::ConsumerStopped, severity, Some(group), text, remedies))
    }

    fn looped(&self, group: &GroupStats, looped: &Looped) -> Finding {
        let (queue, name) = (self.queue(), &group.info.name);
        let &Looped { seq, attempts } = looped;
        let often = if attempts == u8::MAX {
            "255 times or more".to_owned()
        } else {
            format!("{attempts} times")
        };
        let limit = match group.info.max_attempts {
            None => "the group has no limit of attempts, so this goes on".to_owned(),
            Some(limit) if attempts >= limit => {
                "that was the last time: it becomes a dead letter unless it is acked now".to_owned()
            }
            Some(limit) => format!("after {limit} times it becomes a dead letter"),
        };
        let mut text = format!(
            "message {seq} of group {name:?} was delivered {often} and never acked; {limit}"
        );
        let look = format!("slipring peek {queue} --group {name} --sequence {seq}");
        let mut remedies = vec![remedy(look, "shows it")];
        if group.info.max_attempts.is_none() {
            if is_shared(group) && group.info.in_flight.is_none() {
                // It comes to the member that has it alone.
                text += ": its consumer can make a dead letter of it, a command of --exec does so by exit code 65";
            } else {
                remedies.extend(self.reject(group, seq));
            }
        }
        self.finding(FindingKind::MessageInLoop, Severity::Warning, Some(group), text, remedies)
    }

    /// A command that makes a dead letter of a message, and of no other.
    fn reject(&self, group: &GroupStats, seq: u64) -> Option<Remedy> {
        let (queue, name) = (self.queue(), &group.info.name);
        let command = format!("slipring group reject {queue} {name} --sequence {seq}");
        if group.info.in_flight.is_some() {
            return Some(remedy(command, "makes it a dead letter"));
        }
        // It has to be the group's one consumer.
        let live = group.members.iter().filter(|member| member.info.live);
        let pids: Option<Vec<String>> =
            live.map(|member| Some(member.process.pid_here?.to_string())).collect();
        // Without a pid it is not known here who they are.
        let pids = pids?;
        if pids.is_empty() {
            return Some(remedy(command, "makes it a dead letter"));
        }
        // It may let the command end that it runs.
        let command = format!("kill {}; {command} --timeout 60", pids.join(" "));
        let effect = "ends the group's consumer and makes it a dead letter; first stop what starts that anew";
        Some(remedy(command, effect))
    }

    fn hangs(&self, group: &GroupStats) -> Option<Finding> {
        // The one with the oldest message keeps what comes after it. A message in flight keeps nothing.
        let in_ring = |m: &&ConsumerStats| {
            m.holds.is_some() && (group.info.in_flight.is_none() || m.info.claimed.is_some())
        };
        let member = group.members.iter().filter(in_ring).min_by_key(|m| m.holds)?;
        let (seq, time) = (member.holds?, member.held_for?);
        let silent = group.no_ack_for.is_some_and(|time| time >= HANGS_AFTER);
        let keeps = group.info.span >= self.snapshot.capacity / 2;
        let first = self.snapshot.tail.saturating_sub(group.info.span) == seq;
        if time < HANGS_AFTER || !keeps || !(first || silent) {
            return None;
        }
        let name = &group.info.name;
        let text = format!(
            "{} of group {name:?} has held message {seq} for at least {} s, which keeps {}; the depth is {}",
            who(group, member),
            time.as_secs(),
            self.slots(group),
            group.info.depth
        );
        let next = match (is_shared(group), group.info.max_attempts) {
            (true, Some(limit)) => format!(
                "ends it: another consumer gets message {seq}, as attempt {} of {limit}",
                u16::from(member.attempts) + 1
            ),
            (true, None) => format!("ends it: another consumer gets message {seq}"),
            (false, _) => "ends it: the group's next consumer goes on there".to_owned(),
        };
        let remedies = member.process.pid_here.map_or(Vec::new(), |pid| {
            vec![
                remedy(format!("kill {pid}"), &next),
                remedy(format!("kill -KILL {pid}"), "the same, if it does not end"),
            ]
        });
        let severity = if self.fills(group) { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::ConsumerHangs, severity, Some(group), text, remedies))
    }

    fn slow(&self, group: &GroupStats) -> Option<Finding> {
        if let Some(found) = self.places_full(group) {
            return Some(found);
        }
        let (full, blocked) = (self.fills(group), self.blocked.value().unwrap_or(0.0));
        let keeps_most = group.info.span == self.snapshot.span() && group.info.span > 0;
        // A ring that a blocked producer fills has room for moments.
        let full = full || keeps_most && blocked >= BLOCKED;
        let soon = group.full_in.value().is_some_and(|time| time <= SOON)
            && group.info.span >= self.snapshot.capacity / 2;
        if !full && !soon {
            return None;
        }
        let name = &group.info.name;
        let rate = group
            .throughput
            .value()
            .map_or(String::new(), |rate| format!(", and acks {rate:.1} messages a second"));
        let mut text = format!(
            "group {name:?} is slower than the producer: it keeps {}{rate}",
            self.slots(group)
        );
        if blocked > 0.0 {
            text += &format!("; the producer waited {:.0} % of the time", blocked * 100.0);
        } else if let (false, Some(time)) = (full, group.full_in.value()) {
            text += &format!("; the ring is full in {:.1} s", time.as_secs_f64());
        }
        let remedies = if is_shared(group) { vec![self.start(group)] } else { Vec::new() };
        let severity = if full { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::GroupSlow, severity, Some(group), text, remedies))
    }

    fn of_producer(&self) -> Option<Finding> {
        let (queue, producer) = (self.queue(), &self.snapshot.producer);
        if let (ProcessState::Stopped, Some(pid)) = (self.producer.state, self.producer.pid_here) {
            let text = format!("the producer, process {pid}, is stopped");
            let remedies = vec![
                remedy(format!("kill -CONT {pid}"), "continues it"),
                remedy(format!("kill -KILL {pid}"), "ends it: the next producer goes on"),
            ];
            let kind = FindingKind::ProducerStopped;
            return Some(self.finding(kind, Severity::Warning, None, text, remedies));
        }
        let pid = producer.pid.filter(|_| !producer.live && self.snapshot.closed_at.is_none())?;
        let text = format!(
            "the producer, recorded as process {pid}, died after message {} and has not closed the queue; consumers wait for more until its program runs again",
            self.snapshot.tail.saturating_sub(1)
        );
        let remedies = vec![
            remedy(
                format!("slipring send {queue} --close /dev/null"),
                "closes the queue: consumers end when all is acked",
            ),
            remedy(format!("slipring send {queue}"), "sends on: each line that it reads"),
        ];
        let kind = FindingKind::ProducerDied;
        Some(self.finding(kind, Severity::Warning, None, text, remedies))
    }
}

/// A message that was delivered again and again.
struct Looped {
    seq: u64,
    attempts: u8,
}

/// The message of a member in the ring, if it was delivered too often.
fn looped_in_ring(group: &GroupStats, member: &ConsumerStats) -> Option<Looped> {
    let attempts = member.info.attempts;
    let in_ring = member.info.claimed.as_ref().map(|claimed| claimed.start);
    let seq = in_ring.or((!is_shared(group)).then_some(group.info.head))?;
    let looped = Looped { seq, attempts };
    (attempts >= LOOP && group.info.depth > 0).then_some(looped)
}

/// The message in flight that was delivered most often, if that is too often.
fn looped_in_flight(group: &GroupStats) -> Option<Looped> {
    let in_flight = group.info.in_flight.iter().flat_map(|in_flight| &in_flight.messages);
    let most = in_flight.max_by_key(|message| message.attempts)?;
    let looped = Looped { seq: most.sequence, attempts: most.attempts };
    (most.attempts >= LOOP).then_some(looped)
}

pub(super) fn is_shared(group: &GroupStats) -> bool {
    group.info.mode == Some(Mode::Shared)
}

pub(super) fn remedy(command: String, effect: &str) -> Remedy {
    Remedy { command, effect: effect.to_owned() }
}

pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(super) fn messages(number: u64, one: &str, many: &str) -> String {
    count(number, &format!("message {one}"), &format!("messages {many}"))
}

/// A member as lists of groups name it: by its process, and, where commands take it by its record, by that as well.
pub(super) fn who(group: &GroupStats, member: &ConsumerStats) -> String {
    let record = group.info.in_flight.as_ref().map(|_| member.info.record);
    let consumer = record.map(|record| format!("consumer {record}"));
    match (member.process.pid_here, member.info.pid, consumer) {
        (Some(pid), _, Some(consumer)) => format!("process {pid}, {consumer}"),
        (Some(pid), _, None) => format!("process {pid}"),
        (None, Some(pid), consumer) => {
            let consumer = consumer.unwrap_or_else(|| "a consumer".to_owned());
            format!("{consumer}, recorded as process {pid}, perhaps of another pid namespace,")
        }
        (None, None, consumer) => consumer.unwrap_or_else(|| "a consumer".to_owned()),
    }
}
