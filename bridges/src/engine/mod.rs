//! What moves messages: knows queues of this machine, and brokers by their traits alone.

pub(crate) mod backoff;
pub(crate) mod gap;
pub(crate) mod in_;
pub(crate) mod out;
pub(crate) mod window;

use std::time::{Duration, Instant};

use crate::fault::{Fault, Kind};
use crate::metrics::Metrics;
use crate::reporter::Reporter;
use backoff::Backoff;

/// A connection that is made anew after each failure, for as long as it takes.
#[derive(Debug)]
pub(crate) struct Link {
    is_open: bool,
    backoff: Backoff,
    due: Instant,
    what: String,
}

impl Link {
    /// To `what`, as people are told.
    pub(crate) fn new(what: String) -> Link {
        Link { is_open: false, backoff: Backoff::of_connection(), due: Instant::now(), what }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// When the next try is due, if there is no connection.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    pub(crate) fn opened(&mut self, metrics: &Metrics, reporter: &mut Reporter) {
        self.is_open = true;
        metrics.up.set(1);
        reporter.recovered(&format!("connected to {}", self.what));
    }

    /// Gives it up. A destination that is missing is looked for more often than a broker that is down.
    pub(crate) fn failed(&mut self, fault: &Fault, metrics: &Metrics, reporter: &mut Reporter) {
        let wait = self.backoff.next();
        let wait = match fault.kind {
            Kind::DestinationMissing => wait.min(Duration::from_secs(2)),
            _ => wait,
        };
        (self.is_open, self.due) = (false, Instant::now() + wait);
        metrics.up.set(0);
        metrics.reconnected(fault.kind.name());
        let state = match fault.kind {
            Kind::DestinationMissing => "waiting for the destination",
            _ => "waiting for the broker",
        };
        reporter.say(&format!("{state} ({}): {fault}", self.what));
    }

    /// Ends in order, and is to be made anew at once.
    pub(crate) fn renew(&mut self, reason: &'static str, metrics: &Metrics) {
        (self.is_open, self.due) = (false, Instant::now());
        metrics.reconnected(reason);
    }

    /// A message went through: the next failure is a first one again.
    pub(crate) fn works(&mut self) {
        self.backoff.reset();
    }
}
