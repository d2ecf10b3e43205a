//! Every row there is, work by work. A new peer needs a file in `peers` and its rows here.

use serde::Serialize;

use crate::message::BATCH;
use crate::pair::Steps;
#[cfg(feature = "boost")]
use crate::peers::boost;
#[cfg(feature = "rte_ring")]
use crate::peers::rte_ring;
#[cfg(feature = "zeromq")]
use crate::peers::zeromq;
use crate::peers::{
    crossbeam, disruptor, futex, iceoryx2, line, memcpy, pipe, posix_mq, ringfire, rtrb, shaq,
    slipring, unix,
};
use crate::transport::{NotRun, Transport};
use crate::two_processes::{self, Mode};
use crate::works::attach::{Large, Role};
use crate::works::compete::{self, Pool};
use crate::works::{asleep, dequeue, fan_out, round_trip, stream};

/// What is done, and in what it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    RoundTrip,
    Asleep,
    Stream,
    Compete,
    FanOut,
    Dequeue,
    Attach,
}

impl Work {
    pub(crate) const ALL: [Work; 7] = [
        Work::RoundTrip,
        Work::Asleep,
        Work::Stream,
        Work::Compete,
        Work::FanOut,
        Work::Dequeue,
        Work::Attach,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Work::RoundTrip => "round trip",
            Work::Asleep => "round trip between sleepers",
            Work::Stream => "stream",
            Work::Compete => "2 members drain a full ring",
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
}

/// What kind of thing a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// Not a queue; what no queue can beat.
    Limit,
    /// Works between the threads of one process only.
    Threads,
    /// Works between processes, in memory that they share.
    Shared,
    /// Goes through the kernel.
    Kernel,
    Ours,
}

type Slice = Box<dyn FnMut(Steps) -> Result<f64, NotRun>>;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) work: Work,
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// Runs one slice; nanoseconds per step.
    pub(crate) slice: Slice,
}

/// Rows that others are measured by, or that a target names.
pub(crate) mod names {
    pub(crate) const LINE: &str = "bare cache line";
    pub(crate) const FUTEX: &str = "bare futex";
    pub(crate) const OURS_ASLEEP: &str = "slipring, membarrier, two processes";
    pub(crate) const RTRB_CHUNKS: &str = "rtrb, chunks of 32";
    pub(crate) const CHANNEL: &str = "crossbeam-channel";
    pub(crate) const OURS: &str = "slipring";
    pub(crate) const OURS_SINGLE: &str = "slipring, one by one";
    pub(crate) const OURS_SINGLE_SHARED: &str = "slipring, one by one, shared group";
    pub(crate) const OURS_BATCHES: &str = "slipring, batches of 32";
    pub(crate) const OURS_BATCHES_SHARED: &str = "slipring, batches of 32, shared group";
    pub(crate) const ONE_GROUP: &str = "slipring, 1 group";
    pub(crate) const EIGHT_GROUPS: &str = "slipring, 8 groups";
    pub(crate) const EXCLUSIVE_1: &str = "exclusive group, batches of 1";
    pub(crate) const EXCLUSIVE_32: &str = "exclusive group, batches of 32";
    pub(crate) const SHARED_1: &str = "shared group, batches of 1";
    pub(crate) const SHARED_32: &str = "shared group, batches of 32";
    pub(crate) const ATTACH_PRODUCER: &str = "open, producer";
    pub(crate) const ATTACH_CONSUMER: &str = "open, consumer";
}

const RTE_RING: &str = "DPDK rte_ring";
const BOOST: &str = "Boost.Interprocess message_queue";
const ZEROMQ: &str = "ZeroMQ ipc";

/// Peers that this program was built without, and why.
pub(crate) fn absent() -> Vec<(&'static str, String)> {
    let feature = |on: bool, peer, feature: &str, package: &str| {
        let why = format!("built without --features {feature} (system package {package})");
        (!on).then_some((peer, why))
    };
    let aeron = "its crate rusteron-client takes cmake, Java and libclang to build, and a media driver to run";
    [
        feature(cfg!(feature = "rte_ring"), RTE_RING, "rte_ring", "libdpdk-dev"),
        feature(cfg!(feature = "boost"), BOOST, "boost", "libboost-dev"),
        feature(cfg!(feature = "zeromq"), ZEROMQ, "zeromq", "libzmq3-dev"),
        Some(("Aeron IPC", aeron.to_owned())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Collects rows in the order of the table.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    fn add(
        &mut self,
        work: Work,
        class: Class,
        name: &'static str,
        slice: impl FnMut(Steps) -> Result<f64, NotRun> + 'static,
    ) {
        self.0.push(Row { work, name, class, slice: Box::new(slice) });
    }

    fn round_trip<T: Transport>(&mut self, class: Class, name: &'static str) {
        self.add(Work::RoundTrip, class, name, round_trip::slice::<T>);
    }

    fn asleep<T: Transport>(&mut self, class: Class, name: &'static str) {
        self.add(Work::Asleep, class, name, asleep::slice::<T>);
    }

    fn stream<T: Transport>(&mut self, class: Class, name: &'static str) {
        self.add(Work::Stream, class, name, stream::slice::<T>);
    }

    fn compete<P: Pool>(&mut self, class: Class, name: &'static str) {
        self.add(Work::Compete, class, name, compete::slice::<P>);
    }
}

/// All rows. The first of each work is what the others of it are measured by.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Rows::default();
    round_trips(&mut rows);
    sleepers(&mut rows);
    streams(&mut rows);
    competitions(&mut rows);
    alone(&mut rows);
    rows.0
}

fn round_trips(rows: &mut Rows) {
    use Class::*;
    rows.round_trip::<line::Line>(Limit, names::LINE);
    rows.round_trip::<slipring::Single<false>>(Ours, names::OURS);
    rows.round_trip::<slipring::Single<true>>(Ours, "slipring, shared group");
    rows.round_trip::<slipring::Bytes>(Ours, "slipring, bytes");
    rows.round_trip::<slipring::Waiting>(Ours, "slipring, waiting calls");
    rows.add(Work::RoundTrip, Ours, "slipring, two processes", |steps| {
        two_processes::slice(Mode::Echo, steps)
    });
    rows.round_trip::<rtrb::Single>(Threads, "rtrb");
    rows.round_trip::<crossbeam::Queue>(Threads, "crossbeam ArrayQueue");
    rows.round_trip::<crossbeam::Channel>(Threads, names::CHANNEL);
    rows.round_trip::<disruptor::Single>(Threads, "disruptor");
    rows.round_trip::<ringfire::Single>(Shared, "ringfire");
    rows.round_trip::<shaq::Spsc>(Shared, "shaq, one to one");
    rows.round_trip::<shaq::Mpmc>(Shared, "shaq, many to many");
    rows.round_trip::<iceoryx2::Iceoryx2>(Shared, "iceoryx2");
    #[cfg(feature = "rte_ring")]
    rows.round_trip::<rte_ring::RteRing<1>>(Shared, RTE_RING);
    #[cfg(feature = "boost")]
    rows.round_trip::<boost::Boost>(Shared, BOOST);
    rows.round_trip::<posix_mq::PosixMq>(Kernel, "POSIX message queue");
    rows.round_trip::<pipe::Pipe<1>>(Kernel, "pipe");
    rows.round_trip::<unix::Stream<1>>(Kernel, "Unix stream socket");
    rows.round_trip::<unix::SeqPacket<1>>(Kernel, "Unix seqpacket socket");
    #[cfg(feature = "zeromq")]
    rows.round_trip::<zeromq::ZeroMq>(Kernel, ZEROMQ);
}

fn sleepers(rows: &mut Rows) {
    use Class::*;
    rows.asleep::<futex::BareFutex>(Limit, names::FUTEX);
    rows.asleep::<slipring::Asleep<false>>(Ours, "slipring, membarrier");
    rows.asleep::<slipring::Asleep<true>>(Ours, "slipring, fence");
    rows.add(Work::Asleep, Ours, names::OURS_ASLEEP, |steps| {
        two_processes::slice(Mode::Asleep, steps)
    });
}

fn streams(rows: &mut Rows) {
    use Class::*;
    rows.stream::<rtrb::Chunks>(Threads, names::RTRB_CHUNKS);
    rows.stream::<slipring::Batches<true>>(Ours, names::OURS_BATCHES_SHARED);
    rows.stream::<slipring::Batches<false>>(Ours, names::OURS_BATCHES);
    rows.stream::<slipring::Single<false>>(Ours, names::OURS_SINGLE);
    rows.stream::<slipring::Single<true>>(Ours, names::OURS_SINGLE_SHARED);
    rows.stream::<slipring::InPlace>(Ours, "slipring, 32 in place, shared group");
    rows.stream::<slipring::Bytes>(Ours, "slipring, one by one, bytes");
    rows.stream::<slipring::Waiting>(Ours, "slipring, one by one, waiting calls");
    rows.add(Work::Stream, Ours, "slipring, batches of 32, shared group, two processes", |steps| {
        two_processes::slice(Mode::Batches, steps)
    });
    rows.add(Work::Stream, Ours, "slipring, one by one, two processes", |steps| {
        two_processes::slice(Mode::Stream, steps)
    });
    rows.add(Work::Stream, Limit, "memcpy in and out, 32, one thread", memcpy::slice);
    rows.stream::<rtrb::Single>(Threads, "rtrb, one by one");
    rows.stream::<crossbeam::Queue>(Threads, "crossbeam ArrayQueue, one by one");
    rows.stream::<crossbeam::Channel>(Threads, "crossbeam-channel, one by one");
    rows.stream::<disruptor::Single>(Threads, "disruptor, one by one");
    rows.stream::<disruptor::Batches>(Threads, "disruptor, batches of 32");
    rows.stream::<ringfire::Single>(Shared, "ringfire, one by one");
    rows.stream::<ringfire::Batches>(Shared, "ringfire, batches of 32");
    rows.stream::<shaq::Spsc>(Shared, "shaq, one to one, one by one");
    rows.stream::<shaq::SpscBatches>(Shared, "shaq, one to one, batches of 32");
    rows.stream::<shaq::Mpmc>(Shared, "shaq, many to many, one by one");
    rows.stream::<shaq::MpmcBatches>(Shared, "shaq, many to many, batches of 32");
    rows.stream::<iceoryx2::Iceoryx2>(Shared, "iceoryx2, one by one");
    #[cfg(feature = "rte_ring")]
    rows.stream::<rte_ring::RteRing<1>>(Shared, "DPDK rte_ring, one by one");
    #[cfg(feature = "rte_ring")]
    rows.stream::<rte_ring::RteRing<BATCH>>(Shared, "DPDK rte_ring, bursts of 32");
    #[cfg(feature = "boost")]
    rows.stream::<boost::Boost>(Shared, "Boost message_queue, one by one");
    rows.stream::<posix_mq::PosixMq>(Kernel, "POSIX message queue, one by one");
    rows.stream::<pipe::Pipe<1>>(Kernel, "pipe, one by one");
    rows.stream::<pipe::Pipe<BATCH>>(Kernel, "pipe, 32 per call");
    rows.stream::<unix::Stream<1>>(Kernel, "Unix stream socket, one by one");
    rows.stream::<unix::Stream<BATCH>>(Kernel, "Unix stream socket, 32 per call");
    rows.stream::<unix::SeqPacket<1>>(Kernel, "Unix seqpacket socket, one by one");
    rows.stream::<unix::SeqPacket<BATCH>>(Kernel, "Unix seqpacket socket, 32 per packet");
    #[cfg(feature = "zeromq")]
    rows.stream::<zeromq::ZeroMq>(Kernel, "ZeroMQ ipc, one by one");
}

fn competitions(rows: &mut Rows) {
    use Class::*;
    rows.compete::<crossbeam::Channel>(Threads, names::CHANNEL);
    rows.compete::<slipring::Batches<true>>(Ours, names::OURS_BATCHES_SHARED);
    rows.compete::<crossbeam::Queue>(Threads, "crossbeam ArrayQueue");
    rows.compete::<shaq::MpmcBatches>(Shared, "shaq, many to many, batches of 32");
    #[cfg(feature = "rte_ring")]
    rows.compete::<rte_ring::RteRing<BATCH>>(Shared, "DPDK rte_ring, bursts of 32");
}

/// What only we can do, or what is measured without a peer.
fn alone(rows: &mut Rows) {
    use Class::Ours;
    for (name, groups) in
        [(names::ONE_GROUP, 1), ("slipring, 4 groups", 4), (names::EIGHT_GROUPS, 8)]
    {
        rows.add(Work::FanOut, Ours, name, move |steps| fan_out::slice(groups, steps));
    }
    for (name, shared, size) in [
        (names::EXCLUSIVE_1, false, 1),
        (names::EXCLUSIVE_32, false, 32),
        (names::SHARED_1, true, 1),
        (names::SHARED_32, true, 32),
    ] {
        rows.add(Work::Dequeue, Ours, name, move |steps| dequeue::slice(shared, size, steps));
    }
    for (name, role) in
        [(names::ATTACH_PRODUCER, Role::Producer), (names::ATTACH_CONSUMER, Role::Consumer)]
    {
        let mut large = Large::default();
        rows.add(Work::Attach, Ours, name, move |steps| large.slice(role, steps));
    }
}
