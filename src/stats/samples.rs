//! What is counted at single moments between two looks.

use std::collections::HashMap;

use crate::layout::{Identity, Mode, View};
use crate::ring::figures;
use crate::ring::publish::published_end;
use crate::snapshot::{GroupInfo, MemberInfo, Snapshot};

/// What a glance needs to know of a group, from the last look.
#[derive(Clone, Debug)]
pub(super) struct Known {
    instance: u64,
    mode: Option<Mode>,
    /// Records of live consumers.
    live: Vec<u8>,
}

impl Known {
    pub(super) fn of(snapshot: &Snapshot) -> Vec<Known> {
        let groups = snapshot.groups.iter().map(|group| Known {
            instance: group.instance,
            mode: group.mode,
            live: live(group).collect(),
        });
        groups.collect()
    }
}

fn live(group: &GroupInfo) -> impl Iterator<Item = u8> {
    group.members.iter().filter(|member| member.live).map(|member| member.record)
}

/// Whether a member of a shared group holds messages, in the ring or in flight beside it.
fn has_some(group: &GroupInfo, member: &MemberInfo) -> bool {
    let in_flight = group.in_flight.as_ref();
    let in_cells = in_flight.is_some_and(|it| it.of_member(member.record).next().is_some());
    member.claimed.is_some() || in_cells
}

/// Samples of a queue, added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    pub(super) count: u32,
    groups: HashMap<u64, GroupSamples>,
}

/// Samples of a group, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupSamples {
    pub(super) count: u32,
    /// Some message was ready.
    pub(super) ready: u32,
    /// Some message was ready or unacked.
    pub(super) waiting: u32,
    /// A live consumer held a message.
    pub(super) busy: u32,
    pub(super) sum_ready: f64,
    pub(super) sum_unacked: f64,
    /// Live consumers that held a message.
    pub(super) sum_holders: f64,
}

/// A group at one moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    ready: u64,
    unacked: u64,
    holders: u32,
}

impl Samples {
    /// Takes a sample of the words alone, without a system call.
    pub(super) fn glance(&mut self, view: &View, groups: &[Known]) {
        let Ok(tail) = published_end(view) else { return };
        self.count += 1;
        for known in groups {
            let index = known.instance as u8;
            let Some(record) = view.groups().get(usize::from(index)) else { continue };
            if known.instance != Identity::generation(record) << 8 | u64::from(index) {
                // Removed since the last look.
                continue;
            }
            let standing = figures::standing(view, index, known.mode, tail);
            if !standing.whole {
                continue;
            }
            let holders = match known.mode {
                Some(Mode::Exclusive) => u32::from(standing.unacked > 0 && !known.live.is_empty()),
                _ => {
                    let held = standing.holdings.iter().filter(|holding| holding.held.is_some());
                    let in_ring = held.map(|holding| holding.record);
                    let in_cells = &standing.in_cells;
                    let in_ring = in_ring.filter(|record| !in_cells.contains(record));
                    let holders = in_ring.chain(in_cells.iter().copied());
                    holders.filter(|record| known.live.contains(record)).count() as u32
                }
            };
            let ready = standing.depth.saturating_sub(standing.unacked);
            self.add(known.instance, Moment { ready, unacked: standing.unacked, holders });
        }
    }

    /// Counts a look as a sample.
    pub(super) fn look(&mut self, snapshot: &Snapshot) {
        self.count += 1;
        for group in snapshot.groups.iter().filter(|group| group.whole) {
            let live = group.members.iter().filter(|member| member.live);
            let holders = match group.mode {
                Some(Mode::Exclusive) => u32::from(group.unacked > 0 && live.count() > 0),
                _ => live.filter(|member| has_some(group, member)).count() as u32,
            };
            let ready = group.depth.saturating_sub(group.unacked);
            self.add(group.instance, Moment { ready, unacked: group.unacked, holders });
        }
    }

    fn add(&mut self, group: u64, moment: Moment) {
        let sums = self.groups.entry(group).or_default();
        sums.count += 1;
        sums.ready += u32::from(moment.ready > 0);
        sums.waiting += u32::from(moment.ready > 0 || moment.unacked > 0);
        sums.busy += u32::from(moment.holders > 0);
        sums.sum_ready += moment.ready as f64;
        sums.sum_unacked += moment.unacked as f64;
        sums.sum_holders += f64::from(moment.holders);
    }

    pub(super) fn merge(&mut self, other: &Samples) {
        self.count += other.count;
        for (group, more) in &other.groups {
            let sums = self.groups.entry(*group).or_default();
            sums.count += more.count;
            sums.ready += more.ready;
            sums.waiting += more.waiting;
            sums.busy += more.busy;
            sums.sum_ready += more.sum_ready;
            sums.sum_unacked += more.sum_unacked;
            sums.sum_holders += more.sum_holders;
        }
    }

    pub(super) fn group(&self, instance: u64) -> GroupSamples {
        self.groups.get(&instance).copied().unwrap_or_default()
    }
}
