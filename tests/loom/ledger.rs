//! What really happened in one execution, kept outside of the model, and what must be true of it.

use std::sync::Mutex;

use super::heap::Segment;
use crate::ring::gate::gate;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Delivered {
    group: u8,
    seq: u64,
    by: u32,
}

/// In the order of execution. A thread that was suspended between its step and its entry would be out
/// of order, but threads are only switched at the next step.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    /// Sequence, and the producer that stamped it.
    published: Vec<(u64, u32)>,
    delivered: Vec<Delivered>,
    /// Group and sequence of deliveries that were taken back from the count.
    uncounted: Vec<(u8, u64)>,
    /// Group and sequence.
    acked: Vec<(u8, u64)>,
    /// Sequences at which the queue was closed.
    closed: Vec<u64>,
}

impl Ledger {
    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().expect("models run on one system thread")
    }

    pub(super) fn published(&self, seq: u64, by: u32) {
        self.entries().published.push((seq, by));
    }

    /// A message came with `attempts`. If they are `exact`, that is one more than the deliveries there were, but for those
    /// that do not count; else it may be less, but not 1 if it was delivered before.
    pub(super) fn delivered(&self, group: u8, seq: u64, by: u32, attempts: u8, exact: bool) {
        let mut entries = self.entries();
        let earlier = entries.delivered.iter().filter(|d| (d.group, d.seq) == (group, seq)).count();
        let uncounted = entries.uncounted.iter().filter(|u| **u == (group, seq)).count();
        let now = earlier - uncounted + 1;
        let fits = |attempts| (now.min(2)..=now).contains(&attempts);
        assert!(
            if exact { usize::from(attempts) == now } else { fits(usize::from(attempts)) },
            "message {seq}: {attempts} attempts after {earlier} deliveries, of which {uncounted} do not count"
        );
        assert!(!entries.acked.contains(&(group, seq)), "message {seq} came again after its ack");
        entries.delivered.push(Delivered { group, seq, by });
    }

    /// The last delivery of `seq` does not count.
    pub(super) fn uncounted(&self, group: u8, seq: u64) {
        self.entries().uncounted.push((group, seq));
    }

    pub(super) fn closed(&self, seq: u64) {
        self.entries().closed.push(seq);
    }

    /// A reader was told that the queue is closed at `seq`.
    pub(super) fn told(&self, seq: u64) {
        let closed = &self.entries().closed;
        assert!(closed.contains(&seq), "told that it is closed at {seq}, but it was at {closed:?}");
    }

    pub(super) fn acked(&self, group: u8, seq: u64) {
        self.entries().acked.push((group, seq));
    }

    /// `group` is a new one, whatever there was under its index.
    pub(super) fn new_group(&self, group: u8) {
        let mut entries = self.entries();
        entries.delivered.retain(|delivered| delivered.group != group);
        entries.uncounted.retain(|uncounted| uncounted.0 != group);
        entries.acked.retain(|acked| acked.0 != group);
    }

    /// Whether `seq` was delivered to `group` more than once.
    pub(super) fn redelivered(&self, group: u8, seq: u64) -> bool {
        self.entries().delivered.iter().filter(|d| (d.group, d.seq) == (group, seq)).count() > 1
    }

    /// The producer that published `seq`.
    pub(super) fn publisher(&self, seq: u64) -> Option<u32> {
        let entries = self.entries();
        let mut by = entries.published.iter().filter(|published| published.0 == seq);
        let first = by.next().map(|published| published.1);
        assert!(by.next().is_none(), "message {seq} was published twice");
        first
    }
}

impl Segment {
    /// At the end, all joined: each of `groups`, with its first sequence, acked everything up to `tail`
    /// once and in order, as its publisher wrote it; and nothing holds the producer.
    pub(super) fn settle(&self, tail: u64, groups: &[(u8, u64)]) {
        for seq in 0..tail {
            assert!(self.ledger.publisher(seq).is_some(), "message {seq} was never published");
        }
        assert_eq!(self.ledger.publisher(tail), None, "the tail does not count message {tail}");
        for &(group, first) in groups {
            let entries = self.ledger.entries();
            let acked = entries.acked.iter().filter(|acked| acked.0 == group).map(|acked| acked.1);
            assert!(acked.eq(first..tail), "group {group} did not ack {first}..{tail} in order");
            let delivered: Vec<_> =
                entries.delivered.iter().filter(|d| d.group == group).copied().collect();
            drop(entries);
            for Delivered { seq, by, .. } in delivered {
                assert_eq!(self.ledger.publisher(seq), Some(by), "message {seq} was replaced");
            }
        }
        assert_eq!(gate(self.view(), tail).seq, tail, "all is acked, and the producer is held");
    }
}
