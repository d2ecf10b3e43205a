//! `slipring group ls`

use std::time::{Duration, Instant};

use slipring::Snapshot;

use crate::args::GroupListArgs;
use crate::failure::{Failure, note};
use crate::group_table::{Holds, held, to_json, to_text};
use crate::json::{self, Groups, Time};
use crate::output::print;
use crate::queue::snapshot;
use crate::stop::Stop;

pub(crate) fn run(args: &GroupListArgs) -> Result<(), Failure> {
    if let Some(every) = args.watch {
        return watch(args, every);
    }
    let snapshot = snapshot(&args.name)?;
    if args.json {
        return print(&as_line(&snapshot, None));
    }
    if snapshot.groups.is_empty() {
        explain_none(&args.name);
        return Ok(());
    }
    print(&to_text(&snapshot, None))
}

fn as_line(snapshot: &Snapshot, holds: Option<&Holds>) -> String {
    let groups = to_json(snapshot, holds);
    json::line(&Groups { time: Time::now(), queue: &snapshot.name, groups })
}

fn explain_none(name: &str) {
    note(&format!("queue {name:?} has no groups; to make one:\n  slipring group add {name} main"));
}

fn watch(args: &GroupListArgs, every: Duration) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut holds = Holds::new();
    for turn in 0..args.count.unwrap_or(u64::MAX) {
        if turn > 0 {
            stop.sleep(every)?;
        }
        let snapshot = snapshot(&args.name)?;
        holds.update(Instant::now(), snapshot.groups.iter().flat_map(held));
        if args.json {
            print(&as_line(&snapshot, Some(&holds)))?;
            continue;
        }
        if turn == 0 && snapshot.groups.is_empty() {
            explain_none(&args.name);
        }
        let gap = if turn == 0 { "" } else { "\n" };
        print(&format!("{gap}{}", to_text(&snapshot, Some(&holds))))?;
    }
    Ok(())
}
