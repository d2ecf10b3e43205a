//! `slipring dead show`

use slipring::{DeadLetter, DeadLetters};

use super::letters::{age, append_json, each};
use crate::args::DeadShowArgs;
use crate::dead_letters::{command, open, target};
use crate::failure::{Failure, note};
use crate::output::Output;
use crate::stop::Stop;

pub(super) fn run(args: &DeadShowArgs) -> Result<(), Failure> {
    let name = target(&args.of);
    let queue = &args.of.queue;
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut found = 0;
    if let Some(letters) = open(&args.of, DeadLetters::observe_queue)? {
        each(letters, |seen, letter| {
            let Some(letter) = letter else { return Ok(true) };
            let wanted = args
                .sequence
                .is_none_or(|sequence| (letter.queue, letter.sequence) == (queue, sequence));
            if wanted && found == 0 {
                if args.json {
                    output.put(|buffer| append_json(buffer, seen, Some(letter)));
                } else {
                    describe(&name, letter);
                    output.put(|buffer| buffer.extend_from_slice(letter.payload));
                }
            }
            found += u64::from(wanted);
            Ok(args.sequence.is_some() || found == 0)
        })?;
    }
    match (found, args.sequence) {
        (0, None) => Err(Failure::failed(format!("there is no dead letter in {name:?}"))),
        (0, Some(sequence)) => {
            let text = format!("message {sequence} of {queue:?} is no dead letter in {name:?}");
            Err(Failure::failed(text).hint(command("ls", queue, &name)))
        }
        (found, _) => {
            if found > 1 {
                note(&format!(
                    "note: this is the oldest of {found} letters of the message:\n  {}",
                    command("ls", queue, &name)
                ));
            }
            output.flush(&stop)?;
            output.close()
        }
    }
}

fn describe(name: &str, letter: &DeadLetter<'_>) {
    note(&format!(
        "message {} of {:?}, a dead letter in {name:?}\n  given up by group {:?} ({}; deliveries: {}), \
         {}\n  kind {}, {} bytes",
        letter.sequence,
        letter.queue,
        letter.group,
        letter.reason,
        letter.attempts,
        age(letter.time),
        letter.kind,
        letter.payload.len(),
    ));
}
