//! The report: what is lost first, then the targets, then all rows.

use crate::machine::Machine;
use crate::page::{Block, Table};
use crate::placement::Placement;
use crate::rotation::{Measured, Rounds, fastest, ratio, unit};
use crate::rows::{Class, Work, absent};
use crate::stats::Summary;
use crate::targets::{Judged, Lost, Verdict};

/// Three digits that count, or whole numbers.
fn number(value: f64) -> String {
    match value.abs() {
        it if it < 9.995 => format!("{value:.2}"),
        it if it < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn quartiles(summary: &Summary) -> String {
    format!("{} to {}", number(summary.p25), number(summary.p75))
}

/// All of it.
pub(crate) fn page(
    machine: &Machine,
    rounds: &Rounds,
    rows: &[Measured],
    targets: &[Judged],
    lost: &[Lost],
) -> Vec<Block> {
    let mut page = Vec::new();
    page.extend(machine.after().into_iter().map(Block::Text));
    page.push(Block::Text(placements(rounds, rows)));
    page.push(Block::Heading("Where slipring loses".to_owned()));
    page.push(losses(lost));
    page.push(Block::Heading("Targets".to_owned()));
    page.extend(judged(targets));
    for work in Work::ALL {
        let tables = Placement::ALL.iter().filter_map(|&it| of_work(rows, work, it));
        let mut tables = tables.peekable();
        if tables.peek().is_some() {
            page.push(Block::Heading(work.title().to_owned()));
            page.extend(work.note().map(Block::Text));
        }
        page.extend(tables.flatten());
    }
    page.push(Block::Heading("Not run".to_owned()));
    page.extend(not_run(rows).into_iter().map(Block::Text));
    page
}

/// How often the ends were where.
fn placements(rounds: &Rounds, rows: &[Measured]) -> String {
    let Rounds { count, moved, placed } = rounds;
    let mut text = format!("{count} rounds; medians and quartiles of them.");
    let two_ends = rows.iter().filter(|it| !it.row.work.alone());
    let most = |placement| {
        two_ends.clone().filter_map(|it| Some(it.ns(0, placement)?.rounds)).max().unwrap_or(0)
    };
    for placement in [Placement::Near, Placement::Far, Placement::Remote] {
        text += &match most(placement) {
            0 => format!(" **{}** did not occur.", placement.name()),
            rounds => format!(" {}: {rounds}.", placement.name()),
        };
    }
    text + &format!(
        " Left out because the processors moved meanwhile: {moved} of {placed} groups of slices."
    )
}

fn losses(lost: &[Lost]) -> Block {
    let mut table =
        Table::new(["work", "where", "ours", "faster peer", "ours / peer", "quartiles"]);
    for it in lost {
        let dash = if it.column.is_empty() { "" } else { ", " };
        table.row([
            format!("{}{dash}{}", it.work.title(), it.column),
            it.placement.name().to_owned(),
            it.ours.to_owned(),
            it.peer.to_owned(),
            number(it.ratio.p50),
            quartiles(&it.ratio),
        ]);
    }
    if table.is_empty() { Block::Text("Nowhere.".to_owned()) } else { Block::Table(table) }
}

fn judged(targets: &[Judged]) -> Vec<Block> {
    let head = ["work", "where", "required", "goal", "measured", "quartiles", "", "measured by"];
    let mut table = Table::new(head);
    let occurred = |it: &&Judged| it.verdict != Verdict::DidNotOccur;
    for it in targets.iter().filter(occurred) {
        let bound = |value: Option<f64>| value.map_or("-".to_owned(), |it| format!("{it}"));
        let measured = it.measured.as_ref();
        table.row([
            it.target.to_owned(),
            it.placement.name().to_owned(),
            bound(it.required),
            bound(it.goal),
            measured.map_or("-".to_owned(), |of| number(of.p50) + it.unit),
            measured.map_or("-".to_owned(), quartiles),
            it.verdict.text().to_owned(),
            it.by.unwrap_or("").to_owned(),
        ]);
    }
    let mut blocks = vec![
        Block::Text(
            "Each figure is to be at most what is required. Lost and unknown ones first."
                .to_owned(),
        ),
        Block::Table(table),
    ];
    for verdict in [Verdict::LimitWrong, Verdict::TooNoisy, Verdict::TooFew] {
        if let Some(advice) =
            verdict.advice().filter(|_| targets.iter().any(|it| it.verdict == verdict))
        {
            blocks.push(Block::Text(format!("{}: {advice}.", verdict.text())));
        }
    }
    for placement in Placement::ALL {
        let missing = targets.iter().filter(|it| !occurred(it) && it.placement == placement);
        let missing: Vec<&str> = missing.map(|it| it.target).collect();
        if !missing.is_empty() {
            blocks.push(Block::Text(format!(
                "Not judged, since **{}** did not occur (run again another time): {}.",
                placement.name(),
                missing.join("; ")
            )));
        }
    }
    blocks
}

fn of_work(rows: &[Measured], work: Work, placement: Placement) -> Option<Vec<Block>> {
    let unit = unit(rows, work, placement).filter(|unit| unit.ran())?;
    unit.ns(0, placement)?;
    let mut blocks = Vec::new();
    for (column, name) in work.columns().iter().enumerate() {
        let dash = if name.is_empty() { "" } else { ", " };
        let title = format!("{}{dash}{name}: {}", work.title(), placement.name());
        let ns = format!("ns per {}", work.step());
        let over = format!("over {}", unit.row.name);
        let mut table = Table::new([&title, &ns, &over, "quartiles", "p10", "p90", "rounds"]);
        for measured in rows.iter().filter(|row| row.row.work == work) {
            let Some(ns) = measured.ns(column, placement) else { continue };
            let Some(ratio) = ratio((measured, column), (unit, column), placement) else {
                continue;
            };
            table.row([
                measured.row.name.to_owned(),
                number(ns.p50),
                number(ratio.p50),
                quartiles(&ratio),
                number(ratio.p10),
                number(ratio.p90),
                ratio.rounds.to_string(),
            ]);
        }
        blocks.push(Block::Table(table));
    }
    blocks.extend(faster_than_limit(rows, work, placement).map(Block::Text));
    Some(blocks)
}

/// A limit of all queues that one has beaten is none. A bare ring is a limit of ours only, and has a target of its own.
fn faster_than_limit(rows: &[Measured], work: Work, placement: Placement) -> Option<String> {
    if !work.by_limit() {
        return None;
    }
    let limit = fastest(rows, work, Class::Limit, "", 0, placement)?;
    let queues = rows.iter().filter(|it| it.row.work == work);
    let queues = queues.filter(|it| !matches!(it.row.class, Class::Limit | Class::NoQueue));
    let ahead: Vec<&str> = queues
        .filter(|it| ratio((it, 0), (limit, 0), placement).is_some_and(|it| it.p50 < 1.0))
        .map(|it| it.row.name)
        .collect();
    (!ahead.is_empty()).then(|| {
        format!("**{}** is no limit here: faster was {}.", limit.row.name, ahead.join(", "))
    })
}

fn not_run(rows: &[Measured]) -> Vec<String> {
    let absent = absent().into_iter().map(|(peer, reason)| format!("{peer}: {reason}."));
    let failed = rows.iter().filter_map(|it| {
        Some(format!("{}, {}: {}.", it.row.work.title(), it.row.name, it.not_run()?))
    });
    absent.chain(failed).collect()
}
