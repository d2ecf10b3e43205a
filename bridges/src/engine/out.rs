//! From a local queue to a broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slipring::{Batch, Consumer, Delivery, Group, Queue, RecvError, StreamId};

use super::Link;
use super::backoff::Backoff;
use super::window::{Limits, Window};
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::fault::{Fault, Kind};
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::options::OutOptions;
use crate::reporter::Reporter;
use crate::sink::{Health, Outcome, Record, Sink};
use crate::stop::Stop;
use crate::values::{Format, Poison, Time};

/// How long a wait for messages lasts while nothing is in work: how soon a lost connection is noticed then.
const IDLE: Duration = Duration::from_millis(500);
/// Messages and confirms are waited for in turns of this length while confirms come quickly, and of the longer one later.
const SHORT: Duration = Duration::from_micros(100);
const LONG: Duration = Duration::from_millis(5);
const QUICK: Duration = Duration::from_millis(20);
/// How long a wait for confirms alone lasts.
const FULL: Duration = Duration::from_millis(100);
/// Without a confirm for so long the connection is given up.
const SILENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 30_000 });
/// How often the lag is measured.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// Messages that are handed to the sink at once.
const RUN: usize = 64;

/// A bridge from a group of a local queue to a sink.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    options: &'a OutOptions,
    sink: Box<dyn Sink>,
    stop: Stop,
    metrics: Arc<Metrics>,
    reporter: Reporter,
    link: Link,
    stream: StreamId,
    began: u64,
    window: Window,
    /// Ids of messages that can never be taken, in order, with the reason: a tombstone goes in their place.
    poison: VecDeque<(u64, String)>,
    /// After a message was not taken: when the next try is due.
    hold_until: Option<Instant>,
    backoff: Backoff,
    /// The destination is gone: once nothing is in flight, connect anew, which looks for it or makes it.
    missing: Option<Fault>,
    /// When the broker last confirmed something, or had nothing to confirm.
    progress: Instant,
    blocked_since: Option<Instant>,
    /// When the oldest message in flight was sent.
    sent_at: VecDeque<(u64, Instant)>,
    taken: u64,
    last_message: Instant,
    stopping_since: Option<Instant>,
    measured: Instant,
}

impl<'a> Out<'a> {
    pub(crate) fn new(
        options: &'a OutOptions,
        what: String,
        sink: Box<dyn Sink>,
        stop: Stop,
        metrics: Arc<Metrics>,
    ) -> Out<'a> {
        let limits = Limits { messages: options.window(), bytes: options.window_bytes() };
        Out {
            reporter: Reporter::new(format!("{}/{}", options.queue, options.group)),
            options,
            sink,
            stop,
            metrics,
            link: Link::new(what),
            stream: StreamId::new(0),
            began: 0,
            window: Window::new(limits),
            poison: VecDeque::new(),
            hold_until: None,
            backoff: Backoff::of_message(),
            missing: None,
            progress: Instant::now(),
            blocked_since: None,
            sent_at: VecDeque::new(),
            taken: 0,
            last_message: Instant::now(),
            stopping_since: None,
            measured: Instant::now(),
        }
    }

    /// Sends on until the queue is closed and all is confirmed, or the count is reached.
    pub(crate) fn run(mut self, mut queue: Queue) -> Result<(), Failure> {
        queue.set_interrupt(self.stop.asked());
        let mut consumer = self.join(&queue)?;
        consumer.set_follow(self.options.follow);
        self.last_message = Instant::now();
        let ended = self.receive(&mut consumer, &queue);
        self.sink.close();
        self.metrics.up.set(0);
        ended
    }

    fn join(&mut self, queue: &Queue) -> Result<Consumer, Failure> {
        let (name, group) = (queue.name().to_owned(), &self.options.group);
        let consumer = queue.consumer(Group::named(group).unlimited_attempts())?;
        let snapshot = queue.snapshot()?;
        let info = snapshot.groups.iter().find(|info| info.name == *group);
        if let Some(limit) = info.and_then(|info| info.max_attempts) {
            return Err(Failure::failed(format!(
                "group {group:?} of queue {name:?} gives a message up after {limit} deliveries: a broker that is down would \
                 make dead letters of good messages"
            ))
            .hint(format!("use another group: slipring group add {name} OTHER")));
        }
        if consumer.made_group() {
            self.reporter.say(&format!("made group {group:?}"));
        }
        self.stream = queue.group_stream(group);
        self.began = info.map_or(consumer.position(), |info| info.began);
        Ok(consumer)
    }

    fn receive(&mut self, consumer: &mut Consumer, queue: &Queue) -> Result<(), Failure> {
        loop {
            self.stop.check()?;
            // Also without messages: the operator sees at once whether the broker can be reached.
            self.tend()?;
            let left = self.left();
            if left == 0 {
                return Ok(());
            }
            self.measure(queue)?;
            let most = left.min(self.options.window() as u64) as usize;
            match consumer.recv_batch_timeout(most, self.patience()) {
                Ok(batch) => self.work(batch, queue)?,
                Err(RecvError::Timeout { .. }) => self.check_timeout()?,
                Err(RecvError::Closed { .. }) => return Ok(()),
                Err(RecvError::Interrupted { .. }) => self.stop.check()?,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// Now and then, how far the group is behind.
    fn measure(&mut self, queue: &Queue) -> Result<(), Failure> {
        if self.measured.elapsed() < MEASURE_EVERY {
            return Ok(());
        }
        self.measured = Instant::now();
        let snapshot = queue.snapshot()?;
        let group = snapshot.groups.iter().find(|info| info.name == self.options.group);
        self.metrics.lag.set(group.map_or(0, |info| info.depth));
        Ok(())
    }

    /// Messages that may still be taken.
    fn left(&self) -> u64 {
        self.options.count.unwrap_or(u64::MAX).saturating_sub(self.taken)
    }

    fn patience(&self) -> Duration {
        let left = self.options.timeout.map(|Time(most)| {
            (most.saturating_sub(self.last_message.elapsed())).max(Duration::from_millis(1))
        });
        left.map_or(IDLE, |left| left.min(IDLE))
    }

    fn check_timeout(&self) -> Result<(), Failure> {
        match self.options.timeout {
            Some(Time(most)) if self.last_message.elapsed() >= most => {
                let (name, seconds) = (&self.options.queue, most.as_secs_f64());
                Err(Failure::timeout(format!(
                    "no message came from queue {name:?} for {seconds} s"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Sends the messages of a batch, which grows, until all are confirmed.
    fn work(&mut self, mut batch: Batch<'_>, queue: &Queue) -> Result<(), Failure> {
        let requeued = batch.requeued();
        self.window.clear();
        self.poison.clear();
        self.sent_at.clear();
        loop {
            self.take(&mut batch, requeued)?;
            if batch.is_empty() {
                return Ok(());
            }
            if self.stop.is_asked() {
                let since = *self.stopping_since.get_or_insert_with(Instant::now);
                let drained = self.window.in_flight() == 0 || !self.link.is_open();
                if drained || since.elapsed() >= self.options.drain() {
                    return self.stop.check();
                }
            }
            self.tend()?;
            self.measure(queue)?;
            self.send(&batch, requeued);
            self.await_outcomes()?;
            self.ack(&mut batch)?;
        }
    }

    /// Takes as many messages more as the window has room for.
    fn take(&mut self, batch: &mut Batch<'_>, requeued: bool) -> Result<(), Failure> {
        let known = self.window.len();
        if known > 0 && !self.stop.is_asked() && !requeued {
            let room = self.window.room().min(usize::try_from(self.left()).unwrap_or(usize::MAX));
            if room > 0 {
                batch.grow(room)?;
            }
        }
        let mut index = known;
        while let Some(message) = batch.get(index) {
            self.window.push(message.sequence(), message.len());
            index += 1;
        }
        if index > known {
            self.taken += (index - known) as u64;
            self.last_message = Instant::now();
        }
        Ok(())
    }

    /// Connects if there is no connection, and a try is due. Notices if the connection is lost.
    fn tend(&mut self) -> Result<(), Failure> {
        if self.link.is_open() || self.stop.is_asked() || Instant::now() < self.link.due() {
            return Ok(());
        }
        match self.sink.open(&self.stop) {
            Ok(()) => {
                self.link.opened(&self.metrics, &mut self.reporter);
                (self.progress, self.hold_until, self.blocked_since) = (Instant::now(), None, None);
                Ok(())
            }
            Err(fault) => self.lost(&fault),
        }
    }

    /// The connection is of no use any more.
    fn lost(&mut self, fault: &Fault) -> Result<(), Failure> {
        self.sink.close();
        #[cfg(slipring_mutants)]
        if crate::mutants::chosen("batch-dropped-on-reconnect") {
            self.window.drop_all();
        }
        let again = self.window.fail_all();
        self.sent_at.clear();
        self.missing = None;
        self.metrics.counters.retried.add(again);
        self.unblocked();
        if self.stop.is_asked() {
            return Ok(());
        }
        if fault.kind == Kind::Refused {
            return Err(Failure::refused(fault.text.as_str()));
        }
        self.link.failed(fault, &self.metrics, &mut self.reporter);
        Ok(())
    }

    /// Publishes what may be published now.
    fn send(&mut self, batch: &Batch<'_>, requeued: bool) {
        let held = self.hold_until.is_some_and(|until| Instant::now() < until);
        if !self.link.is_open() || self.stop.is_asked() || held {
            return;
        }
        // What comes before a message that stops the bridge is sent, and acked, before it stops.
        let stops = self.options.poison == Poison::Stop;
        let end = self.poison.front().filter(|_| stops).map(|(id, _)| *id);
        loop {
            let mut records = Vec::new();
            let mut misfit = None;
            while records.len() < RUN {
                let Some(index) = self.window.send_next(end) else { break };
                let Some(message) = batch.get(index) else { break };
                match self.record(&message, requeued) {
                    Ok(record) => records.push(record),
                    Err(reason) => {
                        misfit = Some((message.sequence(), reason));
                        break;
                    }
                }
            }
            let full = records.len() == RUN;
            let now = Instant::now();
            self.sent_at.extend(records.iter().map(|record| (record.id, now)));
            if self.window.in_flight() == records.len() {
                self.progress = now;
            }
            #[cfg(slipring_mutants)]
            if crate::mutants::chosen("ack-on-write") {
                records.iter().for_each(|record| {
                    self.window.confirm(record.id);
                });
            }
            let sent = match records.is_empty() {
                true => Ok(()),
                false => self.sink.publish(records),
            };
            if let Some((id, reason)) = misfit {
                self.window.fail(id);
                self.found_poison(id, reason);
                return;
            }
            // A failure is told by the next poll, too, which comes at once.
            if sent.is_err() || !full {
                return;
            }
        }
    }

    fn record(&self, message: &Delivery<'_>, requeued: bool) -> Result<Record, String> {
        let sequence = message.sequence();
        let identity = Identity::of(self.stream, sequence, self.began);
        let identity = if requeued { identity.out_of_order() } else { identity };
        let tombstone = self.poison.iter().any(|(id, _)| *id == sequence);
        let (envelope, body) = match self.options.format {
            _ if tombstone => (None, Vec::new()),
            Format::Payload => (None, message.to_vec()),
            Format::Envelope => {
                let (envelope, body) = Envelope::unpack(message)?;
                (Some(envelope), body.to_vec())
            }
        };
        let record = Record {
            id: sequence,
            body,
            kind: message.kind(),
            attempts: message.attempts(),
            identity,
            tombstone,
            envelope,
        };
        match self.sink.misfit(&record) {
            Some(reason) => Err(reason),
            None => Ok(record),
        }
    }

    fn found_poison(&mut self, id: u64, reason: String) {
        if !self.poison.iter().any(|(known, _)| *known == id) {
            self.metrics.counters.poison.add(1);
            let at = self.poison.partition_point(|(known, _)| *known < id);
            self.poison.insert(at, (id, reason));
        }
    }

    /// Waits for news of what is in flight, but not for long if messages may come meanwhile.
    fn await_outcomes(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let can_take = self.window.room() > 0 && self.left() > 0 && !self.stop.is_asked();
        if !self.link.is_open() {
            self.stop.sleep_until(self.link.due().min(now + FULL));
            return Ok(());
        }
        let turn = match can_take {
            false => FULL,
            true if now.duration_since(self.progress) < QUICK => SHORT,
            true => LONG,
        };
        let mut until = now + turn;
        if let Some(hold) = self.hold_until.filter(|_| self.window.in_flight() == 0) {
            until = until.min(hold.max(now));
        }
        let mut outcomes = Vec::new();
        match self.sink.poll(until, &mut outcomes) {
            Ok(health) => {
                self.settle(outcomes);
                self.note_health(health);
                match self.missing.take_if(|_| self.window.in_flight() == 0) {
                    Some(fault) => self.lost(&fault),
                    None => self.check_silence(),
                }
            }
            Err(fault) => {
                self.settle(outcomes);
                self.lost(&fault)
            }
        }
    }

    fn settle(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Confirmed(id) => self.confirmed(id),
                Outcome::Failed(id, fault) => self.not_taken(id, fault),
            }
        }
    }

    fn confirmed(&mut self, id: u64) {
        self.window.confirm(id);
        self.progress = Instant::now();
        self.link.works();
        if self.hold_until.take().is_some() {
            self.reporter.recovered("the broker takes messages again");
        }
        self.backoff.reset();
        while let Some((sent, when)) = self.sent_at.front().copied().filter(|(sent, _)| *sent <= id)
        {
            self.sent_at.pop_front();
            if sent == id {
                self.metrics.confirmed_after(when.elapsed());
            }
        }
    }

    fn not_taken(&mut self, id: u64, fault: Fault) {
        self.window.fail(id);
        self.metrics.counters.retried.add(1);
        self.progress = Instant::now();
        if fault.kind == Kind::Poison {
            return self.found_poison(id, fault.text);
        }
        // One failure for all that were in flight.
        if self.hold_until.is_none_or(|until| until <= Instant::now()) {
            self.hold_until = Some(Instant::now() + self.backoff.next());
        }
        self.reporter.say(&format!("waiting until the broker takes messages: {fault}"));
        if fault.kind == Kind::DestinationMissing {
            self.missing = Some(fault);
        }
    }

    fn note_health(&mut self, health: Health) {
        match health {
            Health::Ready => self.unblocked(),
            Health::Blocked(reason) => {
                self.blocked_since.get_or_insert_with(Instant::now);
                self.progress = Instant::now();
                self.reporter.say(&format!("waiting: the broker is blocked: {reason}"));
            }
        }
    }

    fn unblocked(&mut self) {
        if let Some(since) = self.blocked_since.take() {
            self.metrics.blocked_ms.add(since.elapsed().as_millis() as usize);
            self.reporter.recovered("the broker is no longer blocked");
        }
    }

    fn check_silence(&mut self) -> Result<(), Failure> {
        let silent = self.window.in_flight() > 0 && self.progress.elapsed() >= SILENCE;
        if !silent {
            return Ok(());
        }
        self.lost(&Fault::rebuild(format!("no confirm came for {} s", SILENCE.as_secs())))
    }

    /// Acks what is confirmed up to the first message that is not.
    fn ack(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure> {
        loop {
            self.dead_letter(batch)?;
            let poison = self.poison.front().map(|(id, _)| *id);
            let (confirmed, bytes) = self.window.take_confirmed(poison);
            if confirmed == 0 {
                break;
            }
            let last = batch.get(confirmed - 1).map(|message| message.sequence());
            if let Some(last) = last {
                batch.ack_through(last)?;
                self.metrics.position.set(last.saturating_add(1));
            }
            self.metrics.counters.done.add(confirmed);
            self.metrics.counters.bytes.add(bytes);
        }
        self.metrics.in_flight.set(self.window.in_flight() as u64);
        let oldest = self.sent_at.front().map_or(Duration::ZERO, |(_, when)| when.elapsed());
        self.metrics.oldest_ms.set(oldest.as_millis() as u64);
        Ok(())
    }

    /// If the first message can never be taken: stops; or, once its tombstone is confirmed, makes a dead letter of it.
    fn dead_letter(&mut self, batch: &mut Batch<'_>) -> Result<(), Failure> {
        let Some((id, reason)) = self.poison.front().cloned() else { return Ok(()) };
        if self.window.first() != Some(id) {
            return Ok(());
        }
        let queue = &self.options.queue;
        if self.options.poison == Poison::Stop {
            return Err(Failure::poison(format!(
                "message {id} of queue {queue:?} can never be sent: {reason}"
            ))
            .hint("--poison dead-letter puts such messages into the group's dead letters, and goes on"));
        }
        if self.window.first_is_confirmed() {
            batch.reject(id)?;
            self.window.take_first();
            self.poison.pop_front();
            self.metrics.counters.dead.add(1);
            self.metrics.counters.tombstones.add(1);
            self.metrics.position.set(id.saturating_add(1));
            self.reporter.say(&format!("made a dead letter of message {id}: {reason}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
