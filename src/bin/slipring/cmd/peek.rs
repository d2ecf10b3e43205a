//! `slipring peek`: what waits for a group, without taking it.
//!
//! It reads as an observer: a consumer would keep the group's real consumer out, and each
//! message that it got would count as delivered.

use slipring::{GroupInfo, InFlightMessage, Observation, Observer, RecvError, Snapshot, Start};

use crate::args::PeekArgs;
use crate::dead_letters;
use crate::failure::{Failure, note, open_failed};
use crate::format::Form;
use crate::json::{Message, Payload, Source};
use crate::output::Output;
use crate::queue::{options, snapshot};
use crate::reading::{no_such_group, none_came, report_missed};
use crate::stop::Stop;
use crate::totals::Totals;

pub(super) fn run(args: &PeekArgs) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut totals = Totals::new("saw");
    let outcome = print_waiting(args, &stop, &mut output, &mut totals);
    totals.close(outcome.and_then(|()| output.close()), args.verbose)
}

fn print_waiting(
    args: &PeekArgs,
    stop: &Stop,
    output: &mut Output,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let snapshot = snapshot(&args.name)?;
    let name = &args.name;
    let Some(group) = snapshot.groups.iter().find(|group| group.name == args.group) else {
        let known = snapshot.groups.iter().map(|group| &*group.name);
        return Err(no_such_group(name, &args.group, known));
    };
    let observer = options().observe(name, Start::Newest);
    let mut observer: Observer = observer.map_err(|fault| open_failed(name, fault))?;
    observer.set_interrupt(output.asked(stop)?);
    // Without a timeout it shows what was there when it began.
    let end = if args.timeout.is_some() { u64::MAX } else { snapshot.tail };
    let left = args.count.unwrap_or(u64::MAX);
    let mut reading = Reading { observer, args, stop, output, totals, left, lost: 0 };
    for message in in_flight(group) {
        reading.in_flight(message)?;
    }
    for (start, end) in unacked(&snapshot, group, end) {
        reading.range(start, end)?;
    }
    reading.output.flush(stop)?;
    report_missed(reading.lost);
    if let Some(count) = dead_letters::retries(&snapshot, group).filter(|count| *count > 0) {
        let group = &group.name;
        note(&format!(
            "note: {count} dead letters that were sent again wait for the group as well:\n  \
             slipring peek {name}.{group}.retry --group {group}"
        ));
    }
    if let Some(asked) = args.sequence.filter(|_| totals.messages == 0) {
        let text = format!(
            "group {:?} of queue {name:?} does not have message {asked}: it is acked, or was not sent yet",
            group.name
        );
        return Err(
            Failure::failed(text).hint(format!("slipring group ls {name}  (shows what it has)"))
        );
    }
    Ok(())
}

/// The messages in flight, in order, without those that the ring still has for a member that is taking them.
fn in_flight(group: &GroupInfo) -> Vec<&InFlightMessage> {
    let claimed = |message: &InFlightMessage| {
        let mut ranges = group.members.iter().filter_map(|member| member.claimed.as_ref());
        !message.requeued && ranges.any(|range| range.contains(&message.sequence))
    };
    let all = group.in_flight.iter().flat_map(|in_flight| &in_flight.messages);
    let mut messages: Vec<_> = all.filter(|message| !claimed(message)).collect();
    messages.sort_unstable_by_key(|message| message.sequence);
    messages
}

/// Ranges of sequences that the group has not acked, in order and each once: what members of a shared group hold, and
/// what no consumer has taken yet, up to `end`.
fn unacked(snapshot: &Snapshot, group: &GroupInfo, end: u64) -> Vec<(u64, u64)> {
    let held = group.members.iter().filter_map(|member| member.claimed.as_ref());
    let held = held.map(|claimed| (claimed.start, claimed.end.min(snapshot.tail)));
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
    args: &'a PeekArgs,
    stop: &'a Stop,
    output: &'a mut Output,
    totals: &'a mut Totals,
    /// Messages that are still to be printed.
    left: u64,
    /// Messages that were overwritten before they were read: the group has acked them meanwhile.
    lost: u64,
}

impl Reading<'_> {
    /// A message in flight, from the place where it is until it is acked.
    fn in_flight(&mut self, message: &InFlightMessage) -> Result<(), Failure> {
        let is_asked = self.args.sequence.is_none_or(|asked| asked == message.sequence);
        if self.left == 0 || !is_asked {
            return Ok(());
        }
        self.stop.check()?;
        let Reading { observer, args, output, totals, .. } = self;
        let Some(message) = observer.in_flight(&args.group, message)? else { return Ok(()) };
        put(output, totals, args, &message);
        self.printed()
    }

    fn printed(&mut self) -> Result<(), Failure> {
        self.left -= 1;
        if self.output.is_large() { self.output.flush(self.stop) } else { Ok(()) }
    }

    fn range(&mut self, start: u64, end: u64) -> Result<(), Failure> {
        let (start, end) = match self.args.sequence {
            Some(asked) if !(start..end).contains(&asked) => return Ok(()),
            Some(asked) => (asked, asked + 1),
            None => (start, end),
        };
        self.observer.seek(start);
        let mut next = start;
        while self.left > 0 && self.observer.position() < end {
            self.stop.check()?;
            let message = match self.observer.try_recv() {
                Ok(message) => message,
                Err(RecvError::Empty) => {
                    // Messages in the buffer are printed before the wait.
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
            put(self.output, self.totals, self.args, &message);
            self.printed()?;
        }
        Ok(())
    }
}

fn put(output: &mut Output, totals: &mut Totals, args: &PeekArgs, message: &Observation<'_>) {
    let printed = Message {
        sequence: message.sequence(),
        kind: message.kind(),
        attempts: None,
        source: message.source().map(Source),
        payload: Payload(message),
    };
    let form = Form::from(args.form);
    output.put(|buffer| form.append(buffer, &printed));
    totals.bytes += message.len() as u64;
    totals.messages += 1;
}
