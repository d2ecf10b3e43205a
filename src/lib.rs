//! A lock-free message queue in shared memory.
//!
//! Processes on one host pass messages through a fixed-size ring in a named segment: one producer, many consumers. The
//! data path takes no lock. While nobody sleeps it makes no system call either, except for checks of the surroundings:
//! that the queue was not removed (every few milliseconds), and, in a shared group, that members with unacked messages
//! are alive (every few milliseconds, and when the queue is found empty).
//!
//! ```
//! use slipring::Queue;
//!
//! # let name = format!("doc-lib-{}", std::process::id());
//! let queue = Queue::builder(&name).capacity(1024).payload_size(48).group("audit").create()?;
//! let mut producer = queue.producer()?;
//! producer.send("hello")?;
//!
//! // Usually in another process: Queue::open(&name)?
//! let mut consumer = queue.consumer("audit")?;
//! let message = consumer.recv()?;
//! assert_eq!(&*message, b"hello");
//! message.ack()?;
//! # drop((consumer, producer));
//! slipring::remove(&name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Concepts
//!
//! ```text
//!                      tail                      slots (capacity 8)
//!   producer ──────────┐                ┌────┬────┬────┬────┬────┬────┬────┬────┐
//!   writes a slot,     ▼                │ 16 │ 17 │ 18 │ 11 │ 12 │ 13 │ 14 │ 15 │  sequence
//!   stamps it,        19                └────┴────┴────┴────┴────┴────┴────┴────┘
//!   moves the tail                                       ▲              ▲
//!                                                        │              │
//!   gate = lowest head = 12              head of "store" 12             │
//!   room up to gate + capacity = 20                  head of "audit"   15
//! ```
//!
//! In the order in which a program meets them:
//!
//! 1. **Queue** ([`Queue`], [`Builder`], [`OpenOptions`]): a named ring of slots in shared memory, and the tables of
//!    its groups and consumers. It outlives every process, and dies with the machine. A message is bytes, or a type
//!    that [`message!`] declares ([`Message`]); each has a *sequence*, its number in the queue, and a *kind*, a number
//!    that its sender may give it.
//! 2. **Producer** ([`Producer`]): the one handle that sends. When its holder drops it or dies, the role is free, and
//!    the next producer continues with the next sequence. It copies messages in, or writes them in place
//!    ([`Reservation`]). If the queue is full, it waits, and an error names the group that keeps it full.
//! 3. **Consumer** ([`Consumer`], [`Select`] for several queues): receives for a group. A received message
//!    ([`Received`]) stays in its slot until the consumer *acks* it. Dropped without an ack, it is redelivered, with a
//!    count of *attempts*. After the last attempt that its group allows, or rejected, it becomes a [`DeadLetter`].
//! 4. **Batch** ([`Batch`], [`Delivery`]): up to n messages in one atomic step, acked together, one by one or in any
//!    order; several threads may share one ([`Tasks`]).
//! 5. **Group** ([`Group`], [`Start`], [`Retention`]): a named position in the queue. Every group gets every message,
//!    and no message is overwritten before every group has acked it; so the slowest group holds the producer up. An
//!    *exclusive* group has one consumer at a time. In a *shared* group each message goes to one of several members,
//!    and another member gets what a dead one held.
//! 6. **Observer** ([`Observer`], [`Observation`]): reads from a read-only mapping, delays nobody, and counts what it
//!    missed. [`Snapshot`] tells what the groups and their consumers hold.
//! 7. **Waiting** ([`WaitStrategy`]): sending, reserving and receiving have four forms: `try_` (fails with `Empty` or
//!    `Full` instead of waiting), the plain one (waits as long as it takes), `_timeout` and `_deadline`. Taking a role
//!    that is taken fails at once, except for [`Queue::producer_timeout`] and [`Queue::producer_deadline`]. The feature
//!    `async` adds futures, a stream and a readiness handle, for any runtime: see `Consumer::into_async`.
//!
//! # Guarantees
//!
//! - **At least once.** If a consumer dies before its ack, the group's next consumer, or another member, gets the
//!   message.
//! - **Order.** A group gets messages in the order in which they were sent. In a shared group, redelivered messages
//!   come late.
//! - **Crash, not reboot.** SIGKILL of any process at any moment loses no published message, and blocks no other
//!   process.
//! - **Trust.** Whatever another process stores in the segment, it cannot make yours read or write outside it, hang or
//!   panic, as long as yours uses the messages as bytes. It can garble, lose and repeat messages, and change one *while
//!   you borrow it*: after a check of borrowed bytes they may be others, and unsafe code that relies on such a check
//!   (the standard library's `str` is such code) is not safe. Where the producer is not trusted, check a copy:
//!   [`Consumer::recv_into`]; an [`Observation`] is a copy already. `SECURITY.md` has the whole list.
//! - **Linux, 64 bits, little-endian.**
//!
//! # Features
//!
//! - `async`: see above.
//! - `cli`: the `slipring` program.
//!
//! # How it works
//!
//! A message's slot has a stamp, its sequence number + 1. The producer stores it last and a consumer reads it first:
//! the stamp publishes the message. Each group has a head, the next sequence it has to ack. The producer stays below
//! the lowest head plus the capacity, and reads the heads only once in a quarter of the ring. The head of a shared
//! group is the next sequence to be claimed; its members' records say what they hold. A role belongs to the process
//! that holds a lock on one byte of the segment's file; the kernel releases the lock when that process dies.
//! `docs/design.md` has the protocol, `docs/ordering.md` the reason of each atomic operation.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!(
    "slipring needs Linux on a 64-bit little-endian machine: its segments are laid out for that"
);

// Floors, lowest first: no file uses a higher one, as tests/floors.rs checks. A block is one floor.
mod packed;

#[cfg(not(slipring_loom))]
mod sys;

mod sync;

mod layout;

mod ring;

#[cfg(not(slipring_loom))]
mod clock;
#[cfg(not(slipring_loom))]
mod source;

#[cfg(not(slipring_loom))]
mod error;

#[cfg(not(slipring_loom))]
mod segment;

#[cfg(not(slipring_loom))]
mod control;

#[cfg(not(slipring_loom))]
mod wait;

#[cfg(not(slipring_loom))]
mod attach;

#[cfg(not(slipring_loom))]
mod group;

#[cfg(not(slipring_loom))]
mod info;
#[cfg(not(slipring_loom))]
mod message;

#[cfg(not(slipring_loom))]
mod membership;

#[cfg(not(slipring_loom))]
mod batch;

#[cfg(not(slipring_loom))]
mod consumer;
#[cfg(not(slipring_loom))]
mod observer;
#[cfg(not(slipring_loom))]
mod producer;
#[cfg(not(slipring_loom))]
mod worker;

#[cfg(not(slipring_loom))]
mod reservation;

#[cfg(not(slipring_loom))]
mod streams;

#[cfg(not(slipring_loom))]
mod messages;

#[cfg(not(slipring_loom))]
mod select;

#[cfg(all(not(slipring_loom), feature = "async"))]
mod asynchronous;

#[cfg(not(slipring_loom))]
mod snapshot;

#[cfg(not(slipring_loom))]
mod queue;

#[cfg(not(slipring_loom))]
mod dead_letter;

#[cfg(not(slipring_loom))]
mod stage;

#[cfg(not(slipring_loom))]
mod stats;

#[cfg(not(slipring_loom))]
mod public {
    #[cfg(feature = "async")]
    pub use crate::asynchronous::{
        AsyncConsumer, AsyncMessages, AsyncProducer, AsyncWorker, Readiness,
    };
    pub use crate::batch::{Batch, Delivery, Iter, Received, Task, Tasks};
    pub use crate::clock::monotonic_ns;
    pub use crate::consumer::Consumer;
    pub use crate::dead_letter::letter::{DeadLetter, Reason};
    pub use crate::dead_letter::letters::DeadLetters;
    pub use crate::error::*;
    pub use crate::group::{Group, Mode, Retention, Start};
    pub use crate::info::{InFlightMessage, MessageInfo};
    pub use crate::message::{Content, Field, Message, Outgoing};
    pub use crate::messages::{Messages, OwnedMessage};
    pub use crate::observer::{Observation, Observer};
    pub use crate::producer::Producer;
    pub use crate::queue::{
        Builder, Difference, Evictions, OpenOptions, Queue, WakeMode, force_remove, list, remove,
    };
    pub use crate::reservation::Reservation;
    pub use crate::select::{Select, Selected};
    pub use crate::snapshot::{
        GroupInfo, InFlightInfo, MemberInfo, ProducerInfo, ReservedPlaces, Snapshot,
    };
    pub use crate::source::{Source, StreamId, StreamInfo};
    pub use crate::stage::{Outputs, Stage, Staged};
    pub use crate::stats::{
        ConsumerStats, Figure, Finding, FindingKind, GroupStats, Monitor, ProcessInfo,
        ProcessState, Remedy, Severity, Stats, Unknown,
    };
    pub use crate::streams::{BatchSent, Sent, StreamProducer};
    pub use crate::wait::WaitStrategy;
    pub use crate::worker::{Job, Worker};
}
#[cfg(not(slipring_loom))]
pub use public::*;

#[cfg(not(slipring_loom))]
#[doc(hidden)]
pub use zerocopy;

/// For [`message!`] only.
#[cfg(not(slipring_loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::message::complaint;
}

// The README's examples are tested with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// By-value setters return a value that must be used: it has the setting.
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// slipring::Queue::builder("q").capacity(8);
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// slipring::Group::named("g").shared();
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// slipring::OpenOptions::new().prefault(true);
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// slipring::WaitStrategy::spin().spins(8);
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// fn ack(message: slipring::Received<'_>) {
///     message.ack();
/// }
/// ```
///
/// ```
/// #![deny(unused_must_use)]
/// let group = slipring::Group::named("g").shared();
/// let options = slipring::OpenOptions::new().prefault(true);
/// # drop((group, options, slipring::Queue::builder("q").capacity(8), slipring::WaitStrategy::spin().spins(8)));
/// fn ack(message: slipring::Received<'_>) {
///     let _ = message.ack();
/// }
/// ```
#[cfg(doctest)]
struct MustUse;

#[cfg(test)]
#[cfg(slipring_loom)]
#[path = "../tests/loom/mod.rs"]
mod models;

// The same code under Miri, and as races between threads.
#[cfg(test)]
#[cfg(not(slipring_loom))]
#[path = "../tests/miri/mod.rs"]
mod interleaved;
