//! `slipring recv`

mod held;
mod in_flight;

use slipring::RecvError;

use super::exec;
use crate::args::RecvArgs;
use crate::dead_letters;
use crate::failure::Failure;
use crate::format::Form;
use crate::json::Message;
use crate::output::Output;
use crate::reading::{
    Member, at_the_end, check_options, explain_closed, join, max_attempts, none_came,
    open_to_receive,
};
use crate::stop::Stop;
use crate::totals::Totals;

pub(crate) fn run(args: &RecvArgs) -> Result<(), Failure> {
    if let Some(command) = &args.exec.command {
        return exec::run(args, command);
    }
    check_options(args)?;
    let queue = open_to_receive(args)?;
    let stop = Stop::on_signals()?;
    let output = Output::stdout()?;
    let member = join(&queue, args)?;
    if !args.follow {
        explain_closed(&queue.snapshot()?);
    }
    // What is taken in a batch has been delivered, written or not, and may have no attempt left.
    let batch = if max_attempts(&queue, args)? == Some(1) { 1 } else { args.batch };
    let totals = Totals::new("received");
    let mut task = Task { args, batch, form: args.form.into(), stop, output, totals };
    let outcome = match member {
        Member::Consumer(consumer) => held::receive(&mut task, *consumer),
        Member::Worker(worker) => in_flight::receive(&mut task, *worker),
    };
    task.totals.close(outcome.and_then(|()| task.output.close()), args.verbose)
}

/// What to receive, and where it goes.
struct Task<'a> {
    args: &'a RecvArgs,
    batch: u64,
    form: Form,
    stop: Stop,
    output: Output,
    totals: Totals,
}

impl Task<'_> {
    /// How many messages may come now; 0 if there is to be no more.
    fn most(&self) -> usize {
        let left = self.args.count.unwrap_or(u64::MAX).saturating_sub(self.totals.messages);
        self.batch.min(left) as usize
    }

    fn put(&mut self, message: &Message<'_>) {
        let form = self.form;
        self.output.put(|buffer| form.append(buffer, message));
    }

    fn count(&mut self, messages: u64, bytes: u64) {
        self.totals.messages += messages;
        self.totals.bytes += bytes;
    }

    /// Why nothing was received, and so how this ends.
    fn not_received(&self, fault: RecvError) -> Result<(), Failure> {
        let Task { args, totals, .. } = self;
        match fault {
            RecvError::Timeout { .. } => Err(none_came(args.timeout)),
            RecvError::Interrupted { .. } => Err(self.stop.ended()),
            RecvError::Closed { .. } => at_the_end(&args.name, totals.messages, args.count),
            fault => Err(dead_letters::receive_failed(&args.name, fault)),
        }
    }
}
