//! Which metrics there are, and how they are written.

use std::fmt;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use slipring::{ConsumerStats, Figure, GroupStats, InFlightInfo, ProcessState, Severity, Stats};

/// The form of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics text format 1.0.0.
    OpenMetrics,
}

impl Form {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The figures of these queues as a page. `closed`: queues that cannot be opened.
pub(super) fn encode(
    stats: Vec<Stats>,
    closed: Vec<String>,
    members: bool,
    form: Form,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page { stats, closed, members }));
    let mut text = String::new();
    match form {
        Form::Text => prometheus_text::encode(&mut text, &registry)?,
        Form::OpenMetrics => text::encode(&mut text, &registry)?,
    }
    Ok(text)
}

/// A value. `None`: it is not known now, and the series is left out.
type Value = Option<Number>;

enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Number {
        Number::Whole(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Number {
        Number::Real(number)
    }
}

fn known<T: Into<Number>>(value: T) -> Value {
    Some(value.into())
}

fn flag(on: bool) -> Value {
    known(u64::from(on))
}

fn seconds(time: Figure<std::time::Duration>) -> Value {
    time.value().map(|time| Number::Real(time.as_secs_f64()))
}

fn real(figure: Figure) -> Value {
    figure.value().map(Number::Real)
}

/// What a metric is about.
enum Of {
    Queue(fn(&Stats) -> Value),
    Group(fn(&Stats, &GroupStats) -> Value),
    Consumer(fn(&ConsumerStats) -> Value),
}

use Of::{Consumer, Group, Queue};

const GAUGE: MetricType = MetricType::Gauge;
const COUNTER: MetricType = MetricType::Counter;

/// All metrics that have a value: name, type, what it says. A counter's name ends in `_total` where it is shown.
const FAMILIES: &[(&str, MetricType, &str, Of)] = &[
    (
        "slipring_queue_capacity_messages",
        GAUGE,
        "Messages that fit into the ring",
        Queue(|q| known(q.snapshot.capacity)),
    ),
    (
        "slipring_queue_used_messages",
        GAUGE,
        "Slots in use; at the capacity the producer waits",
        Queue(|q| known(q.used)),
    ),
    (
        "slipring_queue_memory_bytes",
        GAUGE,
        "Shared memory of the queue",
        Queue(|q| known(q.snapshot.bytes as u64)),
    ),
    (
        "slipring_queue_closed",
        GAUGE,
        "1 if the queue is closed",
        Queue(|q| flag(q.snapshot.closed_at.is_some())),
    ),
    (
        "slipring_queue_created_timestamp_seconds",
        GAUGE,
        "When the queue was created",
        Queue(created),
    ),
    (
        "slipring_queue_published_messages",
        COUNTER,
        "Messages published since the queue was made",
        Queue(|q| known(q.published)),
    ),
    (
        "slipring_queue_published_bytes",
        COUNTER,
        "Payload bytes published; lags by up to a quarter of the ring",
        Queue(|q| known(q.snapshot.producer.payload_bytes)),
    ),
    (
        "slipring_queue_full_in_seconds",
        GAUGE,
        "Time until the ring is full if it goes on as now; left out if it does not fill",
        Queue(|q| seconds(q.full_in)),
    ),
    (
        "slipring_producer_up",
        GAUGE,
        "1 if a live process has the producer's role",
        Queue(|q| flag(q.snapshot.producer.live)),
    ),
    (
        "slipring_producer_stopped",
        GAUGE,
        "1 if the producer's process is stopped by a signal",
        Queue(|q| flag(q.producer.state == ProcessState::Stopped)),
    ),
    (
        "slipring_producer_blocked",
        GAUGE,
        "1 if the producer waits for room now",
        Queue(|q| flag(q.snapshot.producer.blocked_for.is_some())),
    ),
    (
        "slipring_producer_blocked_seconds",
        COUNTER,
        "Time that producers have waited for room",
        Queue(|q| known(q.snapshot.producer.blocked.as_secs_f64())),
    ),
    (
        "slipring_producer_full",
        COUNTER,
        "How often the producer found the ring full; may lag a little",
        Queue(|q| known(q.snapshot.producer.full)),
    ),
    (
        "slipring_producer_takeovers",
        COUNTER,
        "How often the producer's role was taken",
        Queue(|q| known(q.snapshot.producer.epoch)),
    ),
    (
        "slipring_queue_findings",
        GAUGE,
        "Things that are wrong with the queue and stop it: see slipring stats",
        Queue(|q| known(found(q, Severity::Error))),
    ),
    (
        "slipring_queue_warnings",
        GAUGE,
        "Things that will stop the queue, or that somebody should know: see slipring stats",
        Queue(|q| known(found(q, Severity::Warning))),
    ),
    (
        "slipring_group_ready_messages",
        GAUGE,
        "Messages that no consumer of the group has received",
        Group(|_, g| known(g.ready)),
    ),
    (
        "slipring_group_unacked_messages",
        GAUGE,
        "Messages that were received and not acked",
        Group(|_, g| known(g.unacked)),
    ),
    (
        "slipring_group_span_messages",
        GAUGE,
        "Slots that the group keeps from being used again",
        Group(|_, g| known(g.info.span)),
    ),
    (
        "slipring_group_in_flight_max_messages",
        GAUGE,
        "Places for messages in flight; left out for a group without",
        Group(|_, g| of(g, |it| u64::from(it.max))),
    ),
    (
        "slipring_group_in_flight_messages",
        GAUGE,
        "Places for messages in flight that are in use; at the most the group receives nothing",
        Group(|_, g| of(g, |it| it.messages.len() as u64)),
    ),
    (
        "slipring_group_delayed_messages",
        GAUGE,
        "Messages in flight without a consumer, which wait for their next delivery",
        Group(|_, g| of(g, |it| it.delayed() as u64)),
    ),
    (
        "slipring_group_overdue_messages",
        GAUGE,
        "Messages in flight past their ack timeout, which no other consumer has taken",
        Group(|_, g| of(g, |it| it.overdue() as u64)),
    ),
    (
        "slipring_group_consumers",
        GAUGE,
        "Consumers whose processes live",
        Group(|_, g| known(g.consumers as u64)),
    ),
    (
        "slipring_group_stopped_consumers",
        GAUGE,
        "Consumers whose processes are stopped by a signal",
        Group(|_, g| known(count(g, ProcessState::Stopped))),
    ),
    (
        "slipring_group_orphaned_messages",
        GAUGE,
        "Messages that dead consumers hold",
        Group(orphaned),
    ),
    (
        "slipring_group_oldest_unacked_age_seconds",
        GAUGE,
        "Age of the oldest unacked message, at least; 0 if there is none",
        Group(age),
    ),
    (
        "slipring_group_delay_seconds",
        GAUGE,
        "Mean time from publication to ack, by Little's law; left out unless the group is steady",
        Group(|_, g| seconds(g.delay)),
    ),
    (
        "slipring_group_utilisation",
        GAUGE,
        "Publish rate over what the consumers could ack; left out where it is not known",
        Group(|_, g| real(g.utilisation)),
    ),
    (
        "slipring_group_done_messages",
        COUNTER,
        "Messages acked or given up since the group was made",
        Group(|_, g| known(g.done)),
    ),
    (
        "slipring_group_redelivered_messages",
        COUNTER,
        "Redeliveries since the group was made",
        Group(|_, g| known(g.redelivered)),
    ),
    (
        "slipring_group_dead_lettered_messages",
        COUNTER,
        "Messages that became dead letters since the group was made",
        Group(|_, g| known(g.dead_lettered)),
    ),
    (
        "slipring_consumer_up",
        GAUGE,
        "1 if the consumer's process lives",
        Consumer(|c| flag(c.info.live)),
    ),
    (
        "slipring_consumer_unacked_messages",
        GAUGE,
        "Messages that the member of a shared group holds",
        Consumer(held),
    ),
    (
        "slipring_consumer_acked_messages",
        COUNTER,
        "Messages that the consumer has acked since it joined",
        Consumer(|c| known(c.info.acked)),
    ),
];

fn created(queue: &Stats) -> Value {
    let since = queue.snapshot.created_at.duration_since(UNIX_EPOCH).ok()?;
    known(since.as_secs_f64())
}

fn found(queue: &Stats, severity: Severity) -> u64 {
    queue.findings().iter().filter(|finding| finding.severity == severity).count() as u64
}

fn count(group: &GroupStats, state: ProcessState) -> u64 {
    group.members.iter().filter(|member| member.process.state == state).count() as u64
}

fn claimed(member: &ConsumerStats) -> u64 {
    member.info.claimed.as_ref().map_or(0, |range| range.end.saturating_sub(range.start))
}

/// A figure of the messages in flight of a group that has places for them.
fn of(group: &GroupStats, figure: fn(&InFlightInfo) -> u64) -> Value {
    known(figure(group.info.in_flight.as_ref()?))
}

fn orphaned(_: &Stats, group: &GroupStats) -> Value {
    let dead = group.members.iter().filter(|member| !member.info.live);
    known(dead.map(|member| claimed(member) + member.in_flight).sum::<u64>())
}

fn age(_: &Stats, group: &GroupStats) -> Value {
    if group.info.depth == 0 { known(0.0) } else { seconds(group.oldest_age) }
}

fn held(member: &ConsumerStats) -> Value {
    known(claimed(member) + member.in_flight)
}

/// All of a page: made anew for each answer, because queues and groups come and go.
#[derive(Debug)]
struct Page {
    stats: Vec<Stats>,
    closed: Vec<String>,
    members: bool,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        self.encode_up(&mut encoder)?;
        self.encode_info(&mut encoder)?;
        for (name, kind, help, of) in FAMILIES {
            if matches!(of, Consumer(_)) && !self.members {
                continue;
            }
            let mut family = encoder.encode_descriptor(name, help, None, *kind)?;
            let mut put = |labels: &[(&str, &str)], value: Value| -> Result<(), fmt::Error> {
                let Some(number) = value else { return Ok(()) };
                let mut metric = family.encode_family(&labels)?;
                match (kind, number) {
                    (MetricType::Counter, Number::Whole(n)) => {
                        metric.encode_counter::<NoLabelSet, _, u64>(&n, None)
                    }
                    (MetricType::Counter, Number::Real(x)) => {
                        metric.encode_counter::<NoLabelSet, _, u64>(&x, None)
                    }
                    (_, Number::Whole(n)) => metric.encode_gauge(&n),
                    (_, Number::Real(x)) => metric.encode_gauge(&x),
                }
            };
            for queue in &self.stats {
                let of_queue = ("queue", queue.snapshot.name.as_str());
                match of {
                    Queue(value) => put(&[of_queue], value(queue))?,
                    Group(value) => {
                        for group in named(queue) {
                            put(&[of_queue, ("group", &group.info.name)], value(queue, group))?;
                        }
                    }
                    Consumer(value) => {
                        for group in named(queue) {
                            for member in &group.members {
                                let record = member.info.record.to_string();
                                let labels =
                                    [of_queue, ("group", &group.info.name), ("consumer", &record)];
                                put(&labels, value(member))?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Groups that are not being made or removed.
fn named(queue: &Stats) -> impl Iterator<Item = &GroupStats> {
    queue.groups.iter().filter(|group| !group.info.name.is_empty())
}

impl Page {
    fn encode_up(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "1 if the queue can be read";
        let mut family = encoder.encode_descriptor("slipring_queue_up", help, None, GAUGE)?;
        let open = self.stats.iter().map(|queue| (queue.snapshot.name.as_str(), 1u64));
        let closed = self.closed.iter().map(|name| (name.as_str(), 0));
        for (name, up) in open.chain(closed) {
            family.encode_family(&[("queue", name)])?.encode_gauge(&up)?;
        }
        Ok(())
    }

    fn encode_info(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let kind = MetricType::Info;
        let help = "The program that serves this page";
        encoder
            .encode_descriptor("slipring_build", help, None, kind)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let help = "Whether the group is exclusive or shared";
        let mut family = encoder.encode_descriptor("slipring_group", help, None, kind)?;
        for queue in &self.stats {
            for group in named(queue) {
                let mode = group.info.mode.map_or("unknown".to_owned(), |mode| mode.to_string());
                let of = [("queue", queue.snapshot.name.as_str()), ("group", &group.info.name)];
                family.encode_family(&of)?.encode_info(&[("mode", mode.as_str())])?;
            }
        }
        Ok(())
    }
}
