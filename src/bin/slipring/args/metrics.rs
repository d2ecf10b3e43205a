//! Figures for Prometheus.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::interval;

/// How Prometheus is told of it.
pub(crate) const HELP: &str = "It serves OpenMetrics or the Prometheus text format 0.0.4, as the client accepts, at \
/metrics. docs/metrics.md lists the metrics, and has alerts and a dashboard for Grafana.";

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Queues, or groups as QUEUE/GROUP; those that are not there yet are waited for [default: all queues]
    #[arg(value_name = "QUEUE[/GROUP]")]
    pub(crate) names: Vec<String>,
    /// Where to listen; an address that other hosts reach tells them the names and figures of all queues
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9751")]
    pub(crate) listen: SocketAddr,
    /// Report each consumer as well: a series for each one that ever joins
    #[arg(long)]
    pub(crate) members: bool,
    /// Time between two looks, 0.01 s to 24h; each answer looks once more
    #[arg(long, value_name = "TIME", default_value = "1", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Print the figures of one interval in the text format, for a textfile collector, and end
    #[arg(long, conflicts_with = "listen")]
    pub(crate) once: bool,
}
