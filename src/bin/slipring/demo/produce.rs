//! The demo's producer.

use std::thread;
use std::time::{Duration, Instant};

use slipring::{Producer, Queue, SendError, monotonic_ns as now};

use super::args::DemoArgs;
use super::findings::Findings;
use super::record::{END, FULL_SPEED, PACED, Record, texts};
use crate::args::WaitArg;
use crate::children::Event;
use crate::failure::{Failure, open_failed};
use crate::pace::wait_until;
use crate::room::Room;
use crate::stop::Stop;
use crate::table::grouped;

const COUNT: u64 = 20_000_000;
/// Without --count, the full-speed phase ends after this time at the latest.
const FULL_SPEED_FOR: Duration = Duration::from_secs(8);
const BATCH: u64 = 64;
const REPORT_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(name: &str, load: &DemoArgs, stop: &Stop) -> Result<Findings, Failure> {
    let mut queue = Queue::open_typed::<Record>(name).map_err(|fault| open_failed(name, fault))?;
    queue.set_interrupt(stop.asked());
    let texts = texts(load.file.as_deref())?;
    let producer = queue.producer()?;
    let mut source =
        Source { producer, room: Room::of(&queue), stop, texts, reported: Instant::now() };
    Event::<Findings>::Ready.report()?;
    source.full_speed(load)?;
    // Messages still in the queue would add to the latency of the first paced ones.
    while queue.snapshot()?.groups.iter().any(|group| group.depth > 0) {
        stop.check()?;
        thread::sleep(Duration::from_millis(1));
    }
    source.paced(load)?;
    let messages = source.producer.sequence();
    source.send(END, now())?;
    Ok(Findings { messages, ..Findings::default() })
}

struct Source<'q> {
    producer: Producer<Record>,
    room: Room<'q, Record>,
    stop: &'q Stop,
    texts: Vec<[u8; 80]>,
    reported: Instant,
}

impl Source<'_> {
    fn record(&self, number: u64, due: u64) -> Record {
        let source = number as usize % self.texts.len().max(1);
        let text = self.texts.get(source).unwrap_or(&[0; 80]);
        Record::new(number, due, source, text)
    }

    fn full_speed(&mut self, load: &DemoArgs) -> Result<(), Failure> {
        let count = load.count.unwrap_or(COUNT);
        let line = match load.count {
            Some(count) => format!("full speed: {} messages", grouped(count)),
            None => format!("full speed: {} messages, for 8 s at most", grouped(count)),
        };
        Event::<Findings>::Phase { line, total: count }.report()?;
        let since = Instant::now();
        let mut records = Vec::with_capacity(BATCH as usize);
        let mut next = 0;
        while next < count && (load.count.is_some() || since.elapsed() < FULL_SPEED_FOR) {
            let end = count.min(next + BATCH);
            let time = now();
            records.clear();
            records.extend((next..end).map(|number| self.record(number, time)));
            let mut messages = records.iter().map(|record| (FULL_SPEED, record));
            while messages.len() > 0 {
                match self.producer.try_send_batch(&mut messages) {
                    Ok(_) => {}
                    Err(fault) if matches!(fault.reason(), SendError::Full(_)) => {
                        self.room.wait(&mut self.producer, self.stop)?;
                    }
                    Err(fault) => return Err(fault.into_reason().into()),
                }
            }
            next = end;
            self.report()?;
        }
        Ok(())
    }

    fn paced(&mut self, load: &DemoArgs) -> Result<(), Failure> {
        let count = (load.rate as f64 * load.seconds.as_secs_f64()) as u64;
        let total = self.producer.sequence() + count;
        let rate = grouped(load.rate);
        let line = format!("paced: {} messages at {rate}/s, to measure latency", grouped(count));
        Event::<Findings>::Phase { line, total }.report()?;
        let since = now();
        for i in 0..count {
            let due = since + (i as u128 * 1_000_000_000 / u128::from(load.rate)) as u64;
            wait_until(due, WaitArg::Sleep, self.stop)?;
            self.send(PACED, due)?;
            self.report()?;
        }
        Ok(())
    }

    fn send(&mut self, kind: u32, due: u64) -> Result<(), Failure> {
        let record = self.record(self.producer.sequence(), due);
        loop {
            match self.producer.try_send((kind, &record)) {
                Ok(_) => return Ok(()),
                Err(SendError::Full(_)) => self.room.wait(&mut self.producer, self.stop)?,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    fn report(&mut self) -> Result<(), Failure> {
        self.stop.check()?;
        if self.reported.elapsed() < REPORT_EVERY {
            return Ok(());
        }
        self.reported = Instant::now();
        Event::<Findings>::Count(self.producer.sequence()).report()
    }
}
