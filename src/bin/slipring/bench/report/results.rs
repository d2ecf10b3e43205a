//! The figures of each benchmark, as they are in JSON. Rates are per second, of all runs; counts are sums over all
//! runs; samples are of the run with the median service rate: seconds since the first message, and messages per second.

use serde::Serialize;

use crate::bench::delays::Distribution;
use crate::bench::spread::Spread;

/// A result for each measurement.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Results {
    Latency(Vec<Latency>),
    Throughput(Vec<Throughput>),
    Fanout(Vec<Fanout>),
    Group(Vec<Group>),
    Wake(Vec<Wake>),
}

#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) publish_rate: Spread,
    pub(crate) from_due: Distribution,
    pub(crate) from_sent: Distribution,
    pub(crate) samples: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) batch: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) publish_rate: Spread,
    pub(crate) service_rate: Spread,
    pub(crate) bytes_rate: Spread,
    pub(crate) samples: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Fanout {
    pub(crate) groups: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) publish_rate: Spread,
    pub(crate) slowest_consumer: Spread,
    pub(crate) fastest_consumer: Spread,
    /// The rates of all consumers together.
    pub(crate) delivery_rate: Spread,
    /// The rate of each consumer in the median run.
    pub(crate) consumer_rates: Vec<f64>,
    pub(crate) samples: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) members: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) publish_rate: Spread,
    pub(crate) service_rate: Spread,
    /// Each member's share of the messages in the median run.
    pub(crate) shares: Vec<f64>,
    pub(crate) smallest_share: Spread,
    pub(crate) largest_share: Spread,
    pub(crate) fairness: Spread,
    pub(crate) redelivered: u64,
    pub(crate) samples: Vec<(f64, f64)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Wake {
    pub(crate) wake: &'static str,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) delay: Distribution,
    /// Times of send calls, with all consumers asleep, and with one awake.
    pub(crate) send_asleep: Distribution,
    pub(crate) send_awake: Distribution,
}
