//! A look at letters, without a trace.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use slipring::{DeadLetter, ErrorCode, Observation, Observer, RecvError};

use crate::failure::{Failure, error_json};
use crate::format::append_payload;
use crate::table::duration;

/// How long to look for a letter that is there. It may be overwritten just before each look.
const WITHIN: Duration = Duration::from_millis(100);

/// An observer of the letters, and where those end that are there now.
pub(super) type Letters = (Observer, u64);

/// Shows each message that waits now to `look`, from the oldest on, until it says false. `None`: somebody
/// has sent something else there.
pub(super) fn each(
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

/// How long ago that was.
pub(super) fn age(time: SystemTime) -> String {
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    format!("{} ago", duration(age.as_secs()))
}

/// Appends a line of JSON. Writing to a Vec does not fail.
pub(super) fn append_json(
    out: &mut Vec<u8>,
    seen: &Observation<'_>,
    letter: Option<&DeadLetter<'_>>,
) {
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
