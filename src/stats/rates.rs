//! Figures from two looks and the samples between them. Each field says what it is, in which unit, and when it holds.

use std::time::{Duration, SystemTime};

use super::figure::{Figure, Unknown};
use super::processes::ProcessInfo;
use super::samples::GroupSamples;
use crate::snapshot::{GroupInfo, MemberInfo, Snapshot};

/// Samples from which on a share of them says something.
const FEW: u32 = 8;
/// Samples that found a message from which on a mean of what they found says something.
const FEW_FOUND: u32 = 4;
/// Samples of a busy group from which on its speed can be told from the share of them.
const FEW_BUSY: f64 = 30.0;
/// What waits may move by this part of what was acked, if the group is to count as steady.
const STEADY: f64 = 0.1;

/// What a queue does, from two looks and the samples between them.
///
/// In the field's letters: Q is what waits (`ready` and `unacked`), P the rate at which messages come
/// (`publish_rate`), X the rate at which they go (`throughput`), B how busy the consumers are (`busy`), C the rate at
/// which they could go (`service_rate`), D how long each takes (`delay`). Some texts call P/C the throughput; here it is
/// the `utilisation`, and throughput is X.
///
/// Totals (`published`, `blocked_total`, and a group's `done`, `redelivered`, `dead_lettered`) never step back in the
/// looks of one [`Monitor`](crate::Monitor), as long as [`Snapshot::instance`] and [`GroupInfo::instance`] stay: a queue
/// or group that was removed and made again has another one, and counts from 0.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The queue's state at the last look.
    pub snapshot: Snapshot,
    /// When the last look was.
    pub time: SystemTime,
    /// Time between the two looks. Rates are means over it. `None` after one look.
    pub window: Option<Duration>,
    /// Samples in that time, the last look included.
    pub samples: u32,
    /// Messages published since the queue was made. Counted.
    pub published: u64,
    /// P, messages per second that were published: the load that was *accepted*. A queue loses nothing, so while the
    /// producer is blocked this is what the slowest group lets through, and not what the producer would send.
    pub publish_rate: Figure,
    /// Payload bytes per second. Measured for messages of a fixed type. Of bytes it is estimated: their count lags by up
    /// to a quarter of the ring.
    pub byte_rate: Figure,
    /// Slots in use: the span of the group that keeps the most. The producer waits when this is the capacity.
    pub used: u64,
    /// Time until the ring is full, if the span of each group goes on growing as it did: that of the first one.
    pub full_in: Figure<Duration>,
    /// How long producers have waited for room since the queue was made, as far as waits are counted:
    /// [`ProducerInfo::blocked`](crate::ProducerInfo::blocked).
    pub blocked_total: Duration,
    /// Share of the time in which the producer waited for room, 0 to 1. Measured, as far as waits are counted.
    pub blocked: Figure,
    /// The producer's process.
    pub producer: ProcessInfo,
    /// All groups, in the order of their records.
    pub groups: Vec<GroupStats>,
}

/// What a group does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupStats {
    /// Its state at the last look.
    pub info: GroupInfo,
    /// W: messages that no consumer has received yet.
    pub ready: u64,
    /// U: messages that were received and not acked. Q, what waits, is W + U, the group's depth.
    pub unacked: u64,
    /// Messages acked, or given up as dead letters, since the group was made. Counted, by the group's position.
    /// Messages acked out of order count once all older ones of their consumer are acked.
    pub done: u64,
    /// Redeliveries since the group was made. Counted by consumers; a consumer that is killed may leave out a few.
    pub redelivered: u64,
    /// Messages that became dead letters since the group was made. Counted as the redeliveries.
    pub dead_lettered: u64,
    /// Consumers whose processes live.
    pub consumers: usize,
    /// X, messages per second that were acked or became dead letters. Measured: what came, less what waits more than
    /// before.
    pub throughput: Figure,
    /// Redeliveries per second.
    pub redelivery_rate: Figure,
    /// Dead letters per second.
    pub dead_letter_rate: Figure,
    /// B: how much of its consumers' time the group takes, 0 to 1: the share of samples in which a live consumer held a
    /// message; in a shared group the mean number of those that held some, over all that live. Estimated from at least
    /// 8 samples. Holding is not working: a consumer that sleeps on a message is busy.
    pub busy: Figure,
    /// C: messages per second that the consumers could ack. Measured if some message was ready in every sample (8 at
    /// least): then it is X. Else estimated as X / B, from samples of which 30 at least found consumers busy.
    pub service_rate: Figure,
    /// P / C: how much of what its consumers could do the group asks for. At least 1 if messages were always ready and
    /// what waits grew, or the producer was blocked: the load is then limited by the group, and P says nothing of it.
    /// Else it holds if the group was steady.
    pub utilisation: Figure,
    /// D: mean time from a message's publication to its ack, by Little's law: mean Q / X. Holds if the group was steady:
    /// if Q moved by less than a tenth of what was acked, and 4 samples at least found a message. It says nothing of
    /// single messages.
    pub delay: Figure<Duration>,
    /// The part of `delay` before a consumer receives the message: mean W / X. Holds when that does.
    pub wait: Figure<Duration>,
    /// The part of `delay` at a consumer: mean U / X. Holds when that does. In batches it includes the wait for the
    /// others of the batch.
    pub work: Figure<Duration>,
    /// Q / C: how long the messages that wait now take, and so when one that is sent now is acked. Holds in every
    /// state in which C is known and not 0.
    pub backlog: Figure<Duration>,
    /// Time until its span is the capacity and the producer waits: (capacity - span) / growth. 0 if it is so now.
    pub full_in: Figure<Duration>,
    /// Time until nothing waits: Q / (X - P) while Q shrinks; Q / C if nothing was published between the looks. 0 if
    /// nothing waits.
    pub empty_in: Figure<Duration>,
    /// Age of the oldest unacked message: at least the time since a look first found it published, or since it was
    /// received if it is in flight. The queue records no times of publication, so of a message in the ring it is never more
    /// than the time since the first look.
    pub oldest_age: Figure<Duration>,
    /// The most that this age can be, if an earlier look came before the message.
    pub oldest_age_at_most: Option<Duration>,
    /// Time since a look first found `done` as it is now: nothing was acked for that long, or a little longer. `None` if
    /// nothing waits.
    pub no_ack_for: Option<Duration>,
    /// Its consumers, dead ones that hold messages included.
    pub members: Vec<ConsumerStats>,
}

/// What a consumer does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Its state at the last look.
    pub info: MemberInfo,
    /// Its process.
    pub process: ProcessInfo,
    /// The oldest message that it holds, in the ring or in flight. In an exclusive group the message at the group's head, if
    /// that was delivered.
    pub holds: Option<u64>,
    /// Deliveries of that message so far; see [`MemberInfo::attempts`]. 0 if it holds none.
    pub attempts: u8,
    /// For how long at least it has held that: since a look first found it so. A message in flight that was delivered once
    /// tells when it was received.
    pub held_for: Option<Duration>,
    /// Messages in flight that it has, without those that it is moving there from the ring.
    pub in_flight: u64,
    /// In how long the first of these is due, and may be taken by another consumer; zero: now. `None`: never, as long as
    /// this consumer lives, or it has none.
    pub due: Option<Duration>,
    /// How many of these are due and were not taken by another consumer yet.
    pub overdue: u64,
    /// Messages per second that it acked.
    pub ack_rate: Figure,
}

/// A group at two looks, and between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between {
    /// Time between the looks, in seconds.
    pub(super) seconds: f64,
    /// Messages published.
    pub(super) published: f64,
    /// Messages done.
    pub(super) done: f64,
    /// By how much the depth and the span have grown.
    pub(super) depth_growth: f64,
    pub(super) span_growth: f64,
    /// Whether both looks read words that belong together.
    pub(super) whole: bool,
    /// Whether the producer was blocked in some sample.
    pub(super) blocked: bool,
    pub(super) samples: GroupSamples,
    /// Live consumers at the last look.
    pub(super) consumers: usize,
    pub(super) shared: bool,
    /// At the last look.
    pub(super) depth: u64,
    pub(super) span: u64,
    pub(super) capacity: u64,
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

/// An estimated time. More than a `Duration` can be is as good as never.
fn estimated(value: f64) -> Figure<Duration> {
    Figure::Estimated(seconds(value).unwrap_or(Duration::MAX))
}

impl Between {
    pub(super) fn throughput(&self) -> Figure {
        let rate = self.done / self.seconds;
        if self.whole { Figure::Measured(rate) } else { Figure::Estimated(rate) }
    }

    fn always_ready(&self) -> bool {
        self.samples.count >= FEW && self.samples.ready == self.samples.count
    }

    fn is_steady(&self) -> bool {
        self.done > 0.0 && self.depth_growth.abs() < STEADY * self.done
    }

    pub(super) fn busy(&self) -> Figure {
        let count = f64::from(self.samples.count);
        match (self.consumers, self.samples.count) {
            (0, _) => Figure::Unknown(Unknown::NoConsumer),
            (_, ..FEW) => Figure::Unknown(Unknown::FewSamples),
            (live, _) if self.shared => {
                Figure::Estimated((self.samples.sum_holders / count / live as f64).min(1.0))
            }
            _ => Figure::Estimated(f64::from(self.samples.busy) / count),
        }
    }

    pub(super) fn service_rate(&self) -> Figure {
        let busy = match self.busy() {
            Figure::Unknown(why) => return Figure::Unknown(why),
            _ if self.always_ready() => return self.throughput(),
            busy => busy.value().unwrap_or(0.0),
        };
        if f64::from(self.samples.count) * busy >= FEW_BUSY {
            return Figure::Estimated(self.done / self.seconds / busy);
        }
        let nothing = self.done == 0.0 && self.samples.sum_ready + self.samples.sum_unacked == 0.0;
        Figure::Unknown(if nothing { Unknown::Idle } else { Unknown::FewSamples })
    }

    pub(super) fn utilisation(&self) -> Figure {
        let publish_rate = self.published / self.seconds;
        match self.service_rate() {
            Figure::Unknown(why) => Figure::Unknown(why),
            _ if self.always_ready() && (self.depth_growth > 0.0 || self.blocked) => {
                Figure::AtLeast(1.0)
            }
            rate if rate.value() == Some(0.0) => Figure::Unknown(Unknown::Stalled),
            _ if !self.is_steady() => Figure::Unknown(Unknown::NotSteady),
            rate => rate.map(|rate| publish_rate / rate),
        }
    }

    /// Mean time that messages spend where `sum` of them were, summed over the samples.
    fn time_in(&self, sum: f64) -> Figure<Duration> {
        let count = self.samples.count;
        if count < FEW {
            return Figure::Unknown(Unknown::FewSamples);
        }
        if self.done == 0.0 {
            let waits = self.samples.sum_ready + self.samples.sum_unacked > 0.0;
            return Figure::Unknown(if waits { Unknown::Stalled } else { Unknown::Idle });
        }
        if !self.is_steady() {
            return Figure::Unknown(Unknown::NotSteady);
        }
        // Messages went through between the samples: they took some time, but not 0.
        if self.samples.waiting < FEW_FOUND || sum == 0.0 {
            return Figure::Unknown(Unknown::FewSamples);
        }
        estimated(sum / f64::from(count) / (self.done / self.seconds))
    }

    pub(super) fn delay(&self) -> Figure<Duration> {
        self.time_in(self.samples.sum_ready + self.samples.sum_unacked)
    }

    pub(super) fn wait(&self) -> Figure<Duration> {
        self.time_in(self.samples.sum_ready)
    }

    pub(super) fn work(&self) -> Figure<Duration> {
        self.time_in(self.samples.sum_unacked)
    }

    pub(super) fn backlog(&self) -> Figure<Duration> {
        match self.service_rate() {
            Figure::Unknown(why) => Figure::Unknown(why),
            rate => match rate.value() {
                Some(rate) if rate > 0.0 => estimated(self.depth as f64 / rate),
                _ => Figure::Unknown(Unknown::Stalled),
            },
        }
    }

    /// While it is not full.
    pub(super) fn full_in(&self) -> Figure<Duration> {
        let growth = self.span_growth / self.seconds;
        if growth > 0.0 {
            estimated(self.capacity.saturating_sub(self.span) as f64 / growth)
        } else {
            Figure::Unknown(Unknown::NotGrowing)
        }
    }

    /// While something waits.
    pub(super) fn empty_in(&self) -> Figure<Duration> {
        let (depth, shrinks) = (self.depth as f64, self.done - self.published);
        if shrinks > 0.0 {
            estimated(depth / (shrinks / self.seconds))
        } else if self.published == 0.0 {
            self.backlog()
        } else {
            Figure::Unknown(Unknown::NotShrinking)
        }
    }
}
