//! What the segment tells of messages in flight: which is the oldest, since when it has its time, until when.

use std::cmp::Reverse;
use std::time::Duration;

use slipring::{GroupInfo, InFlightInfo, InFlightMessage};

/// Times of messages in flight are that exact.
const EXACT: Duration = Duration::from_millis(10);
/// A due is by so much later than asked for, at most: it is kept in steps of 4 ms, and allows for a clock that lags.
const LATER: Duration = Duration::from_millis(21);

/// The one that was received, or sent again, first.
pub(crate) fn oldest(in_flight: &InFlightInfo) -> Option<&InFlightMessage> {
    in_flight.messages.iter().max_by_key(|message| (message.received, Reverse(message.sequence)))
}

/// How long ago a message that a consumer has got its present time, if that was after it was received first: its consumer
/// has asked for more, or it was delivered again.
pub(crate) fn renewed(in_flight: &InFlightInfo, message: &InFlightMessage) -> Option<Duration> {
    message.record?;
    // A program may ask for more than the ack timeout: then it is not known when.
    let since = (in_flight.ack_timeout? + LATER).checked_sub(message.due?)?;
    (message.due? > Duration::ZERO && message.received? > since + EXACT).then_some(since)
}

/// The seconds until then, rounded up.
pub(crate) fn seconds_until(due: Duration) -> u64 {
    due.saturating_sub(LATER).as_secs_f64().ceil() as u64
}

/// In how long others may take a message: at once, if its consumer is dead.
pub(crate) fn due(group: &GroupInfo, message: &InFlightMessage) -> Option<Duration> {
    let of = |record| group.members.iter().find(|member| member.record == record);
    let dead = message.record.and_then(of).is_some_and(|member| !member.live);
    if dead { Some(Duration::ZERO) } else { message.due }
}

/// What the time of its receipt is called: that of its first delivery.
pub(crate) fn received(message: &InFlightMessage) -> &'static str {
    if message.attempts > 1 { "first received" } else { "received" }
}
