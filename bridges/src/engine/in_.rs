//! From a broker to a local queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slipring::{Producer, ProducerError, Queue, SendError, StreamId, StreamSendError};

use super::Link;
use super::gap::{Gap, Order, Step, Verdict};
use crate::failure::Failure;
use crate::fault::{Fault, Kind};
use crate::identity::{Identity, Previous};
use crate::metrics::Metrics;
use crate::options::InOptions;
use crate::reporter::Reporter;
use crate::source::{Arrival, Next, Settled, Source};
use crate::stop::Stop;
use crate::values::{Format, Poison, Time};

/// Messages that are taken, published and acked at once.
const RUN: usize = 250;
/// How long a wait for messages or for room lasts.
const TURN: Duration = Duration::from_millis(200);
/// A wait for room or for the producer's role is told after this time.
const EXPLAIN_AFTER: Duration = Duration::from_secs(1);
/// A stream that is adopted begins this part of the gap timeout after its first message came.
const ADOPT_PART: u32 = 10;

/// A bridge from a source to a local queue.
#[derive(Debug)]
pub(crate) struct In<'a> {
    options: &'a InOptions,
    source: Box<dyn Source>,
    stop: Stop,
    metrics: Arc<Metrics>,
    reporter: Reporter,
    link: Link,
    /// By streams: what comes from where. `None` for a queue without sources.
    orders: Option<HashMap<StreamId, Order<Arrival>>>,
    settled: Vec<(u64, Settled)>,
    opened_at: Instant,
    published: u64,
    last_message: Instant,
}

impl<'a> In<'a> {
    pub(crate) fn new(
        options: &'a InOptions,
        what: String,
        source: Box<dyn Source>,
        stop: Stop,
        metrics: Arc<Metrics>,
    ) -> In<'a> {
        In {
            reporter: Reporter::new(options.to.clone()),
            options,
            source,
            stop,
            metrics,
            link: Link::new(what),
            orders: None,
            settled: Vec::new(),
            opened_at: Instant::now(),
            published: 0,
            last_message: Instant::now(),
        }
    }

    /// Publishes what comes until the source ends, or the count is reached.
    pub(crate) fn run(mut self, mut queue: Queue) -> Result<(), Failure> {
        queue.set_interrupt(self.stop.asked());
        let snapshot = queue.snapshot()?;
        if snapshot.groups.is_empty() {
            let name = &self.options.to;
            self.reporter.say(&format!(
                "the queue has no group: no consumer will get these messages, and the oldest are overwritten (slipring group \
                 add {name} main)"
            ));
        }
        let mut producer = self.take_role(&queue)?;
        if snapshot.max_streams > 0 {
            let known = queue.streams()?.into_iter();
            let known = known.map(|info| (info.stream, Order::new(info.last)));
            self.orders = Some(known.collect());
        }
        self.last_message = Instant::now();
        let ended = self.receive(&mut producer);
        // What is published is acked before the connection ends, also after a failure.
        let settled = self.settle(&mut producer);
        self.source.close();
        self.metrics.up.set(0);
        ended.and(settled)
    }

    fn take_role(&mut self, queue: &Queue) -> Result<Producer, Failure> {
        let since = Instant::now();
        loop {
            self.stop.check()?;
            let pid = match queue.producer_timeout(TURN) {
                Err(ProducerError::Taken { pid, .. }) => pid,
                Err(ProducerError::Interrupted { .. }) => continue,
                taken => return Ok(taken?),
            };
            if since.elapsed() >= EXPLAIN_AFTER {
                let other = pid.map_or(String::new(), |pid| format!(" (process {pid})"));
                self.reporter.say(&format!(
                    "waiting: another sender{other} has the queue, and there is one at a time"
                ));
            }
            self.check_timeout(since)?;
        }
    }

    fn receive(&mut self, producer: &mut Producer) -> Result<(), Failure> {
        loop {
            self.stop.check()?;
            self.tend()?;
            if self.options.count.is_some_and(|count| self.published >= count) {
                return Ok(());
            }
            if !self.link.is_open() {
                self.stop.sleep_until(self.link.due().min(Instant::now() + TURN));
                self.check_timeout(self.last_message)?;
                continue;
            }
            match self.source.next(self.most(), Instant::now() + TURN) {
                Ok(Next::Ended) => return Ok(()),
                Ok(Next::Arrivals(arrivals)) => {
                    if arrivals.is_empty() {
                        producer.check_removed()?;
                    }
                    self.take(arrivals, producer)?;
                }
                Err(fault) => self.lost(&fault)?,
            }
            self.check_gaps(producer)?;
            self.check_timeout(self.last_message)?;
        }
    }

    /// Messages to take at once.
    fn most(&self) -> usize {
        let left = self.options.count.map_or(u64::MAX, |count| count - self.published);
        usize::try_from(left).unwrap_or(RUN).min(RUN)
    }

    fn check_timeout(&self, since: Instant) -> Result<(), Failure> {
        match self.options.timeout {
            Some(Time(most)) if since.elapsed() >= most => {
                let seconds = most.as_secs_f64();
                Err(Failure::timeout(format!("no message came for {seconds} s")))
            }
            _ => Ok(()),
        }
    }

    fn tend(&mut self) -> Result<(), Failure> {
        if self.link.is_open() || Instant::now() < self.link.due() {
            return Ok(());
        }
        match self.source.open(&self.stop) {
            Ok(()) => {
                self.link.opened(&self.metrics, &mut self.reporter);
                self.opened_at = Instant::now();
                Ok(())
            }
            Err(fault) => self.lost(&fault),
        }
    }

    /// The connection is of no use any more: what was not acked comes again.
    fn lost(&mut self, fault: &Fault) -> Result<(), Failure> {
        self.source.close();
        self.settled.clear();
        self.orders.iter_mut().flatten().for_each(|(_, order)| order.forget_held());
        self.metrics.held.set(0);
        if self.stop.is_asked() {
            return Ok(());
        }
        if fault.kind == Kind::Refused {
            return Err(Failure::refused(fault.text.as_str()));
        }
        self.link.failed(fault, &self.metrics, &mut self.reporter);
        Ok(())
    }

    /// Publishes what has come, and acks it.
    fn take(&mut self, arrivals: Vec<Arrival>, producer: &mut Producer) -> Result<(), Failure> {
        if arrivals.is_empty() {
            return Ok(());
        }
        self.last_message = Instant::now();
        #[cfg(slipring_mutants)]
        if crate::mutants::chosen("commit-before-publish") {
            let tokens: Vec<_> = arrivals.iter().map(|a| (a.token, Settled::Done)).collect();
            let _ = self.source.settle(&tokens);
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut outcome = Ok(());
        for arrival in arrivals {
            outcome = self.take_one(arrival, producer);
            if outcome.is_err() {
                break;
            }
        }
        outcome.and(self.settle(producer))
    }

    fn take_one(&mut self, arrival: Arrival, producer: &mut Producer) -> Result<(), Failure> {
        let Some((identity, previous)) = self.in_order(&arrival) else {
            return self.publish(arrival, None, producer);
        };
        let Some(orders) = &mut self.orders else { return Ok(()) };
        let order = orders.entry(identity.stream).or_insert_with(|| Order::new(None));
        match order.arrive(identity.position, previous) {
            Verdict::Publish => {
                let stream = identity.stream;
                self.publish(arrival, Some(identity), producer)?;
                self.release(stream, producer)
            }
            Verdict::Hold => {
                let previous = previous.unwrap_or_default();
                order.keep(identity.position, previous, arrival, Instant::now());
                self.count_held();
                Ok(())
            }
            Verdict::AlreadyThere | Verdict::SecondCopy => {
                self.done_already(&arrival);
                Ok(())
            }
        }
    }

    /// The identity of a message of a stream that is kept in order, and the position before. Others, and those that go into a
    /// queue without sources, are published as they come.
    fn in_order(&self, arrival: &Arrival) -> Option<(Identity, Option<u64>)> {
        self.orders.as_ref()?;
        let identity = arrival.identity.clone()?;
        match identity.previous {
            Previous::None => Some((identity, None)),
            Previous::At(previous) => Some((identity, Some(previous))),
            Previous::Unknown => None,
        }
    }

    fn done_already(&mut self, arrival: &Arrival) {
        self.metrics.counters.already_there.add(1);
        self.settled.push((arrival.token, Settled::Done));
    }

    /// Publishes what was kept, and whose turn has come.
    fn release(&mut self, stream: StreamId, producer: &mut Producer) -> Result<(), Failure> {
        loop {
            let order = self.orders.as_mut().and_then(|orders| orders.get_mut(&stream));
            let Some((_, verdict, arrival)) = order.and_then(|order| order.next(Instant::now()))
            else {
                return Ok(());
            };
            match verdict {
                Verdict::Publish => {
                    let identity = arrival.identity.clone();
                    self.publish(arrival, identity, producer)?;
                }
                _ => self.done_already(&arrival),
            }
            self.count_held();
        }
    }

    /// Messages that are kept, of all streams.
    fn held(&self) -> usize {
        self.orders.iter().flatten().map(|(_, order)| order.held()).sum()
    }

    fn count_held(&self) {
        self.metrics.held.set(self.held() as u64);
    }

    /// Publishes a message, waiting for room; with its position, if it has an identity here.
    fn publish(
        &mut self,
        arrival: Arrival,
        identity: Option<Identity>,
        producer: &mut Producer,
    ) -> Result<(), Failure> {
        if arrival.tombstone {
            return self.pass(&arrival, identity, producer);
        }
        let packed;
        let bytes = match (self.options.format, &arrival.envelope) {
            (Format::Envelope, Some(envelope)) => {
                packed = envelope.pack(&arrival.body).map_err(Failure::failed)?;
                &packed
            }
            _ => &arrival.body,
        };
        let message = || (arrival.kind, &bytes[..]);
        let since = Instant::now();
        loop {
            let sent = match &identity {
                None => producer.send_timeout(message(), TURN).map(|_| ()),
                Some(identity) => {
                    let mut stream = producer.stream(identity.stream)?;
                    match stream.send_timeout(identity.position, message(), TURN) {
                        Ok(_) => Ok(()),
                        Err(StreamSendError::Send(fault)) => Err(fault),
                        Err(fault) => return Err(fault.into()),
                    }
                }
            };
            match sent {
                Ok(()) => break,
                Err(SendError::Timeout(full)) => {
                    if since.elapsed() >= EXPLAIN_AFTER {
                        self.reporter.say(&format!("waiting for room: {full}"));
                    }
                    // What is published already may be acked meanwhile.
                    self.settle(producer)?;
                }
                Err(SendError::Interrupted { .. }) => self.stop.check()?,
                Err(SendError::TooLong { len, max, .. }) => {
                    let reason = format!("it has {len} bytes, and the queue takes {max}");
                    return self.poison(&arrival, identity.as_ref(), &reason, producer);
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        if since.elapsed() >= EXPLAIN_AFTER {
            self.reporter.recovered("there is room again");
            self.orders.iter_mut().flatten().for_each(|(_, order)| order.excuse(since.elapsed()));
        }
        self.published += 1;
        self.metrics.counters.done.add(1);
        self.metrics.counters.bytes.add(arrival.body.len());
        self.finished(&arrival, identity.as_ref(), Settled::Done);
        Ok(())
    }

    fn finished(&mut self, arrival: &Arrival, identity: Option<&Identity>, settled: Settled) {
        self.settled.push((arrival.token, settled));
        let Some(identity) = identity else { return };
        self.metrics.position.set(identity.position);
        let orders = self.orders.as_mut();
        if let Some(order) = orders.and_then(|orders| orders.get_mut(&identity.stream)) {
            order.done(identity.position);
        }
    }

    /// Raises the position without a message.
    fn pass(
        &mut self,
        arrival: &Arrival,
        identity: Option<Identity>,
        producer: &mut Producer,
    ) -> Result<(), Failure> {
        if let Some(identity) = &identity {
            producer.stream(identity.stream)?.pass(identity.position)?;
        }
        self.metrics.counters.tombstones.add(1);
        self.finished(arrival, identity.as_ref(), Settled::Done);
        Ok(())
    }

    /// A message that the queue can never take.
    fn poison(
        &mut self,
        arrival: &Arrival,
        identity: Option<&Identity>,
        reason: &str,
        producer: &mut Producer,
    ) -> Result<(), Failure> {
        self.metrics.counters.poison.add(1);
        let name = match &arrival.identity {
            Some(identity) => {
                let Identity { stream, position, .. } = identity;
                format!("message {position} of stream {stream} ({})", stream.label())
            }
            None => format!("delivery {}", arrival.token),
        };
        if self.options.poison == Poison::Stop {
            let queue = &self.options.to;
            return Err(Failure::poison(format!("{name} can never be in queue {queue:?}: {reason}"))
                .hint(
                    "--poison dead-letter rejects such messages at the broker, which puts them into its dead letter exchange, \
                     or drops them if its queue has none",
                ));
        }
        if let Some(identity) = identity {
            producer.stream(identity.stream)?.pass(identity.position)?;
        }
        self.reporter.say(&format!("rejected {name}: {reason}"));
        self.metrics.counters.dead.add(1);
        self.finished(arrival, identity, Settled::Rejected);
        Ok(())
    }

    /// Acks what is published.
    fn settle(&mut self, producer: &mut Producer) -> Result<(), Failure> {
        if self.settled.is_empty() {
            return Ok(());
        }
        // In a queue without a name they are lost: the next queue of that name gets them from the broker.
        producer.check_removed()?;
        let settled = std::mem::take(&mut self.settled);
        match self.source.settle(&settled) {
            Ok(()) => {
                self.link.works();
                Ok(())
            }
            Err(fault) => self.lost(&fault),
        }
    }

    /// A message is missing for too long, or a stream is to be adopted.
    fn check_gaps(&mut self, producer: &mut Producer) -> Result<(), Failure> {
        let gaps = self.orders.iter().flatten();
        let gaps = gaps.filter_map(|(stream, order)| Some((*stream, order.gap()?)));
        let Some((stream, gap)) = gaps.min_by_key(|(_, gap)| gap.since) else { return Ok(()) };
        let most = self.options.gap_timeout();
        if self.options.adopt && gap.last.is_none() {
            return match gap.since.elapsed() >= most / ADOPT_PART {
                true => self.adopt(stream, gap.missing, producer),
                false => Ok(()),
            };
        }
        let is_full = self.held() >= self.source.most_unsettled();
        match gap.step(Instant::now(), self.opened_at, is_full, most) {
            Step::Wait => Ok(()),
            Step::Reopen => {
                self.reopen(stream, gap);
                Ok(())
            }
            Step::Fail => Err(self.gap_stays(stream, gap)),
        }
    }

    /// Consumes anew. What is missing may be at a consumer that died, and whose link is half-open: a quorum queue has it back
    /// once it notices, and then sends it before what was kept here, but only if there is room in the prefetch.
    fn reopen(&mut self, stream: StreamId, gap: Gap) {
        let (missing, held, label) = (gap.missing, gap.held, stream.label());
        self.reporter.say(&format!(
            "consumes anew: stream {stream} ({label}) lacks position {missing}, or one before it, and {held} later messages wait"
        ));
        self.source.close();
        self.orders.iter_mut().flatten().for_each(|(_, order)| order.reopen());
        self.count_held();
        self.link.renew("gap", &self.metrics);
    }

    fn gap_stays(&self, stream: StreamId, gap: Gap) -> Failure {
        let (name, label, held) = (&self.options.to, stream.label(), gap.held);
        let (missing, seconds) = (gap.missing, self.options.gap_timeout().as_secs_f64());
        match gap.last {
            Some(last) => Failure::failed(format!(
                "stream {stream} ({label}) lacks positions {} to {missing}, or some of them: queue {name:?} has it up to {last}, \
                 and {held} later messages have waited for {seconds} s, a new consumer included; what is missing expired, was taken by another consumer, \
                 or was in a queue that the broker has deleted",
                last.saturating_add(1)
            ))
            .hint(format!("slipring streams pass {name} {stream} {missing}"))
            .hint("goes on without it; the messages that wait stay at the broker until then"),
            None => Failure::failed(format!(
                "queue {name:?} does not know stream {stream} ({label}), and its first message here follows position {missing}"
            ))
            .hint("--adopt begins it there"),
        }
    }

    fn adopt(
        &mut self,
        stream: StreamId,
        position: u64,
        producer: &mut Producer,
    ) -> Result<(), Failure> {
        producer.stream(stream)?.pass(position)?;
        if let Some(order) = self.orders.as_mut().and_then(|orders| orders.get_mut(&stream)) {
            order.done(position);
        }
        let label = stream.label();
        self.reporter.say(&format!("adopted stream {stream} ({label}) after position {position}"));
        self.release(stream, producer)?;
        self.settle(producer)
    }
}

#[cfg(test)]
mod tests;
