//! Arguments of the benchmarks.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::args::{WaitArg, WakeArg, interval, rate, time_within};

/// The time of a run with `--smoke`, and the runs of each measurement.
const SMOKE: Duration = Duration::from_millis(50);
const SMOKE_RUNS: u64 = 2;
const RUNS: u64 = 5;
/// The time of a run. In this time, the 5 runs of `bench wake` have enough messages for a p99.
const LATENCY: Duration = Duration::from_secs(2);
const WAKE: Duration = Duration::from_secs(1);
const STREAM: Duration = Duration::from_millis(500);

const RATE: f64 = 10_000.0;
const BATCH: u64 = 32;
const PAUSE: Duration = Duration::from_millis(2);
/// The same as text, for clap.
const PAUSE_TEXT: &str = "0.002";

/// Help on what all benchmarks have in common.
pub(crate) const MEANING: &str = "Terms: P is the publish rate, the messages per second that the producer \
publishes. C is the service rate, the messages per second that a consumer, or all members of a shared group together, \
receive and ack. D is the delay of a message from one process to another. Q, the depth of a group (messages published \
and not acked), is not measured here; `slipring group ls` shows it.

Runs: each measurement is repeated in --runs runs, with one run of each measurement in turn. A rate is the median of \
its runs, shown with the minimum and the maximum. If these are far apart, something other than the queue was measured.

Placement: the producer and the first consumer (the two ends) run on a processor each, unless --pin says otherwise. \
Before each round of runs, the program measures how long one cache line takes from one of these processors to the \
other and back. Near is less than 90 ns, far 90 to 250 ns, remote more. Do not compare figures of different placements.

Warnings name what makes figures unreliable: a load average above the number of processors, a nice level, time that \
the host took from a virtual machine (steal), ends that other programs preempted, ends on one processor, more \
processes than processors, a debug build.

Percentiles are of the messages of all runs together. A percentile is left out (-) if fewer than 10 messages lie \
beyond it: p99 takes 1,000 messages, p99.9 takes 10,000, p99.99 takes 100,000.";

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// All of the following, each with its defaults, in one report; about 75 s
    #[command(after_long_help = MEANING)]
    All(AllArgs),
    /// Delay of a message from one process to another, at a given rate
    ///
    /// One way. Messages are due on a schedule that does not wait for earlier ones, and the delay D counts from the
    /// time a message was due: a producer or consumer that stalls shows as delay of all messages that it held up (no
    /// coordinated omission). The report also has the delay from the time a message was sent. The difference is how
    /// late the producer was, because its processor was busy or the queue was full.
    #[command(after_long_help = MEANING)]
    Latency(LatencyArgs),
    /// Messages and bytes per second from one process to another, for several batch sizes
    ///
    /// The publish rate P is the producer's, the service rate C the consumer's, each from its first message to its
    /// last. They include the time to write and to check every byte.
    #[command(after_long_help = MEANING)]
    Throughput(ThroughputArgs),
    /// What exclusive groups cost: one producer, one consumer process for each group
    ///
    /// The publish rate P is the producer's. Each group receives every message. Deliveries are the sum of all
    /// consumers' rates.
    #[command(after_long_help = MEANING)]
    Fanout(FanoutArgs),
    /// Throughput of a shared group, and each member's share
    ///
    /// The service rate C is that of all members together. Fairness is Jain's index of the shares: 1 if all are equal,
    /// 1/n if one of n members received everything.
    #[command(after_long_help = MEANING)]
    Group(GroupBenchArgs),
    /// Delay of a message to a consumer that is asleep, in each wake mode
    ///
    /// Each message is sent after a pause, when the kernel reports that the consumers sleep. A second message follows
    /// at once, when one of them is awake. The times of the two send calls show what waking costs the producer.
    #[command(after_long_help = MEANING)]
    Wake(WakeBenchArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// Seconds of each run, 0.01 to 86400 [default: 2 for latency, 1 for wake, 0.5 for all others]
    #[arg(long, value_name = "SECONDS", value_parser = interval)]
    seconds: Option<Duration>,
    /// Runs of each measurement, 1 to 100 [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: Option<u64>,
    /// Only check that it works: few measurements, 2 runs of each, 0.05 s a run
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) smoke: bool,
    /// Bytes of a message, 24 to 65536; every byte is written and checked
    #[arg(long, value_name = "BYTES", default_value_t = 112, value_parser = clap::value_parser!(u64).range(24..=65536))]
    pub(crate) payload: u64,
    /// Messages that fit, 2 to 1048576, rounded up to a power of two
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    pub(crate) capacity: u64,
    /// Processors to pin the processes to, such as 0,1: the producer's first, then the consumers'. Further processes
    /// are not pinned. auto: one processor for each process, on different cores if possible; none: pin no process
    #[arg(long, value_name = "CPU,CPU|auto|none", default_value = "auto", value_parser = pin)]
    pub(crate) pin: PinArg,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write the report with plots to one HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Which of several benchmarks this is, for the progress bar.
    #[arg(skip)]
    pub(crate) part: String,
}

/// Which processors the processes are pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PinArg {
    Auto,
    None,
    List(Vec<usize>),
}

impl BenchCommand {
    pub(crate) fn common(&self) -> &BenchArgs {
        match self {
            BenchCommand::All(args) => &args.common,
            BenchCommand::Latency(args) => &args.common,
            BenchCommand::Throughput(args) => &args.common,
            BenchCommand::Fanout(args) => &args.batches.common,
            BenchCommand::Group(args) => &args.batches.common,
            BenchCommand::Wake(args) => &args.common,
        }
    }
}

impl BenchArgs {
    /// The time of a run of `bench latency`.
    pub(crate) fn latency_time(&self) -> Duration {
        self.run_time(LATENCY)
    }

    /// The time of a run of `bench wake`.
    pub(crate) fn wake_time(&self) -> Duration {
        self.run_time(WAKE)
    }

    /// The time of a run at full speed.
    pub(crate) fn stream_time(&self) -> Duration {
        self.run_time(STREAM)
    }

    fn run_time(&self, default: Duration) -> Duration {
        if self.smoke { SMOKE } else { self.seconds.unwrap_or(default) }
    }

    /// Runs of each measurement.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.unwrap_or(if self.smoke { SMOKE_RUNS } else { RUNS })
    }

    /// The capacity that the queue will have.
    pub(crate) fn ring(&self) -> u64 {
        self.capacity.next_power_of_two()
    }

    /// The values asked for, sorted, or else the default; with --smoke, its first and its last.
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

#[derive(Debug, Args)]
pub(crate) struct AllArgs {
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

impl AllArgs {
    /// The arguments of each benchmark: its defaults, and what was given to all.
    pub(crate) fn each(&self) -> [BenchCommand; 5] {
        let waiting = self.waiting;
        let common = |number: u64, name: &str| {
            let part = format!("{number} of 5, {name}");
            BenchArgs { part, ..self.common.clone() }
        };
        let batch = BATCH.min(self.common.ring());
        let batches = |number, name| BatchArgs { batch, waiting, common: common(number, name) };
        [
            BenchCommand::Latency(LatencyArgs {
                rate: RATE,
                waiting,
                common: common(1, "latency"),
            }),
            BenchCommand::Throughput(ThroughputArgs {
                batch: Vec::new(),
                waiting,
                common: common(2, "throughput"),
            }),
            BenchCommand::Fanout(FanoutArgs { groups: Vec::new(), batches: batches(3, "fanout") }),
            BenchCommand::Group(GroupBenchArgs {
                members: Vec::new(),
                batches: batches(4, "group"),
            }),
            BenchCommand::Wake(WakeBenchArgs {
                modes: Vec::new(),
                members: 1,
                pause: PAUSE,
                common: common(5, "wake"),
            }),
        ]
    }
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct BenchWaitArgs {
    /// How producer and consumers wait
    #[arg(long, value_enum, value_name = "HOW", default_value_t = WaitArg::Sleep)]
    pub(crate) wait: WaitArg,
    /// How sleeping processes are woken [default: membarrier, if the kernel supports it]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) wake: Option<WakeArg>,
}

#[derive(Debug, Args)]
pub(crate) struct LatencyArgs {
    /// Messages per second, evenly paced, 0.001 to 1000000000
    #[arg(long, value_name = "PER_SECOND", default_value_t = RATE, value_parser = rate)]
    pub(crate) rate: f64,
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ThroughputArgs {
    /// Messages to publish, receive and ack at once, 1 to 65536; one measurement for each value [default:
    /// 1,2,4,8,16,32,64,128,256, as far as --capacity allows]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: Vec<u64>,
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

/// Arguments of benchmarks with one batch size.
#[derive(Debug, Args)]
pub(crate) struct BatchArgs {
    /// Messages to publish, receive and ack at once, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = BATCH, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub(crate) batch: u64,
    #[command(flatten)]
    pub(crate) waiting: BenchWaitArgs,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    /// Groups, 1 to 16; one measurement for each value [default: 1,2,4,8,16]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=16))]
    pub(crate) groups: Vec<u64>,
    #[command(flatten)]
    pub(crate) batches: BatchArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GroupBenchArgs {
    /// Members, 1 to 32; one measurement for each value [default: 1,2,4]
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
    /// Consumers, 1 to 64; more than one are members of a shared group
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) members: u64,
    /// Minimum pause between messages in seconds, 0.0001 to 10; a random pause of up to the same length is added
    #[arg(long, value_name = "SECONDS", default_value = PAUSE_TEXT, value_parser = pause)]
    pub(crate) pause: Duration,
    #[command(flatten)]
    pub(crate) common: BenchArgs,
}

/// auto, none, or a list of numbers.
fn pin(text: &str) -> Result<PinArg, String> {
    match text {
        "auto" => Ok(PinArg::Auto),
        "none" => Ok(PinArg::None),
        list => {
            let numbers: Result<Vec<usize>, _> = list.split(',').map(str::parse).collect();
            numbers.map(PinArg::List).map_err(|_| {
                "expected a list of processors, such as 0,1, or auto, or none".to_owned()
            })
        }
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::from_micros(100)..=Duration::from_secs(10))
}

/// The name of a value on the command line.
pub(crate) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
