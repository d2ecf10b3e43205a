//! What has happened: the differences between two looks, in words.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use slipring::{ConsumerStats, GroupStats, ProcessState, Stats};

/// Events that are kept.
const MOST: usize = 200;

/// Something that happened between two looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: SystemTime,
    /// A queue, or a group as QUEUE/GROUP.
    pub(super) place: String,
    pub(super) text: String,
}

/// The events since the start, the newest last.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) list: VecDeque<Event>,
    before: Option<BTreeMap<String, Stats>>,
}

impl Events {
    /// Takes a look at all queues.
    pub(super) fn note(&mut self, at: SystemTime, looks: &[Stats]) {
        let now: BTreeMap<String, Stats> =
            looks.iter().map(|stats| (stats.snapshot.name.clone(), stats.clone())).collect();
        if let Some(before) = self.before.take() {
            for (name, stats) in &now {
                let same =
                    before.get(name).filter(|old| old.snapshot.instance == stats.snapshot.instance);
                match same {
                    Some(old) => self.queue(at, old, stats),
                    None => self.add(at, name, "the queue was made".to_owned()),
                }
            }
            for name in before.keys().filter(|name| !now.contains_key(*name)) {
                self.add(at, name, "the queue is gone".to_owned());
            }
        }
        self.before = Some(now);
    }

    fn add(&mut self, at: SystemTime, place: &str, text: String) {
        if self.list.len() >= MOST {
            self.list.pop_front();
        }
        self.list.push_back(Event { at, place: place.to_owned(), text });
    }

    fn queue(&mut self, at: SystemTime, old: &Stats, now: &Stats) {
        let name = &now.snapshot.name;
        let (before, after) = (&old.snapshot, &now.snapshot);
        match (before.closed_at, after.closed_at) {
            (None, Some(end)) => self.add(at, name, format!("closed at message {end}")),
            (Some(_), None) => self.add(at, name, "opened again".to_owned()),
            _ => {}
        }
        let pid = |pid: Option<u32>| pid.map_or("of unknown pid".to_owned(), |pid| pid.to_string());
        let epochs = (before.producer.epoch, after.producer.epoch);
        if epochs.0 != epochs.1 && after.producer.live {
            self.add(at, name, format!("process {} is the producer", pid(after.producer.pid)));
        } else if before.producer.live && !after.producer.live {
            let how = match after.producer.pid {
                Some(number) => format!("producer {number} died"),
                None => format!("producer {} left", pid(before.producer.pid)),
            };
            self.add(at, name, how);
        }
        self.state(
            at,
            name,
            "producer",
            &pid(after.producer.pid),
            (old.producer.state, now.producer.state),
        );
        for group in &now.groups {
            let place = format!("{name}/{}", group.info.name);
            let same = old.groups.iter().find(|g| g.info.instance == group.info.instance);
            match same {
                Some(old) => self.group(at, &place, old, group),
                None => self.add(
                    at,
                    &place,
                    format!("the group was made, at message {}", group.info.began),
                ),
            }
        }
        for group in &old.groups {
            if !now.groups.iter().any(|g| g.info.instance == group.info.instance) {
                let place = format!("{name}/{}", group.info.name);
                self.add(at, &place, "the group was removed".to_owned());
            }
        }
        self.findings(at, old, now);
    }

    /// What is wrong since now, and what is not any more.
    fn findings(&mut self, at: SystemTime, old: &Stats, now: &Stats) {
        let (before, after) = (old.findings(), now.findings());
        let name = &now.snapshot.name;
        let place = |group: &Option<String>| match group {
            Some(group) => format!("{name}/{group}"),
            None => name.clone(),
        };
        let is_in = |list: &[slipring::Finding], of: &slipring::Finding| {
            list.iter().any(|found| (found.kind, &found.group) == (of.kind, &of.group))
        };
        for finding in after.iter().filter(|finding| !is_in(&before, finding)) {
            self.add(at, &place(&finding.group), finding.text.clone());
        }
        for finding in before.iter().filter(|finding| !is_in(&after, finding)) {
            self.add(at, &place(&finding.group), format!("over: {}", finding.kind.name()));
        }
    }

    fn group(&mut self, at: SystemTime, place: &str, old: &GroupStats, now: &GroupStats) {
        let id = |member: &ConsumerStats| (member.info.record, member.info.epoch);
        // As lists of groups name it.
        let who = |member: &ConsumerStats| {
            let pid = member.info.pid.map_or("of unknown pid".to_owned(), |pid| pid.to_string());
            match now.info.in_flight {
                Some(_) => format!("{pid}, consumer {},", member.info.record),
                None => pid,
            }
        };
        for member in &now.members {
            let before = old.members.iter().find(|old| id(old) == id(member));
            match before {
                None if member.info.live => {
                    self.add(at, place, format!("process {} joined", who(member)))
                }
                None => {}
                Some(before) if before.info.live && !member.info.live => {
                    let held = match (&member.info.claimed, member.holds) {
                        (Some(held), _) => format!(
                            "it held {} messages from {} on",
                            held.end - held.start,
                            held.start
                        ),
                        (None, Some(seq)) if member.in_flight > 1 => {
                            format!("it held {} messages, {seq} the oldest", member.in_flight)
                        }
                        (None, Some(seq)) => format!("it held message {seq}"),
                        (None, None) => "it held nothing".to_owned(),
                    };
                    self.add(at, place, format!("process {} died; {held}", who(member)));
                }
                Some(before) => {
                    let states = (before.process.state, member.process.state);
                    self.state(at, place, "process", &who(member), states);
                }
            }
        }
        for member in old.members.iter().filter(|member| member.info.live) {
            if !now.members.iter().any(|now| id(now) == id(member)) {
                self.add(at, place, format!("process {} left", who(member)));
            }
        }
        let more = now.redelivered.saturating_sub(old.redelivered);
        if more > 0 {
            self.add(at, place, format!("{more} redelivered"));
        }
        let more = now.dead_lettered.saturating_sub(old.dead_lettered);
        if more > 0 {
            self.add(at, place, format!("{more} became dead letters"));
        }
    }

    fn state(
        &mut self,
        at: SystemTime,
        place: &str,
        what: &str,
        pid: &str,
        (old, now): (ProcessState, ProcessState),
    ) {
        if old != ProcessState::Stopped && now == ProcessState::Stopped {
            self.add(at, place, format!("{what} {pid} was stopped"));
        } else if old == ProcessState::Stopped && now == ProcessState::Alive {
            self.add(at, place, format!("{what} {pid} goes on"));
        }
    }
}
