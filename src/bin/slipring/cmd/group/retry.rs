//! `slipring group retry`

use slipring::InFlightMessage;

use super::{listed, messages_failed};
use crate::args::GroupRetryArgs;
use crate::failure::Failure;
use crate::json::{self, Retried};
use crate::output::print;
use crate::queue::open_existing;

pub(crate) fn run(args: &GroupRetryArgs) -> Result<(), Failure> {
    let (name, group) = (&args.name, &args.group);
    let asked = |message: &InFlightMessage| args.all || args.sequence == Some(message.sequence);
    let queue = open_existing(name)?;
    let retried = queue.retry_now(group, asked).map_err(|fault| messages_failed(name, fault))?;
    match args.json {
        true => print(&json::line(&Retried { queue: name, group, retried: &retried }))?,
        false if retried.is_empty() && args.sequence.is_some() => {}
        false => print(&to_text(&retried))?,
    }
    match args.sequence.filter(|_| retried.is_empty()) {
        Some(sequence) => {
            let hint = format!("slipring group ls {name}  (says which messages wait, until when)");
            Err(Failure::failed(format!(
                "message {sequence} of group {group:?} does not wait for another try"
            ))
            .hint(hint))
        }
        None => Ok(()),
    }
}

fn to_text(retried: &[u64]) -> String {
    match retried {
        [] => "no message waits for another try\n".to_owned(),
        [one] => format!("1 message is due now: {one}\n"),
        some => format!("{} messages are due now: {}\n", some.len(), listed(some)),
    }
}
