//! The columns of the table: as many as the screen is wide, the most telling ones first.

use slipring::{GroupStats, Severity, Stats};

use super::text::{bar, clip};
use crate::figures::{consumers, count, rate, share, show, time, used};

/// A column.
struct Column {
    title: &'static str,
    width: usize,
    /// The lower, the longer it stays on a screen that gets narrower.
    rank: u8,
    /// Of the queue: shown in the first row of a queue only.
    of_queue: bool,
    right: bool,
    cell: fn(&Stats, Option<&GroupStats>) -> String,
}

const fn number(
    title: &'static str,
    width: usize,
    rank: u8,
    of_queue: bool,
    cell: fn(&Stats, Option<&GroupStats>) -> String,
) -> Column {
    Column { title, width, rank, of_queue, right: true, cell }
}

const fn words(
    title: &'static str,
    width: usize,
    rank: u8,
    of_queue: bool,
    cell: fn(&Stats, Option<&GroupStats>) -> String,
) -> Column {
    Column { title, width, rank, of_queue, right: false, cell }
}

fn of(group: Option<&GroupStats>, cell: impl FnOnce(&GroupStats) -> String) -> String {
    group.map_or("-".to_owned(), cell)
}

const COLUMNS: [Column; 21] = [
    words("QUEUE", 9, 0, true, |queue, _| queue.snapshot.name.clone()),
    number("CAPACITY", 8, 13, true, |queue, _| queue.snapshot.capacity.to_string()),
    words("RING", 8, 8, true, |queue, _| bar(used(queue), 8)),
    number("USED", 4, 2, true, |queue, _| share(used(queue))),
    number("PUB/s", 5, 4, true, |queue, _| show(queue.publish_rate, rate)),
    number("MB/s", 5, 17, true, |queue, _| show(queue.byte_rate, |bytes| rate(bytes / 1e6))),
    number("BLOCKED", 7, 6, true, |queue, _| show(queue.blocked, share)),
    number("PRODUCER", 8, 12, true, |queue, _| {
        let producer = &queue.snapshot.producer;
        let pid = producer.pid.map_or("?".to_owned(), |pid| pid.to_string());
        if producer.live { pid } else { "-".to_owned() }
    }),
    words("GROUP", 8, 1, false, |_, group| of(group, |group| group.info.name.clone())),
    words("MODE", 9, 16, false, |_, group| {
        of(group, |group| group.info.mode.map_or("?".to_owned(), |mode| mode.to_string()))
    }),
    number("CONS", 5, 9, false, |_, group| of(group, consumers)),
    number("READY", 5, 3, false, |_, group| of(group, |group| count(group.ready))),
    number("UNACKED", 7, 7, false, |_, group| of(group, |group| count(group.unacked))),
    number("IN FLIGHT", 9, 19, false, |_, group| {
        of(group, |group| {
            let in_flight = group.info.in_flight.as_ref();
            in_flight.map_or("-".to_owned(), |it| format!("{}/{}", it.messages.len(), it.max))
        })
    }),
    number("ACK/s", 5, 4, false, |_, group| of(group, |group| show(group.throughput, rate))),
    number("UTIL", 5, 10, false, |_, group| of(group, |group| show(group.utilisation, share))),
    number("DELAY", 6, 11, false, |_, group| of(group, |group| show(group.delay, time))),
    number("AGE", 6, 5, false, |_, group| of(group, |group| show(group.oldest_age, time))),
    number("FULL IN", 7, 14, false, |_, group| of(group, |group| show(group.full_in, time))),
    number("REDELIV/s", 9, 15, false, |_, group| {
        of(group, |group| show(group.redelivery_rate, rate))
    }),
    number("DEAD", 5, 18, false, |_, group| of(group, |group| count(group.dead_lettered))),
];

/// Width of the mark of what is wrong, with its gap.
const MARK: usize = 3;

/// The columns that fit, with their widths.
#[derive(Debug)]
pub(super) struct Shown(Vec<(usize, usize)>);

impl Shown {
    /// For a screen so wide. What is left goes to the names.
    pub(super) fn fit(width: usize) -> Shown {
        let mut by_rank: Vec<usize> = (0..COLUMNS.len()).collect();
        by_rank.sort_by_key(|at| COLUMNS.get(*at).map(|column| column.rank));
        let (mut left, mut chosen) = (width.saturating_sub(MARK), Vec::new());
        for at in by_rank {
            let Some(column) = COLUMNS.get(at) else { continue };
            let wide = column.width + usize::from(!chosen.is_empty());
            if wide > left {
                break;
            }
            left -= wide;
            chosen.push((at, column.width));
        }
        chosen.sort_unstable();
        let mut names: Vec<&mut (usize, usize)> =
            chosen.iter_mut().filter(|(at, _)| matches!(*at, 0 | 8)).collect();
        let parts = names.len().max(1);
        for (n, column) in names.iter_mut().enumerate() {
            column.1 += (left / parts + usize::from(n < left % parts)).min(24);
        }
        Shown(chosen)
    }

    pub(super) fn heading(&self) -> String {
        self.line("", |column, _| column.title.to_owned())
    }

    /// A row; `first` of its queue.
    pub(super) fn row(
        &self,
        queue: &Stats,
        group: Option<&GroupStats>,
        first: bool,
        severity: Option<Severity>,
    ) -> String {
        let mark = match severity {
            Some(Severity::Error) => "!!",
            Some(_) => "!",
            None => "",
        };
        self.line(mark, |column, _| {
            if column.of_queue && !first { String::new() } else { (column.cell)(queue, group) }
        })
    }

    fn line(&self, mark: &str, cell: impl Fn(&Column, usize) -> String) -> String {
        let mut line = format!("{mark:2}");
        for &(at, width) in &self.0 {
            let Some(column) = COLUMNS.get(at) else { continue };
            let text = clip(&cell(column, width), width);
            line += " ";
            line +=
                &if column.right { format!("{text:>width$}") } else { format!("{text:width$}") };
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_most_is_on_the_narrowest_screen() {
        let titles = |width| {
            let heading = Shown::fit(width).heading();
            assert!(heading.chars().count() <= width.max(MARK), "{heading:?} in {width}");
            heading.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(titles(40)[..4], ["QUEUE", "USED", "PUB/s", "GROUP"]);
        for title in
            ["QUEUE", "RING", "USED", "BLOCKED", "GROUP", "READY", "UNACKED", "ACK/s", "AGE"]
        {
            assert!(titles(80).contains(&title.to_owned()), "{title} is not in {:?}", titles(80));
        }
        assert!(titles(160).contains(&"DELAY".to_owned()));
        (0..400).for_each(|width| drop(titles(width)));
    }
}
