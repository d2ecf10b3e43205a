//! The benchmarks' producers. Each closes the queue after its last message, which ends the consumers.

use std::fs;
use std::thread;
use std::time::Duration;

use slipring::{Producer, Queue, Reservation, SendError, WaitStrategy, monotonic_ns as now};

use super::message::{Head, PLAIN, TIMED, mark, write};
use crate::args::WaitArg;
use crate::bench::args::BenchRoleArgs;
use crate::bench::findings::Findings;
use crate::bench::histogram::{self, LONGEST};
use crate::bench::meter::Meter;
use crate::bench::processors::ThreadUsage;
use crate::failure::Failure;
use crate::stop::Stop;

/// Nanoseconds before a message is due at which a sleeping producer wakes: a sleep may take this much longer than asked.
const OVERSLEEP: u64 = 100_000;

/// How often a producer checks whether the consumers sleep.
const SLEEP_POLL: Duration = Duration::from_micros(100);

/// Sends as fast as it can.
pub(crate) fn stream(
    queue: &Queue,
    args: &BenchRoleArgs,
    stop: &Stop,
    ready: impl FnOnce() -> Result<(), Failure>,
) -> Result<Findings, Failure> {
    let mut producer = producer(queue, args)?;
    let mut meter = Meter::new(args.time);
    ready()?;
    let usage = ThreadUsage::begin();
    let begin = now();
    let mut last = begin;
    while last.saturating_sub(begin) < args.time {
        let mut slots = producer.reserve(args.batch).map_err(|fault| failure(fault, stop))?;
        let first = slots.sequence();
        for (i, number) in (first..).take(args.batch).enumerate() {
            put(&mut slots, i, args.payload, Head { number, due: 0, sent: 0 });
        }
        slots.publish();
        if let Some(time) = meter.count(first + args.batch as u64) {
            last = time;
            stop.check()?;
        }
    }
    let findings = Findings { begin, samples: meter.into_samples(), ..Findings::default() };
    finish(producer, usage, findings)
}

/// Sends on a schedule that does not wait for the queue.
pub(crate) fn paced(
    queue: &Queue,
    args: &BenchRoleArgs,
    stop: &Stop,
    ready: impl FnOnce() -> Result<(), Failure>,
) -> Result<Findings, Failure> {
    let mut producer = producer(queue, args)?;
    let count = (args.rate * args.time as f64 / 1e9).ceil().max(1.0) as u64;
    ready()?;
    let usage = ThreadUsage::begin();
    let begin = now();
    while producer.sequence() < count {
        let number = producer.sequence();
        let due = begin + (number as f64 * 1e9 / args.rate) as u64;
        wait_until(due, args.wait, stop)?;
        let mut slot = producer.reserve(1).map_err(|fault| failure(fault, stop))?;
        let sent = now();
        if sent.saturating_sub(due) > LONGEST {
            let text = "the producer is a minute late: the queue does not carry this rate";
            return Err(Failure::failed(text).hint("choose a lower --rate, or shorter --seconds"));
        }
        put(&mut slot, 0, args.payload, Head { number, due, sent });
        slot.set_kind(0, TIMED);
        slot.publish();
    }
    finish(producer, usage, Findings { begin, ..Findings::default() })
}

/// Sends a message when all consumers sleep, and a second one at once, when one of them is awake.
pub(crate) fn wake(
    queue: &Queue,
    args: &BenchRoleArgs,
    stop: &Stop,
    ready: impl FnOnce() -> Result<(), Failure>,
) -> Result<Findings, Failure> {
    let mut producer = producer(queue, args)?;
    let groups = queue.snapshot()?.groups;
    let members = groups.iter().flat_map(|group| &group.members).filter(|member| member.live);
    let consumers: Vec<u32> = members.filter_map(|member| member.pid).collect();
    if consumers.is_empty() {
        return Err(Failure::failed("there is no consumer to wake"));
    }
    let (mut asleep, mut awake) = (histogram::empty()?, histogram::empty()?);
    let (mut first, mut second) = (vec![0; args.payload], vec![0; args.payload]);
    ready()?;
    let usage = ThreadUsage::begin();
    let begin = now();
    let mut last = begin;
    while last.saturating_sub(begin) < args.time {
        let number = producer.sequence();
        // A random part, because in mode `none` consumers poll at a fixed interval: with a fixed pause each message
        // would come at the same point of it.
        let pause = args.pause + mark(number) % args.pause.max(1);
        stop.sleep(Duration::from_nanos(pause))?;
        while !all_asleep(&consumers)? {
            stop.check()?;
            thread::sleep(SLEEP_POLL);
        }
        write(&mut second, Head { number: number + 1, due: 0, sent: 0 });
        let sent = now();
        write(&mut first, Head { number, due: sent, sent });
        let before = now();
        producer.send((TIMED, &*first)).map_err(|fault| failure(fault, stop))?;
        let between = now();
        producer.send((PLAIN, &*second)).map_err(|fault| failure(fault, stop))?;
        last = now();
        asleep.saturating_record(between.saturating_sub(before).max(1));
        awake.saturating_record(last.saturating_sub(between).max(1));
    }
    let (asleep, awake) = ((&asleep).into(), (&awake).into());
    finish(producer, usage, Findings { begin, asleep, awake, ..Findings::default() })
}

fn producer(queue: &Queue, args: &BenchRoleArgs) -> Result<Producer, Failure> {
    let mut producer = queue.producer()?;
    producer.set_wait_strategy(WaitStrategy::from(args.wait));
    Ok(producer)
}

/// Writes a message in place.
#[inline]
fn put(slots: &mut Reservation<'_>, i: usize, payload: usize, head: Head) {
    if let Some(bytes) = slots.bytes_mut(i).and_then(|bytes| bytes.get_mut(..payload)) {
        write(bytes, head);
    }
    slots.set_len(i, payload);
}

fn failure(fault: SendError, stop: &Stop) -> Failure {
    match fault {
        SendError::Interrupted { .. } => stop.ended(),
        fault => fault.into(),
    }
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

/// Waits for a time on the monotonic clock, in the way asked for.
fn wait_until(due: u64, how: WaitArg, stop: &Stop) -> Result<(), Failure> {
    loop {
        let ahead = due.saturating_sub(now());
        match how {
            _ if ahead == 0 => return Ok(()),
            WaitArg::Sleep if ahead > OVERSLEEP => {
                stop.sleep(Duration::from_nanos(ahead - OVERSLEEP))?;
            }
            WaitArg::Spin => std::hint::spin_loop(),
            WaitArg::Sleep | WaitArg::Yield => thread::yield_now(),
        }
        stop.check()?;
    }
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
