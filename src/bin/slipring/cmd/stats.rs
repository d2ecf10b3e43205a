//! `slipring stats`

use std::time::Duration;

use slipring::{GroupStats, Stats};

use crate::args::StatsArgs;
use crate::failure::{Failure, create_hint, note};
use crate::figures::{consumers, count, rate, share, show, time, used};
use crate::json::{self, Time};
use crate::output::print;
use crate::stop::Stop;
use crate::table::Table;
use crate::watched::Watched;

const ONCE: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &StatsArgs) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut watched = Watched::open(&args.names)?.with_letters();
    let every = args.interval.unwrap_or(ONCE);
    let turns = args.count.unwrap_or(if args.interval.is_some() { u64::MAX } else { 1 });
    for turn in 0..turns {
        watched.wait(every, &stop)?;
        let stats = watched.stats(Duration::ZERO);
        if args.json {
            let queues = stats.iter().map(json::QueueStats::from).collect();
            print(&json::line(&json::Stats { time: Time::now(), queues }))?;
        } else if !stats.is_empty() {
            let gap = if turn == 0 { "" } else { "\n" };
            print(&format!("{gap}{}{}", table(&stats), findings(&stats)))?;
        } else if watched.closed().is_empty() {
            note(&format!("there are no queues; to make one:\n  {}", create_hint("NAME")));
        }
        // Of all queues, those of other users are left out. Of named ones, these have their dead letters.
        if turn == 0 && (stats.is_empty() || !args.names.is_empty()) {
            watched.closed().iter().for_each(|(_, fault)| note(&fault.to_string()));
        }
    }
    Ok(())
}

fn table(stats: &[Stats]) -> String {
    let mut table = Table::new(&[
        "QUEUE/GROUP",
        "PUB/s",
        "ACK/s",
        "READY",
        "UNACKED",
        "USED",
        "BLOCKED",
        "CONS",
        "UTIL",
        "DELAY",
        "OLDEST",
        "REDELIV/s",
        "DEAD",
    ]);
    for queue in stats {
        if queue.groups.is_empty() {
            table.row(row(queue, None));
        }
        queue.groups.iter().for_each(|group| table.row(row(queue, Some(group))));
    }
    table.text()
}

fn row(queue: &Stats, group: Option<&GroupStats>) -> Vec<String> {
    let name = &queue.snapshot.name;
    let of = |cell: fn(&GroupStats) -> String| group.map_or("-".to_owned(), cell);
    vec![
        group.map_or(name.clone(), |group| format!("{name}/{}", group.info.name)),
        show(queue.publish_rate, rate),
        of(|group| show(group.throughput, rate)),
        of(|group| count(group.ready)),
        of(|group| count(group.unacked)),
        group.map_or(share(used(queue)), |group| {
            share(group.info.span as f64 / queue.snapshot.capacity.max(1) as f64)
        }),
        show(queue.blocked, share),
        of(consumers),
        of(|group| show(group.utilisation, share)),
        of(|group| show(group.delay, time)),
        of(|group| show(group.oldest_age, time)),
        of(|group| show(group.redelivery_rate, rate)),
        of(|group| count(group.dead_lettered)),
    ]
}

/// What is wrong, and the commands that mend it.
fn findings(stats: &[Stats]) -> String {
    let mut text = String::new();
    for queue in stats {
        for finding in queue.findings() {
            let severity = finding.severity.name();
            text += &format!("\n{severity}: queue {:?}: {}\n", queue.snapshot.name, finding.text);
            let width = finding.remedies.iter().map(|remedy| remedy.command.len()).max();
            for remedy in &finding.remedies {
                let (command, width) = (&remedy.command, width.unwrap_or(0).min(60));
                text += &format!("  {command:width$}  # {}\n", remedy.effect);
            }
        }
    }
    text
}
