//! The groups of a queue, as text and as JSON: where they stand, and their consumers.

use std::ops::Range;
use std::time::Duration;

use slipring::{
    ConsumerStats, GroupInfo, InFlightInfo, InFlightMessage, MemberInfo, Mode, ProcessState,
    Retention, Stats,
};

use crate::dead_letters;
use crate::figures::{rate, show, time};
use crate::in_flight::{due, oldest, received, renewed, seconds_until};
use crate::json::{self, Group, InFlight, Member};
use crate::table::{Table, duration, pid};

/// Messages in flight that are listed of one consumer.
const LISTED: usize = 8;
/// A consumer that has been taking messages from the ring for so long is stopped.
const TAKING: Duration = Duration::from_secs(1);

/// `watched`: with what it takes several looks to know.
pub(crate) fn to_text(stats: &Stats, watched: bool) -> String {
    let mut heading = vec![
        "GROUP",
        "MODE",
        "RETENTION",
        "HEAD",
        "DEPTH",
        "SPAN",
        "READY",
        "UNACKED",
        "RETRIES",
        "ACKED",
        "REDELIVERED",
        "DEAD",
        "MAX-ATTEMPTS",
    ];
    if watched {
        heading.extend(["ACK/s", "DELAY", "OLDEST"]);
    }
    let mut table = Table::new(&heading);
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    for figures in &stats.groups {
        let group = &figures.info;
        let mut row = vec![
            group.name.clone(),
            mode(group),
            retention(group).to_owned(),
            group.head.to_string(),
            group.depth.to_string(),
            group.span.to_string(),
            figures.ready.to_string(),
            group.unacked.to_string(),
            number(dead_letters::retries(&stats.snapshot, group)),
            group.acked.to_string(),
            group.redelivered.to_string(),
            group.dead_lettered.to_string(),
            number(group.max_attempts.map(u64::from)),
        ];
        if watched {
            row.push(show(figures.throughput, rate));
            row.push(show(figures.delay, time));
            row.push(show(figures.oldest_age, time));
        }
        table.row(row);
        if let Some(queue) = &group.dead_letters {
            table.below(format!("dead letters go to {queue}"));
        }
        if let Some(in_flight) = &group.in_flight {
            table.below(in_flight_line(in_flight));
        }
        let mut members =
            figures.members.iter().filter(|member| !is_free(group, member)).peekable();
        if members.peek().is_none() {
            table.below("no consumer".to_owned());
        }
        for member in members {
            table.below(member_line(group, member, watched));
            let lines = lines_in_flight(group, Some(member.info.record));
            lines.into_iter().for_each(|it| table.below(it));
        }
        let waiting = lines_in_flight(group, None);
        if !waiting.is_empty() {
            table.below("with no consumer, to be delivered again".to_owned());
            waiting.into_iter().for_each(|it| table.below(it));
        }
    }
    table.text()
}

/// The record of a dead member of a shared group that holds nothing any more.
fn is_free(group: &GroupInfo, member: &ConsumerStats) -> bool {
    group.mode == Some(Mode::Shared)
        && !member.info.live
        && member.info.claimed.is_none()
        && reserved(group, member.info.record) == 0
        && messages_of(group, Some(member.info.record)).next().is_none()
}

/// Places that a consumer has reserved for messages that it is taking from the ring.
fn reserved(group: &GroupInfo, record: u8) -> u32 {
    group.in_flight.as_ref().map_or(0, |in_flight| in_flight.reserved_by(record))
}

/// The messages in flight of one consumer, or those that no consumer has; from the lowest sequence on.
fn messages_of(group: &GroupInfo, record: Option<u8>) -> impl Iterator<Item = &InFlightMessage> {
    let all = group.in_flight.iter().flat_map(|in_flight| &in_flight.messages);
    let mut found: Vec<_> = all.filter(|message| message.record == record).collect();
    found.sort_by_key(|message| message.sequence);
    found.into_iter()
}

fn in_flight_line(in_flight: &InFlightInfo) -> String {
    let InFlightInfo { max, ack_timeout, messages, .. } = in_flight;
    let timeout = match ack_timeout {
        Some(timeout) if timeout.subsec_nanos() > 0 => {
            format!("ack timeout {} s", timeout.as_secs_f64())
        }
        Some(timeout) => format!("ack timeout {}", duration(timeout.as_secs())),
        None => "no ack timeout".to_owned(),
    };
    let waiting = || messages.iter().filter(|message| message.record.is_none());
    let waits = match (waiting().count() as u64, waiting().filter_map(|message| message.due).min())
    {
        (0, _) => String::new(),
        (some, first) => {
            let first = match first.map_or(0, seconds_until) {
                0 => "now".to_owned(),
                seconds => format!("in {}", duration(seconds)),
            };
            match some {
                1 => format!("; 1 waits to be delivered again, {first}"),
                _ => format!("; {some} wait to be delivered again, the first {first}"),
            }
        }
    };
    let oldest = oldest(in_flight).and_then(|message| Some((message, message.received?)));
    let oldest = oldest.map_or(String::new(), |(message, time)| {
        let time = duration(time.as_secs());
        format!("; the oldest is {}, {} {time} ago", message.sequence, received(message))
    });
    format!("{} of {max} in flight, {timeout}{waits}{oldest}", messages.len())
}

/// What a consumer has in flight, or none: which messages, since when, until when, a line for each.
fn lines_in_flight(group: &GroupInfo, record: Option<u8>) -> Vec<String> {
    let Some(in_flight) = &group.in_flight else { return Vec::new() };
    let all = messages_of(group, record);
    let mut lines: Vec<String> = all.map(|it| in_flight_message(group, in_flight, it)).collect();
    let more = lines.len().saturating_sub(LISTED);
    if more > 0 {
        lines.truncate(LISTED);
        lines.push(format!("  and {more} more"));
    }
    lines
}

fn in_flight_message(
    group: &GroupInfo,
    in_flight: &InFlightInfo,
    message: &InFlightMessage,
) -> String {
    let mut text = format!("  message {}: attempt {}", message.sequence, message.attempts);
    let ago = |what: &str, time: Duration| format!(", {what} {} ago", duration(time.as_secs()));
    if let Some(time) = message.received {
        text += &ago(received(message), time);
    }
    if let Some(time) = renewed(in_flight, message) {
        text += &ago("renewed", time);
    }
    text += &match due(group, message) {
        None => ", no timeout".to_owned(),
        Some(Duration::ZERO) => ", due now".to_owned(),
        Some(due) => {
            format!(", due in {}", duration(seconds_until(due)))
        }
    };
    text
}

fn member_line(group: &GroupInfo, member: &ConsumerStats, watched: bool) -> String {
    let state = match member.process.state {
        ProcessState::Dead => " (dead)",
        ProcessState::Stopped => " (stopped)",
        _ => "",
    };
    let info = &member.info;
    let tried = match info.attempts {
        // The delivery was not counted.
        0 => "not tried".to_owned(),
        n => format!("attempt {n}"),
    };
    let stands_at = member.holds.filter(|_| group.mode == Some(Mode::Exclusive));
    let what = match (&info.claimed, stands_at) {
        (Some(claimed), _) => format!(" holds {}, {tried}", range(claimed)),
        (None, Some(head)) => format!(" at {head}, {tried}"),
        (None, None) => String::new(),
    };
    let time = member.held_for.filter(|_| watched).map(|time| time.as_secs());
    let time = time.filter(|seconds| *seconds > 0);
    let time =
        time.map_or(String::new(), |seconds| format!(", for at least {}", duration(seconds)));
    let taking = info.taking.filter(|time| *time >= TAKING);
    let taking = taking.map_or(String::new(), |time| taking_text(group, info, time));
    let what = match messages_of(group, Some(info.record)).count() {
        0 => what,
        some => format!(" has {some} in flight"),
    };
    let record = if group.in_flight.is_some() {
        format!(", consumer {}", info.record)
    } else {
        String::new()
    };
    format!("process {}{record}{state}{what}{taking}{time}; acked {}", pid(info.pid), info.acked)
}

/// What a consumer keeps that was stopped while taking messages from the ring.
fn taking_text(group: &GroupInfo, info: &MemberInfo, time: Duration) -> String {
    let (places, time) = (reserved(group, info.record), duration(time.as_secs()));
    let reserves = match places {
        0 => String::new(),
        1 => ", with 1 place reserved".to_owned(),
        some => format!(", with {some} places reserved"),
    };
    let what = info.claimed.as_ref().map_or("messages".to_owned(), range);
    format!(
        ", stopped {time} ago while taking {what} from the ring{reserves}: others get that once it ends or goes on"
    )
}

/// A range of messages, from its first to its last.
fn range(Range { start, end }: &Range<u64>) -> String {
    match end - start {
        1 => start.to_string(),
        _ => format!("{start} to {}", end - 1),
    }
}

pub(crate) fn to_json(stats: &Stats, watched: bool) -> Vec<Group<'_>> {
    let groups = stats.groups.iter().map(|figures| {
        let group = &figures.info;
        Group {
            name: &group.name,
            mode: mode(group),
            retention: retention(group),
            began: group.began,
            head: group.head,
            depth: group.depth,
            span: group.span,
            ready: figures.ready,
            unacked: group.unacked,
            retries: dead_letters::retries(&stats.snapshot, group),
            acked: group.acked,
            redelivered: group.redelivered,
            dead_lettered: group.dead_lettered,
            max_attempts: group.max_attempts,
            dead_letters: group
                .dead_letters
                .clone()
                .unwrap_or_else(|| format!("{}.dead", stats.snapshot.name)),
            in_flight: group.in_flight.as_ref().map(in_flight_json),
            consumers: figures.consumers,
            rates: watched.then(|| figures.into()),
            members: figures.members.iter().map(|member| member_json(member, watched)).collect(),
        }
    });
    groups.collect()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn in_flight_json(in_flight: &InFlightInfo) -> InFlight {
    let InFlightInfo { max, ack_timeout, messages, .. } = in_flight;
    let messages = messages.iter().map(|message| json::InFlightMessage {
        sequence: message.sequence,
        record: message.record,
        attempts: message.attempts,
        received_ms: message.received.map(milliseconds),
        renewed_ms: renewed(in_flight, message).map(milliseconds),
        due_ms: message.due.map(milliseconds),
    });
    InFlight {
        max: *max,
        ack_timeout_ms: ack_timeout.map(milliseconds),
        messages: messages.collect(),
        reserved: in_flight
            .reserved
            .iter()
            .map(|it| json::ReservedPlaces { record: it.record, places: it.places })
            .collect(),
    }
}

fn member_json(member: &ConsumerStats, watched: bool) -> Member {
    let info = &member.info;
    Member {
        record: info.record,
        pid: info.pid,
        live: info.live,
        state: member.process.state.name(),
        command: member.process.command.clone(),
        claimed: info.claimed.as_ref().map(|claimed| [claimed.start, claimed.end]),
        attempts: info.attempts,
        acked: info.acked,
        redelivered: info.redelivered,
        dead_lettered: info.dead_lettered,
        taking_ms: info.taking.map(milliseconds),
        unchanged_ms: watched.then(|| member.held_for.map(milliseconds)),
    }
}

fn mode(group: &GroupInfo) -> String {
    json::mode(group.mode)
}

fn retention(group: &GroupInfo) -> &'static str {
    match group.retention {
        Retention::Hold => "hold",
        Retention::Release => "release",
        _ => "unknown",
    }
}
