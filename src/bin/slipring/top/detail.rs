//! A group's figures in words, its consumers, and what is wrong.

use std::time::Duration;

use slipring::{ConsumerStats, Figure, Finding, GroupStats, InFlightMessage, ProcessState, Stats};

use super::state::State;
use super::text::{clip, harmless, sparkline, wrap, wrap_command};
use crate::figures::{counts, rate, share, show, time};
use crate::in_flight;
use crate::table::{Table, count};

/// A figure, or in brackets why it is not known.
fn told<T>(figure: Figure<T>, form: impl FnOnce(T) -> String) -> String {
    match figure {
        Figure::Unknown(why) => format!("- ({why})"),
        known => show(known, form),
    }
}

/// A message that has been in flight for less is not worth a word.
const LONG: Duration = Duration::from_secs(5);

/// How many consumers there are, and how many of them do not run.
fn consumers(group: &GroupStats) -> String {
    let all = group.members.iter().filter(|member| counts(member));
    let in_state = |state| all.clone().filter(|member| member.process.state == state).count();
    let mut text = count(all.clone().count() as u64, "consumer", "consumers");
    for (state, name) in [(ProcessState::Stopped, "stopped"), (ProcessState::Dead, "dead")] {
        if in_state(state) > 0 {
            text += &format!(", {} {name}", in_state(state));
        }
    }
    text
}

/// What is known of the selected group, in lines of at most `width`.
pub(super) fn group(state: &State, queue: &Stats, group: &GroupStats, width: usize) -> Vec<String> {
    let info = &group.info;
    let mode = info.mode.map_or("unknown mode".to_owned(), |mode| mode.to_string());
    let limit = info
        .max_attempts
        .map_or("no limit of attempts".to_owned(), |n| format!("at most {n} attempts"));
    let (ready, unacked) = (group.ready, group.unacked);
    let rates = format!(
        "sent {}/s   acked {}/s   could ack {}   busy {}   util {}",
        show(queue.publish_rate, rate),
        show(group.throughput, rate),
        match group.service_rate {
            Figure::Measured(value) => format!("{}/s (measured: never idle)", rate(value)),
            figure => told(figure, |value| format!("{}/s (estimated)", rate(value))),
        },
        show(group.busy, share),
        told(group.utilisation, share),
    );
    let waits = format!(
        "depth {} = {ready} ready + {unacked} unacked   span {} of {}   age of the oldest {}{}",
        info.depth,
        info.span,
        queue.snapshot.capacity,
        show(group.oldest_age, time),
        match group.no_ack_for {
            Some(silent) if silent.as_secs() > 0 => {
                format!("   nothing acked for ≥{} s", silent.as_secs())
            }
            _ => String::new(),
        },
    );
    let delay = match group.delay {
        Figure::Unknown(why) => format!("delay - ({why})"),
        delay => format!(
            "delay {} = wait {} + work {}",
            show(delay, time),
            show(group.wait, time),
            show(group.work, time)
        ),
    };
    let times = format!(
        "{delay}   backlog {}   full in {}   empty in {}",
        show(group.backlog, time),
        told(group.full_in, time),
        told(group.empty_in, time),
    );
    let totals = format!(
        "done {}   redelivered {} ({}/s)   dead letters {} ({}/s)",
        group.done,
        group.redelivered,
        show(group.redelivery_rate, rate),
        group.dead_lettered,
        show(group.dead_letter_rate, rate),
    );
    let heading = format!(
        "{}/{}   {mode}   {}   {limit}   head {}   tail {}",
        queue.snapshot.name,
        info.name,
        consumers(group),
        info.head,
        queue.snapshot.tail
    );
    let mut lines = parts(&heading, "", width);
    for line in [rates, waits, in_flight_line(group), oldest_line(group), times, totals] {
        if !line.is_empty() {
            lines.extend(parts(&line, "  ", width));
        }
    }
    if let Some(past) = state.past(queue, group) {
        let each = width.saturating_sub(20) / 2;
        let [acks, depths] = [&past.acks, &past.depths].map(|p| sparkline(p.iter().copied(), each));
        lines.push(clip(&format!("  ack/s {acks}   depth {depths}"), width));
    }
    lines
}

/// The places for messages in flight of a group that has some.
fn in_flight_line(group: &GroupStats) -> String {
    let Some(in_flight) = &group.info.in_flight else { return String::new() };
    let timeout = in_flight
        .ack_timeout
        .map_or("no ack timeout".to_owned(), |it| format!("ack timeout {}", time(it)));
    format!(
        "in flight {} of {}, {} delayed, {} overdue   {timeout}",
        in_flight.messages.len(),
        in_flight.max,
        in_flight.delayed(),
        in_flight.overdue()
    )
}

/// The message that has been in flight for the longest time: with which consumer, since when, until when.
fn oldest_line(group: &GroupStats) -> String {
    let Some(in_flight) = &group.info.in_flight else { return String::new() };
    let Some(message) = in_flight::oldest(in_flight) else { return String::new() };
    let mut text = format!(
        "oldest in flight: message {}, attempt {}, {}",
        message.sequence,
        message.attempts,
        with(group, message)
    );
    if let Some(ago) = message.received {
        text += &format!("   {} {} ago", in_flight::received(message), time(ago));
    }
    if let Some(ago) = in_flight::renewed(in_flight, message) {
        text += &format!("   renewed {} ago", time(ago));
    }
    text + "   due " + &due(in_flight::due(&group.info, message))
}

/// Which consumer has a message in flight.
fn with(group: &GroupStats, message: &InFlightMessage) -> String {
    let Some(record) = message.record else { return "waits to be delivered again".to_owned() };
    let member = group.members.iter().find(|member| member.info.record == record);
    let process = match member.and_then(|member| member.info.pid) {
        Some(pid) => format!("process {pid}, "),
        None => String::new(),
    };
    format!("with {process}consumer {record}")
}

/// The message of all groups that has been in flight for the longest time, if that is long.
pub(super) fn oldest_of_all<'s>(stats: impl Iterator<Item = &'s Stats>) -> Option<String> {
    let of_queue = |queue: &'s Stats| queue.groups.iter().map(move |group| (queue, group));
    let oldest = stats.flat_map(of_queue).filter_map(|(queue, group)| {
        let message = in_flight::oldest(group.info.in_flight.as_ref()?)?;
        Some((queue, group, message, message.received.filter(|ago| *ago >= LONG)?))
    });
    let (queue, group, message, ago) = oldest.max_by_key(|(.., ago)| *ago)?;
    Some(format!(
        "oldest in flight, {}: message {} of {}/{}, {}, due {}",
        time(ago),
        message.sequence,
        queue.snapshot.name,
        group.info.name,
        with(group, message),
        due(in_flight::due(&group.info, message))
    ))
}

/// The messages in flight as a table, the oldest first: who has each since when, and when it is due.
pub(super) fn messages(group: &GroupStats, width: usize) -> Vec<String> {
    let Some(info) = &group.info.in_flight else { return Vec::new() };
    let mut messages: Vec<_> = info.messages.iter().collect();
    messages.sort_by_key(|message| message.sequence);
    let mut table =
        Table::new(&["MESSAGE", "RECORD", "PID", "ATTEMPT", "RECEIVED", "RENEWED", "DUE"]);
    let ago = |time: Option<_>| time.map(|ago| format!("{} ago", self::time(ago)));
    for message in &messages {
        let member = |record| group.members.iter().find(|member| member.info.record == record);
        let pid = message.record.and_then(member).and_then(|member| member.info.pid);
        table.row(vec![
            message.sequence.to_string(),
            message.record.map_or("-".to_owned(), |record| record.to_string()),
            pid.map_or("-".to_owned(), |pid| pid.to_string()),
            message.attempts.to_string(),
            ago(message.received).unwrap_or("?".to_owned()),
            ago(in_flight::renewed(info, message)).unwrap_or("-".to_owned()),
            due(in_flight::due(&group.info, message)),
        ]);
    }
    let text = table.text();
    let lines = text.lines().map(|line| clip(&format!("  {line}"), width));
    if messages.is_empty() { Vec::new() } else { lines.collect() }
}

/// In how long a message is due.
fn due(due: Option<Duration>) -> String {
    match due {
        None => "never".to_owned(),
        Some(due) if due.is_zero() => "now".to_owned(),
        Some(due) => format!("in {}", time(due)),
    }
}

/// Wraps at the gaps of three between figures, so that none is torn.
fn parts(text: &str, indent: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in text.split("   ") {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + part.chars().count() <= width => {
                *line += "   ";
                *line += part;
            }
            _ => lines.push(clip(&format!("{indent}{part}"), width)),
        }
    }
    lines
}

/// Columns of the table of consumers, and those that a narrow screen does without, the least worth first.
const MEMBERS: [&str; 12] = [
    "RECORD", "PID", "COMMAND", "STATE", "MESSAGES", "ATTEMPT", "FOR", "DUE", "ACK/s", "ACKED",
    "REDELIV", "DEAD",
];
const SPARE: [&str; 3] = ["REDELIV", "DEAD", "COMMAND"];

/// The group's consumers as a table.
pub(super) fn members(group: &GroupStats, width: usize) -> Vec<String> {
    let mut members: Vec<&ConsumerStats> =
        group.members.iter().filter(|member| counts(member)).collect();
    if members.is_empty() {
        return vec!["  no consumer".to_owned()];
    }
    members.sort_by_key(|member| member.holds.unwrap_or(u64::MAX));
    let mut columns = MEMBERS.to_vec();
    columns.retain(|column| *column != "DUE" || group.info.in_flight.is_some());
    let mut spare = SPARE.iter();
    loop {
        let mut table = Table::new(&columns);
        for member in &members {
            table.row(columns.iter().map(|column| member_cell(column, member)).collect());
        }
        let text = table.text();
        let fits = text.lines().all(|line| line.chars().count() + 2 <= width);
        match spare.next().filter(|_| !fits) {
            Some(least) => columns.retain(|column| column != least),
            None => return text.lines().map(|line| clip(&format!("  {line}"), width)).collect(),
        }
    }
}

fn member_cell(column: &str, member: &ConsumerStats) -> String {
    let info = &member.info;
    let none = || "-".to_owned();
    match column {
        "RECORD" => info.record.to_string(),
        "PID" => info.pid.map_or("?".to_owned(), |pid| pid.to_string()),
        "COMMAND" => member.process.command.as_deref().map_or_else(none, harmless),
        "STATE" => match member.process.state {
            ProcessState::Alive if member.holds.is_none() => "idle",
            ProcessState::Stopped => "STOPPED",
            ProcessState::Dead => "DEAD",
            state => state.name(),
        }
        .to_owned(),
        "MESSAGES" => match (&info.claimed, member.holds, member.in_flight) {
            (Some(held), ..) if held.end - held.start > 1 => {
                format!("{}..{}", held.start, held.end - 1)
            }
            (_, None, _) => none(),
            (_, Some(seq), 0 | 1) => seq.to_string(),
            (_, Some(seq), more) => format!("{seq} and {} more", more - 1),
        },
        "ATTEMPT" => member.holds.map_or_else(none, |_| member.attempts.to_string()),
        "FOR" => member.held_for.map_or_else(none, |held| format!("≥{}", time(held))),
        "DUE" if member.in_flight > 0 => due(member.due),
        "ACK/s" => show(member.ack_rate, rate),
        "ACKED" => info.acked.to_string(),
        "REDELIV" => info.redelivered.to_string(),
        "DEAD" => info.dead_lettered.to_string(),
        _ => none(),
    }
}

/// What is wrong with a queue, in lines of at most `width`: the text, and the first `most` commands that mend it. What one does
/// is left out where there is room for one command only, unless its line has room.
pub(super) fn finding(queue: &str, finding: &Finding, width: usize, most: usize) -> Vec<String> {
    let place = match &finding.group {
        Some(group) => format!("{queue}/{group}"),
        None => queue.to_owned(),
    };
    let severity = finding.severity.name().to_uppercase();
    let mut lines = wrap(&format!("{severity} {place}: {}", finding.text), width);
    for remedy in finding.remedies.iter().take(most) {
        // A command is never cut: half of it would do something else. What is said of it is a comment to a shell.
        let whole = format!("  do: {}  # {}", remedy.command, remedy.effect);
        if whole.chars().count() <= width {
            lines.push(whole);
        } else {
            let command = wrap_command(&remedy.command, width.saturating_sub(6));
            lines.extend(command.into_iter().enumerate().map(|(n, line)| {
                if n == 0 { format!("  do: {line}") } else { format!("      {line}") }
            }));
            if most == 1 {
                // Where there is little room.
                continue;
            }
            lines.extend(
                wrap(&remedy.effect, width.saturating_sub(10))
                    .into_iter()
                    .map(|line| format!("        # {line}")),
            );
        }
    }
    lines
}
