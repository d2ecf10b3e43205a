//! The groups of a queue, as text and as JSON: where they stand, and their consumers.

use std::ops::Range;
use std::time::Duration;

use slipring::{ConsumerStats, GroupInfo, Mode, ProcessState, Retention, Stats};

use crate::dead_letters;
use crate::figures::{rate, show, time};
use crate::json::{self, Group, Member};
use crate::table::{Table, duration, pid};

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
        let mut members =
            figures.members.iter().filter(|member| !is_free(group, member)).peekable();
        if members.peek().is_none() {
            table.below("no consumer".to_owned());
        }
        for member in members {
            table.below(member_line(group, member, watched));
        }
    }
    table.text()
}

/// The record of a dead member of a shared group that holds nothing any more.
fn is_free(group: &GroupInfo, member: &ConsumerStats) -> bool {
    group.mode == Some(Mode::Shared) && !member.info.live && member.info.claimed.is_none()
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
        (Some(Range { start, end }), _) if end - start == 1 => {
            format!(" holds {start}, {tried}")
        }
        (Some(Range { start, end }), _) => {
            format!(" holds {start} to {}, {tried}", end - 1)
        }
        (None, Some(head)) => format!(" at {head}, {tried}"),
        (None, None) => String::new(),
    };
    let time = member.held_for.filter(|_| watched).map(|time| time.as_secs());
    let time = time.filter(|seconds| *seconds > 0);
    let time =
        time.map_or(String::new(), |seconds| format!(", for at least {}", duration(seconds)));
    format!("process {}{state}{what}{time}; acked {}", pid(info.pid), info.acked)
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
            consumers: figures.consumers,
            rates: watched.then(|| figures.into()),
            members: figures.members.iter().map(|member| member_json(member, watched)).collect(),
        }
    });
    groups.collect()
}

fn member_json(member: &ConsumerStats, watched: bool) -> Member {
    let info = &member.info;
    let milliseconds = |time: Duration| time.as_millis() as u64;
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
