//! `slipring send`

use std::time::{Duration, Instant};

use slipring::{Producer, Queue, SendError, StreamId, StreamSendError};

use crate::args::SendArgs;
use crate::failure::{Failure, note};
use crate::input::{Cut, Input};
use crate::producer_role;
use crate::queue::open;
use crate::room::Room;
use crate::sent_before::SentBefore;
use crate::stop::Stop;
use crate::table::grouped;
use crate::totals::Totals;

pub(crate) fn run(args: &SendArgs) -> Result<(), Failure> {
    let mut queue = open(&args.name, &args.open)?;
    let cut = cut(args, &queue)?;
    let mut input = Input::open(args.file.as_deref(), cut)?;
    let stream = args.source.as_deref().map(StreamId::named);
    if stream.is_some() {
        input.refuse_half_line();
    }
    let stop = Stop::on_signals()?;
    queue.set_interrupt(stop.asked());
    let mut producer = producer_role::take(&queue, args.timeout, &stop)?;
    if let Some(wait) = args.wait {
        producer.set_wait_strategy(wait.into());
    }
    if queue.snapshot()?.groups.is_empty() {
        let name = &args.name;
        note(&format!(
            "warning: queue {name:?} has no group: no consumer will get these messages, and the oldest \
             are overwritten. To keep them for a group:\n  slipring group add {name} main"
        ));
    }
    let mut totals = Totals::new("sent");
    let room = Room::of(&queue).within(args.timeout);
    let capacity = queue.capacity();
    let mut sender = Sender {
        args,
        producer,
        stream,
        room,
        capacity,
        stop,
        input,
        totals: &mut totals,
        name: Name::new(),
        passed_over: 0,
    };
    let mut outcome = sender.pass_over(&queue).and_then(|()| sender.send_all());
    let Sender { mut producer, stop, passed_over, .. } = sender;
    if args.close && outcome.is_ok() {
        // An input that ended because of the same Ctrl-C is not at its end.
        outcome = stop.check().and_then(|()| producer.close().map_err(Failure::from));
    } else if !matches!(outcome, Err(Failure::Failed(_))) {
        // Whatever ended it: if the queue was removed, messages may be lost.
        outcome = producer.check_removed().map_err(Failure::from).and(outcome);
    }
    let outcome = totals.close(outcome, args.verbose);
    if passed_over > 0 && (args.verbose || matches!(outcome, Err(Failure::Stopped(_)))) {
        let (passed_over, what) = (grouped(passed_over), unit(args));
        note(&format!("{passed_over} {what}s before them were there already"));
    }
    outcome
}

/// What a message is in the input.
fn unit(args: &SendArgs) -> &'static str {
    if args.raw { "record" } else { "line" }
}

fn cut(args: &SendArgs, queue: &Queue) -> Result<Cut, Failure> {
    let max = queue.payload_size();
    if !args.raw {
        return Ok(Cut::Lines { max, truncate: args.truncate });
    }
    let size = args.size.map_or(max, |size| size as usize);
    if size > max {
        let name = &args.name;
        let text = format!("--size {size} is more than the {max} bytes of a message of {name:?}");
        return Err(Failure::usage(text));
    }
    Ok(Cut::Records { size })
}

struct Sender<'a> {
    args: &'a SendArgs,
    producer: Producer,
    /// What its messages say that they come from.
    stream: Option<StreamId>,
    room: Room<'a, [u8]>,
    capacity: u64,
    stop: Stop,
    input: Input,
    totals: &'a mut Totals,
    name: Name,
    /// Messages of the input that were in the queue already.
    passed_over: u64,
}

impl Sender<'_> {
    /// Passes over what was sent before, if the messages say where they come from.
    fn pass_over(&mut self, queue: &Queue) -> Result<(), Failure> {
        let Sender { args, producer, stream: Some(stream), stop, input, name, .. } = &mut *self
        else {
            return Ok(());
        };
        let before = SentBefore::look_up(queue, producer, *stream)?;
        let most = args.count.unwrap_or(u64::MAX);
        let mut idle = || name.check(producer);
        self.passed_over = before.pass_over(input, most, unit(args), stop, &mut idle)?;
        Ok(())
    }

    fn send_all(&mut self) -> Result<(), Failure> {
        let mut left = self.args.count.unwrap_or(u64::MAX) - self.passed_over;
        let mut pace = self.args.rate.map(Pace::new);
        while left > 0 {
            let Sender { args, producer, capacity, stop, input, name, .. } = &mut *self;
            let mut idle = || name.check(producer);
            let due = pace.as_mut().map_or(Ok(u64::MAX), |pace| pace.wait(stop, &mut idle))?;
            // The rest of a batch larger than the ring would only wait for room.
            let limit = args.batch.min(*capacity).min(left).min(due);
            input.gather(limit as usize, stop, &mut idle)?;
            let gathered = self.input.messages().len() as u64;
            self.publish()?;
            if let Some(fault) = self.input.fault() {
                return Err(fault);
            }
            if gathered == 0 {
                break;
            }
            left -= gathered;
            if let Some(pace) = &mut pace {
                pace.passed(gathered);
            }
            self.stop.check()?;
        }
        Ok(())
    }

    /// Publishes what was gathered, as soon as there is room.
    fn publish(&mut self) -> Result<(), Failure> {
        let mut sent = 0;
        let outcome = self.publish_counting(&mut sent);
        let sizes = self.input.messages().take(sent).map(|bytes| bytes.len() as u64);
        self.totals.bytes += sizes.sum::<u64>();
        self.totals.messages += sent as u64;
        self.input.done();
        outcome
    }

    fn publish_counting(&mut self, sent: &mut usize) -> Result<(), Failure> {
        if let Some(stream) = self.stream {
            return self.publish_of(stream, sent);
        }
        let kind = self.args.kind;
        let mut messages = self.input.messages().map(|bytes| (kind, bytes));
        while messages.len() > 0 {
            match self.producer.try_send_batch(&mut messages) {
                Ok(n) => *sent += n,
                Err(fault) if matches!(fault.reason(), SendError::Full(_)) => {
                    self.room.wait(&mut self.producer, &self.stop)?;
                }
                Err(fault) => {
                    *sent += fault.sent();
                    return Err(self.not_sent(fault.into_reason(), *sent));
                }
            }
        }
        Ok(())
    }

    fn publish_of(&mut self, stream: StreamId, sent: &mut usize) -> Result<(), Failure> {
        let (kind, first) = (self.args.kind, self.input.first_number());
        let messages = self.input.messages().map(|bytes| (kind, bytes));
        let gathered = messages.len();
        let mut messages = (first..).zip(messages);
        while *sent < gathered {
            let mut to = self.producer.stream(stream)?;
            let outcome = to.try_send_batch(&mut messages);
            // Also what was sent before an error.
            let last = to.last_position().unwrap_or(0);
            *sent = (last + 1).saturating_sub(first) as usize;
            match outcome {
                Ok(_) => {}
                Err(StreamSendError::Send(SendError::Full(_))) => {
                    self.room.wait(&mut self.producer, &self.stop)?;
                }
                Err(StreamSendError::Send(fault)) => return Err(self.not_sent(fault, *sent)),
                Err(fault) => return Err(fault.into()),
            }
        }
        Ok(())
    }

    /// Why the gathered message after so many others was not sent.
    fn not_sent(&self, fault: SendError, sent: usize) -> Failure {
        match fault {
            fault @ (SendError::WrongLength { .. } | SendError::TooLong { .. }) => {
                let number = self.input.first_number() + sent as u64;
                Failure::from(fault).at(format!("{} {number}", unit(self.args)))
            }
            fault => fault.into(),
        }
    }
}

/// Checks from time to time that the queue still has its name: the producer does so only while it sends.
struct Name {
    seen: Instant,
}

const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Name {
    fn new() -> Name {
        Name { seen: Instant::now() }
    }

    /// Fails if the queue was removed, when a check is due.
    fn check(&mut self, producer: &mut Producer) -> Result<(), Failure> {
        if self.seen.elapsed() >= CHECK_EVERY {
            producer.check_removed()?;
            self.seen = Instant::now();
        }
        Ok(())
    }
}

/// An even pace: each message has its time, counted from the first, so that delays do not add up.
struct Pace {
    interval: f64,
    since: Instant,
    passed: u64,
}

/// A sender that falls behind by more than this (its input paused, the queue was full) does not make up
/// for it with a burst.
const MAKE_UP: f64 = 0.1;

impl Pace {
    fn new(rate: f64) -> Pace {
        Pace { interval: 1.0 / rate, since: Instant::now(), passed: 0 }
    }

    /// Waits for the next message's time; returns how many messages are due.
    fn wait(
        &mut self,
        stop: &Stop,
        idle: &mut impl FnMut() -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        loop {
            stop.check()?;
            idle()?;
            let ahead = self.passed as f64 * self.interval - self.since.elapsed().as_secs_f64();
            if ahead <= 0.0 {
                if -ahead > MAKE_UP + self.interval {
                    self.since = Instant::now();
                    self.passed = 0;
                    return Ok(1);
                }
                return Ok((-ahead / self.interval) as u64 + 1);
            }
            stop.sleep(Duration::from_secs_f64(ahead.min(CHECK_EVERY.as_secs_f64())))?;
        }
    }

    fn passed(&mut self, messages: u64) {
        self.passed += messages;
    }
}
