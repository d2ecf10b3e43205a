//! `slipring dead list` and `slipring dead show`: without a trace.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use slipring::{DeadLetter, DeadLetters, ErrorCode, Observation, Observer, RecvError};

use super::open;
use crate::args::{DeadListArgs, DeadShowArgs, LettersArgs};
use crate::dead_letters::{command, target};
use crate::failure::{Failure, error_json, note};
use crate::format::append_payload;
use crate::output::{Output, print};
use crate::queue;
use crate::stop::Stop;
use crate::table::{Table, duration};

/// Rows of a table. What comes then is aligned anew: a queue may hold millions of letters.
const PAGE: u64 = 10_000;

/// How long to look for a letter that is there. It may be overwritten just before each look.
const WITHIN: Duration = Duration::from_millis(100);

/// An observer of the letters, and where those end that are there now.
type Letters = (Observer, u64);

pub(super) fn list(args: &DeadListArgs) -> Result<(), Failure> {
    mention_others(&args.of);
    let Some(letters) = open(&args.of, DeadLetters::observe_queue)? else {
        note(&format!("there is no dead letter in {:?}: there never was one", target(&args.of)));
        return Ok(());
    };
    if args.json { list_json(letters, args) } else { list_text(letters, args) }
}

/// Says which groups have their dead letters elsewhere.
fn mention_others(of: &LettersArgs) {
    if of.letters.is_some() {
        return;
    }
    // The queue may be gone, and its dead letters not.
    let groups = queue::options().snapshot(&of.queue).map(|look| look.groups);
    for group in groups.unwrap_or_default() {
        if let Some(letters) = &group.dead_letters {
            note(&format!(
                "note: dead letters of group {:?} are in another queue:\n  {}",
                group.name,
                command("list", &of.queue, letters)
            ));
        }
    }
}

fn list_text(letters: Letters, args: &DeadListArgs) -> Result<(), Failure> {
    let heading = ["SEQUENCE", "QUEUE", "GROUP", "ATTEMPTS", "REASON", "AGE", "KIND", "SIZE"];
    let mut table = Table::new(&heading);
    let mut rows = 0;
    each(letters, |seen, letter| {
        if Some(rows) == args.count {
            return Ok(false);
        }
        if rows > 0 && rows % PAGE == 0 {
            print(&std::mem::replace(&mut table, Table::new(&heading)).text())?;
        }
        table.row(row(seen, letter));
        rows += 1;
        Ok(true)
    })?;
    if rows == 0 {
        note(&format!("there is no dead letter in {:?}", target(&args.of)));
        return Ok(());
    }
    print(&table.text())
}

fn row(seen: &Observation<'_>, letter: Option<&DeadLetter<'_>>) -> Vec<String> {
    let Some(letter) = letter else {
        let mut cells = ["-", "-", "-", "-", "no letter", "-"].map(str::to_owned).to_vec();
        cells.extend([seen.kind().to_string(), seen.len().to_string()]);
        return cells;
    };
    vec![
        // By which `dead show` finds it; its number among the letters is nobody's affair.
        letter.sequence.to_string(),
        // Whoever may write there may have written anything.
        letter.queue.escape_debug().to_string(),
        letter.group.escape_debug().to_string(),
        letter.attempts.to_string(),
        letter.reason.to_string(),
        age(letter.time),
        letter.kind.to_string(),
        letter.payload.len().to_string(),
    ]
}

fn list_json(letters: Letters, args: &DeadListArgs) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut output = Output::stdout()?;
    let mut lines = 0;
    each(letters, |seen, letter| {
        if Some(lines) == args.count {
            return Ok(false);
        }
        output.put(|buffer| append_json(buffer, seen, letter));
        lines += 1;
        if output.is_large() {
            output.flush(&stop)?;
        }
        Ok(true)
    })?;
    output.flush(&stop)?;
    output.close()
}

pub(super) fn show(args: &DeadShowArgs) -> Result<(), Failure> {
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
            Err(Failure::failed(text).hint(command("list", queue, &name)))
        }
        (found, _) => {
            if found > 1 {
                note(&format!(
                    "note: this is the oldest of {found} letters of the message:\n  {}",
                    command("list", queue, &name)
                ));
            }
            output.flush(&stop)?;
            output.close()
        }
    }
}

/// Shows each message that waits now to `look`, from the oldest on, until it says false. `None`: somebody
/// has sent something else there.
fn each(
    (mut observer, end): Letters,
    mut look: impl FnMut(&Observation<'_>, Option<&DeadLetter<'_>>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    while observer.position() < end {
        let seen = match observer.recv_timeout(WITHIN) {
            Ok(seen) => seen,
            // They went while this looked.
            Err(RecvError::Timeout { .. } | RecvError::Closed { .. }) => break,
            Err(fault) => return Err(fault.into()),
        };
        let letter = DeadLetter::parse(seen.kind(), &seen);
        if seen.sequence() >= end || !look(&seen, letter.as_ref())? {
            break;
        }
    }
    Ok(())
}

fn age(time: SystemTime) -> String {
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{} ago", duration(age.as_secs()))
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

// Writing to a Vec does not fail.
fn append_json(out: &mut Vec<u8>, seen: &Observation<'_>, letter: Option<&DeadLetter<'_>>) {
    let _ = write!(out, "{{\"letter\":{}", seen.sequence());
    match letter {
        None => {
            let error = error_json(ErrorCode::NotALetter, ErrorCode::NotALetter.meaning());
            let _ = write!(out, ",\"error\":{error}");
        }
        Some(letter) => {
            let since_1970 = letter.time.duration_since(UNIX_EPOCH).unwrap_or_default();
            let _ = write!(
                out,
                ",\"queue\":{},\"group\":{},\"sequence\":{},\"attempts\":{},\"reason\":\"{}\",\
                 \"time\":{},\"kind\":{}",
                Value::from(letter.queue),
                Value::from(letter.group),
                letter.sequence,
                letter.attempts,
                letter.reason,
                since_1970.as_secs_f64(),
                letter.kind,
            );
            append_payload(out, letter.payload);
        }
    }
    out.extend_from_slice(b"}\n");
}
