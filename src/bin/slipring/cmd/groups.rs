//! `slipring groups`

use serde_json::{Value, json};
use slipring::{GroupInfo, MemberInfo, Retention};

use super::snapshot;
use crate::args::InspectArgs;
use crate::failure::{Failure, note};
use crate::output::print;
use crate::table::Table;

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let look = snapshot(&args.name)?;
    if args.json {
        return print(&format!("{}\n", to_json(&look.groups)));
    }
    if look.groups.is_empty() {
        let name = &args.name;
        note(&format!(
            "queue {name:?} has no groups; to make one:\n  slipring group add {name} main"
        ));
        return Ok(());
    }
    print(&to_text(&look.groups))
}

pub(crate) fn to_text(groups: &[GroupInfo]) -> String {
    let mut table = Table::new(&[
        "GROUP",
        "MODE",
        "RETENTION",
        "HEAD",
        "DEPTH",
        "UNACKED",
        "ACKED",
        "CONSUMER",
    ]);
    for group in groups {
        let acked: u64 = group.members.iter().map(|member| member.acked).sum();
        table.row(vec![
            group.name.clone(),
            mode(group),
            retention(group).to_owned(),
            group.head.to_string(),
            group.depth.to_string(),
            group.unacked.to_string(),
            acked.to_string(),
            members(&group.members),
        ]);
    }
    table.text()
}

pub(crate) fn to_json(groups: &[GroupInfo]) -> Value {
    let groups = groups.iter().map(|group| {
        let members = group.members.iter().map(|member| {
            json!({
                "record": member.record, "pid": member.pid, "live": member.live,
                "claimed": member.claimed.map(|(start, end)| [start, end]),
                "attempts": member.attempts,
                "acked": member.acked, "redelivered": member.redelivered,
            })
        });
        json!({
            "name": group.name, "mode": mode(group), "retention": retention(group),
            "head": group.head,
            "depth": group.depth, "unacked": group.unacked,
            "members": members.collect::<Vec<Value>>(),
        })
    });
    groups.collect()
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

fn members(members: &[MemberInfo]) -> String {
    let texts = members.iter().map(|member| {
        let dead = if member.live { "" } else { " (dead)" };
        let holds = member.claimed.map_or(String::new(), |(start, end)| {
            format!(" holds {start} to {}, attempt {}", end - 1, member.attempts)
        });
        format!("process {}{dead}{holds}", member.pid)
    });
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}
