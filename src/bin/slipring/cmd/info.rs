//! `slipring info`

use std::time::{Duration, SystemTime};

use slipring::Stats;

use crate::args::InfoArgs;
use crate::dead_letters::purpose;
use crate::failure::Failure;
use crate::group_table;
use crate::json::{self, Queue, Time};
use crate::output::print;
use crate::table::{bytes, duration, pid};
use crate::watched::monitor;

pub(crate) fn run(args: &InfoArgs) -> Result<(), Failure> {
    let stats = monitor(&args.name)?.stats(Duration::ZERO);
    print(&if args.json { json::line(&to_json(&stats)) } else { to_text(&stats) })
}

fn to_json(stats: &Stats) -> Queue<'_> {
    let snapshot = &stats.snapshot;
    Queue {
        time: Time::now(),
        name: &snapshot.name,
        layout_version: snapshot.version,
        capacity: snapshot.capacity,
        payload_size: snapshot.payload_size,
        bytes: snapshot.bytes,
        schema: &snapshot.schema_name,
        schema_fields: snapshot.schema_fields.lines().collect(),
        schema_hash: format!("{:016x}", snapshot.schema_hash),
        fingerprint: format!("{:016x}", snapshot.fingerprint),
        purpose: purpose(snapshot),
        created_at: Time(snapshot.created_at),
        max_groups: snapshot.max_groups,
        max_consumers: snapshot.max_consumers,
        max_streams: snapshot.max_streams,
        cells: snapshot.cells,
        free_cells: snapshot.free_cells,
        wake_mode: snapshot.wake_mode.to_string(),
        base: snapshot.base,
        tail: snapshot.tail,
        depth: snapshot.depth(),
        span: snapshot.span(),
        closed: snapshot.closed_at.is_some(),
        end: snapshot.closed_at,
        producer: (&snapshot.producer).into(),
        groups: group_table::to_json(stats, false),
    }
}

fn to_text(stats: &Stats) -> String {
    let snapshot = &stats.snapshot;
    let age = SystemTime::now().duration_since(snapshot.created_at).unwrap_or_default().as_secs();
    let carries = match (snapshot.schema_hash, snapshot.schema_name.as_str()) {
        (0, "") => "bytes".to_owned(),
        (0, name) => format!("bytes ({name})"),
        (hash, name) => format!("{name} (fields {hash:016x})"),
    };
    let producer = match (snapshot.producer.live, snapshot.closed_at, snapshot.producer.pid) {
        (true, _, number) => format!("process {}", pid(number)),
        (false, Some(end), _) => format!("none; the queue is closed at message {end}"),
        (false, None, None) => "none".to_owned(),
        (false, None, Some(pid)) => format!("none; process {pid} died, the next one goes on"),
    };
    let purpose = purpose(snapshot).map(|purpose| ("purpose", purpose));
    let sources = (snapshot.max_streams > 0)
        .then(|| ("sources", format!("of {} streams at most", snapshot.max_streams)));
    let lines = [("queue", snapshot.name.clone())].into_iter().chain(purpose).chain([
        ("carries", carries),
        (
            "capacity",
            format!("{} messages of up to {} bytes", snapshot.capacity, snapshot.payload_size),
        ),
        ("memory", format!("{} bytes ({})", snapshot.bytes, bytes(snapshot.bytes as f64))),
        ("created", format!("{} ago", duration(age))),
        (
            "tail",
            format!(
                "{} (the next message's sequence; the first was {})",
                snapshot.tail, snapshot.base
            ),
        ),
        (
            "depth",
            format!("{} messages wait for the group that is furthest behind", snapshot.depth()),
        ),
        (
            "span",
            format!(
                "{} of {} slots, from the oldest unacked message on",
                snapshot.span(),
                snapshot.capacity
            ),
        ),
        ("producer", producer),
        ("full", format!("{} times, seen by producers", snapshot.producer.full)),
        ("wake", snapshot.wake_mode.to_string()),
        ("groups", format!("{} of {} at most", snapshot.groups.len(), snapshot.max_groups)),
    ]);
    let places = (snapshot.cells > 0).then(|| {
        (
            "in flight",
            format!("{} places; {} are free for a new group", snapshot.cells, snapshot.free_cells),
        )
    });
    let lines = lines.chain(places).chain(sources);
    let mut text: String = lines.map(|(what, value)| format!("{what:<10}{value}\n")).collect();
    if !snapshot.groups.is_empty() {
        text.push('\n');
        text.push_str(&group_table::to_text(stats, false));
    }
    text
}
