//! The benchmarks' producers. Each closes the queue behind its last message: that ends the consumers.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use slipring::{Producer, Queue, Reservation, SendError, WaitStrategy};

use super::Watch;
use super::message::{Head, PLAIN, TIMED, mark, write};
use crate::args::WaitArg;
use crate::bench::args::BenchRoleArgs;
use crate::bench::meter::{LONGEST, Meter, histogram, tell};
use crate::children::Word;
use crate::failure::Failure;
use crate::stop::Stop;
use slipring::monotonic_ns as now;

/// A sleep may take this much longer than asked; the rest is waited out awake.
const OVERSLEEP: u64 = 100_000;

/// As fast as it can.
pub(crate) fn stream(queue: &Queue, args: &BenchRoleArgs, stop: &Stop) -> Result<(), Failure> {
    let mut producer = producer(queue, args)?;
    let mut meter = Meter::new(args.time);
    Word::Ready.say()?;
    let watch = Watch::begin();
    let begin = now();
    let mut last = begin;
    while last.saturating_sub(begin) < args.time {
        let mut slots = match producer.reserve(args.batch) {
            Ok(slots) => slots,
            Err(SendError::Interrupted { .. }) => return Err(stop.ended()),
            Err(fault) => return Err(fault.into()),
        };
        let first = slots.sequence();
        for (i, number) in (first..).take(args.batch).enumerate() {
            put(&mut slots, i, args.payload, Head { number, due: 0, sent: 0 });
        }
        slots.publish();
        if let Some(time) = meter.look(first + args.batch as u64)? {
            last = time;
            stop.check()?;
        }
    }
    done(producer, watch, begin, json!({ "samples": meter.value() }))
}

/// On a schedule that nothing holds up.
pub(crate) fn paced(queue: &Queue, args: &BenchRoleArgs, stop: &Stop) -> Result<(), Failure> {
    let mut producer = producer(queue, args)?;
    let count = (args.rate * args.time as f64 / 1e9).ceil().max(1.0) as u64;
    Word::Ready.say()?;
    let watch = Watch::begin();
    let begin = now();
    while producer.sequence() < count {
        let number = producer.sequence();
        let due = begin + (number as f64 * 1e9 / args.rate) as u64;
        wait_until(due, args.wait, stop)?;
        let mut slot = match producer.reserve(1) {
            Ok(slot) => slot,
            Err(SendError::Interrupted { .. }) => return Err(stop.ended()),
            Err(fault) => return Err(fault.into()),
        };
        let sent = now();
        if sent.saturating_sub(due) > LONGEST {
            let text = "the sender is a minute behind: more is due than goes through";
            return Err(Failure::failed(text).hint("choose a lower --rate, or shorter --seconds"));
        }
        put(&mut slot, 0, args.payload, Head { number, due, sent });
        slot.set_kind(0, TIMED);
        slot.publish();
    }
    done(producer, watch, begin, json!({}))
}

/// One message when all consumers sleep, and one more when one is awake.
pub(crate) fn wake(queue: &Queue, args: &BenchRoleArgs, stop: &Stop) -> Result<(), Failure> {
    let mut producer = producer(queue, args)?;
    let groups = queue.snapshot()?.groups;
    let members = groups.iter().flat_map(|group| &group.members).filter(|member| member.live);
    let consumers: Vec<u32> = members.filter_map(|member| member.pid).collect();
    if consumers.is_empty() {
        return Err(Failure::failed("there is no consumer to wake"));
    }
    let (mut asleep, mut awake) = (histogram()?, histogram()?);
    let (mut first, mut second) = (vec![0; args.payload], vec![0; args.payload]);
    Word::Ready.say()?;
    let watch = Watch::begin();
    let begin = now();
    let mut last = begin;
    while last.saturating_sub(begin) < args.time {
        let number = producer.sequence();
        // Consumers that look by the clock must not find each message at the same point of their interval.
        let pause = args.pause + mark(number) % args.pause.max(1);
        stop.sleep(Duration::from_nanos(pause))?;
        while !all_sleep(&consumers)? {
            stop.check()?;
            thread::sleep(Duration::from_micros(100));
        }
        write(&mut second, Head { number: number + 1, due: 0, sent: 0 });
        let sent = now();
        write(&mut first, Head { number, due: sent, sent });
        let before = now();
        send(&mut producer, TIMED, &first, stop)?;
        let between = now();
        send(&mut producer, PLAIN, &second, stop)?;
        last = now();
        asleep.saturating_record(between.saturating_sub(before).max(1));
        awake.saturating_record(last.saturating_sub(between).max(1));
    }
    let times = json!({ "asleep": tell(&asleep), "awake": tell(&awake) });
    done(producer, watch, begin, times)
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

fn send(producer: &mut Producer, kind: u32, bytes: &[u8], stop: &Stop) -> Result<(), Failure> {
    match producer.send((kind, bytes)) {
        Ok(_) => Ok(()),
        Err(SendError::Interrupted { .. }) => Err(stop.ended()),
        Err(fault) => Err(fault.into()),
    }
}

/// Closes the queue, and says what was sent.
fn done(producer: Producer, watch: Watch, begin: u64, mut more: Value) -> Result<(), Failure> {
    let end = now();
    watch.end(&mut more);
    let sent = producer.sequence();
    producer.close()?;
    let marks = (0..sent).fold(0, |sum: u64, number| sum.wrapping_add(mark(number)));
    if let Some(more) = more.as_object_mut() {
        let result = [("messages", sent), ("marks", marks), ("begin", begin), ("end", end)];
        more.extend(result.map(|(name, value)| (name.to_owned(), value.into())));
    }
    Word::Done(more).say()
}

/// Waits, in the way asked for.
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

fn all_sleep(pids: &[u32]) -> Result<bool, Failure> {
    for &pid in pids {
        if !sleeps(pid)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the first thread of a process sleeps.
fn sleeps(pid: u32) -> Result<bool, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|_| Failure::failed("the consumer is gone"))?;
    // Behind the name, which may have anything in it.
    Ok(stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" S")))
}
