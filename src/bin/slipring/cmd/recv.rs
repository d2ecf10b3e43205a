//! `slipring recv`

use std::time::Duration;

use slipring::{Batch, Consumer, Group, Queue, Reason, RecvError, Snapshot};

use super::{exec, peek};
use crate::args::RecvArgs;
use crate::dead_letters;
use crate::failure::{Failure, note};
use crate::format::{Facts, Form};
use crate::output::Output;
use crate::stop::Stop;
use crate::totals::Totals;

pub(crate) fn run(args: &RecvArgs) -> Result<(), Failure> {
    if let Some(command) = &args.exec.command {
        return exec::run(args, command);
    }
    if args.no_ack {
        return peek::run(args);
    }
    let queue = super::open(&args.name, &args.open)?;
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut totals = Totals::new("received");
    if !args.follow {
        explain_closed(&queue.snapshot()?);
    }
    let mut consumer = queue.consumer(group(args))?;
    wait_as_asked(&mut consumer, args);
    consumer.set_interrupt(output.asked(&stop)?);
    consumer.notice_dead_letters(|letter| {
        note(&buried(letter.sequence, letter.attempts, letter.reason));
    });
    explain_start(args, &consumer);
    // What is lent in a batch has been delivered, written or not, and may have no attempt left.
    let batch = if max_attempts(&queue, args)? == Some(1) { 1 } else { args.batch };
    let outcome = receive(&mut consumer, args, batch, &stop, &mut output, &mut totals);
    // What comes now under that name, nobody receives.
    let outcome = outcome.and_then(|()| Ok(consumer.check_removed()?));
    totals.close(outcome.and_then(|()| output.close()), args.verbose)
}

/// The group to receive for, as it is to be if it does not exist yet.
pub(super) fn group(args: &RecvArgs) -> Group {
    let group = Group::named(&args.group).start(args.from.unwrap_or_default());
    args.policy.apply(if args.shared { group.shared() } else { group })
}

/// Attempts that a message has in the group, which exists by now, if there is a limit.
pub(super) fn max_attempts(queue: &Queue, args: &RecvArgs) -> Result<Option<u8>, Failure> {
    let groups = queue.snapshot()?.groups;
    let group = groups.iter().find(|group| group.name == args.group);
    Ok(group.and_then(|group| group.max_attempts))
}

pub(super) fn wait_as_asked(consumer: &mut Consumer, args: &RecvArgs) {
    consumer.set_follow(args.follow);
    if let Some(wait) = args.wait {
        consumer.set_wait_strategy(wait.into());
    }
}

/// Says where the reading begins, where that may surprise.
pub(super) fn explain_start(args: &RecvArgs, consumer: &Consumer) {
    let (name, group, position) = (&args.name, &args.group, consumer.position());
    if consumer.made_group() {
        note(&format!(
            "note: made group {group:?}, which starts at message {position}; messages wait for it \
             from now on (slipring group rm {name} {group} ends that)"
        ));
    } else if let Some(rule) = for_new_groups(args) {
        let goes_on = if consumer.resumed() { "resumes" } else { "starts" };
        note(&format!("note: group {group:?} exists and {goes_on} at message {position}: {rule}"));
    }
}

/// What to say of flags that a group which exists has no use for.
pub(super) fn for_new_groups(args: &RecvArgs) -> Option<String> {
    let from = args.from.map(|_| "--from");
    let flags: Vec<&str> = from.into_iter().chain(args.policy.given()).collect();
    match &flags[..] {
        [] => None,
        [flag] => Some(format!("{flag} is for new groups")),
        flags => Some(format!("{} are for new groups", flags.join(" and "))),
    }
}

/// What to say of a message that a receive gave up on the way.
pub(super) fn buried(sequence: u64, attempts: u8, reason: Reason) -> String {
    let why = match reason {
        Reason::MaxAttempts => {
            let times = if attempts == 1 { "time" } else { "times" };
            format!("it was delivered {attempts} {times} and never acked")
        }
        reason => reason.to_string(),
    };
    format!("note: message {sequence}: {why}; given up: it is a dead letter now")
}

fn receive(
    consumer: &mut Consumer,
    args: &RecvArgs,
    batch: u64,
    stop: &Stop,
    output: &mut Output,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let form = Form::from(args.form);
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        stop.check()?;
        let max = batch.min(left) as usize;
        let received = match args.timeout {
            Some(timeout) => consumer.recv_batch_timeout(max, timeout),
            None => consumer.recv_batch(max),
        };
        let mut batch = match received {
            Ok(batch) => batch,
            Err(RecvError::Timeout { .. }) => return Err(none_came(args.timeout)),
            Err(RecvError::Interrupted { .. }) => return Err(stop.ended()),
            Err(RecvError::Closed { .. }) => {
                return at_the_end(&args.name, totals.messages, args.count);
            }
            Err(fault) => return Err(dead_letters::receive_failed(&args.name, fault)),
        };
        let bytes = match write_out(&batch, form, output, stop) {
            Ok(bytes) => bytes,
            Err(fault) => {
                // That was no fault of the messages.
                batch.uncount();
                return Err(fault);
            }
        };
        let count = batch.len() as u64;
        batch.ack()?;
        left -= count;
        totals.messages += count;
        totals.bytes += bytes;
    }
    Ok(())
}

/// Writes all of a batch; returns its bytes. Only what is written is done: an ack before would lose it with this
/// process.
fn write_out(
    batch: &Batch<'_>,
    form: Form,
    output: &mut Output,
    stop: &Stop,
) -> Result<u64, Failure> {
    let mut bytes = 0;
    for message in batch {
        let facts = Facts {
            sequence: message.sequence(),
            kind: message.kind(),
            attempts: Some(message.attempts()),
        };
        output.put(|buffer| form.append(buffer, facts, &message));
        bytes += message.len() as u64;
        if output.is_large() {
            output.flush(stop)?;
        }
    }
    output.flush(stop)?;
    Ok(bytes)
}

/// Whoever starts too late, or too early, is told why it ends.
pub(super) fn explain_closed(look: &Snapshot) {
    if look.closed_at.is_some() {
        note(&format!(
            "note: queue {:?} is closed: this ends with its last message; --follow waits for the next sender",
            look.name
        ));
    }
}

/// The queue is closed: done, unless more was asked for.
pub(super) fn at_the_end(name: &str, got: u64, count: Option<u64>) -> Result<(), Failure> {
    match count {
        Some(count) if got < count => {
            let text = format!("queue {name:?} was closed after {got} of {count} messages");
            Err(Failure::failed(text).hint("--follow waits for the next sender"))
        }
        _ => Ok(()),
    }
}

/// What to say when the time is up.
pub(super) fn none_came(timeout: Option<Duration>) -> Failure {
    let seconds = timeout.unwrap_or_default().as_secs_f64();
    Failure::Timeout(format!("no message came within {seconds} s"))
}
