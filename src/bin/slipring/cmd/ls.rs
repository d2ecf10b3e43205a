//! `slipring ls`

use crate::args::ListArgs;
use crate::failure::{Failure, create_hint, error_json, note, open_hint};
use crate::output::print;
use crate::queue::options;
use crate::table::{Table, pid};
use serde_json::json;

pub(crate) fn run(args: &ListArgs) -> Result<(), Failure> {
    let looks = slipring::list()?.into_iter().map(|name| {
        let look = options().snapshot(&name);
        (name, look)
    });
    // Gone since the list was made.
    let found =
        looks.filter(|(_, look)| !matches!(look, Err(slipring::OpenError::NotFound { .. })));
    let heading = ["NAME", "CAPACITY", "PAYLOAD", "DEPTH", "SPAN", "GROUPS", "PRODUCER", "BYTES"];
    let mut table = Table::new(&heading);
    let mut list = Vec::new();
    let mut refused = Vec::new();
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
                list.push(json!({
                    "name": name, "capacity": look.capacity, "payload_size": look.payload_size,
                    "depth": look.depth(), "span": look.span(), "groups": look.groups.len(),
                    "producer": producer, "bytes": look.bytes,
                }));
            }
            Err(fault) => {
                list.push(
                    json!({ "name": name, "error": error_json(fault.code(), &fault.to_string()) }),
                );
                let hint = open_hint(&fault).map_or(String::new(), |hint| format!("; {hint}"));
                refused.push(format!("{name}: {fault}{hint}\n"));
            }
        }
    }
    if args.json {
        return print(&format!("{}\n", serde_json::Value::from(list)));
    }
    if list.is_empty() {
        note(&format!("there are no queues; to make one:\n  {}", create_hint("NAME")));
        return Ok(());
    }
    let table = if list.len() > refused.len() { table.text() } else { String::new() };
    print(&(table + &refused.concat()))
}
