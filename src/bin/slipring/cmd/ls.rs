//! `slipring ls`

use slipring::{OpenError, Snapshot};

use crate::args::ListArgs;
use crate::failure::{Failure, create_hint, json_error, note, open_hint};
use crate::json::{self, Listed, Queues, Refused, Summary, Time};
use crate::output::print;
use crate::queue::options;
use crate::table::{Table, pid};

/// A queue's name, and what is there or why it cannot be opened.
type Look = (String, Result<Snapshot, OpenError>);

pub(crate) fn run(args: &ListArgs) -> Result<(), Failure> {
    let looks = slipring::list()?.into_iter().map(|name| {
        let look = options().snapshot(&name);
        (name, look)
    });
    // Gone since the list was made.
    let found = looks.filter(|(_, look)| !matches!(look, Err(OpenError::NotFound { .. })));
    let found: Vec<Look> = found.collect();
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

fn listed((name, look): &Look) -> Listed<'_> {
    match look {
        Ok(look) => Listed::Queue(Summary {
            name,
            capacity: look.capacity,
            payload_size: look.payload_size,
            bytes: look.bytes,
            depth: look.depth(),
            span: look.span(),
            group_count: look.groups.len(),
            producer: (&look.producer).into(),
        }),
        Err(fault) => {
            Listed::Refused(Refused { name, error: json_error(fault.code(), fault.to_string()) })
        }
    }
}

fn text(found: &[Look]) -> String {
    let heading = ["NAME", "CAPACITY", "PAYLOAD", "DEPTH", "SPAN", "GROUPS", "PRODUCER", "BYTES"];
    let (mut table, mut rows) = (Table::new(&heading), 0);
    let mut refused = String::new();
    for (name, look) in found {
        match look {
            Ok(look) => {
                let producer = look.producer.live.then_some(look.producer.pid);
                table.row(vec![
                    name.clone(),
                    look.capacity.to_string(),
                    look.payload_size.to_string(),
                    look.depth().to_string(),
                    look.span().to_string(),
                    look.groups.len().to_string(),
                    producer.map_or("-".to_owned(), pid),
                    look.bytes.to_string(),
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
