//! Whether `--extend-every` suits the group: looked at first, so that wrong usage makes no queue and no group.

use std::time::Duration;

use slipring::GroupInfo;

use crate::args::{RecvArgs, places_in};
use crate::failure::Failure;
use crate::queue::options;

/// What a group has to do with time.
enum Timeout {
    /// It has no messages in flight.
    NotInFlight,
    Never,
    After(Duration),
}

/// Fails if more time is to be asked for so seldom that others would take the messages, or for nothing.
pub(super) fn check(args: &RecvArgs) -> Result<(), Failure> {
    let (group, Some(every)) = (&args.group, args.exec.extend_every) else { return Ok(()) };
    match timeout(args) {
        Some(Timeout::NotInFlight) => Err(Failure::usage(format!(
            "--extend-every: group {group:?} has no messages in flight, so that no message is taken from its consumer while \
             that lives, and none is extended; leave it out"
        ))),
        Some(Timeout::Never) => Err(Failure::usage(format!(
            "--extend-every: group {group:?} has no ack timeout, so that no message is taken from its consumer while that \
             lives, and none is extended; leave it out"
        ))),
        Some(Timeout::After(timeout)) if every > timeout / 2 => Err(Failure::usage(format!(
            "--extend-every: choose at most {} s, half of the ack timeout, which is {} s in group {group:?}: messages would \
             be taken back while their commands run",
            (timeout / 2).as_secs_f64(),
            timeout.as_secs_f64()
        ))),
        _ => Ok(()),
    }
}

/// Of the group that is there, or else is to be made; `None` if there is none and none is made, which is another error.
fn timeout(args: &RecvArgs) -> Option<Timeout> {
    let snapshot = options().snapshot(&args.name).ok();
    let mut groups = snapshot.iter().flat_map(|snapshot| &snapshot.groups);
    if let Some(GroupInfo { in_flight, .. }) = groups.find(|group| group.name == args.group) {
        let timeout = in_flight.as_ref().map(|in_flight| in_flight.ack_timeout);
        return Some(timeout.map_or(Timeout::NotInFlight, of));
    }
    let places = match &snapshot {
        _ if !args.open.create => return None,
        _ if !args.shared => 0,
        Some(snapshot) => args.policy.in_flight.unwrap_or_else(|| places_in(snapshot)),
        None => args.policy.in_flight.unwrap_or(args.open.shape.places_in_flight()),
    };
    Some(if places == 0 { Timeout::NotInFlight } else { of(args.policy.new_timeout()) })
}

fn of(timeout: Option<Duration>) -> Timeout {
    timeout.map_or(Timeout::Never, Timeout::After)
}
