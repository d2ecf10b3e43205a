//! What a row is. All rows there are: [`all`]. A new peer needs a file in `peers` and its rows there.

mod list;
pub(crate) mod names;

use serde::Serialize;

pub(crate) use list::{absent, all};

use crate::message::{Bytes256, Bytes1024, Bytes4096, CAPACITY, Large, Msg};
use crate::pair::Steps;
use crate::transport::NotRun;
use crate::works::attach;

/// What is done, and in what it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    RoundTrip,
    Asleep,
    Stream,
    Singles,
    Compete,
    CompeteSingles,
    /// With so many nanoseconds between two messages.
    Latency50,
    Latency200,
    Latency1000,
    FanOutStream,
    Stream256,
    Stream1024,
    Stream4096,
    Alone256,
    Alone1024,
    Alone4096,
    Warm,
    WarmSingles,
    FanOut,
    Dequeue,
    Attach,
}

impl Work {
    pub(crate) const ALL: [Work; 21] = [
        Work::RoundTrip,
        Work::Stream,
        Work::Singles,
        Work::Latency50,
        Work::Latency200,
        Work::Latency1000,
        Work::Compete,
        Work::CompeteSingles,
        Work::FanOutStream,
        Work::Stream256,
        Work::Stream1024,
        Work::Stream4096,
        Work::Alone256,
        Work::Alone1024,
        Work::Alone4096,
        Work::Asleep,
        Work::Warm,
        Work::WarmSingles,
        Work::FanOut,
        Work::Dequeue,
        Work::Attach,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Work::RoundTrip => "round trip",
            Work::Asleep => "round trip between sleepers",
            Work::Stream => "stream, batches of 32",
            Work::Singles => "stream, one by one",
            Work::Compete => "2 members drain a full ring, batches of 32",
            Work::CompeteSingles => "2 members drain a full ring, one by one",
            Work::Latency50 => "latency, a message every 50 ns",
            Work::Latency200 => "latency, a message every 200 ns",
            Work::Latency1000 => "latency, a message every 1000 ns",
            Work::FanOutStream => "stream to exclusive groups that read, batches of 32",
            Work::Stream256 => "sizes: stream, 256 bytes, batches of 32",
            Work::Stream1024 => "sizes: stream, 1024 bytes, batches of 32",
            Work::Stream4096 => "sizes: stream, 4096 bytes, batches of 32",
            Work::Alone256 => "sizes: one thread, 256 bytes, batches of 32",
            Work::Alone1024 => "sizes: one thread, 1024 bytes, batches of 32",
            Work::Alone4096 => "sizes: one thread, 4096 bytes, batches of 32",
            Work::Warm => "one thread, warm lines, batches of 32",
            Work::WarmSingles => "one thread, warm lines, one by one",
            Work::FanOut => "publish, by number of exclusive groups",
            Work::Dequeue => "batch dequeue, ready ring",
            Work::Attach => "attach to a queue of 64 MiB",
        }
    }

    /// What one step is.
    pub(crate) fn step(self) -> &'static str {
        match self {
            Work::RoundTrip | Work::Asleep => "round trip",
            Work::Attach => "attach",
            _ => "message",
        }
    }

    /// What the figures of a slice are, besides nanoseconds.
    pub(crate) fn columns(self) -> &'static [&'static str] {
        match self {
            Work::Latency50 | Work::Latency200 | Work::Latency1000 => {
                &["p50", "p90", "p99", "p99.9"]
            }
            Work::Warm | Work::WarmSingles => &["sending", "receiving"],
            _ => &[""],
        }
    }

    /// Whether one thread does it all.
    pub(crate) fn alone(self) -> bool {
        use Work::{Alone256, Alone1024, Alone4096, Attach, Dequeue, FanOut, Warm, WarmSingles};
        let sizes = matches!(self, Alone256 | Alone1024 | Alone4096);
        sizes || matches!(self, Warm | WarmSingles | FanOut | Dequeue | Attach)
    }

    /// Whether the rows are measured by the fastest limit; else it is the first row.
    pub(crate) fn by_limit(self) -> bool {
        self == Work::RoundTrip
    }

    /// Our row that peers are compared with, where there are any.
    pub(crate) fn ours(self) -> Option<&'static str> {
        match self {
            Work::RoundTrip => Some(names::OURS),
            Work::Stream => Some(names::WAITING_SLICES_SHARED),
            Work::Singles => Some(names::SINGLE),
            Work::Compete => Some(names::BATCHES_SHARED),
            Work::CompeteSingles => Some(names::SINGLE_SHARED),
            Work::Latency50 | Work::Latency200 | Work::Latency1000 => Some(names::SINGLE),
            Work::Stream256 | Work::Stream1024 | Work::Stream4096 => Some(names::LARGE_IN_PLACE),
            Work::Alone256 | Work::Alone1024 | Work::Alone4096 => Some(names::LARGE_IN_PLACE),
            Work::Warm => Some(names::WARM_SLICES),
            Work::WarmSingles => Some(names::SINGLE),
            _ => None,
        }
    }
}

impl Work {
    /// Bytes of a message.
    pub(crate) fn payload(self) -> usize {
        match self {
            Work::Stream256 | Work::Alone256 => size_of::<Bytes256>(),
            Work::Stream1024 | Work::Alone1024 => size_of::<Bytes1024>(),
            Work::Stream4096 | Work::Alone4096 => size_of::<Bytes4096>(),
            _ => size_of::<Msg>(),
        }
    }

    /// Messages that a ring holds, where its maker lets us choose.
    pub(crate) fn capacity(self) -> usize {
        match self {
            Work::Stream256 | Work::Alone256 => Bytes256::CAPACITY,
            Work::Stream1024 | Work::Alone1024 => Bytes1024::CAPACITY,
            Work::Stream4096 | Work::Alone4096 => Bytes4096::CAPACITY,
            Work::Attach => attach::CAPACITY as usize,
            _ => CAPACITY,
        }
    }

    /// What is to be said about its table.
    pub(crate) fn note(self) -> Option<String> {
        use Work::{Alone256, Alone1024, Alone4096, Stream256, Stream1024, Stream4096};
        let note = match self {
            Work::Stream => {
                "Ours without \"waiting calls\" are `try_` calls in a loop; with it they are `send_slice`, `send_batch` or \
                 `reserve`, and `recv_batch`. The targets are measured by these, since a program that wants throughput \
                 calls them: they linger for a run of messages where messages come as fast as they are taken. Peers \
                 that can refuse to take fewer than 32 have a row of that, too."
            }
            Work::Singles => {
                "Ours without \"waiting calls\" are `try_send` and `try_recv` in a loop; with it they are `send` and `recv`, \
                 which lingers for a run of messages where they come as fast as they are taken."
            }
            Stream256 | Stream1024 | Stream4096 | Alone256 | Alone1024 | Alone4096 => {
                return Some(format!(
                    "Rings of {} messages. Every word of every message is written and checked, in the same way in all \
                     rows. iceoryx2 has no batches.",
                    self.capacity()
                ));
            }
            _ => return None,
        };
        Some(note.to_owned())
    }
}

/// What kind of thing a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// Not a queue between strangers: as fast as the machine lets anybody be. A queue that is faster shows that it is no
    /// limit.
    Limit,
    /// The work without anything that goes from one end to the other.
    NoQueue,
    /// Works between the threads of one process only.
    Threads,
    /// Works between processes, in memory that they share.
    Shared,
    /// Goes through the kernel.
    Kernel,
    Ours,
}

/// What a slice says.
pub(crate) struct Figures {
    /// How long a step took, to make the next slice as long as it should be.
    pub(crate) ns_per_step: f64,
    /// Nanoseconds, one for each of [`Work::columns`].
    pub(crate) columns: Vec<f64>,
}

impl From<f64> for Figures {
    fn from(ns_per_step: f64) -> Figures {
        Figures { ns_per_step, columns: vec![ns_per_step] }
    }
}

type Slice = Box<dyn FnMut(Steps) -> Result<Figures, NotRun>>;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// Runs one slice.
    pub(crate) slice: Slice,
}
