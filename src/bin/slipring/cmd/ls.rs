//! `slipring ls`

use slipring::{OpenError, Snapshot};

use crate::args::ListArgs;
use crate::failure::{Failure, create_hint, json_error, note, open_hint};
use crate::json::{self, Listed, Queues, Refused, Summary, Time};
use crate::output::print;
use crate::queue::options;
use crate::table::{Table, pid};

/// A queue's name, and what is there or why it cannot be opened.
type Named = (String, Result<Snapshot, OpenError>);

pub(crate) fn run(args: &ListArgs) -> Result<(), Failure> {
    let snapshots = slipring::list()?.into_iter().map(|name| {
        let snapshot = options().snapshot(&name);
        (name, snapshot)
    });
    // Gone since the list was made.
    let found =
        snapshots.filter(|(_, snapshot)| !matches!(snapshot, Err(OpenError::NotFound { .. })));
    let found: Vec<Named> = found.collect();
    if args.json {
        let queues = found.iter().map(listed).collect();
        return print(&json::line(&Queues { time: Time::now(), queues }));
    }
    if found.is_empty() {
        note(&format!("there are no queues; to make one:\n  {}", create_hint("NAME")));
        return Ok(());
    }
    print(&text(&found))
}

fn listed((name, snapshot): &Named) -> Listed<'_> {
    match snapshot {
        Ok(snapshot) => Listed::Queue(Summary {
            name,
            capacity: snapshot.capacity,
            payload_size: snapshot.payload_size,
            bytes: snapshot.bytes,
            depth: snapshot.depth(),
            span: snapshot.span(),
            group_count: snapshot.groups.len(),
            producer: (&snapshot.producer).into(),
        }),
        Err(fault) => {
            Listed::Refused(Refused { name, error: json_error(fault.code(), fault.to_string()) })
        }
    }
}

fn text(found: &[Named]) -> String {
    let heading = ["NAME", "CAPACITY", "PAYLOAD", "DEPTH", "SPAN", "GROUPS", "PRODUCER", "BYTES"];
    let (mut table, mut rows) = (Table::new(&heading), 0);
    let mut refused = String::new();
    for (name, snapshot) in found {
        match snapshot {
            Ok(snapshot) => {
                let producer = snapshot.producer.live.then_some(snapshot.producer.pid);
                table.row(vec![
                    name.clone(),
                    snapshot.capacity.to_string(),
                    snapshot.payload_size.to_string(),
                    snapshot.depth().to_string(),
                    snapshot.span().to_string(),
                    snapshot.groups.len().to_string(),
                    producer.map_or("-".to_owned(), pid),
                    snapshot.bytes.to_string(),
                ]);
                rows += 1;
            }
            Err(fault) => {
                let hint = open_hint(fault).map_or(String::new(), |hint| format!("; {hint}"));
                refused += &format!("{name}: {fault}{hint}\n");
            }
        }
    }
    if rows > 0 { table.text() + &refused } else { refused }
}
