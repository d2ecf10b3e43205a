//! `slipring tail`

use std::time::{Duration, Instant};

use slipring::{Observer, RecvError};

use crate::args::TailArgs;
use crate::failure::{Failure, note, open_failed};
use crate::format::Form;
use crate::json::{Message, Payload, Source};
use crate::output::Output;
use crate::queue::{options, snapshot};
use crate::reading::{at_the_end, explain_closed, none_came, report_missed};
use crate::stop::Stop;
use crate::totals::Totals;

/// Losses are reported no more often than this; those between are added up.
const REPORT_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &TailArgs) -> Result<(), Failure> {
    let observer = options().observe(&args.name, args.from);
    let mut observer = observer.map_err(|fault| open_failed(&args.name, fault))?;
    observer.set_follow(args.follow);
    if !args.follow {
        explain_closed(&snapshot(&args.name)?);
    }
    if let Some(wait) = args.wait {
        observer.set_wait_strategy(wait.into());
    }
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    observer.set_interrupt(output.asked(&stop)?);
    let mut totals = Totals::new("saw");
    let outcome = watch(&mut observer, args, &stop, &mut output, &mut totals);
    if !matches!(outcome, Err(Failure::Closed)) {
        report_missed(observer.missed());
    }
    totals.close(outcome.and_then(|()| output.close()), args.verbose)
}

fn watch(
    observer: &mut Observer,
    args: &TailArgs,
    stop: &Stop,
    output: &mut Output,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let form = Form::from(args.form);
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut losses = Losses::default();
    while left > 0 {
        stop.check()?;
        let message = match observer.try_recv() {
            Ok(message) => message,
            Err(RecvError::Empty) => {
                // Messages in the buffer are printed before the wait.
                output.flush(stop)?;
                losses.report();
                let received = match args.timeout {
                    Some(timeout) => observer.recv_timeout(timeout),
                    None => observer.recv(),
                };
                match received {
                    Ok(message) => message,
                    Err(RecvError::Timeout { .. }) => return Err(none_came(args.timeout)),
                    Err(RecvError::Interrupted { .. }) => return Err(stop.ended()),
                    Err(RecvError::Closed { .. }) => break,
                    Err(fault) => return Err(fault.into()),
                }
            }
            Err(RecvError::Closed { .. }) => break,
            Err(fault) => {
                output.flush(stop)?;
                return Err(fault.into());
            }
        };
        losses.add(message.missed(), message.sequence());
        let printed = Message {
            sequence: message.sequence(),
            kind: message.kind(),
            attempts: None,
            source: message.source().map(Source),
            payload: Payload(&message),
        };
        output.put(|buffer| form.append(buffer, &printed));
        totals.bytes += message.len() as u64;
        totals.messages += 1;
        left -= 1;
        if output.is_large() {
            output.flush(stop)?;
        }
    }
    losses.report();
    output.flush(stop)?;
    if left > 0 { at_the_end(&args.name, totals.messages, args.count) } else { Ok(()) }
}

/// Losses that were not reported yet.
#[derive(Default)]
struct Losses {
    missed: u64,
    before: u64,
    reported: Option<Instant>,
}

impl Losses {
    fn add(&mut self, missed: u64, before: u64) {
        if missed > 0 {
            self.missed += missed;
            self.before = before;
            if self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
                self.report();
            }
        }
    }

    fn report(&mut self) {
        if self.missed > 0 {
            note(&format!("missed {} messages before message {}", self.missed, self.before));
            self.missed = 0;
            self.reported = Some(Instant::now());
        }
    }
}
