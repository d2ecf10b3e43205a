//! Receiving in a group whose messages stay in the ring until they are acked.

use slipring::{Batch, Consumer};

use super::Task;
use crate::failure::{Failure, note};
use crate::json::{Message, Payload, Source};
use crate::reading::{dead_lettered, explain_start, wait_as_asked};

pub(super) fn receive(task: &mut Task<'_>, mut consumer: Consumer) -> Result<(), Failure> {
    wait_as_asked(&mut consumer, task.args);
    consumer.set_interrupt(task.output.asked(&task.stop)?);
    consumer.notice_dead_letters(|letter| {
        note(&dead_lettered(letter.sequence, letter.attempts, letter.reason));
    });
    explain_start(task.args, consumer.made_group(), consumer.resumed(), consumer.position(), false);
    receive_all(task, &mut consumer)?;
    // A queue that was removed gets no more messages, though there may be a new one of its name.
    Ok(consumer.check_removed()?)
}

fn receive_all(task: &mut Task<'_>, consumer: &mut Consumer) -> Result<(), Failure> {
    while let max @ 1.. = task.most() {
        task.stop.check()?;
        let received = match task.args.timeout {
            Some(timeout) => consumer.recv_batch_timeout(max, timeout),
            None => consumer.recv_batch(max),
        };
        let mut batch = match received {
            Ok(batch) => batch,
            Err(fault) => return task.not_received(fault),
        };
        let bytes = match write_out(&batch, task) {
            Ok(bytes) => bytes,
            Err(fault) => {
                // That was no fault of the messages.
                batch.uncount();
                return Err(fault);
            }
        };
        let count = batch.len() as u64;
        batch.ack()?;
        task.count(count, bytes);
    }
    Ok(())
}

/// Writes all of a batch; returns its bytes. Only what is written is done: an ack before would lose it with this
/// process.
fn write_out(batch: &Batch<'_>, task: &mut Task<'_>) -> Result<u64, Failure> {
    let mut bytes = 0;
    for message in batch {
        task.put(&Message {
            sequence: message.sequence(),
            kind: message.kind(),
            attempts: Some(message.attempts()),
            source: message.source().map(Source),
            payload: Payload(&message),
        });
        bytes += message.len() as u64;
        if task.output.is_large() {
            task.output.flush(&task.stop)?;
        }
    }
    task.output.flush(&task.stop)?;
    Ok(bytes)
}
