//! The groups of a queue, as text and as JSON: where they stand, and their consumers.

use std::ops::Range;

use slipring::{GroupInfo, MemberInfo, Mode, Retention, Snapshot};

use crate::dead_letters;
use crate::json::{Group, Member};
use crate::table::{Table, duration, pid};
use crate::unchanged::Unchanged;

/// Where each member's oldest unacked message is, by group, record and pid.
pub(crate) type Holds = Unchanged<(String, u8, Option<u32>), u64>;

fn key(group: &GroupInfo, member: &MemberInfo) -> (String, u8, Option<u32>) {
    (group.name.clone(), member.record, member.pid)
}

/// The oldest message that each member holds.
pub(crate) fn held(group: &GroupInfo) -> impl Iterator<Item = ((String, u8, Option<u32>), u64)> {
    group.members.iter().filter_map(|member| {
        let claimed = member.claimed.as_ref().map(|claimed| claimed.start);
        Some((key(group, member), claimed.or_else(|| stands_at(group, member))?))
    })
}

/// The oldest message that the consumer of an exclusive group holds: the group's head, if it was delivered.
fn stands_at(group: &GroupInfo, member: &MemberInfo) -> Option<u64> {
    let holds = group.mode == Some(Mode::Exclusive) && member.live && group.unacked > 0;
    holds.then_some(group.head)
}

pub(crate) fn to_text(snapshot: &Snapshot, holds: Option<&Holds>) -> String {
    let mut table = Table::new(&[
        "GROUP",
        "MODE",
        "RETENTION",
        "HEAD",
        "DEPTH",
        "SPAN",
        "UNACKED",
        "RETRIES",
        "ACKED",
        "REDELIVERED",
        "DEAD",
        "MAX-ATTEMPTS",
    ]);
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    for group in &snapshot.groups {
        table.row(vec![
            group.name.clone(),
            mode(group),
            retention(group).to_owned(),
            group.head.to_string(),
            group.depth.to_string(),
            group.span.to_string(),
            group.unacked.to_string(),
            number(dead_letters::retries(snapshot, group)),
            group.acked.to_string(),
            group.redelivered.to_string(),
            group.dead_lettered.to_string(),
            number(group.max_attempts.map(u64::from)),
        ]);
        if let Some(queue) = &group.dead_letters {
            table.below(format!("dead letters go to {queue}"));
        }
        let mut members = group.members.iter().filter(|member| !is_free(group, member)).peekable();
        if members.peek().is_none() {
            table.below("no consumer".to_owned());
        }
        for member in members {
            table.below(member_line(group, member, holds));
        }
    }
    table.text()
}

/// The record of a dead member of a shared group that holds nothing any more.
fn is_free(group: &GroupInfo, member: &MemberInfo) -> bool {
    group.mode == Some(Mode::Shared) && !member.live && member.claimed.is_none()
}

fn member_line(group: &GroupInfo, member: &MemberInfo, holds: Option<&Holds>) -> String {
    let dead = if member.live { "" } else { " (dead)" };
    let tried = match member.attempts {
        // The delivery was not counted.
        0 => "not tried".to_owned(),
        n => format!("attempt {n}"),
    };
    let what = match (&member.claimed, stands_at(group, member)) {
        (Some(Range { start, end }), _) if end - start == 1 => {
            format!(" holds {start}, {tried}")
        }
        (Some(Range { start, end }), _) => {
            format!(" holds {start} to {}, {tried}", end - 1)
        }
        (None, Some(head)) => format!(" at {head}, {tried}"),
        (None, None) => String::new(),
    };
    let time = holds.and_then(|holds| holds.unchanged(&key(group, member)));
    let time = time.map(|time| time.as_secs()).filter(|seconds| *seconds > 0);
    let time =
        time.map_or(String::new(), |seconds| format!(", for at least {}", duration(seconds)));
    format!("process {}{dead}{what}{time}; acked {}", pid(member.pid), member.acked)
}

pub(crate) fn to_json<'a>(snapshot: &'a Snapshot, holds: Option<&Holds>) -> Vec<Group<'a>> {
    let groups = snapshot.groups.iter().map(|group| Group {
        name: &group.name,
        mode: mode(group),
        retention: retention(group),
        began: group.began,
        head: group.head,
        depth: group.depth,
        span: group.span,
        unacked: group.unacked,
        retries: dead_letters::retries(snapshot, group),
        acked: group.acked,
        redelivered: group.redelivered,
        dead_lettered: group.dead_lettered,
        max_attempts: group.max_attempts,
        dead_letters: group
            .dead_letters
            .clone()
            .unwrap_or_else(|| format!("{}.dead", snapshot.name)),
        members: group.members.iter().map(|member| member_json(group, member, holds)).collect(),
    });
    groups.collect()
}

fn member_json(group: &GroupInfo, member: &MemberInfo, holds: Option<&Holds>) -> Member {
    let unchanged = |holds: &Holds| holds.unchanged(&key(group, member));
    Member {
        record: member.record,
        pid: member.pid,
        live: member.live,
        claimed: member.claimed.as_ref().map(|claimed| [claimed.start, claimed.end]),
        attempts: member.attempts,
        acked: member.acked,
        redelivered: member.redelivered,
        dead_lettered: member.dead_lettered,
        unchanged_ms: holds.map(|holds| unchanged(holds).map(|time| time.as_millis() as u64)),
    }
}

fn mode(group: &GroupInfo) -> String {
    group.mode.map_or_else(|| "unknown".to_owned(), |mode| mode.to_string())
}

fn retention(group: &GroupInfo) -> &'static str {
    match group.retention {
        Retention::Hold => "hold",
        Retention::Release => "release",
        _ => "unknown",
    }
}
