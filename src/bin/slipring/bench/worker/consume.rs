//! The benchmarks' consumers. Each checks every message, and fails on one that is lost, out of order or damaged.

use std::time::Duration;

use hdrhistogram::Histogram;
use slipring::{Delivery, Group, RecvError, WaitStrategy, monotonic_ns as now};

use super::Worker;
use super::message::{TIMED, mark, read};
use crate::bench::findings::Findings;
use crate::bench::meter::Meter;
use crate::bench::processors::ThreadUsage;
use crate::bench::role::Task;
use crate::failure::Failure;
use crate::histogram;

impl Worker<'_> {
    /// Receives until the producer closes the queue.
    pub(super) fn consume(&self) -> Result<Findings, Failure> {
        let Worker { queue, role, stop } = self;
        let group = Group::named(&role.group);
        let mut consumer = queue.consumer(if role.shared { group.shared() } else { group })?;
        consumer.set_wait_strategy(match role.task {
            Task::Sleep => WaitStrategy::spin_then_sleep().spins(0).yields(Duration::ZERO),
            _ => role.wait.into(),
        });
        let mut received = Received {
            shared: role.shared,
            payload: role.payload,
            next: consumer.position(),
            messages: 0,
            marks: 0,
            redelivered: 0,
            from_due: histogram::empty()?,
            from_sent: histogram::empty()?,
        };
        let mut meter = Meter::new(role.time);
        let mut begin = None;
        self.ready()?;
        let usage = ThreadUsage::begin();
        loop {
            let batch = match consumer.recv_batch(role.batch) {
                Ok(batch) => batch,
                Err(RecvError::Interrupted { .. }) => return Err(stop.ended()),
                Err(RecvError::Closed { .. }) => break,
                Err(fault) => return Err(fault.into()),
            };
            if begin.is_none() {
                begin = Some(now());
            }
            for message in &batch {
                received.add(message)?;
            }
            batch.ack()?;
            if meter.count(received.messages).is_some() {
                stop.check()?;
            }
        }
        let end = now();
        let mut findings = Findings {
            messages: received.messages,
            marks: received.marks,
            redelivered: received.redelivered,
            begin: begin.unwrap_or(end),
            end,
            samples: meter.into_samples(),
            from_due: (&received.from_due).into(),
            from_sent: (&received.from_sent).into(),
            ..Findings::default()
        };
        usage.end(&mut findings);
        Ok(findings)
    }
}

/// What a consumer has received so far.
struct Received {
    shared: bool,
    payload: usize,
    /// The next sequence; in a shared group, the lowest that may come next.
    next: u64,
    messages: u64,
    marks: u64,
    redelivered: u64,
    from_due: Histogram<u64>,
    from_sent: Histogram<u64>,
}

impl Received {
    #[inline]
    fn add(&mut self, message: Delivery<'_>) -> Result<(), Failure> {
        let sequence = message.sequence();
        let head = read(&message, sequence).filter(|_| message.len() == self.payload);
        let head =
            head.ok_or_else(|| Failure::failed(format!("message {sequence} came damaged")))?;
        if message.redelivered() {
            self.redelivered += 1;
        } else {
            let next = self.next;
            let in_order = if self.shared { sequence >= next } else { sequence == next };
            if !in_order {
                let text = format!("message {sequence} came out of order: {next} was next");
                return Err(Failure::failed(text));
            }
            self.next = sequence + 1;
        }
        if message.kind() == TIMED {
            let time = now();
            self.from_due.saturating_record(time.saturating_sub(head.due).max(1));
            self.from_sent.saturating_record(time.saturating_sub(head.sent).max(1));
        }
        self.messages += 1;
        self.marks = self.marks.wrapping_add(mark(head.number));
        Ok(())
    }
}
