//! What `--json` prints: lines of one object each, whose first member is the version of this form.
//!
//! These types are the form; docs/cli.md describes it. A member that is added leaves the version as it is. One that
//! goes, or changes its meaning, takes a new version.

mod error;
mod group;
mod letter;
mod message;
mod queue;
mod stats;
mod stream;

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use slipring::Mode;

pub(crate) use error::{Error, Failed, Note};
pub(crate) use group::{
    Evicted, Group, Groups, InFlight, InFlightMessage, Member, ReservedPlaces, Retried,
};
pub(crate) use letter::{Letter, NoLetter};
pub(crate) use message::{Message, Payload};
pub(crate) use queue::{Listed, Queue, Queues, Refused, Summary};
pub(crate) use stats::{QueueStats, Stats};
pub(crate) use stream::{Source, Stream, Streams};

const VERSION: u8 = 1;

/// An object with its version.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    v: u8,
    #[serde(flatten)]
    value: &'a T,
}

/// Appends a line.
pub(crate) fn append(out: &mut Vec<u8>, value: &impl Serialize) {
    let whole = out.len();
    // Writing to a Vec does not fail, and all keys are text.
    if serde_json::to_writer(&mut *out, &Line { v: VERSION, value }).is_err() {
        out.truncate(whole);
    }
    out.push(b'\n');
}

/// A line as text.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    append(&mut out, value);
    String::from_utf8(out).unwrap_or_default()
}

/// How a group's messages are given out.
pub(crate) fn mode(mode: Option<Mode>) -> String {
    mode.map_or_else(|| "unknown".to_owned(), |mode| mode.to_string())
}

/// A point in time: RFC 3339, in UTC, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) SystemTime);

impl Time {
    pub(crate) fn now() -> Time {
        Time(SystemTime::now())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What another process has written there may be no time that a calendar has.
        match Timestamp::try_from(self.0) {
            Ok(time) => serializer.collect_str(&format_args!("{time:.3}")),
            Err(_) => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_line_is_an_object_that_begins_with_its_version() {
        #[derive(Serialize)]
        struct Two {
            first: u8,
            time: Time,
        }
        let time = Time(UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!(
            line(&Two { first: 2, time }),
            "{\"v\":1,\"first\":2,\"time\":\"1970-01-01T00:00:01.500Z\"}\n"
        );
    }
}
