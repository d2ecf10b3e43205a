//! How this program opens queues and makes them: of which users, and in which shape.

use std::sync::OnceLock;

use slipring::{Builder, OpenError, OpenOptions, Queue, Snapshot};

use crate::args::{OpenArgs, Shape};
use crate::failure::{Failure, note, open_failed};

/// The users whose queues this process opens, apart from its own user; queues of dead letters and of retries included.
static ALLOWED: OnceLock<Vec<u32>> = OnceLock::new();

/// Allows the users that the command line names. Later calls change nothing.
pub(crate) fn allow(uids: Vec<u32>) {
    ALLOWED.get_or_init(|| uids);
}

/// These users.
pub(crate) fn allowed() -> impl Iterator<Item = u32> {
    ALLOWED.get().into_iter().flatten().copied()
}

/// How to open a queue.
pub(crate) fn options() -> OpenOptions {
    allowed().fold(OpenOptions::new(), OpenOptions::allow_owner)
}

/// A queue of the shape that was asked for, not made yet.
pub(crate) fn builder(name: &str, shape: Shape) -> Builder {
    let mut builder = allowed().fold(Queue::builder(name), Builder::allow_owner);
    if let Some(capacity) = shape.capacity {
        builder = builder.capacity(capacity);
    }
    if let Some(payload) = shape.payload {
        builder = builder.payload_size(payload as usize);
    }
    if let Some(consumers) = shape.max_consumers {
        builder = builder.max_consumers(consumers as usize);
    }
    if let Some(streams) = shape.sources {
        builder = builder.sources(streams as usize);
    }
    if let Some(cells) = shape.spare_cells {
        builder = builder.spare_cells(cells);
    }
    if let Some(groups) = shape.max_groups {
        builder = builder.max_groups(groups as usize);
    }
    if let Some(mode) = shape.mode {
        builder = builder.permissions(mode);
    }
    if let Some(mode) = shape.wake {
        builder = builder.wake_mode(mode.into());
    }
    builder
}

/// Opens a queue; makes it first if that was asked for.
pub(crate) fn open(name: &str, args: &OpenArgs) -> Result<Queue, Failure> {
    open_with_room(name, args, 0)
}

/// The same. A queue that is made has so many spare cells besides those that were asked for.
pub(crate) fn open_with_room(name: &str, args: &OpenArgs, cells: u32) -> Result<Queue, Failure> {
    if args.create {
        let spare = args.shape.spare_cells.unwrap_or(0).saturating_add(cells);
        let wanted = builder(name, args.shape).spare_cells(spare);
        let queue = wanted.open_or_create()?;
        // Room that nobody asked for is no difference.
        let asked = args.shape.spare_cells.is_some().then_some(wanted);
        let differences = asked.unwrap_or_else(|| builder(name, args.shape)).differences(&queue)?;
        if !differences.is_empty() {
            let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
            note(&format!(
                "note: queue {name:?} was there, and keeps its shape: {}",
                texts.join(", ")
            ));
        }
        return Ok(queue);
    }
    let opened = options().open(name);
    if args.shape.is_given() {
        let text = "--capacity, --payload, --max-groups, --max-consumers, --sources, --spare-cells, --mode and --wake are \
                    for a new queue: add --create, or leave them out";
        return Err(Failure::usage(text));
    }
    let missing = matches!(opened, Err(OpenError::NotFound { .. }));
    opened.map_err(|fault| {
        let failure = open_failed(name, fault);
        if missing { failure.hint("or add --create to this command") } else { failure }
    })
}

/// Opens a queue that must exist.
pub(crate) fn open_existing(name: &str) -> Result<Queue, Failure> {
    options().open(name).map_err(|fault| open_failed(name, fault))
}
/// The present state of a queue that must exist.
pub(crate) fn snapshot(name: &str) -> Result<Snapshot, Failure> {
    options().snapshot(name).map_err(|fault| open_failed(name, fault))
}
