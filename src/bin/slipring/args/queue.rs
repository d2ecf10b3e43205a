//! Making, showing and removing queues.

use clap::Args;

use super::policy::places;
use super::values::{octal, payload};
use super::{PolicyArgs, WakeArg};

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the queue: 1 to 200 of A-Z a-z 0-9 . _ -
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// A group with one consumer; every message waits for it from the start. May be given repeatedly
    #[arg(id = "group", long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// A group whose consumers share its messages: each message goes to one of them. May be given repeatedly
    #[arg(id = "shared_group", long = "shared-group", value_name = "GROUP")]
    pub(crate) shared_groups: Vec<String>,
    /// Sequence of the first message, 0 to 2^56 - 2: for a queue that goes on where another one ended
    #[arg(
        long,
        value_name = "SEQUENCE",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..(1 << 56) - 1)
    )]
    pub(crate) base: u64,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// What a new queue is like.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Shape {
    /// Messages that fit, 1 to 16777216, rounded up to a power of two [default: 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) capacity: Option<u64>,
    /// Size of the longest message, 1 to 16777216 bytes, e.g. 4KiB [default: 112]
    #[arg(long, value_name = "SIZE", value_parser = payload)]
    pub(crate) payload: Option<u64>,
    /// Most groups at a time, 1 to 63 [default: 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=63))]
    pub(crate) max_groups: Option<u64>,
    /// Most consumers at a time, 1 to 255 [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=255))]
    pub(crate) max_consumers: Option<u64>,
    /// Let messages say where they come from: from N streams at most at a time, 1 to 127. Each message takes 16 bytes
    /// more [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=127))]
    pub(crate) sources: Option<u64>,
    /// Messages in flight (--in-flight) that there is room for in groups which are made later, 0 to 65536 [default: none]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=65536))]
    pub(crate) spare_cells: Option<u32>,
    /// Permissions, at least 600, whatever the umask. Producers and consumers need to read and write, observers
    /// to read [default: 600]
    #[arg(long, value_name = "OCTAL", value_parser = octal)]
    pub(crate) mode: Option<u32>,
    /// How sleeping processes are woken [default: membarrier, where the kernel has it]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) wake: Option<WakeArg>,
}

impl Shape {
    /// Messages that a shared group has in flight unless it is told how many.
    pub(crate) fn places_in_flight(&self) -> u32 {
        let (capacity, payload) = (self.capacity.unwrap_or(4096), self.payload.unwrap_or(112));
        places(capacity, payload, self.sources.is_some())
    }

    pub(crate) fn is_given(&self) -> bool {
        let Shape { capacity, payload, max_groups, max_consumers, sources, spare_cells, .. } = self;
        let Shape { mode, wake, .. } = self;
        capacity.or(*payload).or(*max_groups).or(*max_consumers).or(*sources).is_some()
            || spare_cells.or(*mode).is_some()
            || wake.is_some()
    }
}

/// How `send` and `recv` open a queue.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Make what is missing: the queue, with the --capacity, --payload, --max-groups, --max-consumers, --sources,
    /// --spare-cells, --mode and --wake given, and for recv the group
    #[arg(long)]
    pub(crate) create: bool,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Name of the queue
    #[arg(value_name = "QUEUE")]
    pub(crate) name: String,
    /// Remove it even if processes use it, or groups have not acked all messages: the processes are told that it was
    /// removed, and the messages are lost
    #[arg(long)]
    pub(crate) force: bool,
}
