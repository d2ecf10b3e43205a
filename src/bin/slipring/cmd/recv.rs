//! `slipring recv`

use slipring::{Batch, Consumer, RecvError};

use super::exec;
use crate::args::RecvArgs;
use crate::dead_letters;
use crate::failure::{Failure, note};
use crate::format::Form;
use crate::json::{Message, Payload, Source};
use crate::output::Output;
use crate::queue::open;
use crate::reading::{
    at_the_end, check_options, dead_lettered, explain_closed, explain_start, join, max_attempts,
    none_came, wait_as_asked,
};
use crate::stop::Stop;
use crate::totals::Totals;

pub(crate) fn run(args: &RecvArgs) -> Result<(), Failure> {
    if let Some(command) = &args.exec.command {
        return exec::run(args, command);
    }
    check_options(args)?;
    let queue = open(&args.name, &args.open)?;
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut totals = Totals::new("received");
    let mut consumer = join(&queue, args)?;
    if !args.follow {
        explain_closed(&queue.snapshot()?);
    }
    wait_as_asked(&mut consumer, args);
    consumer.set_interrupt(output.asked(&stop)?);
    consumer.notice_dead_letters(|letter| {
        note(&dead_lettered(letter.sequence, letter.attempts, letter.reason));
    });
    explain_start(args, &consumer);
    // What is lent in a batch has been delivered, written or not, and may have no attempt left.
    let batch = if max_attempts(&queue, args)? == Some(1) { 1 } else { args.batch };
    let outcome = receive(&mut consumer, args, batch, &stop, &mut output, &mut totals);
    // A queue that was removed gets no more messages, though there may be a new one of its name.
    let outcome = outcome.and_then(|()| Ok(consumer.check_removed()?));
    totals.close(outcome.and_then(|()| output.close()), args.verbose)
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
        let printed = Message {
            sequence: message.sequence(),
            kind: message.kind(),
            attempts: Some(message.attempts()),
            source: message.source().map(Source),
            payload: Payload(&message),
        };
        output.put(|buffer| form.append(buffer, &printed));
        bytes += message.len() as u64;
        if output.is_large() {
            output.flush(stop)?;
        }
    }
    output.flush(stop)?;
    Ok(bytes)
}
