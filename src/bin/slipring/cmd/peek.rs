//! `slipring recv --no-ack`: what waits for a group, without taking it.
//!
//! It reads beside the group, as an observer: a consumer that only looked would keep the group's real
//! consumer out, and its look would count as a delivery.

use slipring::{Observer, RecvError, Start};

use super::recv::{Patience, for_new_groups};
use super::snapshot;
use super::tail::report_missed;
use crate::args::RecvArgs;
use crate::failure::{Failure, note, open_failed};
use crate::format::{Facts, Form};
use crate::output::Output;
use crate::stop::Stop;
use crate::totals::Totals;
use crate::trust;

pub(super) fn run(args: &RecvArgs) -> Result<(), Failure> {
    if args.open.create || args.open.shape.is_given() {
        // Makes it, or says what is wrong with that.
        super::open(&args.name, &args.open)?;
    }
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut totals = Totals::new("received");
    let outcome = look(args, &stop, &mut output, &mut totals);
    totals.close(outcome, args.verbose)
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
    let observer = trust::options().observe(name, Start::Sequence(group.head));
    let mut observer: Observer = observer.map_err(|fault| open_failed(name, fault))?;
    let form = Form::from(args.form);
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut patience = Patience::new(args.timeout);
    // Without a timeout it shows what was there when it began.
    let end = if args.timeout.is_some() { u64::MAX } else { look.tail };
    while left > 0 && observer.position() < end {
        stop.check()?;
        let message = match observer.recv_timeout(patience.slice()) {
            Ok(message) => message,
            Err(RecvError::Timeout) => {
                output.flush(stop)?;
                patience.check(output)?;
                continue;
            }
            Err(RecvError::Closed) => break,
            Err(fault) => return Err(fault.into()),
        };
        // It may have been overtaken by the producer, and gone on further up.
        if message.sequence() >= end {
            break;
        }
        let facts = Facts { sequence: message.sequence(), kind: message.kind(), attempts: None };
        form.append(output.buffer(), facts, &message);
        totals.bytes += message.len() as u64;
        totals.messages += 1;
        left -= 1;
        patience.renew();
        if output.is_large() {
            output.flush(stop)?;
        }
    }
    output.flush(stop)?;
    report_missed(observer.missed());
    Ok(())
}
