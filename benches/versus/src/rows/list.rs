//! Every row there is, work by work. In a work either all rows send and receive in batches, or none does: who has no
//! batches is among those that go one by one.

use super::{Class, Figures, Row, Work, names};
use crate::message::{BATCH, Bytes256, Bytes1024, Bytes4096, Large};
use crate::pair::Steps;
use crate::peers::bare_ring::{BareClaims, BareCopied, BareInPlace, BareRing, BareTrip};
#[cfg(feature = "boost")]
use crate::peers::boost;
#[cfg(feature = "rte_ring")]
use crate::peers::rte_ring;
#[cfg(feature = "zeromq")]
use crate::peers::zeromq;
use crate::peers::{
    crossbeam, disruptor, futex, iceoryx2, memcpy, nexus, pipe, posix_mq, ringfire, rtrb, shaq,
    slipring, unix,
};
use crate::transport::{NotRun, Transport};
use crate::two_processes::{self, Mode};
use crate::works::attach::{LargeQueue, Role};
use crate::works::compete::{self, Pool};
use crate::works::hand_off;
use crate::works::latency::{self, Polled};
use crate::works::{asleep, dequeue, fan_out, round_trip, sizes, stream, warm};

const BOOST: &str = "Boost.Interprocess message_queue";
const ZEROMQ: &str = "ZeroMQ ipc";
const CHANNEL: &str = "crossbeam-channel";
const ARRAY_QUEUE: &str = "crossbeam ArrayQueue";

/// Peers that this program was built without, and why.
pub(crate) fn absent() -> Vec<(&'static str, String)> {
    let feature = |on: bool, peer, feature: &str, package: &str| {
        let why = format!("built without --features {feature} (system package {package})");
        (!on).then_some((peer, why))
    };
    let because = |peer, why: &str| Some((peer, why.to_owned()));
    [
        feature(cfg!(feature = "rte_ring"), names::RTE_RING, "rte_ring", "libdpdk-dev"),
        feature(cfg!(feature = "boost"), BOOST, "boost", "libboost-dev"),
        feature(cfg!(feature = "zeromq"), ZEROMQ, "zeromq", "libzmq3-dev"),
        because(
            "shaq 5",
            "5.1.1 needs `isolate_highest_one`, which is not stable in Rust 1.95; measured is 4.0, which sends and \
             receives by the same code (5 adds identifiers and checks at creation, and another look where many to many \
             finds a stale reservation)",
        ),
        because(
            "Aeron IPC",
            "its crate rusteron-client takes cmake and libclang to build, and a media driver to run",
        ),
        because("flux", "the crate of this name is a client of a database, no queue"),
    ]
    .into_iter()
    .flatten()
    .chain(again())
    .collect()
}

/// Slices that were run again.
fn again() -> Option<(&'static str, String)> {
    let lost = iceoryx2::lost();
    let what =
        "slices in which a message went to no recipient, though there was one, were run again";
    (lost > 0).then(|| ("iceoryx2", format!("{lost} {what}")))
}

/// Collects rows in the order of the table.
#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn add<F: Into<Figures>>(
        &mut self,
        work: Work,
        class: Class,
        name: &'static str,
        mut slice: impl FnMut(Steps) -> Result<F, NotRun> + 'static,
    ) {
        let slice = Box::new(move |steps| slice(steps).map(Into::into));
        self.0.push(Row { work, name, class, slice });
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

    fn singles<T: Transport>(&mut self, class: Class, name: &'static str) {
        self.add(Work::Singles, class, name, stream::slice::<T>);
    }

    fn compete<P: Pool>(&mut self, class: Class, name: &'static str) {
        self.add(Work::Compete, class, name, compete::slice::<P>);
    }

    fn compete_singles<P: Pool>(&mut self, class: Class, name: &'static str) {
        self.add(Work::CompeteSingles, class, name, compete::slice::<P>);
    }

    fn warm<T: Transport>(&mut self, class: Class, name: &'static str) {
        self.add(Work::Warm, class, name, warm::slice::<T>);
    }

    fn warm_singles<T: Transport>(&mut self, class: Class, name: &'static str) {
        self.add(Work::WarmSingles, class, name, warm::slice::<T>);
    }

    fn latency<P: Polled>(&mut self, work: Work, gap: u64, class: Class, name: &'static str) {
        self.add(work, class, name, move |steps| latency::slice::<P>(gap, steps));
    }
}

/// All rows; those of a work lie side by side. Most works are measured by their first row.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Rows::default();
    round_trips(&mut rows);
    streams(&mut rows);
    singles(&mut rows);
    for (work, gap) in [(Work::Latency50, 50), (Work::Latency200, 200), (Work::Latency1000, 1000)] {
        latencies(&mut rows, work, gap);
    }
    competitions(&mut rows);
    fan_outs(&mut rows);
    larger::<Bytes256>(&mut rows, Work::Stream256);
    larger::<Bytes1024>(&mut rows, Work::Stream1024);
    larger::<Bytes4096>(&mut rows, Work::Stream4096);
    sleepers(&mut rows);
    alone(&mut rows);
    larger_alone::<Bytes256>(&mut rows, Work::Alone256);
    larger_alone::<Bytes1024>(&mut rows, Work::Alone1024);
    larger_alone::<Bytes4096>(&mut rows, Work::Alone4096);
    rows.0
}

fn round_trips(rows: &mut Rows) {
    use Class::*;
    let limit = |rows: &mut Rows, name, slice: fn(Steps) -> Result<Figures, NotRun>| {
        rows.add(Work::RoundTrip, Limit, name, slice);
    };
    limit(rows, names::TWO_LINES, hand_off::slice::<false, 0>);
    limit(rows, "bare: two lines, 1 pause", hand_off::slice::<false, 1>);
    limit(rows, "bare: two lines, 2 pauses", hand_off::slice::<false, 2>);
    limit(rows, "bare: two lines, 4 pauses", hand_off::slice::<false, 4>);
    limit(rows, "bare: one line", hand_off::slice::<true, 0>);
    limit(rows, "bare: one line, 1 pause", hand_off::slice::<true, 1>);
    limit(rows, "bare: one line, 2 pauses", hand_off::slice::<true, 2>);
    limit(rows, "bare: one line, 4 pauses", hand_off::slice::<true, 4>);
    rows.round_trip::<BareTrip<0>>(Limit, "bare ring of the same slots");
    rows.round_trip::<BareTrip<1>>(Limit, "bare ring of the same slots, 1 pause");
    rows.round_trip::<BareTrip<2>>(Limit, "bare ring of the same slots, 2 pauses");
    rows.round_trip::<slipring::Single<false>>(Ours, names::OURS);
    rows.round_trip::<slipring::Single<true>>(Ours, names::OURS_SHARED);
    rows.round_trip::<slipring::Bytes>(Ours, "slipring, bytes");
    rows.round_trip::<slipring::Waiting<false>>(Ours, names::WAITING);
    rows.add(Work::RoundTrip, Ours, "slipring, two processes", |steps| {
        two_processes::slice(Mode::Echo, steps)
    });
    rows.round_trip::<rtrb::Single>(Threads, names::RTRB);
    rows.round_trip::<nexus::Spsc>(Threads, "nexus-queue");
    rows.round_trip::<crossbeam::Queue>(Threads, ARRAY_QUEUE);
    rows.round_trip::<crossbeam::Channel>(Threads, CHANNEL);
    rows.round_trip::<disruptor::Single>(Threads, "disruptor");
    rows.round_trip::<ringfire::Single>(Shared, "ringfire");
    rows.round_trip::<shaq::Spsc>(Shared, names::SHAQ_ONE);
    rows.round_trip::<shaq::Mpmc>(Shared, names::SHAQ_MANY);
    let slice = iceoryx2::complete(round_trip::slice::<iceoryx2::Iceoryx2>);
    rows.add(Work::RoundTrip, Shared, "iceoryx2", slice);
    #[cfg(feature = "rte_ring")]
    rows.round_trip::<rte_ring::RteRing<1>>(Shared, names::RTE_RING);
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
    rows.stream::<rtrb::Chunks<false>>(Threads, names::RTRB_CHUNKS);
    rows.stream::<rtrb::Chunks<true>>(Threads, "rtrb, chunks of 32, none before all are there");
    rows.stream::<BareRing<0, 1, 32>>(Limit, "bare ring of the same slots");
    rows.stream::<BareRing<16, 1, 32>>(Limit, "bare ring, 16 pauses");
    rows.stream::<BareRing<0, 32, 32>>(Limit, "bare ring, waits for 32");
    rows.stream::<BareRing<2, 64, 32>>(Limit, "bare ring, waits for 64, 2 pauses");
    rows.stream::<BareRing<2, 64, 128>>(Limit, "bare ring, waits for 64, 2 pauses, takes 128 back");
    rows.stream::<slipring::WaitingSlices<true>>(Ours, names::WAITING_SLICES_SHARED);
    rows.stream::<slipring::WaitingSlices<false>>(Ours, names::WAITING_SLICES);
    rows.stream::<slipring::WaitingBatches<true>>(Ours, names::WAITING_BATCHES_SHARED);
    rows.stream::<slipring::WaitingInPlace<true>>(Ours, names::WAITING_IN_PLACE_SHARED);
    rows.stream::<slipring::Slices<true>>(Ours, names::SLICES_SHARED);
    rows.stream::<slipring::Slices<false>>(Ours, names::SLICES);
    rows.stream::<slipring::Batches<true>>(Ours, names::BATCHES_SHARED);
    rows.stream::<slipring::Batches<false>>(Ours, "slipring, send_batch of 32");
    rows.stream::<slipring::InPlace<true>>(Ours, names::IN_PLACE_SHARED);
    rows.add(
        Work::Stream,
        Ours,
        "slipring, send_batch of 32, shared group, two processes",
        |steps| two_processes::slice(Mode::Batches, steps),
    );
    rows.add(
        Work::Stream,
        Ours,
        "slipring, send_slice of 32, shared group, waiting calls, two processes",
        |steps| two_processes::slice(Mode::WaitingSlices, steps),
    );
    rows.add(Work::Stream, NoQueue, "memcpy in and out, 32, one thread", memcpy::slice);
    rows.stream::<disruptor::Batches>(Threads, "disruptor");
    rows.stream::<ringfire::Batches>(Shared, "ringfire");
    rows.stream::<shaq::SpscBatches>(Shared, names::SHAQ_ONE);
    rows.stream::<shaq::MpmcBatches>(Shared, names::SHAQ_MANY);
    #[cfg(feature = "rte_ring")]
    rows.stream::<rte_ring::RteRing<BATCH>>(Shared, names::RTE_RING);
    #[cfg(feature = "rte_ring")]
    rows.stream::<rte_ring::Bulk>(Shared, "DPDK rte_ring, bulk, none before all are there");
    rows.stream::<pipe::Pipe<BATCH>>(Kernel, "pipe");
    rows.stream::<unix::Stream<BATCH>>(Kernel, "Unix stream socket");
    rows.stream::<unix::SeqPacket<BATCH>>(Kernel, "Unix seqpacket socket");
}

fn singles(rows: &mut Rows) {
    use Class::*;
    rows.singles::<rtrb::Single>(Threads, names::RTRB);
    rows.singles::<slipring::Single<false>>(Ours, names::SINGLE);
    rows.singles::<slipring::Single<true>>(Ours, names::SINGLE_SHARED);
    rows.singles::<slipring::Bytes>(Ours, "slipring, bytes");
    rows.singles::<slipring::Waiting<false>>(Ours, names::WAITING);
    rows.singles::<slipring::Waiting<true>>(Ours, "slipring, waiting calls, shared group");
    rows.add(Work::Singles, Ours, "slipring, two processes", |steps| {
        two_processes::slice(Mode::Stream, steps)
    });
    rows.singles::<nexus::Spsc>(Threads, "nexus-queue");
    rows.singles::<crossbeam::Queue>(Threads, ARRAY_QUEUE);
    rows.singles::<crossbeam::Channel>(Threads, CHANNEL);
    rows.singles::<disruptor::Single>(Threads, "disruptor");
    rows.singles::<ringfire::Single>(Shared, "ringfire");
    rows.singles::<shaq::Spsc>(Shared, names::SHAQ_ONE);
    rows.singles::<shaq::Mpmc>(Shared, names::SHAQ_MANY);
    let slice = iceoryx2::complete(stream::slice::<iceoryx2::Iceoryx2>);
    rows.add(Work::Singles, Shared, "iceoryx2", slice);
    #[cfg(feature = "rte_ring")]
    rows.singles::<rte_ring::RteRing<1>>(Shared, names::RTE_RING);
    #[cfg(feature = "boost")]
    rows.singles::<boost::Boost>(Shared, BOOST);
    rows.singles::<posix_mq::PosixMq>(Kernel, "POSIX message queue");
    rows.singles::<pipe::Pipe<1>>(Kernel, "pipe");
    rows.singles::<unix::Stream<1>>(Kernel, "Unix stream socket");
    rows.singles::<unix::SeqPacket<1>>(Kernel, "Unix seqpacket socket");
    #[cfg(feature = "zeromq")]
    rows.singles::<zeromq::ZeroMq>(Kernel, ZEROMQ);
}

fn latencies(rows: &mut Rows, work: Work, gap: u64) {
    use Class::*;
    rows.latency::<rtrb::Single>(work, gap, Threads, names::RTRB);
    rows.add(work, NoQueue, "clock only, nothing between", move |steps| {
        latency::jitter(gap, steps)
    });
    rows.latency::<latency::BareLine>(work, gap, NoQueue, names::BARE_LINE);
    rows.latency::<slipring::Single<false>>(work, gap, Ours, names::SINGLE);
    rows.latency::<slipring::Single<true>>(work, gap, Ours, names::SINGLE_SHARED);
    rows.latency::<slipring::Batches<true>>(
        work,
        gap,
        Ours,
        "slipring, received in batches of 32, shared group",
    );
    rows.latency::<ringfire::Single>(work, gap, Shared, "ringfire");
    rows.latency::<shaq::Spsc>(work, gap, Shared, names::SHAQ_ONE);
}

fn competitions(rows: &mut Rows) {
    use Class::*;
    rows.compete::<shaq::MpmcBatches>(Shared, names::SHAQ_MANY);
    rows.compete::<BareClaims<32>>(Limit, names::BARE_CLAIMS);
    rows.compete::<slipring::Batches<true>>(Ours, names::BATCHES_SHARED);
    #[cfg(feature = "rte_ring")]
    rows.compete::<rte_ring::RteRing<BATCH>>(Shared, names::RTE_RING);
    rows.compete_singles::<shaq::Mpmc>(Shared, names::SHAQ_MANY);
    rows.compete_singles::<BareClaims<1>>(Limit, names::BARE_CLAIMS);
    rows.compete_singles::<slipring::Single<true>>(Ours, names::SINGLE_SHARED);
    #[cfg(feature = "rte_ring")]
    rows.compete_singles::<rte_ring::RteRing<1>>(Shared, names::RTE_RING);
    rows.compete_singles::<nexus::Spmc>(Threads, "nexus-queue");
    rows.compete_singles::<crossbeam::Queue>(Threads, ARRAY_QUEUE);
    rows.compete_singles::<crossbeam::Channel>(Threads, CHANNEL);
}

fn fan_outs(rows: &mut Rows) {
    for (name, groups) in [(names::ONE_GROUP, 1), (names::TWO_GROUPS, 2)] {
        rows.add(Work::FanOutStream, Class::Ours, name, move |steps| {
            fan_out::stream(groups, steps)
        });
    }
}

/// All bytes of all messages are written and checked, in the same way everywhere.
fn larger<L: Large>(rows: &mut Rows, work: Work) {
    use Class::*;
    rows.add(work, Threads, names::LARGE_RTRB, stream::slice::<rtrb::LargeChunks<L>>);
    rows.add(work, Threads, names::LARGE_RTRB_COPIED, stream::slice::<rtrb::LargeSlices<L>>);
    memcpies::<L>(rows, work);
    let copied = stream::slice::<slipring::LargeCopied<L, true>>;
    rows.add(work, Ours, names::LARGE_COPIED, copied);
    let in_place = stream::slice::<slipring::LargeInPlace<L, true>>;
    rows.add(work, Ours, names::LARGE_IN_PLACE, in_place);
    let loans = iceoryx2::complete(stream::slice::<iceoryx2::LargeLoans<L>>);
    rows.add(work, Shared, names::LARGE_ICEORYX2, loans);
}

/// The same in one thread.
fn larger_alone<L: Large>(rows: &mut Rows, work: Work) {
    use Class::*;
    rows.add(work, Threads, names::LARGE_RTRB, sizes::alternating::<rtrb::LargeChunks<L>>);
    let copied = sizes::alternating::<rtrb::LargeSlices<L>>;
    rows.add(work, Threads, names::LARGE_RTRB_COPIED, copied);
    memcpies::<L>(rows, work);
    let copied = sizes::alternating::<slipring::LargeCopied<L, false>>;
    rows.add(work, Ours, names::LARGE_COPIED, copied);
    let in_place = sizes::alternating::<slipring::LargeInPlace<L, false>>;
    rows.add(work, Ours, names::LARGE_IN_PLACE, in_place);
    let loans = iceoryx2::complete(sizes::alternating::<iceoryx2::LargeLoans<L>>);
    rows.add(work, Shared, names::LARGE_ICEORYX2, loans);
}

fn memcpies<L: Large>(rows: &mut Rows, work: Work) {
    rows.add(work, Class::NoQueue, names::LARGE_MEMCPY, memcpy::large::<L, true>);
    let read_there = "memcpy in, read in place, 32, one thread";
    rows.add(work, Class::NoQueue, read_there, memcpy::large::<L, false>);
}

/// One thread.
fn alone(rows: &mut Rows) {
    use Class::{Limit, Ours, Shared, Threads};
    rows.warm::<rtrb::Chunks<false>>(Threads, names::RTRB_CHUNKS);
    rows.warm::<rtrb::Slices>(Threads, names::RTRB_SLICES);
    rows.warm::<BareCopied>(Limit, names::BARE_COPIED);
    rows.warm::<BareInPlace>(Limit, names::BARE_IN_PLACE);
    rows.warm::<slipring::PreparedSlices>(Ours, names::WARM_SLICES);
    rows.warm::<slipring::PreparedBatches>(Ours, names::WARM_BATCHES);
    rows.warm::<slipring::InPlace<false>>(Ours, names::WARM_IN_PLACE);
    rows.warm::<slipring::InPlace<true>>(Ours, "slipring, reserve 32, in place, shared group");
    rows.warm::<shaq::SpscBatches>(Shared, names::SHAQ_ONE);
    rows.warm_singles::<rtrb::Single>(Threads, names::RTRB);
    rows.warm_singles::<BareTrip<0>>(Limit, names::BARE_SINGLE);
    rows.warm_singles::<slipring::Single<false>>(Ours, names::SINGLE);
    rows.warm_singles::<slipring::Single<true>>(Ours, names::SINGLE_SHARED);
    rows.warm_singles::<slipring::Bytes>(Ours, "slipring, bytes");
    rows.warm_singles::<nexus::Spsc>(Threads, "nexus-queue");
    rows.warm_singles::<shaq::Spsc>(Shared, names::SHAQ_ONE);
    for (name, groups) in
        [(names::ONE_GROUP, 1), ("slipring, 4 groups", 4), (names::EIGHT_GROUPS, 8)]
    {
        rows.add(Work::FanOut, Ours, name, move |steps| fan_out::slice(groups, steps));
    }
    for (name, shared, size) in [
        ("exclusive group, batches of 1", false, 1),
        ("exclusive group, batches of 32", false, 32),
        ("shared group, batches of 1", true, 1),
        ("shared group, batches of 32", true, 32),
    ] {
        rows.add(Work::Dequeue, Ours, name, move |steps| dequeue::slice(shared, size, steps));
    }
    for (name, role) in
        [(names::ATTACH_PRODUCER, Role::Producer), (names::ATTACH_CONSUMER, Role::Consumer)]
    {
        let mut large = LargeQueue::default();
        rows.add(Work::Attach, Ours, name, move |steps| large.slice(role, steps));
    }
}
