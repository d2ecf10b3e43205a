//! `slipring forward`: a stage between two queues.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use slipring::{
    Consumer, Delivery, ForgetStreamError, Group, JoinError, Outputs, Producer, Queue, RecvError,
    SendError, Stage, StageError, Staged, StreamId, StreamSendError,
};

use super::exec::command::{self, About, GRACE, by_signal, describe};
use crate::args::ForwardArgs;
use crate::failure::{Failure, io_failed, note};
use crate::producer_role;
use crate::queue::open_existing;
use crate::reading::{at_the_end, explain_closed, no_such_group, none_came};
use crate::room::Room;
use crate::stop::Stop;
use crate::table::grouped;
use crate::totals::Totals;

/// How often it looks for a message while there is no room.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Labels of streams are cut at so many bytes.
const LABEL_MAX: usize = 24;

pub(crate) fn run(args: &ForwardArgs) -> Result<(), Failure> {
    if args.name == args.to {
        return Err(Failure::usage("--to names the queue that is read: name another one"));
    }
    if let Some(command) = &args.command {
        command::check(command).map_err(|refused| refused.failure)?;
    }
    let (mut from, mut to) = (open_existing(&args.name)?, open_existing(&args.to)?);
    let stop = Stop::on_signals()?;
    from.set_interrupt(stop.asked());
    to.set_interrupt(stop.asked());
    let mut producer = producer_role::take(&to, args.timeout, &stop)?;
    let mut consumer = join(&from, args)?;
    consumer.set_follow(args.follow);
    if let Some(wait) = args.wait {
        producer.set_wait_strategy(wait.into());
        consumer.set_wait_strategy(wait.into());
    }
    if !args.follow {
        explain_closed(&from.snapshot()?);
    }
    if to.snapshot()?.groups.is_empty() {
        let name = &args.to;
        note(&format!(
            "warning: queue {name:?} has no group: no consumer will get these messages, and the oldest \
             are overwritten. To keep them for a group:\n  slipring group add {name} main"
        ));
    }
    forget_earlier(&mut producer, &from, &to, args)?;
    let stage = Stage::new(consumer, producer)?;
    let room = Room::of(&to).within(args.timeout);
    let (totals, max) = (Totals::new("forwarded"), to.payload_size());
    let mut forward =
        Forward { args, stage, room, stop, max, totals, since: Instant::now(), already_there: 0 };
    let outcome = forward.work();
    let Forward { stage, totals, already_there, .. } = forward;
    let (consumer, mut producer) = stage.into_parts();
    // A queue that was removed gets no more messages, though there may be a new one of its name.
    let outcome = outcome.and_then(|closed| {
        consumer.check_removed()?;
        if closed && args.close {
            producer.close()?
        } else {
            producer.check_removed()?
        }
        Ok(())
    });
    if already_there > 0 && args.verbose {
        note(&format!("{} of the messages were there already", grouped(already_there)));
    }
    totals.close(outcome, args.verbose)
}

fn join(from: &Queue, args: &ForwardArgs) -> Result<Consumer, Failure> {
    let (name, group) = (&args.name, &args.group);
    from.consumer(Group::named(group).existing()).map_err(|fault| match fault {
        JoinError::NoSuchGroup { known, .. } => {
            no_such_group(name, group, known.as_slice().iter().map(String::as_str))
                .hint(format!("slipring group add {name} {group}"))
        }
        JoinError::WrongMode { .. } => {
            let text = format!(
                "group {group:?} of queue {name:?} is shared: forward keeps the order, and needs an exclusive group"
            );
            Failure::coded(fault.code(), text).hint(format!("slipring group add {name} OTHER"))
        }
        fault => fault.into(),
    })
}

/// Gives up the streams of earlier queues of this name, of which no message is in the ring or in flight: each time that the queue is
/// removed and created again, it is another stream.
fn forget_earlier(
    producer: &mut Producer,
    from: &Queue,
    to: &Queue,
    args: &ForwardArgs,
) -> Result<(), Failure> {
    let label = format!("{}/{}", args.name, args.group);
    if label.len() >= LABEL_MAX {
        // Another group's label may be cut to the same.
        return Ok(());
    }
    // A program may have a stream of this very name.
    let kept = [from.group_stream(&args.group), StreamId::named(&label)];
    for info in to.streams()? {
        let earlier = info.stream.label() == label && !kept.contains(&info.stream);
        if !earlier {
            continue;
        }
        match producer.forget_stream(info.stream) {
            Ok(_) => {
                let name = &args.name;
                note(&format!("note: forgot stream {} of an earlier queue {name:?}", info.stream));
            }
            Err(ForgetStreamError::InRing { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(())
}

struct Forward<'a> {
    args: &'a ForwardArgs,
    stage: Stage,
    room: Room<'a, [u8]>,
    stop: Stop,
    /// Payload size of the other queue.
    max: usize,
    totals: Totals,
    /// When it last had a message.
    since: Instant,
    already_there: u64,
}

impl Forward<'_> {
    /// Returns whether the queue is closed, and all its messages are sent on.
    fn work(&mut self) -> Result<bool, Failure> {
        let args = self.args;
        let mut left = args.count.unwrap_or(u64::MAX);
        while left > 0 {
            self.stop.check()?;
            let mut free = self.stage.producer().free_slots();
            let waits = self.stage.consumer().depth() > 0;
            if free == 0 && waits {
                self.room.wait(self.stage.producer(), &self.stop)?;
                free = 1;
            }
            // A message that is mapped has room: it does not wait for it where nothing says why, or a signal ends that.
            let most = if args.command.is_some() { 1 } else { u64::from(args.batch) };
            self.stage.set_batch(most.min(left).min(free.max(1)) as usize);
            let looks = free == 0;
            let timeout = if looks { Some(Duration::ZERO) } else { args.timeout };
            match self.process(timeout) {
                Ok(staged) => {
                    left -= staged.mapped + staged.already_there;
                    self.since = Instant::now();
                }
                Err(Ended::Closed) => {
                    at_the_end(&args.name, self.totals.messages, args.count)?;
                    return Ok(true);
                }
                Err(Ended::Timeout) if looks => {
                    if args.timeout.is_some_and(|timeout| self.since.elapsed() >= timeout) {
                        return Err(none_came(args.timeout));
                    }
                    self.stop.sleep(LOOK_EVERY)?;
                }
                Err(Ended::Timeout) => return Err(none_came(args.timeout)),
                Err(Ended::Failed(fault)) => return Err(fault),
            }
        }
        Ok(false)
    }

    fn process(&mut self, timeout: Option<Duration>) -> Result<Staged, Ended> {
        let Forward { args, stage, stop, max, totals, already_there, .. } = self;
        let (mut failure, mut bytes) = (None, 0);
        let map = |message: &Delivery<'_>, outputs: &mut Outputs| {
            let output = match &args.command {
                Some(command) => output_of(command, args, message, *max, stop).map(Some),
                None => Ok(None),
            };
            let sent = output.and_then(|output| {
                let output = output.as_deref().unwrap_or(message);
                check_length(output.len(), *max, message.sequence(), args)?;
                bytes += output.len() as u64;
                outputs.push((message.kind(), output));
                Ok(())
            });
            sent.map_err(|fault| {
                failure = Some(fault);
                "it cannot be sent on"
            })
        };
        let outcome = match timeout {
            Some(timeout) => stage.process_timeout(timeout, map),
            None => stage.process(map),
        };
        if let Ok(staged) = &outcome {
            totals.messages += staged.mapped + staged.already_there;
            totals.bytes += bytes;
            *already_there += staged.already_there;
        }
        outcome.map_err(|fault| match (fault, failure) {
            (StageError::Recv(RecvError::Closed { .. }), _) => Ended::Closed,
            (StageError::Recv(RecvError::Timeout { .. }), _) => Ended::Timeout,
            (StageError::Recv(RecvError::Interrupted { .. }), _)
            | (StageError::Send(StreamSendError::Send(SendError::Interrupted { .. })), _) => {
                Ended::Failed(stop.ended())
            }
            (StageError::Map { .. }, Some(fault)) => Ended::Failed(fault),
            (fault, _) => Ended::Failed(fault.into()),
        })
    }
}

/// Why no message was processed.
enum Ended {
    Closed,
    Timeout,
    Failed(Failure),
}

fn check_length(len: usize, max: usize, sequence: u64, args: &ForwardArgs) -> Result<(), Failure> {
    if len <= max {
        return Ok(());
    }
    let (to, more) = (&args.to, if args.command.is_some() { " or more" } else { "" });
    let text = format!(
        "message {sequence}: there are {len} bytes{more} to send on, and a message of queue {to:?} has {max} at most"
    );
    Err(Failure::failed(text))
}

/// What the command prints for a message.
fn output_of(
    command: &str,
    args: &ForwardArgs,
    message: &Delivery<'_>,
    max: usize,
    stop: &Stop,
) -> Result<Vec<u8>, Failure> {
    let sequence = message.sequence();
    let about = About {
        queue: &args.name,
        group: &args.group,
        sequence,
        attempts: message.attempts(),
        kind: message.kind(),
        source: message.source(),
    };
    let place = format!("message {sequence}");
    let started = command::start(command, &about, message, Stdio::piped());
    let mut child = started.map_err(|refused| refused.failure.at(&place))?;
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // One byte more than there may be, and a newline.
        let read = stdout.take(max as u64 + 2).read_to_end(&mut output);
        read.map_err(|fault| io_failed("read what a command prints", &fault).at(&place))?;
    }
    if !args.raw && output.last() == Some(&b'\n') {
        output.pop();
    }
    let status = command::wait(&mut child, |progress| !progress.is_left_over(stop));
    let status = status.map_err(|fault| io_failed("wait for a command", &fault).at(&place))?;
    // A command that prints more is ended by that.
    check_length(output.len(), max, sequence, args)?;
    if status.success() {
        return Ok(output);
    }
    if by_signal(status) {
        stop.sleep(GRACE)?;
    }
    let how = describe(status);
    Err(Failure::failed(format!("{place}: the command of --exec failed: {how}; the message stays")))
}
