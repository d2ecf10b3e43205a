//! Reading letters as an observer, which changes nothing.

use std::time::{Duration, SystemTime};

use slipring::{DeadLetter, ErrorCode, Observation, Observer, RecvError};

use crate::failure::{Failure, json_error};
use crate::json::{self, Letter, NoLetter, Payload, Time};
use crate::table::duration;

/// How long to wait for a letter that is there. It may be overwritten just before each read.
const WITHIN: Duration = Duration::from_millis(100);

/// An observer of the letters, and where those end that are there now.
pub(super) type Letters = (Observer, u64);

/// Calls `visit` with each message that waits now, from the oldest on, until it returns false. The letter is `None` for
/// a message of another kind.
pub(super) fn each(
    (mut observer, end): Letters,
    mut visit: impl FnMut(&Observation<'_>, Option<&DeadLetter<'_>>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    while observer.position() < end {
        let seen = match observer.recv_timeout(WITHIN) {
            Ok(seen) => seen,
            // They were removed meanwhile.
            Err(RecvError::Timeout { .. } | RecvError::Closed { .. }) => break,
            Err(fault) => return Err(fault.into()),
        };
        let letter = DeadLetter::parse(seen.kind(), &seen);
        if seen.sequence() >= end || !visit(&seen, letter.as_ref())? {
            break;
        }
    }
    Ok(())
}

/// How long ago that was.
pub(super) fn age(time: SystemTime) -> String {
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{} ago", duration(age.as_secs()))
}

/// Appends a line of JSON.
pub(super) fn append_json(
    out: &mut Vec<u8>,
    seen: &Observation<'_>,
    letter: Option<&DeadLetter<'_>>,
) {
    let Some(letter) = letter else {
        let code = ErrorCode::NotALetter;
        let error = json_error(code, code.meaning());
        return json::append(out, &NoLetter { letter: seen.sequence(), error });
    };
    json::append(
        out,
        &Letter {
            letter: seen.sequence(),
            queue: letter.queue,
            group: letter.group,
            sequence: letter.sequence,
            attempts: letter.attempts,
            reason: letter.reason.to_string(),
            time: Time(letter.time),
            kind: letter.kind,
            payload: Payload(letter.payload),
        },
    );
}
