//! `slipring rm`: the queue, and not its dead letters, which may be all that is left of its messages.

use slipring::RemoveError;

use crate::args::RemoveArgs;
use crate::dead_letters::{command, letters_of, purpose, what_to_do_with_letters};
use crate::failure::{Failure, note, open_hint};
use crate::queue::{options, snapshot};
use crate::table::count;

pub(crate) fn run(args: &RemoveArgs) -> Result<(), Failure> {
    let elsewhere = letters_elsewhere(&args.name);
    let removed = match args.force {
        true => options().force_remove(&args.name),
        false => options().remove(&args.name),
    };
    removed.map_err(|fault| failed(&args.name, fault))?;
    let Ok(names) = slipring::list() else { return Ok(()) };
    for left in names {
        let what = left_of(&args.name, &left);
        let what = what.or_else(|| left_elsewhere(&left).filter(|_| elsewhere.contains(&left)));
        if let Some(what) = what {
            note(&format!("note: {what}"));
        }
    }
    Ok(())
}

fn failed(name: &str, fault: RemoveError) -> Failure {
    let hints = match &fault {
        RemoveError::Busy { .. } => vec![format!(
            "slipring rm {name} --force  (they keep their memory, and find the queue gone)"
        )],
        RemoveError::Unacked { .. } => {
            let found = snapshot(name).ok();
            let purpose = found.as_ref().and_then(purpose);
            let mut hints: Vec<_> =
                purpose.map(|purpose| format!("its purpose: {purpose}")).into_iter().collect();
            match found.as_ref().and_then(letters_of) {
                Some(of) => hints.extend(what_to_do_with_letters(of, name)),
                None => hints.push(format!("slipring group ls {name}  (shows their consumers)")),
            }
            hints.push(format!("slipring rm {name} --force  (the messages are lost)"));
            hints
        }
        RemoveError::Unreadable { reason, .. } => {
            vec![open_hint(reason).unwrap_or_else(|| format!("slipring rm {name} --force"))]
        }
        RemoveError::NotFound { .. } => {
            vec!["slipring ls  (lists those that there are)".to_owned()]
        }
        _ => Vec::new(),
    };
    hints.iter().fold(Failure::from(fault), Failure::hint)
}

/// What to say of the queue `left`, if it was made for dead letters of the queue `name`.
fn left_of(name: &str, left: &str) -> Option<String> {
    let rest = left.strip_prefix(name)?.strip_prefix('.')?;
    // A group's name may have dots, but then this may be another queue's.
    let group = rest.strip_suffix(".retry").filter(|group| !group.contains('.'));
    if group.is_none() && rest != "dead" {
        return None;
    }
    let snapshot = options().snapshot(left).ok()?;
    // Another program may have given a queue of its own such a name.
    let reader = group.unwrap_or("dead");
    let read = snapshot.groups.iter().any(|found| found.name == reader);
    if !read && purpose(&snapshot).is_none() {
        return None;
    }
    let of = match group {
        None => "its queue of dead letters".to_owned(),
        Some(group) => format!("the retry queue of its group {group:?}"),
    };
    let look = match group {
        None => command("ls", name, left),
        Some(group) => format!("slipring peek {left} --group {group}"),
    };
    Some(match snapshot.depth() {
        // Without a group no figure says how many messages are in it.
        0 if !read => {
            format!("{of}, which has no group {reader:?}, is still there: slipring rm {left}")
        }
        0 => format!("{of}, which is empty, is still there: slipring rm {left}"),
        waiting => letters_left(waiting, &of, &look, left),
    })
}

fn letters_left(waiting: u64, of: &str, look: &str, left: &str) -> String {
    let letters = count(waiting, "dead letter", "dead letters");
    let (are, them) = if waiting == 1 { ("is", "it") } else { ("are", "them") };
    format!(
        "{letters} in {of} {are} still there:\n  {look}  (shows {them})\n  slipring rm {left} --force  (throws {them} away)"
    )
}

/// Queues of other names that groups of this one have their letters in.
fn letters_elsewhere(name: &str) -> Vec<String> {
    let groups = options().snapshot(name).map(|snapshot| snapshot.groups).unwrap_or_default();
    groups.into_iter().filter_map(|group| group.dead_letters).collect()
}

/// What to say of such a queue. Letters of other queues may be in it as well.
fn left_elsewhere(left: &str) -> Option<String> {
    let snapshot = options().snapshot(left).ok()?;
    let waiting = purpose(&snapshot).map(|_| snapshot.depth()).filter(|waiting| *waiting > 0)?;
    let of = format!("queue {left:?}, perhaps of several queues,");
    Some(letters_left(waiting, &of, &command("ls", left, left), left))
}
