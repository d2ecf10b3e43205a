//! The demo's consumers and its observer. Both check every message, and measure its latency.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use slipring::{OpenOptions, Queue, RecvError, Start, monotonic_ns as now};

use super::findings::{Findings, Latency};
use super::record::{END, FULL_SPEED, PACED, Record};
use crate::children::Event;
use crate::failure::{Failure, open_failed};
use crate::histogram;
use crate::stop::Stop;

const BATCH: usize = 256;
const REPORT_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn consume(name: &str, group: &str, stop: &Stop) -> Result<Findings, Failure> {
    let queue = Queue::open_typed::<Record>(name).map_err(|fault| open_failed(name, fault))?;
    let mut consumer = queue.consumer(group)?;
    let mut check = Check::new(consumer.position())?;
    Event::<Findings>::Ready.report()?;
    while !check.ended {
        stop.check()?;
        check.report()?;
        let batch = match consumer.recv_batch_timeout(BATCH, REPORT_EVERY) {
            Ok(batch) => batch,
            Err(RecvError::Timeout { .. }) => continue,
            Err(fault) => return Err(fault.into()),
        };
        for message in &batch {
            check.redelivered += u64::from(message.redelivered());
            check.add(message.sequence(), message.kind(), &message)?;
        }
        batch.ack()?;
    }
    Ok(check.findings(0))
}

pub(crate) fn observe(name: &str, stop: &Stop) -> Result<Findings, Failure> {
    let observer = OpenOptions::new().observe_typed::<Record>(name, Start::Oldest);
    let mut observer = observer.map_err(|fault| open_failed(name, fault))?;
    let mut check = Check::new(observer.position())?;
    Event::<Findings>::Ready.report()?;
    while !check.ended {
        stop.check()?;
        check.report()?;
        for _ in 0..BATCH {
            let message = match observer.recv_timeout(REPORT_EVERY) {
                Ok(message) => message,
                Err(RecvError::Timeout { .. }) => break,
                Err(fault) => return Err(fault.into()),
            };
            check.next += message.missed();
            check.add(message.sequence(), message.kind(), &message)?;
            if check.ended {
                break;
            }
        }
    }
    Ok(check.findings(observer.missed()))
}

/// What a reader has found so far.
struct Check {
    /// The sequence that comes next in the right order.
    next: u64,
    messages: u64,
    out_of_order: u64,
    redelivered: u64,
    damaged: u64,
    full_speed: u64,
    /// When the full-speed phase began, and when it ended.
    first: Option<Instant>,
    last: Option<Instant>,
    latency: Histogram<u64>,
    ended: bool,
    reported: Instant,
}

impl Check {
    fn new(next: u64) -> Result<Check, Failure> {
        Ok(Check {
            next,
            messages: 0,
            out_of_order: 0,
            redelivered: 0,
            damaged: 0,
            full_speed: 0,
            first: None,
            last: None,
            latency: histogram::empty()?,
            ended: false,
            reported: Instant::now(),
        })
    }

    fn add(&mut self, sequence: u64, kind: u32, record: &Record) -> Result<(), Failure> {
        self.damaged += u64::from(!record.is_intact());
        self.out_of_order += u64::from(sequence != self.next || record.number != sequence);
        self.next = sequence + 1;
        match kind {
            END => {
                self.ended = true;
                return Ok(());
            }
            PACED => self.latency.saturating_record(now().saturating_sub(record.due).max(1)),
            FULL_SPEED => {
                // The clock is read for one message in 64.
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
        Event::<Findings>::Count(self.next).report()
    }

    fn findings(&self, missed: u64) -> Findings {
        let seconds = match (self.first, self.last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64(),
            _ => 0.0,
        };
        let rate = if seconds > 0.0 { self.full_speed as f64 / seconds } else { 0.0 };
        let latency = &self.latency;
        let at = |quantile| latency.value_at_quantile(quantile);
        Findings {
            messages: self.messages,
            missed,
            out_of_order: self.out_of_order,
            redelivered: self.redelivered,
            damaged: self.damaged,
            rate,
            bytes_rate: rate * size_of::<Record>() as f64,
            latency: (!latency.is_empty()).then(|| Latency {
                p50: at(0.5),
                p99: at(0.99),
                p99_9: at(0.999),
                max: latency.max(),
            }),
        }
    }
}
