//! What is wrong with dead letters, and the commands that help.

use slipring::{
    DeadLetterSendError, JoinError, OpenError, OpenOrCreateError, RecvError, RequeueReason,
    SendError,
};

use crate::args::LettersArgs;
use crate::failure::{Failure, create_hint, open_hint};

/// Name of the queue that the letters are in.
pub(crate) fn target(of: &LettersArgs) -> String {
    of.letters.clone().unwrap_or_else(|| format!("{}.dead", of.queue))
}

/// A command of `slipring dead` for letters of `queue` in the queue `target`.
pub(crate) fn command(what: &str, queue: &str, target: &str) -> String {
    if target == format!("{queue}.dead") {
        format!("slipring dead {what} {queue}")
    } else {
        format!("slipring dead {what} {queue} --letters {target}")
    }
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
                    format!("slipring groups {from}  (says who reads for it)"),
                    format!(
                        "slipring recv {from} --group {group}  (with --shared, if it is shared)"
                    ),
                ]
            }
            _ => vec![format!("slipring inspect {queue}")],
        },
        RequeueReason::NotALetter { .. } => vec![purge_one()],
        _ => Vec::new(),
    };
    hints.iter().fold(Failure::failed(fault.to_string()), Failure::hint)
}

/// The error of receiving from `queue`.
pub(crate) fn receive_failed(queue: &str, fault: RecvError) -> Failure {
    let hints = match &fault {
        RecvError::DeadLetter(letter) => match letter.reason() {
            DeadLetterSendError::Send(SendError::Full(_)) => {
                let ways = [
                    ("list", "says what is there"),
                    ("requeue", "sends it again"),
                    ("purge", "throws it away"),
                ];
                let hint =
                    |(what, does)| format!("{}  ({does})", command(what, queue, letter.target()));
                ways.map(hint).to_vec()
            }
            DeadLetterSendError::Open(OpenOrCreateError::Open(
                fault @ OpenError::ForeignOwner { .. },
            )) => open_hint(fault).into_iter().collect(),
            _ => vec![format!("slipring inspect {}", letter.target())],
        },
        _ => Vec::new(),
    };
    hints.iter().fold(Failure::from(fault), Failure::hint)
}
