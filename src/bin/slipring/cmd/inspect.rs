//! `slipring inspect`

use std::time::SystemTime;

use slipring::Snapshot;

use crate::args::InspectArgs;
use crate::dead_letters::purpose;
use crate::failure::Failure;
use crate::group_table;
use crate::json::{self, Queue, Time};
use crate::output::print;
use crate::queue::snapshot;
use crate::table::{bytes, duration, pid};

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let look = snapshot(&args.name)?;
    print(&if args.json { json::line(&to_json(&look)) } else { to_text(&look) })
}

fn to_json(look: &Snapshot) -> Queue<'_> {
    Queue {
        time: Time::now(),
        name: &look.name,
        layout_version: look.version,
        capacity: look.capacity,
        payload_size: look.payload_size,
        bytes: look.bytes,
        schema: &look.schema_name,
        schema_fields: look.schema_fields.lines().collect(),
        schema_hash: format!("{:016x}", look.schema_hash),
        fingerprint: format!("{:016x}", look.fingerprint),
        purpose: purpose(look),
        created_at: Time(look.created_at),
        max_groups: look.max_groups,
        max_consumers: look.max_consumers,
        wake_mode: look.wake_mode.to_string(),
        base: look.base,
        tail: look.tail,
        depth: look.depth(),
        span: look.span(),
        closed: look.closed_at.is_some(),
        end: look.closed_at,
        producer: (&look.producer).into(),
        groups: group_table::to_json(look, None),
    }
}

fn to_text(look: &Snapshot) -> String {
    let age = SystemTime::now().duration_since(look.created_at).unwrap_or_default().as_secs();
    let carries = match (look.schema_hash, look.schema_name.as_str()) {
        (0, "") => "bytes".to_owned(),
        (0, name) => format!("bytes ({name})"),
        (hash, name) => format!("{name} (fields {hash:016x})"),
    };
    let producer = match (look.producer.live, look.closed_at, look.producer.pid) {
        (true, _, number) => format!("process {}", pid(number)),
        (false, Some(end), _) => format!("none; the queue is closed at message {end}"),
        (false, None, None) => "none".to_owned(),
        (false, None, Some(pid)) => format!("none; process {pid} died, the next one goes on"),
    };
    let purpose = purpose(look).map(|purpose| ("purpose", purpose));
    let lines = [("queue", look.name.clone())].into_iter().chain(purpose).chain([
        ("carries", carries),
        ("capacity", format!("{} messages of up to {} bytes", look.capacity, look.payload_size)),
        ("memory", format!("{} bytes ({})", look.bytes, bytes(look.bytes as f64))),
        ("created", format!("{} ago", duration(age))),
        (
            "tail",
            format!("{} (the next message's sequence; the first was {})", look.tail, look.base),
        ),
        ("depth", format!("{} messages wait for the group that is furthest behind", look.depth())),
        (
            "span",
            format!(
                "{} of {} slots, from the oldest unacked message on",
                look.span(),
                look.capacity
            ),
        ),
        ("producer", producer),
        ("full", format!("{} times, seen by producers", look.producer.full)),
        ("wake", look.wake_mode.to_string()),
        ("groups", format!("{} of {} at most", look.groups.len(), look.max_groups)),
    ]);
    let mut text: String = lines.map(|(what, value)| format!("{what:<10}{value}\n")).collect();
    if !look.groups.is_empty() {
        text.push('\n');
        text.push_str(&group_table::to_text(look, None));
    }
    text
}
