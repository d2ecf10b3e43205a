use std::time::Duration;

use serde::Serialize;
use slipring::{
    ConsumerStats, Figure, Finding, GroupStats, InFlightInfo, ProcessInfo, Remedy, Stats as Looked,
};

use super::Time;

/// What `stats` and `top` print.
#[derive(Debug, Serialize)]
pub(crate) struct Stats<'a> {
    pub(crate) time: Time,
    pub(crate) queues: Vec<QueueStats<'a>>,
}

/// A figure, how it was found, and why it is not known.
#[derive(Debug, Serialize)]
pub(crate) struct Known<T> {
    value: Option<T>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
}

impl<T> From<Figure<T>> for Known<T> {
    fn from(figure: Figure<T>) -> Known<T> {
        let (kind, why) = (figure.kind(), figure.unknown().map(|why| why.name()));
        Known { value: figure.value(), kind, why }
    }
}

/// A time in whole microseconds.
fn microseconds(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

pub(crate) fn time(figure: Figure<Duration>) -> Known<u64> {
    figure.map(microseconds).into()
}

/// What a queue does.
#[derive(Debug, Serialize)]
pub(crate) struct QueueStats<'a> {
    name: &'a str,
    instance: String,
    capacity: u64,
    bytes: usize,
    closed: bool,
    /// Between the looks; null after one.
    window_us: Option<u64>,
    samples: u32,
    published: u64,
    publish_rate: Known<f64>,
    byte_rate: Known<f64>,
    used: u64,
    full_in_us: Known<u64>,
    blocked_total_us: u64,
    blocked: Known<f64>,
    producer: ProducerStats<'a>,
    groups: Vec<GroupFigures<'a>>,
    findings: Vec<Found>,
}

/// The producer.
#[derive(Debug, Serialize)]
struct ProducerStats<'a> {
    #[serde(flatten)]
    process: Process<'a>,
    epoch: u64,
    payload_bytes: u64,
    full: u64,
    blocked_us: Option<u64>,
}

/// A process with a role.
#[derive(Debug, Serialize)]
pub(crate) struct Process<'a> {
    /// As it was recorded, perhaps in another pid namespace.
    pid: Option<u32>,
    /// In this one, where that is proved.
    pid_here: Option<u32>,
    state: &'static str,
    command: Option<&'a str>,
}

impl<'a> Process<'a> {
    fn new(pid: Option<u32>, info: &'a ProcessInfo) -> Process<'a> {
        let (state, command) = (info.state.name(), info.command.as_deref());
        Process { pid, pid_here: info.pid_here, state, command }
    }
}

/// What a group does.
#[derive(Debug, Serialize)]
struct GroupFigures<'a> {
    name: &'a str,
    instance: u64,
    mode: String,
    consumers: usize,
    ready: u64,
    unacked: u64,
    span: u64,
    /// Null without places for messages in flight.
    in_flight: Option<InFlight>,
    max_attempts: Option<u8>,
    done: u64,
    redelivered: u64,
    dead_lettered: u64,
    #[serde(flatten)]
    rates: GroupRates,
    redelivery_rate: Known<f64>,
    dead_letter_rate: Known<f64>,
    busy: Known<f64>,
    service_rate: Known<f64>,
    utilisation: Known<f64>,
    wait_us: Known<u64>,
    work_us: Known<u64>,
    backlog_us: Known<u64>,
    oldest_age_at_most_us: Option<u64>,
    no_ack_us: Option<u64>,
    members: Vec<MemberStats<'a>>,
}

/// Messages in flight beside the ring.
#[derive(Debug, Serialize)]
struct InFlight {
    max: u32,
    used: usize,
    /// Of these, without a consumer.
    delayed: usize,
    /// Of these, past their ack timeout, with a consumer.
    overdue: usize,
    ack_timeout_us: Option<u64>,
}

impl From<&InFlightInfo> for InFlight {
    fn from(info: &InFlightInfo) -> InFlight {
        InFlight {
            max: info.max,
            used: info.messages.len(),
            delayed: info.delayed(),
            overdue: info.overdue(),
            ack_timeout_us: info.ack_timeout.map(microseconds),
        }
    }
}

/// What `group ls --watch` shows as well.
#[derive(Debug, Serialize)]
pub(crate) struct GroupRates {
    throughput: Known<f64>,
    delay_us: Known<u64>,
    oldest_age_us: Known<u64>,
    full_in_us: Known<u64>,
    empty_in_us: Known<u64>,
}

impl From<&GroupStats> for GroupRates {
    fn from(group: &GroupStats) -> GroupRates {
        GroupRates {
            throughput: group.throughput.into(),
            delay_us: time(group.delay),
            oldest_age_us: time(group.oldest_age),
            full_in_us: time(group.full_in),
            empty_in_us: time(group.empty_in),
        }
    }
}

/// What a consumer does.
#[derive(Debug, Serialize)]
struct MemberStats<'a> {
    record: u8,
    #[serde(flatten)]
    process: Process<'a>,
    epoch: u64,
    claimed: Option<[u64; 2]>,
    holds: Option<u64>,
    held_us: Option<u64>,
    attempts: u8,
    in_flight_messages: u64,
    due_us: Option<u64>,
    overdue: u64,
    taking_us: Option<u64>,
    ack_rate: Known<f64>,
    acked: u64,
    redelivered: u64,
    dead_lettered: u64,
}

/// What is wrong.
#[derive(Debug, Serialize)]
struct Found {
    finding: &'static str,
    severity: &'static str,
    group: Option<String>,
    text: String,
    remedies: Vec<Cure>,
}

/// A command, and what it does.
#[derive(Debug, Serialize)]
struct Cure {
    command: String,
    effect: String,
}

impl<'a> From<&'a Looked> for QueueStats<'a> {
    fn from(stats: &'a Looked) -> QueueStats<'a> {
        let (snapshot, producer) = (&stats.snapshot, &stats.snapshot.producer);
        QueueStats {
            name: &snapshot.name,
            instance: format!("{:032x}", snapshot.instance),
            capacity: snapshot.capacity,
            bytes: snapshot.bytes,
            closed: snapshot.closed_at.is_some(),
            window_us: stats.window.map(microseconds),
            samples: stats.samples,
            published: stats.published,
            publish_rate: stats.publish_rate.into(),
            byte_rate: stats.byte_rate.into(),
            used: stats.used,
            full_in_us: time(stats.full_in),
            blocked_total_us: microseconds(stats.blocked_total),
            blocked: stats.blocked.into(),
            producer: ProducerStats {
                process: Process::new(producer.pid, &stats.producer),
                epoch: producer.epoch,
                payload_bytes: producer.payload_bytes,
                full: producer.full,
                blocked_us: producer.blocked_for.map(microseconds),
            },
            groups: stats.groups.iter().map(GroupFigures::from).collect(),
            findings: stats.findings().into_iter().map(Found::from).collect(),
        }
    }
}

impl<'a> From<&'a GroupStats> for GroupFigures<'a> {
    fn from(group: &'a GroupStats) -> GroupFigures<'a> {
        let info = &group.info;
        GroupFigures {
            name: &info.name,
            instance: info.instance,
            mode: super::mode(info.mode),
            consumers: group.consumers,
            ready: group.ready,
            unacked: group.unacked,
            span: info.span,
            in_flight: info.in_flight.as_ref().map(InFlight::from),
            max_attempts: info.max_attempts,
            done: group.done,
            redelivered: group.redelivered,
            dead_lettered: group.dead_lettered,
            rates: group.into(),
            redelivery_rate: group.redelivery_rate.into(),
            dead_letter_rate: group.dead_letter_rate.into(),
            busy: group.busy.into(),
            service_rate: group.service_rate.into(),
            utilisation: group.utilisation.into(),
            wait_us: time(group.wait),
            work_us: time(group.work),
            backlog_us: time(group.backlog),
            oldest_age_at_most_us: group.oldest_age_at_most.map(microseconds),
            no_ack_us: group.no_ack_for.map(microseconds),
            members: group.members.iter().map(MemberStats::from).collect(),
        }
    }
}

impl<'a> From<&'a ConsumerStats> for MemberStats<'a> {
    fn from(member: &'a ConsumerStats) -> MemberStats<'a> {
        let info = &member.info;
        MemberStats {
            record: info.record,
            process: Process::new(info.pid, &member.process),
            epoch: info.epoch,
            claimed: info.claimed.as_ref().map(|claimed| [claimed.start, claimed.end]),
            holds: member.holds,
            held_us: member.held_for.map(microseconds),
            attempts: member.attempts,
            in_flight_messages: member.in_flight,
            due_us: member.due.map(microseconds),
            overdue: member.overdue,
            taking_us: info.taking.map(microseconds),
            ack_rate: member.ack_rate.into(),
            acked: info.acked,
            redelivered: info.redelivered,
            dead_lettered: info.dead_lettered,
        }
    }
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Found {
        let Finding { kind, severity, group, text, remedies, .. } = finding;
        let (finding, severity) = (kind.name(), severity.name());
        let remedies = remedies.into_iter().map(Cure::from).collect();
        Found { finding, severity, group, text, remedies }
    }
}

impl From<Remedy> for Cure {
    fn from(remedy: Remedy) -> Cure {
        let Remedy { command, effect, .. } = remedy;
        Cure { command, effect }
    }
}
