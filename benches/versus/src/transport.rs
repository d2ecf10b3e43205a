//! What a peer has to bring: two ends, which are driven by the same loops as everybody's.

use std::fmt::Display;

use crate::cpus;

/// The end that sends.
pub(crate) trait Put {
    /// Sends the messages `from..from + n`, waiting for room.
    fn put(&mut self, from: u64, n: u64);
}

/// The end that receives.
pub(crate) trait Take {
    /// Receives the messages `from..from + n`, waiting for them, and checks each.
    fn take(&mut self, from: u64, n: u64);
}

/// Makes an end in the thread that will use it: some cannot move, and first touch places memory.
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

/// A way to bring messages from one thread to another.
pub(crate) trait Transport: 'static {
    /// A fresh queue of [`CAPACITY`](crate::message::CAPACITY) messages.
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun>;
}

/// What an end does between two looks.
#[derive(Clone, Copy)]
pub(crate) enum Spin {
    /// Looks again at once. For round trips: a pause would be part of the latency.
    AtOnce,
    /// Pauses a moment. For streams: an eager look takes the line away from the one that writes it.
    Pause,
    /// Lets the other end run, where both have only one processor.
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
