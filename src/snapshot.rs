//! A look at a queue's state, for people and monitors. Each figure is read on its own: two of them may be
//! a moment apart, so differences saturate.

use std::time::{Duration, SystemTime};

use crate::attach::Mapped;
use crate::error::SystemError;
use crate::group::{Mode, Retention, identity_of, pid_of, target_of};
use crate::layout::{GroupState, View, WakeMode, lease_byte};
use crate::ring::close::closed_at;
use crate::ring::control;
use crate::ring::control::RETENTION_RELEASE;
use crate::ring::publish::published_end;
use crate::segment::{LeaseFile, QueueName};
use crate::seq::{Attempts, Head, SEQ_NONE, Start, State};
use crate::sync::{Ordering, Quiet};

/// A queue's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Layout version.
    pub version: u32,
    /// Messages that fit.
    pub capacity: u64,
    /// Bytes of the longest message.
    pub payload_size: usize,
    /// Bytes of shared memory.
    pub bytes: usize,
    /// What it carries, as its creator called it; empty if unnamed.
    pub schema_name: String,
    /// Hash of a typed message's fields; 0 for bytes.
    pub schema_hash: u64,
    /// Equal for queues of the same shape and message type.
    pub fingerprint: u64,
    /// When it was made.
    pub created_at: SystemTime,
    /// Size of the group table.
    pub groups_max: usize,
    /// Size of the consumer table.
    pub consumers_max: usize,
    /// How those who wait are woken.
    pub wake_mode: WakeMode,
    /// The queue's first sequence.
    pub base: u64,
    /// The next sequence to be published, also if the last producer died half-way through a batch.
    pub tail: u64,
    /// Where the queue was closed, while it is: the sequence behind its last message.
    pub closed_at: Option<u64>,
    /// Who produces.
    pub producer: ProducerInfo,
    /// All groups, in the order of their records.
    pub groups: Vec<GroupInfo>,
}

/// The producer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerInfo {
    /// Whether one is attached.
    pub live: bool,
    /// Its pid, or that of one that died without giving up the role; 0 if none.
    pub pid: u32,
    /// How often the role was taken.
    pub epoch: u64,
    /// Payload bytes published, a little behind.
    pub payload_bytes: u64,
    /// Times it found the queue full, a little behind.
    pub full: u64,
}

/// A group's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Its name; empty if it is being made right now.
    pub name: String,
    /// Who gets its messages; `None` if this version does not know the mode.
    pub mode: Option<Mode>,
    /// What becomes of it without members.
    pub retention: Retention,
    /// The next sequence it has to ack; in a shared group, the next to be taken by a member.
    pub head: u64,
    /// Messages published and not acked.
    pub depth: u64,
    /// Of these, messages that were delivered already; in a shared group, what members hold.
    pub unacked: u64,
    /// Messages acked since it was made, by consumers that are gone as well, and a little behind.
    pub acked: u64,
    /// Deliveries of messages that had been delivered before.
    pub redelivered: u64,
    /// Messages given up.
    pub dead_lettered: u64,
    /// Deliveries after which a message is given up; 0 = no limit.
    pub max_attempts: u8,
    /// The queue for its dead letters, if it is not `<queue>.dead`; else empty.
    pub dead_letters: String,
    /// Its consumers.
    pub members: Vec<MemberInfo>,
}

/// A consumer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its record.
    pub record: u8,
    /// Its pid, for people to read.
    pub pid: u32,
    /// Whether it lives: its lease is held.
    pub live: bool,
    /// What it holds and has not acked, from the first sequence to the one behind the last. Always `None`
    /// in an exclusive group, whose head says it.
    pub claimed: Option<(u64, u64)>,
    /// How often the first message of `claimed` was delivered.
    pub attempts: u8,
    /// Messages it acked since it joined.
    pub acked: u64,
    /// Messages it was given that had been delivered before.
    pub redelivered: u64,
    /// Messages it gave up.
    pub dead_lettered: u64,
}

impl Snapshot {
    pub(crate) fn take(mapped: &Mapped, file: &LeaseFile) -> Result<Snapshot, SystemError> {
        let look = |source| SystemError::new("look at the queue's file", source);
        let (view, config) = (mapped.view(), &mapped.config);
        let geo = *view.geo();
        let words = view.control();
        // Before the tail, which is at least there.
        let closed_at = closed_at(view);
        // Not the tail word alone: a producer that died may have published more than it says.
        let tail = published_end(view).unwrap_or(SEQ_NONE).max(geo.base);
        let identity = &words.producer.identity;
        let counters = &words.producer.counters;
        // Relaxed, here and below: each figure stands for itself.
        let producer = ProducerInfo {
            live: file.is_held(lease_byte::PRODUCER).map_err(look)?,
            pid: identity.pid.load(Ordering::Relaxed) as u32,
            epoch: identity.epoch.load(Ordering::Relaxed),
            payload_bytes: counters.bytes.load(Ordering::Relaxed),
            full: counters.full.load(Ordering::Relaxed),
        };
        let mut groups = Vec::new();
        for index in control::groups(view) {
            let group = view.group(index);
            let known =
                identity_of(group).filter(|_| control::state(view, index) != GroupState::Joining);
            let name = known.map_or(String::new(), |identity| {
                String::from_utf8_lossy(identity.name()).into_owned()
            });
            let releases = known.is_some_and(|i| u64::from(i.retention) == RETENTION_RELEASE);
            // Relaxed: as above.
            let head = Head::unpack(group.head.load(Ordering::Relaxed)).seq;
            let delivered = group.delivery.up_to.load(Ordering::Relaxed);
            let mut members = Vec::new();
            for record in control::records_of(view, index) {
                // Relaxed: as above.
                let counters = &view.record(record).counters;
                let (claimed, attempts) = claim_of(view, record);
                members.push(MemberInfo {
                    record,
                    claimed,
                    attempts,
                    pid: pid_of(view, record),
                    live: file.is_held(lease_byte::consumer(record)).map_err(look)?,
                    acked: counters.acked.load(Ordering::Relaxed),
                    redelivered: counters.redelivered.load(Ordering::Relaxed),
                    dead_lettered: counters.dead_lettered.load(Ordering::Relaxed),
                });
            }
            let mode = known.and_then(|identity| Mode::of(identity.mode.into()));
            let waiting = tail.saturating_sub(head);
            let (depth, unacked) = if mode == Some(Mode::Exclusive) {
                (waiting, delivered.saturating_sub(head))
            } else {
                let held = members.iter().filter_map(|member: &MemberInfo| member.claimed);
                let held: u64 = held.map(|(start, end)| end - start).sum();
                (waiting + held, held)
            };
            // Relaxed: as above. Wrapping: anybody may have garbled them.
            let sum = |gone: &Quiet, of: fn(&MemberInfo) -> u64| {
                let counts = members.iter().map(of);
                counts.fold(gone.load(Ordering::Relaxed), u64::wrapping_add)
            };
            groups.push(GroupInfo {
                acked: sum(&group.totals.acked, |member| member.acked),
                redelivered: sum(&group.totals.redelivered, |member| member.redelivered),
                dead_lettered: sum(&group.totals.dead_lettered, |member| member.dead_lettered),
                max_attempts: known.map_or(0, |identity| identity.max_attempts),
                dead_letters: target_of(view, index)
                    .ok()
                    .flatten()
                    .map_or_else(String::new, QueueName::into),
                name,
                mode,
                retention: if releases { Retention::Release } else { Retention::Hold },
                head,
                depth,
                unacked,
                members,
            });
        }
        Ok(Snapshot {
            name: mapped.name.as_str().to_owned(),
            version: config.version,
            capacity: geo.capacity,
            payload_size: geo.payload_size,
            bytes: geo.total,
            schema_name: config.schema_name().to_owned(),
            schema_hash: config.schema_hash,
            fingerprint: config.fingerprint,
            created_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(config.created_at),
            groups_max: geo.groups_max,
            consumers_max: geo.consumers_max,
            wake_mode: view.wake(),
            base: geo.base,
            tail,
            closed_at,
            producer,
            groups,
        })
    }
}

/// What a member of a shared group holds, and how often its first message was delivered. The words may
/// belong to two claims: what cannot be is not shown.
fn claim_of(view: &View, record: u8) -> (Option<(u64, u64)>, u8) {
    let words = &view.record(record).claim;
    // Acquire: the end that belongs to it, or a later one. pair C1.
    let start = Start::unpack(words.start.load(Ordering::Acquire));
    // Relaxed, both: each figure stands for itself.
    let end = words.end.load(Ordering::Relaxed);
    let attempts = Attempts::unpack(words.attempts.load(Ordering::Relaxed));
    let sane = start.seq < end && end - start.seq <= view.geo().capacity;
    if start.state != State::Held || !sane {
        return (None, 0);
    }
    let attempts = if attempts.seq == start.seq { attempts.count } else { 1 };
    (Some((start.seq, end)), attempts)
}
