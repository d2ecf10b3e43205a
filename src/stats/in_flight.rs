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
        let name = &group.info.name;
        let runs = group
            .members
            .iter()
            .any(|other| other.info.live && other.process.state != ProcessState::Stopped);
        let (text, evict) = if member.info.taking.is_some() {
            // Only its end, or that it goes on, frees what it has claimed.
            let text = format!(
                "consumer {pid} of group {name:?} is stopped while it takes messages; the group keeps {}",
                self.slots(group)
            );
            (text, None)
        } else {
            let seq = member.holds.filter(|_| member.in_flight > 0)?;
            let since = member.held_for.map_or(0, |time| time.as_secs());
            let held = count(member.in_flight, "message in flight", "messages in flight");
            let then = match (member.overdue, member.due) {
                (0, None) => "they stay with it, as the group has no ack timeout".to_owned(),
                (0, Some(due)) if !runs => {
                    format!("another consumer may take the first in {}, but none runs", short(due))
                }
                (0, Some(due)) => format!("another consumer may take the first in {}", short(due)),
                _ if !runs => "other consumers may take them, but none runs".to_owned(),
                _ => "other consumers may take them, and have not yet".to_owned(),
            };
            let text = format!(
                "consumer {pid} of group {name:?} is stopped and has {held}, message {seq} for at least {since} s; {then}"
            );
            (text, Some(self.evict(group, member)))
        };
        let mut remedies = vec![remedy(format!("kill -CONT {pid}"), "continues it")];
        remedies.extend(evict);
        if !runs {
            remedies.push(self.start(group));
        }
        let ends = "ends it: other consumers of the group get what it holds";
        remedies.push(remedy(format!("kill -KILL {pid}"), ends));
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
            who(member),
            count(member.overdue, "message in flight", "messages in flight"),
            short(timeout),
            time.as_secs(),
        );
        let mut remedies = vec![self.start(group)];
        if let Some(pid) = member.process.pid_here {
            let ends = "ends it: other consumers of the group get what it holds";
            remedies.push(remedy(format!("kill {pid}"), ends));
            remedies.push(remedy(format!("kill -KILL {pid}"), "the same, if it does not end"));
        }
        let kind = FindingKind::ConsumerHangs;
        Some(self.finding(kind, Severity::Warning, Some(group), text, remedies))
    }

    /// A group that receives nothing since all its places are in use, and by which the ring is full or nothing moves.
    pub(super) fn places_full(&self, group: &GroupStats) -> Option<Finding> {
        let in_flight = group.info.in_flight.as_ref().filter(|it| it.is_full())?;
        let silent = group.no_ack_for.is_some_and(|time| time >= HANGS_AFTER);
        if group.ready == 0 || !silent && !self.fills(group) {
            return None;
        }
        let (delayed, max) = (in_flight.delayed() as u64, u64::from(in_flight.max));
        let waits = match (delayed, first_due(in_flight)) {
            (0, _) => String::new(),
            (_, Some(due)) => format!(
                " and {delayed} by messages that wait for their next delivery, the first for {}",
                short(due)
            ),
            (_, None) => format!(" and {delayed} by messages that wait for their next delivery"),
        };
        let text = format!(
            "group {:?} receives nothing: all its {max} places for messages in flight are in use, {} by consumers{waits}; {}, and the group keeps {}",
            group.info.name,
            max - delayed.min(max),
            messages(group.ready, "waits in the ring", "wait in the ring"),
            self.slots(group),
        );
        // The one that has held its message longest. With an ack timeout they come to others by themselves.
        let for_ever = in_flight.ack_timeout.is_none();
        let held = group.members.iter().filter(|member| for_ever && member.in_flight > 0);
        let longest = held.max_by_key(|member| member.held_for);
        let hangs = longest.filter(|m| m.held_for.is_some_and(|time| time >= HANGS_AFTER));
        let mut remedies = Vec::new();
        if let Some(member) = hangs {
            remedies.push(self.evict(group, member));
            if let Some(pid) = member.process.pid_here {
                let ends = "ends it: other consumers of the group get what it holds";
                remedies.push(remedy(format!("kill {pid}"), ends));
                remedies.push(remedy(format!("kill -KILL {pid}"), "the same, if it does not end"));
            }
        }
        let severity = if self.fills(group) { Severity::Error } else { Severity::Warning };
        Some(self.finding(FindingKind::InFlightFull, severity, Some(group), text, remedies))
    }

    fn evict(&self, group: &GroupStats, member: &ConsumerStats) -> Remedy {
        let (queue, name, record) = (self.queue(), &group.info.name, member.info.record);
        let command = format!("slipring group evict {queue} {name} --member {record}");
        remedy(command, "gives what it has in flight to other consumers at once")
    }
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
