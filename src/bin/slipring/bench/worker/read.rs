//! The benchmarks' consumers. Each checks every message: one that is lost, swapped or garbled ends it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;
use slipring::{Delivery, Group, Queue, RecvError, WaitStrategy};

use super::Watch;
use super::message::{TIMED, mark, read};
use crate::bench::args::{BenchRole, BenchRoleArgs};
use crate::bench::meter::{Meter, histogram, tell};
use crate::children::Word;
use crate::failure::Failure;
use crate::stop::Stop;
use slipring::monotonic_ns as now;

pub(crate) fn run(queue: &Queue, args: &BenchRoleArgs, stop: &Stop) -> Result<(), Failure> {
    let name = args.group.as_deref().unwrap_or_default();
    let group = Group::named(name);
    let mut consumer = queue.consumer(if args.shared { group.shared() } else { group })?;
    consumer.set_wait_strategy(match args.role {
        BenchRole::Sleeper => WaitStrategy::spin_then_sleep().spins(0).yields(Duration::ZERO),
        _ => args.wait.into(),
    });
    let mut seen = Seen {
        shared: args.shared,
        payload: args.payload,
        next: consumer.position(),
        messages: 0,
        marks: 0,
        redelivered: 0,
        from_due: histogram()?,
        from_sent: histogram()?,
    };
    let mut meter = Meter::new(args.time);
    let mut first = None;
    Word::Ready.say()?;
    let watch = Watch::begin();
    loop {
        let batch = match consumer.recv_batch(args.batch) {
            Ok(batch) => batch,
            Err(RecvError::Interrupted { .. }) => return Err(stop.ended()),
            Err(RecvError::Closed { .. }) => break,
            Err(fault) => return Err(fault.into()),
        };
        if first.is_none() {
            first = Some(now());
        }
        for message in &batch {
            seen.take(message)?;
        }
        batch.ack()?;
        if meter.look(seen.messages)?.is_some() {
            stop.check()?;
        }
    }
    let last = now();
    let mut result = json!({
        "messages": seen.messages,
        "marks": seen.marks,
        "redelivered": seen.redelivered,
        "begin": first.unwrap_or(last),
        "end": last,
        "samples": meter.value(),
        "from_due": tell(&seen.from_due),
        "from_sent": tell(&seen.from_sent),
    });
    watch.end(&mut result);
    Word::Done(result).say()
}

struct Seen {
    shared: bool,
    payload: usize,
    /// The sequence that comes next, or in a shared group the lowest that may.
    next: u64,
    messages: u64,
    marks: u64,
    redelivered: u64,
    from_due: Histogram<u64>,
    from_sent: Histogram<u64>,
}

impl Seen {
    #[inline]
    fn take(&mut self, message: Delivery<'_>) -> Result<(), Failure> {
        let sequence = message.sequence();
        let head = read(&message, sequence).filter(|_| message.len() == self.payload);
        let head = head.ok_or_else(|| {
            Failure::Failed(format!("message {sequence} did not come as it was sent"))
        })?;
        if message.redelivered() {
            self.redelivered += 1;
        } else {
            let fits = if self.shared { sequence >= self.next } else { sequence == self.next };
            if !fits {
                let next = self.next;
                let text = format!("message {sequence} came where {next} was to come");
                return Err(Failure::Failed(text));
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
