//! Figures about a queue, for people: pids, counters, and what consumers hold. The protocol decides nothing by them, so
//! most of these words are Relaxed: each figure stands for itself.

use super::cells::Table;
use super::observe::{InCell, in_cells};
use super::records::records_of;
use crate::layout::{GroupRecord, Mode, View};
use crate::packed::{Attempts, CellState, CellWord, Head, Start, State, Tick};
use crate::sync::{Ordering, Unmodelled};

/// Stores a figure that the caller alone stores.
#[inline]
fn set(figure: &Unmodelled, value: u64) {
    // Relaxed: for people to read.
    figure.store(value, Ordering::Relaxed);
}

#[inline]
fn get(figure: &Unmodelled) -> u64 {
    // Relaxed: for people to read.
    figure.load(Ordering::Relaxed)
}

fn own_pid() -> u64 {
    u64::from(std::process::id())
}

/// The pid of the holder of the control lease, 0 if nobody holds it.
#[inline]
pub(crate) fn control_pid(view: &View) -> u64 {
    get(&view.control().holder)
}

/// Notes that this process holds the control lease.
#[inline]
pub(crate) fn set_control_pid(view: &View) {
    set(&view.control().holder, own_pid());
}

#[inline]
pub(crate) fn clear_control_pid(view: &View) {
    set(&view.control().holder, 0);
}

/// The pid of the producer, 0 if there is none.
#[inline]
pub(crate) fn producer_pid(view: &View) -> u64 {
    get(&view.control().producer.identity.pid)
}

/// Notes that this process is the producer; it holds the producer's lease.
#[inline]
pub(crate) fn set_producer_pid(view: &View) {
    set(&view.control().producer.identity.pid, own_pid());
    // The one before may have died in a wait.
    set(&view.control().producer.counters.blocked_since, 0);
}

#[inline]
pub(crate) fn clear_producer_pid(view: &View) {
    set(&view.control().producer.identity.pid, 0);
}

/// How often a producer took the role.
#[inline]
pub(crate) fn producer_epoch(view: &View) -> u64 {
    // Relaxed: for people to read.
    view.control().producer.identity.epoch.load(Ordering::Relaxed)
}

/// What producers counted: payload bytes published, and times that the queue was found full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerCounts {
    pub(crate) bytes: u64,
    pub(crate) full: u64,
}

/// How long producers have waited for room, in nanoseconds: up to the end of the last wait, and when the present one
/// began on CLOCK_MONOTONIC, 0 if there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocked {
    pub(crate) total: u64,
    pub(crate) since: u64,
}

pub(crate) fn blocked(view: &View) -> Blocked {
    let counters = &view.control().producer.counters;
    Blocked { total: get(&counters.blocked), since: get(&counters.blocked_since) }
}

/// Notes that the producer, the caller, waits for room from `now` on.
#[cold]
pub(crate) fn begin_blocked(view: &View, now: u64) {
    set(&view.control().producer.counters.blocked_since, now);
}

/// Notes that the producer, the caller, waits no more.
#[cold]
pub(crate) fn end_blocked(view: &View, now: u64) {
    let counters = &view.control().producer.counters;
    let Blocked { total, since } = blocked(view);
    // A reader between the two stores misses this wait for a moment, rather than counting it twice.
    set(&counters.blocked_since, 0);
    // Wrapping: another process may have garbled them.
    set(&counters.blocked, total.wrapping_add(now.saturating_sub(since)));
}

#[inline]
pub(crate) fn producer_counts(view: &View) -> ProducerCounts {
    let counters = &view.control().producer.counters;
    ProducerCounts { bytes: get(&counters.bytes), full: get(&counters.full) }
}

/// The caller holds the producer's lease.
#[inline]
pub(crate) fn set_producer_counts(view: &View, counts: ProducerCounts) {
    let counters = &view.control().producer.counters;
    set(&counters.bytes, counts.bytes);
    set(&counters.full, counts.full);
}

/// The pid of a consumer record's owner.
#[inline]
pub(crate) fn consumer_pid(view: &View, record: u8) -> u64 {
    get(&view.record(record).claim.pid)
}

/// Notes that this process holds what `record` says; it holds the record's lease.
#[inline]
pub(crate) fn set_consumer_pid(view: &View, record: u8) {
    set(&view.record(record).claim.pid, own_pid());
}

/// Counts a message that the owner of `record`, the caller, gave up.
#[inline]
pub(crate) fn count_dead_letter(view: &View, record: u8) {
    let counter = &view.record(record).counters.dead_lettered;
    set(counter, get(counter).wrapping_add(1));
}

/// Takes back the count of a message that came again to the owner of `record`, the caller.
pub(crate) fn uncount_redelivery(view: &View, record: u8) {
    let counter = &view.record(record).counters.redelivered;
    set(counter, get(counter).wrapping_sub(1));
}

/// The head of `group`, which is shared: the next sequence to be claimed.
pub(crate) fn head(view: &View, group: u8) -> u64 {
    // Relaxed: for people.
    Head::unpack(view.group(group).head.load(Ordering::Relaxed)).seq
}

/// Counts an ack of a message in flight. Any thread of the process may do so.
#[inline]
pub(crate) fn count_acked(view: &View, record: u8) {
    // Relaxed: for people to read.
    view.record(record).counters.acked.fetch_add(1, Ordering::Relaxed);
}

/// Counts a message in flight that came again.
pub(crate) fn count_redelivery(view: &View, record: u8) {
    // Relaxed: for people to read.
    view.record(record).counters.redelivered.fetch_add(1, Ordering::Relaxed);
}

/// The records that have reserved cells of a group, each once, in their order, and how many cells.
pub(crate) fn reserved(view: &View, table: &Table) -> Vec<(u8, u32)> {
    let mut found: Vec<(u8, u32)> = Vec::new();
    for i in 0..table.len() {
        // Relaxed: each cell stands for itself.
        let word = CellWord::unpack(table.cell(view, i).word.load(Ordering::Relaxed));
        if word.state != CellState::Reserved {
            continue;
        }
        match found.iter_mut().find(|(owner, _)| *owner == word.owner) {
            Some((_, cells)) => *cells += 1,
            None => found.push((word.owner, 1)),
        }
    }
    found.sort_unstable();
    found
}

/// Since when a member has been taking messages from the ring, from its reservation of cells for them on; 0: it is not.
pub(crate) fn claimed_at(view: &View, record: u8) -> Tick {
    get(&view.record(record).claim.claimed_at)
}

/// What a consumer counted, or all former consumers of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsumerCounts {
    pub(crate) acked: u64,
    pub(crate) redelivered: u64,
    pub(crate) dead_lettered: u64,
}

#[inline]
pub(crate) fn consumer_counts(view: &View, record: u8) -> ConsumerCounts {
    let counters = &view.record(record).counters;
    ConsumerCounts {
        acked: get(&counters.acked),
        redelivered: get(&counters.redelivered),
        dead_lettered: get(&counters.dead_lettered),
    }
}

/// What consumers counted that have left the group.
#[inline]
pub(crate) fn former_counts(group: &GroupRecord) -> ConsumerCounts {
    let totals = &group.cold.totals;
    ConsumerCounts {
        acked: get(&totals.acked),
        redelivered: get(&totals.redelivered),
        dead_lettered: get(&totals.dead_lettered),
    }
}

/// What a consumer record says about a shared group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) record: u8,
    /// The range that its member holds.
    pub(crate) held: Option<(u64, u64)>,
    /// How often the first message of the range was delivered.
    pub(crate) attempts: u8,
    /// The sequence at which it holds the producer, also during a claim, or if it died in a claim.
    pub(crate) gates: Option<u64>,
}

/// How often a group is read again because its head has moved meanwhile.
const TRIES: u32 = 16;

/// A group's head, what its records say, and whether they say it at that head: if the head moves during each of `TRIES`
/// reads, the records may be newer.
fn holdings(view: &View, group: u8) -> (u64, Vec<Holding>, bool) {
    let word = &view.group(group).head;
    let read = |head: u64| {
        let records = records_of(view, group);
        records.map(|record| holding(view, group, record, Head::unpack(head))).collect()
    };
    // Acquire. pair claim: before the starts, as in recovery, which judges a PENDING by it.
    let mut head = word.load(Ordering::Acquire);
    for _ in 0..TRIES {
        let found = read(head);
        // Acquire: after the starts, all of which belong to the head if it still stands.
        let now = word.load(Ordering::Acquire);
        if now == head {
            return (Head::unpack(head).seq, found, true);
        }
        head = now;
    }
    (Head::unpack(head).seq, read(head), false)
}

/// Where a group stands, and what its records hold.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) head: u64,
    /// Published and not acked.
    pub(crate) depth: u64,
    /// Slots that it keeps.
    pub(crate) span: u64,
    /// Delivered and not acked.
    pub(crate) unacked: u64,
    /// Deliveries of the message at the head of an exclusive group.
    pub(crate) attempts: u8,
    pub(crate) holdings: Vec<Holding>,
    /// Records that have messages in cells, each once.
    pub(crate) in_cells: Vec<u8>,
    /// Whether head and records belong together.
    pub(crate) whole: bool,
}

/// Where `group` stands while `tail` is the end of what is published. `mode` is the group's; without one, as if shared.
pub(crate) fn standing(view: &View, group: u8, mode: Option<Mode>, tail: u64) -> Standing {
    let (head, holdings, whole) = holdings(view, group);
    let waiting = tail.saturating_sub(head);
    if mode == Some(Mode::Exclusive) {
        let (unacked, attempts) = delivered(view, group, head);
        let (depth, span, in_cells) = (waiting, waiting, Vec::new());
        return Standing { head, depth, span, unacked, attempts, holdings, in_cells, whole };
    }
    let held = holdings.iter().filter_map(|holding| holding.held);
    // Wrapping: another process may have garbled them.
    let in_ring = held.fold(0u64, |sum, (start, end)| sum.wrapping_add(end - start));
    let (alone, in_cells) = in_cells_alone(view, group, head, &holdings);
    let unacked = in_ring.wrapping_add(alone);
    let oldest = holdings.iter().filter_map(|holding| holding.gates).fold(head, u64::min);
    let (depth, span) = (waiting.wrapping_add(unacked), tail.saturating_sub(oldest));
    Standing { head, depth, span, unacked, attempts: 0, holdings, in_cells, whole }
}

/// Messages that are in cells of `group`, and neither in a range that a record holds nor after `head`, which was read before;
/// and the records that have some in cells.
fn in_cells_alone(view: &View, group: u8, head: u64, holdings: &[Holding]) -> (u64, Vec<u8>) {
    let (mut alone, mut owners) = (0, Vec::new());
    let Ok(Some(table)) = Table::of(view, group) else { return (alone, owners) };
    let in_ring = |seq: u64| {
        let mut ranges = holdings.iter().filter_map(|holding| holding.held);
        seq >= head || ranges.any(|(start, end)| (start..end).contains(&seq))
    };
    for InCell { seq, requeued, word, .. } in in_cells(view, &table) {
        alone += u64::from(requeued || !in_ring(seq));
        if word.state == CellState::Held && !owners.contains(&word.owner) {
            owners.push(word.owner);
        }
    }
    (alone, owners)
}

/// How often a consumer record was taken.
pub(crate) fn consumer_epoch(view: &View, record: u8) -> u64 {
    get(&view.record(record).claim.epoch)
}

/// The words may belong to two claims; an impossible range is not shown.
fn holding(view: &View, group: u8, record: u8, head: Head) -> Holding {
    let words = &view.record(record).claim;
    // Acquire: the end that belongs to it, or a later one. pair claim.
    let start = Start::unpack(words.start.load(Ordering::Acquire));
    // Relaxed, both: each figure stands for itself.
    let end = words.end.load(Ordering::Relaxed);
    let attempts = Attempts::unpack(words.attempts.load(Ordering::Relaxed));
    if start.group != group || start.state == State::Idle {
        return Holding { record, held: None, attempts: 0, gates: None };
    }
    // A member that died between its exchange and storing HELD has succeeded: the head names it.
    let named = head == Head { seq: end, claimer: record };
    let holds = start.state == State::Held || start.state == State::Pending && named;
    let sane = start.seq < end && end - start.seq <= view.geo().capacity && end <= head.seq;
    let held = (holds && sane).then_some((start.seq, end));
    let attempts = if attempts.seq == start.seq { attempts.count } else { 1 };
    let attempts = if held.is_some() { attempts } else { 0 };
    Holding { record, held, attempts, gates: Some(start.seq) }
}

/// How many messages of an exclusive group were delivered and not acked, and how often the first of them was.
fn delivered(view: &View, group: u8, head: u64) -> (u64, u8) {
    let delivery = &view.group(group).delivery;
    // Relaxed, both: each figure stands for itself.
    let unacked = delivery.up_to.load(Ordering::Relaxed).saturating_sub(head);
    let attempts = Attempts::unpack(delivery.attempts.load(Ordering::Relaxed));
    match unacked {
        0 => (0, 0),
        _ if attempts.seq == head => (unacked, attempts.count),
        _ => (unacked, 1),
    }
}
