//! Every target there is.

use super::Figure::{Microseconds, PerGroup, Ratio};
use super::{AtMost, By, Figure, Target, Where};
use crate::placement::Placement;
use crate::rows::{Class, Work, names};

/// All that is to be reached, each figure at most so much.
pub(super) fn targets() -> Vec<Target> {
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
    for (batches, slices, row, bounds) in [
        (
            "one thread: send_batch of 32, over rtrb chunks of 32",
            "one thread: send_slice of 32, over rtrb chunks of 32",
            names::RTRB_CHUNKS,
            bounds(2.5, 1.6),
        ),
        (
            "one thread: send_batch of 32, over rtrb slices of 32",
            "one thread: send_slice of 32, over rtrb slices of 32",
            names::RTRB_SLICES,
            NONE,
        ),
    ] {
        add(batches, Work::Warm, names::WARM_BATCHES, row, 0, bounds);
        add(slices, Work::Warm, names::WARM_SLICES, row, 0, bounds);
    }
    let in_place = "one thread: reserve 32 in place, over rtrb chunks of 32";
    add(in_place, Work::Warm, names::WARM_IN_PLACE, names::RTRB_CHUNKS, 0, bounds(1.8, 1.3));
    // The least that these stores take.
    for (name, ours, bare) in [
        ("one thread: send_batch of 32, over a bare ring", names::WARM_BATCHES, names::BARE_COPIED),
        ("one thread: send_slice of 32, over a bare ring", names::WARM_SLICES, names::BARE_COPIED),
        (
            "one thread: reserve 32 in place, over a bare ring",
            names::WARM_IN_PLACE,
            names::BARE_IN_PLACE,
        ),
    ] {
        add(name, Work::Warm, ours, bare, 0, NONE);
    }
    let bare = "one thread: a bare ring, 32 that are there already, over rtrb chunks of 32";
    add(bare, Work::Warm, names::BARE_COPIED, names::RTRB_CHUNKS, 0, NONE);
    let bare = "one thread: a bare ring, 32 in place, over rtrb chunks of 32";
    add(bare, Work::Warm, names::BARE_IN_PLACE, names::RTRB_CHUNKS, 0, NONE);
    let bare = "one thread: a bare ring one by one, over rtrb: sending";
    add(bare, Work::WarmSingles, names::BARE_SINGLE, names::RTRB, 0, NONE);
    let bare = "one thread: a bare ring one by one, over rtrb: receiving";
    add(bare, Work::WarmSingles, names::BARE_SINGLE, names::RTRB, 1, NONE);
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
