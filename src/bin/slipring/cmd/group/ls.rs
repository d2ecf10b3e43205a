//! `slipring group ls`

use std::time::Duration;

use slipring::Stats;

use crate::args::GroupListArgs;
use crate::failure::{Failure, note};
use crate::group_table::{to_json, to_text};
use crate::json::{self, Groups, Time};
use crate::output::print;
use crate::stop::Stop;
use crate::watched::{Watched, monitor};

pub(crate) fn run(args: &GroupListArgs) -> Result<(), Failure> {
    if let Some(every) = args.watch {
        return watch(args, every);
    }
    let stats = monitor(&args.name)?.stats(Duration::ZERO);
    if args.json {
        return print(&as_line(&stats, false));
    }
    if stats.groups.is_empty() {
        explain_none(&args.name);
        return Ok(());
    }
    print(&to_text(&stats, false))
}

fn as_line(stats: &Stats, watched: bool) -> String {
    let groups = to_json(stats, watched);
    json::line(&Groups { time: Time::now(), queue: &stats.snapshot.name, groups })
}

fn explain_none(name: &str) {
    note(&format!("queue {name:?} has no groups; to make one:\n  slipring group add {name} main"));
}

fn watch(args: &GroupListArgs, every: Duration) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut watched = Watched::open(std::slice::from_ref(&args.name))?;
    for turn in 0..args.count.unwrap_or(u64::MAX) {
        if turn > 0 {
            watched.wait(every, &stop)?;
        }
        for stats in watched.stats(Duration::ZERO) {
            if args.json {
                print(&as_line(&stats, true))?;
                continue;
            }
            if turn == 0 && stats.groups.is_empty() {
                explain_none(&args.name);
            }
            let gap = if turn == 0 { "" } else { "\n" };
            print(&format!("{gap}{}", to_text(&stats, true)))?;
        }
    }
    Ok(())
}
