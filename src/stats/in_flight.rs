//! What is wrong with the messages in flight of a group, and the commands that mend it.

use std::time::Duration;

use super::findings::{
    Finding, FindingKind, HANGS_AFTER, Remedy, Severity, count, messages, remedy, who,
};
use super::processes::ProcessState;
use super::rates::{ConsumerStats, GroupStats, Stats};
use crate::snapshot::InFlightInfo;

impl Stats {
    /// A member that is stopped, and what it has in flight.
    pub(super) fn stopped_in_flight(
        &self,
        group: &GroupStats,
        member: &ConsumerStats,
        pid: u32,
    ) -> Option<Finding> {
        let in_flight = group.info.in_flight.as_ref()?;
        let (name, who) = (&group.info.name, who(group, member));
        let runs = group
            .members
            .iter()
            .any(|other| other.info.live && other.process.state != ProcessState::Stopped);
        let (text, evict) = if member.info.taking.is_some() {
            // Only its end, or that it goes on, frees what it has claimed and reserved.
            let reserved = match in_flight.reserved_by(member.info.record) {
                0 => String::new(),
                some => format!(
                    ", with {some} of {} places for messages in flight reserved",
                    in_flight.max
                ),
            };
            let text = format!(
                "{who} of group {name:?} is stopped while it takes messages{reserved}; the group keeps {}",
                self.slots(group)
            );
            (text, None)
        } else {
            let seq = member.holds.filter(|_| member.in_flight > 0)?;
            let since = member.held_for.map_or(0, |time| time.as_secs());
            let held = count(member.in_flight, "message in flight", "messages in flight");
            let (they_stay, them, first) = match member.in_flight {
                1 => ("it stays", "it", "it"),
                _ => ("they stay", "them", "the first"),
            };
            let but = if runs { "" } else { ", but none runs" };
            let then = match (member.overdue, member.due) {
                (0, None) if in_flight.ack_timeout.is_none() => {
                    format!("{they_stay} with it, as the group has no ack timeout")
                }
                // By the group's timeout of that time, or since its clock cannot be compared.
                (0, None) => format!("{they_stay} with it, as received without an ack timeout"),
                (0, Some(due)) => {
                    format!("another consumer may take {first} in {}{but}", short(due))
                }
                _ if !runs => format!("other consumers may take {them}{but}"),
                _ => format!("other consumers may take {them}, and have not yet"),
            };
            let text = format!(
                "{who} of group {name:?} is stopped and has {held}, message {seq} for at least {since} s; {then}"
            );
            (text, Some(self.evict(group, member, runs)))
        };
        let mut remedies = vec![remedy(format!("kill -CONT {pid}"), "continues it")];
        remedies.extend(evict);
        if !runs {
            remedies.push(self.start(group));
        }
        remedies.push(remedy(format!("kill -KILL {pid}"), ends(runs)));
        let stands = self.fills(group) || in_flight.is_full() && group.ready > 0;
        let severity = if stands { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::ConsumerStopped, severity, Some(group), text, remedies))
    }

    /// A member that has messages past their ack timeout, which no other one takes.
    pub(super) fn overdue(&self, group: &GroupStats) -> Option<Finding> {
        let timeout = group.info.in_flight.as_ref()?.ack_timeout?;
        // Others take a little time.
        let hangs = |member: &&ConsumerStats| {
            member.overdue > 0 && member.held_for.is_some_and(|time| time >= timeout + HANGS_AFTER)
        };
        let member = group.members.iter().filter(hangs).max_by_key(|member| member.held_for)?;
        let (seq, time, name) = (member.holds?, member.held_for?, &group.info.name);
        let text = format!(
            "{} of group {name:?} has {} past the ack timeout of {}, message {seq} for at least {} s, and no other consumer takes them",
            who(group, member),
            count(member.overdue, "message in flight", "messages in flight"),
            short(timeout),
            time.as_secs(),
        );
        let others = group.consumers > 1;
        let mut remedies = vec![self.start(group)];
        if let Some(pid) = member.process.pid_here {
            remedies.push(remedy(format!("kill {pid}"), ends(others)));
            remedies.push(remedy(format!("kill -KILL {pid}"), "the same, if it does not end"));
        }
        let kind = FindingKind::ConsumerHangs;
        Some(self.finding(kind, Severity::Warning, Some(group), text, remedies))
    }

    /// A group that receives nothing since all its places are in use, and by which the ring is full or nothing moves.
    pub(super) fn places_full(&self, group: &GroupStats) -> Option<Finding> {
        let in_flight = group.info.in_flight.as_ref().filter(|it| it.is_full())?;
        // The segment tells when each was received, so that one look does.
        let none_came = received_last(in_flight).is_some_and(|time| time >= HANGS_AFTER);
        let reserves = group.members.iter().any(|member| takes_long(in_flight, member));
        let silent =
            none_came || reserves || group.no_ack_for.is_some_and(|time| time >= HANGS_AFTER);
        if group.ready == 0 || !silent && !self.fills(group) {
            return None;
        }
        let text = format!(
            "group {:?} receives nothing: all its {} places for messages in flight are in use, {}; {}, and the group keeps {}",
            group.info.name,
            in_flight.max,
            used_by(group, in_flight),
            messages(group.ready, "waits in the ring", "wait in the ring"),
            self.slots(group),
        );
        let list = format!("slipring group ls {}", self.queue());
        let mut remedies =
            vec![remedy(list, "shows which consumer has which message, since when, until when")];
        // The one that has held its message longest.
        let longest = holders(group).max_by_key(|member| member.held_for);
        let hangs = longest.filter(|m| m.held_for.is_some_and(|time| time >= HANGS_AFTER));
        if let Some(member) = hangs {
            remedies.extend(self.take_back(group, member, in_flight.ack_timeout.is_some()));
        }
        if first_due(in_flight).is_some_and(|due| due > Duration::ZERO) {
            let retry = format!("slipring group retry {} {} --all", self.queue(), group.info.name);
            let effect = "once the cause is mended: lets those that wait be delivered at once";
            remedies.push(remedy(retry, effect));
        }
        remedies.extend(self.room_for_exhausted(group));
        let severity = if self.fills(group) { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::InFlightFull, severity, Some(group), text, remedies))
    }

    /// A command that says how to make room for messages in flight that wait to become dead letters, if there are any.
    pub(super) fn room_for_exhausted(&self, group: &GroupStats) -> Option<Remedy> {
        if group.info.exhausted() == 0 {
            return None;
        }
        let target = group.info.dead_letters.clone();
        let target = target.unwrap_or_else(|| format!("{}.dead", self.queue()));
        let effect = "says whether their dead-letter queue is full, and what makes room";
        Some(remedy(format!("slipring stats {target}"), effect))
    }

    /// Commands for a member that hangs, or has a long job.
    fn take_back(
        &self,
        group: &GroupStats,
        member: &ConsumerStats,
        times_out: bool,
    ) -> Vec<Remedy> {
        let others = group.consumers > 1;
        if times_out {
            // The member asks for more time, perhaps for a command that hangs: one message alone is to blame.
            let (queue, name) = (self.queue(), &group.info.name);
            let evict = |seq| format!("slipring group evict {queue} {name} --sequence {seq}");
            let effect = "takes its oldest one back, if that hangs: it is delivered again";
            return member.holds.map(|seq| remedy(evict(seq), effect)).into_iter().collect();
        }
        let mut remedies = vec![self.evict(group, member, others)];
        if let Some(pid) = member.process.pid_here {
            remedies.push(remedy(format!("kill {pid}"), ends(others)));
            remedies.push(remedy(format!("kill -KILL {pid}"), "the same, if it does not end"));
        }
        remedies
    }

    fn evict(&self, group: &GroupStats, member: &ConsumerStats, others: bool) -> Remedy {
        let (queue, name, record) = (self.queue(), &group.info.name, member.info.record);
        let command = format!("slipring group evict {queue} {name} --member {record}");
        let effect = match others {
            true => "gives what it has in flight to other consumers at once",
            false => "takes back what it has in flight, for the next consumer that comes",
        };
        remedy(command, effect)
    }
}

/// What ending a member does, and whether others run that get what it holds.
fn ends(others: bool) -> &'static str {
    match others {
        true => "ends it, without its commands: other consumers get what it holds",
        false => "ends it, without its commands: the next consumer gets what it holds",
    }
}

/// How long ago the last of these was received first; `None` if that is not known.
fn received_last(in_flight: &InFlightInfo) -> Option<Duration> {
    let times: Option<Vec<Duration>> = in_flight.messages.iter().map(|it| it.received).collect();
    times?.into_iter().min()
}

fn holders(group: &GroupStats) -> impl Iterator<Item = &ConsumerStats> {
    group.members.iter().filter(|member| member.in_flight > 0)
}

/// Whether a member has reserved places for so long that it cannot be running.
fn takes_long(in_flight: &InFlightInfo, member: &ConsumerStats) -> bool {
    let long = member.info.taking.is_some_and(|time| time >= HANGS_AFTER);
    long && in_flight.reserved_by(member.info.record) > 0
}

/// What has the places of a group: its members, messages that wait, or both.
fn used_by(group: &GroupStats, in_flight: &InFlightInfo) -> String {
    let delayed = in_flight.delayed() as u64;
    let held = in_flight.messages.len() as u64 - delayed;
    let mut uses = Vec::new();
    if held > 0 {
        let by = match (holders(group).count(), holders(group).next()) {
            (1, Some(member)) => who(group, member),
            (0, _) => "consumers".to_owned(),
            (some, _) => format!("{some} consumers"),
        };
        uses.push(format!("{held} by {by}"));
    }
    let mut passing: u32 = in_flight.reserved.iter().map(|it| it.places).sum();
    for member in group.members.iter().filter(|member| takes_long(in_flight, member)) {
        let reserved = in_flight.reserved_by(member.info.record);
        passing = passing.saturating_sub(reserved);
        uses.push(format!("{reserved} reserved by {}", who(group, member)));
    }
    if passing > 0 {
        uses.push(format!("{passing} reserved for what is being received"));
    }
    let exhausted = group.info.exhausted() as u64;
    if delayed > exhausted {
        let due = match first_due(in_flight) {
            None => String::new(),
            Some(Duration::ZERO) => ", the first now".to_owned(),
            Some(due) => format!(", the first for {}", short(due)),
        };
        let waits = delayed - exhausted;
        uses.push(format!("{waits} by messages that wait for their next delivery{due}"));
    }
    if exhausted > 0 {
        uses.push(format!("{exhausted} by messages that wait to become dead letters"));
    }
    uses.join(" and ")
}

/// When the first of the messages that no member has is due.
fn first_due(in_flight: &InFlightInfo) -> Option<Duration> {
    let delayed = in_flight.messages.iter().filter(|message| message.record.is_none());
    delayed.filter_map(|message| message.due).min()
}

/// A time with one decimal below ten seconds.
fn short(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}
