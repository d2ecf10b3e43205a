//! The benchmarks' producers. Each closes the queue after its last message, which ends the consumers.

use std::fs;
use std::thread;
use std::time::Duration;

use slipring::{Producer, Reservation, SendError, monotonic_ns as now};

use super::Worker;
use super::message::{Head, PLAIN, TIMED, mark, write};
use crate::bench::findings::Findings;
use crate::bench::meter::Meter;
use crate::bench::processors::ThreadUsage;
use crate::bench::role::Role;
use crate::failure::Failure;
use crate::histogram::{self, LONGEST};
use crate::pace::wait_until;

/// How often a producer checks whether the consumers sleep.
const SLEEP_POLL: Duration = Duration::from_micros(100);

impl Worker<'_> {
    /// Sends as fast as it can.
    pub(super) fn stream(&self) -> Result<Findings, Failure> {
        let Role { batch, payload, time, .. } = *self.role;
        let mut producer = self.producer()?;
        let mut meter = Meter::new(time);
        self.ready()?;
        let usage = ThreadUsage::begin();
        let begin = now();
        let mut last = begin;
        while last.saturating_sub(begin) < time {
            let mut slots = producer.reserve(batch).map_err(|fault| self.failure(fault))?;
            let first = slots.sequence();
            for (i, number) in (first..).take(batch).enumerate() {
                put(&mut slots, i, payload, Head { number, due: 0, sent: 0 });
            }
            slots.publish();
            if let Some(time) = meter.count(first + batch as u64) {
                last = time;
                self.stop.check()?;
            }
        }
        let findings = Findings { begin, samples: meter.into_samples(), ..Findings::default() };
        finish(producer, usage, findings)
    }

    /// Sends on a schedule that does not wait for the queue.
    pub(super) fn paced(&self) -> Result<Findings, Failure> {
        let Role { payload, wait, time, rate, .. } = *self.role;
        let mut producer = self.producer()?;
        let count = (rate * time as f64 / 1e9).ceil().max(1.0) as u64;
        self.ready()?;
        let usage = ThreadUsage::begin();
        let begin = now();
        while producer.sequence() < count {
            let number = producer.sequence();
            let due = begin + (number as f64 * 1e9 / rate) as u64;
            wait_until(due, wait, self.stop)?;
            let mut slot = producer.reserve(1).map_err(|fault| self.failure(fault))?;
            let sent = now();
            if sent.saturating_sub(due) > LONGEST {
                let text = "the producer is a minute late: the queue does not carry this rate";
                return Err(
                    Failure::failed(text).hint("choose a lower --rate, or shorter --seconds")
                );
            }
            put(&mut slot, 0, payload, Head { number, due, sent });
            slot.set_kind(0, TIMED);
            slot.publish();
        }
        finish(producer, usage, Findings { begin, ..Findings::default() })
    }

    /// Sends a message when all consumers sleep, and a second one at once, when one of them is awake.
    pub(super) fn wake(&self) -> Result<Findings, Failure> {
        let Role { payload, time, pause, .. } = *self.role;
        let mut producer = self.producer()?;
        let groups = self.queue.snapshot()?.groups;
        let members = groups.iter().flat_map(|group| &group.members).filter(|member| member.live);
        let consumers: Vec<u32> = members.filter_map(|member| member.pid).collect();
        if consumers.is_empty() {
            return Err(Failure::failed("there is no consumer to wake"));
        }
        let (mut asleep, mut awake) = (histogram::empty()?, histogram::empty()?);
        let (mut first, mut second) = (vec![0; payload], vec![0; payload]);
        self.ready()?;
        let usage = ThreadUsage::begin();
        let begin = now();
        let mut last = begin;
        while last.saturating_sub(begin) < time {
            let number = producer.sequence();
            // A random part, because in mode `none` consumers poll at a fixed interval: with a fixed pause each message
            // would come at the same point of it.
            let pause = pause + mark(number) % pause.max(1);
            self.stop.sleep(Duration::from_nanos(pause))?;
            while !all_asleep(&consumers)? {
                self.stop.check()?;
                thread::sleep(SLEEP_POLL);
            }
            write(&mut second, Head { number: number + 1, due: 0, sent: 0 });
            let sent = now();
            write(&mut first, Head { number, due: sent, sent });
            let before = now();
            producer.send((TIMED, &*first)).map_err(|fault| self.failure(fault))?;
            let between = now();
            producer.send((PLAIN, &*second)).map_err(|fault| self.failure(fault))?;
            last = now();
            asleep.saturating_record(between.saturating_sub(before).max(1));
            awake.saturating_record(last.saturating_sub(between).max(1));
        }
        let (asleep, awake) = ((&asleep).into(), (&awake).into());
        finish(producer, usage, Findings { begin, asleep, awake, ..Findings::default() })
    }

    fn producer(&self) -> Result<Producer, Failure> {
        let mut producer = self.queue.producer()?;
        producer.set_wait_strategy(self.role.wait.into());
        Ok(producer)
    }

    fn failure(&self, fault: SendError) -> Failure {
        match fault {
            SendError::Interrupted { .. } => self.stop.ended(),
            fault => fault.into(),
        }
    }
}

/// Writes a message in place.
#[inline]
fn put(slots: &mut Reservation<'_>, i: usize, payload: usize, head: Head) {
    if let Some(bytes) = slots.bytes_mut(i).and_then(|bytes| bytes.get_mut(..payload)) {
        write(bytes, head);
    }
    slots.set_len(i, payload);
}

/// Closes the queue, and completes the findings by what was sent.
fn finish(
    producer: Producer,
    usage: ThreadUsage,
    mut findings: Findings,
) -> Result<Findings, Failure> {
    findings.end = now();
    usage.end(&mut findings);
    findings.messages = producer.sequence();
    producer.close()?;
    findings.marks =
        (0..findings.messages).fold(0, |sum: u64, number| sum.wrapping_add(mark(number)));
    Ok(findings)
}

fn all_asleep(pids: &[u32]) -> Result<bool, Failure> {
    for &pid in pids {
        if !is_asleep(pid)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the main thread of a process sleeps: the third field of proc_pid_stat(5).
fn is_asleep(pid: u32) -> Result<bool, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|_| Failure::failed("the consumer is gone"))?;
    // The second field is the name in parentheses, which may contain spaces and parentheses.
    Ok(stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S")))
}
