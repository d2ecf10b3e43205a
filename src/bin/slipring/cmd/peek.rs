//! `slipring recv --no-ack`: what waits for a group, without taking it.
//!
//! It reads beside the group, as an observer: a consumer that only looked would keep the group's real
//! consumer out, and its look would count as a delivery.

use slipring::{GroupInfo, Observer, RecvError, Snapshot, Start};

use crate::args::RecvArgs;
use crate::dead_letters;
use crate::failure::{Failure, note, open_failed};
use crate::format::Form;
use crate::json::{Message, Payload};
use crate::output::Output;
use crate::queue::{open, options, snapshot};
use crate::reading::{for_new_groups, none_came, report_missed};
use crate::stop::Stop;
use crate::totals::Totals;

pub(super) fn run(args: &RecvArgs) -> Result<(), Failure> {
    if args.open.create || args.open.shape.is_given() {
        // Makes it, or says what is wrong with that.
        open(&args.name, &args.open)?;
    }
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut totals = Totals::new("received");
    let outcome = look(args, &stop, &mut output, &mut totals);
    totals.close(outcome.and_then(|()| output.close()), args.verbose)
}

fn look(
    args: &RecvArgs,
    stop: &Stop,
    output: &mut Output,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let look = snapshot(&args.name)?;
    let (name, name_of_group) = (&args.name, &args.group);
    let Some(group) = look.groups.iter().find(|group| group.name == *name_of_group) else {
        let text =
            format!("queue {name:?} has no group {name_of_group:?}, and --no-ack makes none");
        return Err(Failure::failed(text)
            .hint(format!("slipring group add {name} {name_of_group}"))
            .hint(format!("slipring groups {name}  (lists those that there are)")));
    };
    if let Some(rule) = for_new_groups(args) {
        let head = group.head;
        note(&format!("note: group {name_of_group:?} exists and stands at message {head}: {rule}"));
    }
    let observer = options().observe(name, Start::Newest);
    let mut observer: Observer = observer.map_err(|fault| open_failed(name, fault))?;
    observer.set_interrupt(output.asked(stop)?);
    // Without a timeout it shows what was there when it began.
    let end = if args.timeout.is_some() { u64::MAX } else { look.tail };
    let left = args.count.unwrap_or(u64::MAX);
    let mut reading = Reading { observer, args, stop, output, totals, left, lost: 0 };
    for (start, end) in unacked(&look, group, end) {
        reading.range(start, end)?;
    }
    reading.output.flush(stop)?;
    report_missed(reading.lost);
    if let Some(count) = dead_letters::retries(&look, group).filter(|count| *count > 0) {
        let retry = format!("{name}.{name_of_group}.retry");
        note(&format!(
            "note: {count} dead letters that were sent again wait for the group as well:\n  \
             slipring recv {retry} --group {name_of_group} --no-ack"
        ));
    }
    Ok(())
}

/// Ranges of sequences that the group has not acked, in order and each once: what members of a shared group hold, and
/// what nobody has taken yet, up to `end`.
fn unacked(look: &Snapshot, group: &GroupInfo, end: u64) -> Vec<(u64, u64)> {
    let held = group.members.iter().filter_map(|member| member.claimed.as_ref());
    let held = held.map(|claimed| (claimed.start, claimed.end.min(look.tail)));
    let mut ranges: Vec<_> = held.chain([(group.head, end)]).collect();
    ranges.sort_unstable();
    let mut next = 0;
    for (start, end) in &mut ranges {
        *start = next.max(*start);
        next = next.max(*end);
    }
    ranges.retain(|(start, end)| start < end);
    ranges
}

struct Reading<'a> {
    observer: Observer,
    args: &'a RecvArgs,
    stop: &'a Stop,
    output: &'a mut Output,
    totals: &'a mut Totals,
    /// Messages that are still to be printed.
    left: u64,
    /// Messages that were overwritten before they were read: the group has acked them meanwhile.
    lost: u64,
}

impl Reading<'_> {
    fn range(&mut self, start: u64, end: u64) -> Result<(), Failure> {
        self.observer.seek(start);
        let form = Form::from(self.args.form);
        let mut next = start;
        while self.left > 0 && self.observer.position() < end {
            self.stop.check()?;
            let message = match self.observer.try_recv() {
                Ok(message) => message,
                Err(RecvError::Empty) => {
                    // What is there is shown before the wait.
                    self.output.flush(self.stop)?;
                    let received = match self.args.timeout {
                        Some(timeout) => self.observer.recv_timeout(timeout),
                        None => self.observer.recv(),
                    };
                    match received {
                        Ok(message) => message,
                        Err(RecvError::Timeout { .. }) => return Err(none_came(self.args.timeout)),
                        Err(RecvError::Interrupted { .. }) => return Err(self.stop.ended()),
                        Err(RecvError::Closed { .. }) => break,
                        Err(fault) => return Err(fault.into()),
                    }
                }
                Err(RecvError::Closed { .. }) => break,
                Err(fault) => return Err(fault.into()),
            };
            // It may have been overtaken by the producer, and gone on further up.
            self.lost += message.sequence().min(end).saturating_sub(next);
            if message.sequence() >= end {
                break;
            }
            next = message.sequence() + 1;
            let printed = Message {
                sequence: message.sequence(),
                kind: message.kind(),
                attempts: None,
                payload: Payload(&message),
            };
            self.output.put(|buffer| form.append(buffer, &printed));
            self.totals.bytes += message.len() as u64;
            self.totals.messages += 1;
            self.left -= 1;
            if self.output.is_large() {
                self.output.flush(self.stop)?;
            }
        }
        Ok(())
    }
}
