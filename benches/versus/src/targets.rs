//! What we want to reach, and whether we did.

use serde::Serialize;

use crate::placement::Placement;
use crate::rotation::{Cell, Measured, by_round, fastest, ratio};
use crate::rows::{Class, Work, names};
use crate::stats::Summary;

/// Rounds below which there is no verdict.
const FEW: usize = 12;

/// What a row's time is divided by.
#[derive(Clone, Copy)]
enum By {
    Row(&'static str),
    /// The fastest row of this class in the same placement, of those whose name begins with this.
    Fastest(Class, &'static str),
}

/// How a figure comes from the rows.
#[derive(Clone, Copy)]
enum Figure {
    Ratio(&'static str, By),
    /// What the first takes more than the second, in nanoseconds, by so many groups.
    PerGroup(&'static str, &'static str, f64),
    /// The row's time in microseconds.
    Microseconds(&'static str),
}

#[derive(Clone, Copy)]
struct AtMost(f64);

impl AtMost {
    fn holds(self, value: f64) -> bool {
        value <= self.0
    }
}

/// Where a target counts.
#[derive(Clone, Copy)]
enum Where {
    Only(Placement),
    /// A line for each.
    NearAndFar,
}

struct Target {
    name: &'static str,
    work: Work,
    place: Where,
    figure: Figure,
    /// Of [`Work::columns`].
    column: usize,
    required: Option<AtMost>,
    goal: Option<AtMost>,
}

/// What became of a target. In the order of the report: first what is lost, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Missed,
    /// A queue was faster than what is said to be the limit.
    LimitWrong,
    TooNoisy,
    TooFew,
    /// What is required is met; whether the goal is, the spread does not tell.
    MetGoalTooNoisy,
    GoalMissed,
    /// Nothing is required.
    Measured,
    Met,
    MetAndGoal,
    DidNotOccur,
    NotRun,
}

impl Verdict {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Verdict::Missed => "missed",
            Verdict::LimitWrong => "no verdict: ahead of the limit",
            Verdict::TooNoisy => "no verdict: too noisy",
            Verdict::TooFew => "no verdict: too few rounds",
            Verdict::MetGoalTooNoisy => "met; goal: too noisy",
            Verdict::GoalMissed => "short of the goal",
            Verdict::Measured => "measured",
            Verdict::Met => "met",
            Verdict::MetAndGoal => "met, and the goal",
            Verdict::DidNotOccur => "did not occur",
            Verdict::NotRun => "not run",
        }
    }

    /// What it means, and what to do.
    pub(crate) fn advice(self) -> Option<&'static str> {
        match self {
            Verdict::LimitWrong => Some(
                "the queue was faster than what was thought to be the limit, so that is none. Look for a faster bare one",
            ),
            Verdict::TooNoisy => Some(
                "the quartiles of the ratios lie on both sides of the figure. End what runs beside it, and run again",
            ),
            Verdict::TooFew => {
                Some("this placement hardly occurred. Run again, or longer (--minutes)")
            }
            _ => None,
        }
    }

    fn of(
        measured: &Summary,
        required: Option<AtMost>,
        goal: Option<AtMost>,
        by_limit: bool,
    ) -> Verdict {
        // `None`: the quartiles lie on both sides.
        let holds = |bound: AtMost| match [measured.p25, measured.p75].map(|it| bound.holds(it)) {
            [true, true] => Some(true),
            [false, false] => Some(false),
            _ => None,
        };
        if measured.rounds < FEW {
            return Verdict::TooFew;
        }
        if by_limit && measured.p50 < 1.0 {
            return Verdict::LimitWrong;
        }
        match (required.map(holds), goal.map(holds)) {
            (Some(Some(false)), _) => Verdict::Missed,
            (Some(None), _) | (None, Some(None)) => Verdict::TooNoisy,
            (_, Some(Some(true))) => Verdict::MetAndGoal,
            (Some(Some(true)), Some(None)) => Verdict::MetGoalTooNoisy,
            (Some(Some(true)), _) => Verdict::Met,
            (None, Some(Some(false))) => Verdict::GoalMissed,
            (None, None) => Verdict::Measured,
        }
    }
}

/// A target in one placement, and what was measured.
#[derive(Serialize)]
pub(crate) struct Judged {
    pub(crate) target: &'static str,
    pub(crate) placement: Placement,
    pub(crate) required: Option<f64>,
    pub(crate) goal: Option<f64>,
    pub(crate) unit: &'static str,
    /// The row that the figure is a ratio to.
    pub(crate) by: Option<&'static str>,
    pub(crate) measured: Option<Summary>,
    pub(crate) verdict: Verdict,
    /// The verdict in words, and what to do where there is none.
    pub(crate) text: &'static str,
    pub(crate) advice: Option<&'static str>,
}

use Figure::{Microseconds, PerGroup, Ratio};

/// All that is to be reached, each figure at most so much.
fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    one_thread(&mut targets);
    two_ends(&mut targets);
    latencies(&mut targets);
    members_and_groups(&mut targets);
    sizes(&mut targets);
    targets
}

fn target(
    name: &'static str,
    work: Work,
    place: Where,
    figure: Figure,
    [required, goal]: [Option<f64>; 2],
) -> Target {
    let [required, goal] = [required, goal].map(|it| it.map(AtMost));
    Target { name, work, place, figure, column: 0, required, goal }
}

fn bounds(required: f64, goal: f64) -> [Option<f64>; 2] {
    [Some(required), Some(goal)]
}

const NONE: [Option<f64>; 2] = [None, None];
const ALONE: Where = Where::Only(Placement::Alone);
const NEAR: Where = Where::Only(Placement::Near);
const FAR: Where = Where::Only(Placement::Far);
const BOTH: Where = Where::NearAndFar;

fn one_thread(targets: &mut Vec<Target>) {
    let mut add = |name, work, row, by, column, bounds| {
        let ratio = Ratio(row, By::Row(by));
        targets.push(Target { column, ..target(name, work, ALONE, ratio, bounds) });
    };
    let chunks = "one thread: send_batch of 32, over rtrb slices of 32";
    add(chunks, Work::Warm, names::WARM_BATCHES, names::RTRB_SLICES, 0, bounds(2.5, 1.6));
    let slices = "one thread: send_slice of 32, over rtrb slices of 32";
    add(slices, Work::Warm, names::WARM_SLICES, names::RTRB_SLICES, 0, bounds(2.5, 1.6));
    let in_place = "one thread: reserve 32 in place, over rtrb chunks of 32";
    add(in_place, Work::Warm, names::WARM_IN_PLACE, names::RTRB_CHUNKS, 0, bounds(1.8, 1.3));
    let send = "one thread: send one by one, over rtrb push";
    add(send, Work::WarmSingles, names::SINGLE, names::RTRB, 0, bounds(2.0, 1.3));
    let recv = "one thread: recv and ack one by one, exclusive group, over rtrb pop";
    add(recv, Work::WarmSingles, names::SINGLE, names::RTRB, 1, bounds(2.5, 1.5));
    let shared = "one thread: recv and ack one by one, shared group, over rtrb pop";
    add(shared, Work::WarmSingles, names::SINGLE_SHARED, names::RTRB, 1, bounds(4.0, 3.5));
}

fn two_ends(targets: &mut Vec<Target>) {
    let mut add = |name, work, place, row, by, bounds| {
        targets.push(target(name, work, place, Ratio(row, by), bounds));
    };
    use Work::{RoundTrip, Singles, Stream};
    let chunks = By::Row(names::RTRB_CHUNKS);
    let copied = "stream, shared group, slices of 32, over rtrb chunks of 32";
    add(copied, Stream, NEAR, names::WAITING_SLICES_SHARED, chunks, bounds(2.4, 1.7));
    add(copied, Stream, FAR, names::WAITING_SLICES_SHARED, chunks, bounds(1.35, 1.17));
    let batches = "stream, shared group, send_batch of 32, over rtrb chunks of 32";
    add(batches, Stream, NEAR, names::WAITING_BATCHES_SHARED, chunks, bounds(2.4, 1.7));
    add(batches, Stream, FAR, names::WAITING_BATCHES_SHARED, chunks, bounds(1.35, 1.17));
    let in_place = "stream, shared group, 32 in place, over rtrb chunks of 32";
    add(in_place, Stream, NEAR, names::WAITING_IN_PLACE_SHARED, chunks, NONE);
    add(in_place, Stream, FAR, names::WAITING_IN_PLACE_SHARED, chunks, bounds(1.25, 1.17));
    for (name, row) in [
        ("stream, shared group, slices of 32, try_ calls", names::SLICES_SHARED),
        ("stream, shared group, send_batch of 32, try_ calls", names::BATCHES_SHARED),
        ("stream, shared group, 32 in place, try_ calls", names::IN_PLACE_SHARED),
    ] {
        add(name, Stream, BOTH, row, chunks, NONE);
    }
    let over = |peer| By::Fastest(Class::Shared, peer);
    for (name, peer) in [
        ("stream, shared group, slices of 32, over shaq one to one", names::SHAQ_ONE),
        ("stream, shared group, slices of 32, over shaq many to many", names::SHAQ_MANY),
        ("stream, shared group, slices of 32, over rte_ring, bursts or bulk", names::RTE_RING),
    ] {
        add(name, Stream, BOTH, names::WAITING_SLICES_SHARED, over(peer), [None, Some(1.0)]);
    }
    let singles = "stream, exclusive group, one by one, try_ calls, over rtrb push and pop";
    let rtrb = By::Row(names::RTRB);
    add(singles, Singles, NEAR, names::SINGLE, rtrb, bounds(1.8, 1.3));
    add(singles, Singles, FAR, names::SINGLE, rtrb, NONE);
    let singles = "stream, exclusive group, one by one, waiting calls, over rtrb push and pop";
    add(singles, Singles, BOTH, names::WAITING, rtrb, NONE);
    let limit = By::Fastest(Class::Limit, "");
    let trip = "round trip, over the fastest bare one";
    add(trip, RoundTrip, NEAR, names::OURS, limit, bounds(1.6, 1.3));
    add(trip, RoundTrip, FAR, names::OURS, limit, bounds(1.3, 1.1));
    let trip = "round trip, over the fastest bare one with a line for each direction";
    let two_lines = By::Fastest(Class::Limit, names::TWO_LINES);
    add(trip, RoundTrip, NEAR, names::OURS, two_lines, bounds(1.6, 1.3));
    add(trip, RoundTrip, FAR, names::OURS, two_lines, bounds(1.3, 1.1));
    let trip = "round trip, over the fastest bare ring of the same slots";
    add(trip, RoundTrip, BOTH, names::OURS, By::Fastest(Class::Limit, names::BARE_RING), NONE);
    let shared = "round trip, shared group, over the fastest bare one";
    add(shared, RoundTrip, BOTH, names::OURS_SHARED, limit, NONE);
    let ahead = "round trip, over the fastest other queue in shared memory";
    add(ahead, RoundTrip, BOTH, names::OURS, By::Fastest(Class::Shared, ""), [Some(1.0), None]);
    let safety =
        "crash safety: stream, shared group of one, slices of 32, over the fastest bare ring";
    add(safety, Stream, BOTH, names::WAITING_SLICES_SHARED, limit, [None, Some(1.2)]);
    let safety = "crash safety: the same, try_ calls";
    add(safety, Stream, BOTH, names::SLICES_SHARED, limit, NONE);
    let asleep = "round trip between sleepers, two processes, over a bare futex";
    add(asleep, Work::Asleep, BOTH, names::OURS_ASLEEP, limit, bounds(1.3, 1.1));
}

fn latencies(targets: &mut Vec<Target>) {
    let median = |exclusive, shared, work, bounds| {
        let rows = [(exclusive, names::SINGLE), (shared, names::SINGLE_SHARED)];
        rows.map(|(name, row)| target(name, work, BOTH, Ratio(row, By::Row(names::RTRB)), bounds))
    };
    targets.extend(median(
        "latency, median, 20 million/s, exclusive group, over rtrb",
        "latency, median, 20 million/s, shared group, over rtrb",
        Work::Latency50,
        bounds(1.2, 0.9),
    ));
    targets.extend(median(
        "latency, median, 5 million/s, exclusive group, over rtrb",
        "latency, median, 5 million/s, shared group, over rtrb",
        Work::Latency200,
        bounds(0.8, 0.55),
    ));
    targets.extend(median(
        "latency, median, 1 million/s, exclusive group, over rtrb",
        "latency, median, 1 million/s, shared group, over rtrb",
        Work::Latency1000,
        bounds(0.8, 0.55),
    ));
    for (name, work, column) in [
        ("latency, p99, 20 million/s, over the same loop without a queue", Work::Latency50, 2),
        ("latency, p99.9, 20 million/s, over the same loop without a queue", Work::Latency50, 3),
        ("latency, p99, 5 million/s, over the same loop without a queue", Work::Latency200, 2),
        ("latency, p99.9, 5 million/s, over the same loop without a queue", Work::Latency200, 3),
        ("latency, p99, 1 million/s, over the same loop without a queue", Work::Latency1000, 2),
        ("latency, p99.9, 1 million/s, over the same loop without a queue", Work::Latency1000, 3),
    ] {
        let figure = Ratio(names::SINGLE, By::Row(names::BARE_LINE));
        let target = target(name, work, BOTH, figure, [None, Some(1.1)]);
        targets.push(Target { column, ..target });
    }
}

fn members_and_groups(targets: &mut Vec<Target>) {
    let mut add = |name, work, place, figure, bounds| {
        targets.push(target(name, work, place, figure, bounds));
    };
    for (name, peer) in [
        ("2 members drain a full ring, batches of 32, over shaq", names::SHAQ_MANY),
        ("2 members drain a full ring, batches of 32, over rte_ring", names::RTE_RING),
    ] {
        let figure = Ratio(names::BATCHES_SHARED, By::Row(peer));
        add(name, Work::Compete, BOTH, figure, bounds(1.2, 1.0));
    }
    let bare = Ratio(names::BATCHES_SHARED, By::Row(names::BARE_CLAIMS));
    let safety = "crash safety: 2 members drain a full ring, batches of 32, over a bare ring";
    add(safety, Work::Compete, BOTH, bare, NONE);
    let two = Ratio(names::TWO_GROUPS, By::Row(names::ONE_GROUP));
    add("stream to 2 exclusive groups that read, over 1", Work::FanOutStream, BOTH, two, NONE);
    let group = PerGroup(names::EIGHT_GROUPS, names::ONE_GROUP, 7.0);
    let name = "publishing, per further exclusive group (2nd to 8th)";
    add(name, Work::FanOut, ALONE, group, bounds(3.0, 0.5));
    for (name, row) in [
        ("attach to 64 MiB as consumer", names::ATTACH_CONSUMER),
        ("attach to 64 MiB as producer", names::ATTACH_PRODUCER),
    ] {
        add(name, Work::Attach, ALONE, Microseconds(row), bounds(1000.0, 200.0));
    }
}

/// Larger messages: against the copies alone, and against who lends memory for them.
fn sizes(targets: &mut Vec<Target>) {
    let mut add = |name, work, place, row, by| {
        targets.push(target(name, work, place, Ratio(row, By::Row(by)), NONE));
    };
    use Work::{Alone256, Alone1024, Alone4096, Stream256, Stream1024, Stream4096};
    use names::{LARGE_COPIED, LARGE_ICEORYX2, LARGE_IN_PLACE, LARGE_MEMCPY, LARGE_RTRB_COPIED};
    let copied = [
        ("one thread: 256 bytes, copied, over memcpy in and out", Alone256),
        ("one thread: 1024 bytes, copied, over memcpy in and out", Alone1024),
        ("one thread: 4096 bytes, copied, over memcpy in and out", Alone4096),
    ];
    for (name, work) in copied {
        add(name, work, ALONE, LARGE_COPIED, LARGE_MEMCPY);
    }
    let in_place = [
        ("one thread: 256 bytes, in place, over iceoryx2", Alone256),
        ("one thread: 1024 bytes, in place, over iceoryx2", Alone1024),
        ("one thread: 4096 bytes, in place, over iceoryx2", Alone4096),
    ];
    for (name, work) in in_place {
        add(name, work, ALONE, LARGE_IN_PLACE, LARGE_ICEORYX2);
    }
    let copied = [
        ("stream, 256 bytes, copied, over memcpy in and out in one thread", Stream256),
        ("stream, 1024 bytes, copied, over memcpy in and out in one thread", Stream1024),
        ("stream, 4096 bytes, copied, over memcpy in and out in one thread", Stream4096),
    ];
    for (name, work) in copied {
        add(name, work, BOTH, LARGE_COPIED, LARGE_MEMCPY);
    }
    let copied = [
        ("stream, 256 bytes, copied, over rtrb slices of 32", Stream256),
        ("stream, 1024 bytes, copied, over rtrb slices of 32", Stream1024),
        ("stream, 4096 bytes, copied, over rtrb slices of 32", Stream4096),
    ];
    for (name, work) in copied {
        add(name, work, BOTH, LARGE_COPIED, LARGE_RTRB_COPIED);
    }
    let in_place = [
        ("stream, 256 bytes, in place, over iceoryx2", Stream256),
        ("stream, 1024 bytes, in place, over iceoryx2", Stream1024),
        ("stream, 4096 bytes, in place, over iceoryx2", Stream4096),
    ];
    for (name, work) in in_place {
        add(name, work, BOTH, LARGE_IN_PLACE, LARGE_ICEORYX2);
    }
}

impl Target {
    fn row<'a>(&self, rows: &'a [Measured], name: &str) -> Option<Cell<'a>> {
        let row = rows.iter().find(|it| it.row.work == self.work && it.row.name == name)?;
        Some((row, self.column))
    }

    fn by<'a>(&self, rows: &'a [Measured], by: By, placement: Placement) -> Option<Cell<'a>> {
        match by {
            By::Row(name) => self.row(rows, name),
            By::Fastest(class, name) => {
                Some((fastest(rows, self.work, class, name, self.column, placement)?, self.column))
            }
        }
    }

    /// The figure, and what it is divided by.
    fn measured(
        &self,
        rows: &[Measured],
        placement: Placement,
    ) -> Option<(Summary, Option<&'static str>)> {
        let row = |name| self.row(rows, name);
        match self.figure {
            Ratio(name, by) => {
                let by = self.by(rows, by, placement)?;
                Some((ratio(row(name)?, by, placement)?, Some(by.0.row.name)))
            }
            PerGroup(many, one, more) => {
                let figure = |many, one| (many - one) / more;
                Some((by_round(row(many)?, row(one)?, placement, figure)?, None))
            }
            Microseconds(name) => {
                let row = row(name)?;
                Some((by_round(row, row, placement, |ns, _| ns / 1e3)?, None))
            }
        }
    }

    fn judge(&self, rows: &[Measured], placement: Placement) -> Judged {
        let by_limit = matches!(self.figure, Ratio(_, By::Fastest(Class::Limit, _)));
        let measured = self.measured(rows, placement);
        let mut of_work = rows.iter().filter(|it| it.row.work == self.work);
        let occurred = of_work.any(|it| it.ns(0, placement).is_some());
        let verdict = match &measured {
            Some((measured, _)) => Verdict::of(measured, self.required, self.goal, by_limit),
            None if !occurred && rows.iter().any(|it| it.row.work == self.work) => {
                Verdict::DidNotOccur
            }
            None => Verdict::NotRun,
        };
        Judged {
            target: self.name,
            placement,
            required: self.required.map(|it| it.0),
            goal: self.goal.map(|it| it.0),
            unit: match self.figure {
                Ratio(..) => "",
                PerGroup(..) => " ns",
                Microseconds(_) => " us",
            },
            by: measured.and_then(|(_, by)| by),
            measured: measured.map(|(measured, _)| measured),
            verdict,
            text: verdict.text(),
            advice: verdict.advice(),
        }
    }
}

/// All targets; what is lost comes first, and what is not known.
pub(crate) fn judge(rows: &[Measured]) -> Vec<Judged> {
    let mut judged: Vec<Judged> = Vec::new();
    for target in targets() {
        let places = match target.place {
            Where::Only(placement) => vec![placement],
            Where::NearAndFar => vec![Placement::Near, Placement::Far],
        };
        judged.extend(places.into_iter().map(|placement| target.judge(rows, placement)));
    }
    judged.sort_by_key(|it| it.verdict);
    judged
}

/// A peer that does the same work faster than we do.
#[derive(Serialize)]
pub(crate) struct Lost {
    pub(crate) work: Work,
    pub(crate) column: &'static str,
    pub(crate) placement: Placement,
    pub(crate) ours: &'static str,
    pub(crate) peer: &'static str,
    /// Our time in times of the peer's.
    pub(crate) ratio: Summary,
}

/// Whoever is ahead of our row in its own work, as far as there are rounds enough; the farthest ahead first.
pub(crate) fn lost(rows: &[Measured]) -> Vec<Lost> {
    let mut lost = Vec::new();
    for work in Work::ALL {
        let of_work = || rows.iter().filter(move |it| it.row.work == work);
        let Some(ours) = of_work().find(|it| Some(it.row.name) == work.ours()) else { continue };
        let peers =
            || of_work().filter(|it| matches!(it.row.class, Class::Shared | Class::Threads));
        for (index, column) in work.columns().iter().enumerate() {
            for placement in Placement::ALL {
                for peer in peers() {
                    let Some(ratio) = ratio((ours, index), (peer, index), placement) else {
                        continue;
                    };
                    if ratio.p50 > 1.0 && ratio.rounds >= FEW {
                        let (ours, peer) = (ours.row.name, peer.row.name);
                        lost.push(Lost { work, column, placement, ours, peer, ratio });
                    }
                }
            }
        }
    }
    lost.sort_by(|a, b| b.ratio.p50.total_cmp(&a.ratio.p50));
    lost
}

#[cfg(test)]
mod tests {
    use super::{AtMost, FEW, Summary, Verdict, lost, targets};
    use crate::placement::Placement::Near;
    use crate::rotation::tests::measured;
    use crate::rows::{Class, all, names};

    fn verdict(quartiles: [f64; 3], bounds: [Option<f64>; 2], by_limit: bool) -> Verdict {
        let [p25, p50, p75] = quartiles;
        let summary = Summary { rounds: 40, p10: p25, p25, p50, p75, p90: p75 };
        let [required, goal] = bounds.map(|it| it.map(AtMost));
        Verdict::of(&summary, required, goal, by_limit)
    }

    const BOUNDS: [Option<f64>; 2] = [Some(1.6), Some(1.3)];

    #[test]
    fn quartiles_on_one_side_are_a_verdict() {
        assert_eq!(verdict([1.61, 1.7, 1.9], BOUNDS, true), Verdict::Missed);
        assert_eq!(verdict([1.4, 1.5, 1.6], BOUNDS, true), Verdict::Met);
        assert_eq!(verdict([1.1, 1.2, 1.3], BOUNDS, true), Verdict::MetAndGoal);
        assert_eq!(verdict([1.1, 1.2, 1.3], [None, None], true), Verdict::Measured);
        assert_eq!(verdict([1.1, 1.2, 1.3], [None, Some(1.0)], true), Verdict::GoalMissed);
    }

    #[test]
    fn quartiles_on_both_sides_are_none() {
        assert_eq!(verdict([1.5, 1.55, 1.7], BOUNDS, true), Verdict::TooNoisy);
        assert_eq!(verdict([1.2, 1.25, 1.35], BOUNDS, true), Verdict::MetGoalTooNoisy);
        assert_eq!(verdict([0.9, 1.0, 1.1], [None, Some(1.0)], false), Verdict::TooNoisy);
    }

    #[test]
    fn who_is_faster_than_the_limit_has_met_nothing() {
        assert_eq!(verdict([0.8, 0.9, 0.95], BOUNDS, true), Verdict::LimitWrong);
        assert_eq!(verdict([0.8, 0.9, 0.95], BOUNDS, false), Verdict::MetAndGoal);
    }

    #[test]
    fn a_few_rounds_are_no_verdict() {
        let summary = Summary { rounds: 3, p10: 1.0, p25: 1.0, p50: 1.0, p75: 1.0, p90: 1.0 };
        assert_eq!(Verdict::of(&summary, Some(AtMost(2.0)), None, false), Verdict::TooFew);
    }

    #[test]
    fn who_is_ahead_of_us_is_said() {
        let row = |class, name, ns| {
            measured(class, name, &std::array::from_fn::<_, FEW, _>(|round| (round, Near, ns)))
        };
        let rows = [
            row(Class::Limit, "bare", 1.0),
            row(Class::Ours, names::OURS, 4.0),
            row(Class::Shared, "faster", 2.0),
            measured(Class::Shared, "once", &[(0, Near, 2.0)]),
            row(Class::Kernel, "no rival", 2.0),
            row(Class::Threads, "slower", 5.0),
        ];
        let lost: Vec<_> = lost(&rows).iter().map(|it| (it.peer, it.ratio.p50)).collect();
        assert_eq!(lost, [("faster", 2.0)]);
    }

    /// A name that is written in two ways would be a figure that is never judged.
    #[test]
    fn each_target_has_its_rows() {
        let rows = all();
        let optional = |name: &str| name == names::RTE_RING && !cfg!(feature = "rte_ring");
        let there = |work, name: &str| {
            optional(name) || rows.iter().any(|row| row.work == work && row.name == name)
        };
        let begins = |work, class, name: &str| {
            let of_work = rows.iter().filter(|row| row.work == work && row.class == class);
            optional(name) || of_work.map(|row| row.name).any(|row| row.starts_with(name))
        };
        for target in targets() {
            if let super::Ratio(_, super::By::Fastest(class, name)) = target.figure {
                assert!(begins(target.work, class, name), "{}: {name}", target.name);
            }
            let names = match target.figure {
                super::Ratio(name, super::By::Row(by)) => vec![name, by],
                super::Ratio(name, _) | super::Microseconds(name) => vec![name],
                super::PerGroup(many, one, _) => vec![many, one],
            };
            for name in names {
                assert!(there(target.work, name), "{}: {name}", target.name);
            }
            assert!(target.column < target.work.columns().len(), "{}", target.name);
        }
    }
}
