//! Where `in` gets messages from.

use std::fmt;
use std::time::Instant;

use crate::envelope::Envelope;
use crate::fault::Fault;
use crate::identity::Identity;
use crate::stop::Stop;

/// A message that has come in.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Its number in this connection: rises from message to message.
    pub(crate) token: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) kind: u32,
    /// Where it comes from, if it says so.
    pub(crate) identity: Option<Identity>,
    /// It stands for a message that was not sent.
    pub(crate) tombstone: bool,
    /// What it has at the broker besides its body, if envelopes are made.
    pub(crate) envelope: Option<Envelope>,
}

/// What has come in.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// Messages, in the order of the source; none if none came in time.
    Arrivals(Vec<Arrival>),
    /// There will be no more.
    Ended,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is in the queue: the source may forget it.
    Done,
    /// It can never be in the queue: the source is to put it aside.
    Rejected,
}

/// A broker, or a file. Knows nothing of queues of this machine.
pub(crate) trait Source: fmt::Debug + Send {
    /// Connects anew. Arrivals that were not settled come again, and their tokens are void. Returns after some seconds at
    /// most, and soon after a stop is asked for.
    fn open(&mut self, stop: &Stop) -> Result<(), Fault>;

    /// Returns up to `max` messages as soon as there are some; none at `until`. After a fault, open it again.
    fn next(&mut self, max: usize, until: Instant) -> Result<Next, Fault>;

    /// How many arrivals may wait to be settled: with so many, nothing more comes.
    fn most_unsettled(&self) -> usize {
        usize::MAX
    }

    /// Tells what became of arrivals, in any order.
    fn settle(&mut self, settled: &[(u64, Settled)]) -> Result<(), Fault>;

    /// Ends the connection in order, after what was settled.
    fn close(&mut self);
}
