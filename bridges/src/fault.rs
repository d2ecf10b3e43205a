//! How a call to a broker can fail, sorted by what is to be done about it.

use std::fmt;

/// What is to be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The broker did not take this message now: send it again later, on the same connection.
    Retry,
    /// The connection is of no use any more: make another one.
    Rebuild,
    /// The queue or exchange is not there: wait until it is made.
    DestinationMissing,
    /// The credentials or permissions do not suffice: somebody has to change them.
    Refused,
    /// The broker can never take this message.
    Poison,
}

impl Kind {
    /// As a label of a metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Retry => "retry",
            Kind::Rebuild => "rebuild",
            Kind::DestinationMissing => "destination-missing",
            Kind::Refused => "refused",
            Kind::Poison => "poison",
        }
    }
}

/// A failure, and what the broker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Fault {
        Fault { kind, text: text.into() }
    }

    pub(crate) fn rebuild(text: impl Into<String>) -> Fault {
        Fault::new(Kind::Rebuild, text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
