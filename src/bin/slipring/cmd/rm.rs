//! `slipring rm`: the queue, and not its dead letters, which may be all that is left of its messages.

use slipring::RemoveError;

use crate::args::RemoveArgs;
use crate::failure::{Failure, note, open_hint};
use crate::trust;

pub(crate) fn run(args: &RemoveArgs) -> Result<(), Failure> {
    trust::options().remove(&args.name, args.force).map_err(|fault| {
        let name = &args.name;
        let hint = match &fault {
            RemoveError::Busy { .. } => format!(
                "slipring rm {name} --force  (they keep their memory, and find the queue gone)"
            ),
            RemoveError::Unreadable { source, .. } => {
                open_hint(source).unwrap_or_else(|| format!("slipring rm {name} --force"))
            }
            RemoveError::NotFound { .. } => "slipring ls  (lists those that there are)".to_owned(),
            _ => return fault.into(),
        };
        Failure::from(fault).hint(hint)
    })?;
    for left in letters_left(&args.name) {
        note(&format!("note: its dead letters are still there: slipring rm {left}"));
    }
    Ok(())
}

/// Queues of dead letters that were made for the queue `name`, by their names.
fn letters_left(name: &str) -> Vec<String> {
    let Ok(mut names) = slipring::list() else { return Vec::new() };
    let own = |other: &str| {
        let rest = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        // A group's name may have dots, but then this may be another queue's.
        let group = |rest: &str| rest.strip_suffix(".retry").is_some_and(|g| !g.contains('.'));
        rest.is_some_and(|rest| rest == "dead" || group(rest))
    };
    names.retain(|other| own(other));
    names
}
