//! The demo's consumers and its observer: both check each message and take the time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use slipring::{OpenOptions, Queue, RecvError, Start};

use super::record::{END, FULL_SPEED, PACED, Record};
use crate::children::Word;
use crate::failure::{Failure, open_failed};
use crate::stop::Stop;
use slipring::monotonic_ns as now;

const BATCH: usize = 256;
const REPORT_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn consume(name: &str, group: &str, stop: &Stop) -> Result<(), Failure> {
    let queue = Queue::open_typed::<Record>(name).map_err(|fault| open_failed(name, fault))?;
    let mut consumer = queue.consumer(group)?;
    let mut findings = Findings::new(consumer.position())?;
    Word::Ready.say()?;
    while !findings.ended {
        stop.check()?;
        findings.report()?;
        let batch = match consumer.recv_batch_timeout(BATCH, REPORT_EVERY) {
            Ok(batch) => batch,
            Err(RecvError::Timeout { .. }) => continue,
            Err(fault) => return Err(fault.into()),
        };
        for message in &batch {
            findings.again += u64::from(message.redelivered());
            findings.add(message.sequence(), message.kind(), &message)?;
        }
        batch.ack()?;
    }
    Word::Done(findings.result(0)).say()
}

pub(crate) fn observe(name: &str, stop: &Stop) -> Result<(), Failure> {
    let observer = OpenOptions::new().observe_typed::<Record>(name, Start::Oldest);
    let mut observer = observer.map_err(|fault| open_failed(name, fault))?;
    let mut findings = Findings::new(observer.position())?;
    Word::Ready.say()?;
    while !findings.ended {
        stop.check()?;
        findings.report()?;
        for _ in 0..BATCH {
            let message = match observer.recv_timeout(REPORT_EVERY) {
                Ok(message) => message,
                Err(RecvError::Timeout { .. }) => break,
                Err(fault) => return Err(fault.into()),
            };
            findings.next += message.missed();
            findings.add(message.sequence(), message.kind(), &message)?;
            if findings.ended {
                break;
            }
        }
    }
    Word::Done(findings.result(observer.missed())).say()
}

struct Findings {
    /// The sequence that comes next if all is well.
    next: u64,
    messages: u64,
    out_of_order: u64,
    again: u64,
    damaged: u64,
    full_speed: u64,
    /// First and last moment of the full-speed phase.
    first: Option<Instant>,
    last: Option<Instant>,
    latency: Histogram<u64>,
    ended: bool,
    reported: Instant,
}

impl Findings {
    fn new(next: u64) -> Result<Findings, Failure> {
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3)
            .map_err(|fault| Failure::Failed(format!("cannot make a histogram: {fault}")))?;
        Ok(Findings {
            next,
            messages: 0,
            out_of_order: 0,
            again: 0,
            damaged: 0,
            full_speed: 0,
            first: None,
            last: None,
            latency,
            ended: false,
            reported: Instant::now(),
        })
    }

    fn add(&mut self, sequence: u64, kind: u32, record: &Record) -> Result<(), Failure> {
        self.damaged += u64::from(!record.is_whole());
        self.out_of_order += u64::from(sequence != self.next || record.number != sequence);
        self.next = sequence + 1;
        match kind {
            END => {
                self.ended = true;
                return Ok(());
            }
            PACED => self.latency.saturating_record(now().saturating_sub(record.due).max(1)),
            FULL_SPEED => {
                // The clock is read for one message of many.
                if self.full_speed.is_multiple_of(64) {
                    self.last = Some(Instant::now());
                    self.first = self.first.or(self.last);
                }
                self.full_speed += 1;
            }
            _ => self.damaged += 1,
        }
        self.messages += 1;
        Ok(())
    }

    fn report(&mut self) -> Result<(), Failure> {
        if self.reported.elapsed() < REPORT_EVERY {
            return Ok(());
        }
        self.reported = Instant::now();
        Word::Count(self.next).say()
    }

    fn result(&self, missed: u64) -> Value {
        let seconds = match (self.first, self.last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
            _ => 0.0,
        };
        let rate = if seconds > 0.0 { self.full_speed as f64 / seconds } else { 0.0 };
        let at = |quantile| self.latency.value_at_quantile(quantile);
        json!({
            "messages": self.messages,
            "missed": missed,
            "out_of_order": self.out_of_order,
            "again": self.again,
            "damaged": self.damaged,
            "rate": rate,
            "bytes_rate": rate * size_of::<Record>() as f64,
            "paced": self.latency.len(),
            "latency": [at(0.5), at(0.99), at(0.999), self.latency.max()],
        })
    }
}
