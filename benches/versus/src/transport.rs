//! What a peer implements: two ends. The same loops drive the ends of all peers.

use std::fmt::Display;

use crate::cpus;

/// The sending end.
pub(crate) trait Put {
    /// Sends the messages `from..from + n`, waiting for room.
    fn put(&mut self, from: u64, n: u64);
}

/// The receiving end.
pub(crate) trait Take {
    /// Receives the messages `from..from + n`, waiting for them, and checks each.
    fn take(&mut self, from: u64, n: u64);
}

/// Makes an end in the thread that will use it: some ends are not `Send`, and the first access decides on which NUMA
/// node memory is.
pub(crate) trait Open: Send {
    type End;
    fn open(self) -> Self::End;
}

impl<E, F: FnOnce() -> E + Send> Open for F {
    type End = E;

    fn open(self) -> E {
        self()
    }
}

/// Why a row has no figures.
#[derive(Clone, Debug)]
pub(crate) struct NotRun(pub(crate) String);

impl NotRun {
    pub(crate) fn because(what: impl Display) -> NotRun {
        NotRun(what.to_string())
    }
}

/// A way to send messages from one thread to another.
pub(crate) trait Transport: 'static {
    /// A new queue with room for [`CAPACITY`](crate::message::CAPACITY) messages.
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun>;
}

/// What an end does between two polls.
#[derive(Clone, Copy)]
pub(crate) enum Spin {
    /// Polls again at once. For round trips: a pause would add to the latency.
    AtOnce,
    /// Pauses. For streams: frequent polls take the cache line away from its writer.
    Pause,
    /// Yields to the other end, if both share one processor.
    Yield,
}

impl Spin {
    pub(crate) fn for_round_trips() -> Spin {
        if cpus::two() { Spin::AtOnce } else { Spin::Yield }
    }

    pub(crate) fn for_streams() -> Spin {
        if cpus::two() { Spin::Pause } else { Spin::Yield }
    }

    #[inline]
    pub(crate) fn again(self) {
        match self {
            Spin::AtOnce => {}
            Spin::Pause => std::hint::spin_loop(),
            Spin::Yield => std::thread::yield_now(),
        }
    }
}
