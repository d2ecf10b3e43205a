//! A lock-free message queue in shared memory.
//!
//! Processes on one host pass messages through a fixed-size ring in a named segment: one producer, many
//! consumers. The data path takes no lock. While nobody sleeps it makes no system call either, except for two checks every
//! few milliseconds: the producer checks that the queue was not removed, and a member of a shared group checks that
//! members with unacked messages are alive.
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
//! 1. **Queue** ([`Queue`], [`Builder`], [`OpenOptions`]): a named ring of slots in shared memory, and the tables of its
//!    groups and consumers. It outlives every process, and dies with the machine. A message is bytes, or a type that
//!    [`message!`] declares ([`Message`]); each has a *sequence*, its number in the queue, and a *kind*, a number that
//!    its sender may give it.
//! 2. **Producer** ([`Producer`]): the one handle that sends. The role is free when its holder is gone, by whatever
//!    cause; the next producer goes on with the next sequence. It copies messages in, or writes them in place
//!    ([`Reservation`]). A full queue makes it wait, and says for which group.
//! 3. **Consumer** ([`Consumer`], [`Select`] for several queues): receives for a group. A received message
//!    ([`Received`]) lies in its slot until the consumer *acks* it. Dropped without an ack, it comes again, with a
//!    count of *attempts*; delivered as often as its group allows, or rejected, it becomes a [`DeadLetter`].
//! 4. **Batch** ([`Batch`], [`Delivery`]): up to n messages in one atomic step, acked together, one by one or in any
//!    order; several threads may work on one ([`Tasks`]).
//! 5. **Group** ([`Group`], [`Start`], [`Retention`]): a named position in the queue. Every group sees every message,
//!    and the slowest holds the producer back: nothing is overwritten that a group has not acked. An *exclusive* group
//!    has one consumer at a time; in a *shared* one each message goes to one of several members, and what a dead member
//!    held goes to another at once.
//! 6. **Observer** ([`Observer`], [`Observation`]): watches from a read-only mapping, slows nobody, and counts what it
//!    missed. [`Snapshot`] tells what the groups and their consumers hold.
//! 7. **Waiting** ([`WaitStrategy`]): sending, reserving and receiving have four forms: `try_` (fails with `Empty` or
//!    `Full` instead of waiting), the plain one (as long as it takes), `_timeout` and `_deadline`. Taking a role waits for
//!    nobody who has it, except [`Queue::producer_timeout`] and its `_deadline`. With the feature `async` there are
//!    futures, a stream and a readiness handle, bound to no runtime: see `Consumer::into_async`.
//!
//! # Guarantees
//!
//! - **At least once.** A consumer that dies before its ack leaves the message to the group's next one, or to another
//!   member.
//! - **Order.** A group sees messages in the order they were sent. What comes again to a member of a shared group
//!   comes late.
//! - **Crash, not reboot.** SIGKILL of any process at any moment loses nothing that was published, and blocks nobody.
//! - **Trust.** What another process stores in the segment cannot make yours read or write outside it, hang or panic,
//!   as long as it uses the messages as bytes. It can garble, lose and repeat messages, and change one *while you
//!   borrow it*: what was checked may not be what is used then, and unsafe code that trusts a check of borrowed bytes
//!   (the standard library's `str` is such code) is not safe from that. Where the writer is not trusted, take a copy and
//!   check that: [`Consumer::recv_into`]; an [`Observation`] is one already. `SECURITY.md` has the whole list.
//! - **Linux, 64 bits, little-endian.**
//!
//! # Features
//!
//! - `async`: see above.
//! - `cli`: the `slipring` program.
//!
//! # How it works
//!
//! A message's slot carries a stamp, its sequence number + 1, which is stored last and read first: it
//! publishes the message. Each group has a head, the next sequence it has to ack. The producer keeps
//! below the lowest head plus the capacity, and looks at the heads only once in a quarter of the ring. The
//! head of a shared group is the next sequence to be taken; what its members hold stands in their records.
//! A role belongs to whoever holds a lock on one byte of the segment's file; the kernel drops it when
//! the holder is gone. `docs/design.md` has the protocol, `docs/ordering.md` what each atomic operation is for.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!(
    "slipring needs Linux on a 64-bit little-endian machine: its segments are laid out for that"
);

// Floors, lowest first; tests/floors.rs checks that no file uses a higher one. A block is one floor.
mod packed;

#[cfg(not(slipring_loom))]
mod sys;

mod sync;

mod layout;

mod ring;

#[cfg(not(slipring_loom))]
mod clock;
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
mod reservation;

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
mod public {
    #[cfg(feature = "async")]
    pub use crate::asynchronous::{AsyncConsumer, AsyncMessages, AsyncProducer, Readiness};
    pub use crate::batch::{Batch, Delivery, Iter, Received, Task, Tasks};
    pub use crate::clock::monotonic_ns;
    pub use crate::consumer::Consumer;
    pub use crate::dead_letter::letter::{DeadLetter, Reason};
    pub use crate::dead_letter::letters::DeadLetters;
    pub use crate::error::*;
    pub use crate::group::{Group, Mode, Retention, Start};
    pub use crate::info::MessageInfo;
    pub use crate::message::{Content, Field, Message, Outgoing};
    pub use crate::messages::{Messages, OwnedMessage};
    pub use crate::observer::{Observation, Observer};
    pub use crate::producer::Producer;
    pub use crate::queue::{
        Builder, Difference, OpenOptions, Queue, WakeMode, force_remove, list, remove,
    };
    pub use crate::reservation::Reservation;
    pub use crate::select::{Select, Selected};
    pub use crate::snapshot::{GroupInfo, MemberInfo, ProducerInfo, Snapshot};
    pub use crate::wait::WaitStrategy;
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

/// What by-value setters return must not be dropped: it would be lost.
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

// The same code under Miri, and as races of threads.
#[cfg(test)]
#[cfg(not(slipring_loom))]
#[path = "../tests/miri/mod.rs"]
mod interleaved;
