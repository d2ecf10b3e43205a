//! Benchmarks.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{WaitArg, WakeArg, interval, rate};

/// A measurement with `--smoke`.
const SMOKE: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// How long a message takes to its consumer, at a given rate
    ///
    /// One way, from one process to another. Messages are sent on a schedule, whether or not the ones before
    /// have arrived, and the delay of each counts from the time it was due: a sender or consumer that stalls
    /// shows as delay of all the messages it held up (no coordinated omission). The delay from the time it
    /// was really sent is shown beside it; the difference is what the sender itself was late, on a busy
    /// processor or because the queue was full.
    Latency(LatencyArgs),
    /// Messages and bytes per second from one process to another, over batch sizes
    Throughput(ThroughputArgs),
    /// What exclusive groups cost: one producer, a reader process for each group
    Fanout(FanoutArgs),
    /// What a shared group of several processes gets done, and who of them how much
    Group(GroupBenchArgs),
    /// From publication to a consumer that was asleep, in each wake mode
    ///
    /// Each message comes after a pause, and once the system says that the consumer sleeps. A second one follows at
    /// once, when nobody sleeps any more: the times that the two calls took tell what waking costs the producer.
    Wake(WakeBenchArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// Seconds of each measurement, 0.01 to 86400 [default: 5 for latency, 1 for all others]
    #[arg(long, value_name = "SECONDS", value_parser = interval)]
    seconds: Option<Duration>,
    /// Only see that it works: 0.05 s for each measurement, and few of them
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) smoke: bool,
    /// Bytes of a message, 24 to 65536; each is written and checked whole
    #[arg(long, value_name = "BYTES", default_value_t = 112, value_parser = clap::value_parser!(u64).range(24..=65536))]
    pub(crate) payload: u64,
    /// Messages that fit, 2 to 1048576, rounded up to a power of two
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    pub(crate) capacity: u64,
    /// Processors for the processes, in order: the producer first, then the consumers. Those beyond the list
    /// run where they like [default: all do]
    #[arg(long, value_name = "CPU", value_delimiter = ',')]
    pub(crate) pin: Vec<usize>,
    /// Print a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a report with plots, one file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl BenchArgs {
    pub(crate) fn seconds(&self, default: u32) -> Duration {
        match self.smoke {
            true => SMOKE,
            false => self.seconds.unwrap_or(SECOND * default),
        }
    }

    /// Messages that fit.
    pub(crate) fn ring(&self) -> u64 {
        self.capacity.next_power_of_two()
    }

    /// What was asked for, in order, or else these; with --smoke the first and the last.
    pub(crate) fn list(&self, asked: &[u64], default: &[u64]) -> Vec<u64> {
        let mut list = match (asked, default) {
            ([], [first, .., last]) if self.smoke => vec![*first, *last],
            ([], _) => default.to_vec(),
            _ => asked.to_vec(),
        };
        list.sort_unstable();
        list.dedup();
        list
    }
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct BenchWaitArgs {
    /// How producer and consumers wait
    #[arg(long, value_enum, value_name = "HOW", default_value_t = WaitArg::Sleep)]
    pub(crate) wait: WaitArg,
    /// How those who wait are woken [default: membarrier, where the kernel has it]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) wake: Option<WakeArg>,
}

#[derive(Debug, Args)]
pub(crate) struct LatencyArgs {
    /// Messages per second, evenly paced, 0.001 to 1000000000
    #[arg(long, value_name = "PER_SECOND", default_value = "10000", value_parser = rate)]
    pub(crate) rate: f64,
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ThroughputArgs {
    /// Messages to publish, take and ack at once, 1 to 65536; a measurement for each of the list [default:
    /// 1,2,4,8,16,32,64,128,256]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: Vec<u64>,
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

/// For benchmarks with one batch size.
#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// Messages to publish, take and ack at once, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: u64,
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    /// Groups, 1 to 16; a measurement for each of the list [default: 1,2,4,8,16]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=16))]
    pub(crate) groups: Vec<u64>,
    #[command(flatten)]
    pub(crate) batches: BatchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GroupBenchArgs {
    /// Members, 1 to 32; a measurement for each of the list [default: 1,2,4]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=32))]
    pub(crate) members: Vec<u64>,
    #[command(flatten)]
    pub(crate) batches: BatchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WakeBenchArgs {
    /// Wake modes to measure [default: all]
    #[arg(long, value_enum, value_name = "MODE", value_delimiter = ',')]
    pub(crate) modes: Vec<WakeArg>,
    /// Consumers that sleep, 1 to 64: members of a shared group if more than 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) members: u64,
    /// Seconds between two messages, at least, 0.0001 to 10; up to as much again is added at random
    #[arg(long, value_name = "SECONDS", default_value = "0.002", value_parser = pause)]
    pub(crate) pause: Duration,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchRole {
    /// Sends as fast as it can
    Stream,
    /// Sends on a schedule
    Paced,
    /// Sends when the consumer sleeps
    Waker,
    Consumer,
    /// A consumer that goes to sleep at once
    Sleeper,
}

/// One process of a benchmark.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchRoleArgs {
    #[arg(value_enum)]
    pub(crate) role: BenchRole,
    pub(crate) name: String,
    #[arg(long)]
    pub(crate) group: Option<String>,
    #[arg(long)]
    pub(crate) shared: bool,
    #[arg(long)]
    pub(crate) batch: usize,
    #[arg(long)]
    pub(crate) payload: usize,
    #[arg(long, value_enum)]
    pub(crate) wait: WaitArg,
    /// Nanoseconds.
    #[arg(long)]
    pub(crate) time: u64,
    #[arg(long, default_value_t = 1.0)]
    pub(crate) rate: f64,
    /// Nanoseconds.
    #[arg(long, default_value_t = 0)]
    pub(crate) pause: u64,
    #[arg(long)]
    pub(crate) pin: Option<usize>,
}

fn pause(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0001..=10.0).contains(seconds));
    let pause = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    pause.ok_or_else(|| "it is a number of seconds, 0.0001 to 10".to_owned())
}
