//! Where `out` sends messages to.

use std::fmt;
use std::time::Instant;

use crate::envelope::Envelope;
use crate::fault::Fault;
use crate::identity::Identity;
use crate::stop::Stop;

/// A message on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Its number in the window: rises from message to message.
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) kind: u32,
    pub(crate) attempts: u8,
    /// Where it comes from.
    pub(crate) identity: Identity,
    /// It stands for a message that is not sent, and says so in its headers.
    pub(crate) tombstone: bool,
    /// What it had at the broker that it once came from.
    pub(crate) envelope: Option<Envelope>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The broker has it, and says so.
    Confirmed(u64),
    /// The broker does not have it.
    Failed(u64, Fault),
}

/// What a connection is like now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Ready,
    /// The broker takes nothing now, for this reason, and will say when that ends.
    Blocked(String),
}

/// A broker, or a file. Knows nothing of queues of this machine.
pub(crate) trait Sink: fmt::Debug + Send {
    /// Connects anew; forgets what was published before. Returns after some seconds at most, and soon after a stop is asked
    /// for.
    fn open(&mut self, stop: &Stop) -> Result<(), Fault>;

    /// Why this record can never be taken, as far as that is known before it is published.
    fn misfit(&self, record: &Record) -> Option<String>;

    /// Publishes in this order. What becomes of the records, `poll` says. After a fault, open it again.
    fn publish(&mut self, records: Vec<Record>) -> Result<(), Fault>;

    /// Appends what became of records, as soon as there is something, or at `until`.
    fn poll(&mut self, until: Instant, outcomes: &mut Vec<Outcome>) -> Result<Health, Fault>;

    /// Ends the connection in order. What was published and not confirmed may be there or not.
    fn close(&mut self);
}
