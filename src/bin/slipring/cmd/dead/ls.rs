//! `slipring dead ls`

use slipring::{DeadLetter, DeadLetters, Observation};

use super::letters::{Letters, age, append_json, each};
use crate::args::{DeadListArgs, LettersArgs};
use crate::dead_letters::{command, open, target};
use crate::failure::{Failure, note};
use crate::output::{Output, print};
use crate::queue::options;
use crate::stop::Stop;
use crate::table::Table;

/// Rows of a table. What comes then is aligned anew: a queue may hold millions of letters.
const PAGE: u64 = 10_000;

pub(super) fn run(args: &DeadListArgs) -> Result<(), Failure> {
    mention_others(&args.of);
    let Some(letters) = open(&args.of, DeadLetters::observe_queue)? else {
        note(&format!("there is no dead letter in {:?}: there never was one", target(&args.of)));
        return Ok(());
    };
    if args.json { list_json(letters, args) } else { list_text(letters, args) }
}

/// Says which groups have their dead letters elsewhere.
fn mention_others(of: &LettersArgs) {
    if of.dead_letters.is_some() {
        return;
    }
    // The queue may be gone, and its dead letters not.
    let groups = options().snapshot(&of.queue).map(|snapshot| snapshot.groups);
    for group in groups.unwrap_or_default() {
        if let Some(letters) = &group.dead_letters {
            note(&format!(
                "note: dead letters of group {:?} are in another queue:\n  {}",
                group.name,
                command("ls", &of.queue, letters)
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
        // `dead show` finds the letter by it.
        letter.sequence.to_string(),
        // Another process may have written anything there.
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
