//! A queue's state, for people and monitors. Each figure is read on its own: two of them may be a moment apart, so
//! differences saturate.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use crate::attach::Mapped;
use crate::clock::{HostClock, monotonic_ns};
use crate::error::{SystemError, Unacked, known_pid};
use crate::group::{Mode, Retention, limit_of, pid_of, target_name};
use crate::info::InFlightMessage;
use crate::layout::{GroupState, Identity, View, WakeMode, lease_byte};
use crate::packed::{SEQ_NONE, nanoseconds_of};
use crate::ring::cells::Table;
use crate::ring::close::closed_at;
use crate::ring::extents;
use crate::ring::figures::{self, Blocked, Holding, Standing};
use crate::ring::groups;
use crate::ring::groups::RETENTION_RELEASE;
use crate::ring::observe;
use crate::ring::publish::published_end;
use crate::segment::{LeaseFile, QueueName};

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
    /// What it carries, as its creator called it; empty if it has no such name.
    pub schema_name: String,
    /// A typed message's fields, one a line (name, type, offset); a last line `...` stands for those that did not fit.
    /// Empty for bytes.
    pub schema_fields: String,
    /// Hash of a typed message's fields; 0 for bytes.
    pub schema_hash: u64,
    /// Hash of everything that other processes must agree on: equal for queues of the same shape, message type, first
    /// sequence and wake mode.
    pub fingerprint: u64,
    /// When it was created.
    pub created_at: SystemTime,
    /// A random number: tells queues apart that had the same name one after the other.
    pub instance: u128,
    /// Most groups at a time.
    pub max_groups: usize,
    /// Most consumers at a time.
    pub max_consumers: usize,
    /// Most streams at a time that messages may come from; 0 if messages do not say where they come from.
    pub max_streams: usize,
    /// Places for messages in flight, of all groups together; see [`Group::in_flight`](crate::Group::in_flight).
    pub cells: u32,
    /// The longest run of these that no group has: a group that is made gets at most so many.
    pub free_cells: u32,
    /// How waiters are woken.
    pub wake_mode: WakeMode,
    /// The queue's first sequence.
    pub base: u64,
    /// The next sequence to be published, even if the last producer died in the middle of a batch.
    pub tail: u64,
    /// The sequence after the last message, if the queue is closed.
    pub closed_at: Option<u64>,
    /// The producer.
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
    /// Its pid, if that is known; also that of a producer that died with the role.
    pub pid: Option<u32>,
    /// How often the role was taken.
    pub epoch: u64,
    /// Payload bytes published; may lag a little.
    pub payload_bytes: u64,
    /// How often it found the queue full; may lag a little.
    pub full: u64,
    /// How long producers have waited for room, the present wait included. Waits that end before the waiter would
    /// sleep, or within about a millisecond without sleeps, are not counted; nor is the last wait of a producer that was
    /// killed in it.
    pub blocked: Duration,
    /// How long the producer has waited for room that does so now.
    pub blocked_for: Option<Duration>,
}

/// A group's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Its name; empty while it is being made or removed.
    pub name: String,
    /// Tells groups of this queue apart that had the same name one after the other.
    pub instance: u64,
    /// Whether it is exclusive or shared; `None` if this version does not know the mode.
    pub mode: Option<Mode>,
    /// What happens to it without members.
    pub retention: Retention,
    /// The sequence that it started at: messages below it are not the group's.
    pub began: u64,
    /// The next sequence that it has to ack; in a shared group, the next that a member claims.
    pub head: u64,
    /// Messages published and not acked.
    pub depth: u64,
    /// Slots from the oldest message that it has not acked up to the tail, which it keeps from being reused. At least
    /// `depth`; more where members of a shared group have acked messages after one that another member still holds. The
    /// producer waits once the span of some group equals the capacity.
    pub span: u64,
    /// How many messages of `depth` were delivered; in a shared group, what members hold.
    pub unacked: u64,
    /// Messages from `began` on that it has acked, or given up as dead letters, by its head and what its members hold.
    /// Unlike `acked`, it does not lag, and the death of a consumer takes nothing from it. Messages that were acked
    /// before an older one of the same consumer count once that is acked.
    pub done: u64,
    /// Whether head and members belong together. `false`: members have claimed so fast that `unacked`, `depth`, `span`
    /// and `done` may be off by what they have claimed since.
    pub whole: bool,
    /// Messages that its consumers, past ones included, have acked since it was made, those that became dead letters
    /// included; may lag a little.
    pub acked: u64,
    /// Redeliveries.
    pub redelivered: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Number of deliveries after which a message becomes a dead letter, 1 to 254, if there is a limit.
    pub max_attempts: Option<u8>,
    /// The queue for its dead letters, if it is not `<queue>.dead`.
    pub dead_letters: Option<String>,
    /// Its places for messages in flight, if it has some.
    pub in_flight: Option<InFlightInfo>,
    /// Its consumers.
    pub members: Vec<MemberInfo>,
}

/// A group's messages in flight, beside the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlightInfo {
    /// Messages that it can have in flight.
    pub max: u32,
    /// How long a member may work on one before another may take it.
    pub ack_timeout: Option<Duration>,
    /// Those that it has.
    pub messages: Vec<InFlightMessage>,
    /// Places that members have reserved for messages that they are taking from the ring, which is over in a moment: a member
    /// that is stopped then keeps them. In the order of the records, each once.
    pub reserved: Vec<ReservedPlaces>,
}

/// Places that a member has reserved; see [`InFlightInfo::reserved`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReservedPlaces {
    /// The member's record.
    pub record: u8,
    /// How many places.
    pub places: u32,
}

impl GroupInfo {
    /// Messages in flight that have had their last attempt and that no member has: they wait to become dead letters.
    pub fn exhausted(&self) -> usize {
        let Some(limit) = self.max_attempts else { return 0 };
        let messages = self.in_flight.iter().flat_map(|in_flight| &in_flight.messages);
        messages.filter(|it| it.record.is_none() && it.attempts >= limit).count()
    }
}

impl InFlightInfo {
    /// Those that no member has: they wait for their next delivery.
    pub fn delayed(&self) -> usize {
        self.messages.iter().filter(|message| message.record.is_none()).count()
    }

    /// Those whose time is over, and that no other member has taken from the one that has them.
    pub fn overdue(&self) -> usize {
        self.messages.iter().filter(|message| message.is_overdue()).count()
    }

    /// Whether all its places are in use or reserved: until one is free, no member receives any message of the ring.
    pub fn is_full(&self) -> bool {
        let reserved: u64 = self.reserved.iter().map(|it| u64::from(it.places)).sum();
        self.messages.len() as u64 + reserved >= u64::from(self.max)
    }

    /// Places that the member of this record has reserved.
    pub fn reserved_by(&self, record: u8) -> u32 {
        self.reserved.iter().find(|it| it.record == record).map_or(0, |it| it.places)
    }

    /// Those that the member of this record has.
    pub fn of_member(&self, record: u8) -> impl Iterator<Item = &InFlightMessage> {
        self.messages.iter().filter(move |message| message.record == Some(record))
    }

    fn of(view: &View, group: u8) -> Option<InFlightInfo> {
        let table = Table::of(view, group).ok().flatten()?;
        // In a time namespace of unknown offset, times are those of this process.
        let now = HostClock::new_or_own().now();
        let messages = observe::in_cells(view, &table).map(|found| InFlightMessage::of(found, now));
        Some(InFlightInfo {
            max: table.len(),
            ack_timeout: table.ack_timeout(view).map(Duration::from_nanos),
            messages: messages.collect(),
            reserved: figures::reserved(view, &table)
                .into_iter()
                .map(|(record, places)| ReservedPlaces { record, places })
                .collect(),
        })
    }
}

/// A consumer's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Index of its record.
    pub record: u8,
    /// How often the record was taken: tells its consumers apart.
    pub epoch: u64,
    /// Its pid, for people to read, if that is known.
    pub pid: Option<u32>,
    /// Whether it lives: its lease is held.
    pub live: bool,
    /// Sequences that it has claimed and not acked. Always `None` in an exclusive group, whose head says it.
    pub claimed: Option<Range<u64>>,
    /// Attempts of the first message of `claimed`; in an exclusive group, of the message at the head. 255 means 255 or
    /// more. 0 if nothing is delivered and unacked, or if [`Batch::uncount`](crate::Batch::uncount) took back the only
    /// attempt.
    pub attempts: u8,
    /// Messages it acked since it joined, those that it made dead letters included.
    pub acked: u64,
    /// Redeliveries to it.
    pub redelivered: u64,
    /// Messages that it made dead letters.
    pub dead_lettered: u64,
    /// In a group with places for messages in flight: how long it has been taking messages from the ring, from its reservation
    /// of places on. That takes a moment, about as long as copying them. A member that is stopped there keeps the places, and
    /// what it has claimed, until it goes on or ends.
    pub taking: Option<Duration>,
}

impl Snapshot {
    pub(crate) fn take(mapped: &Mapped, file: &LeaseFile) -> Result<Snapshot, SystemError> {
        let look =
            |source| SystemError::new(mapped.name.shared(), "check the queue's file", source);
        let (view, config) = (mapped.view(), &mapped.config);
        let geo = *view.geo();
        // Read before the tail, which then is not lower.
        let closed_at = closed_at(view);
        // The tail word alone may be too low: a producer that died may have published more.
        let tail = published_end(view).unwrap_or(SEQ_NONE).max(geo.base);
        let counts = figures::producer_counts(view);
        let mut producer = ProducerInfo {
            live: file.is_held(lease_byte::PRODUCER).map_err(look)?,
            pid: known_pid(figures::producer_pid(view)),
            epoch: figures::producer_epoch(view),
            payload_bytes: counts.bytes,
            full: counts.full,
            blocked: Duration::ZERO,
            blocked_for: None,
        };
        producer.note_blocked(figures::blocked(view));
        let mut groups = Vec::new();
        for index in groups::in_use(view) {
            let group = view.group(index);
            let known = Identity::load_with_target(group)
                .filter(|_| groups::state(view, index) != GroupState::Joining);
            let (known, target) = known.unzip();
            let name = known.map_or(String::new(), |identity| {
                String::from_utf8_lossy(identity.name()).into_owned()
            });
            let releases = known.is_some_and(|i| u64::from(i.retention) == RETENTION_RELEASE);
            let mode = known.and_then(|identity| Mode::of(identity.mode.into()));
            let standing = figures::standing(view, index, mode, tail);
            let Standing { head, depth, span, unacked, .. } = standing;
            let mut members = Vec::new();
            for Holding { record, held, attempts, .. } in &standing.holdings {
                let counts = figures::consumer_counts(view, *record);
                let live = file.is_held(lease_byte::consumer(*record)).map_err(look)?;
                members.push(MemberInfo {
                    record: *record,
                    epoch: figures::consumer_epoch(view, *record),
                    claimed: held.map(|(start, end)| start..end),
                    attempts: *attempts,
                    pid: pid_of(view, *record),
                    live,
                    acked: counts.acked,
                    redelivered: counts.redelivered,
                    dead_lettered: counts.dead_lettered,
                    taking: taking(view, *record).filter(|_| live || held.is_some()),
                });
            }
            if mode == Some(Mode::Exclusive) {
                let lives = members.iter().any(|member| member.live);
                for member in members.iter_mut().filter(|member| member.live || !lives) {
                    member.attempts = standing.attempts;
                }
            }
            let began = known.map_or(head, |_| groups::began(view, index));
            let former = figures::former_counts(group);
            // Wrapping: another process may have garbled them.
            let sum = |former: u64, of: fn(&MemberInfo) -> u64| {
                members.iter().map(of).fold(former, u64::wrapping_add)
            };
            groups.push(GroupInfo {
                acked: sum(former.acked, |member| member.acked),
                redelivered: sum(former.redelivered, |member| member.redelivered),
                dead_lettered: sum(former.dead_lettered, |member| member.dead_lettered),
                max_attempts: known.as_ref().and_then(limit_of),
                dead_letters: target
                    .and_then(|target| target_name(&target).ok().flatten())
                    .map(QueueName::into),
                name,
                mode,
                retention: if releases { Retention::Release } else { Retention::Hold },
                began,
                head,
                depth,
                span,
                unacked,
                done: match mode {
                    Some(Mode::Exclusive) => head.saturating_sub(began),
                    _ => head.saturating_sub(began).saturating_sub(unacked),
                },
                whole: standing.whole,
                // A generation is below 2^56 for longer than any machine runs.
                instance: Identity::generation(group) << 8 | u64::from(index),
                in_flight: InFlightInfo::of(view, index),
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
            schema_fields: config.schema_fields().to_owned(),
            schema_hash: config.schema_hash,
            fingerprint: config.fingerprint,
            created_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(config.created_at),
            instance: u128::from(config.instance[0]) | u128::from(config.instance[1]) << 64,
            max_groups: geo.max_groups,
            max_consumers: geo.max_consumers,
            max_streams: geo.streams,
            cells: geo.cells as u32,
            free_cells: if geo.cells > 0 { extents::free(view).1.min(geo.cells as u32) } else { 0 },
            wake_mode: view.wake(),
            base: geo.base,
            tail,
            closed_at,
            producer,
            groups,
        })
    }
}

impl ProducerInfo {
    fn note_blocked(&mut self, Blocked { total, since }: Blocked) {
        // A time namespace may have shifted the clock for either process.
        let lasts = monotonic_ns().checked_sub(since).filter(|_| self.live && since > 0);
        self.blocked_for = lasts.map(Duration::from_nanos);
        self.blocked = Duration::from_nanos(total.saturating_add(lasts.unwrap_or(0)));
    }
}

impl Snapshot {
    /// Messages that wait for the group with the longest backlog: the highest [depth](GroupInfo::depth) of all groups,
    /// 0 without any.
    pub fn depth(&self) -> u64 {
        self.groups.iter().map(|group| group.depth).max().unwrap_or(0)
    }

    /// Slots from the oldest message that some group has not acked up to the tail: the highest [span](GroupInfo::span)
    /// of all groups, 0 without any. The producer has room for the capacity less this number.
    pub fn span(&self) -> u64 {
        self.groups.iter().map(|group| group.span).max().unwrap_or(0)
    }
}

/// How long a member has been taking messages from the ring, or had been when it died.
fn taking(view: &View, record: u8) -> Option<Duration> {
    let since = Some(figures::claimed_at(view, record)).filter(|since| *since > 0)?;
    let now = HostClock::new_or_own().now();
    Some(Duration::from_nanos(nanoseconds_of(now.saturating_sub(since))))
}

/// Messages that each group has not acked, without groups that have acked all.
pub(crate) fn unacked(mapped: &Mapped, file: &LeaseFile) -> Result<Unacked, SystemError> {
    let groups = Snapshot::take(mapped, file)?.groups.into_iter();
    let some = groups.filter(|group| group.depth > 0);
    Ok(Unacked(some.map(|group| (group.name, group.depth)).collect()))
}
