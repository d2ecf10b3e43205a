//! The delay of each message at a fixed rate. A message contains the time at which it was sent, and the consumer polls.
//!
//! After a late message the schedule starts again: this measures a queue at this rate, not how it recovers from a
//! backlog (`slipring bench latency` measures that, from the time a message was due).

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::pair::{Steps, pair};
use crate::rows::Figures;
use crate::ticks;
use crate::transport::{NotRun, Open, Put};

/// Messages at the start of each slice that are not measured.
const WARM: u64 = 256;

/// A receiving end that polls.
pub(crate) trait Poll {
    /// Polls once. Calls `see` with the number of each message that is there, after checking its content.
    fn poll(&mut self, see: impl FnMut(u64));
}

/// A way to send single messages from one thread to another. A message's number is the time at which it was sent.
pub(crate) trait Polled: 'static {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun>;
}

/// Quantiles of the delays, in nanoseconds: 50, 90, 99 and 99.9 %.
pub(crate) fn slice<P: Polled>(gap_ns: u64, steps: Steps) -> Result<Figures, NotRun> {
    let gap = ticks::from_ns(gap_ns);
    let (put, poll) = P::polled()?;
    let delays = &Mutex::new(Vec::new());
    pair(
        Steps { warm: WARM.min(steps.timed), timed: steps.timed },
        move || {
            let mut put = put.open();
            move |_, n| {
                let mut due = ticks::now();
                for _ in 0..n {
                    let now = wait_until(due);
                    put.put(now, 1);
                    due = (due + gap).max(now);
                }
            }
        },
        move || {
            let mut poll = poll.open();
            move |_, n| {
                // Touches the memory before it is needed.
                let mut seen = vec![0; n as usize];
                seen.clear();
                let mut last = 0;
                while (seen.len() as u64) < n {
                    poll.poll(|sent| {
                        assert!(sent > last, "messages came out of order, or one came twice");
                        last = sent;
                        seen.push(ticks::after_loads().saturating_sub(sent));
                    });
                }
                assert!(seen.len() as u64 == n, "more messages came than were sent");
                *delays.lock().expect("no thread panicked") = seen;
            }
        },
    );
    let delays = std::mem::take(&mut *delays.lock().expect("no thread panicked"));
    Ok(quantiles(gap_ns, delays))
}

/// The machine's part of the delay: both ends keep the same schedule by their own clocks, and exchange nothing. The
/// delay is from the time a message would be due until the receiving end notices that time.
pub(crate) fn jitter(gap_ns: u64, steps: Steps) -> Result<Figures, NotRun> {
    let gap = ticks::from_ns(gap_ns);
    let delays = &Mutex::new(Vec::new());
    let end = |keep: bool| {
        move |_: u64, n: u64| {
            let mut seen = vec![0; n as usize];
            let start = ticks::now() + gap;
            for (i, delay) in seen.iter_mut().enumerate() {
                let due = start + i as u64 * gap;
                *delay = wait_until(due) - due;
            }
            if keep {
                *delays.lock().expect("no thread panicked") = seen;
            }
        }
    };
    let steps = Steps { warm: WARM.min(steps.timed), timed: steps.timed };
    pair(steps, move || end(false), move || end(true));
    let delays = std::mem::take(&mut *delays.lock().expect("no thread panicked"));
    Ok(quantiles(gap_ns, delays))
}

#[inline]
fn wait_until(due: u64) -> u64 {
    loop {
        let now = ticks::now();
        if now >= due {
            return now;
        }
    }
}

fn quantiles(gap_ns: u64, mut delays: Vec<u64>) -> Figures {
    delays.sort_unstable();
    let last = delays.len().saturating_sub(1);
    let at = |per_mille: usize| ticks::to_ns(delays[last * per_mille / 1000]).max(1.0);
    let columns = [500, 900, 990, 999].map(at).to_vec();
    Figures { ns_per_step: gap_ns as f64, columns }
}

/// The same loop without a queue: one word in one cache line, which holds the latest message only. A message that the
/// reader misses counts as received with the next one that it sees, and as sent at an even distance before it.
pub(crate) struct BareLine;

struct Sender {
    line: Arc<CachePadded<AtomicU64>>,
    sent: u64,
}

struct Reader {
    line: Arc<CachePadded<AtomicU64>>,
    seen: u64,
    /// When the last message that it saw was sent.
    last: u64,
}

/// The word's low bits are the time, its high bits the message's count.
const TIME_BITS: u32 = 44;
const TIME: u64 = (1 << TIME_BITS) - 1;

impl Polled for BareLine {
    fn polled() -> Result<(impl Open<End: Put> + 'static, impl Open<End: Poll> + 'static), NotRun> {
        let line = Arc::new(CachePadded::new(AtomicU64::new(0)));
        let sender = Sender { line: line.clone(), sent: 0 };
        Ok((move || sender, move || Reader { line, seen: 0, last: ticks::now() }))
    }
}

impl Put for Sender {
    #[inline]
    fn put(&mut self, from: u64, _one: u64) {
        self.sent += 1;
        self.line.store(self.sent << TIME_BITS | from & TIME, Ordering::Release);
    }
}

impl Poll for Reader {
    #[inline]
    fn poll(&mut self, mut see: impl FnMut(u64)) {
        let word = self.line.load(Ordering::Acquire);
        let new = (word >> TIME_BITS).wrapping_sub(self.seen) & (u64::MAX >> TIME_BITS);
        if new == 0 {
            return;
        }
        self.seen += new;
        // The word's time is close to the present; it may be later, because it is from another processor's clock.
        let now = ticks::after_loads();
        let behind = ((now.wrapping_sub(word) << (64 - TIME_BITS)) as i64) >> (64 - TIME_BITS);
        let sent = now.wrapping_add_signed(-behind);
        let between = sent.saturating_sub(self.last);
        for i in 1..new {
            see(self.last + between * i / new);
        }
        self.last = sent;
        see(sent);
    }
}

#[cfg(test)]
mod tests {
    use super::{BareLine, Poll, Polled, quantiles};
    use crate::ticks;
    use crate::transport::{Open, Put};

    #[test]
    fn quantiles_of_delays_are_in_nanoseconds() {
        let delays = (0..=1000).map(ticks::from_ns).collect();
        let figures = quantiles(50, delays);
        assert_eq!(figures.ns_per_step, 50.0);
        for (got, meant) in figures.columns.iter().zip([500.0, 900.0, 990.0, 999.0]) {
            assert!((got - meant).abs() < 2.0, "{got} instead of {meant}");
        }
    }

    #[test]
    fn messages_that_were_overwritten_count_as_received_with_the_next() {
        let (put, poll) = BareLine::polled().unwrap();
        let (mut put, mut poll) = (put.open(), poll.open());
        let start = ticks::now();
        put.put(start, 1);
        poll.poll(|sent| assert_eq!(sent, start));
        for i in [1, 2, 5, 6] {
            put.put(start + 10 * i, 1);
        }
        while ticks::now() < start + 60 {}
        let mut seen = Vec::new();
        poll.poll(|sent| seen.push(sent));
        poll.poll(|sent| seen.push(sent));
        assert_eq!(seen, [15, 30, 45, 60].map(|after| start + after));
    }
}
