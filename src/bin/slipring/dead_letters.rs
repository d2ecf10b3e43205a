//! Queues of dead letters and of retries: their names, what is wrong with them, and the commands that help.

use std::time::Duration;

use slipring::{
    CreateError, DeadLetterSendError, FindingKind, GroupInfo, JoinError, Monitor, OpenError,
    OpenOptions, OpenOrCreateError, RecvError, Remedy, RequeueReason, SendError, Severity,
    Snapshot,
};

use crate::args::LettersArgs;
use crate::failure::{Failure, create_hint, open_hint};
use crate::queue::{options, snapshot};

/// Name of the queue that the letters are in.
pub(crate) fn target(of: &LettersArgs) -> String {
    of.dead_letters.clone().unwrap_or_else(|| format!("{}.dead", of.queue))
}

/// Opens the dead-letter queue by `open`; `None` if there never was a letter.
pub(crate) fn open<T>(
    of: &LettersArgs,
    open: fn(&str, &OpenOptions) -> Result<T, OpenError>,
) -> Result<Option<T>, Failure> {
    match open(&target(of), &options()) {
        Ok(opened) => Ok(Some(opened)),
        // If the queue itself is missing, its name was mistyped, rather.
        Err(OpenError::NotFound { .. }) => match letters_of(&snapshot(&of.queue)?) {
            Some(named) => {
                let letters = match named == of.queue {
                    true => "dead letters".to_owned(),
                    false => format!("the dead letters of queue {named:?}"),
                };
                let text = format!("queue {:?} itself holds {letters}", of.queue);
                Err(Failure::failed(text).hint(command("ls", named, &of.queue)))
            }
            None => Ok(None),
        },
        Err(fault) => Err(fault.into()),
    }
}

/// Dead letters that were sent again and wait for the group; `None` if there never were any.
pub(crate) fn retries(snapshot: &Snapshot, group: &GroupInfo) -> Option<u64> {
    let name = format!("{}.{}.retry", snapshot.name, group.name);
    let snapshot = options().snapshot(&name).ok()?;
    snapshot.groups.iter().find(|found| found.name == group.name).map(|found| found.depth)
}

/// What a queue is for that dead letters go into; `None` for any other.
pub(crate) fn purpose(snapshot: &Snapshot) -> Option<String> {
    if !snapshot.is_for_letters() {
        return None;
    }
    let letters = || match snapshot.name.strip_suffix(".dead") {
        Some(queue) => format!("dead letters of queue {queue:?}"),
        None => "dead letters".to_owned(),
    };
    let retries = |(group, queue)| format!("retry queue of group {group:?} of queue {queue:?}");
    Some(retries_of(snapshot).map_or_else(letters, retries))
}

/// The group whose retries are in this queue, and its queue. A name with dots can be taken apart in several ways, but the
/// group has the same name in both queues.
fn retries_of(snapshot: &Snapshot) -> Option<(&str, &str)> {
    snapshot.groups.iter().find_map(|group| {
        let queue = snapshot.name.strip_suffix(&format!(".{}.retry", group.name))?;
        Some((&*group.name, queue))
    })
}

/// What commands call the queue whose dead letters are in this one: as its name says, or, where they may be of any, by the
/// name of this one.
pub(crate) fn letters_of(snapshot: &Snapshot) -> Option<&str> {
    if !snapshot.is_for_letters() || retries_of(snapshot).is_some() {
        return None;
    }
    Some(snapshot.name.strip_suffix(".dead").unwrap_or(&snapshot.name))
}

/// A command of `slipring dead` for letters of `queue` in the queue `target`.
pub(crate) fn command(what: &str, queue: &str, target: &str) -> String {
    if target == format!("{queue}.dead") {
        format!("slipring dead {what} {queue}")
    } else {
        format!("slipring dead {what} {queue} --dead-letters {target}")
    }
}

/// Commands for the letters of `queue` that wait in the queue `target`.
pub(crate) fn what_to_do_with_letters(queue: &str, target: &str) -> [String; 3] {
    let ways =
        [("ls", "says what is there"), ("requeue", "sends it again"), ("purge", "throws it away")];
    ways.map(|(what, does)| format!("{}  ({does})", command(what, queue, target)))
}

/// The error of purging or requeueing.
pub(crate) fn work_failed(of: &LettersArgs, fault: &RequeueReason) -> Failure {
    let purge_one = || {
        let purge = command("purge", &of.queue, &target(of));
        format!("{purge} --count 1  (throws this letter away)")
    };
    let hints = match fault {
        RequeueReason::Join(JoinError::Taken { .. }) => {
            vec!["only one can purge or requeue at a time: try again when it is done".to_owned()]
        }
        RequeueReason::NoSuchGroup { queue, group } => vec![
            format!("slipring group add {queue} {group}  (with --shared, if it was shared)"),
            purge_one(),
        ],
        RequeueReason::Open(OpenError::NotFound { queue }) => {
            vec![create_hint(queue), purge_one()]
        }
        RequeueReason::Send { queue, reason } => match &**reason {
            DeadLetterSendError::Send(SendError::Full(full)) => {
                let group = full.group();
                let from = queue.strip_suffix(&format!(".{group}.retry")).unwrap_or(&of.queue);
                vec![
                    format!("slipring group ls {from}  (says who reads for it)"),
                    format!(
                        "slipring recv {from} --group {group}  (with --shared, if it is shared)"
                    ),
                ]
            }
            _ => vec![format!("slipring info {queue}")],
        },
        RequeueReason::NotALetter { .. } | RequeueReason::GroupAbandoned { .. } => {
            vec![purge_one()]
        }
        RequeueReason::Full { queue, group, .. } => no_place(queue, group, &target(of)),
        _ => Vec::new(),
    };
    hints.iter().fold(Failure::coded(fault.code(), fault.to_string()), Failure::hint)
}

/// Hints for a group all of whose places are in use: a command that shows which consumer has which message, and, if messages
/// wait there to become dead letters, commands that make room for the letters.
fn no_place(queue: &str, group: &str, target: &str) -> Vec<String> {
    let mut hints = vec![format!(
        "slipring group ls {queue}  (says which messages are in its places, and why)"
    )];
    let groups = options().snapshot(queue).map(|snapshot| snapshot.groups).unwrap_or_default();
    let exhausted = groups.iter().any(|info| info.name == group && info.exhausted() > 0);
    if exhausted {
        hints.extend(make_room(target));
    }
    hints
}

/// Commands that make room in a queue of letters that is full, as `stats` prints them, without the one that throws letters
/// away.
fn make_room(target: &str) -> Vec<String> {
    let found = Monitor::open(target, &options()).map(|it| it.stats(Duration::ZERO).findings());
    let found = found.unwrap_or_default().into_iter();
    let full =
        found.filter(|it| it.kind == FindingKind::DeadLetters && it.severity == Severity::Error);
    let remedies = full.flat_map(|finding| finding.remedies);
    let moves = remedies.filter(|it| !it.command.starts_with("slipring dead "));
    moves.map(|Remedy { command, effect, .. }| format!("{command}  ({effect})")).collect()
}

/// The error of receiving from `queue`.
pub(crate) fn receive_failed(queue: &str, fault: RecvError) -> Failure {
    let hints = match &fault {
        RecvError::DeadLetter(letter) => match letter.reason() {
            DeadLetterSendError::Send(SendError::Full(_)) => {
                let [list, requeue, purge] = what_to_do_with_letters(queue, letter.target());
                let mut hints = vec![list, requeue];
                hints.extend(make_room(letter.target()));
                hints.push(purge);
                hints
            }
            DeadLetterSendError::Open(OpenOrCreateError::Open(
                fault @ OpenError::ForeignOwner { .. },
            )) => open_hint(fault).into_iter().collect(),
            // It is not there.
            DeadLetterSendError::Open(OpenOrCreateError::Create(CreateError::NoRoom {
                ..
            })) => {
                vec!["df /dev/shm  (says how much is free)".to_owned()]
            }
            DeadLetterSendError::Open(OpenOrCreateError::Create(_)) => Vec::new(),
            _ => vec![format!("slipring info {}", letter.target())],
        },
        _ => Vec::new(),
    };
    hints.iter().fold(Failure::from(fault), Failure::hint)
}
