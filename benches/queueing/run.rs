//! A run through a real queue: one thread sends and looks, another one serves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use slipring::{
    Consumer, Figure, Monitor, OpenOptions, Producer, Queue, RecvError, Stats, monotonic_ns,
};

use crate::theory::{Figures, Plan};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    /// By `Stats`.
    pub(crate) figures: Figures,
    pub(crate) samples: u32,
    /// Mean time from sending to the ack, by a clock in each message, of those that were sent between the looks.
    pub(crate) stamped: f64,
    /// How much later than planned messages were sent.
    pub(crate) late: Noise,
    /// How much longer than planned messages took, from the moment at which a machine that loses no time would have begun.
    pub(crate) longer: Noise,
}

/// What the machine added to the times of a run, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Noise {
    pub(crate) mean: f64,
    pub(crate) p99: f64,
    pub(crate) most: f64,
}

impl Noise {
    fn of(mut times: Vec<f64>) -> Noise {
        times.sort_by(f64::total_cmp);
        let count = times.len().max(1);
        Noise {
            mean: times.iter().sum::<f64>() / count as f64,
            p99: times.get(count * 99 / 100).copied().unwrap_or(0.0),
            most: times.last().copied().unwrap_or(0.0),
        }
    }
}

/// The name of a queue that goes away with this value.
struct Temp(String);

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

/// Seconds before the end of a wait from which on it spins.
const SPIN: f64 = 150e-6;

/// Seconds since the start of the run.
#[derive(Clone, Copy)]
struct Clock(u64);

impl Clock {
    fn now(self) -> f64 {
        monotonic_ns().saturating_sub(self.0) as f64 / 1e9
    }

    /// Sleeps, and spins at the end, for a processor wakes late.
    fn wait(self, until: f64) {
        let left = until - self.now() - SPIN;
        if left > 0.0 {
            thread::sleep(Duration::from_secs_f64(left));
        }
        while self.now() < until {
            std::hint::spin_loop();
        }
    }

    /// Sleeps, until then or a little longer.
    fn sleep(self, until: f64) {
        let left = until - self.now();
        if left > 0.0 {
            thread::sleep(Duration::from_secs_f64(left));
        }
    }
}

pub(crate) fn run(plan: &Plan) -> Result<Found, Error> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temp = Temp(format!("queueing-{}-{count}", std::process::id()));
    let queue = Queue::builder(&temp.0).capacity(1 << 14).payload_size(8).group("g").create()?;
    let (mut producer, mut consumer) = (queue.producer()?, queue.consumer("g")?);
    let mut monitor = Monitor::open(&temp.0, &OpenOptions::new())?;
    let clock = Clock(monotonic_ns() + 10_000_000);
    let ((sent, windows), served) = thread::scope(|scope| {
        let serves = scope.spawn(|| serve(plan, clock, &mut consumer));
        let sent = send(plan, clock, &mut producer, &mut monitor);
        // The other thread ends once everything is acked; also after a failure.
        let closed = producer.close();
        let served = serves.join().map_err(|_| Error::from("the thread that serves panicked"));
        closed?;
        Ok::<_, Error>((sent?, served??))
    })?;
    let begin = plan.looks.first().copied().unwrap_or_default();
    let within = |n: &usize| plan.messages.get(*n).is_some_and(|m| m.at >= begin);
    let stamped: Vec<f64> = served
        .iter()
        .zip(&sent)
        .enumerate()
        .filter(|(n, _)| within(n))
        .map(|(_, (done, sent))| done - sent)
        .collect();
    let mut free = 0.0f64;
    let longer = served.iter().zip(&sent).zip(&plan.messages).map(|((done, sent), message)| {
        let lasts = done - free.max(*sent);
        free = *done;
        lasts - message.service
    });
    Ok(Found {
        figures: Figures::mean(windows.iter().map(figures)),
        samples: windows.iter().map(|stats| stats.samples).sum(),
        stamped: stamped.iter().sum::<f64>() / stamped.len().max(1) as f64,
        longer: Noise::of(longer.collect()),
        late: Noise::of(sent.iter().zip(&plan.messages).map(|(at, m)| at - m.at).collect()),
    })
}

/// Sends, glances and looks, each when it is due. Returns when messages were sent, and what `Stats` says of each window.
fn send(
    plan: &Plan,
    clock: Clock,
    producer: &mut Producer,
    monitor: &mut Monitor,
) -> Result<(Vec<f64>, Vec<Stats>), Error> {
    let (mut sent, mut windows) = (Vec::with_capacity(plan.messages.len()), Vec::new());
    let mut messages = plan.messages.iter().map(|message| message.at).peekable();
    let mut glances = plan.glances.iter().copied().peekable();
    for (n, look) in plan.looks.iter().enumerate() {
        loop {
            let (message, glance) = (messages.peek().copied(), glances.peek().copied());
            let due = [message, glance].into_iter().flatten().fold(*look, f64::min);
            if message == Some(due) {
                clock.wait(due);
                sent.push(clock.now());
                producer.send(&[0; 8])?;
                messages.next();
            } else if glance == Some(due) {
                clock.sleep(due);
                monitor.glance();
                glances.next();
            } else {
                break;
            }
        }
        clock.wait(*look);
        monitor.look()?;
        if n > 0 {
            // Between the last two looks.
            windows.push(monitor.stats(Duration::ZERO));
        }
    }
    Ok((sent, windows))
}

/// Serves each message for as long as planned. Returns when they were acked.
fn serve(plan: &Plan, clock: Clock, consumer: &mut Consumer) -> Result<Vec<f64>, Error> {
    let mut served = Vec::with_capacity(plan.messages.len());
    loop {
        let message = match consumer.recv() {
            Err(RecvError::Closed { .. }) => return Ok(served),
            message => message?,
        };
        let begin = clock.now();
        clock.wait(begin + plan.messages.get(served.len()).map_or(0.0, |m| m.service));
        message.ack()?;
        served.push(clock.now());
    }
}

/// What is not known is not a number.
fn figures(stats: &Stats) -> Figures {
    let Some(group) = stats.groups.first() else { return Figures::default() };
    let rate = |figure: Figure| figure.value().unwrap_or(f64::NAN);
    let time = |figure: Figure<Duration>| rate(figure.map(|time| time.as_secs_f64()));
    let delay = time(group.delay);
    Figures {
        waiting: delay * rate(group.throughput),
        delay,
        wait: time(group.wait),
        publish_rate: rate(stats.publish_rate),
        service_rate: rate(group.service_rate),
        utilisation: rate(group.utilisation),
    }
}
